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


class Clock(Protocol):
    """Whoever is asked for the time: the system's clock, or a simulated one."""

    def __call__(self) -> Time:
        """The present instant."""
