"""Addresses: what they are written like, which can be reached, and whose they are."""

import pytest

from drystone.core.errors import UserError
from drystone.p2p.netaddress import NO_ADDRESS, NetAddress, Network


@pytest.mark.parametrize("text", ["127.0.0.1:8333", "[::1]:0", "[2001:470::5]:65535"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(NetAddress.from_text(text)) == text


@pytest.mark.parametrize("text", ["", "1.2.3.4", "1.2.3.4:x", "host:1", "1.2.3.4:65536", "1:2:-3"])
def test_what_is_no_address_is_said_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match=r"is no address: it takes the form"):
        NetAddress.from_text(text)


def test_names_of_other_networks() -> None:
    """As in BIP155, whose Tor address is that of its example's key."""
    onion = bytes.fromhex("79bcc625184b05194975c28b66b66b0469f7f6556fb1ac3189a79b40dda32f1f")
    assert str(NetAddress(Network.TORV3, onion, 8333)) == (
        "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:8333"
    )
    i2p = bytes.fromhex("a2894dabaec08c0051a481a6dac88b64f98232ae42d4b6fd2fa81952dfe36a87")
    assert NetAddress(Network.I2P, i2p, 0).host == (
        "ukeu3k5oycgaauneqgtnvselmt4yemvoilkln7jpvamvfx7dnkdq.b32.i2p"
    )
    cjdns = bytes.fromhex("fc000001000200030004000500060007")
    assert str(NetAddress(Network.CJDNS, cjdns, 1)) == "[fc00:1:2:3:4:5:6:7]:1"
    assert str(NetAddress(99, b"\1\2", 1)) == "network99-0102:1"


@pytest.mark.parametrize(
    ("text", "routable"),
    [
        ("8.8.8.8:1", True),
        ("[2001:470::1]:1", True),
        ("127.0.0.1:1", False),
        ("0.0.0.0:1", False),
        ("255.255.255.255:1", False),
        ("10.1.2.3:1", False),
        ("192.168.1.1:1", False),
        ("172.31.255.255:1", False),
        ("172.32.0.0:1", True),
        ("169.254.1.1:1", False),
        ("100.64.0.1:1", False),
        ("[::1]:1", False),
        ("[::]:1", False),
        ("[fe80::1]:1", False),
        ("[fc00::1]:1", False),
        ("[2001:db8::1]:1", False),
    ],
)
def test_which_addresses_anybody_could_reach(text: str, routable: bool) -> None:  # noqa: FBT001
    assert NetAddress.from_text(text).is_routable is routable


def test_what_is_embedded_in_ipv6_is_none() -> None:
    """In an addrv2, IPv4 and Tor have their own numbers."""
    for prefix in ("00000000000000000000ffff", "fd87d87eeb43", "fd6b88c08724"):
        address = bytes.fromhex(prefix).ljust(16, b"\1")
        assert not NetAddress(Network.IPV6, address, 1).is_valid


def test_sixteen_bytes_there_and_back() -> None:
    address = NetAddress.from_text("1.2.3.4:5")
    assert address.v1_bytes() == bytes(10) + b"\xff\xff\1\2\3\4"
    assert NetAddress.from_v1(address.v1_bytes(), 5) == address
    assert NO_ADDRESS.v1_bytes() == bytes(16) and not NO_ADDRESS.is_valid


def test_neighbours_are_of_one_group() -> None:
    def group(text: str) -> bytes:
        return NetAddress.from_text(text).group()

    assert group("1.2.3.4:1") == group("1.2.200.1:9") == b"\1\1\2"
    assert group("1.2.3.4:1") != group("1.3.3.4:1")
    assert group("[2001:470:1::1]:1") == group("[2001:470:2::1]:1") != group("[2001:471::1]:1")
    assert group("127.0.0.1:1") == group("[::1]:2") != group("10.0.0.1:1")
    onions = [NetAddress(Network.TORV3, bytes((first,)) * 32, 1) for first in (0x10, 0x1F, 0x20)]
    assert onions[0].group() == onions[1].group() != onions[2].group()
    cjdns = [NetAddress(Network.CJDNS, bytes((0xFC, n)) + bytes(14), 1) for n in (0x10, 0x20)]
    assert cjdns[0].group() != cjdns[1].group()
