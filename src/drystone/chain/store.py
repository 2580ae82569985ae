"""What a chain keeps and where: two small protocols, which memory and disk both fulfil.

Blocks, undo data and records lie in a `BlockStore`, the coins in a `CoinStore`. The first is the
truth: what `commit` has returned from is kept, whatever happens to the process. The second may
lag; it says which block it stands at, and whoever opens it walks it from there to the tip.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from drystone.consensus.coins import Coin
from drystone.core.errors import UserError
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint


class StoreError(UserError):
    """A store can't be read or written: one line that says what is wrong and how to go on.

    Nothing that was acknowledged is lost by it, but this store object is of no use any more.
    """


class Validity(IntEnum):
    """How much of a block has been found valid. Core: BLOCK_VALID_TREE and so on."""

    TREE = 1  # its header, on top of the headers below it
    TRANSACTIONS = 2  # its transactions, in themselves: its data are stored
    SCRIPTS = 3  # all of it: it was once connected, and its undo data are stored


class BlockRecord(NamedTuple):
    """What is known of a block, besides its data."""

    header: BlockHeader
    validity: Validity
    tx_count: int  # transactions; 0 as long as only the header is there
    sequence: int  # blocks of equal work: the lowest came first
    failure: str | None = None  # the broken rule, if this very block is invalid


class BlockUndo(NamedTuple):
    """What disconnecting a block puts back: the coins that it spent and didn't make itself."""

    spent: tuple[tuple[OutPoint, Coin], ...]


class Loaded(NamedTuple):
    """What a block store holds when it is opened."""

    records: Iterable[BlockRecord]  # parents before children, the last word on each block
    tip: BlockHash | None  # the last one committed; None in a new store
    unrecorded: Iterable[Block]  # whole in the data files, but the process died before `commit`


class BlockStore(Protocol):
    """Blocks, their undo data, a record of each, and the tip. Any method may raise StoreError."""

    def load(self) -> Loaded:
        """All that is known. Called once, first of all."""

    def took_in_unrecorded(self) -> None:
        """What was found unrecorded has been added, as far as it is good: it need not be kept."""

    def add_block(self, block: Block, encoded: bytes | None = None) -> None:
        """Keep a block's data. They count from the next `commit` on, but can be read at once.

        encoded: the block as on the wire, where that is at hand.
        """

    def add_undo(self, block_hash: BlockHash, undo: BlockUndo) -> None:
        """Keep a block's undo data. They count from the next `commit` on."""

    def commit(self, records: Sequence[BlockRecord], tip: BlockHash | None = None) -> None:
        """Acknowledge: once this returns, all that was added, the records, then the tip are kept.

        records: new ones, and those that changed; parents first. tip: None if it stays. After a
        crash on the way, the tip is the old one or the new one.
        """

    def block(self, block_hash: BlockHash) -> Block:
        """A block that was added. Raises KeyError if none was."""

    def block_bytes(self, block_hash: BlockHash) -> bytes:
        """The same as on the wire."""

    def undo(self, block_hash: BlockHash) -> BlockUndo:
        """The undo data that were added. Raises KeyError if none were."""

    def sync(self) -> None:
        """Have the operating system put all that is committed onto the disk."""

    def close(self) -> None:
        """Let go of files. Closing twice is fine."""


class CoinStore(Protocol):
    """The coins as some block left them. Any method may raise StoreError."""

    @property
    def tip(self) -> BlockHash | None:
        """The block that left the coins so; None in a new store."""

    def get(self, outpoint: OutPoint, /) -> Coin | None:
        """The coin there, or None."""

    def write(
        self,
        spent: Iterable[OutPoint],
        created: Iterable[tuple[OutPoint, Coin]],
        tip: BlockHash,
    ) -> None:
        """Take coins away, then put others there, then move the tip: all of it, or nothing."""

    def items(self) -> Iterator[tuple[OutPoint, Coin]]:
        """All coins, in any order."""

    def close(self) -> None:
        """Let go of files. Closing twice is fine."""
