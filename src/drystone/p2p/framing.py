"""The transport: how messages lie in the stream of bytes between two peers (v1).

```
magic (4) | command (12, padded with zeros) | length (4) | checksum (4) | payload
```

The checksum is the beginning of the payload's double SHA-256.
"""

from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import ClassVar, Final, NamedTuple, Protocol

from drystone.core.memo import Memo
from drystone.core.record import Record
from drystone.p2p.messages.base import Message
from drystone.p2p.protocol import MAX_PROTOCOL_MESSAGE_LENGTH

HEADER_BYTES: Final = 24
COMMAND_BYTES: Final = 12
ENTRY_BYTES: Final = 500  # what a message takes in memory besides its bytes, about

_HEADER = Struct("<4s12sI4s")


class Frame(Record):
    """A message as it came.

    size_bytes: on the wire. message: what the payload means, once somebody has read it, so that
    whoever shares the frame need not read it again.
    """

    __slots__ = ("command", "message", "payload", "size_bytes")
    __match_args__: ClassVar[tuple[str, ...]] = ("command", "payload", "size_bytes")

    def __init__(self, command: str, payload: bytes, size_bytes: int) -> None:
        self.command = command
        self.payload = payload
        self.size_bytes = size_bytes
        self.message: Message | None = None


class Dropped(NamedTuple):
    """A message that does not count, since something is wrong with it. The stream goes on."""

    reason: str
    size_bytes: int  # on the wire


class Broken(NamedTuple):
    """The stream is no stream of messages from here on: disconnect."""

    reason: str


class Answer(NamedTuple):
    """Bytes that the transport itself has to send, such as keys."""

    data: bytes


Found = Frame | Dropped | Broken | Answer


class Transport(Protocol):
    """One connection's way to make bytes of messages, and messages of bytes.

    Core: Transport. An encrypted one (BIP324) would be another: what is framed before the keys are
    there, it holds back until it can answer.
    """

    def opening(self, *, dialled: bool) -> bytes:
        """What to send before any message. dialled: whether we did."""

    def receive(self, data: bytes) -> list[Found]:
        """What these bytes complete, however the stream was cut. Nothing comes after Broken."""

    def frame(self, command: str, payload: bytes) -> bytes:
        """The bytes of one message to send."""


class FrameTable:
    """Whole frames that go through many connections: what is in them, and how it is framed.

    Connections of several nodes may share one, if they are of one chain. read: by the bytes of
    the frame. made: by command and payload. most_bytes: of messages in it; 0: none.
    """

    def __init__(self, magic: bytes, most_bytes: int) -> None:
        self.magic = magic
        self.read: Memo[bytes, Frame] = Memo(most_bytes)
        self.made: Memo[tuple[str, bytes], bytes] = Memo(most_bytes)


# Each of these is like no other, so that there is no use in remembering it.
UNIQUE: Final = frozenset(("version", "ping", "pong", "addr", "addrv2"))


class V1Transport:
    """The transport that everybody speaks. Core: V1Transport.

    It holds at most one message that is not complete: some 4 MB. shared: with other connections.
    """

    __slots__ = ("_awaited", "_broken", "_header", "_magic", "_partial", "_shared")

    def __init__(self, magic: bytes, shared: FrameTable | None = None) -> None:
        self._magic = magic
        self._shared = shared or FrameTable(magic, 0)
        assert self._shared.magic == magic
        self._header: tuple[bytes, int, bytes] | None = None  # of the message under way
        self._partial = bytearray()  # of that message's payload, or else of its header
        self._awaited = HEADER_BYTES  # how long it has to become
        self._broken = False

    def opening(self, *, dialled: bool) -> bytes:  # noqa: ARG002
        """Nothing: messages come at once."""
        return b""

    def receive(self, data: bytes) -> list[Found]:
        """What these bytes complete, however the stream was cut. Nothing comes after Broken."""
        if self._header is None and not self._partial and not self._broken:  # between messages
            frame = self._shared.read.get(data) or self._whole(data)
            if frame is not None:
                return [frame]
        return self._parse(data)

    def _whole(self, data: bytes) -> Frame | None:
        """The frame, if the bytes are just one and nothing is wrong with it."""
        if len(data) < HEADER_BYTES:
            return None
        magic, field, length, checksum = _HEADER.unpack_from(data)
        if len(data) != HEADER_BYTES + length or magic != self._magic:
            return None
        payload = data[HEADER_BYTES:]
        command = command_of(field)
        if command is None or sha256(sha256(payload).digest()).digest()[:4] != checksum:
            return None
        frame = Frame(command, payload, len(data))
        if command not in UNIQUE:
            self._shared.read.put(data, frame, len(data) + ENTRY_BYTES)
        return frame

    def _parse(self, data: bytes) -> list[Found]:
        found: list[Found] = []
        at, end = 0, len(data)
        while not self._broken:
            missing = self._awaited - len(self._partial)
            if end - at < missing:
                if at < end:
                    self._partial += data[at:]
                break
            piece = data[at : at + missing]
            at += missing
            if self._partial:
                self._partial += piece
                piece = bytes(self._partial)
                self._partial = bytearray()
            if self._header is None:
                reason = self._begin(piece)
                if reason is not None:
                    self._broken = True
                    found.append(Broken(reason))
            else:
                found.append(self._complete(self._header, piece))
                self._header = None
                self._awaited = HEADER_BYTES
        return found

    def _begin(self, header: bytes) -> str | None:
        """Look at a header; what is so wrong with it that the stream is of no use any more."""
        magic, command, length, checksum = _HEADER.unpack(header)
        if magic != self._magic:
            return f"Header error: Wrong MessageStart {magic.hex()} received"
        if length > MAX_PROTOCOL_MESSAGE_LENGTH:
            name = _printable(command)
            return f"Header error: Size too large ({name}, {length} bytes)"
        self._header = command, length, checksum
        self._awaited = length
        return None

    def _complete(self, header: tuple[bytes, int, bytes], payload: bytes) -> Frame | Dropped:
        field, length, checksum = header
        size = HEADER_BYTES + length
        if sha256(sha256(payload).digest()).digest()[:4] != checksum:
            return Dropped(
                f"Header error: Wrong checksum ({_printable(field)}, {length} bytes)", size
            )
        command = command_of(field)
        if command is None:
            return Dropped(
                f"Header error: Invalid message type ({_printable(field)}, {length} bytes)", size
            )
        return Frame(command, payload, size)

    def frame(self, command: str, payload: bytes) -> bytes:
        """The bytes of one message to send. Raises ValueError for one that nobody would take."""
        data = self._shared.made.get((command, payload))
        if data is None:
            data = self._made(command, payload)
            if command not in UNIQUE:
                weight = len(data) + ENTRY_BYTES
                self._shared.made.put((command, payload), data, weight)
                self._shared.read.put(data, Frame(command, payload, len(data)), weight)
        return data

    def _made(self, command: str, payload: bytes) -> bytes:
        length = len(payload)
        if length > MAX_PROTOCOL_MESSAGE_LENGTH:
            raise ValueError(f"a {command} of {length} bytes is longer than anybody takes")
        checksum = sha256(sha256(payload).digest()).digest()[:4]
        return _HEADER.pack(self._magic, command_field(command), length, checksum) + payload


@lru_cache(maxsize=64)
def command_field(command: str) -> bytes:
    """A command in its twelve bytes. Raises ValueError if it is none."""
    field = command.encode("ascii")
    if len(field) > COMMAND_BYTES or not command.isprintable():
        raise ValueError(f"{command!r} is no command")
    return field.ljust(COMMAND_BYTES, b"\0")


@lru_cache(maxsize=64)
def command_of(field: bytes) -> str | None:
    """The command in twelve bytes: printable, then zeros only. Core: IsMessageTypeValid."""
    name = field.rstrip(b"\0")
    if any(not 0x20 <= byte <= 0x7E for byte in name):
        return None
    return name.decode("ascii")


def _printable(field: bytes) -> str:
    """What of a command can be shown."""
    name = field.partition(b"\0")[0]
    return "".join(chr(byte) for byte in name if 0x20 <= byte <= 0x7E)
