"""RIPEMD-160, also where OpenSSL leaves it out, and HASH160, which is SHA-256 and then that."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import NamedTuple


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256: 20 bytes, the hash of keys and scripts in outputs. Core: Hash160."""
    return ripemd160(sha256(data).digest())


_MASK = 0xFFFFFFFF
_BLOCK = Struct("<16I")
_STATE = Struct("<5I")
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_MIXERS: tuple[Callable[[int, int, int], int], ...] = (
    lambda x, y, z: x ^ y ^ z,
    lambda x, y, z: (x & y) | (~x & z),
    lambda x, y, z: (x | ~y) ^ z,
    lambda x, y, z: (x & z) | (y & ~z),
    lambda x, y, z: x ^ (y | ~z),
)


class _Line(NamedTuple):
    """One of the two lines of five rounds that work on the same message and meet at the end."""

    words: tuple[tuple[int, ...], ...]  # for each round and step: which word of the message
    rotations: tuple[tuple[int, ...], ...]  # and by how many bits to rotate
    constants: tuple[int, ...]  # for each round: what is added
    mixers: tuple[Callable[[int, int, int], int], ...]  # and how b, c and d are mixed


_LEFT = _Line(
    words=(
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8),
        (3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6, 13, 11, 5, 12),
        (1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2),
        (4, 0, 5, 9, 7, 12, 2, 10, 14, 1, 3, 8, 11, 6, 15, 13),
    ),
    rotations=(
        (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
        (7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13, 12),
        (11, 13, 6, 7, 14, 9, 13, 15, 14, 8, 13, 6, 5, 12, 7, 5),
        (11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12),
        (9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6),
    ),
    constants=(0x00000000, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E),
    mixers=_MIXERS,
)
_RIGHT = _Line(
    words=(
        (5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12),
        (6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2),
        (15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2, 10, 0, 4, 13),
        (8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14),
        (12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11),
    ),
    rotations=(
        (8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6),
        (9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11),
        (9, 7, 15, 11, 8, 6, 6, 14, 12, 13, 5, 14, 13, 13, 7, 5),
        (15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8),
        (8, 5, 12, 9, 12, 5, 14, 6, 8, 13, 6, 5, 15, 13, 11, 11),
    ),
    constants=(0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0x00000000),
    mixers=_MIXERS[::-1],
)


def ripemd160_in_python(data: bytes) -> bytes:
    """RIPEMD-160 by its definition (Dobbertin, Bosselaers, Preneel 1996): slow, always there."""
    padding = b"\x80" + bytes((55 - len(data)) % 64)
    padded = data + padding + (8 * len(data) % 2**64).to_bytes(8, "little")
    state: tuple[int, ...] = _START
    for message in _BLOCK.iter_unpack(padded):
        left = _run(_LEFT, state, message)
        right = _run(_RIGHT, state, message)
        # Each word of the state takes one of the left line and one of the right, shifted.
        state = tuple(
            (state[(i + 1) % 5] + left[(i + 2) % 5] + right[(i + 3) % 5]) & _MASK for i in range(5)
        )
    return _STATE.pack(*state)


def _run(line: _Line, state: tuple[int, ...], message: tuple[int, ...]) -> tuple[int, ...]:
    a, b, c, d, e = state
    for words, rotations, constant, mix in zip(*line, strict=True):
        for word, bits in zip(words, rotations, strict=True):
            a = _rotate((a + mix(b, c, d) + message[word] + constant) & _MASK, bits) + e
            a, b, c, d, e = e, a & _MASK, b, _rotate(c, 10), d
    return a, b, c, d, e


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & _MASK


def _fastest() -> Callable[[bytes], bytes]:
    try:
        # Speed shaped this: to copy an object costs a third of having OpenSSL look for the hash.
        unused = hashlib.new("ripemd160", usedforsecurity=False)
    except ValueError:  # OpenSSL 3 moved it to a provider that is often not loaded
        # A millisecond for 520 bytes. A block may ask for one element's hash a million times over;
        # whoever wants to be safe from blocks of many elements needs an OpenSSL that has it.
        return lru_cache(maxsize=4096)(ripemd160_in_python)

    def ripemd160_of_openssl(data: bytes) -> bytes:
        hasher = unused.copy()
        hasher.update(data)
        return hasher.digest()

    return ripemd160_of_openssl


ripemd160: Callable[[bytes], bytes] = _fastest()
