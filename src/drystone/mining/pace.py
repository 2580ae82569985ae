"""How fast one thread hashes, learnt as it goes."""

# How long a thread searches before it looks up: long enough to make the looking up cheap, short
# enough for a new hash rate to take effect and for the count of hashes to run smoothly.
TURN_NS = 20_000_000

FEWEST_HASHES = 1 << 10
MOST_HASHES = 1 << 32


class Pace:
    """How many hashes fill a turn of 20 ms.

    It changes by at most a factor of two from one turn to the next, so that one measurement that
    was disturbed, or too short for the clock, does no harm.
    """

    def __init__(self) -> None:
        self.turn_hashes = FEWEST_HASHES

    def learn(self, hashes: int, elapsed_ns: int) -> None:
        """A search of so many hashes took so long."""
        seen = hashes * TURN_NS // max(elapsed_ns, 1)
        near = min(max(seen, self.turn_hashes // 2), self.turn_hashes * 2)
        self.turn_hashes = min(max(near, FEWEST_HASHES), MOST_HASHES)

    def estimate(self, elapsed_ns: int) -> int:
        """About how many hashes a search has done that was interrupted after so long."""
        return self.turn_hashes * elapsed_ns // TURN_NS
