"""The last blocks that a network has seen, with their forks, laid out to be drawn.

```
height    120 121 122 123 124
lane 0     a - b - c - d - e      the best branch
lane 1          `- f - g          builds on a, so it begins at 121
```
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from drystone.primitives.hashes import BlockHash

KEPT_HEIGHTS: Final = 200  # below the highest block; what is lower is forgotten
KEPT_BLOCKS: Final = 2_000  # in all, whoever mines side branches for fun


class Seen(NamedTuple):
    """A block that some node's chain has had. miner: the node that its coinbase pays, if any."""

    hash: BlockHash
    prev_hash: BlockHash
    height: int
    chainwork: int
    bits: int
    miner: str | None


class Lane(NamedTuple):
    """One branch, or as much of it as is its own. below: the lane that it forks from, if shown."""

    blocks: tuple[Seen, ...]  # lowest first, never none
    below: int | None


class Branches:
    """Blocks by hash, none of them much lower than the highest."""

    def __init__(self) -> None:
        self._blocks: dict[BlockHash, Seen] = {}  # in the order in which they were seen
        self._top = 0

    def __contains__(self, block_hash: BlockHash) -> bool:
        return block_hash in self._blocks

    def __iter__(self) -> Iterator[Seen]:
        return iter(self._blocks.values())

    def get(self, block_hash: BlockHash) -> Seen | None:
        """The block, unless it is unknown or forgotten."""
        return self._blocks.get(block_hash)

    def add(self, block: Seen) -> list[Seen]:
        """One more. Those that are forgotten for it, for whoever counts."""
        self._blocks.setdefault(block.hash, block)
        self._top = max(self._top, block.height)
        if len(self._blocks) <= 2 * KEPT_HEIGHTS:  # then looking for old ones isn't worth it yet
            return []
        lowest = self._top - KEPT_HEIGHTS
        old = [one for one in self._blocks.values() if one.height < lowest]
        kept = len(self._blocks) - len(old)
        old += [one for one in self._blocks.values() if one.height >= lowest][: kept - KEPT_BLOCKS]
        for one in old:
            del self._blocks[one.hash]
        return old

    def branch(self, tip: BlockHash) -> list[Seen]:
        """A block and what is known below it, highest first."""
        found = []
        block = self._blocks.get(tip)
        while block is not None:
            found.append(block)
            block = self._blocks.get(block.prev_hash)
        return found

    def lanes(self, best: BlockHash, *, heights: int, most: int) -> list[Lane]:
        """The best branch first, then others that end near its end, the highest first.

        best: the tip of the best branch. heights: how many of the last heights have room. most: how
        many lanes have.
        """
        tip = self._blocks.get(best)
        if tip is None:
            return []
        lowest = max(self._top, tip.height) - heights + 1
        lane_of: dict[BlockHash, int] = {}
        lanes: list[Lane] = []
        for leaf in (tip, *self._other_leaves(best)):
            blocks, below = self._own_part(leaf, lowest, lane_of)
            if not blocks:
                continue
            if len(lanes) == most:
                break
            lane_of.update((block.hash, len(lanes)) for block in blocks)
            lanes.append(Lane(blocks, below))
        return lanes

    def _other_leaves(self, best: BlockHash) -> list[Seen]:
        parents = {block.prev_hash for block in self._blocks.values()}
        leaves = [b for b in self._blocks.values() if b.hash not in parents and b.hash != best]
        leaves.reverse()  # of equal height, the latest: it is what one is looking for
        return sorted(leaves, key=lambda block: block.height, reverse=True)

    def _own_part(
        self, leaf: Seen, lowest: int, lane_of: dict[BlockHash, int]
    ) -> tuple[tuple[Seen, ...], int | None]:
        """The blocks down to those that have a lane already, and which lane that is."""
        blocks: list[Seen] = []
        block: Seen | None = leaf
        while block is not None and block.height >= lowest and block.hash not in lane_of:
            blocks.append(block)
            block = self._blocks.get(block.prev_hash)
        below = lane_of.get(block.hash) if block is not None else None
        return tuple(reversed(blocks)), below


class Mark(Enum):
    """What a cell without a block shows."""

    EMPTY = " "
    FORK = "╰"  # the next block builds on what is above this
    PAST = "│"  # such a line goes by


Cell = Seen | Mark


class Grid(NamedTuple):
    """Lanes as a table: a row for each lane, a column for each height from the lowest."""

    lowest: int
    rows: list[list[Cell]]


def grid_of(lanes: list[Lane]) -> Grid:
    """Each block at its height, with a line down from what a lane builds on."""
    if not lanes:
        return Grid(0, [])
    lowest = min(lane.blocks[0].height for lane in lanes)
    highest = max(lane.blocks[-1].height for lane in lanes)
    rows: list[list[Cell]] = [[Mark.EMPTY] * (highest - lowest + 1) for _ in lanes]
    for row, lane in zip(rows, lanes, strict=True):
        for block in lane.blocks:
            row[block.height - lowest] = block
    for number, lane in enumerate(lanes):
        column = lane.blocks[0].height - lowest - 1
        if lane.below is None or column < 0:
            continue
        for row in rows[lane.below + 1 : number]:
            if row[column] is Mark.EMPTY:
                row[column] = Mark.PAST
        rows[number][column] = Mark.FORK
    return Grid(lowest, rows)
