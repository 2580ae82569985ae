"""What testnet4's rules do over whole periods: easy blocks after 20 minutes, and two attacks.

Periods are of 20 blocks here, at testnet4's ten minutes to the block. Each header is checked by all
rules of headers but for the work itself.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from drystone.consensus.chains import TESTNET4, variant
from drystone.consensus.errors import BlockInvalid
from drystone.consensus.header import contextual_check_header
from drystone.consensus.locktime import MEDIAN_TIME_SPAN, median_time_past
from drystone.consensus.params import Params
from drystone.consensus.pow import next_bits, read_compact
from drystone.primitives.block import BlockHeader

SHORT = variant(TESTNET4, "short", pow_timespan_s=20 * 600)
WITHOUT_BIP94 = variant(TESTNET4, "without", pow_timespan_s=20 * 600, enforce_bip94=False)
LIMIT = 0x1D00FFFF
REAL = 0x1C100000
START = 10**9


@dataclass
class Headers:
    """A chain of headers. The first period is an honest one of real difficulty."""

    params: Params
    chain: list[BlockHeader] = field(default_factory=list)

    def __post_init__(self) -> None:
        previous = self.params.genesis_hash
        for height in range(20):
            time = START + 12_000 * height // 19
            self.chain.append(BlockHeader(4, previous, bytes(32), time, REAL, 0))
            previous = self.chain[-1].hash

    @property
    def median_time(self) -> int:
        return median_time_past([each.time for each in self.chain[-MEDIAN_TIME_SPAN:]])

    @property
    def is_last_of_period(self) -> bool:
        """The block to come."""
        return len(self.chain) % 20 == 19

    def add(self, time: int) -> BlockHeader:
        """A block of this time. Raises BlockInvalid."""
        height, tip = len(self.chain), self.chain[-1]
        bits = next_bits(height - 1, self.chain.__getitem__, time, self.params)
        header = BlockHeader(4, tip.hash, bytes(32), time, bits, 0)
        contextual_check_header(
            header,
            tip,
            height=height,
            expected_bits=bits,
            previous_median_time=self.median_time,
            max_time=2**32,
            params=self.params,
        )
        self.chain.append(header)
        return header


def target(header: BlockHeader) -> int:
    return read_compact(header.bits).value


def test_who_waits_20_minutes_has_an_easy_block_and_the_next_is_a_real_one() -> None:
    headers = Headers(SHORT)
    for _ in range(5):
        now = headers.chain[-1].time
        assert headers.add(now + 600).bits == REAL
        assert headers.add(now + 600 + 1201).bits == (
            REAL if len(headers.chain) % 20 == 1 else LIMIT
        )
        assert headers.add(now + 600 + 1201 + 1200).bits == REAL


def test_a_storm_of_easy_blocks_leaves_the_difficulty_as_it_was() -> None:
    """All but the first claim to be 20 minutes late. The period seems to have been a slow one."""
    headers = Headers(SHORT)
    for _ in range(20):
        headers.add(headers.chain[-1].time + 1201)
    assert [each.bits for each in headers.chain[20:]] == [REAL] + [LIMIT] * 19
    after = headers.add(headers.chain[-1].time + 1)
    assert target(after) == target(headers.chain[20]) * 19 * 1201 // 12_000 >> 200 << 200


def test_without_bip94_it_becomes_everybodys() -> None:
    headers = Headers(WITHOUT_BIP94)
    for _ in range(20):
        headers.add(headers.chain[-1].time + 1201)
    for _ in range(20):
        assert headers.add(headers.chain[-1].time + 1).bits == LIMIT


def warp(headers: Headers, periods: int) -> list[int]:
    """The timewarp attack: times creep on by seconds, but a period's last has the clock's.

    Then the next period's first time goes back as far as may be. Blocks come every ten minutes,
    which should leave the target as it is. Each period's target, from before the attack on.
    """
    clock = headers.chain[-1].time
    targets = [target(headers.chain[-1])]
    for _ in range(periods * 20):
        clock += 600
        is_first = len(headers.chain) % 20 == 0
        creeping = headers.median_time + 1
        if headers.is_last_of_period:
            headers.add(clock)
        elif is_first and headers.params.enforce_bip94:
            with pytest.raises(BlockInvalid, match="time-timewarp-attack"):
                headers.add(headers.chain[-1].time - 601)
            headers.add(headers.chain[-1].time - 600)
        else:
            headers.add(creeping)
        if is_first:
            targets.append(target(headers.chain[-1]))
    return targets


def test_a_timewarp_brings_difficulty_down_to_the_least_there_is() -> None:
    headers = Headers(variant(WITHOUT_BIP94, "strict", allow_min_difficulty=False))
    targets = warp(headers, 5)
    assert targets[2] > 1.2 * targets[1]
    assert targets[3] > 2 * targets[2]
    assert targets[4] > 3 * targets[3]
    assert headers.chain[-1].bits == LIMIT


def test_bip94_stops_it() -> None:
    """What the ten minutes allow is a twentieth here; of periods of 2,016, one in 2,016."""
    headers = Headers(variant(SHORT, "strict", allow_min_difficulty=False))
    targets = warp(headers, 5)
    assert all(after <= before * 1.0501 for before, after in pairwise(targets))
