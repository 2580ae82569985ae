"""A store that forgets: for tests, simulations and networks that last as long as their process."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from drystone.chain.store import BlockRecord, BlockUndo, Loaded
from drystone.consensus.coins import Coin
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint


class MemoryBlocks:
    """A BlockStore of dictionaries. Blocks are kept as objects, and may be shared by many nodes.

    base: a store with what came before, which must not change any more; several may have the same.
    """

    def __init__(self, base: "MemoryBlocks | None" = None) -> None:
        self._base = base
        self._blocks: dict[BlockHash, Block] = {}
        self._undo: dict[BlockHash, BlockUndo] = {}
        self._records: dict[BlockHash, BlockRecord] = {}
        self._tip: BlockHash | None = base.load().tip if base is not None else None

    def load(self) -> Loaded:
        """What an earlier chain on this store has committed."""
        records = self._records
        if self._base is not None:
            below = self._base.load().records
            records = {record.header.hash: record for record in below} | records
        return Loaded(list(records.values()), self._tip, ())

    def took_in_unrecorded(self) -> None:
        """Nothing to do."""

    def add_block(self, block: Block, encoded: bytes | None = None) -> None:  # noqa: ARG002
        """Keep a block."""
        self._blocks[block.header.hash] = block

    def add_undo(self, block_hash: BlockHash, undo: BlockUndo) -> None:
        """Keep undo data."""
        self._undo[block_hash] = undo

    def commit(self, records: Sequence[BlockRecord], tip: BlockHash | None = None) -> None:
        """Keep records and tip."""
        for record in records:
            self._records[record.header.hash] = record
        self._tip = tip or self._tip

    def block(self, block_hash: BlockHash) -> Block:
        """A block that was added."""
        block = self._blocks.get(block_hash)
        if block is None:
            if self._base is None:
                raise KeyError(block_hash)
            return self._base.block(block_hash)
        return block

    def block_bytes(self, block_hash: BlockHash) -> bytes:
        """The same as on the wire."""
        return self.block(block_hash).encode()

    def undo(self, block_hash: BlockHash) -> BlockUndo:
        """The undo data that were added."""
        undo = self._undo.get(block_hash)
        if undo is None:
            if self._base is None:
                raise KeyError(block_hash)
            return self._base.undo(block_hash)
        return undo

    def sync(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class MemoryCoins:
    """A CoinStore of one dictionary."""

    def __init__(self) -> None:
        self._coins: dict[OutPoint, Coin] = {}
        self._tip: BlockHash | None = None
        self.get = self._coins.get

    def copy(self) -> Self:
        """One that holds the same, and goes its own way from here on."""
        other = type(self)()
        if self._tip is not None:
            other.write((), self._coins.items(), self._tip)
        return other

    @property
    def tip(self) -> BlockHash | None:
        """The block that left the coins so."""
        return self._tip

    def write(
        self,
        spent: Iterable[OutPoint],
        created: Iterable[tuple[OutPoint, Coin]],
        tip: BlockHash,
    ) -> None:
        """Take coins away, then put others there."""
        for outpoint in spent:
            self._coins.pop(outpoint, None)
        self._coins.update(created)
        self._tip = tip

    def items(self) -> Iterator[tuple[OutPoint, Coin]]:
        """All coins, in the order in which they were put."""
        return iter(self._coins.items())

    def close(self) -> None:
        """Nothing to do."""
