"""Headers, blocks and transactions, and how to ask for them."""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from drystone.p2p.messages.base import Bare, LocatorTooLong, Oversized, read_hashes
from drystone.p2p.protocol import MAX_HEADERS_RESULTS, MAX_LOCATOR_SZ
from drystone.primitives.block import Block, BlockHeader, BlockLocator
from drystone.primitives.codec import Reader, compact_size
from drystone.primitives.hashes import NULL_HASH, BlockHash
from drystone.primitives.transaction import Transaction

NO_STOP: Final = BlockHash(NULL_HASH)


@dataclass(frozen=True, slots=True)
class _Since:
    command: ClassVar[str]
    locator: BlockLocator
    stop: BlockHash = NO_STOP  # the last one wanted; zero: as many as there may be

    def encode(self) -> bytes:
        """Locator, stop (32)."""
        return self.locator.encode() + self.stop

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """At most MAX_LOCATOR_SZ hashes."""
        version = r.u32()
        hashes, stop = read_hashes(r), r.take(32)
        if len(hashes) > MAX_LOCATOR_SZ:
            raise LocatorTooLong(f"{cls.command} locator size {len(hashes)} > {MAX_LOCATOR_SZ}")
        return cls(BlockLocator(tuple(map(BlockHash, hashes)), version), BlockHash(stop))


@dataclass(frozen=True, slots=True)
class GetHeaders(_Since):
    """Headers, please, that follow where the locator leaves the receiver's chain."""

    command: ClassVar[str] = "getheaders"


@dataclass(frozen=True, slots=True)
class GetBlocks(_Since):
    """The same, to be answered by an inv of up to 500 blocks."""

    command: ClassVar[str] = "getblocks"


@dataclass(frozen=True, slots=True)
class Headers:
    """Headers, each building on the one before. Each comes with a count of no transactions."""

    command: ClassVar = "headers"
    headers: tuple[BlockHeader, ...]

    def encode(self) -> bytes:
        """A count, and for each header itself (80) and a zero."""
        parts = [header.encode() + b"\0" for header in self.headers]
        return compact_size(len(parts)) + b"".join(parts)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """At most MAX_HEADERS_RESULTS. The counts of transactions are read and mean nothing."""
        count = r.compact_size()
        if count > MAX_HEADERS_RESULTS:
            raise Oversized(f"headers message size = {count}")
        headers = []
        for _ in range(count):
            headers.append(BlockHeader.decode(r))
            r.compact_size()
        return cls(tuple(headers))


@dataclass(frozen=True, slots=True)
class BlockMessage:
    """A whole block."""

    command: ClassVar = "block"
    block: Block
    encoded: bytes | None = field(default=None, repr=False, compare=False)  # where at hand

    def encode(self) -> bytes:
        """The block."""
        return self.block.encode() if self.encoded is None else self.encoded

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """The block's bytes are kept, for whoever stores it or passes it on."""
        start = r.offset
        block = Block.decode(r)
        return cls(block, r.data[start : r.offset])


@dataclass(frozen=True, slots=True)
class TxMessage:
    """A transaction."""

    command: ClassVar = "tx"
    tx: Transaction

    def encode(self) -> bytes:
        """With its witness."""
        return self.tx.encode()

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """With or without witness."""
        return cls(Transaction.decode(r))


@dataclass(frozen=True, slots=True)
class Mempool(Bare):
    """Announce all transactions that you have (BIP35)."""

    command: ClassVar = "mempool"
