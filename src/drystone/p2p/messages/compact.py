"""Blocks for those who have most of their transactions already (BIP152).

How a block becomes one and is put together again is in `p2p/compact.py`.
"""

from collections.abc import Iterable
from functools import lru_cache
from struct import Struct
from typing import ClassVar, Final, Self

from drystone.core.record import Record
from drystone.p2p.messages.base import read_transactions
from drystone.primitives.block import MIN_TRANSACTION_BYTES, BlockHeader
from drystone.primitives.codec import Malformed, Reader, Truncated, compact_size, u64
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import Transaction

SHORT_ID_BYTES: Final = 6
MAX_KNOWN_BYTES: Final = 1_000  # of a transaction that is remembered
MAX_INDEX: Final = 0xFFFF  # positions in a block are 16 bits wide

_SHORT_ID = Struct("<IH")


class PrefilledTransaction(Record):
    """A transaction that travels whole, and its place in the block.

    index: on the wire, how many places after the one after the last.
    """

    __slots__ = ("index", "tx")
    __match_args__: ClassVar[tuple[str, ...]] = ("index", "tx")

    def __init__(self, index: int, tx: Transaction) -> None:
        self.index = index
        self.tx = tx


class CmpctBlock(Record):
    """A header, short ids of most transactions, and the others. Core: CBlockHeaderAndShortTxIDs.

    nonce: uint64, for the key of the short ids. short_ids: 48 bits each, in the block's order.
    prefilled: of rising index.
    """

    __slots__ = ("header", "nonce", "prefilled", "short_ids")
    __match_args__: ClassVar[tuple[str, ...]] = ("header", "nonce", "short_ids", "prefilled")
    command: ClassVar = "cmpctblock"

    def __init__(
        self,
        header: BlockHeader,
        nonce: int,
        short_ids: tuple[int, ...],
        prefilled: tuple[PrefilledTransaction, ...],
    ) -> None:
        self.header = header
        self.nonce = nonce
        self.short_ids = short_ids
        self.prefilled = prefilled

    def encode(self) -> bytes:
        """Header (80), nonce (8), a count and the short ids (6 each), a count and for each
        prefilled transaction its index as a difference and itself.
        """
        prefilled = [(prefilled.index, prefilled.tx.encode()) for prefilled in self.prefilled]
        return encoded_compact(self.header, self.nonce, self.short_ids, prefilled)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """Indexes may still lie behind the block's end: that is found when it is put together."""
        header, nonce = BlockHeader.decode(r), r.u64()
        count = r.compact_size()
        ids = r.take(SHORT_ID_BYTES * count)
        if count > MAX_INDEX:
            raise Malformed("indexes overflowed 16 bits")
        short_ids = tuple([low | high << 32 for low, high in _SHORT_ID.iter_unpack(ids)])
        count = r.compact_size()
        if count * (1 + MIN_TRANSACTION_BYTES) > r.left:
            raise Truncated(f"{count} transactions announced in {r.left} bytes")
        prefilled = []
        index = -1
        for _ in range(count):
            index += 1 + r.compact_size(MAX_INDEX)
            if count == 1 and r.left <= MAX_KNOWN_BYTES:
                tx, size = _known(r.rest)
                r.take(size)
            else:
                tx = Transaction.decode(r)
            prefilled.append(PrefilledTransaction(index, tx))
        if len(short_ids) + len(prefilled) > MAX_INDEX:
            raise Malformed("indexes overflowed 16 bits")
        return cls(header, nonce, short_ids, tuple(prefilled))


def encoded_compact(
    header: BlockHeader,
    nonce: int,
    short_ids: Iterable[int],
    prefilled: Iterable[tuple[int, bytes]],
) -> bytes:
    """A CmpctBlock's bytes. prefilled: of rising index, each with its transaction's bytes."""
    ids = [_SHORT_ID.pack(id_ & 0xFFFFFFFF, id_ >> 32) for id_ in short_ids]
    parts = [header.encode(), u64(nonce), compact_size(len(ids)), *ids]
    transactions: list[bytes] = []
    last = -1
    for index, encoded in prefilled:
        transactions += (compact_size(index - last - 1), encoded)
        last = index
    return b"".join([*parts, compact_size(len(transactions) // 2), *transactions])


@lru_cache(maxsize=256)
def _known(encoded: bytes) -> tuple[Transaction, int]:
    """The transaction that bytes begin with, a coinbase mostly, and how many of them it takes.

    Each peer's message of one block has another nonce, but the same coinbase.
    """
    r = Reader(encoded)
    return Transaction.decode(r), r.offset


class GetBlockTxn(Record):
    """The transactions that were missing. Core: BlockTransactionsRequest. indexes: rising."""

    __slots__ = ("block_hash", "indexes")
    __match_args__: ClassVar[tuple[str, ...]] = ("block_hash", "indexes")
    command: ClassVar = "getblocktxn"

    def __init__(self, block_hash: BlockHash, indexes: tuple[int, ...]) -> None:
        self.block_hash = block_hash
        self.indexes = indexes

    def encode(self) -> bytes:
        """Block (32), a count, and the indexes as differences."""
        parts = [self.block_hash, compact_size(len(self.indexes))]
        last = -1
        for index in self.indexes:
            parts.append(compact_size(index - last - 1))
            last = index
        return b"".join(parts)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """Indexes of 16 bits."""
        block_hash, count = r.take(32), r.compact_size()
        if count > r.left:
            raise Truncated(f"{count} indexes announced in {r.left} bytes")
        indexes = []
        index = -1
        for _ in range(count):
            index += 1 + r.compact_size()
            if index > MAX_INDEX:
                raise Malformed("differential value overflow")
            indexes.append(index)
        return cls(BlockHash(block_hash), tuple(indexes))


class BlockTxn(Record):
    """The transactions that were asked for. Core: BlockTransactions."""

    __slots__ = ("block_hash", "transactions")
    __match_args__: ClassVar[tuple[str, ...]] = ("block_hash", "transactions")
    command: ClassVar = "blocktxn"

    def __init__(self, block_hash: BlockHash, transactions: tuple[Transaction, ...]) -> None:
        self.block_hash = block_hash
        self.transactions = transactions

    def encode(self) -> bytes:
        """Block (32), a count, the transactions."""
        transactions = b"".join([tx.encode() for tx in self.transactions])
        return self.block_hash + compact_size(len(self.transactions)) + transactions

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """The wire's layout."""
        return cls(BlockHash(r.take(32)), read_transactions(r))
