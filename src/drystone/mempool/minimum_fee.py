"""The least fee rate that is let in while the mempool is full, and how it falls afterwards."""

from math import isqrt
from typing import Final

HALF_LIFE_S: Final = 12 * 3_600  # Core: ROLLING_FEE_HALFLIFE
LEAST_STEP_S: Final = 10  # it doesn't fall by less
FRACTION_BITS: Final = 32  # the rate is kept as finely as this


class MinimumFee:
    """Above what was evicted last; it halves every twelve hours, or sooner if there is room.

    It only begins to fall with the next block: until then, what was evicted may be on offer again.
    Integers throughout: a logarithm from some library would not be the same everywhere.
    """

    def __init__(self, incrementalrelayfee: int) -> None:
        self._increment = incrementalrelayfee
        self._rate = 0  # satoshis for 1,000 virtual bytes, times 2^FRACTION_BITS
        self._updated_s = 0
        self._has_seen_block = True

    def rate(self, now_s: int, usage_bytes: int, max_usage_bytes: int) -> int:
        """Satoshis for 1,000 virtual bytes. now_s: unix time. Core: CTxMemPool::GetMinFee."""
        if not self._has_seen_block or not self._rate:
            return self._rounded()
        passed_s = now_s - self._updated_s
        if passed_s > LEAST_STEP_S:
            half_life_s = HALF_LIFE_S
            if usage_bytes < max_usage_bytes // 4:
                half_life_s //= 4
            elif usage_bytes < max_usage_bytes // 2:
                half_life_s //= 2
            self._rate = halved(self._rate, passed_s, half_life_s)
            self._updated_s = now_s
            if 2 * self._rate < self._increment << FRACTION_BITS:
                self._rate = 0
                return 0
        return max(self._rounded(), self._increment)

    def evicted(self, rate: int) -> None:
        """Something that paid this rate had to go. Core: trackPackageRemoved."""
        rate += self._increment
        if rate << FRACTION_BITS > self._rate:
            self._rate = rate << FRACTION_BITS
            self._has_seen_block = False

    def block_came(self, now_s: int) -> None:
        """From now on, the rate falls."""
        self._updated_s = now_s
        self._has_seen_block = True

    def _rounded(self) -> int:
        return (self._rate + (1 << FRACTION_BITS - 1)) >> FRACTION_BITS


def halved(value: int, passed: int, half_life: int) -> int:
    """value * 2^(-passed / half_life), to within one part in 2^30."""
    halvings, rest = divmod(passed, half_life)
    value >>= halvings
    fraction = (rest << len(_ROOTS)) // half_life  # as a binary fraction, its first digit a half
    for n, root in enumerate(_ROOTS, start=1):
        if fraction >> (len(_ROOTS) - n) & 1:
            value = value * root >> _ROOT_BITS
    return value


_ROOT_BITS = 64


def _roots(count: int) -> tuple[int, ...]:
    """2^(-1/2), 2^(-1/4), 2^(-1/8) and so on, each the root of the one before."""
    roots = [1 << _ROOT_BITS - 1]  # one half
    for _ in range(count):
        roots.append(isqrt(roots[-1] << _ROOT_BITS))
    return tuple(roots[1:])


_ROOTS = _roots(32)
