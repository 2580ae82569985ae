"""A node and transactions: heard of, asked for, taken, announced, sent."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.support.branches import Branches, payment
from tests.support.node import Bench, Talker
from tests.support.spending import p2wpkh_lock, spend

from drystone.chain.signatures import AtOnce, Verdict
from drystone.consensus import connect
from drystone.consensus.coins import Coin
from drystone.consensus.script.verify import Spend, verify_batch_of_scripts
from drystone.consensus.verifier import SignatureCheck
from drystone.core.chance import Stream
from drystone.mempool.policy import Policy
from drystone.mempool.script_cache import ScriptCache
from drystone.node.events import TxAccepted, TxRefused, TxRemoved
from drystone.node.fee_filter import NOTHING, rounded
from drystone.node.settings import Settings
from drystone.p2p.handshake import Permissions
from drystone.p2p.messages import (
    BlockMessage,
    FeeFilter,
    GetData,
    Headers,
    Inv,
    Inventory,
    Mempool,
    NotFound,
    Ping,
    TxMessage,
)
from drystone.p2p.protocol import MSG_BLOCK, MSG_TX, MSG_WITNESS_TX, MSG_WTX
from drystone.primitives.block import Block
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxOut

BRANCHES = Branches()
GROWN = BRANCHES.grow(BRANCHES.genesis, 120)


def paid(number: int, fee: int = 10_000, outputs: int = 2) -> Transaction:
    """A payment of the reward of block number + 1."""
    coinbase = GROWN[number].coinbase
    value = (coinbase.vout[0].value - fee) // outputs
    return payment(OutPoint(coinbase.txid, 0), value, outputs=outputs)


def onward(parent: Transaction, fee: int = 10_000, vout: int = 0) -> Transaction:
    """A payment of an output of another payment."""
    value = (parent.vout[vout].value - fee) // 2
    return payment(OutPoint(parent.txid, vout), value, outputs=2)


def a_bench(settings: Settings | None = None, blocks: Sequence[Block] = GROWN) -> Bench:
    """A node with the chain, that doesn't mind how coins are locked."""
    return Bench(blocks=blocks, policy=Policy(acceptnonstdtxn=True), settings=settings)


def a_peer(bench: Bench, **what: object) -> Talker:
    """One that knows the chain."""
    peer = bench.peer(**what)
    peer.send(Headers((bench.chain.tip.header,)))
    peer.forget()
    return peer


def inv(*transactions: Transaction) -> Inv:
    """By wtxid."""
    return Inv(tuple([Inventory(MSG_WTX, tx.wtxid) for tx in transactions]))


def by_wtxid(*transactions: Transaction) -> tuple[Inventory, ...]:
    """As a getdata or inv has them."""
    return tuple([Inventory(MSG_WTX, tx.wtxid) for tx in transactions])


# Asking.


def test_a_ping_in_one_piece_with_a_transaction_does_not_delay_its_being_passed_on() -> None:
    woken = []
    for piece in ([TxMessage(paid(0))], [TxMessage(paid(0)), Ping(7)]):
        bench = a_bench()
        giver, other = a_peer(bench, inbound=False), a_peer(bench)
        giver.send(inv(paid(0)))
        giver.send(*piece)
        woken.append(bench.wake_at)
        bench.pass_(60)
        assert other.take_one(Inv).items == by_wtxid(paid(0))
    assert woken[0] == woken[1]


def test_whom_we_dialled_is_asked_at_once_and_who_dialled_us_after_two_seconds() -> None:
    bench, tx = a_bench(), paid(0)
    inbound, outbound = a_peer(bench), a_peer(bench, inbound=False)
    inbound.send(inv(tx))
    bench.pass_(1)
    assert not inbound.take(GetData)
    bench.pass_(1.5)
    assert inbound.take_one(GetData).items == by_wtxid(tx)
    other = paid(1)
    outbound.send(inv(other))
    assert outbound.take_one(GetData).items == by_wtxid(other)


def test_only_one_peer_is_asked_and_the_next_one_after_a_minute_or_a_notfound() -> None:
    bench, tx = a_bench(), paid(0)
    one, other, third = (a_peer(bench) for _ in range(3))
    for peer in (one, other, third):
        peer.send(inv(tx))
    bench.pass_(3)
    asked = [peer for peer in (one, other, third) if peer.take(GetData)]
    assert len(asked) == 1
    asked[0].send(NotFound(by_wtxid(tx)))
    second = [peer for peer in (one, other, third) if peer.take(GetData)]
    assert len(second) == 1 and second != asked
    bench.pass_(59)
    assert not any(peer.take(GetData) for peer in (one, other, third))
    bench.pass_(2)
    assert [peer for peer in (one, other, third) if peer.take(GetData)] not in ([], asked, second)


def test_what_is_known_is_not_asked_for() -> None:
    bench = a_bench()
    ours, confirmed = paid(0), paid(1)
    block = BRANCHES.on(GROWN[-1], [confirmed], fees=10_000)
    bench.submit(block)
    bench.submit(ours)
    peer = a_peer(bench)
    peer.send(inv(ours, confirmed))
    bench.pass_(10)
    assert not peer.take(GetData)


def test_announcements_of_the_other_kind_of_name_count_for_nothing() -> None:
    bench, tx = a_bench(), paid(0)
    old, new = a_peer(bench, wtxid_relay=False), a_peer(bench)
    new.send(Inv((Inventory(MSG_TX, tx.txid),)))
    old.send(inv(tx))
    bench.pass_(10)
    assert not old.take(GetData) and not new.take(GetData)
    old.send(Inv((Inventory(MSG_TX, tx.txid),)))
    bench.pass_(10)
    assert old.take_one(GetData).items == (Inventory(MSG_WITNESS_TX, tx.txid),)


def test_a_peer_may_announce_five_thousand_transactions_and_no_more_are_remembered() -> None:
    bench = a_bench()
    peer = a_peer(bench)
    hashes = [number.to_bytes(32, "big") for number in range(1, 20_001)]
    peer.send(Inv(tuple([Inventory(MSG_WTX, hash_) for hash_ in hashes])))
    bench.pass_(5)
    asked = peer.take(GetData)
    assert sum(len(message.items) for message in asked) == 5_000
    assert all(len(message.items) <= 1_000 for message in asked)


# Taking.


def test_a_transaction_that_comes_is_taken_and_announced_to_all_others_in_time() -> None:
    bench, tx = a_bench(), paid(0)
    sender, by_name, old = a_peer(bench), a_peer(bench), a_peer(bench, wtxid_relay=False)
    sender.send(TxMessage(tx))
    assert tx.txid in bench.mempool
    assert [told.tx for told in bench.news(TxAccepted)] == [tx]
    assert not by_name.take(Inv)
    bench.pass_(60)
    assert by_name.take_one(Inv).items == by_wtxid(tx)
    assert old.take_one(Inv).items == (Inventory(MSG_TX, tx.txid),)
    assert not sender.take(Inv)
    by_name.send(GetData(by_wtxid(tx)))
    assert by_name.take_one(TxMessage).tx == tx


def test_a_bad_transaction_is_refused_once_and_its_sender_stays() -> None:
    bench = a_bench()
    bad = payment(OutPoint(GROWN[0].coinbase.txid, 0), 50 * 10**8, outputs=2)
    peer, other = a_peer(bench), a_peer(bench)
    peer.send(TxMessage(bad))
    peer.send(TxMessage(bad))
    assert [told.error.reason for told in bench.news(TxRefused)] == ["bad-txns-in-belowout"]
    assert not peer.left()
    other.send(inv(bad))
    bench.pass_(10)
    assert not other.take(GetData)


def test_what_was_refused_may_be_right_after_the_next_block() -> None:
    bench = a_bench()
    early = paid(22)  # its coin is mature in block 123
    peer = a_peer(bench)
    tip = GROWN[-1]
    for _ in range(2):
        peer.send(TxMessage(early))
        assert early.txid not in bench.mempool
        tip = BRANCHES.on(tip)
        bench.submit(tip)
    peer.send(TxMessage(early))
    assert early.txid in bench.mempool
    reasons = [told.error.reason for told in bench.news(TxRefused)]
    assert reasons == ["bad-txns-premature-spend-of-coinbase"] * 2


def test_an_orphan_waits_for_its_parent_which_is_asked_for_by_txid() -> None:
    bench = a_bench()
    parent = paid(0)
    child = onward(parent)
    peer = a_peer(bench)
    peer.send(TxMessage(child))
    assert child.txid not in bench.mempool and len(bench.node.transactions.orphans) == 1
    bench.pass_(5)
    assert peer.take_one(GetData).items == (Inventory(MSG_WITNESS_TX, parent.txid),)
    peer.send(TxMessage(parent))
    assert parent.txid in bench.mempool and child.txid in bench.mempool
    assert len(bench.node.transactions.orphans) == 0


def test_orphans_of_orphans_come_in_one_after_the_other() -> None:
    bench = a_bench()
    first = paid(0)
    second = onward(first)
    third = onward(second)
    peer = a_peer(bench)
    for tx in (third, second, first):
        peer.send(TxMessage(tx))
    assert len(bench.mempool) == 3


def test_a_crowd_of_orphans_is_let_in_over_several_turns() -> None:
    bench = a_bench()
    parent = paid(0, outputs=500)
    peer = a_peer(bench)
    orphans = [onward(parent, vout=vout) for vout in range(500)]
    peer.send(*map(TxMessage, orphans))
    assert len(bench.node.transactions.orphans) == 500
    peer.send(TxMessage(parent))
    settled = len(bench.news(TxAccepted)) + len(bench.news(TxRefused))
    assert 100 <= settled <= 300
    bench.pass_(0)
    assert not len(bench.node.transactions.orphans)
    assert len(bench.news(TxAccepted)) + len(bench.news(TxRefused)) == 501


def test_the_child_of_a_refused_parent_is_no_orphan() -> None:
    bench = a_bench()
    bad = payment(OutPoint(GROWN[0].coinbase.txid, 0), 50 * 10**8, outputs=2)
    peer = a_peer(bench)
    peer.send(TxMessage(bad), TxMessage(onward(bad)))
    assert len(bench.node.transactions.orphans) == 0


def test_a_parent_that_pays_too_little_comes_in_with_a_child_that_pays_for_both() -> None:
    bench = a_bench()
    parent = paid(0, fee=0)
    child = onward(parent, fee=50_000)
    peer = a_peer(bench)
    peer.send(TxMessage(parent))
    assert parent.txid not in bench.mempool
    peer.send(TxMessage(child))
    bench.pass_(5)
    assert peer.take_one(GetData).items == (Inventory(MSG_WITNESS_TX, parent.txid),)
    peer.send(TxMessage(parent))
    assert parent.txid in bench.mempool and child.txid in bench.mempool


def test_a_lost_peers_orphans_are_forgotten() -> None:
    bench = a_bench()
    peer = a_peer(bench)
    peer.send(TxMessage(onward(paid(0))))
    peer.hang_up()
    assert len(bench.node.transactions.orphans) == 0


# Announcing.


def test_parents_are_announced_before_children_and_what_pays_better_first() -> None:
    bench = a_bench()
    peer = a_peer(bench)
    cheap, dear = paid(0, fee=5_000), paid(1, fee=50_000)
    child = onward(cheap, fee=90_000)
    for tx in (cheap, child, dear):
        assert bench.submit(tx).error is None
    bench.pass_(60)
    assert peer.take_one(Inv).items == by_wtxid(dear, cheap, child)


def test_a_peer_is_spared_what_pays_less_than_it_wants() -> None:
    bench = a_bench()
    peer = a_peer(bench)
    peer.send(FeeFilter(100_000))
    cheap, dear = paid(0, fee=1_000), paid(1, fee=50_000)
    for tx in (cheap, dear):
        bench.submit(tx)
    bench.pass_(60)
    assert peer.take_one(Inv).items == by_wtxid(dear)


def test_whoever_wants_no_transactions_hears_of_none() -> None:
    bench = a_bench()
    peer = a_peer(bench, relay=False)
    bench.submit(paid(0))
    bench.pass_(60)
    assert not peer.take(Inv)


def test_whoever_wants_no_transactions_is_not_even_told_that_one_is_not_there() -> None:
    bench = a_bench()
    asked = GetData((Inventory(MSG_WTX, paid(0).wtxid),))
    for relay, answers in ((True, 1), (False, 0)):
        peer = bench.peer(relay=relay)
        peer.send(asked)
        assert len(peer.take(NotFound)) == answers


def test_a_peer_is_told_the_least_that_transactions_must_pay() -> None:
    bench = a_bench()
    peer = bench.peer()
    bench.pass_(7_200)
    told = [message.fee_rate for message in peer.take(FeeFilter)]
    assert told == [100]  # once, since it never changes


def test_during_the_initial_download_transactions_are_neither_wanted_nor_asked_for() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    bench = Bench(blocks=[block], unix_s=block.header.time + 30 * 24 * 3600)
    peer = bench.peer()
    assert peer.take_one(FeeFilter).fee_rate == 9_936_506
    peer.send(inv(paid(0)))
    bench.pass_(10)
    assert not peer.take(GetData)


def test_once_the_initial_download_is_over_peers_are_told_what_to_pay() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    bench = Bench(blocks=[block], unix_s=block.header.time + 30 * 24 * 3600)
    peer = bench.peer()
    peer.forget()
    bench.submit(branches.on(block, time=bench.start_s))
    assert peer.take_one(FeeFilter).fee_rate == 100


def test_a_node_that_takes_no_transactions_tells_of_no_fee() -> None:
    bench = Bench(settings=Settings(relays_transactions=False))
    peer = bench.peer()
    bench.pass_(7_200)
    assert not peer.take(FeeFilter)


def test_rates_above_the_least_are_told_in_steps() -> None:
    dice = Stream(1, "steps")
    assert {rounded(1_000, dice) for _ in range(50)} == {959, 1_055}
    assert {rounded(10**9, dice) for _ in range(50)} == {NOTHING}
    assert {rounded(0, dice) for _ in range(50)} == {0}


def test_a_transaction_of_ours_that_nobody_asked_for_is_announced_again_to_newcomers() -> None:
    bench, tx = a_bench(), paid(0)
    bench.submit(tx)
    bench.pass_(30)
    peer = a_peer(bench)
    bench.pass_(570 + 60)
    assert peer.take_one(Inv).items == by_wtxid(tx)
    peer.send(GetData(by_wtxid(tx)))
    assert peer.take_one(TxMessage).tx == tx
    assert not bench.mempool.unbroadcast


# Sending.


def test_what_a_peer_can_not_know_of_yet_is_not_found() -> None:
    bench, tx = a_bench(), paid(0)
    peer = a_peer(bench)
    bench.submit(tx)
    peer.send(GetData(by_wtxid(tx)))
    assert peer.take_one(NotFound).items == by_wtxid(tx)
    bench.pass_(60)
    peer.send(GetData(by_wtxid(tx)))
    assert peer.take_one(TxMessage).tx == tx


def test_what_was_confirmed_just_now_can_still_be_had() -> None:
    bench, tx = a_bench(), paid(0)
    peer = a_peer(bench)
    bench.submit(BRANCHES.on(GROWN[-1], [tx], fees=10_000))
    peer.send(GetData((Inventory(MSG_WITNESS_TX, tx.txid),)))
    assert peer.take_one(TxMessage).tx == tx


def test_all_of_the_mempool_is_announced_to_those_who_may_ask() -> None:
    bench = a_bench()
    transactions = [paid(0), paid(1)]
    for tx in transactions:
        bench.submit(tx)
    peer = a_peer(bench, permissions=Permissions.MEMPOOL)
    peer.send(Mempool())
    bench.pass_(60)
    assert {item.hash for item in peer.take_one(Inv).items} == {tx.wtxid for tx in transactions}
    other = a_peer(bench)
    other.send(Mempool())
    assert other.left() == "mempool request with bloom filters disabled"


# Blocks and reorganisations.


def test_transactions_of_a_branch_that_lost_come_back_and_those_of_the_winner_go() -> None:
    bench = a_bench()
    lost, kept, clash = paid(0), paid(1), paid(0, fee=20_000)
    ours = BRANCHES.on(GROWN[-1], [lost, kept], fees=20_000)
    bench.submit(ours)
    theirs = BRANCHES.on(GROWN[-1], [clash], fees=20_000)
    above = BRANCHES.on(theirs)
    bench.submit(theirs)
    bench.submit(above)
    assert bench.chain.tip.hash == above.hash
    assert kept.txid in bench.mempool and lost.txid not in bench.mempool
    assert [told.tx for told in bench.news(TxAccepted)] == [kept]


def test_what_is_at_odds_with_a_block_is_dropped() -> None:
    bench = a_bench()
    ours, theirs = paid(0), paid(0, fee=20_000)
    bench.submit(ours)
    bench.submit(BRANCHES.on(GROWN[-1], [theirs], fees=20_000))
    assert [(told.tx, told.why) for told in bench.news(TxRemoved)] == [(ours, "conflict")]


def test_a_node_of_blocks_only_leaves_whoever_sends_transactions() -> None:
    bench = a_bench(Settings(relays_transactions=False))
    one, other = a_peer(bench), a_peer(bench)
    one.send(inv(paid(0)))
    assert one.left().endswith("inv sent in violation of protocol")
    other.send(TxMessage(paid(0)))
    assert other.left() == "transaction sent in violation of protocol"
    third = a_peer(bench)
    third.send(Inv((Inventory(MSG_BLOCK, GROWN[-1].hash),)))
    third.send(BlockMessage(GROWN[-1]))
    assert not third.left()


def test_scripts_that_ran_for_the_mempool_need_not_run_again_for_a_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[Txid] = []

    def run(spends: Sequence[Spend], *rest: Any) -> None:
        ran.extend([spend.tx.txid for spend in spends])
        verify_batch_of_scripts(spends, *rest)

    bench, known, unknown = a_bench(), paid(0), paid(1)
    assert bench.submit(known).error is None
    monkeypatch.setattr(connect, "verify_batch_of_scripts", run)
    block = BRANCHES.on(GROWN[-1], [known, unknown], fees=20_000)
    assert bench.submit(block).error is None
    assert ran == [unknown.txid]
    assert not len(bench.mempool)


class Noted:
    """Signatures checked at once; it notes how many came together."""

    def __init__(self) -> None:
        self.started: list[int] = []

    def start(self, checks: Sequence[SignatureCheck], /) -> Verdict:
        self.started.append(len(checks))
        return AtOnce().start(checks)


def test_signatures_of_transactions_that_come_together_are_checked_together() -> None:
    bench, signatures = a_bench(), Noted()
    bench.mempool.scripts = ScriptCache(signatures=signatures)
    peer = a_peer(bench, inbound=False)
    lock = p2wpkh_lock()
    funding = payment(
        OutPoint(GROWN[0].coinbase.txid, 0), 10_000_000, lock.script_pubkey, outputs=20
    )
    assert bench.submit(funding).error is None
    bench.submit(
        BRANCHES.on(GROWN[-1], [funding], fees=GROWN[0].coinbase.vout[0].value - 200_000_000)
    )
    coins = [(OutPoint(funding.txid, n), Coin(funding.vout[n], 121, False)) for n in range(20)]
    paying = [spend([coin], [lock], [TxOut(9_000_000, lock.script_pubkey)]) for coin in coins]
    forged = replace(paying[3], lock_time=1)
    peer.send(*map(TxMessage, [*paying[:3], forged, *paying[4:10]]))
    assert signatures.started == [8, 2]
    assert [news.tx for news in bench.news(TxAccepted)[1:]] == [*paying[:3], *paying[4:10]]
    assert [news.tx for news in bench.news(TxRefused)] == [forged]
    peer.send(*map(TxMessage, paying[10:15]))  # too few to be worth it
    peer.send(*map(TxMessage, paying))
    assert signatures.started == [8, 2, 6]  # those that were new
    assert len(bench.mempool) == 20
