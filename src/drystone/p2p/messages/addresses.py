"""Where other nodes are, as peers tell each other (BIP155)."""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Final, NamedTuple, Self

from drystone.p2p.messages.base import Bare, read_count
from drystone.p2p.netaddress import ADDRESS_BYTES, NetAddress
from drystone.p2p.protocol import MAX_ADDR_TO_SEND, MAX_ADDRV2_SIZE
from drystone.primitives.codec import Malformed, Reader, compact_size, u32, var_bytes

_V1_ENTRY = Struct("<IQ16s2s")
_MIN_V2_BYTES: Final = 9  # of an entry without any address
_ANY_SERVICES: Final = 2**64 - 1


class PeerAddress(NamedTuple):
    """A node, what it offers, and when somebody last saw it. Core: CAddress."""

    time: int  # unix seconds, uint32
    services: int  # uint64
    address: NetAddress


@dataclass(frozen=True, slots=True)
class Addr:
    """Nodes on IPv4 and IPv6."""

    command: ClassVar = "addr"
    addresses: tuple[PeerAddress, ...]

    def encode(self) -> bytes:
        """A count, and for each time (4), services (8), address (16), port (2, big-endian)."""
        parts = [
            _V1_ENTRY.pack(time, services, address.v1_bytes(), address.port.to_bytes(2, "big"))
            for time, services, address in self.addresses
        ]
        return compact_size(len(parts)) + b"".join(parts)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """At most MAX_ADDR_TO_SEND entries."""
        count = read_count(r, MAX_ADDR_TO_SEND, _V1_ENTRY.size, "addr message size")
        return cls(
            tuple(
                [
                    PeerAddress(
                        time, services, NetAddress.from_v1(address, int.from_bytes(port, "big"))
                    )
                    for time, services, address, port in _V1_ENTRY.iter_unpack(
                        r.take(count * _V1_ENTRY.size)
                    )
                ]
            )
        )


@dataclass(frozen=True, slots=True)
class AddrV2:
    """Nodes on any network, those that we don't know among them (BIP155)."""

    command: ClassVar = "addrv2"
    addresses: tuple[PeerAddress, ...]

    def encode(self) -> bytes:
        """A count, and for each time (4), services as a CompactSize, network (1), the address
        after its length, port (2, big-endian).
        """
        parts = [
            b"".join(
                (
                    u32(time),
                    compact_size(services),
                    address.network.to_bytes(1, "little"),
                    var_bytes(address.address),
                    address.port.to_bytes(2, "big"),
                )
            )
            for time, services, address in self.addresses
        ]
        return compact_size(len(parts)) + b"".join(parts)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """At most MAX_ADDR_TO_SEND entries."""
        count = read_count(r, MAX_ADDR_TO_SEND, _MIN_V2_BYTES, "addrv2 message size")
        return cls(tuple([_decode_v2(r) for _ in range(count)]))


def _decode_v2(r: Reader) -> PeerAddress:
    """An entry; the size of an address is that of its network, where we know the network."""
    time, services = r.u32(), r.compact_size(_ANY_SERVICES)
    network = r.u8()
    address = r.var_bytes(MAX_ADDRV2_SIZE)
    size = _SIZES.get(network, len(address))
    if len(address) != size:
        raise Malformed(f"an address of {len(address)} bytes in network {network}, not of {size}")
    return PeerAddress(time, services, NetAddress(network, address, int.from_bytes(r.take(2))))


_SIZES: Final[dict[int, int]] = {int(network): size for network, size in ADDRESS_BYTES.items()}


@dataclass(frozen=True, slots=True)
class GetAddr(Bare):
    """Tell me of other nodes."""

    command: ClassVar = "getaddr"
