"""Which coins are spent, and what becomes of what is left over."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.wallet import owned

from drystone.core.errors import UserError
from drystone.mempool.policy import fee_at
from drystone.primitives.script import p2wpkh
from drystone.primitives.transaction import TxOut
from drystone.wallet.keys import KINDS, Kind, keys_of
from drystone.wallet.owned import OwnedCoin
from drystone.wallet.selection import Inputs, Terms, just_enough, largest_first, select, select_all

TO = p2wpkh(bytes(20))
CHANGE = keys_of("alice").p2wpkh


def terms(amount: int, fee_rate: int = 1_000) -> Terms:
    return Terms((TxOut(amount, TO),), fee_rate, CHANGE)


def coins_of(*values: int, kind: Kind = Kind.P2WPKH) -> list[OwnedCoin]:
    return [owned(value, kind, number=n) for n, value in enumerate(values, start=1)]


def test_one_coin_that_is_just_enough_needs_no_change() -> None:
    exact = 50_000 + 110  # a P2WPKH input and output weigh 437 units
    selection = select(coins_of(200_000, exact, 90_000), terms(50_000))
    assert selection is not None
    assert [coin.value for coin in selection.coins] == [exact]
    assert (selection.fee, selection.change) == (110, 0)


def test_two_that_are_just_enough_are_better_than_one_with_change() -> None:
    selection = select(coins_of(200_000, 30_000, 20_178), terms(50_000))
    assert selection is not None
    assert [coin.value for coin in selection.coins] == [30_000, 20_178]
    assert selection.change == 0


def test_otherwise_the_largest_is_taken_and_the_rest_comes_back() -> None:
    selection = select(coins_of(20_000, 200_000, 70_000), terms(50_000))
    assert selection is not None
    assert [coin.value for coin in selection.coins] == [200_000]
    assert (selection.fee, selection.change) == (141, 149_859)


def test_a_change_that_would_cost_more_than_it_is_worth_goes_to_the_miner() -> None:
    least = terms(50_000).least_change
    assert least == 680  # 68 virtual bytes at the long-term rate, more than dust
    for left, change in ((least - 1, 0), (least, least)):
        selection = select_all(coins_of(50_000 + 141 + left), terms(50_000))
        assert selection is not None
        assert selection.change == change
        assert selection.fee == (141 if change else 141 + left)


def test_a_coin_that_costs_more_than_it_is_worth_is_left_alone() -> None:
    assert select(coins_of(*[600] * 200), terms(5_000, fee_rate=10_000)) is None
    assert select(coins_of(*[600] * 200), terms(5_000)) is not None


def test_too_little_is_nothing() -> None:
    assert select([], terms(1_000)) is None
    assert select(coins_of(50_000 + 109), terms(50_000)) is None
    assert select_all([], terms(1_000)) is None
    assert select_all(coins_of(1_000), terms(1_000)) is None


def test_more_coins_than_a_standard_transaction_can_have_are_refused_in_a_line() -> None:
    with pytest.raises(UserError, match=r"1,500 coins are more than .*: pay less at a time, or"):
        select_all(coins_of(*[10_000] * 1_500), terms(50_000))


def test_the_order_in_which_coins_come_makes_no_difference() -> None:
    coins = coins_of(5_000, 9_000, 7_000, 9_000, 3_000)
    assert select(coins, terms(15_000)) == select(coins[::-1], terms(15_000))


def test_a_search_among_hundreds_of_coins_ends() -> None:
    values = [10_000 + 7 * n for n in range(400)]
    selection = select(coins_of(*values), terms(1_234_567))
    assert selection is not None


# ---------------------------------------------------------------------- whatever the coins

amounts = st.integers(1_000, 60_000)
rates = st.sampled_from([0, 100, 1_000, 3_333, 20_000])


@st.composite
def purses(draw: st.DrawFn) -> list[OwnedCoin]:
    values = draw(st.lists(st.integers(300, 40_000), max_size=8))
    return [
        owned(value, draw(st.sampled_from(KINDS)), number=n)
        for n, value in enumerate(values, start=1)
    ]


@given(purses(), amounts, rates)
def test_what_is_chosen_pays_outputs_fee_and_change_to_the_satoshi(
    coins: list[OwnedCoin], amount: int, rate: int
) -> None:
    wanted = terms(amount, rate)
    selection = select(coins, wanted)
    useful = [coin for coin in coins if wanted.effective_value(coin) > 0]
    if selection is None:
        assert wanted.left(Inputs.of(useful)) < 0
        return
    assert len(set(selection.coins)) == len(selection.coins) and set(selection.coins) <= set(coins)
    value = sum(coin.value for coin in selection.coins)
    assert value == amount + selection.fee + selection.change
    inputs = Inputs.of(selection.coins)
    weight = wanted.weight(inputs.number, inputs.weight, with_change=selection.change > 0)
    least = fee_at(rate, -(-weight // 4))
    assert selection.fee == least if selection.change else selection.fee >= least
    assert selection.change == 0 or selection.change >= wanted.least_change


@given(purses(), amounts, rates)
def test_branch_and_bound_finds_the_cheapest_set_without_change(
    coins: list[OwnedCoin], amount: int, rate: int
) -> None:
    """As trying all sets does."""
    wanted = terms(amount, rate)
    coins = [coin for coin in coins if wanted.effective_value(coin) > 0]
    coins.sort(key=lambda coin: (-wanted.effective_value(coin), coin.outpoint))
    worth = [
        inputs.value
        for size in range(1, len(coins) + 1)
        for some in combinations(coins, size)
        if wanted.left(inputs := Inputs.of(some)) >= 0 and wanted.change(inputs) == 0
    ]
    found = just_enough(coins, wanted)
    if found is None:
        assert worth == []
    else:
        assert sum(coin.value for coin in found) == min(worth)


@given(purses(), amounts, rates)
def test_largest_first_takes_as_few_as_can_be(
    coins: list[OwnedCoin], amount: int, rate: int
) -> None:
    wanted = terms(amount, rate)
    coins.sort(key=lambda coin: (-wanted.effective_value(coin), coin.outpoint))
    chosen = largest_first(coins, wanted)
    if chosen is not None and len(chosen) > 1:
        fewer = combinations(coins, len(chosen) - 1)
        assert all(wanted.left(Inputs.of(some)) < 0 for some in fewer)
