"""Proof of work: targets in their compact form, work as an integer, and the target to come.

A block's hash, read as a little-endian number, must not be above the target. The header carries
the target as `bits`, a floating point number of base 256:

```
bits    1d00ffff                    value = 0x00ffff * 256^(0x1d - 3), the sign in bit 23
        |  `- 23 bits of magnitude
        `- bytes
```
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from drystone.consensus.params import Params
from drystone.primitives.block import BlockHeader

HeaderAt = Callable[[int], BlockHeader]
"""The header at a height of the branch in question. Of a list from genesis: its `__getitem__`."""

RETARGET_CLAMP: Final = 4  # a target changes by no more than this factor, up or down

_SIGN = 0x00800000
_MAGNITUDE = 0x007FFFFF


class Compact(NamedTuple):
    """What bits stand for. Core: arith_uint256::SetCompact."""

    value: int  # below 2^256: what overflows is cut off
    is_negative: bool
    is_overflow: bool


def read_compact(bits: int) -> Compact:
    """Value, sign and overflow of bits: also of those that no target may have."""
    size, magnitude = bits >> 24, bits & _MAGNITUDE
    shift = 8 * (size - 3)
    value = magnitude << shift if shift >= 0 else magnitude >> -shift
    # Core quirk: bit 23 makes a number negative, but zero that the shift has left isn't.
    return Compact(value % 2**256, bool(value and bits & _SIGN), value >= 2**256)


def target_from_bits(bits: int, pow_limit: int) -> int | None:
    """The target, or None for bits that no header may have. Core: DeriveTarget."""
    value, is_negative, is_overflow = read_compact(bits)
    if is_negative or is_overflow or not 0 < value <= pow_limit:
        return None
    return value


def bits_from_target(target: int) -> int:
    """Bits of a target, its lower bytes cut off. target: below 2^256. Core: GetCompact."""
    size = (target.bit_length() + 7) // 8
    shift = 8 * (size - 3)
    magnitude = target >> shift if shift >= 0 else target << -shift
    if magnitude & _SIGN:  # the bit is taken by the sign: a byte less of precision
        magnitude >>= 8
        size += 1
    return size << 24 | magnitude


def is_proof_of_work(block_hash: bytes, bits: int, pow_limit: int) -> bool:
    """Whether a hash meets the target that bits stand for. Core: CheckProofOfWork."""
    target = target_from_bits(bits, pow_limit)
    return target is not None and int.from_bytes(block_hash, "little") <= target


@lru_cache(maxsize=1_000)  # a chain's bits seldom change, and every header asks
def block_work(bits: int) -> int:
    """The hashes that a block takes on average; 0 for bits that are no target.

    The chain with most work is the chain. Core: GetBlockProof.
    """
    value, is_negative, is_overflow = read_compact(bits)
    if is_negative or is_overflow or value == 0:
        return 0
    return 2**256 // (value + 1)


def next_bits(parent_height: int, header_at: HeaderAt, time: int, params: Params) -> int:
    """The bits that the block after a parent must have. Core: GetNextWorkRequired.

    header_at: for heights from 0 to the parent's. time: the new block's own; only chains with
    `allow_min_difficulty` look at it.
    """
    parent = header_at(parent_height)
    if (parent_height + 1) % params.retarget_interval == 0:
        return _retarget(parent_height, header_at, params)
    if not params.allow_min_difficulty:
        return parent.bits
    if time > parent.time + 2 * params.pow_spacing_s:
        return bits_from_target(params.pow_limit)
    return _last_real_bits(parent_height, header_at, params)


def _retarget(parent_height: int, header_at: HeaderAt, params: Params) -> int:
    """Bits for the first block of a period, by how long the one before it took.

    Core quirk: from its first block to its last, a period of 2,016 blocks has 2,015 intervals.
    So blocks come 1/2015 slower than aimed at, and the interval between periods never counts:
    where times can be set back across it, difficulty can be brought down (the timewarp attack).

    Core: CalculateNextWorkRequired. Its product is cut off at 256 bits, which no chain of its own
    comes near; here it isn't.
    """
    parent = header_at(parent_height)
    if params.no_retargeting:
        return parent.bits
    first = header_at(parent_height - (params.retarget_interval - 1))
    timespan = min(
        max(parent.time - first.time, params.pow_timespan_s // RETARGET_CLAMP),
        params.pow_timespan_s * RETARGET_CLAMP,
    )
    # The first block of a period can't be one of minimal difficulty, so it knows the real one;
    # the last can, and without BIP94 it would reset the difficulty of the whole chain.
    base = first if params.enforce_bip94 else parent
    target = read_compact(base.bits).value * timespan // params.pow_timespan_s
    return bits_from_target(min(target, params.pow_limit))


def _last_real_bits(parent_height: int, header_at: HeaderAt, params: Params) -> int:
    """Bits of the last block that wasn't of minimal difficulty, in this period."""
    limit_bits = bits_from_target(params.pow_limit)
    if params.no_retargeting and params.genesis.header.bits == limit_bits:
        return limit_bits  # as regtest: there never are others, and nobody need look for them
    height = parent_height
    header = header_at(height)
    while height % params.retarget_interval != 0 and header.bits == limit_bits:
        height -= 1
        header = header_at(height)
    return header.bits


def permitted_difficulty_transition(
    height: int, old_bits: int, new_bits: int, params: Params
) -> bool:
    """Whether the block at a height may have new bits after old ones, going by nothing else.

    To reject made-up header chains before keeping any of them; no rule of its own.
    Core: PermittedDifficultyTransition.
    """
    if params.allow_min_difficulty:
        return True
    if height % params.retarget_interval != 0:
        return new_bits == old_bits
    old_target, new_target = read_compact(old_bits).value, read_compact(new_bits).value
    timespan = params.pow_timespan_s
    easiest = old_target * (timespan * RETARGET_CLAMP) // timespan
    hardest = old_target * (timespan // RETARGET_CLAMP) // timespan
    least, most = (_as_written(min(target, params.pow_limit)) for target in (hardest, easiest))
    return least <= new_target <= most


def _as_written(target: int) -> int:
    """The target that is left once it has been through bits."""
    return read_compact(bits_from_target(target)).value
