"""What a miner searches: ranges of nonces, handed out piece by piece."""

from collections.abc import Sequence
from dataclasses import dataclass

NONCES = 1 << 32


@dataclass(frozen=True, slots=True)
class Range:
    """One header's nonces from start to start + count - 1, all below 2^32.

    header: 80 bytes, or the tutorial's 69; the bytes of its nonce don't matter.
    """

    header: bytes
    start: int = 0
    count: int = NONCES

    def __post_init__(self) -> None:
        if self.start < 0 or self.count < 1 or self.start + self.count > NONCES:
            raise ValueError(f"not a range of 32-bit nonces: {self.count} from {self.start}")


@dataclass(frozen=True, slots=True)
class Job:
    """A header's hash, as an integer, is to be at most the target.

    ranges: in the order in which they are to be searched; as a rule each has its own extra nonce
    in the coinbase, hence its own merkle root. Ranges that overlap are searched twice.
    """

    target: int
    ranges: tuple[Range, ...]

    def __post_init__(self) -> None:
        if not self.ranges:
            raise ValueError("a job needs a range to search")


@dataclass(frozen=True, slots=True)
class Piece:
    """Nonces start to start + count - 1 of the job's range number `index`."""

    index: int
    header: bytes
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Found:
    """A solution: this nonce, in the header of the job's range number `index`."""

    index: int
    header: bytes
    nonce: int


class Ranges:
    """A place in a list of ranges: every nonce is handed out once, in order.

    Whoever searches the pieces one after the other finds the lowest solution of the first range
    that has one.
    """

    def __init__(self, ranges: Sequence[Range]) -> None:
        self._ranges = ranges
        self._index = 0
        self._tried = 0  # nonces of the present range that have been handed out

    @property
    def in_reach(self) -> int:
        """How many nonces can be taken as one piece; 0 when all have been handed out."""
        if self._index == len(self._ranges):
            return 0
        return self._ranges[self._index].count - self._tried

    def take(self, count: int) -> Piece:
        """Hand out the next nonces. count: 1 to `in_reach`."""
        assert 1 <= count <= self.in_reach
        present = self._ranges[self._index]
        piece = Piece(self._index, present.header, present.start + self._tried, count)
        self._tried += count
        if self._tried == present.count:
            self._index += 1
            self._tried = 0
        return piece
