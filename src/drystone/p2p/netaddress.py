"""Where a node is: an address of some network and a port (BIP155).

```
16 bytes in version and addr   IPv6, or IPv4 behind ten zeros and ffff; nothing else fits
in addrv2                      network (1) | size | bytes | port (2, big-endian)
```
"""

from base64 import b32encode
from enum import IntEnum
from hashlib import sha3_256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple, Self

from drystone.core.errors import UserError

V1_BYTES: Final = 16


class Network(IntEnum):
    """Numbers of BIP155. Others are read and passed over: they are for later software."""

    IPV4 = 1
    IPV6 = 2
    TORV2 = 3  # no longer in use
    TORV3 = 4
    I2P = 5
    CJDNS = 6


ADDRESS_BYTES: Final = {
    Network.IPV4: 4,
    Network.IPV6: 16,
    Network.TORV3: 32,
    Network.I2P: 32,
    Network.CJDNS: 16,
}

_SIZES: Final[dict[int, int]] = {int(network): size for network, size in ADDRESS_BYTES.items()}
_IPV4_IN_IPV6 = bytes(10) + b"\xff\xff"
_TORV2_IN_IPV6 = bytes.fromhex("fd87d87eeb43")  # OnionCat
_INTERNAL_IN_IPV6 = bytes.fromhex("fd6b88c08724")  # the reference client's own marks
_EMBEDDED = (_IPV4_IN_IPV6, _TORV2_IN_IPV6, _INTERNAL_IN_IPV6)
_CJDNS_FIRST_BYTE = 0xFC

# RFCs 1918, 2544, 3927, 6598, 5737; 4862, 4193, 4843, 7343. Core: CNetAddr::IsRoutable.
_UNROUTABLE_V4 = [
    IPv4Network("0.0.0.0/8"),
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("127.0.0.0/8"),
    IPv4Network("169.254.0.0/16"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.0.2.0/24"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
]
_UNROUTABLE_V6 = [
    IPv6Network("fe80::/64"),
    IPv6Network("fc00::/7"),
    IPv6Network("2001:10::/28"),
    IPv6Network("2001:20::/28"),
    IPv6Network("2001:db8::/32"),
]


class NetAddress(NamedTuple):
    """A place to connect to. Core: CService. A NamedTuple, since it is the key of many tables."""

    network: int  # a Network, or a number that we don't know
    address: bytes
    port: int  # 0 to 65535

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From `1.2.3.4:8333` or `[::1]:8333`. Raises UserError."""
        host, _, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        try:
            ip = ip_address(host)
            if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
                raise ValueError(port)
        except ValueError:
            raise UserError(f"{text!r} is no address: it takes the form 127.0.0.1:8333") from None
        return cls(Network.IPV4 if ip.version == 4 else Network.IPV6, ip.packed, int(port))

    @classmethod
    def from_v1(cls, address: bytes, port: int) -> Self:
        """From 16 bytes."""
        if address.startswith(_IPV4_IN_IPV6):
            return cls(Network.IPV4, address[12:], port)
        return cls(Network.IPV6, address, port)

    def v1_bytes(self) -> bytes:
        """16 bytes; zeros for an address that does not fit. Core: SerializeV1Array."""
        if self.network == Network.IPV4:
            return _IPV4_IN_IPV6 + self.address
        return self.address if self.network == Network.IPV6 else bytes(V1_BYTES)

    @property
    def fits_v1(self) -> bool:
        """Whether an addr message can carry it. Core: IsAddrV1Compatible."""
        return self.network in (Network.IPV4, Network.IPV6)

    @property
    def is_valid(self) -> bool:
        """Whether it names a host of a network that we know. Core: IsValid."""
        if _SIZES.get(self.network) != len(self.address) or not any(self.address):
            return False
        if self.network == Network.IPV4:
            return self.address != b"\xff" * 4
        if self.network == Network.CJDNS:
            return self.address[0] == _CJDNS_FIRST_BYTE
        if self.network == Network.IPV6:
            return not self.address.startswith(_EMBEDDED)
        return True

    @property
    def is_local(self) -> bool:
        """Whether it is this very machine. Core: IsLocal."""
        if self.network == Network.IPV4:
            return self.address[0] in (0, 127)
        return self.network == Network.IPV6 and self.address == bytes(15) + b"\x01"

    @property
    def is_routable(self) -> bool:
        """Whether anybody on the public network could reach it. Core: IsRoutable."""
        if not self.is_valid or self.is_local:
            return False
        ip = self._ip()
        if ip is None or self.network == Network.CJDNS:
            return True
        if isinstance(ip, IPv4Address):
            return not any(ip in network for network in _UNROUTABLE_V4)
        return not any(ip in network for network in _UNROUTABLE_V6)

    def group(self) -> bytes:
        """What addresses have in common that one owner can easily have many of.

        The /16 of IPv4, the /32 of IPv6, the first four bits elsewhere; one for all local and one
        for all unroutable ones. Core: NetGroupManager::GetGroup.
        """
        if self.is_local:
            return b"\xff"
        if not self.is_routable:
            return b"\xfe"
        head = bytes((self.network,))
        if self.network == Network.IPV4:
            return head + self.address[:2]
        if self.network == Network.IPV6:
            return head + self.address[:4]
        # CJDNS addresses all begin with the same byte.
        first = self.address[1 if self.network == Network.CJDNS else 0]
        return head + bytes((first | 0x0F,))

    @property
    def host(self) -> str:
        """As people write it, without the port."""
        ip = self._ip()
        if ip is not None:
            return str(ip)
        if self.network == Network.TORV3 and len(self.address) == 32:
            checksum = sha3_256(b".onion checksum" + self.address + b"\x03").digest()[:2]
            return b32encode(self.address + checksum + b"\x03").decode().lower() + ".onion"
        if self.network == Network.I2P:
            return b32encode(self.address).decode().lower().rstrip("=") + ".b32.i2p"
        return f"network{int(self.network)}-{self.address.hex()}"

    def __str__(self) -> str:
        host = self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def _ip(self) -> IPv4Address | IPv6Address | None:
        if self.network == Network.IPV4 and len(self.address) == 4:
            return IPv4Address(self.address)
        if self.network in (Network.IPV6, Network.CJDNS) and len(self.address) == 16:
            return IPv6Address(self.address)
        return None


NO_ADDRESS: Final = NetAddress(Network.IPV6, bytes(V1_BYTES), 0)
