"""What a peer has, wants, or has not: lists of hashes (BIP144, BIP339)."""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Final, NamedTuple, Self

from drystone.p2p.messages.base import read_count
from drystone.p2p.protocol import (
    MAX_INV_SZ,
    MSG_BLOCK,
    MSG_TX,
    MSG_WITNESS_BLOCK,
    MSG_WITNESS_TX,
    MSG_WTX,
)
from drystone.primitives.codec import Reader, compact_size

_ENTRY = Struct("<I32s")
_TX_TYPES: Final = frozenset((MSG_TX, MSG_WTX, MSG_WITNESS_TX))


class Inventory(NamedTuple):
    """A transaction or block by its hash. Core: CInv."""

    type: int  # one of protocol.MSG_...; uint32
    hash: bytes

    @property
    def is_tx(self) -> bool:
        """Whether it is a transaction's, by txid or wtxid. Core: IsGenTxMsg."""
        return self.type in _TX_TYPES

    @property
    def is_block(self) -> bool:
        """Whether it is a whole block's. Core: IsGenBlkMsg has partial ones, too."""
        return self.type in (MSG_BLOCK, MSG_WITNESS_BLOCK)


@dataclass(frozen=True, slots=True)
class _Items:
    command: ClassVar[str]
    items: tuple[Inventory, ...]

    def encode(self) -> bytes:
        """A count, and for each item type (4) and hash (32)."""
        pack = _ENTRY.pack
        return compact_size(len(self.items)) + b"".join([pack(*item) for item in self.items])

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """At most MAX_INV_SZ items."""
        reason = f"{cls.command} message size"
        count = read_count(r, MAX_INV_SZ, _ENTRY.size, reason)
        entries = _ENTRY.iter_unpack(r.take(count * _ENTRY.size))
        return cls(tuple([Inventory(*entry) for entry in entries]))


@dataclass(frozen=True, slots=True)
class Inv(_Items):
    """The sender has these."""

    command: ClassVar[str] = "inv"


@dataclass(frozen=True, slots=True)
class GetData(_Items):
    """The sender wants these."""

    command: ClassVar[str] = "getdata"


@dataclass(frozen=True, slots=True)
class NotFound(_Items):
    """The sender was asked for these, and has them not."""

    command: ClassVar[str] = "notfound"
