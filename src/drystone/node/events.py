"""What a node is told, and what it wants done: all that goes through its one door.

Those of which there are many are records, the others dataclasses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from drystone.chain.outcomes import TipChange
from drystone.consensus.errors import Rejected
from drystone.core.record import Record
from drystone.mining.template import Template
from drystone.p2p.handshake import Permissions
from drystone.p2p.netaddress import NetAddress
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import Transaction

# ---------------------------------------------------------------------- what happens


@dataclass(frozen=True, slots=True)
class Connected:
    """There is a connection. address: the one dialled; inbound, where it comes from."""

    peer: int  # a number that is never used again
    inbound: bool
    address: NetAddress
    permissions: Permissions = Permissions.NONE


class Received(Record):
    """Bytes came in, cut anyhow."""

    __slots__ = ("data", "peer")
    __match_args__: ClassVar[tuple[str, ...]] = ("peer", "data")

    def __init__(self, peer: int, data: bytes) -> None:
        self.peer = peer
        self.data = data


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection is over, whoever ended it."""

    peer: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """What was dialled did not become a connection."""

    address: NetAddress
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Paused:
    """A peer takes what it is sent more slowly than it comes: send no more blocks for now."""

    peer: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """It has caught up."""

    peer: int


class Wake(Record):
    """The time that was asked for has come."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Submit:
    """A block or transaction from the user. id: `Reply` says what became of it; None: nothing."""

    item: Block | Transaction
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The miner has solved a block."""

    block: Block


@dataclass(frozen=True, slots=True)
class Connect:
    """Dial an address, and again whenever the connection is lost. Core: addnode."""

    address: NetAddress


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the connections with an address, or the one of a number, and dial it no more."""

    peer: int | NetAddress


@dataclass(frozen=True, slots=True)
class Mining:
    """Begin to mine, or end it. script_pubkey: whom the rewards pay; None: nobody mines."""

    script_pubkey: bytes | None


@dataclass(frozen=True, slots=True)
class Invalidate:
    """Treat a block as invalid, whatever it is. It must be known, and not genesis."""

    hash: BlockHash


@dataclass(frozen=True, slots=True)
class Reconsider:
    """Forget what was found against a block. It must be known."""

    hash: BlockHash


@dataclass(frozen=True, slots=True)
class Prefer:
    """Treat a block as the first of its work. It must be known. Core: preciousblock."""

    hash: BlockHash


Order = Connect | Disconnect | Mining | Invalidate | Reconsider | Prefer


@dataclass(frozen=True, slots=True)
class Command:
    """The user wants something. id: as of `Submit`."""

    order: Order
    id: int | None = None


Event = Received | Connected | Closed | Refused | Paused | Resumed | Wake | Submit | Found | Command

# ---------------------------------------------------------------------- what is to be done


class Send(Record):
    """Bytes for a peer."""

    __slots__ = ("data", "peer")
    __match_args__: ClassVar[tuple[str, ...]] = ("peer", "data")

    def __init__(self, peer: int, data: bytes) -> None:
        self.peer = peer
        self.data = data


@dataclass(frozen=True, slots=True)
class Close:
    """End a connection, once what was sent is out. `Closed` is not waited for."""

    peer: int
    reason: str


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect; `Connected` or `Refused` follows."""

    address: NetAddress


class WakeAt(Record):
    """When to send `Wake`; takes the place of all times asked for before. None: never."""

    __slots__ = ("mono_ns",)
    __match_args__: ClassVar[tuple[str, ...]] = ("mono_ns",)

    def __init__(self, mono_ns: int | None) -> None:
        self.mono_ns = mono_ns


class Offer(Record):
    """A block to be mined.

    bits: at the time of the offer. template: makes it, for a given unix time and of the best
    transactions there are then; it holds until the next `Mine`. A miner that is slow asks again
    from time to time.
    """

    __slots__ = ("bits", "height", "prev_hash", "template")
    __match_args__: ClassVar[tuple[str, ...]] = ("prev_hash", "height", "bits", "template")

    def __init__(
        self, prev_hash: BlockHash, height: int, bits: int, template: Callable[[int], Template]
    ) -> None:
        self.prev_hash = prev_hash
        self.height = height
        self.bits = bits
        self.template = template


class Mine(Record):
    """What the miner is to search from now on. None: nothing."""

    __slots__ = ("offer",)
    __match_args__: ClassVar[tuple[str, ...]] = ("offer",)

    def __init__(self, offer: Offer | None) -> None:
        self.offer = offer


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a `Submit` or a `Command`. error: None if all went well."""

    id: int
    error: Rejected | None


# News, for whoever watches.


class NewTip(Record):
    """The chain has moved; a reorganisation if blocks were disconnected."""

    __slots__ = ("change",)
    __match_args__: ClassVar[tuple[str, ...]] = ("change",)

    def __init__(self, change: TipChange) -> None:
        self.change = change

    @property
    def is_reorg(self) -> bool:
        """Whether blocks had to go."""
        return bool(self.change.disconnected)


@dataclass(frozen=True, slots=True)
class BlockRefused:
    """A block or header breaks a rule."""

    hash: BlockHash
    error: Rejected


@dataclass(frozen=True, slots=True)
class TxAccepted:
    """A transaction is in the mempool."""

    tx: Transaction


@dataclass(frozen=True, slots=True)
class TxRemoved:
    """A transaction is in the mempool no more. why: `mempool.contents.Why`."""

    tx: Transaction
    why: str


@dataclass(frozen=True, slots=True)
class TxRefused:
    """A transaction was not let in."""

    tx: Transaction
    error: Rejected


@dataclass(frozen=True, slots=True)
class PeerReady:
    """The handshake with a peer is over."""

    peer: int


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """A peer is disconnected. misbehaved: it broke the protocol's rules."""

    peer: int
    reason: str
    misbehaved: bool = False


@dataclass(frozen=True, slots=True)
class Overheard:
    """Something of a peer's that changes nothing, and why. For the log."""

    peer: int
    what: str
    reason: str


News = NewTip | BlockRefused | TxAccepted | TxRemoved | TxRefused | PeerReady | PeerLeft | Overheard


class Announce(Record):
    """Something has happened."""

    __slots__ = ("news",)
    __match_args__: ClassVar[tuple[str, ...]] = ("news",)

    def __init__(self, news: News) -> None:
        self.news = news


Action = Send | Close | Dial | WakeAt | Mine | Reply | Announce
