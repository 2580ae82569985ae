"""How a connection begins: who it is for, what is said in which order, and what is out of turn.

```
dialling                                     dialled
version                                 ->
                                        <-   version, wtxidrelay, sendaddrv2, verack
wtxidrelay, sendaddrv2, verack, getaddr ->
```
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntFlag
from functools import cache
from typing import Final

from drystone.p2p.messages import (
    Addr,
    AddrV2,
    FilterAdd,
    FilterClear,
    FilterLoad,
    GetAddr,
    GetCFCheckpt,
    GetCFHeaders,
    GetCFilters,
    Mempool,
    SendAddrV2,
    SendCmpct,
    SendHeaders,
    TxMessage,
    Verack,
    Version,
    WtxidRelay,
)
from drystone.p2p.protocol import Services


class ConnectionKind(Enum):
    """Who dialled, and what for. The values are getpeerinfo's. Core: ConnectionType."""

    INBOUND = "inbound"
    OUTBOUND_FULL_RELAY = "outbound-full-relay"
    MANUAL = "manual"  # the user named the address
    FEELER = "feeler"  # to see whether somebody is there
    BLOCK_RELAY_ONLY = (
        "block-relay-only"  # without transactions, so that nobody can tell it from them
    )
    ADDR_FETCH = "addr-fetch"  # to learn addresses, no more

    @property
    def is_inbound(self) -> bool:
        """Whether the other side dialled."""
        return self is ConnectionKind.INBOUND

    @property
    def expects_services(self) -> bool:
        """Whether a node that lacks the services we look for is of no use."""
        return self in _EXPECTING

    @property
    def relays_transactions(self) -> bool:
        """Whether transactions may travel on it."""
        return self not in (ConnectionKind.BLOCK_RELAY_ONLY, ConnectionKind.FEELER)

    @property
    def relays_addresses(self) -> bool:
        """Whether addresses of other nodes may travel on it."""
        return self is not ConnectionKind.BLOCK_RELAY_ONLY


_EXPECTING: Final = frozenset(
    (
        ConnectionKind.OUTBOUND_FULL_RELAY,
        ConnectionKind.BLOCK_RELAY_ONLY,
        ConnectionKind.ADDR_FETCH,
    )
)


class Permissions(IntFlag):
    """What a peer may that others may not. Core: NetPermissionFlags."""

    NONE = 0
    BLOOMFILTER = 1 << 1  # filter what it hears of
    RELAY = 1 << 3  # send transactions even where we want none
    FORCERELAY = 1 << 2 | RELAY  # have what it sends passed on even if we know it
    DOWNLOAD = 1 << 6  # ask for headers early and for blocks without limit
    NOBAN = 1 << 4 | DOWNLOAD  # misbehave
    MEMPOOL = 1 << 5  # ask for all transactions
    ADDR = 1 << 7  # send and ask for as many addresses as it likes


@dataclass(frozen=True, slots=True)
class Local:
    """What we tell of ourselves."""

    services: Services
    user_agent: bytes  # BIP14: /name:version/
    start_height: int
    relays_transactions: bool = True  # Core: not -blocksonly


class State(Enum):
    """Where a connection stands."""

    AWAIT_VERSION = "awaiting version"
    AWAIT_VERACK = "awaiting verack"
    READY = "ready"
    CLOSED = "closed"


HANDSHAKE: Final[Mapping[tuple[State, type], State]] = {
    (State.AWAIT_VERSION, Version): State.AWAIT_VERACK,
    (State.AWAIT_VERACK, WtxidRelay): State.AWAIT_VERACK,  # BIP339: only before verack
    (State.AWAIT_VERACK, SendAddrV2): State.AWAIT_VERACK,  # BIP155: only before verack
    (State.AWAIT_VERACK, SendHeaders): State.AWAIT_VERACK,
    (State.AWAIT_VERACK, SendCmpct): State.AWAIT_VERACK,
    (State.AWAIT_VERACK, Verack): State.READY,
}
"""(Where we are, what comes) -> where we go. Until READY, all else is ignored."""


@cache
def refusals(
    kind: ConnectionKind, services: Services, permissions: Permissions, *, takes_txs: bool
) -> Mapping[type, str]:
    """The messages that end a connection that is READY, and what is said then.

    services: ours, to this peer. The reasons are the reference client's.
    """
    refused: dict[type, str] = {
        WtxidRelay: "wtxidrelay received after verack",
        SendAddrV2: "sendaddrv2 received after verack",
    }
    if not (takes_txs and kind.relays_transactions):
        refused[TxMessage] = "transaction sent in violation of protocol"
    if not services & Services.BLOOM:
        for message in (FilterLoad, FilterAdd, FilterClear):
            name = message.command
            refused[message] = f"{name} received despite not offering bloom services"
    if not (services & Services.COMPACT_FILTERS):
        for request in (GetCFilters, GetCFHeaders, GetCFCheckpt):
            refused[request] = "peer requested unsupported block filter type"
    may_ask = Permissions.MEMPOOL in permissions or Permissions.NOBAN in permissions
    if not (services & Services.BLOOM or may_ask):
        refused[Mempool] = "mempool request with bloom filters disabled"
    return refused


@cache
def ignored(
    kind: ConnectionKind, services: Services, permissions: Permissions
) -> Mapping[type, str]:
    """The messages that do nothing on a connection that is READY, and why.

    services: ours, to this peer.
    """
    nothing: dict[type, str] = {
        Version: "redundant version message",
        Verack: "ignoring redundant verack message",
    }
    if not kind.is_inbound:
        # An attacker could send us addresses of its own making, and ask for them elsewhere to see
        # which connections are ours.
        nothing[GetAddr] = f'Ignoring "getaddr" from {kind.value} connection'
    if not kind.relays_addresses:
        for message in (Addr, AddrV2):
            nothing[message] = f"ignoring {message.command} message from {kind.value}"
    if not (services & Services.BLOOM or Permissions.MEMPOOL in permissions):
        nothing[Mempool] = "mempool request with bloom filters disabled"
    return nothing
