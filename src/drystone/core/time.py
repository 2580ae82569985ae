"""The one clock reading a core ever sees."""

from typing import NamedTuple, Protocol

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000


class Time(NamedTuple):
    """An instant on both clocks, read together.

    mono_ns: monotonic nanoseconds, for timers. unix_s: unix seconds, for rules and timestamps.
    """

    mono_ns: int
    unix_s: int


def earliest(*times: int | None) -> int | None:
    """The first of some times, or None if nothing is to happen at any."""
    first = None
    for time in times:
        if time is not None and (first is None or time < first):
            first = time
    return first


class Clock(Protocol):
    """Whoever is asked for the time: the system's clock, or a simulated one."""

    def __call__(self) -> Time:
        """The present instant."""
