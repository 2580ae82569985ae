"""Messages as others have written them down, and what real software sends and forgets."""

from dataclasses import replace

import pytest

from drystone.consensus.chains import MAINNET
from drystone.p2p.framing import Broken, Dropped, Frame, V1Transport
from drystone.p2p.messages import (
    Addr,
    AddrV2,
    GetBlockTxn,
    GetHeaders,
    Headers,
    Inv,
    Inventory,
    LocatorTooLong,
    Oversized,
    PeerAddress,
    Pong,
    SendCmpct,
    Unknown,
    Version,
    decode_message,
)
from drystone.p2p.netaddress import NetAddress, Network
from drystone.primitives.block import BlockLocator
from drystone.primitives.codec import DecodeError, Malformed, Truncated, compact_size
from drystone.primitives.hashes import BlockHash

VERSION_60002 = bytes.fromhex(  # of Bitcoin-Qt 0.7.2, on the Bitcoin wiki's page of the protocol
    "62ea0000 0100000000000000 11b2d05000000000"
    "0100000000000000 00000000000000000000ffff00000000 0000"
    "0000000000000000 00000000000000000000ffff00000000 0000"
    "3b2eb35d8ce61765 0f2f5361746f7368693a302e372e322f c03e0300"
)


def test_the_version_of_an_old_client() -> None:
    message = decode_message("version", VERSION_60002)
    assert message == Version(
        version=60002,
        services=1,
        time=1355854353,
        receiver_services=1,
        receiver=NetAddress(Network.IPV4, bytes(4), 0),
        nonce=0x6517E68C5DB32E3B,
        user_agent=b"/Satoshi:0.7.2/",
        start_height=212672,
        relay=True,  # it came before the byte that says so
    )


def test_a_version_may_end_after_the_receiver_and_after_each_later_field() -> None:
    whole = VERSION_60002 + b"\0"
    assert decode_message("version", whole).relay is False  # type: ignore[attr-defined]
    unknown = Version(60002, 1, 1355854353, 1, NetAddress(Network.IPV4, bytes(4), 0))
    assert decode_message("version", whole[:46]) == unknown
    nonce = 0x6517E68C5DB32E3B
    assert decode_message("version", whole[:80]) == replace(unknown, nonce=nonce)
    named = replace(unknown, nonce=nonce, user_agent=b"/Satoshi:0.7.2/")
    assert decode_message("version", whole[:96]) == named
    for cut in (10, 45, 47, 79, 85, 98):
        with pytest.raises(Truncated):
            decode_message("version", whole[:cut])


def test_a_user_agent_has_256_bytes_at_most_and_is_shown_without_what_could_do_harm() -> None:
    most = Version(user_agent=b"<script>\n" + b"/" * 247)
    assert decode_message("version", most.encode()) == most
    assert most.subver == "script" + "/" * 247
    with pytest.raises(Malformed):
        decode_message("version", Version(user_agent=bytes(257)).encode())


def test_a_verack_on_the_wire() -> None:
    frame = bytes.fromhex("f9beb4d9 76657261636b000000000000 00000000 5df6e0e2")
    transport = V1Transport(MAINNET.magic)
    assert transport.frame("verack", b"") == frame
    assert transport.receive(frame) == [Frame("verack", b"", 24)]


def test_an_address_of_the_wiki() -> None:
    entry = bytes.fromhex("e215104d 0100000000000000 00000000000000000000ffff0a000001 208d")
    expected = PeerAddress(0x4D1015E2, 1, NetAddress.from_text("10.0.0.1:8333"))
    assert decode_message("addr", b"\1" + entry) == Addr((expected,))
    assert Addr((expected,)).encode() == b"\1" + entry


def test_addresses_of_other_networks() -> None:
    """Those of the reference client's tests (stream_addrv2_hex in net_tests.cpp)."""
    payload = bytes.fromhex(
        "03"
        "61bc6649 00 02 10 00000000000000000000000000000001 0000"
        "79627683 01 02 10 00000000000000000000000000000001 00f1"
        "ffffffff fd4804 02 10 00000000000000000000000000000001 f1f2"
    )
    message = decode_message("addrv2", payload)
    assert isinstance(message, AddrV2)
    assert [(one.time, one.services, str(one.address)) for one in message.addresses] == [
        (0x4966BC61, 0, "[::1]:0"),
        (0x83766279, 1, "[::1]:241"),
        (0xFFFFFFFF, 0x448, "[::1]:61938"),
    ]
    assert message.encode() == payload


def test_addresses_of_unknown_networks_are_kept_and_those_of_wrong_length_refused() -> None:
    head = b"\1" + bytes(4) + b"\0"
    message = decode_message("addrv2", head + b"\xaa\4abcd" + bytes(2))
    assert isinstance(message, AddrV2)
    assert not message.addresses[0].address.is_valid
    for network, size in [(1, 5), (2, 4), (4, 10), (5, 31), (6, 4)]:
        with pytest.raises(Malformed):
            decode_message("addrv2", head + bytes((network, size)) + bytes(size + 2))
    with pytest.raises(Malformed):
        decode_message("addrv2", head + b"\xaa" + compact_size(513) + bytes(515))


def test_addresses_that_fit_no_addr_are_zeros_there() -> None:
    onion = NetAddress(Network.TORV3, bytes(range(32)), 8333)
    assert not onion.fits_v1
    assert Addr((PeerAddress(1, 2, onion),)).encode()[13:29] == bytes(16)


def test_headers_come_with_counts_that_mean_nothing() -> None:
    header = MAINNET.genesis.header
    message = Headers((header, header))
    assert message.encode() == b"\2" + (header.encode() + b"\0") * 2
    other = b"\2" + header.encode() + b"\5" + header.encode() + compact_size(300)
    assert decode_message("headers", other) == message


def test_a_locator_of_more_than_101_hashes_is_a_reason_to_disconnect() -> None:
    hashes = (BlockHash(bytes(32)),) * 102
    with pytest.raises(LocatorTooLong, match="getheaders locator size 102 > 101"):
        decode_message("getheaders", GetHeaders(BlockLocator(hashes)).encode())
    with pytest.raises(Truncated):  # the reference client reads on before it counts
        decode_message("getheaders", GetHeaders(BlockLocator(hashes)).encode()[:-1])


def test_lists_that_are_too_long_and_too_short_are_only_dropped() -> None:
    inv = Inv((Inventory(1, bytes(32)),) * 50_001).encode()
    with pytest.raises(Oversized, match="inv message size = 50001"):
        decode_message("inv", inv)
    with pytest.raises(Truncated):
        decode_message("inv", inv[:-1])


def test_indexes_travel_as_differences() -> None:
    message = GetBlockTxn(BlockHash(bytes(32)), (0, 1, 5, 0xFFFF))
    assert message.encode()[32:] == bytes.fromhex("04 00 00 03 fdf9ff")
    assert decode_message("getblocktxn", message.encode()) == message
    with pytest.raises(Malformed):
        decode_message("getblocktxn", bytes(32) + bytes.fromhex("02 fdffff 00"))


def test_any_byte_but_zero_is_true() -> None:
    assert decode_message("sendcmpct", b"\2" + bytes(8)) == SendCmpct(
        high_bandwidth=True, version=0
    )


def test_a_pong_without_a_nonce_is_one() -> None:
    assert decode_message("pong", b"1234567") == Pong(None)


def test_an_unknown_command_is_a_message_of_its_own() -> None:
    assert decode_message("sendtxrcncl", b"abc") == Unknown("sendtxrcncl", b"abc")


def test_a_length_written_long_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode_message("inv", b"\xfd\1\0" + bytes(36))


# Frames.

MAGIC = MAINNET.magic


def test_a_wrong_magic_ends_the_stream_after_what_came_before() -> None:
    good, other = V1Transport(MAGIC), V1Transport(b"\x01\x02\x03\x04")
    stream = good.frame("verack", b"") + other.frame("verack", b"") + good.frame("verack", b"")
    frame, broken = good.receive(stream)
    assert isinstance(frame, Frame)
    assert broken == Broken("Header error: Wrong MessageStart 01020304 received")
    assert good.receive(stream) == []


def test_more_than_four_million_bytes_end_the_stream_before_they_come() -> None:
    header = MAGIC + b"block".ljust(12, b"\0") + (4_000_001).to_bytes(4, "little") + bytes(4)
    assert V1Transport(MAGIC).receive(header) == [
        Broken("Header error: Size too large (block, 4000001 bytes)")
    ]
    with pytest.raises(ValueError, match="longer than anybody takes"):
        V1Transport(MAGIC).frame("block", bytes(4_000_001))
    transport = V1Transport(MAGIC)
    most = transport.frame("junk", bytes(4_000_000))
    assert transport.receive(most) == [Frame("junk", bytes(4_000_000), len(most))]


@pytest.mark.parametrize("field", [b"ver\0ack", b"\xffersion", b"ping\n"])
def test_a_command_that_is_none_drops_the_message(field: bytes) -> None:
    transport = V1Transport(MAGIC)
    frame = bytearray(transport.frame("ping", bytes(8)))
    frame[4:16] = field.ljust(12, b"\0")
    dropped, kept = transport.receive(bytes(frame) + transport.frame("ping", bytes(8)))
    assert isinstance(dropped, Dropped) and dropped.size_bytes == 32
    assert dropped.reason.startswith("Header error: Invalid message type")
    assert kept == Frame("ping", bytes(8), 32)


def test_only_commands_can_be_framed() -> None:
    for command in ("thirteenbytes", "new\nline", "\xe9"):
        with pytest.raises(ValueError):  # noqa: PT011 - UnicodeEncodeError is one
            V1Transport(MAGIC).frame(command, b"")
