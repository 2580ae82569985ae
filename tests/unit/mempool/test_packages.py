"""Transactions that come together: shapes, fees, replacement, ephemeral dust."""

from dataclasses import replace

import pytest
from tests.support.mempool import Place, check_pool, gone, owned, reasons
from tests.support.spending import Lock, Unlocked

from drystone.mempool.contents import Why
from drystone.mempool.outcomes import Accepted, PackageOutcome, Present
from drystone.mempool.policy import Policy
from drystone.primitives.script import P2A
from drystone.primitives.transaction import Transaction, TxOut

ANCHOR = Lock("anchor", P2A, lambda _, __: Unlocked(b"", ()))


@pytest.fixture
def place() -> Place:
    return Place()


def package_error(outcome: PackageOutcome) -> str | None:
    return None if outcome.error is None else outcome.error.reason


def family(place: Place, *, parent_fee: int = 0, child_fee: int = 2_000) -> list[Transaction]:
    """A parent that doesn't pay, and a child that does."""
    parent = place.pay(fee=parent_fee)
    return [parent, place.pay(owned(parent), fee=child_fee)]


# ---------------------------------------------------------------------- shapes


def test_a_package_has_25_transactions_at_most(place: Place) -> None:
    parents = [place.pay() for _ in range(25)]
    child = place.pay(*map(owned, parents), fee=5_000)
    assert package_error(place.package(*parents, child)) == "package-too-many-transactions"
    child = place.pay(*map(owned, parents[:24]), fee=5_000)
    assert package_error(place.package(*parents[:24], child)) is None


def test_a_package_weighs_404_000_at_most(place: Place) -> None:
    parent = place.pay(fee=50_000, padding=50_000)
    child = place.pay(owned(parent), fee=60_000, padding=51_000)
    assert package_error(place.package(parent, child)) == "package-too-large"
    lone = place.package(place.pay(padding=101_000))
    assert package_error(lone) == "transaction failed"
    assert set(reasons(lone).values()) == {"tx-size"}


def test_a_package_has_no_transaction_twice(place: Place) -> None:
    parent, child = family(place)
    assert package_error(place.package(parent, parent, child)) == "package-contains-duplicates"
    other = replace(parent, vin=(replace(parent.vin[0], witness=()),))
    assert package_error(place.package(other, parent, child)) == "package-contains-duplicates"


def test_a_package_has_parents_first(place: Place) -> None:
    parent, child = family(place)
    assert package_error(place.package(child, parent)) == "package-not-sorted"


def test_a_package_spends_nothing_twice(place: Place) -> None:
    coin = place.fund()
    one, other = place.pay(coin), place.pay(coin, fee=2_000)
    child = place.pay(owned(one), owned(other))
    assert package_error(place.package(one, other, child)) == "conflict-in-package"


def test_a_package_is_a_child_and_its_parents(place: Place) -> None:
    parent, child = family(place)
    assert package_error(place.package(place.pay(), parent, child)) == (
        "package-not-child-with-parents"
    )


# ---------------------------------------------------------------------- fees


def test_a_child_pays_for_its_parent(place: Place) -> None:
    parent, child = family(place)
    assert place.why_not(parent) == "min relay fee not met"
    outcome = place.package(parent, child)
    assert outcome.error is None
    both = outcome.outcomes[parent.wtxid]
    assert isinstance(both, Accepted)
    assert (both.fee, both.effective_fee, both.effective_vsize) == (0, 2_000, 220)
    assert both.paid_with == (parent.wtxid, child.wtxid)
    check_pool(place)


def test_a_child_that_does_not_pay_enough_is_what_fails(place: Place) -> None:
    parent, child = family(place, child_fee=21)
    outcome = place.package(parent, child)
    assert package_error(outcome) == "transaction failed"
    assert reasons(outcome)[child.wtxid] == "min relay fee not met"
    assert len(place.pool) == 0
    enough = family(place, child_fee=22)
    assert package_error(place.package(*enough)) is None


def test_who_can_pay_for_itself_is_not_paid_for(place: Place) -> None:
    """A parent pays with its own fee only once; a child that pays too little gets none of it."""
    parent, child = family(place, parent_fee=10_000, child_fee=0)
    outcome = place.package(parent, child)
    assert package_error(outcome) == "transaction failed"
    assert reasons(outcome) == {child.wtxid: "min relay fee not met"}
    assert place.txids() == {parent.txid}


def test_who_is_there_already_need_not_come_again(place: Place) -> None:
    parent, child = family(place, parent_fee=500)
    place.let_in(parent)
    outcome = place.package(parent, child)
    assert outcome.error is None
    assert outcome.outcomes[parent.wtxid] == Present(parent, 500, 110)
    assert len(place.pool) == 2
    other = replace(parent, vin=(replace(parent.vin[0], witness=(b"x",)),))
    outcome = place.package(other, child)
    assert outcome.outcomes[other.wtxid] == Present(parent, 500, 110)


def test_a_rule_that_is_not_about_fees_fails_at_once(place: Place) -> None:
    parent, child = family(place)
    spoilt = replace(parent, version=9)
    grand = place.pay(owned(spoilt), fee=3_000)
    outcome = place.package(spoilt, grand)
    assert package_error(outcome) == "transaction failed"
    assert reasons(outcome)[spoilt.wtxid] == "version"
    assert child.txid not in place.pool


def test_a_script_that_fails_fails_the_package(place: Place) -> None:
    parent, child = family(place)
    spoilt = replace(child, lock_time=1)
    outcome = place.package(parent, spoilt)
    assert package_error(outcome) == "transaction failed"
    assert "mempool-script-verify-flag-failed" in reasons(outcome)[spoilt.wtxid]
    assert len(place.pool) == 0


def test_a_package_respects_cluster_limits() -> None:
    place = Place(Policy(limitclustercount=2))
    (grand,) = place.let_in(place.pay())
    parent = place.pay(owned(grand), fee=0)
    child = place.pay(owned(parent), fee=5_000)
    assert package_error(place.package(parent, child)) == "too-large-cluster"


def test_a_package_may_not_pay_more_than_its_sender_meant(place: Place) -> None:
    parent, child = family(place, child_fee=50_000)
    outcome = place.pool.accept_package([parent, child], place.view, place.now, max_feerate=100_000)
    assert package_error(outcome) == "transaction failed"
    assert reasons(outcome)[child.wtxid] == "max feerate exceeded"


def test_testing_several_has_each_pay_for_itself(place: Place) -> None:
    parent, child = family(place)
    outcome = place.pool.test_together([parent, child], place.view, place.now)
    assert reasons(outcome) == {parent.wtxid: "min relay fee not met"}
    parent, child = family(place, parent_fee=500)
    outcome = place.pool.test_together([parent, child], place.view, place.now)
    assert outcome.error is None and not reasons(outcome)
    assert len(place.pool) == 0


def test_testing_several_replaces_nobody(place: Place) -> None:
    coin = place.fund()
    place.let_in(place.pay(coin))
    better = place.pay(coin, fee=9_000)
    outcome = place.pool.test_together([better], place.view, place.now)
    assert reasons(outcome) == {better.wtxid: "bip125-replacement-disallowed"}


# ---------------------------------------------------------------------- replacement


def conflicting(
    place: Place, parent_fee: int, child_fee: int, *, old_fee: int = 1_000
) -> PackageOutcome:
    """A family that would replace what is in the pool."""
    coin = place.fund()
    place.let_in(place.pay(coin, fee=old_fee))
    parent = place.pay(coin, fee=parent_fee)
    return place.package(parent, place.pay(owned(parent), fee=child_fee))


def test_a_family_takes_anothers_place(place: Place) -> None:
    outcome = conflicting(place, 0, 9_000)
    assert outcome.error is None
    assert len(place.pool) == 2
    assert set(gone(outcome.removed).values()) == {Why.REPLACED}
    check_pool(place)


def test_a_family_pays_what_it_replaces_and_its_own_relaying(place: Place) -> None:
    assert package_error(conflicting(place, 0, 1_021)) == (
        "package RBF failed: insufficient anti-DoS fees"
    )


def test_a_family_that_replaces_is_a_chunk_of_its_own(place: Place) -> None:
    assert package_error(conflicting(place, 1_005, 100)) == (
        "package RBF failed: package feerate is less than or equal to parent feerate"
    )


def test_a_family_that_replaces_makes_the_diagram_better(place: Place) -> None:
    assert package_error(conflicting(place, 500, 600)) == (
        "package RBF failed: insufficient feerate: does not improve feerate diagram"
    )


def test_a_family_that_replaces_has_no_other_parents(place: Place) -> None:
    coin = place.fund()
    _, other = place.let_in(place.pay(coin), place.pay())
    parent = place.pay(coin, fee=0)
    child = place.pay(owned(parent), owned(other), fee=9_000)
    assert package_error(place.package(parent, child)) == (
        "package RBF failed: new transaction cannot have mempool ancestors"
    )


def test_only_a_family_of_two_replaces(place: Place) -> None:
    coin = place.fund()
    place.let_in(place.pay(coin))
    parents = [place.pay(coin, fee=0), place.pay(fee=0)]
    child = place.pay(*map(owned, parents), fee=9_000)
    assert package_error(place.package(*parents, child)) == (
        "package RBF failed: package must be 1-parent-1-child"
    )


def test_a_family_replaces_transactions_of_100_clusters_at_most(place: Place) -> None:
    coins = [place.fund() for _ in range(101)]
    place.let_in(*[place.pay(coin) for coin in coins])
    parent = place.pay(*coins, fee=0)
    child = place.pay(owned(parent), fee=500_000)
    assert package_error(place.package(parent, child)) == (
        "package RBF failed: too many potential replacements"
    )


# ---------------------------------------------------------------------- ephemeral dust


def with_dust(place: Place, dust: int = 0) -> Transaction:
    """A parent that pays nothing and has an anchor worth less than its spending."""
    return place.pay(fee=0, outputs=[TxOut(dust, P2A)], version=3)


def test_dust_comes_with_the_child_that_spends_it(place: Place) -> None:
    parent = with_dust(place)
    child = place.pay(owned(parent), owned(parent, 1, ANCHOR), version=3, fee=2_000)
    outcome = place.package(parent, child)
    assert outcome.error is None
    check_pool(place)


def test_a_child_spends_its_parents_dust(place: Place) -> None:
    parent = with_dust(place)
    child = place.pay(owned(parent), version=3, fee=2_000)
    outcome = place.package(parent, child)
    assert package_error(outcome) == "unspent-dust"
    assert reasons(outcome)[child.wtxid] == "missing-ephemeral-spends"
    assert len(place.pool) == 0


def test_a_child_that_comes_alone_spends_its_parents_dust(place: Place) -> None:
    """The parent is left alone when the child that spent its dust is replaced or gone."""
    parent = with_dust(place)
    child = place.pay(owned(parent), owned(parent, 1, ANCHOR), version=3, fee=2_000)
    assert place.package(parent, child).error is None
    place.pool.remove(child.txid)
    assert place.txids() == {parent.txid}
    other = place.pay(owned(parent), version=3, fee=3_000)
    assert place.why_not(other) == "missing-ephemeral-spends"
    place.let_in(place.pay(owned(parent, 1, ANCHOR), place.fund(), version=3, fee=3_000))


def test_nobody_minds_dust_where_nonstandard_transactions_are_let_in() -> None:
    place = Place(Policy(acceptnonstdtxn=True, minrelaytxfee=0))
    (parent,) = place.let_in(with_dust(place, 1))
    place.let_in(place.pay(owned(parent), version=3))
