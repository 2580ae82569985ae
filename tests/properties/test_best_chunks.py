"""Linearisations are valid, in falling order of rate, and no other is better anywhere.

Better anywhere: drawn as fees over size, with a straight line along each chunk, no set that needs
nothing outside it lies above the line.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from drystone.core.linearize import Chunk, linearize, rate_key


class Items(NamedTuple):
    """What there is to put in order."""

    fees: list[int]
    sizes: list[int]
    parents: list[list[int]]

    def fee(self, members: Sequence[int]) -> int:
        return sum(self.fees[i] for i in members)

    def size(self, members: Sequence[int]) -> int:
        return sum(self.sizes[i] for i in members)

    def rate(self, members: Sequence[int]) -> Fraction:
        return Fraction(self.fee(members), self.size(members))

    def linearized(self) -> list[Chunk]:
        return linearize(*self)


@st.composite
def items(draw: st.DrawFn, most: int, dearest: int = 20) -> Items:
    """Small numbers, so that equal rates are frequent."""
    count = draw(st.integers(0, most))
    parents = [
        sorted(draw(st.sets(st.integers(0, n - 1), max_size=3))) if n else [] for n in range(count)
    ]
    fees = draw(st.lists(st.integers(-2, dearest), min_size=count, max_size=count))
    sizes = draw(st.lists(st.integers(1, 6), min_size=count, max_size=count))
    return Items(fees, sizes, parents)


def needs_nothing(given: Items, members: Sequence[int], but: Sequence[int] = ()) -> bool:
    there = {*members, *but}
    return all(there.issuperset(given.parents[i]) for i in members)


def closed_sets(given: Items, among: Sequence[int], but: Sequence[int] = ()) -> Iterator[list[int]]:
    """All sets that need nothing outside them and what is there already."""
    for bits in range(1 << len(among)):
        members = [item for n, item in enumerate(among) if bits >> n & 1]
        if needs_nothing(given, members, but):
            yield members


def lies_above(given: Items, members: Sequence[int], chunks: Sequence[Chunk]) -> bool:
    fee, size = given.fee(members), given.size(members)
    for chunk in chunks:
        if size <= chunk.size:
            return fee * chunk.size > chunk.fee * size
        fee -= chunk.fee
        size -= chunk.size
    return size > 0 or fee > 0


@given(items(most=40, dearest=1000))
def test_each_item_comes_once_and_after_its_parents(given: Items) -> None:
    order = [item for chunk in given.linearized() for item in chunk.members]
    assert sorted(order) == list(range(len(given.fees)))
    place = {item: n for n, item in enumerate(order)}
    for item, needed in enumerate(given.parents):
        assert all(place[parent] < place[item] for parent in needed)


@given(items(most=40))
def test_rates_never_rise_and_sums_are_right(given: Items) -> None:
    chunks = given.linearized()
    for chunk in chunks:
        assert (chunk.fee, chunk.size) == (given.fee(chunk.members), given.size(chunk.members))
    for one, next_ in pairwise(chunks):
        assert one.fee * next_.size >= next_.fee * one.size


@settings(max_examples=300)
@given(items(most=9))
def test_no_order_is_better_anywhere(given: Items) -> None:
    """Every set that could come first is tried: the optimum by brute force."""
    chunks = given.linearized()
    for members in closed_sets(given, range(len(given.fees))):
        assert not lies_above(given, members, chunks)


@settings(max_examples=300)
@given(items(most=9))
def test_no_chunk_can_be_taken_apart(given: Items) -> None:
    before: list[int] = []
    for chunk in given.linearized():
        for part in closed_sets(given, chunk.members, before):
            if part and len(part) < len(chunk.members):
                assert given.rate(part) < given.rate(chunk.members)
        before += chunk.members


def ancestors(given: Items, item: int) -> set[int]:
    found, stack = {item}, [item]
    while stack:
        for parent in given.parents[stack.pop()]:
            if parent not in found:
                found.add(parent)
                stack.append(parent)
    return found


def by_ancestors(given: Items) -> Iterator[list[int]]:
    """Naive: again and again the item whose rate with all that it still needs is best."""
    done: set[int] = set()
    while len(done) < len(given.fees):
        packages = [
            sorted(ancestors(given, item) - done)
            for item in range(len(given.fees))
            if item not in done
        ]
        best = max(packages, key=given.rate)
        for item in best:
            done.add(item)
            yield sorted(done)


@given(items(most=25, dearest=100))
def test_choosing_by_ancestors_is_never_better(given: Items) -> None:
    chunks = given.linearized()
    for begun in by_ancestors(given):
        assert not lies_above(given, begun, chunks)


sizes = st.integers(1, 2**32 - 1)
fees = st.integers(-(10**15), 21 * 10**14)


@given(fees, sizes, fees, sizes, st.integers(1, 1000))
def test_keys_of_rates_compare_as_cross_multiplying_does(
    fee: int, size: int, other_fee: int, other_size: int, factor: int
) -> None:
    one, other = rate_key(fee, size), rate_key(other_fee, other_size)
    assert (one < other) is (fee * other_size < other_fee * size)
    assert (one == other) is (fee * other_size == other_fee * size)
    if size * factor < 2**32:
        assert rate_key(fee * factor, size * factor) == one
