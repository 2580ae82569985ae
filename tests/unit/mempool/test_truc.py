"""TRUC, transactions of version 3 (BIP431), alone and in packages."""

import pytest
from tests.support.mempool import Place, check_pool, gone, owned, reasons

from drystone.mempool.contents import Why
from drystone.mempool.errors import PolicyRefused
from drystone.mempool.outcomes import Accepted, Refused
from drystone.primitives.transaction import Transaction


@pytest.fixture
def place() -> Place:
    return Place()


def violation(place: Place, tx: Transaction) -> str:
    """What a TRUC violation says."""
    outcome = place.accept(tx)
    assert isinstance(outcome, Refused), outcome
    assert (type(outcome.error), outcome.reason) == (PolicyRefused, "TRUC-violation")
    return outcome.error.detail


def test_truc_and_others_do_not_spend_each_other(place: Place) -> None:
    plain, truc = place.let_in(place.pay(version=2), place.pay(version=3))
    says = violation(place, place.pay(owned(plain), version=3))
    assert says.startswith("version=3 tx ") and "cannot spend from non-version=3 tx" in says
    says = violation(place, place.pay(owned(truc), version=2))
    assert says.startswith("non-version=3 tx ") and "cannot spend from version=3 tx" in says
    place.let_in(place.pay(owned(plain), version=1), place.pay(owned(truc), version=3))


def test_confirmed_coins_may_be_of_any_version(place: Place) -> None:
    tx = place.pay(version=3)
    place.mine(tx)
    place.let_in(place.pay(owned(tx), version=2))


def test_a_truc_transaction_has_10_000_virtual_bytes_at_most(place: Place) -> None:
    coin = place.fund()
    padding = 10_000 - place.pay(coin, padding=9_000).vsize + 9_000
    over = place.pay(coin, version=3, fee=5_000, padding=padding + 1)
    assert violation(place, over).endswith("is too big: 10001 > 10000 virtual bytes")
    place.let_in(place.pay(coin, version=3, fee=5_000, padding=padding))


def test_a_truc_child_has_1_000_virtual_bytes_at_most(place: Place) -> None:
    (parent,) = place.let_in(place.pay(version=3))
    padding = 1_000 - place.pay(owned(parent), padding=800).vsize + 800
    over = place.pay(owned(parent), version=3, padding=padding + 1)
    assert violation(place, over).endswith("is too big: 1001 > 1000 virtual bytes")
    place.let_in(place.pay(owned(parent), version=3, padding=padding))


def test_a_truc_transaction_has_one_generation_above_it_and_one_parent(place: Place) -> None:
    one, other = place.let_in(place.pay(version=3), place.pay(version=3))
    both = place.pay(owned(one), owned(other), version=3)
    assert "would have too many ancestors" in violation(place, both)
    (child,) = place.let_in(place.pay(owned(one), version=3))
    grandchild = place.pay(owned(child), version=3)
    assert "would have too many ancestors" in violation(place, grandchild)


def test_a_second_child_takes_the_first_ones_place_if_it_pays(place: Place) -> None:
    (parent,) = place.let_in(place.pay(version=3, count=2))
    (child,) = place.let_in(place.pay(owned(parent, 0), version=3))
    cheap = place.accept(place.pay(owned(parent, 1), version=3, fee=1_005))
    assert isinstance(cheap, Refused)
    assert cheap.reason == "insufficient fee (including sibling eviction)"
    outcome = place.accept(place.pay(owned(parent, 1), version=3, fee=2_000))
    assert isinstance(outcome, Accepted)
    assert gone(outcome.removed) == {child.txid: Why.REPLACED}
    check_pool(place)


def test_a_child_that_spends_what_the_other_spends_replaces_it(place: Place) -> None:
    (parent,) = place.let_in(place.pay(version=3, count=2))
    place.let_in(place.pay(owned(parent, 0), version=3))
    outcome = place.accept(place.pay(owned(parent, 0), version=3, fee=2_000))
    assert isinstance(outcome, Accepted)
    check_pool(place)


def test_a_second_child_is_refused_where_a_reorganisation_left_two(place: Place) -> None:
    coin = place.fund()
    parent = place.pay(coin, version=3, count=3)
    place.mine(parent)
    place.let_in(*[place.pay(owned(parent, n), version=3) for n in range(2)])
    for vout in range(3):
        del place.coins[owned(parent, vout).outpoint]
    place.coins[coin.outpoint] = coin.coin
    place.pool.follow(place.view, place.now, connected=(), unconfirmed=[parent], is_reorg=True)
    assert len(place.pool) == 3
    third = place.pay(owned(parent, 2), version=3, fee=9_000)
    assert "would exceed descendant count limit" in violation(place, third)


def test_a_package_of_truc_parent_and_child(place: Place) -> None:
    parent = place.pay(version=3, fee=0)
    child = place.pay(owned(parent), version=3, fee=2_000)
    outcome = place.package(parent, child)
    assert outcome.error is None
    assert len(place.pool) == 2


@pytest.mark.parametrize(("above", "below"), [(3, 2), (2, 3)])
def test_a_package_does_not_mix_versions(place: Place, above: int, below: int) -> None:
    parent = place.pay(version=above, fee=0)
    child = place.pay(owned(parent), version=below, fee=2_000)
    outcome = place.package(parent, child)
    assert outcome.error is not None
    assert outcome.error.reason == "TRUC-violation"
    assert "cannot spend from" in outcome.error.detail


def test_a_package_child_is_small(place: Place) -> None:
    parent = place.pay(version=3, fee=0)
    child = place.pay(owned(parent), version=3, fee=20_000, padding=1_000)
    outcome = place.package(parent, child)
    assert outcome.error is not None
    assert outcome.error.detail.startswith("version=3 child tx")


def test_a_package_has_one_parent_for_each_truc_child(place: Place) -> None:
    parents = [place.pay(version=3, fee=0) for _ in range(2)]
    child = place.pay(*map(owned, parents), version=3, fee=5_000)
    outcome = place.package(*parents, child)
    assert outcome.error is not None
    assert "would have too many ancestors" in outcome.error.detail
    assert set(reasons(outcome).values()) == {
        "min relay fee not met",
        "bad-txns-inputs-missingorspent",
    }


def test_a_package_has_one_child_for_each_truc_parent(place: Place) -> None:
    parent = place.pay(version=3, count=2)
    children = [place.pay(owned(parent, n), version=3) for n in range(2)]
    outcome = place.pool.test_together([parent, *children], place.view, place.now)
    assert outcome.error is not None
    assert "would exceed descendant count limit" in outcome.error.detail


def test_a_package_has_no_truc_grandchild(place: Place) -> None:
    parent = place.pay(version=3)
    child = place.pay(owned(parent), version=3)
    grandchild = place.pay(owned(child), version=3)
    outcome = place.pool.test_together([parent, child, grandchild], place.view, place.now)
    assert outcome.error is not None
    assert "would have too many ancestors" in outcome.error.detail


def test_a_package_may_not_add_a_second_child(place: Place) -> None:
    (parent,) = place.let_in(place.pay(version=3, count=2))
    place.let_in(place.pay(owned(parent, 0), version=3))
    other, second = place.pay(), place.pay(owned(parent, 1), version=3, fee=9_000)
    outcome = place.pool.test_together([other, second], place.view, place.now)
    assert outcome.error is not None
    assert reasons(outcome) == {second.wtxid: "TRUC-violation"}
