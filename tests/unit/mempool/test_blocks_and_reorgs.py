"""What blocks take away, and what a reorganisation gives back."""

from dataclasses import replace

import pytest
from tests.support.blocks import REGTEST
from tests.support.branches import Branches, first_coin
from tests.support.mempool import HEIGHT, LOCK, NOW, Owned, Place, check_pool, gone, owned
from tests.support.spending import anyone_lock

from drystone.chain.chainstate import ChainState
from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.consensus.coins import Coin
from drystone.mempool.chainview import ChainView
from drystone.mempool.contents import Why
from drystone.mempool.outcomes import Accepted
from drystone.mempool.policy import Policy
from drystone.mempool.pool import Mempool
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction


@pytest.fixture
def place() -> Place:
    return Place()


def unmine(place: Place, *transactions: Transaction, blocks: int = 1) -> dict[Txid, Why]:
    """Take back the last blocks, which had these; their inputs' coins must be put back before."""
    place.height -= blocks
    for tx in transactions:
        for vout in range(len(tx.vout)):
            place.coins.pop(OutPoint(tx.txid, vout), None)
    removed = place.pool.follow(
        place.view, place.now, connected=(), unconfirmed=transactions, is_reorg=True
    )
    check_pool(place)
    return gone(removed)


# ---------------------------------------------------------------------- blocks


def test_what_is_in_a_block_goes_and_its_children_stay(place: Place) -> None:
    parent, child, other = place.let_in(
        parent := place.pay(), place.pay(owned(parent)), place.pay()
    )
    assert gone(place.mine(parent)) == {parent.txid: Why.BLOCK}
    assert place.txids() == {child.txid, other.txid}
    entry = place.pool.get(child.txid)
    assert entry is not None and not entry.parents
    check_pool(place)


def test_what_is_at_odds_with_a_block_goes_with_all_that_spend_it(place: Place) -> None:
    coin = place.fund()
    old, child = place.let_in(old := place.pay(coin), place.pay(owned(old)))
    winner = place.pay(coin, fee=5_000)
    place.pool.prioritise(old.txid, 100)
    assert gone(place.mine(winner)) == {old.txid: Why.CONFLICT, child.txid: Why.CONFLICT}
    assert len(place.pool) == 0 and not place.pool.deltas
    check_pool(place)


def test_a_block_with_another_witness_is_no_conflict(place: Place) -> None:
    (tx,) = place.let_in(place.pay())
    other = replace(tx, vin=(replace(tx.vin[0], witness=(b"other",)),))
    assert gone(place.mine(other)) == {tx.txid: Why.BLOCK}


def test_a_cluster_falls_apart_when_its_middle_is_mined(place: Place) -> None:
    (fan,) = place.let_in(place.pay(count=3))
    place.let_in(*[place.pay(owned(fan, n)) for n in range(3)])
    assert len(list(place.pool.clusters())) == 1
    place.mine(fan)
    assert len(list(place.pool.clusters())) == 3
    check_pool(place)


def test_deltas_are_forgotten_once_they_are_of_no_use(place: Place) -> None:
    (tx,) = place.let_in(place.pay())
    place.pool.prioritise(tx.txid, 7)
    place.mine(tx)
    assert place.pool.deltas == {}


# ---------------------------------------------------------------------- reorganisations


def test_what_was_in_a_block_comes_back_below_its_children(place: Place) -> None:
    coin = place.fund()
    parent = place.pay(coin, fee=0)  # no fee: a block had it, so it may come
    place.mine(parent)
    (child,) = place.let_in(place.pay(owned(parent)))
    place.coins[coin.outpoint] = coin.coin
    assert unmine(place, parent) == {}
    assert place.txids() == {parent.txid, child.txid}
    entry = place.pool.get(parent.txid)
    assert entry is not None
    assert (entry.sequence, set(entry.children)) == (0, {child.txid})
    assert len(list(place.pool.clusters())) == 1


def test_what_cannot_come_back_takes_its_children_along(place: Place) -> None:
    coin = place.fund()
    parent = place.pay(coin)
    place.mine(parent)
    child, grandchild = place.let_in(child := place.pay(owned(parent)), place.pay(owned(child)))
    assert unmine(place, parent) == {child.txid: Why.REORG, grandchild.txid: Why.REORG}


def test_a_child_of_a_coinbase_that_is_gone_goes(place: Place) -> None:
    young = Place(height=HEIGHT + 99)
    coin = young.fund(height=HEIGHT, is_coinbase=True)
    (tx,) = young.let_in(young.pay(coin))
    del young.coins[coin.outpoint]
    young.height -= 1
    removed = young.pool.follow(young.view, NOW, connected=(), is_reorg=True)
    assert gone(removed) == {tx.txid: Why.REORG}
    check_pool(young)


def test_what_became_immature_goes(place: Place) -> None:
    (tx,) = place.let_in(place.pay(place.fund(height=HEIGHT - 99, is_coinbase=True)))
    (child,) = place.let_in(place.pay(owned(tx)))
    assert unmine(place) == {tx.txid: Why.REORG, child.txid: Why.REORG}


@pytest.mark.parametrize("lock_time", [HEIGHT, NOW - 3_601], ids=["height", "time"])
def test_what_is_no_longer_final_goes(place: Place, lock_time: int) -> None:
    (early,) = place.let_in(place.pay(lock_time=lock_time))
    place.let_in(place.pay(lock_time=1))
    assert unmine(place) == {early.txid: Why.REORG}


def test_what_is_locked_again_goes(place: Place) -> None:
    (early,) = place.let_in(place.pay(place.fund(height=HEIGHT - 5), sequence=6))
    place.let_in(place.pay(place.fund(height=HEIGHT - 5), sequence=5))
    assert unmine(place) == {early.txid: Why.REORG}


def test_a_lock_follows_its_coin_to_another_height(place: Place) -> None:
    """The coin is mined again, later: its child is locked for longer."""
    coin = place.fund()
    parent = place.pay(coin)
    place.mine(parent)
    place.mine()
    (child,) = place.let_in(place.pay(owned(parent), sequence=2))
    outpoint = OutPoint(parent.txid, 0)
    place.coins[outpoint] = Coin(parent.vout[0], place.height, is_coinbase=False)
    removed = place.pool.follow(place.view, place.now, connected=(), is_reorg=True)
    assert gone(removed) == {child.txid: Why.REORG}


def test_clusters_that_a_reorganisation_made_too_large_lose_what_pays_least() -> None:
    place = Place(Policy(limitclustercount=3))
    coin = place.fund()
    parent = place.pay(coin, count=5)
    place.mine(parent)
    children = [place.pay(owned(parent, n), fee=1_000 * (1 + n)) for n in range(5)]
    place.let_in(*children)
    place.coins[coin.outpoint] = coin.coin
    removed = unmine(place, parent)
    assert removed == {tx.txid: Why.SIZELIMIT for tx in children[:3]}
    assert place.txids() == {parent.txid, children[3].txid, children[4].txid}


def test_a_long_chain_from_a_block_comes_back_as_far_as_a_cluster_goes(place: Place) -> None:
    coin = place.fund()
    chain = place.chain_of(70, start=coin)
    place.mine(*chain)
    place.coins[coin.outpoint] = coin.coin
    unmine(place, *chain)
    assert place.txids() == {tx.txid for tx in chain[:64]}


# ---------------------------------------------------------------------- a real chain


def test_a_real_chain_reorganises_and_the_mempool_follows() -> None:
    """Blocks are really connected; what is mined on one branch waits again on the other."""
    branches = Branches()
    chain = ChainState(REGTEST, MemoryBlocks(), MemoryCoins())
    trunk = branches.grow(branches.genesis, 102)
    now = trunk[-1].header.time
    for block in trunk:
        assert chain.submit(block, now=now).error is None
    pool = Mempool(REGTEST, Policy(acceptnonstdtxn=True))
    place = Place(pool.policy)
    coins = [Owned(*first_coin(trunk[n].coinbase, n + 1), anyone_lock()) for n in (0, 1)]
    first, second = (place.pay(coin) for coin in coins)
    rival = place.pay(coins[1], fee=9_000)
    child = place.pay(owned(first))
    for tx in (first, second, child):
        outcome = pool.accept(tx, ChainView.at_tip(chain), now)
        assert isinstance(outcome, Accepted), outcome

    mined = branches.on(trunk[-1], [first, second])
    change = chain.submit(mined, now=now + 600).change
    assert change is not None
    assert gone(pool.follow_chain(chain, change, now + 600)) == {
        first.txid: Why.BLOCK,
        second.txid: Why.BLOCK,
    }
    assert {entry.tx.txid for entry in pool} == {child.txid}

    better = branches.on(trunk[-1], [rival], interval_s=601)
    chain.submit(better, now=now + 1_200)
    change = chain.submit(branches.on(better), now=now + 1_800).change
    assert change is not None and change.disconnected
    assert set(change.unconfirmed) == {first, second}
    assert pool.follow_chain(chain, change, now + 1_800) == ()
    assert {entry.tx.txid for entry in pool} == {first.txid, child.txid}
    assert pool.coin(OutPoint(child.txid, 0), ChainView.at_tip(chain)) is not None
    assert pool.coin(OutPoint(first.txid, 0), ChainView.at_tip(chain)) is None
    assert LOCK.script_pubkey == child.vout[0].script_pubkey


def test_following_from_far_behind_reads_no_more_blocks_than_it_must() -> None:
    branches = Branches()
    chain = ChainState(REGTEST, MemoryBlocks(), MemoryCoins())
    blocks = branches.grow(branches.genesis, 5)
    now = blocks[-1].header.time
    for block in reversed(blocks[1:]):
        chain.submit(block, now=now)
    chain.submit_headers([block.header for block in blocks], now=now)
    for block in blocks[1:]:
        chain.submit(block, now=now)
    change = chain.submit(blocks[0], now=now).change
    assert change is not None and len(change.connected) == 5
    read: list[bytes] = []
    block_of = chain.block
    chain.block = lambda block_hash: (read.append(block_hash), block_of(block_hash))[1]  # type: ignore[method-assign,func-returns-value]
    assert Mempool(REGTEST).follow_chain(chain, change, now) == ()
    assert read == [blocks[-1].hash]
