"""Orphans: who answers for them, whose turn it is, and whose go when there are too many."""

from dataclasses import replace

import pytest
from tests.support.mempool import Place, block_of, owned

from drystone.core.chance import Stream
from drystone.mempool.orphans import Orphanage, Work
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut


class First:
    """Dice that always fall the same way."""

    def below(self, bound: int) -> int:
        return 0

    def happens(self, probability: float) -> bool:
        return False


def orphan(number: int, *, inputs: int = 1, padding: int = 0) -> Transaction:
    """A transaction of coins that nobody knows."""
    vin = [TxIn(OutPoint(Txid(number.to_bytes(32, "big")), n)) for n in range(inputs)]
    return Transaction(2, tuple(vin), (TxOut(1, b"\x6a" + bytes(padding)),))


def child_of(parent: Transaction, number: int = 0) -> Transaction:
    return Transaction(2, (TxIn(OutPoint(parent.txid, 0)),), (TxOut(number, b"\x51"),))


def check(orphans: Orphanage) -> None:
    """What is counted is what is there."""
    announcements = sum(len(orphans.announcers(tx.wtxid)) for tx in orphans)
    assert orphans.weight == sum(tx.weight for tx in orphans)
    assert orphans.latency == announcements + sum(len(tx.vin) // 10 for tx in orphans)
    assert announcements == sum(orphans.count_from(peer) for peer in range(20))
    assert orphans.latency <= orphans._max_latency
    assert len(orphans._by_prevout) == len({i.prevout for tx in orphans for i in tx.vin})


def test_an_orphan_is_kept_once_and_many_may_answer_for_it() -> None:
    orphans, tx = Orphanage(), orphan(1)
    assert orphans.add(tx, 1)
    assert not orphans.add(tx, 2)
    assert not orphans.add_announcer(tx.wtxid, 2)
    assert orphans.add_announcer(tx.wtxid, 3)
    assert not orphans.add_announcer(orphan(2).wtxid, 3)
    assert orphans.announcers(tx.wtxid) == (1, 2, 3)
    assert len(orphans) == 1 and list(orphans) == [tx] and orphans.get(tx.wtxid) == tx
    assert (orphans.count_from(3), orphans.weight_from(3), orphans.weight_from(4)) == (
        1,
        tx.weight,
        0,
    )
    check(orphans)
    for peer in (1, 2):
        orphans.forget_peer(peer)
        assert tx.wtxid in orphans
    orphans.forget_peer(3)
    assert len(orphans) == 0 and orphans.get(tx.wtxid) is None
    check(orphans)


def test_witnesses_make_different_orphans() -> None:
    orphans, tx = Orphanage(), orphan(1)
    other = replace(tx, vin=(replace(tx.vin[0], witness=(b"x",)),))
    assert orphans.add(tx, 1) and orphans.add(other, 1)
    assert len(orphans) == 2
    assert orphans.remove(tx.wtxid) and not orphans.remove(tx.wtxid)
    assert list(orphans) == [other]
    check(orphans)


def test_what_is_too_heavy_to_be_relayed_is_not_kept() -> None:
    orphans = Orphanage()
    room = 400_000 - orphan(1, padding=90_000).weight
    assert not orphans.add(orphan(1, padding=90_000 + room // 4 + 1), 1)
    assert orphans.add(orphan(1, padding=90_000 + room // 4), 1)


def test_children_are_looked_at_when_their_parent_has_come() -> None:
    orphans, parent = Orphanage(), orphan(9)
    one, other, stranger = child_of(parent, 1), child_of(parent, 2), orphan(3)
    for tx in (one, other, stranger):
        orphans.add(tx, 1)
    orphans.add_announcer(other.wtxid, 2)
    assert not orphans.has_work(1) and orphans.take_work(1) is None
    assert orphans.parent_came(parent, First()) == [Work(one.wtxid, 1), Work(other.wtxid, 1)]
    assert orphans.parent_came(parent, First()) == []  # they wait for their turn already
    assert orphans.has_work(1) and not orphans.has_work(2)
    assert [orphans.take_work(1), orphans.take_work(1), orphans.take_work(1)] == [one, other, None]
    assert len(orphans) == 3
    check(orphans)


def test_the_turn_goes_on_if_the_peer_whose_it_was_leaves() -> None:
    orphans, parent = Orphanage(), orphan(9)
    child = child_of(parent)
    orphans.add(child, 1)
    orphans.add(child, 2)
    orphans.parent_came(parent, First())
    orphans.forget_peer(1)
    assert orphans.parent_came(parent, First()) == [Work(child.wtxid, 2)]
    check(orphans)


def test_chance_decides_whose_turn_it_is_and_can_be_replayed() -> None:
    def turns() -> list[int]:
        orphans, stream = Orphanage(), Stream(1, "orphans")
        found = []
        for number in range(40):
            parent = orphan(number)
            for peer in range(4):
                orphans.add(child_of(parent), peer)
            found += [work.peer for work in orphans.parent_came(parent, stream)]
        return found

    assert turns() == turns()
    assert set(turns()) == {0, 1, 2, 3}


def test_a_peers_children_of_a_parent_come_youngest_first() -> None:
    orphans, parent = Orphanage(), orphan(9)
    children = [child_of(parent, n) for n in range(3)]
    for tx in (*children, orphan(4)):
        orphans.add(tx, 1)
    orphans.add(child_of(parent, 7), 2)
    assert orphans.children_of(parent, 1) == children[::-1]
    assert orphans.children_of(parent, 3) == []
    assert orphans.children_of(orphan(4), 1) == []


def test_a_block_takes_those_in_it_and_those_at_odds_with_it() -> None:
    place, orphans = Place(), Orphanage()
    parent = place.pay()
    mined, rival = place.pay(owned(parent)), place.pay(owned(parent), fee=5_000)
    for tx in (mined, rival, orphan(50)):
        orphans.add(tx, 1)
    assert orphans.block_came(block_of(parent)) == 0
    assert orphans.block_came(block_of(parent, mined)) == 2
    assert list(orphans) == [orphan(50)]
    assert Orphanage().block_came(block_of(parent)) == 0
    check(orphans)


def test_a_peer_that_floods_loses_its_own_oldest() -> None:
    orphans = Orphanage(max_latency=20)
    modest = [orphan(number) for number in range(10)]
    for tx in modest:
        orphans.add(tx, 1)
    flood = [orphan(number) for number in range(100, 150)]
    for tx in flood:
        orphans.add(tx, 2)
    assert all(tx.wtxid in orphans for tx in modest)
    assert [tx for tx in flood if tx.wtxid in orphans] == flood[-10:]
    check(orphans)


def test_many_inputs_count_as_more() -> None:
    orphans = Orphanage(max_latency=20)
    for number in range(3):
        orphans.add(orphan(number, inputs=90), 1)
    assert [tx.vin[0].prevout.txid[-1] for tx in orphans] == [1, 2]
    check(orphans)


def test_weight_is_shared_too() -> None:
    orphans = Orphanage(weight_per_peer=10_000)
    light = orphan(1)
    orphans.add(light, 1)
    for number in range(2, 12):
        orphans.add(orphan(number, padding=1_000), 2)
    assert light.wtxid in orphans
    assert orphans.weight <= 20_000
    before = len(orphans)
    orphans.forget_peer(1)  # and with it, its share
    assert orphans.weight <= 10_000 and len(orphans) < before - 1
    check(orphans)


def test_a_share_that_others_leave_can_be_used() -> None:
    orphans = Orphanage(max_latency=20)
    for number in range(20):
        orphans.add(orphan(number), 1)
    assert len(orphans) == 20
    orphans.add(orphan(99), 2)
    assert len(orphans) == 20 and orphans.count_from(1) == 19
    check(orphans)


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_what_is_counted_is_there(seed: int) -> None:
    chance = Stream(seed, "orphans")
    orphans = Orphanage(max_latency=30, weight_per_peer=4_000)
    parents = [orphan(1_000 + n) for n in range(3)]
    for _ in range(600):
        peer = chance.below(5)
        tx = orphan(chance.below(40), inputs=1 + chance.below(30), padding=chance.below(200))
        match chance.below(7):
            case 0 | 1 | 2:
                orphans.add(tx, peer)
            case 3:
                orphans.add(child_of(parents[chance.below(3)], chance.below(5)), peer)
            case 4:
                orphans.parent_came(parents[chance.below(3)], chance)
            case 5:
                if (taken := orphans.take_work(peer)) is not None and chance.below(2):
                    orphans.remove(taken.wtxid)
            case 6 if not chance.below(10):
                orphans.forget_peer(peer)
        check(orphans)
