"""A hash-rate budget: how many hashes a miner may do, and when.

Hashes are due in slices: short bursts at full speed, a moment of rest between them. The budget is
only arithmetic on the time it is told, so that a thread on a desk and a simulated node in virtual
time are paced by the same code.
"""

from drystone.core.chance import Dice
from drystone.core.time import SECOND_NS

# From one slice to the next, drawn anew each time. Slices are to be at most 50 ms apart; what is
# missing to that is for a thread that wakes up late.
SHORTEST_GAP_NS = 10_000_000
LONGEST_GAP_NS = 40_000_000

# What has not been hashed in time is made up for, up to this much: a busy machine costs nothing,
# and one that slept for an hour has no hour's burst. In any ten seconds it is 3 %.
CATCH_UP_NS = 300_000_000


class Budget:
    """So many hashes per second, in slices, each a random moment after the last.

    hashes_per_s: None has no limit, 0 stands still. From 10 upward the hashes of any ten seconds
    are within 5 % of it, if the machine can do as many and its delays stay under 200 ms.
    dice: this miner's own, so that no two miners keep step.

    Credit grows with time, in units of a billionth of a hash, and no part of it is ever rounded
    away. When a slice is due, its whole hashes become available; what is not taken goes back.
    """

    def __init__(self, hashes_per_s: int | None, dice: Dice) -> None:
        self._hashes_per_s = _checked(hashes_per_s)
        self._dice = dice
        # Part of a hash to begin with: otherwise all miners of 10 hashes per second, however their
        # slices lie, would do their n-th hash in the slice that follows n/10 seconds.
        self._credit = dice.below(SECOND_NS)
        self._available = 0
        self._counted_ns: int | None = None  # credit is counted up to here; None: at rest
        self._due_ns = 0

    @property
    def hashes_per_s(self) -> int | None:
        """The rate: None has no limit, 0 stands still."""
        return self._hashes_per_s

    @property
    def due_ns(self) -> int | None:
        """When the next slice is due, in monotonic time; ask after `take` has returned 0.

        None at rate 0: no slice comes before the rate is changed. Without a limit there are none.
        """
        return self._due_ns if self._hashes_per_s else None

    def take(self, now_ns: int, at_most: int) -> int:
        """Take the hashes that may be done now, at most so many; 0 if none before the next slice.

        The first call, and the first after a rest, only chooses when to begin.
        """
        if self._hashes_per_s is None:
            return at_most
        if self._counted_ns is None:
            self._begin(now_ns)
        if now_ns >= self._due_ns:
            self._count(now_ns)
            self._end_slice()
            self._available, self._credit = divmod(self._credit, SECOND_NS)
            gap_ns = SHORTEST_GAP_NS + self._dice.below(LONGEST_GAP_NS - SHORTEST_GAP_NS + 1)
            self._due_ns = now_ns + gap_ns
        taken = min(self._available, at_most)
        self._available -= taken
        return taken

    def give_back(self, hashes: int) -> None:
        """Return what was taken and not done: a solution or a new block came first."""
        self._available = min(self._available + hashes, self._most() // SECOND_NS)

    def rest(self, now_ns: int) -> None:
        """There is nothing to mine: let no credit grow until the next `take`."""
        self._count(now_ns)
        self._counted_ns = None

    def set_rate(self, hashes_per_s: int | None, now_ns: int) -> None:
        """Change the rate; the time since the last slice still counts at the old one."""
        self._count(now_ns)
        if not self._hashes_per_s:
            self._counted_ns = None  # there were no slices: begin
        self._hashes_per_s = _checked(hashes_per_s)
        self._end_slice()

    def _begin(self, now_ns: int) -> None:
        """Take up the slices where they were left, or anew at a phase of chance.

        Miners that set out at the same moment must not go in step.
        """
        self._counted_ns = now_ns
        if now_ns >= self._due_ns:
            self._end_slice()
            self._due_ns = now_ns + self._dice.below(LONGEST_GAP_NS + 1)

    def _count(self, now_ns: int) -> None:
        """Let the credit grow up to now."""
        if self._counted_ns is not None:
            self._credit += (now_ns - self._counted_ns) * (self._hashes_per_s or 0)
            self._counted_ns = now_ns

    def _end_slice(self) -> None:
        """Take back what nobody took, and forget what is too much to make up for."""
        self._credit = min(self._credit + self._available * SECOND_NS, self._most())
        self._available = 0

    def _most(self) -> int:
        """The most credit there may be.

        A hash more than the catch-up, or rates too low for a hash in that time would do none.
        """
        return CATCH_UP_NS * (self._hashes_per_s or 0) + SECOND_NS


def _checked(hashes_per_s: int | None) -> int | None:
    if hashes_per_s is not None and hashes_per_s < 0:
        raise ValueError(f"hashes_per_s must not be negative: {hashes_per_s}")
    return hashes_per_s
