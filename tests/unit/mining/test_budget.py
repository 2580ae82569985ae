"""Pacing, in virtual time: nobody sleeps here."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS
from drystone.mining.budget import CATCH_UP_NS, LONGEST_GAP_NS, SHORTEST_GAP_NS, Budget

MS = 1_000_000
AT_WILL = 1 << 64  # no machine is that fast

rates = st.one_of(
    st.integers(10, 100), st.integers(10, 10**9), st.sampled_from([10, 11, 19, 6554, 10**9])
)
delays = st.lists(st.integers(0, 200 * MS), min_size=1, max_size=20)


class Slice(NamedTuple):
    at_ns: int
    hashes: int


def mine(
    budget: Budget, until_ns: int, *, start_ns: int = 0, delays: Iterable[int] = (0,)
) -> list[Slice]:
    """Spend a budget in virtual time, each slice so much later than it was due."""
    slices = []
    now = start_ns
    for delay in itertools.cycle(delays):
        slices.append(Slice(now, budget.take(now, AT_WILL)))
        due = budget.due_ns
        if due is None or (now := due + delay) >= until_ns:
            return slices
    raise AssertionError("no delays given")


def hashes_of(slices: list[Slice]) -> int:
    return sum(hashes for _, hashes in slices)


@given(rate=rates, seed=st.integers(0, 1 << 32), delays=delays)
def test_any_ten_seconds_are_within_five_per_cent_however_late_the_slices(
    rate: int, seed: int, delays: list[int]
) -> None:
    end, window = 25 * SECOND_NS, 10 * SECOND_NS
    slices = mine(Budget(rate, Stream(seed)), end, delays=delays)
    times = [at for at, _ in slices]
    done = [0, *itertools.accumulate(hashes for _, hashes in slices)]
    for at in times:
        if at + window <= end:  # the windows that hold most begin at a slice, those with least
            most = done[bisect_right(times, at + window)] - done[bisect_left(times, at)]
            least = done[bisect_left(times, at + window)] - done[bisect_right(times, at)]
            assert 95 * rate <= 10 * least <= 10 * most <= 105 * rate  # just after one


@given(rate=rates, seed=st.integers(0, 1 << 32))
def test_slices_are_due_at_most_fifty_milliseconds_apart(rate: int, seed: int) -> None:
    times = [at for at, _ in mine(Budget(rate, Stream(seed)), 3 * SECOND_NS)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) <= LONGEST_GAP_NS <= 50 * MS
    assert min(gaps[1:]) >= SHORTEST_GAP_NS  # the first is the phase, which may be nothing


def test_the_gaps_are_spread_evenly() -> None:
    times = [at for at, _ in mine(Budget(10, Stream(1)), 100 * SECOND_NS)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    tenth = (LONGEST_GAP_NS - SHORTEST_GAP_NS) // 10
    counts = [0] * 10
    for gap in gaps[1:]:
        counts[min((gap - SHORTEST_GAP_NS) // tenth, 9)] += 1
    assert min(counts) > len(gaps) / 10 * 0.8
    assert max(counts) < len(gaps) / 10 * 1.2


@given(rate=st.integers(1, 1000), hours=st.integers(1, 50), seed=st.integers(0, 1 << 32))
def test_no_part_of_a_hash_is_ever_lost(rate: int, hours: int, seed: int) -> None:
    budget = Budget(rate, Stream(seed))
    budget.take(0, AT_WILL)
    assert budget.due_ns is not None
    now, done = budget.due_ns, 0
    for _ in range(hours):
        now += 123_456_789  # slices far apart, so that the test is quick
        done += budget.take(now, AT_WILL)
    assert abs(done * SECOND_NS - rate * now) <= SECOND_NS


@pytest.mark.parametrize("asleep_s", [1, 60, 3600, 10**6])
@pytest.mark.parametrize("rate", [10, 6554, 10**9])
def test_a_suspended_process_makes_no_burst(rate: int, asleep_s: int) -> None:
    budget = Budget(rate, Stream(1))
    before = mine(budget, 10 * SECOND_NS)
    awake = before[-1].at_ns + asleep_s * SECOND_NS
    after = mine(budget, awake + 10 * SECOND_NS, start_ns=awake)
    assert after[0].hashes <= rate * CATCH_UP_NS // SECOND_NS + 1
    assert 95 * rate <= 10 * hashes_of(after) <= 105 * rate


@pytest.mark.parametrize("rate", [1, 2, 3, 10])
def test_a_slow_budget_is_slow_and_not_still(rate: int) -> None:
    """Even at a hash per second, far less than one per slice, nothing is rounded away."""
    slices = mine(Budget(rate, Stream(1)), 1000 * SECOND_NS)
    assert abs(hashes_of(slices) - 1000 * rate) <= 1
    assert {hashes for _, hashes in slices} == {0, 1}


def test_a_machine_that_is_too_slow_does_what_it_can_and_owes_nothing() -> None:
    budget = Budget(1000, Stream(1))
    for second in range(600):
        assert budget.take(second * SECOND_NS, 100) <= 100
    fast_again = hashes_of(mine(budget, 610 * SECOND_NS, start_ns=600 * SECOND_NS))
    assert 9_500 <= fast_again <= 10_500


def test_hashes_not_taken_in_a_slice_can_be_taken_until_the_next() -> None:
    budget = Budget(100_000, Stream(1))
    budget.take(0, 1)
    assert budget.due_ns is not None
    now = budget.due_ns
    first = budget.take(now, 300)
    due = budget.due_ns
    rest = budget.take(now + 1, AT_WILL)
    assert first == 300
    assert abs(first + rest - 100_000 * now // SECOND_NS) <= 1
    assert budget.take(due - 1, AT_WILL) == 0
    assert budget.due_ns == due


def test_hashes_given_back_can_be_taken_again() -> None:
    budget = Budget(100_000, Stream(1))
    budget.take(0, 1)
    now = budget.due_ns or 0
    hashes = budget.take(now, AT_WILL)
    budget.give_back(hashes - 7)
    assert budget.take(now, AT_WILL) == hashes - 7


def test_miners_that_start_together_have_their_slices_at_different_times() -> None:
    one, other = (
        {at for at, _ in mine(Budget(6554, Stream(1, node)), 100 * SECOND_NS)} for node in "ab"
    )
    assert len(one & other) <= 1  # that at which both began


@pytest.mark.parametrize("rate", [10, 20])
def test_miners_that_start_together_hash_at_different_times(rate: int) -> None:
    """Where a hash comes only every few slices, its time within its turn differs by miner."""
    turn = SECOND_NS // rate
    phases = []
    for node in range(100):
        slices = mine(Budget(rate, Stream(1, node)), 10 * SECOND_NS)
        times = [at for at, hashes in slices if hashes]
        phases.append(sum(at - number * turn for number, at in enumerate(times)) / len(times))
    counts = [0] * 5
    for phase in phases:
        counts[int(phase * 5 / turn) % 5] += 1
    assert min(counts) >= 10


def test_equal_dice_give_equal_slices() -> None:
    one, other = (mine(Budget(6554, Stream(1, "a")), SECOND_NS) for _ in range(2))
    assert one == other


@given(before=rates, after=rates, seed=st.integers(0, 1 << 32))
def test_a_new_rate_holds_from_then_on(before: int, after: int, seed: int) -> None:
    budget = Budget(before, Stream(seed))
    mine(budget, 5 * SECOND_NS)
    budget.set_rate(after, 5 * SECOND_NS)
    assert budget.hashes_per_s == after
    slices = mine(budget, 15 * SECOND_NS, start_ns=5 * SECOND_NS)
    assert 95 * after <= 10 * hashes_of(slices) <= 105 * after


def test_the_time_before_a_new_rate_counts_at_the_old_one() -> None:
    budget = Budget(10_000, Stream(1))
    budget.take(0, AT_WILL)
    budget.set_rate(20_000, 5 * MS)
    due = budget.due_ns or 0
    assert due > 5 * MS
    expected = (10_000 * 5 * MS + 20_000 * (due - 5 * MS)) // SECOND_NS
    assert abs(budget.take(due, AT_WILL) - expected) <= 1


def test_rate_zero_stands_still_until_the_rate_is_changed() -> None:
    budget = Budget(0, Stream(1))
    assert mine(budget, 10 * SECOND_NS) == [(0, 0)]
    assert budget.due_ns is None
    budget.set_rate(100, 10 * SECOND_NS)
    assert 990 <= hashes_of(mine(budget, 20 * SECOND_NS, start_ns=10 * SECOND_NS)) <= 1000
    budget.set_rate(0, 20 * SECOND_NS)
    assert hashes_of(mine(budget, 30 * SECOND_NS, start_ns=20 * SECOND_NS)) == 0


def test_without_a_rate_there_is_no_limit() -> None:
    budget = Budget(None, Stream(1))
    assert [budget.take(now, 10**9) for now in range(3)] == [10**9] * 3
    budget.set_rate(10, 0)
    assert 99 <= hashes_of(mine(budget, 10 * SECOND_NS)) <= 101
    budget.set_rate(None, 10 * SECOND_NS)
    assert budget.take(10 * SECOND_NS, 10**9) == 10**9


def test_what_is_given_back_after_the_rate_has_dropped_makes_no_burst() -> None:
    budget = Budget(10**9, Stream(1))
    budget.take(0, AT_WILL)
    taken = budget.take(budget.due_ns or 0, AT_WILL)
    budget.set_rate(10, 50 * MS)
    budget.give_back(taken)
    assert hashes_of(mine(budget, 10 * SECOND_NS, start_ns=50 * MS)) <= 105


def test_a_rest_is_not_made_up_for() -> None:
    budget = Budget(1000, Stream(1))
    mine(budget, SECOND_NS)
    budget.rest(SECOND_NS)
    slices = mine(budget, 12 * SECOND_NS, start_ns=2 * SECOND_NS)
    assert slices[0].hashes == 0
    assert slices[1].hashes <= 1000 * 2 * LONGEST_GAP_NS // SECOND_NS
    assert abs(hashes_of(slices) - 10_000) <= 1000 * 2 * LONGEST_GAP_NS // SECOND_NS


def test_miners_that_rested_do_not_go_in_step_afterwards() -> None:
    """All of them hear of the same block, and begin on the next at the same moment."""
    dues = set()
    for node in range(100):
        budget = Budget(1000, Stream(1, node))
        budget.take(0, AT_WILL)
        budget.rest(0)
        budget.take(SECOND_NS, AT_WILL)
        dues.add(budget.due_ns)
    assert len(dues) == 100


def test_a_rest_shorter_than_a_gap_is_no_new_beginning() -> None:
    """Who has just found a block goes on with the rest of the same slice."""
    budget = Budget(100_000, Stream(1))
    budget.take(0, AT_WILL)
    now = budget.due_ns or 0
    taken = budget.take(now, AT_WILL)
    due = budget.due_ns
    budget.rest(now + 1)
    budget.give_back(taken - 5)
    assert budget.take(now + MS, AT_WILL) == taken - 5
    assert budget.due_ns == due


def test_a_negative_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative: -1"):
        Budget(-1, Stream(1))
    with pytest.raises(ValueError, match="must not be negative: -1"):
        Budget(10, Stream(1)).set_rate(-1, 0)
