"""Searching for a nonce in all 256 bits of it."""

from unittest.mock import patch

import pytest
from tests.support.classic import FIRST_NONCE, FIRST_TIMESTAMP, solve

from drystone.classic import pow as classic_pow
from drystone.classic.block import GENESIS, Header
from drystone.classic.pow import MAX_NONCE, TARGET, has_work, search
from drystone.kernel import Cancel


def header(nonce: int) -> Header:
    return Header(GENESIS.hash, FIRST_TIMESTAMP, nonce)


@pytest.mark.parametrize(
    ("start", "works"), [("0000ffff", True), ("000100ff", False), ("0100ffff", False)]
)
def test_work_is_two_zero_bytes(start: str, works: bool) -> None:  # noqa: FBT001
    block_hash = bytes.fromhex(start) + b"\xff" * 28
    assert has_work(block_hash) is works
    assert (int.from_bytes(block_hash, "big") <= TARGET) is works


def test_the_search_takes_the_first_nonce_the_last_and_none_beyond() -> None:
    assert search(header(FIRST_NONCE), 1) == FIRST_NONCE
    assert search(header(FIRST_NONCE - 9), 10) == FIRST_NONCE
    assert search(header(FIRST_NONCE - 9), 9) is None
    assert search(header(FIRST_NONCE), 0) is None


def test_the_search_finds_the_lowest_solution() -> None:
    first = solve(GENESIS.hash, FIRST_TIMESTAMP).nonce
    second = solve(GENESIS.hash, FIRST_TIMESTAMP, first + 1).nonce
    assert first == FIRST_NONCE < second
    assert search(header(0), second + 1) == first


def test_a_solution_high_in_the_256_bits_is_found_with_all_of_them() -> None:
    start = (0xABCDEF << 200) + (7 << 32)
    found = search(header(start), 1 << 22)
    assert found is not None and start <= found < start + (1 << 22)
    assert has_work(header(found).hash)


def test_the_search_goes_on_across_a_multiple_of_2_32() -> None:
    boundary = 5 << 32
    behind = search(header(boundary), 1 << 22)
    assert behind is not None and has_work(header(behind).hash)
    # The nearest solution before the boundary ends the range in which there is none.
    start = boundary - 1
    while not has_work(header(start).hash) and start > boundary - 2000:
        start -= 1
    start += has_work(header(start).hash)
    assert start < boundary
    assert search(header(start), behind - start + 1) == behind
    assert search(header(start), behind - start) is None


def test_a_range_across_2_32_is_searched_in_two_parts_that_keep_the_high_bits() -> None:
    asked: list[tuple[bytes, int, int, int]] = []

    def kernel(fixed: bytes, target: int, start: int, count: int, *, cancel: Cancel | None) -> None:
        asked.append((fixed[37:], target, start, count))

    with patch.object(classic_pow, "kernel_search", kernel):
        assert search(header((3 << 32) - 10), 30) is None
    assert asked == [
        ((2 << 32).to_bytes(32, "big"), TARGET, (1 << 32) - 10, 10),
        ((3 << 32).to_bytes(32, "big"), TARGET, 0, 20),
    ]


def test_the_last_of_all_nonces_is_tried_and_the_search_ends_there() -> None:
    assert search(header(MAX_NONCE - 5), 1000) is None
    counts: list[int] = []

    def kernel(fixed: bytes, target: int, start: int, count: int, *, cancel: Cancel | None) -> None:
        counts.append(count)

    with patch.object(classic_pow, "kernel_search", kernel):
        assert search(header(MAX_NONCE - 5), 1000) is None
        assert search(header(MAX_NONCE), 1) is None
    assert counts == [6, 1]


def test_a_cancelled_search_finds_nothing() -> None:
    cancel = Cancel()
    assert search(header(58_000), 1000, cancel=cancel) == FIRST_NONCE
    cancel.set()
    assert search(header(58_000), 1000, cancel=cancel) is None


def test_a_search_that_is_cancelled_in_one_part_does_not_begin_the_next() -> None:
    cancel, starts = Cancel(), []

    def kernel(fixed: bytes, target: int, start: int, count: int, *, cancel: Cancel | None) -> None:
        starts.append(start)
        assert cancel is not None
        cancel.set()

    with patch.object(classic_pow, "kernel_search", kernel):
        assert search(header((3 << 32) - 10), 30, cancel=cancel) is None
    assert starts == [(1 << 32) - 10]
