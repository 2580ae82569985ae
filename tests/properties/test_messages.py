"""Messages and frames: one form each, whatever the bytes, however they are cut."""

from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.messages import messages, u64s

from drystone.p2p.framing import Broken, Dropped, Frame, V1Transport
from drystone.p2p.messages import MESSAGES, Message, Oversized, decode_message
from drystone.primitives.codec import DecodeError, compact_size

MAGIC = bytes.fromhex("fabfb5da")
COMMANDS = sorted(MESSAGES)


@given(messages)
def test_decoding_undoes_encoding(message: Message) -> None:
    payload = message.encode()
    decoded = decode_message(message.command, payload)
    assert decoded == message
    assert decoded.encode() == payload


@given(messages, st.binary(min_size=1, max_size=20))
def test_what_follows_the_last_field_is_ignored(message: Message, after: bytes) -> None:
    if message.command in ("version", "pong"):  # whose last fields may be missing
        return
    assert decode_message(message.command, message.encode() + after) == message


@given(messages, st.data())
def test_a_message_cut_short_is_no_message_or_a_shorter_one(
    message: Message, data: st.DataObject
) -> None:
    payload = message.encode()
    if not payload:
        return
    cut = payload[: data.draw(st.integers(0, len(payload) - 1))]
    if message.command in ("version", "pong"):
        with suppress(DecodeError):
            decode_message(message.command, cut)
        return
    with pytest.raises(DecodeError):
        decode_message(message.command, cut)


@given(st.sampled_from(COMMANDS), st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_declared_error(command: str, payload: bytes) -> None:
    accept_or_refuse(command, payload)


@given(messages, st.data())
def test_any_change_gives_a_message_or_a_declared_error(
    message: Message, data: st.DataObject
) -> None:
    payload = message.encode()
    start = data.draw(st.integers(0, len(payload)))
    removed = data.draw(st.integers(0, 9))
    inserted = data.draw(st.binary(max_size=9))
    accept_or_refuse(message.command, payload[:start] + inserted + payload[start + removed :])


def accept_or_refuse(command: str, payload: bytes) -> None:
    try:
        message = decode_message(command, payload)
    except DecodeError:
        return
    again = decode_message(command, message.encode())
    assert again == message


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("count", [0xFD, 0xFFFF, 0x2000000])
def test_a_count_that_can_not_be_true_is_refused_at_once(command: str, count: int) -> None:
    """Wherever the message may have a count."""
    for at in (*range(10), 32, 33, 36, 37, 65, 80, 81, 88):
        start = process_time()
        with suppress(DecodeError):
            decode_message(command, bytes(at) + compact_size(count) + bytes(100))
        assert process_time() - start < 0.05


def hostile(command: str, size: int) -> bytes:
    """About so many bytes of one message, of as many items as it can have."""
    if command == "cmpctblock":
        return bytes(88) + compact_size(size // 6) + bytes(size // 6 * 6) + b"\0"
    if command == "getblocktxn":
        return bytes(32) + compact_size(size) + bytes(size)
    if command == "blocktxn":
        return bytes(32) + compact_size(size // 10) + bytes(size // 10 * 10)
    if command == "merkleblock":
        return bytes(84) + compact_size(size // 32) + bytes(size // 32 * 32) + b"\0"
    if command == "addrv2":
        return compact_size(size // 1000) + (bytes(5) + b"\xaa" + bytes(3)) * (size // 1000)
    head = {"cfheaders": 65, "cfcheckpt": 33, "getheaders": 4}[command]
    return bytes(head) + compact_size(size // 32) + bytes(size // 32 * 32 + 32)


@pytest.mark.parametrize(
    "command",
    [
        *("cmpctblock", "getblocktxn", "blocktxn", "merkleblock"),
        *("addrv2", "cfheaders", "cfcheckpt", "getheaders"),
    ],
)
def test_decoding_takes_linear_time(command: str) -> None:
    """Ten times the bytes, some ten times the time; it would be a hundred times if it weren't."""

    def seconds(size: int) -> float:
        payload = hostile(command, size)
        best = float("inf")
        for _ in range(5):
            start = process_time()
            with suppress(DecodeError):
                decode_message(command, payload)
            best = min(best, process_time() - start)
        return best

    assert seconds(400_000) < 30 * max(seconds(40_000), 1e-4)


# Frames.


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Bytes of frames, some of them spoilt, and the same bytes cut somehow."""
    transport = V1Transport(MAGIC)
    stream = b""
    for message in draw(st.lists(messages, max_size=4)):
        frame = bytearray(transport.frame(message.command, message.encode()))
        if draw(st.integers(0, 9)) == 0:
            frame[draw(st.integers(0, len(frame) - 1))] ^= draw(st.integers(1, 255))
        stream += bytes(frame)
    cuts, at = [], 0
    for size in draw(st.lists(st.integers(0, 64), max_size=60)):
        cuts.append(stream[at : at + size])
        at += size
    return stream, [*cuts, stream[at:]]


@given(streams())
def test_parsing_does_not_depend_on_how_tcp_cuts_the_stream(
    stream: tuple[bytes, list[bytes]],
) -> None:
    whole, pieces = stream
    transport = V1Transport(MAGIC)
    found = [one for piece in pieces for one in transport.receive(piece)]
    assert found == V1Transport(MAGIC).receive(whole)
    by_bytes = V1Transport(MAGIC)
    assert found == [one for byte in whole for one in by_bytes.receive(bytes((byte,)))]


@given(st.lists(messages, max_size=4))
def test_what_is_framed_is_found(sent: list[Message]) -> None:
    transport = V1Transport(MAGIC)
    stream = b"".join(transport.frame(one.command, one.encode()) for one in sent)
    found = transport.receive(stream)
    assert [(one.command, one.payload) for one in found if isinstance(one, Frame)] == [
        (one.command, one.encode()) for one in sent
    ]
    assert sum(one.size_bytes for one in found if isinstance(one, Frame)) == len(stream)


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_a_reason_to_disconnect(data: bytes) -> None:
    transport = V1Transport(MAGIC)
    found = transport.receive(data)
    broken = [one for one in found if isinstance(one, Broken)]
    assert len(broken) == (len(data) >= 24 and not data.startswith(MAGIC))
    assert not broken or found[-1] == broken[0]
    if broken:
        assert transport.receive(transport.frame("ping", bytes(8))) == []


@given(u64s)
def test_a_spoilt_payload_is_dropped_and_the_stream_goes_on(nonce: int) -> None:
    transport = V1Transport(MAGIC)
    frame = bytearray(transport.frame("ping", nonce.to_bytes(8, "little")))
    frame[-1] ^= 1
    dropped, kept = transport.receive(bytes(frame) + transport.frame("verack", b""))
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "Header error: Wrong checksum (ping, 8 bytes)"
    assert kept == Frame("verack", b"", 24)


def test_reading_byte_by_byte_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        best = float("inf")
        for _ in range(3):
            transport = V1Transport(MAGIC)
            stream = transport.frame("block", bytes(size))
            start = process_time()
            for at in range(0, len(stream), 8):
                transport.receive(stream[at : at + 8])
            best = min(best, process_time() - start)
        return best

    assert seconds(1_000_000) < 30 * seconds(100_000)


@pytest.mark.parametrize("command", ["inv", "getdata", "notfound", "addr", "addrv2", "headers"])
def test_lists_have_limits_of_the_reference_client(command: str) -> None:
    limit = {"addr": 1_000, "addrv2": 1_000, "headers": 2_000}.get(command, 50_000)
    size = {"addr": 30, "addrv2": 9, "headers": 81}.get(command, 36)
    most = decode_message(command, compact_size(limit) + bytes(limit * size))
    assert len(
        getattr(most, "items", getattr(most, "addresses", getattr(most, "headers", ())))
    ) == (limit)
    with pytest.raises(Oversized, match=f"{command} message size = {limit + 1}"):
        decode_message(command, compact_size(limit + 1) + bytes((limit + 1) * size))
