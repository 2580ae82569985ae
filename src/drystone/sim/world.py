"""Virtual time: things to happen in their order, a clock that jumps from one to the next.

A run is a function of (scenario, seed). Nothing here knows what kind of core it drives.
"""

from collections.abc import Callable
from hashlib import sha256
from heapq import heappop, heappush

from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS, Time

UNIX_START = 1_700_000_000  # virtual unix time begins here, always

Callback = Callable[[], None]

_LINES_HASHED_TOGETHER = 512


class Trace:
    """What happened, a line each, and a hash over it all that two runs can compare.

    The lines themselves are kept only when asked for; the hash always covers every one. sink: is
    handed what has been hashed, many lines at a time, if it is there from the beginning.
    """

    def __init__(self, *, keep: bool) -> None:
        self.lines: list[str] = []
        self.sink: Callable[[str], object] | None = None
        self._keep = keep
        self._hash = sha256()
        self._hashed = 0
        self._unhashed: list[str] = []

    @property
    def events(self) -> int:
        """How many lines there were."""
        return self._hashed + len(self._unhashed)

    def add(self, line: str) -> None:
        """One line. It begins with virtual nanoseconds since the start."""
        self._unhashed.append(line)
        if len(self._unhashed) == _LINES_HASHED_TOGETHER:
            self._hash_lines()
        if self._keep:
            self.lines.append(line)

    def digest(self) -> str:
        """SHA-256 over all lines so far, in hex."""
        self._hash_lines()
        return self._hash.hexdigest()

    def _hash_lines(self) -> None:
        """Each with its line feed."""
        text = "\n".join([*self._unhashed, ""])
        self._hash.update(text.encode())
        self._hashed += len(self._unhashed)
        self._unhashed.clear()
        if self.sink is not None:
            self.sink(text)


class World:
    """The clock, what is to happen, the trace and the source of chance of one simulated run.

    What falls on one time happens in the order in which it was asked for. There is much of that,
    since what one host sends to many arrives together: so there is a heap of times only.

    seed: of all chance in this run. unix_start: the unix time at its beginning, in seconds.
    invariants: called after every event; they raise if the world is not as it must be.
    """

    def __init__(
        self, seed: int, *, keep_trace: bool = False, unix_start: int = UNIX_START
    ) -> None:
        self.seed = seed
        self.now_ns = 0
        self._unix_start = unix_start
        self._now = Time(0, unix_start)
        self.trace = Trace(keep=keep_trace)
        self.invariants: list[Callback] = []
        self._times: list[int] = []  # a heap of the keys of...
        self._planned: dict[int, list[Callback]] = {}  # ...what is to happen at later times
        self._ready: list[Callback] = []  # what is yet to happen now, the last first

    def clock(self) -> Time:
        """The present virtual instant."""
        now_ns = self.now_ns
        if now_ns != self._now.mono_ns:  # much happens at the same time
            self._now = Time(now_ns, self._unix_start + now_ns // SECOND_NS)
        return self._now

    def shift_unix(self, seconds: int) -> None:
        """Set the unix clock forward or back, and no other."""
        self._unix_start += seconds
        self._now = Time(self.now_ns, self._unix_start + self.now_ns // SECOND_NS)

    def stream(self, *labels: str | int) -> Stream:
        """The stream of chance for one consumer: a node's name, then a purpose."""
        return Stream(self.seed, *labels)

    def at(self, time_ns: int, callback: Callback) -> None:
        """Let something happen at a time that is not past."""
        if time_ns < self.now_ns:
            raise ValueError(f"{time_ns} ns is past, it is {self.now_ns} ns")
        planned = self._planned.get(time_ns)
        if planned is None:
            self._planned[time_ns] = [callback]
            heappush(self._times, time_ns)
        else:
            planned.append(callback)

    def after(self, delay_ns: int, callback: Callback) -> None:
        """Let something happen after a delay."""
        self.at(self.now_ns + delay_ns, callback)

    def alarm(self, callback: Callback) -> "Alarm":
        """An alarm that can be set again and again."""
        return Alarm(self, callback)

    def record(self, who: str | int, what: str) -> None:
        """A line for the trace."""
        self.trace.add(f"{self.now_ns} {who} {what}")

    @property
    def waiting(self) -> int:
        """How many things are to happen."""
        return len(self._ready) + sum(map(len, self._planned.values()))

    def step(self) -> bool:
        """Let the next thing happen; False if nothing is left."""
        if not self._ready:
            if not self._times:
                return False
            self._go_to_next_time()
        self._ready.pop()()
        self._check_invariants()
        return True

    def run_for(self, duration_ns: int) -> None:
        """Let everything happen that falls into the next duration, and stand at its end."""
        end = self.now_ns + duration_ns
        ready, times, invariants = self._ready, self._times, self.invariants
        while ready or (times and times[0] <= end):  # as `step` does, without a call for each
            if not ready:
                self._go_to_next_time()
            while ready:
                ready.pop()()
                if invariants:
                    self._check_invariants()
        self.now_ns = end

    def run_until(self, reached: Callable[[], bool], *, limit_ns: int) -> None:
        """Run until a condition holds. Raises TimeoutError when limit_ns pass before it does."""
        end = self.now_ns + limit_ns
        ready, times = self._ready, self._times
        while not reached():
            if not ready and (not times or times[0] > end):
                raise TimeoutError(f"not reached within {limit_ns / SECOND_NS:g} virtual seconds")
            self.step()

    def _go_to_next_time(self) -> None:
        self.now_ns = heappop(self._times)
        self._ready += reversed(self._planned.pop(self.now_ns))

    def _check_invariants(self) -> None:
        for check in self.invariants:
            check()


class Alarm:
    """Rings once, at the time that it was last set to.

    Most alarms are put off long before they ring. So there is one thing planned for each, or two
    if it was brought forward; what comes too early is planned anew.
    """

    __slots__ = ("_at_ns", "_callback", "_planned_ns", "_world")

    def __init__(self, world: World, callback: Callback) -> None:
        self._world = world
        self._callback = callback
        self._at_ns: int | None = None
        self._planned_ns: int | None = None  # the first of what is planned and counts

    def set(self, at_ns: int | None) -> None:
        """Ring then, or as soon as may be if that is past; None: don't ring."""
        if at_ns is not None and at_ns < self._world.now_ns:
            at_ns = self._world.now_ns
        self._at_ns = at_ns
        if at_ns is not None and (self._planned_ns is None or at_ns < self._planned_ns):
            self._plan(at_ns)

    def _plan(self, at_ns: int) -> None:
        self._planned_ns = at_ns
        self._world.at(at_ns, self._come)

    def _come(self) -> None:
        now_ns = self._world.now_ns
        if now_ns != self._planned_ns:
            return  # it was brought forward after this had been planned
        self._planned_ns = None
        if self._at_ns is None:
            return
        if self._at_ns > now_ns:
            self._plan(self._at_ns)
            return
        self._at_ns = None
        self._callback()
