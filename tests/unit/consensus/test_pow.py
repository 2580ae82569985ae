"""Targets, work, and the target to come.

Sources: Bitcoin Core's src/test/pow_tests.cpp and arith_uint256_tests.cpp for values; BIP94 for
testnet4.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from drystone.consensus.chains import LOCAL, MAINNET, REGTEST, SIGNET, TESTNET4, variant
from drystone.consensus.params import Params
from drystone.consensus.pow import (
    Compact,
    HeaderAt,
    bits_from_target,
    block_work,
    is_proof_of_work,
    next_bits,
    permitted_difficulty_transition,
    read_compact,
    target_from_bits,
)
from drystone.primitives.block import BlockHeader
from drystone.primitives.hashes import NULL_HASH, BlockHash

ANY_LIMIT = 2**256 - 1

# Compact targets.


@pytest.mark.parametrize(
    ("bits", "value", "is_negative", "is_overflow"),
    [
        (0x00000000, 0, False, False),
        (0x00123456, 0, False, False),
        (0x01003456, 0, False, False),
        (0x02000056, 0, False, False),
        (0x03000000, 0, False, False),
        (0x04000000, 0, False, False),
        (0x00923456, 0, False, False),  # the sign of nothing
        (0x01803456, 0, False, False),
        (0x02800056, 0, False, False),
        (0x03800000, 0, False, False),
        (0x04800000, 0, False, False),
        (0x01123456, 0x12, False, False),
        (0x01FEDCBA, 0x7E, True, False),
        (0x02123456, 0x1234, False, False),
        (0x03123456, 0x123456, False, False),
        (0x04123456, 0x12345600, False, False),
        (0x04923456, 0x12345600, True, False),
        (0x05009234, 0x92340000, False, False),
        (0x20123456, 0x123456 << 232, False, False),
        (0x207FFFFF, 0x7FFFFF << 232, False, False),
        (0x2100FFFF, 0xFFFF << 240, False, False),
        (0x21010000, 0, False, True),
        (0x220000FF, 0xFF << 248, False, False),
        (0x22000100, 0, False, True),
        (0x23000001, 0, False, True),
        (0xFF123456, 0, False, True),
        (0xFF923456, 0, True, True),
        (0xFF000000, 0, False, False),
    ],
)
def test_bits_have_value_sign_and_overflow(
    bits: int, value: int, *, is_negative: bool, is_overflow: bool
) -> None:
    assert read_compact(bits) == Compact(value, is_negative, is_overflow)


@pytest.mark.parametrize(
    ("target", "bits"),
    [
        (0, 0x00000000),
        (0x12, 0x01120000),
        (0x80, 0x02008000),
        (0x1234, 0x02123400),
        (0x123456, 0x03123456),
        (0x12345600, 0x04123456),
        (0x123456FF, 0x04123456),
        (0x92340000, 0x05009234),
        (0x923400FF, 0x05009234),
        (0x8000FFFF, 0x05008000),
        (MAINNET.pow_limit, 0x1D00FFFF),
        (REGTEST.pow_limit, 0x207FFFFF),
        (2**256 - 1, 0x2100FFFF),
    ],
)
def test_targets_are_written_in_three_bytes_of_precision(target: int, bits: int) -> None:
    assert bits_from_target(target) == bits


@pytest.mark.parametrize("bits", [0x00000000, 0x01003456, 0x04923456, 0x01FEDCBA, 0xFF123456])
def test_zero_negative_and_overflow_are_no_targets(bits: int) -> None:
    assert target_from_bits(bits, ANY_LIMIT) is None
    assert not is_proof_of_work(NULL_HASH, bits, ANY_LIMIT)


def test_a_target_may_not_be_above_the_limit() -> None:
    assert target_from_bits(0x1D00FFFF, MAINNET.pow_limit) == 0xFFFF << 208
    assert target_from_bits(0x1D010000, MAINNET.pow_limit) is None
    assert not is_proof_of_work(NULL_HASH, 0x1D010000, MAINNET.pow_limit)


def test_a_hash_may_be_the_target_and_no_more() -> None:
    target = 0x123456 << 200
    bits = bits_from_target(target)
    assert is_proof_of_work(target.to_bytes(32, "little"), bits, ANY_LIMIT)
    assert not is_proof_of_work((target + 1).to_bytes(32, "little"), bits, ANY_LIMIT)


# Work.


@pytest.mark.parametrize(
    ("bits", "work"),
    [
        (0x1D00FFFF, 0x100010001),  # the first blocks' on mainnet
        (0x207FFFFF, 2),
        (0x1F00FFFF, 65_537),
        (0x1E0377AE, 2**256 // ((0x377AE << 216) + 1)),
        (0x01010000, 2**255),
        (0x00000000, 0),
        (0x04923456, 0),
        (0xFF123456, 0),
    ],
)
def test_work_is_the_hashes_that_a_block_takes(bits: int, work: int) -> None:
    assert block_work(bits) == work


# The target to come.


def header(time: int, bits: int) -> BlockHeader:
    return BlockHeader(1, BlockHash(NULL_HASH), NULL_HASH, time, bits, 0)


def only(headers: dict[int, BlockHeader]) -> HeaderAt:
    """Knows these heights; to ask for another is a mistake."""
    return headers.__getitem__


@pytest.mark.parametrize(
    ("height", "first_time", "time", "bits", "expected"),
    [
        (32_255, 1261130161, 1262152739, 0x1D00FFFF, 0x1D00D86A),  # the first change ever
        (2_015, 1231006505, 1233061996, 0x1D00FFFF, 0x1D00FFFF),  # no easier than the limit
        (68_543, 1279008237, 1279297671, 0x1C05A3F4, 0x1C0168FD),  # no harder than four times
        (46_367, 1263163443, 1269211443, 0x1C387F6F, 0x1D00E1FD),  # no easier; a made-up time
    ],
)
def test_retargets_of_mainnet(
    height: int, first_time: int, time: int, bits: int, expected: int
) -> None:
    headers = only({height - 2015: header(first_time, bits), height: header(time, bits)})
    assert next_bits(height, headers, time + 1, MAINNET) == expected
    assert permitted_difficulty_transition(height + 1, bits, expected, MAINNET)


def test_between_retargets_nothing_changes() -> None:
    headers = only({h: header(0, 0x1C05A3F4) for h in range(5000)})
    changed = [h for h in range(4000) if (h + 1) % 2016 == 0]
    for h in range(4000):
        if h not in changed:
            assert next_bits(h, headers, 10**9, MAINNET) == 0x1C05A3F4
    assert changed == [2015]


def chain(times: Sequence[int], bits: int) -> HeaderAt:
    return only(dict(enumerate(header(time, bits) for time in times)))


def test_a_period_has_one_interval_less_than_blocks() -> None:
    """19 intervals of 200/19 seconds leave the target as it is, not 20 of 10."""
    bits = 0x1E100000
    just = [200 * i // 19 for i in range(20)]
    assert next_bits(19, chain(just, bits), 0, LOCAL) == bits
    quick = [10 * i for i in range(20)]
    assert read_compact(next_bits(19, chain(quick, bits), 0, LOCAL)).value == (
        read_compact(bits).value * 190 // 200 >> 216 << 216
    )


def test_the_interval_between_periods_does_not_count() -> None:
    bits = 0x1E100000
    times = [10 * i for i in range(20)]
    for pause in (0, 1, 10**6):
        second = [times[-1] + pause + 200 * i // 19 for i in range(20)]
        assert next_bits(39, chain([*times, *second], bits), 0, LOCAL) == bits


@pytest.mark.parametrize(
    ("span", "counted"),
    [(-1000, 50), (0, 50), (49, 50), (50, 50), (51, 51), (799, 799), (800, 800), (10**6, 800)],
)
def test_a_target_changes_by_four_at_most(span: int, counted: int) -> None:
    bits = 0x1C100000
    times = [2000] * 19 + [2000 + span]
    expected = read_compact(bits).value * counted // 200
    assert next_bits(19, chain(times, bits), 0, LOCAL) == bits_from_target(expected)


def test_no_target_is_above_the_limit_and_nothing_is_cut_off_at_256_bits() -> None:
    slow = chain([1000 * i for i in range(20)], 0x207FFFFF)
    assert next_bits(19, slow, 0, LOCAL) == 0x207FFFFF


def test_regtest_never_retargets() -> None:
    headers = chain(list(range(144)), 0x207FFFFF)
    assert next_bits(143, headers, 0, REGTEST) == 0x207FFFFF


# Testnet4: a block of minimal difficulty after 20 minutes.

REAL = 0x1C00FFFF
LIMIT = 0x1D00FFFF


def test_after_twenty_minutes_a_block_may_be_of_minimal_difficulty() -> None:
    headers = only({4000: header(10**9, REAL)})
    assert next_bits(4000, headers, 10**9 + 1200, TESTNET4) == REAL
    assert next_bits(4000, headers, 10**9 + 1201, TESTNET4) == LIMIT
    assert next_bits(4000, headers, 10**9 + 1201, MAINNET) == REAL


def test_after_blocks_of_minimal_difficulty_the_last_real_one_counts() -> None:
    headers = {4000: header(0, REAL)} | {h: header(0, LIMIT) for h in range(4001, 4011)}
    assert next_bits(4010, only(headers), 1, TESTNET4) == REAL


def test_it_is_not_looked_for_before_the_period() -> None:
    headers = {4031: header(0, REAL)} | {h: header(0, LIMIT) for h in range(4032, 4041)}
    del headers[4031]
    assert next_bits(4040, only(headers), 1, TESTNET4) == LIMIT


def test_genesis_is_as_far_as_it_is_looked_for() -> None:
    headers = {h: header(0, LIMIT) for h in range(5)}
    assert next_bits(4, only(headers), 1, TESTNET4) == LIMIT


@pytest.mark.parametrize(("params", "base"), [(TESTNET4, REAL), (None, LIMIT)])
def test_bip94_retargets_from_the_first_block_of_the_period(
    params: Params | None, base: int
) -> None:
    """The last may be of minimal difficulty; without BIP94 that would become everybody's."""
    params = params or variant(TESTNET4, "testnet-without-bip94", enforce_bip94=False)
    headers = {2016: header(0, REAL), 4031: header(params.pow_timespan_s, LIMIT)}
    assert next_bits(4031, only(headers), 10**9, params) == base


def test_at_a_retarget_no_block_is_of_minimal_difficulty() -> None:
    headers = {2016: header(0, REAL), 4031: header(TESTNET4.pow_timespan_s, REAL)}
    assert next_bits(4031, only(headers), 10**9, TESTNET4) == REAL


# What may follow what, going by bits alone.


def test_between_retargets_no_transition_is_permitted() -> None:
    assert permitted_difficulty_transition(1000, 0x1C05A3F4, 0x1C05A3F4, MAINNET)
    assert not permitted_difficulty_transition(1000, 0x1C05A3F4, 0x1C05A3F3, MAINNET)


@pytest.mark.parametrize(
    ("old", "new", "is_permitted"),
    [
        (0x1C05A3F4, 0x1C0168FD, True),
        (0x1C05A3F4, 0x1C0168FC, False),  # more than four times as hard
        (0x1C387F6F, 0x1D00E1FD, True),
        (0x1C387F6F, 0x1D00E1FE, False),  # more than four times as easy
        (0x1D00FFFF, 0x1D00FFFF, True),
        (0x1D00FFFF, 0x1D010000, False),  # above the limit
    ],
)
def test_at_a_retarget_four_times_is_permitted(old: int, new: int, *, is_permitted: bool) -> None:
    assert permitted_difficulty_transition(2016, old, new, MAINNET) is is_permitted


def test_where_difficulty_may_be_minimal_everything_is_permitted() -> None:
    assert permitted_difficulty_transition(1, 0x207FFFFF, 0x1C05A3F4, REGTEST)
    assert permitted_difficulty_transition(2016, REAL, LIMIT, TESTNET4)
    assert not permitted_difficulty_transition(1, 0x1E0377AE, 0x1C05A3F4, SIGNET)


def test_what_next_bits_says_is_permitted() -> None:
    bits = 0x1E0F1234
    for span in range(0, 1000, 7):
        times = [0] * 19 + [span]
        new = next_bits(19, chain(times, bits), 0, LOCAL)
        assert permitted_difficulty_transition(20, bits, new, LOCAL)


def test_the_same_header_is_asked_for_however_the_chain_is_kept() -> None:
    headers = [replace(header(i * 600, 0x1D00FFFF), nonce=i) for i in range(2016)]
    assert next_bits(2015, headers.__getitem__, 0, MAINNET) == next_bits(
        2015, lambda height: headers[height], 0, MAINNET
    )
