"""Handing out nonces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.mining.ranges import NONCES, Job, Range, Ranges

ranges = st.builds(
    Range, st.binary(min_size=80, max_size=80), st.integers(0, 10_000), st.integers(1, 1000)
)


@given(given=st.lists(ranges, min_size=1, max_size=5), sizes=st.lists(st.integers(1, 500)))
def test_every_nonce_is_handed_out_once_and_in_order(given: list[Range], sizes: list[int]) -> None:
    place = Ranges(given)
    handed_out = []
    for wanted in (*sizes, *[1000] * 5):
        if in_reach := place.in_reach:
            piece = place.take(min(wanted, in_reach))
            assert piece.header == given[piece.index].header
            handed_out += [(piece.index, piece.start + offset) for offset in range(piece.count)]
    assert not place.in_reach
    assert handed_out == [
        (index, each.start + offset)
        for index, each in enumerate(given)
        for offset in range(each.count)
    ]


def test_a_piece_never_reaches_into_the_next_range() -> None:
    place = Ranges([Range(b"first", 0, 10), Range(b"second", NONCES - 3, 3)])
    assert place.in_reach == 10
    place.take(4)
    assert place.in_reach == 6
    place.take(6)
    assert place.in_reach == 3
    assert place.take(3).start == NONCES - 3
    assert place.in_reach == 0


def test_a_range_is_all_32_bit_nonces_unless_told() -> None:
    assert Ranges([Range(bytes(80))]).in_reach == 1 << 32


@pytest.mark.parametrize(
    ("start", "count"), [(-1, 5), (0, 0), (0, -1), (0, NONCES + 1), (NONCES, 1), (1, NONCES)]
)
def test_a_range_that_is_none_is_refused(start: int, count: int) -> None:
    with pytest.raises(ValueError, match=r"not a range of 32-bit nonces"):
        Range(bytes(80), start, count)


def test_a_job_without_a_range_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a range"):
        Job(1, ())
