"""ChaCha20 (RFC 8439): a key and a nonce become a stream of bytes that looks like noise.

A block of the stream is made of sixteen words of 32 bits, which 80 quarter rounds mix:

```
constants (4 words) | key (8) | counter (1) | nonce (3)          all little-endian
```

No block depends on another, so many are made at once here: each of the sixteen is a long integer
that has one block's word in every 64 bits of it. To add, to rotate and to mask takes hardly longer
for a hundred words than for one.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
BLOCK_BYTES: Final = 64

_CONSTANTS = Struct("<4I").unpack(b"expand 32-byte k")
_KEY_WORDS, _NONCE_WORDS = 8, 3
_COUNTERS = 1 << 32
_MASK = 0xFFFFFFFF
_LANE_BITS = 64
_LANES = 384  # blocks at once: with more, the integers outgrow the processor's nearest cache
_COLUMNS_AND_DIAGONALS = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)


def chacha20(key: bytes, nonce: bytes, counter: int, data: bytes) -> bytes:
    """Data, encrypted or decrypted: XORed with the stream. Arguments as of `keystream`."""
    blocks = -(-len(data) // BLOCK_BYTES)
    stream = keystream(key, nonce, counter, blocks)[: len(data)]
    mixed = int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")
    return mixed.to_bytes(len(data), "little")


def keystream(key: bytes, nonce: bytes, counter: int, blocks: int) -> bytes:
    """So many blocks of 64 bytes, from that one on.

    key: 32 bytes. nonce: 12 bytes. counter + blocks: at most 2^32. Raises ValueError.
    """
    if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError(f"a key of 32 bytes and a nonce of 12, not {len(key)} and {len(nonce)}")
    if not (0 <= counter and 0 <= blocks and counter + blocks <= _COUNTERS):
        raise ValueError(f"not a range of 32-bit counters: {blocks} from {counter}")
    parts = []
    for start in range(counter, counter + blocks, _LANES):
        count = min(_LANES, counter + blocks - start)
        every = _repeated(count)
        state = [word * every for word in (*_CONSTANTS, *Struct("<8I").unpack(key))]
        state.append(_lanes(range(start, start + count)))
        state += [word * every for word in Struct("<3I").unpack(nonce)]
        parts.append(_joined(_mixed(state, count), count))
    return b"".join(parts)


def keystreams(keys: bytes, blocks: int) -> bytes:
    """The first blocks of many keys' streams, one stream after the other, all of nonce zero.

    keys: 32 bytes each, joined. blocks: of each key, at most 2^32. Raises ValueError.
    """
    check_keystreams(keys, blocks)
    if blocks > _LANES:  # each stream is long enough by itself
        nonce = bytes(NONCE_BYTES)
        each = (keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES))
        return b"".join(keystream(key, nonce, 0, blocks) for key in each)
    if not blocks:
        return b""
    step = _LANES // blocks * KEY_BYTES
    return b"".join(_keystreams(keys[at : at + step], blocks) for at in range(0, len(keys), step))


def check_keystreams(keys: bytes, blocks: int) -> None:
    """Whether `keystreams` takes these. Raises ValueError."""
    if len(keys) % KEY_BYTES:
        raise ValueError(f"keys have {KEY_BYTES} bytes each, and {len(keys)} are no multiple")
    if not 0 <= blocks <= _COUNTERS:
        raise ValueError(f"not a number of blocks that 32 bits can count: {blocks}")


def _keystreams(keys: bytes, blocks: int) -> bytes:
    words = Struct(f"<{len(keys) // 4}I").unpack(keys)
    count = len(keys) // KEY_BYTES * blocks
    # The blocks of a key are neighbours, so its words are repeated so many times in a row.
    of_key = _repeated(blocks)
    state = [word * _repeated(count) for word in _CONSTANTS]
    state += [_lanes(words[n::_KEY_WORDS], blocks) * of_key for n in range(_KEY_WORDS)]
    state.append(_lanes(range(blocks)) * _repeated(count // blocks, blocks))
    state += [0] * _NONCE_WORDS
    return _joined(_mixed(state, count), count)


def _mixed(before: list[int], count: int) -> list[int]:
    """The state after twenty rounds, plus the state before."""
    mask = _MASK * _repeated(count)
    state = before[:]
    for _ in range(10):
        for ia, ib, ic, id_ in _COLUMNS_AND_DIAGONALS:
            a, b, c, d = state[ia], state[ib], state[ic], state[id_]
            # What a shift brings over a word's border lies in the upper half of a lane: masked.
            a = (a + b) & mask
            d ^= a
            d = (d << 16 | d >> 16) & mask
            c = (c + d) & mask
            b ^= c
            b = (b << 12 | b >> 20) & mask
            a = (a + b) & mask
            d ^= a
            d = (d << 8 | d >> 24) & mask
            c = (c + d) & mask
            b ^= c
            b = (b << 7 | b >> 25) & mask
            state[ia], state[ib], state[ic], state[id_] = a, b, c, d
    return [(one + other) & mask for one, other in zip(state, before, strict=True)]


def _repeated(count: int, lanes_apart: int = 1) -> int:
    """One in so many lanes: times a word, that is the word in each of them."""
    bits = _LANE_BITS * lanes_apart
    return ((1 << bits * count) - 1) // ((1 << bits) - 1)


def _lanes(words: Sequence[int], lanes_apart: int = 1) -> int:
    """The words in lanes, the first lowest."""
    filler = bytes(_LANE_BITS // 8 * lanes_apart - 4)
    in_lanes = b"".join([word.to_bytes(4, "little") + filler for word in words])
    return int.from_bytes(in_lanes, "little")


def _joined(state: list[int], count: int) -> bytes:
    """From one word of all blocks after the other, to one block after the other."""
    words = [0] * (16 * count)
    lanes = Struct("<" + "I4x" * count)
    for n, column in enumerate(state):
        words[n::16] = lanes.unpack(column.to_bytes(count * _LANE_BITS // 8, "little"))
    return Struct(f"<{16 * count}I").pack(*words)
