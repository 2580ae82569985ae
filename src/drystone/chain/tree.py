"""The tree of all blocks known, by their headers: who builds on whom, and with how much work.

```
                 .- b2 - b3 --- b4        most work among complete, unfailed blocks: the tip
genesis - a1 ---<
                 `- c2 - (c3) - c4        c3 has no data yet, so c4 can't be a candidate
```

The tree decides nothing about coins. It says which block the chain should end with, and remembers
what was found out about each.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from drystone.chain.store import BlockRecord, Validity
from drystone.consensus.errors import BlockInvalid, BlockOrphan
from drystone.consensus.locktime import MEDIAN_TIME_SPAN, median_time_past
from drystone.consensus.pow import block_work
from drystone.primitives.block import BlockHeader
from drystone.primitives.hashes import BlockHash, display


class KnownHeader(NamedTuple):
    """A header that keeps the rules, and what it and those below it make together."""

    header: BlockHeader
    chainwork: int
    median_time_past: int


class BlockNode:
    """A block's place in the tree, and what is known of it. Core: CBlockIndex.

    chainwork: hashes that it and all below it took on average; an exact integer. sequence: among
    blocks of equal work, the lowest goes first. is_complete: its data and those of all below it
    have come. is_failed: it, or a block below it, broke a rule; failure is set if it did itself.

    Nodes compare by identity: the tree has one for each block.
    """

    __slots__ = (
        "_median_time",
        "chainwork",
        "children",
        "failure",
        "hash",
        "header",
        "height",
        "is_complete",
        "is_failed",
        "parent",
        "sequence",
        "skip",
        "tx_count",
        "validity",
    )

    def __init__(
        self, header: BlockHeader, parent: "BlockNode | None", known: "KnownHeader | None" = None
    ) -> None:
        self.header = header
        self.hash = header.hash
        self.parent = parent
        self.children: list[BlockNode] = []
        self.height: int = 0
        self.skip: BlockNode | None = None
        work = 0
        if parent is not None:
            self.height += parent.height + 1
            work = parent.chainwork
            self.skip = parent.ancestor(skip_height(self.height))
        self.chainwork: int = known.chainwork if known else work + block_work(header.bits)
        self.validity = Validity.TREE
        self.tx_count = 0
        self.sequence = 0
        self.is_complete = False
        self.is_failed = False
        self.failure: str | None = None
        self._median_time: int | None = known.median_time_past if known else None

    @property
    def has_data(self) -> bool:
        """Whether the block itself has come, not only its header."""
        return self.tx_count > 0

    @property
    def was_connected(self) -> bool:
        """Whether all of it was found valid, once, so that its undo data are there."""
        return self.validity is Validity.SCRIPTS

    @property
    def median_time_past(self) -> int:
        """The median time of this block and the ten below it (BIP113)."""
        if self._median_time is None:
            times: list[int] = []
            node: BlockNode | None = self
            while node is not None and len(times) < MEDIAN_TIME_SPAN:
                times.append(node.header.time)
                node = node.parent
            self._median_time = median_time_past(times)
        return self._median_time

    def ancestor(self, height: int) -> "BlockNode":
        """The node of this branch at a height, in a number of steps that grows with the log.

        height: 0 to the node's own. Core: CBlockIndex::GetAncestor.
        """
        assert 0 <= height <= self.height
        node = self
        while node.height > height:
            skip, parent = node.skip, node.parent
            assert skip is not None and parent is not None
            # The long step, unless one step and the long one from there end better: nearer to
            # where we go, and not past it.
            if skip.height == height or (
                skip.height > height
                and not (
                    parent.skip is not None
                    and parent.skip.height < skip.height - 2
                    and parent.skip.height >= height
                )
            ):
                node = skip
            else:
                node = parent
        return node

    def header_at(self, height: int) -> BlockHeader:
        """The header of this branch at a height: what `consensus.pow` asks for."""
        return self.ancestor(height).header

    def median_time_at(self, height: int) -> int:
        """The median time past of this branch at a height: what `consensus.locktime` asks for."""
        return self.ancestor(height).median_time_past

    def descends_from(self, other: "BlockNode") -> bool:
        """Whether the other is this one, or below it on its branch."""
        return other.height <= self.height and self.ancestor(other.height) is other

    def goes_before(self, other: "BlockNode") -> bool:
        """Whether a chain had better end with this one: more work, or as much and seen first."""
        if self.chainwork != other.chainwork:
            return self.chainwork > other.chainwork
        return self.sequence < other.sequence

    def record(self) -> BlockRecord:
        """What a store keeps of it."""
        return BlockRecord(self.header, self.validity, self.tx_count, self.sequence, self.failure)

    def __repr__(self) -> str:
        return f"<BlockNode {self.height} {display(self.hash)}>"


def skip_height(height: int) -> int:
    """How far down a node of a height has its long step. Core: GetSkipHeight.

    For even heights the lowest set bit is cleared; odd ones go less regularly, so that paths from
    neighbours differ. Any height is then within some 110 steps of any other below 2^18, and
    the longest path grows with the logarithm.
    """
    if height < 2:
        return 0
    if height & 1:
        return _without_lowest_bit(_without_lowest_bit(height - 1)) + 1
    return _without_lowest_bit(height)


def _without_lowest_bit(number: int) -> int:
    return number & (number - 1)


def fork_of(one: BlockNode, other: BlockNode) -> BlockNode:
    """The last block that two branches share. Core: LastCommonAncestor."""
    if other.parent is one:  # as when the tip moves to the next block
        return one
    height = min(one.height, other.height)
    one, other = one.ancestor(height), other.ancestor(height)
    while one is not other:
        # Where the long steps lead to different blocks, the fork is below both.
        if one.skip is not None and other.skip is not None and one.skip is not other.skip:
            one, other = one.skip, other.skip
        else:
            assert one.parent is not None and other.parent is not None
            one, other = one.parent, other.parent
    return one


def path_up(below: BlockNode, to: BlockNode) -> list[BlockNode]:
    """The nodes above one and up to another that builds on it, lowest first."""
    path = []
    while to is not below:
        path.append(to)
        assert to.parent is not None
        to = to.parent
    path.reverse()
    return path


class BlockTree:
    """All blocks whose headers are valid, from one genesis.

    candidates: blocks that a chain could end with, complete and not failed. Those that don't go
    before the tip are dropped from time to time; `reconsider_all` finds them again.
    """

    def __init__(self, genesis: BlockHeader) -> None:
        self.genesis = BlockNode(genesis, None)
        self.nodes: dict[BlockHash, BlockNode] = {genesis.hash: self.genesis}
        self.get = self.nodes.get  # the node of a block, or None if it isn't known
        self.leaves: dict[BlockNode, None] = {self.genesis: None}  # ordered, as sets are not
        self.candidates: dict[BlockNode, None] = {}
        self._next_sequence = 0
        self._precious_sequence = 0

    def parent_of(self, header: BlockHeader) -> BlockNode:
        """The node that a header builds on.

        Raises BlockOrphan("prev-blk-not-found"), or BlockInvalid("bad-prevblk") if it has failed.
        """
        parent = self.nodes.get(header.prev_hash)
        if parent is None:
            raise BlockOrphan("prev-blk-not-found", f"no block {display(header.prev_hash)}")
        if parent.is_failed:
            raise BlockInvalid("bad-prevblk", f"builds on {display(header.prev_hash)}")
        return parent

    def add(
        self, header: BlockHeader, parent: BlockNode, known: KnownHeader | None = None
    ) -> BlockNode:
        """A new node for a header that passes the rules on top of its parent."""
        node = self.nodes[header.hash] = BlockNode(header, parent, known)
        node.is_failed = parent.is_failed
        parent.children.append(node)
        self.leaves.pop(parent, None)
        self.leaves[node] = None
        return node

    def add_data(self, node: BlockNode, tx_count: int) -> list[BlockNode]:
        """Take note that a block's transactions have come, and are valid in themselves.

        Whatever was only waiting for this becomes a candidate: one that is new, however long ago
        its data came, so that it takes no tip away from a block of as much work. Returns the nodes
        whose records have changed, this one first.
        """
        node.tx_count = tx_count
        node.validity = max(node.validity, Validity.TRANSACTIONS)
        self._put_last(node)
        completed = self._complete(node)
        for one in sorted(completed, key=lambda one: one.sequence):  # as their data came
            self._put_last(one)
        return completed or [node]

    def restore(self, records: Iterable[BlockRecord]) -> None:
        """Take in what a store has kept, genesis' record too. Parents come before children.

        Raises KeyError for a record that builds on none.
        """
        for record in records:
            header = record.header
            node = self.nodes.get(header.hash)
            if node is None:
                node = self.add(header, self.nodes[header.prev_hash])
            node.validity = record.validity
            node.tx_count = record.tx_count
            node.sequence = record.sequence
            node.failure = record.failure
            node.is_failed |= record.failure is not None
            parent = node.parent
            node.is_complete = node.has_data and (parent is None or parent.is_complete)
            self._next_sequence = max(self._next_sequence, node.sequence + 1)
            self._precious_sequence = min(self._precious_sequence, node.sequence)
        self.reconsider_all()

    def best(self) -> BlockNode | None:
        """The candidate with the most work, or the first of those; None if there is none."""
        best = None
        for node in self.candidates:
            if best is None or node.goes_before(best):
                best = node
        return best

    def forget_worse_than(self, tip: BlockNode) -> None:
        """Drop the candidates that the tip goes before. Core: PruneBlockIndexCandidates."""
        self.candidates = {node: None for node in self.candidates if node.goes_before(tip)}
        self.candidates[tip] = None

    def reconsider_all(self) -> None:
        """Make every complete, unfailed block that nothing valid builds on a candidate again."""
        self.candidates = {}
        for node in self.nodes.values():
            if _can_end_chain(node) and not any(map(_can_end_chain, node.children)):
                self.candidates[node] = None

    def fail(self, node: BlockNode, reason: str) -> None:
        """Mark a block as invalid, and with it all that build on it."""
        node.failure = reason
        for one in _with_descendants(node):
            one.is_failed = True
            self.candidates.pop(one, None)
        parent = node.parent
        if parent is not None and _can_end_chain(parent):
            self.candidates[parent] = None  # the branch may end there now

    def unfail(self, node: BlockNode) -> list[BlockNode]:
        """Take back what was found against a block, all below it and all that build on it.

        Returns the nodes whose own failure was taken back. Core: ResetBlockFailureFlags.
        """
        below: list[BlockNode] = []
        ancestor = node.parent
        while ancestor is not None and ancestor.is_failed:
            below.append(ancestor)
            ancestor = ancestor.parent
        cleared = []
        for one in (*below, *_with_descendants(node)):
            if one.failure is not None:
                one.failure = None
                cleared.append(one)
        lowest = below[-1] if below else node
        # Other branches off the ancestors go on only where nothing of their own is wrong.
        lowest.is_failed = False
        for one in _with_descendants(lowest):
            if one is not lowest:
                assert one.parent is not None
                one.is_failed = one.parent.is_failed or one.failure is not None
        self.reconsider_all()
        return cleared

    def make_precious(self, node: BlockNode, tip: BlockNode) -> bool:
        """Treat a block as if it had come before all others of its work. Core: PreciousBlock.

        Whether that is of any use: not if the tip has more work, nor while blocks are missing. The
        last one called precious goes before those called so earlier.
        """
        if node.chainwork < tip.chainwork or not node.is_complete:
            return False
        self._precious_sequence -= 1
        node.sequence = self._precious_sequence
        if _can_end_chain(node):
            self.candidates[node] = None
        return True

    def _put_last(self, node: BlockNode) -> None:
        """Let all that came before go before it."""
        node.sequence = self._next_sequence
        self._next_sequence += 1

    def _complete(self, node: BlockNode) -> list[BlockNode]:
        """Mark a node as complete if it is now, and whatever that completes; all of these."""
        if node.parent is not None and not node.parent.is_complete:
            return []
        completed = [node]
        for one in completed:  # grows as it goes
            one.is_complete = True
            if not one.is_failed:
                self.candidates[one] = None
            completed += [child for child in one.children if child.has_data]
        return completed


def _can_end_chain(node: BlockNode) -> bool:
    return node.is_complete and not node.is_failed


def _with_descendants(node: BlockNode) -> Iterator[BlockNode]:
    """A node and all that build on it, parents before children."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += one.children
