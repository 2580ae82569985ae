"""Size, age and the least fee rate: what a mempool lets go of, and what it then asks for."""

from dataclasses import replace

import pytest
from tests.support.mempool import NOW, Place, check_pool, gone, owned

from drystone.consensus.coins import Coin
from drystone.core.errors import UserError
from drystone.mempool.contents import Why
from drystone.mempool.minimum_fee import FRACTION_BITS, HALF_LIFE_S, MinimumFee, halved
from drystone.mempool.outcomes import Accepted, Refused
from drystone.mempool.policy import Policy
from drystone.primitives.transaction import OutPoint

SMALL = Policy(maxmempool=1, limitclustersize=20)  # a million bytes
PADDING = 19_000
FIT = 49  # transactions with so much padding


def fill(place: Place) -> list[bytes]:
    """Fill it up, with rates that rise; what came, the worst first."""
    txids: list[bytes] = []
    before = len(place.pool)
    while len(place.pool) == before + len(txids):
        tx = place.pay(fee=20_000 + 1_000 * len(txids), padding=PADDING)
        place.accept(tx)
        txids.append(tx.txid)
    return txids


def test_what_pays_worst_goes_when_there_is_too_much() -> None:
    place = Place(SMALL)
    txids = fill(place)
    assert len(txids) == FIT + 1
    assert place.txids() == set(txids[1:])
    check_pool(place)


def test_who_goes_names_the_rate_that_is_asked_for_next() -> None:
    """As much as the one that went paid, and what relaying costs on top."""
    place = Place(SMALL)
    fill(place)
    went = 20_000 * 1_000 // place.pay(padding=PADDING).vsize
    assert place.pool.minimum_rate(place.now) == went + 100
    vsize = place.pay().vsize
    least = -(-(went + 100) * vsize // 1_000)
    assert place.why_not(place.pay(fee=least - 1)) == "mempool min fee not met"
    place.let_in(place.pay(fee=least))
    check_pool(place)


def test_what_would_be_the_first_to_go_does_not_come() -> None:
    place = Place(SMALL)
    txids = fill(place)
    worse = place.pay(fee=20_100 + 1_000, padding=PADDING)
    place.pool._contents.minimum_fee = MinimumFee(100)  # as if it had come long ago
    place.let_in(place.pay(fee=90_000, padding=PADDING))
    place.pool._contents.minimum_fee = MinimumFee(100)
    before = place.txids()
    outcome = place.accept(worse)
    assert isinstance(outcome, Refused)
    assert outcome.reason == "mempool full"
    assert place.txids() == before
    assert gone(outcome.removed) == {worse.txid: Why.SIZELIMIT}
    assert txids[1] not in before
    check_pool(place)


def test_a_whole_chunk_goes_and_not_what_pays_for_others() -> None:
    place = Place(SMALL)
    poor = place.pay(fee=2_000, padding=5_000, count=2)
    rich = place.pay(owned(poor), fee=400_000)
    lone = place.pay(fee=3_000, padding=5_000)
    place.let_in(poor, rich, lone)
    fill(place)
    assert {poor.txid, rich.txid} <= place.txids()
    assert lone.txid not in place.txids()
    check_pool(place)


def test_a_package_may_be_evicted_at_once() -> None:
    place = Place(SMALL)
    fill(place)
    place.pool._contents.minimum_fee = MinimumFee(100)
    parent = place.pay(fee=0, padding=PADDING // 2)
    child = place.pay(owned(parent), fee=5_000, padding=PADDING // 2)
    outcome = place.package(parent, child)
    assert outcome.error is not None and outcome.error.reason == "transaction failed"
    assert [getattr(o, "reason", None) for o in outcome.outcomes.values()] == ["mempool full"] * 2
    check_pool(place)


# ---------------------------------------------------------------------- the least fee rate


def test_the_least_rate_falls_only_after_a_block() -> None:
    least = MinimumFee(100)
    least.evicted(9_900)
    assert least.rate(NOW, 100, 100) == 10_000
    assert least.rate(NOW + HALF_LIFE_S, 100, 100) == 10_000
    least.block_came(NOW)
    assert least.rate(NOW + 10, 100, 100) == 10_000  # not by so little
    assert least.rate(NOW + HALF_LIFE_S, 100, 100) == 5_000


@pytest.mark.parametrize(("usage", "halvings"), [(50, 1), (49, 2), (25, 2), (24, 4), (0, 4)])
def test_the_least_rate_falls_faster_where_there_is_room(usage: int, halvings: int) -> None:
    least = MinimumFee(1)
    least.evicted(15_999)
    least.block_came(NOW)
    assert least.rate(NOW + HALF_LIFE_S, usage, 100) == 16_000 >> halvings


def test_the_least_rate_ends_at_zero_once_it_means_nothing() -> None:
    least = MinimumFee(100)
    least.evicted(100)
    least.block_came(NOW)
    assert least.rate(NOW + HALF_LIFE_S, 100, 100) == 100
    assert least.rate(NOW + 2 * HALF_LIFE_S, 100, 100) == 100  # 50 is kept, 100 is asked for
    assert least.rate(NOW + 2 * HALF_LIFE_S + 60, 100, 100) == 0
    assert least.rate(NOW + 3 * HALF_LIFE_S, 100, 100) == 0


def test_a_clock_that_goes_back_changes_nothing() -> None:
    least = MinimumFee(100)
    least.evicted(900)
    least.block_came(NOW)
    assert least.rate(NOW - HALF_LIFE_S, 100, 100) == 1_000


def test_less_than_before_does_not_lower_it() -> None:
    least = MinimumFee(100)
    least.evicted(900)
    least.evicted(500)
    assert least.rate(NOW, 100, 100) == 1_000


@pytest.mark.parametrize("passed", [1, 11, 600, 43_199, 43_201, 100_000, 10**9])
def test_halving_is_as_exact_as_floats_are_and_the_same_everywhere(passed: int) -> None:
    value = 123_456 << FRACTION_BITS
    exact = value * 2.0 ** (-passed / HALF_LIFE_S)
    assert abs(halved(value, passed, HALF_LIFE_S) - exact) <= exact / 2**30 + 1


# ---------------------------------------------------------------------- age


def test_what_waited_for_two_weeks_goes_with_its_children() -> None:
    place = Place()
    (old,) = place.let_in(place.pay())
    place.now += 3_600
    (child,) = place.let_in(place.pay(owned(old)))
    place.now = NOW + 336 * 3_600
    assert place.pool.limit(place.now) == ()
    place.now += 1
    outcome = place.accept(new := place.pay())
    assert isinstance(outcome, Accepted)
    assert gone(outcome.removed) == {old.txid: Why.EXPIRY, child.txid: Why.EXPIRY}
    assert place.txids() == {new.txid}
    check_pool(place)


def test_ages_of_what_is_gone_are_forgotten() -> None:
    place = Place()
    for _ in range(300):
        (tx,) = place.let_in(place.pay())
        place.pool.remove(tx.txid)
    assert len(place.pool._contents._ages) < 100


def test_what_came_and_went_leaves_no_ranks_behind() -> None:
    place = Place()
    graph = place.pool._contents.graph
    for _ in range(300):
        (tx,) = place.let_in(place.pay())
        assert graph.worst_chunk() is not None
        place.pool.remove(tx.txid)
    assert graph.worst_chunk() is None
    assert len(graph._worst) < 100 and not graph._unranked


# ---------------------------------------------------------------------- prioritising


def test_deltas_add_up_and_go_away_at_zero() -> None:
    place = Place()
    (tx,) = place.let_in(place.pay(fee=1_000))
    place.pool.prioritise(tx.txid, 500)
    place.pool.prioritise(tx.txid, -2_000)
    entry = place.pool.get(tx.txid)
    assert entry is not None
    assert (entry.fee, entry.modified_fee, place.pool.deltas) == (1_000, -500, {tx.txid: -1_500})
    check_pool(place)
    place.pool.prioritise(tx.txid, 1_500)
    assert place.pool.deltas == {}


def test_a_delta_lets_in_what_pays_too_little() -> None:
    place = Place()
    tx = place.pay(fee=0)
    assert place.why_not(tx) == "min relay fee not met"
    place.pool.prioritise(tx.txid, 100)
    place.let_in(tx)


def test_a_delta_changes_what_a_miner_takes_first() -> None:
    place = Place()
    one, other = place.let_in(place.pay(fee=1_000), place.pay(fee=2_000))
    assert [chunk.entries[0].tx for chunk in place.pool.chunks()] == [other, one]
    place.pool.prioritise(one.txid, 5_000)
    assert [chunk.entries[0].tx for chunk in place.pool.chunks()] == [one, other]


def test_what_is_no_longer_here_needs_no_peer_to_ask_for_it() -> None:
    place = Place()
    one, other = place.let_in(place.pay(), place.pay())
    place.pool.unbroadcast.update({one.txid: None, other.txid: None})
    place.mine(one)
    assert place.pool.unbroadcast == {other.txid: None}
    assert place.pool.remove(one.txid) == ()


def test_coins_are_those_that_the_mempool_leaves() -> None:
    place = Place()
    coin = place.fund()
    assert place.pool.coin(coin.outpoint, place.view) == coin.coin
    (tx,) = place.let_in(place.pay(coin))
    assert place.pool.coin(coin.outpoint, place.view) is None
    made = place.pool.coin(OutPoint(tx.txid, 0), place.view)
    assert made == Coin(tx.vout[0], place.height + 1, is_coinbase=False)
    assert place.pool.coin(OutPoint(tx.txid, 1), place.view) is None
    spender = place.pool.spender(coin.outpoint)
    assert spender is not None and spender.tx == tx


# ---------------------------------------------------------------------- policy


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"minrelaytxfee": -1}, "minrelaytxfee must not be negative"),
        ({"limitclustercount": 65}, "limitclustercount must be from 1 to 64"),
        ({"limitclustercount": 0}, "limitclustercount must be from 1 to 64"),
        ({"limitclustersize": 0}, "limitclustersize must be at least 1"),
        ({"maxmempool": 4}, "maxmempool must be at least 5 MB"),
    ],
)
def test_figures_that_cannot_be_are_the_users_mistake(options: dict[str, int], says: str) -> None:
    with pytest.raises(UserError) as mistake:
        replace(Policy(), **options)  # type: ignore[arg-type]
    assert str(mistake.value) == says


def test_the_least_that_is_allowed_is_enough() -> None:
    Policy(maxmempool=5)
    Policy(maxmempool=0)  # none at all
    place = Place(Policy(maxmempool=0))
    assert isinstance(place.accept(place.pay()), Refused)
