"""A peer of the tutorial's network, written by hand from the tutorial's text: bytes in, bytes out.

It has no code of the package, on purpose: what it accepts and what it makes are a second opinion.
"""

import hashlib
import socket
import struct
from typing import Self

GENESIS = bytes.fromhex(
    "4b00000000000000000000000000000000000000000000000000000000000000"
    "0000616f8ae00000000000000000000000000000000000000000000000000000"
    "0000000114a60100001b58"
)
LARGEST_MESSAGE = 9216
_HEADER = struct.Struct(">B32sI32s")
_TRANSACTION = struct.Struct(">HH")


def sha256d(data: bytes) -> bytes:
    """Twice, as everywhere in Bitcoin."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def split(chain: bytes) -> list[bytes]:
    """The blocks of a chain by their size bytes."""
    blocks = []
    while chain:
        size = chain[0]
        if not 0 < size <= len(chain):
            raise ValueError("a block is cut short")
        blocks.append(chain[:size])
        chain = chain[size:]
    return blocks


def block_hash(block: bytes) -> bytes:
    """Of the header, the 69 bytes behind the size."""
    return sha256d(block[1:70])


def check(chain: bytes) -> list[bytes]:
    """The blocks of a valid chain. Raises ValueError for any other."""
    blocks = split(chain)
    if not blocks or blocks[0] != GENESIS:
        raise ValueError("another genesis")
    previous_hash = bytes(32)
    for height, block in enumerate(blocks):
        version, previous, _, _ = _HEADER.unpack(block[1:70])
        if version != 0:
            raise ValueError(f"block {height} has version {version}")
        if previous != previous_hash:
            raise ValueError(f"block {height} does not build on the one before it")
        if len(block) != 71 + 4 * block[70]:
            raise ValueError(f"block {height} counts its transactions wrongly")
        previous_hash = block_hash(block)
        if previous_hash[:2] != b"\0\0":
            raise ValueError(f"block {height} has no work")
    return blocks


def timestamp_of(block: bytes) -> int:
    """Unix seconds."""
    return int(_HEADER.unpack(block[1:70])[2])


def transactions_of(block: bytes) -> list[tuple[int, ...]]:
    """Pairs of sender and receiver."""
    return list(_TRANSACTION.iter_unpack(block[71:]))


def mine(chain: bytes, timestamp: int, port: int) -> bytes:
    """The chain with one more block, whose reward goes to the port."""
    start = hashlib.sha256(struct.pack(">B32sI28x", 0, block_hash(split(chain)[-1]), timestamp))
    for nonce in range(1 << 32):
        tail = struct.pack(">I", nonce)
        header = start.copy()
        header.update(tail)
        if hashlib.sha256(header.digest()).digest()[:2] == b"\0\0":
            break
    else:
        raise ValueError("no such nonce")
    previous = block_hash(split(chain)[-1])
    header_bytes = _HEADER.pack(0, previous, timestamp, nonce.to_bytes(32, "big"))
    return chain + bytes([75]) + header_bytes + b"\1" + _TRANSACTION.pack(0, port)


class Peer:
    """A socket on one port of the network. Use it in `with`."""

    def __init__(self, ip_address: str, port: int) -> None:
        self.port = port
        self._ip_address = ip_address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ip_address, port))

    def send(self, port: int, data: bytes) -> None:
        """One datagram."""
        self._socket.sendto(data, (self._ip_address, port))

    def receive(self, timeout_s: float) -> bytes:
        """The next datagram. Raises TimeoutError."""
        self._socket.settimeout(timeout_s)
        return self._socket.recv(LARGEST_MESSAGE + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
