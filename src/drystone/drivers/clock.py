"""The system's clock, and one like it that can be set."""

import time

from drystone.core.time import SECOND_NS, Clock, Time


def system_clock() -> Time:
    """Now, on the machine's monotonic and unix clocks."""
    return Time(time.monotonic_ns(), int(time.time()))


class SettableClock:
    """A clock that goes as another does, and can be put forward or back.

    Timers follow it forward: whatever would be due by then is due. They never go back.
    """

    def __init__(self, base: Clock = system_clock) -> None:
        self._base = base
        self._ahead_ns = 0
        self._ahead_s = 0
        self._ahead_ns_of_unix = 0  # by `advance` alone: small steps add up

    def __call__(self) -> Time:
        """The present instant."""
        mono_ns, unix_s = self._base()
        return Time(mono_ns + self._ahead_ns, unix_s + self._ahead_s)

    def set_unix(self, unix_s: int) -> None:
        """It is this unix time now, and time goes on from there."""
        jump_s = unix_s - self().unix_s
        self._ahead_s += jump_s
        self._ahead_ns += max(0, jump_s) * SECOND_NS

    def advance(self, ns: int) -> None:
        """It is that much later now, for timers to the nanosecond and for unix time in seconds."""
        before_s = self._ahead_ns_of_unix // SECOND_NS
        self._ahead_ns += ns
        self._ahead_ns_of_unix += ns
        self._ahead_s += self._ahead_ns_of_unix // SECOND_NS - before_s

    def shift_unix(self, seconds: int) -> None:
        """Unix time is that much later from now on; timers go on as they were."""
        self._ahead_s += seconds
