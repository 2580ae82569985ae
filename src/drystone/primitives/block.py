"""Blocks: an 80-byte header that is hashed and worked on, and the transactions it commits to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import Final, Self

from drystone.primitives.codec import MAX_SIZE, Malformed, Reader, Truncated, compact_size, u32
from drystone.primitives.hashes import BlockHash, sha256d
from drystone.primitives.merkle import merkle_root
from drystone.primitives.transaction import WITNESS_SCALE_FACTOR, Transaction

HEADER_BYTES: Final = 80
MAX_LOCATOR_HASHES: Final = 101  # Core: MAX_LOCATOR_SZ

MIN_TRANSACTION_BYTES = 10
_HEADER = Struct("<i32s32sIII")


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """What proof of work is done on. Core: CBlockHeader.

    ```
    version (4, signed) | previous hash (32) | merkle root (32) | time (4) | bits (4) | nonce (4)
    ```
    """

    version: int  # int32
    prev_hash: BlockHash
    merkle_root: bytes  # 32 bytes, over the txids
    time: int  # unix seconds, uint32
    bits: int  # the target in its compact form, uint32
    nonce: int  # uint32
    hash: BlockHash = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", BlockHash(sha256d(self.encode())))

    def encode(self) -> bytes:
        """80 bytes."""
        return _HEADER.pack(
            self.version, self.prev_hash, self.merkle_root, self.time, self.bits, self.nonce
        )

    @classmethod
    def decode(cls, r: Reader) -> "BlockHeader":
        """From 80 bytes."""
        return _known(r.take(HEADER_BYTES))

    @classmethod
    def from_bytes(cls, data: bytes) -> "BlockHeader":
        """From all of the bytes; any left over are Malformed."""
        r = Reader(data)
        header = cls.decode(r)
        r.finish()
        return header


@lru_cache(maxsize=1024)
def _known(encoded: bytes) -> BlockHeader:
    """The header of 80 bytes, which come again and again: from each peer, alone and in blocks."""
    return BlockHeader(*_HEADER.unpack(encoded))


@dataclass(frozen=True, slots=True)
class Block:
    """A header and its transactions, the coinbase first. Core: CBlock.

    That the header's merkle root is really theirs is a rule, checked elsewhere.
    """

    header: BlockHeader
    vtx: tuple[Transaction, ...]
    # They are asked for by several rules, or nodes, in turn, and computed once.
    _root: tuple[bytes, bool] | None = field(default=None, init=False, repr=False, compare=False)
    _witness_root: bytes | None = field(default=None, init=False, repr=False, compare=False)
    _coinbase_bytes: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def hash(self) -> BlockHash:
        """The header's."""
        return self.header.hash

    @property
    def coinbase(self) -> Transaction:
        """The first transaction. Raises IndexError in a block without any."""
        return self.vtx[0]

    def coinbase_bytes(self) -> bytes:
        """The first transaction as on the wire. Raises IndexError in a block without any."""
        encoded = self._coinbase_bytes
        if encoded is None:
            encoded = self.vtx[0].encode()
            object.__setattr__(self, "_coinbase_bytes", encoded)
        return encoded

    @property
    def stripped_size(self) -> int:
        """Bytes without witnesses."""
        return self._frame_size() + sum(tx.stripped_size for tx in self.vtx)

    @property
    def total_size(self) -> int:
        """Bytes as on the wire."""
        return self._frame_size() + sum(tx.total_size for tx in self.vtx)

    @property
    def weight(self) -> int:
        """Weight units (BIP141)."""
        return (WITNESS_SCALE_FACTOR - 1) * self.stripped_size + self.total_size

    def merkle_root(self) -> tuple[bytes, bool]:
        """The root over the txids, and whether the tree is mutated (CVE-2012-2459)."""
        root = self._root
        if root is None:
            root = merkle_root([tx.txid for tx in self.vtx])
            object.__setattr__(self, "_root", root)
        return root

    def witness_merkle_root(self) -> bytes:
        """The root over the wtxids, the coinbase's counting as zero (BIP141).

        Mutation needs no look here: the txids' tree has the same shape and would tell.
        """
        root = self._witness_root
        if root is None:
            root = merkle_root([bytes(32), *(tx.wtxid for tx in self.vtx[1:])])[0]
            object.__setattr__(self, "_witness_root", root)
        return root

    def encode(self) -> bytes:
        """Header, number of transactions, transactions."""
        transactions = b"".join(tx.encode() for tx in self.vtx)
        return self.header.encode() + compact_size(len(self.vtx)) + transactions

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """The wire's layout. Raises Truncated or Malformed."""
        header = BlockHeader.decode(r)
        count = r.compact_size()
        if count * MIN_TRANSACTION_BYTES > r.left:
            raise Truncated(f"{count} transactions announced in {r.left} bytes")
        return cls(header, tuple([Transaction.decode(r) for _ in range(count)]))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """From all of the bytes; any left over are Malformed."""
        r = Reader(data)
        block = cls.decode(r)
        r.finish()
        return block

    def _frame_size(self) -> int:
        return HEADER_BYTES + len(compact_size(len(self.vtx)))


@dataclass(frozen=True, slots=True)
class BlockLocator:
    """Where a peer stands: hashes from its tip back, ever farther apart. Core: CBlockLocator."""

    hashes: tuple[BlockHash, ...]
    version: int = 70016  # int32 on the wire, and of no meaning to anybody

    def encode(self) -> bytes:
        """Version, count, hashes."""
        return u32(self.version) + compact_size(len(self.hashes)) + b"".join(self.hashes)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """The wire's layout. Raises Truncated or Malformed."""
        version = r.u32()
        count = r.compact_size(MAX_SIZE)
        if count > MAX_LOCATOR_HASHES:
            raise Malformed(f"a locator of {count} hashes, at most {MAX_LOCATOR_HASHES}")
        return cls(tuple([BlockHash(r.take(32)) for _ in range(count)]), version)


def locator_heights(tip_height: int) -> Sequence[int]:
    """The heights that a locator names: eleven steps of one, then of 2, 4, 8..., and genesis.

    Core: LocatorEntries.
    """
    heights = []
    height, step = tip_height, 1
    while height > 0:
        heights.append(height)
        height -= step
        if len(heights) > 10:
            step *= 2
    return [*heights, 0]
