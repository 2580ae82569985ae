"""How two peers introduce themselves, and what they agree on."""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Final, Self

from drystone.p2p.messages.base import Bare
from drystone.p2p.netaddress import NO_ADDRESS, NetAddress
from drystone.p2p.protocol import (
    CMPCTBLOCKS_VERSION,
    MAX_SUBVERSION_LENGTH,
    PROTOCOL_VERSION,
    Services,
)
from drystone.primitives.codec import Reader, i32, i64, u64, var_bytes

_SENDER_BYTES: Final = 26  # services, address and port, which nobody reads
_PRINTABLE = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,;-_/:?@()"
)
_V1_ADDRESS = Struct("<Q16s2s")


@dataclass(frozen=True, slots=True)
class Version:
    """The first message of each side. Old software ends after the receiver, or later.

    ```
    version (4, signed) | services (8) | time (8, signed) | receiver (26) |
    sender (26) | nonce (8) | user agent | start height (4, signed) | relay (1)
    receiver, sender    services (8) | address (16) | port (2, big-endian)
    ```
    """

    command: ClassVar = "version"
    version: int = PROTOCOL_VERSION
    services: int = Services.NONE
    time: int = 0  # unix seconds, int64
    receiver_services: int = Services.NONE
    receiver: NetAddress = NO_ADDRESS
    nonce: int = 1  # tells a connection to oneself
    user_agent: bytes = b""  # BIP14: /name:version/
    start_height: int = -1
    relay: bool = True  # whether the sender wants to hear of transactions (BIP37)

    @property
    def subver(self) -> str:
        """The user agent, of which only harmless characters are left. Core: cleanSubVer."""
        return bytes(byte for byte in self.user_agent if byte in _PRINTABLE).decode()

    def encode(self) -> bytes:
        """All fields. The sender's address is left empty, as the reference client does."""
        return b"".join(
            (
                i32(self.version),
                u64(self.services),
                i64(self.time),
                _v1_bytes(self.receiver_services, self.receiver),
                _v1_bytes(self.services, NO_ADDRESS),
                u64(self.nonce),
                var_bytes(self.user_agent),
                i32(self.start_height),
                b"\1" if self.relay else b"\0",
            )
        )

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """Fields that are not there are as if not known."""
        version, services, time = r.i32(), r.u64(), r.i64()
        receiver_services, address, port = _V1_ADDRESS.unpack(r.take(_V1_ADDRESS.size))
        nonce, user_agent, start_height, relay = 1, b"", -1, True
        if r.left:
            r.take(_SENDER_BYTES)
            nonce = r.u64()
        if r.left:
            user_agent = r.var_bytes(MAX_SUBVERSION_LENGTH)
        if r.left:
            start_height = r.i32()
        if r.left:
            relay = r.u8() != 0
        receiver = NetAddress.from_v1(address, int.from_bytes(port, "big"))
        return cls(
            version,
            services,
            time,
            receiver_services,
            receiver,
            nonce,
            user_agent,
            start_height,
            relay,
        )


def _v1_bytes(services: int, address: NetAddress) -> bytes:
    return _V1_ADDRESS.pack(services, address.v1_bytes(), address.port.to_bytes(2, "big"))


@dataclass(frozen=True, slots=True)
class Verack(Bare):
    """The other's version is taken: the handshake is over with its answer."""

    command: ClassVar = "verack"


@dataclass(frozen=True, slots=True)
class WtxidRelay(Bare):
    """Announce transactions by wtxid (BIP339)."""

    command: ClassVar = "wtxidrelay"


@dataclass(frozen=True, slots=True)
class SendAddrV2(Bare):
    """Send addresses as addrv2 (BIP155)."""

    command: ClassVar = "sendaddrv2"


@dataclass(frozen=True, slots=True)
class SendHeaders(Bare):
    """Announce blocks by their headers (BIP130)."""

    command: ClassVar = "sendheaders"


@dataclass(frozen=True, slots=True)
class SendCmpct:
    """The sender understands compact blocks (BIP152), and may want new ones without asking."""

    command: ClassVar = "sendcmpct"
    high_bandwidth: bool
    version: int = CMPCTBLOCKS_VERSION  # uint64

    def encode(self) -> bytes:
        """Mode (1), version (8)."""
        return (b"\1" if self.high_bandwidth else b"\0") + u64(self.version)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """Any mode but zero is high bandwidth."""
        return cls(r.u8() != 0, r.u64())


@dataclass(frozen=True, slots=True)
class FeeFilter:
    """Announce no transactions that pay less (BIP133)."""

    command: ClassVar = "feefilter"
    fee_rate: int  # satoshis for 1,000 virtual bytes, int64

    def encode(self) -> bytes:
        """Eight bytes."""
        return i64(self.fee_rate)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """From eight bytes."""
        return cls(r.i64())


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? To be answered with the same nonce (BIP31)."""

    command: ClassVar = "ping"
    nonce: int  # uint64

    def encode(self) -> bytes:
        """Eight bytes."""
        return u64(self.nonce)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """From eight bytes."""
        return cls(r.u64())


@dataclass(frozen=True, slots=True)
class Pong:
    """I am here (BIP31)."""

    command: ClassVar = "pong"
    nonce: int | None  # None: there was none, which cancels the ping

    def encode(self) -> bytes:
        """Eight bytes, or none."""
        return b"" if self.nonce is None else u64(self.nonce)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """Fewer than eight bytes are no nonce."""
        return cls(r.u64() if r.left >= 8 else None)
