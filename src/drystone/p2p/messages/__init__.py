"""Every message of the protocol, and the way from a payload to one of them."""

from dataclasses import dataclass
from typing import Any, Final

from drystone.p2p.messages.addresses import Addr, AddrV2, GetAddr, PeerAddress
from drystone.p2p.messages.base import LocatorTooLong, Message, Oversized
from drystone.p2p.messages.blocks import (
    BlockMessage,
    GetBlocks,
    GetHeaders,
    Headers,
    Mempool,
    TxMessage,
)
from drystone.p2p.messages.bloom import FilterAdd, FilterClear, FilterLoad, MerkleBlock
from drystone.p2p.messages.compact import (
    BlockTxn,
    CmpctBlock,
    GetBlockTxn,
    PrefilledTransaction,
)
from drystone.p2p.messages.filters import (
    CFCheckpt,
    CFHeaders,
    CFilter,
    GetCFCheckpt,
    GetCFHeaders,
    GetCFilters,
)
from drystone.p2p.messages.handshake import (
    FeeFilter,
    Ping,
    Pong,
    SendAddrV2,
    SendCmpct,
    SendHeaders,
    Verack,
    Version,
    WtxidRelay,
)
from drystone.p2p.messages.inventory import GetData, Inv, Inventory, NotFound
from drystone.primitives.codec import Reader

__all__ = [
    "MESSAGES",
    "Addr",
    "AddrV2",
    "BlockMessage",
    "BlockTxn",
    "CFCheckpt",
    "CFHeaders",
    "CFilter",
    "CmpctBlock",
    "FeeFilter",
    "FilterAdd",
    "FilterClear",
    "FilterLoad",
    "GetAddr",
    "GetBlockTxn",
    "GetBlocks",
    "GetCFCheckpt",
    "GetCFHeaders",
    "GetCFilters",
    "GetData",
    "GetHeaders",
    "Headers",
    "Inv",
    "Inventory",
    "LocatorTooLong",
    "Mempool",
    "MerkleBlock",
    "Message",
    "NotFound",
    "Oversized",
    "PeerAddress",
    "Ping",
    "Pong",
    "PrefilledTransaction",
    "SendAddrV2",
    "SendCmpct",
    "SendHeaders",
    "TxMessage",
    "Unknown",
    "Verack",
    "Version",
    "WtxidRelay",
    "decode_message",
]

MESSAGES: Final[dict[str, type[Any]]] = {
    kind.command: kind
    for kind in (
        *(Version, Verack, WtxidRelay, SendAddrV2, SendHeaders, SendCmpct, FeeFilter, Ping, Pong),
        *(Inv, GetData, NotFound, GetHeaders, GetBlocks, Headers, BlockMessage, TxMessage, Mempool),
        *(Addr, AddrV2, GetAddr, CmpctBlock, GetBlockTxn, BlockTxn),
        *(FilterLoad, FilterAdd, FilterClear, MerkleBlock),
        *(GetCFilters, CFilter, GetCFHeaders, CFHeaders, GetCFCheckpt, CFCheckpt),
    )
}
"""By command."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message that we don't know: of a later version, or of somebody's own. It is ignored."""

    command: str
    payload: bytes

    def encode(self) -> bytes:
        """The payload."""
        return self.payload


def decode_message(command: str, payload: bytes) -> Message:
    """One of MESSAGES, or Unknown. Whatever the bytes, it raises nothing but DecodeError.

    Bytes after the last field are ignored, as the reference client does.
    """
    kind = MESSAGES.get(command)
    if kind is None:
        return Unknown(command, payload)
    message: Message = kind.decode(Reader(payload))
    return message
