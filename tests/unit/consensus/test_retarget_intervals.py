"""How far apart blocks are at a constant hash rate: farther than a chain's spacing, by its rule.

A retarget measures a period of N blocks from the first to the last, N - 1 intervals, and aims at
the time for N. What it measures is random besides: the next target goes by 1 / time, and the mean
of 1 / time is 1 / (N - 2), where that of the time is N - 1 intervals. So the mean interval is

    spacing * N / (N - 2)        600 s * 2016 / 2014 = 600.596 s        10 s * 20 / 18 = 11.111 s

Here a stop-watch times periods that follow each other by the real rule, with block times in whole
seconds and targets in three bytes of precision. Given its target, an interval is exponential, as
`test_find_intervals` shows of real hashes; so N - 1 of them are drawn at once, as a Gamma variate.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest

from drystone.consensus.chains import LOCAL, MAINNET, TESTNET4
from drystone.consensus.params import Params
from drystone.consensus.pow import HeaderAt, bits_from_target, block_work, next_bits, read_compact
from drystone.core.chance import Stream
from drystone.primitives.block import BlockHeader
from drystone.primitives.hashes import NULL_HASH, BlockHash

Rule = Callable[[int, HeaderAt, int, Params], int]

# Of so many periods, the mean varies by 0.003 s (0.005 s on `local`) from seed to seed, far less
# than as many intervals by themselves would: who is lucky in one period has a hard target and so a
# slow one next. Of 1,000 periods it would be 0.03 s.
PERIODS = 50_000
TOLERANCE_S = 0.06

EPOCH_S = 1_000_000_000
MIDDLING_BITS = 0x1A400000  # neither near a limit nor short of precision


class Chance:
    """Exponential and Gamma variates of mean 1 per block, from a stream."""

    def __init__(self, *labels: str | int) -> None:
        self._word = Stream(1, *labels).word

    def uniform(self) -> float:
        """Above 0, at most 1."""
        return ((self._word() >> 11) + 1) / (1 << 53)

    def exponential(self) -> float:
        return -math.log(self.uniform())

    def sum_of_exponentials(self, count: int) -> float:
        return math.fsum(self.exponential() for _ in range(count))

    def gamma(self, count: int) -> float:
        """A sum of as many, in one draw: exact, by Marsaglia and Tsang (2000)."""
        d = count - 1 / 3
        c = 1 / math.sqrt(9 * d)
        while True:
            turn = 2 * math.pi * self.uniform()
            normal = math.sqrt(2 * self.exponential()) * math.cos(turn)
            v = (1 + c * normal) ** 3
            if v > 0 and -self.exponential() < normal**2 / 2 + d - d * v + d * math.log(v):
                return d * v


class Luck(NamedTuple):
    """Of a period's blocks: how many times the expected hashes they took."""

    first: float
    others: float  # all others together


@cache
def luck(blocks: int, *, one_by_one: bool = False) -> list[Luck]:
    """Of each period."""
    chance = Chance("luck of periods", blocks)
    draw = chance.sum_of_exponentials if one_by_one else chance.gamma
    return [Luck(chance.exponential(), draw(blocks - 1)) for _ in range(PERIODS)]


def mean_interval_s(
    params: Params, bits: int, rule: Rule = next_bits, *, one_by_one: bool = False
) -> float:
    """From the end of the first period to that of the last, at a hash rate that never changes.

    bits: of the first period, with which blocks come at the chain's spacing.
    """
    blocks = params.retarget_interval
    hashes_per_s = block_work(bits) / params.pow_spacing_s
    elapsed_s, periods = 0.0, luck(blocks, one_by_one=one_by_one)
    for period, lucky in enumerate(periods):
        interval_s = block_work(bits) / hashes_per_s
        elapsed_s += lucky.first * interval_s if period else 0
        # 50,000 periods of two weeks are more than a header can tell: each has its own clock,
        # which goes on with the same fraction of a second.
        began_s = EPOCH_S + elapsed_s % 1
        ended_s = began_s + lucky.others * interval_s
        elapsed_s += lucky.others * interval_s if period else 0
        first, last = period * blocks, period * blocks + blocks - 1
        headers = {first: header(began_s, bits), last: header(ended_s, bits)}
        bits = rule(last, headers.__getitem__, 0, params)
    return elapsed_s / blocks / (len(periods) - 1)


def header(time: float, bits: int) -> BlockHeader:
    return BlockHeader(4, BlockHash(NULL_HASH), NULL_HASH, int(time), bits, 0)


@pytest.mark.parametrize("params", [MAINNET, TESTNET4], ids=lambda params: params.name)
def test_blocks_come_every_600_6_seconds(params: Params) -> None:
    mean_s = mean_interval_s(params, MIDDLING_BITS)
    assert abs(mean_s - 600 * 2016 / 2014) < TOLERANCE_S
    assert abs(mean_s - 600 * 2016 / 2015) > TOLERANCE_S  # if it measured 2,016 intervals
    assert abs(mean_s - 600) > TOLERANCE_S


@pytest.mark.parametrize("one_by_one", [False, True], ids=["gamma", "one by one"])
def test_on_local_they_come_every_11_1_seconds(*, one_by_one: bool) -> None:
    """However the intervals are drawn."""
    mean_s = mean_interval_s(LOCAL, MIDDLING_BITS, one_by_one=one_by_one)
    assert abs(mean_s - 200 / 18) < TOLERANCE_S
    assert abs(mean_s - 200 / 19) > TOLERANCE_S
    assert abs(mean_s - 10) > TOLERANCE_S


def test_the_stop_watch_can_tell_another_rule() -> None:
    """One that measures from the last block of the period before: 2,016 intervals."""

    def without_the_quirk(last: int, header_at: HeaderAt, _: int, params: Params) -> int:
        parent, first = header_at(last), header_at(last - params.retarget_interval + 1)
        timespan = parent.time - first.time
        timespan = timespan * params.retarget_interval // (params.retarget_interval - 1)
        target = read_compact(parent.bits).value * timespan // params.pow_timespan_s
        return bits_from_target(target)

    mean_s = mean_interval_s(MAINNET, MIDDLING_BITS, without_the_quirk)
    assert abs(mean_s - 600 * 2015 / 2014) < TOLERANCE_S
    assert abs(mean_s - 600 * 2016 / 2014) > TOLERANCE_S
