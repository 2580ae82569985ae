"""Replacing transactions: who may take whose place, and what is said otherwise."""

import pytest
from tests.support.mempool import Place, check_pool, gone, owned

from drystone.consensus.errors import TxInvalid
from drystone.mempool.contents import Why
from drystone.mempool.errors import FeeTooLow, PolicyRefused
from drystone.mempool.outcomes import Accepted, Refused
from drystone.mempool.policy import Policy
from drystone.mempool.replacement import money


@pytest.fixture
def place() -> Place:
    return Place()


def test_a_replacement_pays_what_it_replaces_and_its_own_relaying(place: Place) -> None:
    coin = place.fund()
    (old,) = place.let_in(place.pay(coin, fee=1_000, sequence=0xFFFFFFFF))  # no signal is needed
    less = place.accept(place.pay(coin, fee=999))
    assert isinstance(less, Refused)
    assert (type(less.error), less.reason) == (FeeTooLow, "insufficient fee")
    assert less.error.detail.endswith("less fees than conflicting txs; 0.00000999 < 0.00001"), (
        less.error.detail
    )
    close = place.accept(place.pay(coin, fee=1_010))  # 110 virtual bytes: 11 satoshis
    assert isinstance(close, Refused)
    assert close.reason == "insufficient fee"
    assert close.error.detail.endswith(
        "not enough additional fees to relay; 0.0000001 < 0.00000011"
    ), close.error.detail
    enough = place.accept(place.pay(coin, fee=1_011))
    assert isinstance(enough, Accepted)
    assert gone(enough.removed) == {old.txid: Why.REPLACED}
    check_pool(place)


def test_what_spends_the_replaced_goes_too_and_is_paid_for(place: Place) -> None:
    coin = place.fund()
    first, second, third = place.let_in(
        old := place.pay(coin), child := place.pay(owned(old)), place.pay(owned(child))
    )
    close = place.pay(coin, fee=3_010)
    assert place.why_not(close) == "insufficient fee"
    outcome = place.accept(place.pay(coin, fee=3_011))
    assert isinstance(outcome, Accepted)
    assert set(gone(outcome.removed)) == {first.txid, second.txid, third.txid}
    assert len(place.pool) == 1
    check_pool(place)


def test_a_large_replacement_of_a_lower_rate_makes_the_diagram_worse(place: Place) -> None:
    coin = place.fund()
    place.let_in(place.pay(coin, fee=2_000))
    large = place.accept(place.pay(coin, fee=3_000, padding=1_000))
    assert isinstance(large, Refused)
    assert (type(large.error), large.reason) == (FeeTooLow, "replacement-failed")
    assert isinstance(place.accept(place.pay(coin, fee=25_000, padding=1_000)), Accepted)


def test_prioritised_fees_count(place: Place) -> None:
    coin = place.fund()
    (old,) = place.let_in(place.pay(coin, fee=1_000))
    new = place.pay(coin, fee=1_500)
    place.pool.prioritise(old.txid, 5_000)
    assert place.why_not(new) == "insufficient fee"
    place.pool.prioritise(new.txid, 5_000)
    assert place.why_not(new) is None


def test_a_hundred_clusters_may_be_replaced_at_most(place: Place) -> None:
    coins = [place.fund() for _ in range(101)]
    place.let_in(*[place.pay(coin) for coin in coins])
    over = place.accept(place.pay(*coins, fee=500_000))
    assert isinstance(over, Refused)
    assert (type(over.error), over.reason) == (PolicyRefused, "too many potential replacements")
    assert over.error.detail.endswith("too many conflicting clusters (101 > 100)")
    outcome = place.accept(place.pay(*coins[:100], fee=500_000))
    assert isinstance(outcome, Accepted)
    assert len(outcome.removed) == 100
    check_pool(place)


def test_many_conflicts_of_one_cluster_are_one(place: Place) -> None:
    coins = [place.fund() for _ in range(60)]
    (fan,) = place.let_in(place.pay(count=60, fee=5_000))
    place.let_in(*[place.pay(coin, owned(fan, n)) for n, coin in enumerate(coins)])
    outcome = place.accept(place.pay(*coins, fee=200_000))
    assert isinstance(outcome, Accepted)
    assert len(outcome.removed) == 60
    check_pool(place)


def test_so_many_that_their_best_order_is_not_looked_for(place: Place) -> None:
    """Five clusters of 62, one transaction of each replaced; the rest keep their order."""
    coins = []
    for _ in range(5):
        coins.append(place.fund())
        (fan,) = place.let_in(place.pay(count=61, fee=10_000))
        place.let_in(*[place.pay(owned(fan, n), fee=500 + n) for n in range(60)])
        place.let_in(place.pay(owned(fan, 60), coins[-1], fee=2_000))
    assert len(place.pool) == 310
    poor = place.pay(*coins, fee=12_000, padding=10_000)
    assert place.why_not(poor) == "replacement-failed"
    outcome = place.accept(place.pay(*coins, fee=15_000))
    assert isinstance(outcome, Accepted)
    assert len(outcome.removed) == 5
    check_pool(place)


def test_what_is_replaced_cannot_be_spent(place: Place) -> None:
    coin = place.fund()
    (old,) = place.let_in(place.pay(coin))
    outcome = place.accept(place.pay(coin, owned(old), fee=50_000))
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, TxInvalid)
    assert outcome.reason == "bad-txns-spends-conflicting-tx"
    assert len(place.pool) == 1


def test_cluster_limits_are_those_of_afterwards() -> None:
    """What goes makes room."""
    place = Place(Policy(limitclustercount=3))
    coin = place.fund()
    parent, child = place.let_in(parent := place.pay(count=2), place.pay(owned(parent), coin))
    place.let_in(place.pay(owned(child)))
    assert place.why_not(place.pay(owned(parent, 1))) == "too-large-cluster"
    outcome = place.accept(place.pay(owned(parent, 1), coin, fee=20_000))
    assert isinstance(outcome, Accepted)
    check_pool(place)


def test_a_replacement_that_would_be_in_too_large_a_cluster_is_refused() -> None:
    place = Place(Policy(limitclustercount=2))
    coin = place.fund()
    place.let_in(place.pay(coin))
    (parent,) = place.let_in(place.pay(count=2))
    place.let_in(place.pay(owned(parent)))
    outcome = place.accept(place.pay(owned(parent, 1), coin, fee=20_000))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "too-large-cluster"


def test_amounts_in_reasons_have_two_decimals_at_least() -> None:
    assert [money(v) for v in (0, 1, 10, 100_000_000, 123_456_789, -50_000_000)] == [
        "0.00",
        "0.00000001",
        "0.0000001",
        "1.00",
        "1.23456789",
        "-0.50",
    ]
