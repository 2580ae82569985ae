"""Chunks of small clusters, each of a shape that somebody's wallet makes."""

import pytest

from drystone.core.linearize import Chunk, clusters, linearize, rate_key


def order(
    fees: list[int], parents: list[list[int]], sizes: list[int] | None = None
) -> list[tuple[int, ...]]:
    return [chunk.members for chunk in linearize(fees, sizes or [100] * len(fees), parents)]


def test_nothing_has_no_chunks() -> None:
    assert linearize([], [], []) == []


def test_strangers_go_by_their_rates() -> None:
    assert linearize([100, 300, 200], [100, 100, 50], [[], [], []]) == [
        Chunk((2,), 200, 50),
        Chunk((1,), 300, 100),
        Chunk((0,), 100, 100),
    ]


def test_a_child_pays_for_its_parent() -> None:
    assert order([0, 1000, 400], [[], [0], []]) == [(0, 1), (2,)]


def test_a_child_that_pays_less_waits() -> None:
    assert order([1000, 100, 400], [[], [0], []]) == [(0,), (2,), (1,)]


def test_two_children_pay_for_one_parent_together() -> None:
    """Neither could alone: by ancestors only, 3 would go first."""
    assert order([0, 300, 300, 170], [[], [0], [0], []]) == [(0, 1, 2), (3,)]


def test_a_grandchild_pays_for_all() -> None:
    assert order([50, 0, 10, 1000, 200], [[], [0], [1], [2], []]) == [(0, 1, 2, 3), (4,)]


def test_of_two_parents_each_is_paid_for() -> None:
    assert order([0, 90, 500, 95], [[], [], [0, 1], []]) == [(0, 1, 2), (3,)]


def test_a_parent_that_pays_more_than_the_rest_goes_alone() -> None:
    assert order([900, 0, 500, 600], [[], [], [0, 1], []]) == [(0,), (3,), (1, 2)]


def test_a_payment_is_taken_over_where_another_can_pay() -> None:
    """2 first pays for 0, which 3 can pay for as well; then 2 has to pay for 1."""
    assert order([0, 0, 300, 300], [[], [], [0, 1], [0]]) == [(0, 3), (1, 2)]
    assert order([0, 0, 300, 301], [[], [], [0, 1], [0]]) == [(0, 3), (1, 2)]
    assert order([0, 0, 301, 300], [[], [], [0, 1], [0]]) == [(0, 1, 2, 3)]
    assert order([0, 100, 300, 200], [[], [], [0, 1], [0]]) == [(0, 1, 2, 3)]


def test_what_pays_the_same_is_kept_apart() -> None:
    """A big chunk fits less often than its parts."""
    assert order([100, 100, 100], [[], [0], [1]]) == [(0,), (1,), (2,)]
    assert order([50, 150, 100, 100], [[], [0], [1], [0]]) == [(0, 1), (2,), (3,)]
    assert order([0, 200, 0, 200, 100], [[], [0], [1], [2], [3]]) == [(0, 1), (2, 3), (4,)]


def test_of_equal_rates_the_cluster_of_the_lowest_number_goes_first() -> None:
    assert order([100, 100, 0, 200, 100], [[], [], [], [2], [0]]) == [(0,), (4,), (1,), (2, 3)]


def test_fees_may_be_negative() -> None:
    """As a node's operator may pretend, to keep a transaction out."""
    assert order([-100, 50, 400], [[], [], [0]]) == [(0, 2), (1,)]
    assert order([-100, 50, 100], [[], [], [0]]) == [(1,), (0, 2)]
    assert order([-300, 50, 100], [[], [], [0]]) == [(1,), (0, 2)]


def test_clusters_are_what_is_connected() -> None:
    parents = [[], [], [0], [1], [], [2, 3], [4]]
    assert clusters(parents) == [[0, 1, 2, 3, 5], [4, 6]]


@pytest.mark.parametrize("fee", [1, 10**7, 21 * 10**14])
def test_rates_that_differ_in_the_last_place_differ(fee: int) -> None:
    size = 2**32 - 1
    assert rate_key(fee, size) < rate_key(fee, size - 1)
    assert rate_key(-fee, size) > rate_key(-fee, size - 1)
    for factor in (2, 3, 1000):
        assert rate_key(factor * fee, factor * 1001) == rate_key(fee, 1001)
        assert rate_key(-factor * fee, factor * 1001) == rate_key(-fee, 1001)


def test_a_long_chain_and_a_wide_fan_take_moments() -> None:
    """Far beyond what a mempool lets into one cluster."""
    count = 1000
    chain = [[n - 1] if n else [] for n in range(count)]
    assert len(order([7 * n % 101 for n in range(count)], chain)) > 1
    fan = [[0] if n else [] for n in range(count)]
    chunks = order([0] + [7 * n % 101 for n in range(1, count)], fan)
    assert sum(map(len, chunks)) == count
