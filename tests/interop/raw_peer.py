"""A peer of Bitcoin's protocol on a plain socket. It shares no code with drystone.

Payloads are bytes, put together and taken apart by hand where a test looks at them.
"""

import socket
import struct
from hashlib import sha256
from types import TracebackType
from typing import Self

MAGIC = bytes.fromhex("fabfb5da")  # regtest
PATIENCE_S = 20.0  # for an answer that takes a moment on a quiet machine
ALLOWED = frozenset(  # whatever else a harness hears, it takes for a failure
    (
        *("version", "verack", "ping", "pong", "addr", "addrv2", "sendaddrv2", "wtxidrelay"),
        *("inv", "getdata", "notfound", "tx", "block", "headers", "getheaders", "getblocks"),
        *("sendheaders", "sendcmpct", "cmpctblock", "getblocktxn", "blocktxn", "feefilter"),
        *("filterload", "filteradd", "filterclear", "merkleblock", "mempool", "getaddr"),
        *("getcfilters", "cfilter", "getcfheaders", "cfheaders", "getcfcheckpt", "cfcheckpt"),
        "sendtxrcncl",
    )
)
NETWORK, WITNESS = 1, 8

TX, BLOCK, CMPCT_BLOCK, WTX, WITNESS_TX, WITNESS_BLOCK = 1, 2, 4, 5, 1 << 30 | 1, 1 << 30 | 2

Heard = list[tuple[str, bytes]]


def double_sha256(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def framed(command: str, payload: bytes = b"", *, magic: bytes = MAGIC) -> bytes:
    head = struct.pack("<4s12sI", magic, command.encode(), len(payload))
    return head + double_sha256(payload)[:4] + payload


def count(number: int) -> bytes:
    """A CompactSize."""
    if number < 253:
        return bytes([number])
    return b"\xfd" + number.to_bytes(2, "little")


def inventory(*items: tuple[int, bytes]) -> bytes:
    return count(len(items)) + b"".join(struct.pack("<I32s", *item) for item in items)


def locator(*hashes: bytes, stop: bytes = bytes(32)) -> bytes:
    return struct.pack("<I", 70016) + count(len(hashes)) + b"".join(hashes) + stop


def headers(*raw: bytes) -> bytes:
    """Of headers of 80 bytes each."""
    return count(len(raw)) + b"".join(header + b"\0" for header in raw)


def version(
    number: int = 70016, *, services: int = NETWORK | WITNESS, nonce: int = 7, relay: bool = True
) -> bytes:
    nobody = bytes(26)
    head = struct.pack("<iQq", number, services, 0) + nobody + nobody
    agent = b"/raw:1/"
    return head + struct.pack("<Q", nonce) + count(len(agent)) + agent + bytes(4) + bytes([relay])


class RawPeer:
    """One end of a connection. Pings are answered, and forgotten."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.settimeout(PATIENCE_S)
        self._nonce = 1000

    @classmethod
    def dial(cls, address: tuple[str, int]) -> Self:
        return cls(socket.create_connection(address, PATIENCE_S))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sock.close()

    def say(self, command: str, payload: bytes = b"") -> None:
        self.say_raw(framed(command, payload))

    def say_raw(self, data: bytes) -> None:
        self._sock.sendall(data)

    def _take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._sock.recv(size - len(data))
            if not piece:
                raise EOFError(f"closed after {len(data)} of {size} bytes")
            data += piece
        return data

    def hear(self) -> tuple[str, bytes]:
        """The next message. Raises EOFError."""
        magic, command, size, checksum = struct.unpack("<4s12sI4s", self._take(24))
        assert magic == MAGIC
        payload = self._take(size)
        assert double_sha256(payload)[:4] == checksum
        name = command.rstrip(b"\0").decode()
        assert name in ALLOWED, name
        if name == "ping":
            assert size == 8
            self.say("pong", payload)
        return name, payload

    def hear_until(self, command: str) -> Heard:
        """All messages up to one of a type, that one included."""
        heard = [self.hear()]
        while heard[-1][0] != command:
            heard.append(self.hear())
        return heard

    def expect(self, command: str) -> bytes:
        """The payload of the next message of a type."""
        return self.hear_until(command)[-1][1]

    def sync(self) -> Heard:
        """What comes before the answer to a ping, pings and pongs left out."""
        self._nonce += 1
        nonce = struct.pack("<Q", self._nonce)
        self.say("ping", nonce)
        heard: Heard = []
        while (message := self.hear()) != ("pong", nonce):
            heard.append(message)
        return [one for one in heard if one[0] not in ("ping", "pong")]

    def ask(self, command: str, payload: bytes = b"") -> Heard:
        """What is said to something."""
        self.say(command, payload)
        return self.sync()

    def is_left(self) -> bool:
        """Whether the other side ends the connection, whatever it says before."""
        self.say("ping", bytes(8))
        try:
            while self.hear() != ("pong", bytes(8)):
                pass
        except (EOFError, ConnectionResetError, BrokenPipeError):
            return True
        return False

    def shake_hands(self, *features: tuple[str, bytes], relay: bool = True) -> Heard:
        """As who has dialled. features: said before the verack. What was heard, in order."""
        self.say("version", version(relay=relay))
        heard = self.hear_until("verack")
        for command, payload in features:
            self.say(command, payload)
        self.say("verack")
        return heard + self.sync()
