"""SipHash-2-4: a fast keyed hash of 64 bits (Aumasson and Bernstein 2012), for BIP152 and filters.

Whoever does not know the key can't find two inputs with the same hash on purpose.
"""

from collections.abc import Sequence
from struct import Struct

_MASK = 0xFFFFFFFFFFFFFFFF
_WORD = Struct("<Q")
_LANE = Struct("<Q8x")
_HASH_BYTES = 32


def siphash(k0: int, k1: int, data: bytes) -> int:
    """64 bits. k0, k1: the key's halves, each read as little-endian. Core: CSipHasher."""
    state = _initial(k0, k1)
    padding = bytes(7 - len(data) % 8)
    padded = data + padding + bytes((len(data) & 0xFF,))
    for (word,) in _WORD.iter_unpack(padded):
        v0, v1, v2, v3 = _rounds((*state[:3], state[3] ^ word), 2)
        state = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = _rounds((state[0], state[1], state[2] ^ 0xFF, state[3]), 4)
    return v0 ^ v1 ^ v2 ^ v3


def _initial(k0: int, k1: int) -> tuple[int, int, int, int]:
    return (
        k0 ^ 0x736F6D6570736575,  # "somepseudorandomlygeneratedbytes"
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    )


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


# Many at once. Each of the four words of the state is a long integer that has one hash's word in
# every 128 bits, as the words of `chacha20.py` have: to add and to rotate takes hardly longer for a
# hundred hashes than for one.

_LANE_BITS = 128
_LANES = 512  # hashes at once: with more, the integers outgrow the processor's nearest cache


def siphash_of_hashes(k0: int, k1: int, hashes: Sequence[bytes]) -> list[int]:
    """The `siphash` of each of many strings of 32 bytes. Core: SipHashUint256.

    Raises ValueError for another length.
    """
    if any(len(hash_) != _HASH_BYTES for hash_ in hashes):
        raise ValueError("a hash has 32 bytes")
    found: list[int] = []
    for start in range(0, len(hashes), _LANES):
        found += _siphash_in_lanes(k0, k1, hashes[start : start + _LANES])
    return found


def _siphash_in_lanes(k0: int, k1: int, hashes: Sequence[bytes]) -> list[int]:
    every = ((1 << _LANE_BITS * len(hashes)) - 1) // ((1 << _LANE_BITS) - 1)
    mask = _MASK * every
    v0, v1, v2, v3 = (word * every for word in _initial(k0, k1))
    filler = bytes(8)
    for at in (*range(0, _HASH_BYTES, 8), None):
        if at is None:
            word = (_HASH_BYTES << 56) * every
        else:
            in_lanes = b"".join([hash_[at : at + 8] + filler for hash_ in hashes])
            word = int.from_bytes(in_lanes, "little")
        v0, v1, v2, v3 = _rounds_in_lanes((v0, v1, v2, v3 ^ word), mask, 2)
        v0 ^= word
    v0, v1, v2, v3 = _rounds_in_lanes((v0, v1, v2 ^ 0xFF * every, v3), mask, 4)
    mixed = (v0 ^ v1 ^ v2 ^ v3).to_bytes(len(hashes) * _LANE_BITS // 8, "little")
    return [low for (low,) in _LANE.iter_unpack(mixed)]


def _rounds_in_lanes(
    state: tuple[int, int, int, int], mask: int, count: int
) -> tuple[int, int, int, int]:
    """As `_rounds`. What a shift brings over a word's border lies in the lane's upper half."""
    v0, v1, v2, v3 = state
    for _ in range(count):
        v0 = (v0 + v1) & mask
        v2 = (v2 + v3) & mask
        v1 = (v1 << 13 | v1 >> 51) & mask ^ v0
        v3 = (v3 << 16 | v3 >> 48) & mask ^ v2
        v0 = ((v0 << 32 | v0 >> 32) & mask) + v3 & mask
        v2 = (v2 + v1) & mask
        v1 = (v1 << 17 | v1 >> 47) & mask ^ v2
        v3 = (v3 << 21 | v3 >> 43) & mask ^ v0
        v2 = (v2 << 32 | v2 >> 32) & mask
    return v0, v1, v2, v3
