"""Every variant of the nonce search, against hashlib."""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from typing import Literal

import pytest

from drystone.core.chance import Stream
from drystone.kernel import BITCOIN, CLASSIC, Layout, search, variants

ALL_VARIANTS = (
    "avx512",
    "avx512-sha",
    "avx512-vectors",
    "shani",
    "avx2",
    "portable",
    "python",
)
COUNTERS = 1 << 32


@pytest.fixture(params=ALL_VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name not in variants():
        pytest.skip(f"this machine can't run the kernel variant {name}, or has no native module")
    return name


@pytest.fixture(params=[BITCOIN, CLASSIC], ids=lambda layout: layout.name)
def layout(request: pytest.FixtureRequest) -> Layout:
    chosen: Layout = request.param
    return chosen


def random_header(layout: Layout, seed: int) -> bytes:
    stream = Stream(seed, "header", layout.name)
    return bytes(stream.below(256) for _ in range(layout.header_bytes))


def number_of(layout: Layout, header: bytes, counter: int) -> int:
    """The hash of the header with this counter, as the integer that meets a target."""
    order: Literal["little", "big"] = "little" if layout is BITCOIN else "big"
    at = layout.counter_at
    with_counter = header[:at] + counter.to_bytes(4, order) + header[at + 4 :]
    return int.from_bytes(sha256(sha256(with_counter).digest()).digest(), order)


def lowest(layout: Layout, header: bytes, target: int, start: int, count: int) -> int | None:
    """What the search has to find, one hash after the other."""
    found = (n for n in range(start, start + count) if number_of(layout, header, n) <= target)
    return next(found, None)


def starts(count: int) -> Iterator[int]:
    """Ranges at the edges: of the counter, of a byte of it, of a group of lanes."""
    for start in (0, 1, 15, 255, 256, 65_535, 1 << 24, (1 << 31) - 3, COUNTERS - count):
        yield min(start, COUNTERS - count)


@pytest.mark.parametrize("seed", range(3))
def test_finds_what_hashlib_finds_on_random_headers(
    variant: str, layout: Layout, seed: int
) -> None:
    header, count = random_header(layout, seed), 300
    for start in starts(count):
        for bits in (2, 5, 9):  # a solution in so many powers of two
            target = min((1 << 256 - bits) - 1, layout.max_target)
            wanted = lowest(layout, header, target, start, count)
            assert search(header, target, start, count, variant=variant) == wanted


@cache
def solution(layout: Layout) -> tuple[bytes, int, int]:
    """A header, a counter, and its own hash as the target: the only solution near it."""
    header = random_header(layout, 7)
    rare = layout.max_target if layout is CLASSIC else (1 << 242) - 1
    counter = search(header, rare, 5000, 1 << 22, variant="python")
    assert counter is not None
    return header, counter, number_of(layout, header, counter)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130])
def test_finds_a_solution_at_every_place_of_a_range_and_none_outside(
    variant: str, layout: Layout, count: int
) -> None:
    """First and last nonce, first and last lane, and everything between."""
    header, counter, target = solution(layout)
    for place in range(count):
        assert search(header, target, counter - place, count, variant=variant) == counter
    assert search(header, target, counter - count, count, variant=variant) is None
    assert search(header, target, counter + 1, count, variant=variant) is None


def test_a_hash_equal_to_the_target_meets_it_and_one_above_does_not(
    variant: str, layout: Layout
) -> None:
    header, counter, target = solution(layout)
    assert search(header, target, counter, 1, variant=variant) == counter
    assert search(header, target - 1, counter, 1, variant=variant) is None
    assert search(header, target + 1, counter, 1, variant=variant) == counter


def test_of_several_solutions_the_lowest_is_found(variant: str) -> None:
    header = random_header(BITCOIN, 3)
    easy = (1 << 255) - 1  # every second hash, as on regtest
    for start in range(200):
        assert search(header, easy, start, 500, variant=variant) == lowest(
            BITCOIN, header, easy, start, 500
        )


def test_the_easiest_target_is_met_by_the_first_nonce(variant: str) -> None:
    header = random_header(BITCOIN, 4)
    for start in (0, 1, 17, COUNTERS - 1):
        assert search(header, (1 << 256) - 1, start, 1, variant=variant) == start


def test_an_empty_range_has_no_solution(variant: str, layout: Layout) -> None:
    header = random_header(layout, 5)
    for start in (0, 5, COUNTERS):
        assert search(header, layout.max_target, start, 0, variant=variant) is None


def test_the_last_counter_is_searched_and_nothing_wraps_around(variant: str) -> None:
    header, start = random_header(BITCOIN, 6), COUNTERS - 5
    numbers = [number_of(BITCOIN, header, n) for n in range(start, COUNTERS)]
    for number in numbers:
        wanted = next(n for n, other in enumerate(numbers, start) if other <= number)
        assert search(header, number, start, 5, variant=variant) == wanted
    zero = number_of(BITCOIN, header, 0)  # what lanes past the last counter would compute
    if zero < min(numbers):
        assert search(header, zero, start, 5, variant=variant) is None


def test_the_classic_counter_s_last_byte_carries_into_the_word_before(variant: str) -> None:
    """The counter straddles two words of its block: 24 bits in one, 8 in the next."""
    header, counter, target = solution(CLASSIC)
    start = counter - 700
    assert search(header, target, start, 701, variant=variant) == counter
    assert counter >> 8 != start >> 8


def test_the_counter_s_own_bytes_in_the_header_play_no_part(variant: str, layout: Layout) -> None:
    header = random_header(layout, 8)
    at = layout.counter_at
    blank = header[:at] + bytes(4) + header[at + 4 :]
    target = layout.max_target >> 2
    assert search(header, target, 0, 1 << 19, variant=variant) == search(
        blank, target, 0, 1 << 19, variant=variant
    )


def test_bitcoin_s_genesis_nonce_is_found(variant: str) -> None:
    """Block 0 of mainnet, whose header and nonce everybody knows."""
    header = bytes.fromhex(
        "01000000"
        + "00" * 32
        + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
        + "29ab5f49ffff001d1dac2b7c"
    )
    nonce = 2_083_236_893
    target = 0xFFFF << 208
    assert number_of(BITCOIN, header, nonce) == int(
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", 16
    )
    assert search(header, target, nonce - 1000, 2000, variant=variant) == nonce
    assert search(header, target, nonce - 1000, 1000, variant=variant) is None


def test_the_tutorial_s_second_block_is_found(variant: str) -> None:
    """The classic chain's genesis, and the block that the tutorial builds on it."""
    genesis_hash = "00001ff58495c3dc2a1aaa69ebca4e9b3e05e63e5a319fb73bcdccbcdbba1e72"
    header = bytes(1) + bytes.fromhex(genesis_hash) + (1_634_700_600).to_bytes(4, "big") + bytes(32)
    target = (1 << 240) - 1
    assert search(header, target, 58_000, 1000, variant=variant) == 58_768
    assert search(header, target, 0, 1000, variant=variant) is None


@pytest.mark.parametrize(
    ("header", "target", "start", "count", "says"),
    [
        (bytes(79), 0, 0, 1, "80 or 69 bytes, not 79"),
        (bytes(80), -1, 0, 1, "target"),
        (bytes(80), 1 << 256, 0, 1, "target"),
        (bytes(69), 1 << 240, 0, 1, "2\\^240"),
        (bytes(80), 0, -1, 1, "range"),
        (bytes(80), 0, 0, -1, "range"),
        (bytes(80), 0, 1, COUNTERS, "range"),
    ],
)
def test_arguments_out_of_range_are_refused(  # noqa: PLR0917
    variant: str, header: bytes, target: int, start: int, count: int, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        search(header, target, start, count, variant=variant)
