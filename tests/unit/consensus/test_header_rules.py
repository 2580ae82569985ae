"""Each rule of headers: kept, broken, the step across the line, and which comes first."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.blocks import REGTEST, solved

from drystone.consensus.errors import BlockInvalid, BlockPremature, Rejected
from drystone.consensus.header import check_header, contextual_check_header
from drystone.consensus.params import Params
from drystone.primitives.block import BlockHeader
from drystone.primitives.hashes import BlockHash

MEDIAN, PREVIOUS_TIME, NOW = 10_000, 11_000, 12_000
MAX_TIME = NOW + 7200
PREVIOUS = BlockHeader(4, BlockHash(bytes(32)), bytes(32), PREVIOUS_TIME, 0x207FFFFF, 0)
HEADER = BlockHeader(4, PREVIOUS.hash, bytes(32), NOW, 0x207FFFFF, 0)
PARAMS = replace(REGTEST, bip34_height=100, bip66_height=200, bip65_height=300)


def check(header: BlockHeader, height: int = 1000, params: Params = PARAMS, **other: Any) -> None:
    context: dict[str, Any] = {
        "expected_bits": 0x207FFFFF,
        "previous_median_time": MEDIAN,
        "max_time": MAX_TIME,
    }
    contextual_check_header(header, PREVIOUS, height=height, params=params, **context | other)


def reason(*arguments: Any, **named: Any) -> str:
    with pytest.raises(Rejected) as refused:
        check(*arguments, **named)
    premature = refused.value.reason == "time-too-new"
    assert type(refused.value) is (BlockPremature if premature else BlockInvalid)
    return refused.value.reason


def test_a_solved_header_passes() -> None:
    check_header(solved(HEADER, REGTEST), REGTEST)


@pytest.mark.parametrize(
    "bits",
    [
        0x1D00FFFF,  # a target that the hash does not meet
        0x2100FFFF,  # above the limit
        0x20800001,  # negative
        0x00000000,  # zero
        0xFF123456,  # overflow
    ],
)
def test_a_header_without_work_is_refused(bits: int) -> None:
    with pytest.raises(BlockInvalid) as refused:
        check_header(replace(HEADER, bits=bits), REGTEST)
    assert refused.value.reason == "high-hash"


def test_work_may_be_assumed_by_a_chain_that_says_so() -> None:
    check_header(replace(HEADER, bits=0x1D00FFFF), replace(REGTEST, pow_assumed=True))


def test_a_header_that_keeps_every_rule_passes() -> None:
    check(HEADER)


def test_bits_are_those_expected() -> None:
    assert reason(HEADER, expected_bits=0x207FFFFE) == "bad-diffbits"


def test_time_is_past_the_median() -> None:
    assert reason(replace(HEADER, time=MEDIAN)) == "time-too-old"
    check(replace(HEADER, time=MEDIAN + 1))  # though before the previous block


def test_time_is_at_most_two_hours_ahead() -> None:
    check(replace(HEADER, time=MAX_TIME))
    assert reason(replace(HEADER, time=MAX_TIME + 1)) == "time-too-new"


def test_a_period_begins_at_most_ten_minutes_back() -> None:
    bip94 = replace(PARAMS, enforce_bip94=True)
    start = 5 * bip94.retarget_interval
    early = replace(HEADER, time=PREVIOUS_TIME - 601)
    assert reason(early, start, bip94) == "time-timewarp-attack"
    check(replace(HEADER, time=PREVIOUS_TIME - 600), start, bip94)
    check(early, start + 1, bip94)
    check(early, start - 1, bip94)
    check(early, start, PARAMS)


@pytest.mark.parametrize(("height", "least"), [(99, 0), (100, 2), (199, 2), (200, 3), (300, 4)])
def test_versions_go_up_with_bip34_66_and_65(height: int, least: int) -> None:
    check(replace(HEADER, version=least), height)
    if least:
        outdated = replace(HEADER, version=least - 1)
        assert reason(outdated, height) == f"bad-version(0x{least - 1:08x})"


def test_versions_are_signed() -> None:
    check(replace(HEADER, version=-1), 99)
    assert reason(replace(HEADER, version=-1), 100) == "bad-version(0xffffffff)"
    assert reason(replace(HEADER, version=-(2**31)), 300) == "bad-version(0x80000000)"
    check(replace(HEADER, version=0x20000000), 300)


def test_of_several_broken_rules_the_first_is_named() -> None:
    bip94 = replace(PARAMS, enforce_bip94=True)
    start = bip94.retarget_interval
    worst = replace(HEADER, time=MEDIAN, version=1)
    assert reason(worst, start, bip94, expected_bits=1, max_time=0) == "bad-diffbits"
    assert reason(worst, start, bip94, max_time=0) == "time-too-old"
    bad = replace(worst, time=PREVIOUS_TIME - 700)
    assert reason(bad, start, bip94, max_time=0) == "time-timewarp-attack"
    assert reason(bad, start, max_time=0) == "time-too-new"
    assert reason(bad, start) == "bad-version(0x00000001)"
