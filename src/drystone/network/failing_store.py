"""Stores whose process may die at any write: what they acknowledged is kept, the rest may be lost.

They wrap others. What was added and not yet committed is theirs alone; a commit hands it on, and
dying in the middle of one hands on a part. When the stores are opened again, blocks that were on
their way are found whole, or torn and dropped, as chance has it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from drystone.chain.store import BlockRecord, BlockStore, BlockUndo, CoinStore, Loaded
from drystone.consensus.coins import Coin
from drystone.core.chance import Dice
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint


class Died(Exception):
    """The process is dead, in the middle of a write."""


class Fuse:
    """Says at which write the process dies."""

    def __init__(self) -> None:
        self._left: int | None = None

    def light(self, writes: int) -> None:
        """So many more writes go well, and the next one doesn't."""
        self._left = writes

    def put_out(self) -> None:
        """All writes go well."""
        self._left = None

    def burns_down(self) -> bool:
        """Whether this write is the last."""
        if self._left is None:
            return False
        self._left -= 1
        return self._left < 0


class _Pending(NamedTuple):
    block: Block
    encoded: bytes | None


class FailingBlocks:
    """A BlockStore over another.

    possible_tips: what a process that dies now may find when it comes back: the tip that was
    acknowledged last, or the one whose commit it died in. opened_tip: what the last one found.
    """

    def __init__(self, below: BlockStore, fuse: Fuse, dice: Dice) -> None:
        self.possible_tips: tuple[BlockHash | None, ...] = ()
        self.opened_tip: BlockHash | None = None
        self._below = below
        self._fuse = fuse
        self._dice = dice
        self._blocks: dict[BlockHash, _Pending] = {}
        self._undo: dict[BlockHash, BlockUndo] = {}
        self._found: dict[BlockHash, Block] = {}  # whole, and no record tells of them

    def load(self) -> Loaded:
        """What was acknowledged, and perhaps some of what wasn't."""
        self._lose()
        loaded = self._below.load()
        self.possible_tips = (loaded.tip,)
        self.opened_tip = loaded.tip
        return loaded._replace(unrecorded=(*loaded.unrecorded, *self._found.values()))

    def _lose(self) -> None:
        """A crash: of what was on its way, as much is whole as chance has it."""
        whole = self._dice.below(len(self._blocks) + 1)
        for pending in list(self._blocks.values())[:whole]:
            self._found[pending.block.hash] = pending.block
        self._blocks.clear()
        self._undo.clear()

    def took_in_unrecorded(self) -> None:
        """What was found is added by now, or is good for nothing."""
        self._found.clear()
        self._below.took_in_unrecorded()

    def add_block(self, block: Block, encoded: bytes | None = None) -> None:
        """Keep a block until the next commit."""
        self._maybe_die()
        self._blocks[block.hash] = _Pending(block, encoded)

    def add_undo(self, block_hash: BlockHash, undo: BlockUndo) -> None:
        """Keep undo data until the next commit."""
        self._maybe_die()
        self._undo[block_hash] = undo

    def commit(self, records: Sequence[BlockRecord], tip: BlockHash | None = None) -> None:
        """Hand it on; or some of the records, perhaps all and the tip too, and die."""
        if tip is not None:
            self.possible_tips = (*self.possible_tips, tip)
        if self._fuse.burns_down():
            kept = self._dice.below(len(records) + 2)
            self._hand_on(records[:kept], tip if kept > len(records) else None)
            raise Died
        self._hand_on(records, tip)
        self.possible_tips = self.possible_tips[-1:]

    def _hand_on(self, records: Sequence[BlockRecord], tip: BlockHash | None) -> None:
        for record in records:
            block_hash = record.header.hash
            pending = self._blocks.pop(block_hash, None)
            if pending is not None:
                self._below.add_block(*pending)
                self._found.pop(block_hash, None)
            undo = self._undo.pop(block_hash, None)
            if undo is not None:
                self._below.add_undo(block_hash, undo)
        self._below.commit(records, tip)

    def block(self, block_hash: BlockHash) -> Block:
        """A block that was added."""
        pending = self._blocks.get(block_hash)
        return self._below.block(block_hash) if pending is None else pending.block

    def block_bytes(self, block_hash: BlockHash) -> bytes:
        """The same as on the wire."""
        pending = self._blocks.get(block_hash)
        return self._below.block_bytes(block_hash) if pending is None else pending.block.encode()

    def undo(self, block_hash: BlockHash) -> BlockUndo:
        """Undo data that were added."""
        undo = self._undo.get(block_hash)
        return self._below.undo(block_hash) if undo is None else undo

    def sync(self) -> None:
        """Have the store below do so."""
        self._maybe_die()
        self._below.sync()

    def close(self) -> None:
        """Have the store below do so."""
        self._below.close()

    def _maybe_die(self) -> None:
        if self._fuse.burns_down():
            raise Died


class FailingCoins:
    """A CoinStore over another: a write is done whole or not at all, whenever the process dies."""

    def __init__(self, below: CoinStore, fuse: Fuse, dice: Dice) -> None:
        self.get = below.get
        self._below = below
        self._fuse = fuse
        self._dice = dice

    @property
    def tip(self) -> BlockHash | None:
        """The block that left the coins so."""
        return self._below.tip

    def write(
        self,
        spent: Iterable[OutPoint],
        created: Iterable[tuple[OutPoint, Coin]],
        tip: BlockHash,
    ) -> None:
        """Write; or die, before it or after it."""
        dies = self._fuse.burns_down()
        if not dies or self._dice.below(2):
            self._below.write(spent, created, tip)
        if dies:
            raise Died

    def items(self) -> Iterator[tuple[OutPoint, Coin]]:
        """All coins."""
        return self._below.items()

    def close(self) -> None:
        """Have the store below do so."""
        self._below.close()
