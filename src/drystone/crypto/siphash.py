"""SipHash-2-4: a fast keyed hash of 64 bits (Aumasson and Bernstein 2012), for BIP152 and filters.

Whoever does not know the key can't find two inputs with the same hash on purpose.
"""

from struct import Struct

_MASK = 0xFFFFFFFFFFFFFFFF
_WORD = Struct("<Q")


def siphash(k0: int, k1: int, data: bytes) -> int:
    """64 bits. k0, k1: the key's halves, each read as little-endian. Core: CSipHasher."""
    state = (
        k0 ^ 0x736F6D6570736575,  # "somepseudorandomlygeneratedbytes"
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    )
    padding = bytes(7 - len(data) % 8)
    padded = data + padding + bytes((len(data) & 0xFF,))
    for (word,) in _WORD.iter_unpack(padded):
        v0, v1, v2, v3 = _rounds((*state[:3], state[3] ^ word), 2)
        state = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = _rounds((state[0], state[1], state[2] ^ 0xFF, state[3]), 4)
    return v0 ^ v1 ^ v2 ^ v3


def _rounds(state: tuple[int, int, int, int], count: int) -> tuple[int, int, int, int]:
    v0, v1, v2, v3 = state
    for _ in range(count):
        v0 = (v0 + v1) & _MASK
        v2 = (v2 + v3) & _MASK
        v1 = _rotate(v1, 13) ^ v0
        v3 = _rotate(v3, 16) ^ v2
        v0 = (_rotate(v0, 32) + v3) & _MASK
        v2 = (v2 + v1) & _MASK
        v1 = _rotate(v1, 17) ^ v2
        v3 = _rotate(v3, 21) ^ v0
        v2 = _rotate(v2, 32)
    return v0, v1, v2, v3


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> 64 - bits) & _MASK
