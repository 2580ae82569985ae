"""What accounts own, as chain and mempool move."""

from dataclasses import dataclass, field

import pytest
from tests.support.branches import Branches
from tests.support.stores import open_chain
from tests.support.wallet import funded, outpoint

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import TipChange
from drystone.consensus.chains import REGTEST
from drystone.core.errors import UserError
from drystone.primitives.block import Block
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction
from drystone.wallet.accounts import Accounts, Balance
from drystone.wallet.keys import Kind, keys_of
from drystone.wallet.payment import Payment, conflicting, make_payment

NOW = REGTEST.genesis.header.time + 10_000_000
REWARD = 5_000_000_000


@dataclass
class Place:
    """A chain on which alice can spend one reward, her accounts, and a mempool of sorts."""

    branches: Branches = field(default_factory=Branches)
    waiting: dict[Txid, Transaction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chain: ChainState = open_chain(REGTEST)
        self.accounts = Accounts(REGTEST, ("alice", "bob", "carol"))
        script = keys_of("alice").p2wpkh.script_pubkey
        coinbase = self.branches.coinbase(1, script_pubkey=script)
        first = self.branches.on(self.branches.genesis, coinbase=coinbase)
        self.take(first, *self.branches.grow(first, 99))

    @property
    def tip(self) -> Block:
        return self.chain.block(self.chain.tip.hash)

    def take(self, *blocks: Block) -> None:
        for block in blocks:
            submission = self.chain.submit(block, now=NOW)
            assert submission.error is None
            if submission.change is not None:
                self._follow(submission.change)

    def _follow(self, change: TipChange) -> None:
        for node in change.connected:
            for tx in self.chain.block(node.hash).vtx:
                self.waiting.pop(tx.txid, None)
                spent = {txin.prevout for txin in tx.vin}
                for other in list(self.waiting.values()):
                    if spent & {txin.prevout for txin in other.vin}:
                        del self.waiting[other.txid]
        for tx in change.unconfirmed:
            if all(self._can_spend(txin.prevout) for txin in tx.vin):
                self.waiting[tx.txid] = tx
        self.accounts.follow(self.chain, change, self.waiting)

    def _can_spend(self, outpoint: OutPoint) -> bool:
        return outpoint.txid in self.waiting or self.chain.coin(outpoint) is not None

    def wait(self, payment: Payment) -> Payment:
        self.waiting[payment.txid] = payment.tx
        self.accounts.accepted(payment.tx)
        return payment

    def mine(self, *payments: Payment, on: Block | None = None) -> Block:
        transactions = [payment.tx for payment in payments]
        block = self.branches.on(on or self.tip, transactions)
        self.take(block)
        return block

    def balances(self) -> tuple[Balance, ...]:
        return tuple(map(self.accounts.balance, self.accounts.names))

    def check(self) -> None:
        """It is as if all had been looked at anew."""
        anew = Accounts(REGTEST, self.accounts.names)
        anew.scan(self.chain, self.waiting.values())
        for name in self.accounts.names:
            assert anew.coins(name) == self.accounts.coins(name)
            assert anew.spendable(name, own_change=True) == self.accounts.spendable(
                name, own_change=True
            )


def test_a_reward_is_too_young_until_a_hundred_blocks_lie_on_it() -> None:
    place = Place()
    assert place.accounts.balance("alice") == Balance(REWARD, 0, 0)
    anew = Accounts(REGTEST, ("alice",))
    shorter = Place()
    shorter.chain.invalidate(shorter.chain.tip.hash)
    anew.scan(shorter.chain)
    assert anew.balance("alice") == Balance(0, 0, REWARD)
    assert anew.spendable("alice") == []


def test_a_payment_waits_then_is_confirmed() -> None:
    place = Place()
    payment = place.wait(make_payment(place.accounts, "alice", "bob", 1_000_000))
    assert place.balances() == (Balance(0, payment.change, 0), Balance(0, 1_000_000, 0), (0, 0, 0))
    place.check()
    place.mine(payment)
    assert place.balances() == (Balance(payment.change, 0, 0), Balance(1_000_000, 0, 0), (0, 0, 0))
    place.check()


def test_change_that_waits_may_be_spent_on_and_what_others_paid_may_not() -> None:
    place = Place()
    place.wait(make_payment(place.accounts, "alice", "bob", 1_000_000))
    assert place.accounts.spendable("alice") == []
    (change,) = place.accounts.spendable("alice", own_change=True)
    assert change.height is None
    assert place.accounts.spendable("bob", own_change=True) == []
    with pytest.raises(UserError, match=r"bob can spend 0 .*1,000,000 more wait for a block"):
        make_payment(place.accounts, "bob", "carol", 1_000)
    second = place.wait(make_payment(place.accounts, "alice", "bob", 2_000_000))
    assert second.coins == (change.outpoint,)
    place.check()


def test_change_that_rests_on_what_somebody_else_could_take_back_is_not_spent_on() -> None:
    place = Place()
    to_bob = place.wait(make_payment(place.accounts, "alice", "bob", 1_000_000))
    (coin,) = place.accounts.coins("bob")
    place.wait(make_payment(place.accounts, "bob", "carol", 1_000, coins=[coin.outpoint]))
    assert place.accounts.spendable("bob", own_change=True) == []  # if to_bob goes, so does it
    place.mine(to_bob)
    assert len(place.accounts.spendable("bob", own_change=True)) == 1
    place.check()


def test_one_that_is_dropped_leaves_everything_as_it_was() -> None:
    place = Place()
    before = place.balances()
    payment = place.wait(make_payment(place.accounts, "alice", "bob", 1_000_000))
    del place.waiting[payment.txid]
    place.accounts.removed(payment.tx)
    place.accounts.removed(payment.tx)
    assert place.balances() == before
    place.check()


def test_a_replacement_takes_the_place_of_all_that_rested_on_the_first() -> None:
    place = Place()
    first = place.wait(make_payment(place.accounts, "alice", "bob", 1_000_000))
    child = place.wait(make_payment(place.accounts, "alice", "carol", 2_000_000))
    second = conflicting(first, "carol", REGTEST)
    del place.waiting[first.txid], place.waiting[child.txid]
    place.wait(second)
    assert place.accounts.balance("bob") == Balance(0, 0, 0)
    assert place.accounts.balance("carol") == Balance(0, 1_000_000, 0)
    assert place.accounts.balance("alice") == Balance(0, second.change, 0)
    place.check()


def test_a_conflict_in_a_block_wins_over_what_waits() -> None:
    place = Place()
    first = place.wait(make_payment(place.accounts, "alice", "bob", 1_000_000))
    second = conflicting(first, "carol", REGTEST)
    place.mine(second)
    assert place.accounts.balance("bob") == Balance(0, 0, 0)
    assert place.accounts.balance("carol") == Balance(1_000_000, 0, 0)
    place.check()


def test_a_reorganisation_puts_payments_back_among_those_that_wait() -> None:
    place = Place()
    fork = place.tip
    payment = make_payment(place.accounts, "alice", "bob", 1_000_000)
    place.mine(payment)
    confirmed = place.balances()
    other = place.branches.on(fork)
    place.take(other, place.branches.on(other))
    assert place.balances() == (Balance(0, payment.change, 0), Balance(0, 1_000_000, 0), (0, 0, 0))
    place.check()
    place.mine(payment)
    assert place.balances() == confirmed
    place.check()


def test_a_reorganisation_can_decide_a_double_spend_the_other_way() -> None:
    place = Place()
    fork = place.tip
    first = make_payment(place.accounts, "alice", "bob", 1_000_000)
    second = conflicting(first, "carol", REGTEST)
    place.mine(first)
    other = place.branches.on(fork, [second.tx])
    place.take(other, place.branches.on(other))
    assert place.accounts.balance("bob") == Balance(0, 0, 0)
    assert place.accounts.balance("carol") == Balance(1_000_000, 0, 0)
    place.check()


def test_coins_made_and_spent_in_blocks_that_go_are_gone() -> None:
    place = Place()
    fork = place.tip
    first = make_payment(place.accounts, "alice", "bob", 1_000_000)
    place.mine(first)
    (coin,) = place.accounts.coins("bob")
    second = make_payment(place.accounts, "bob", "carol", 300_000, coins=[coin.outpoint])
    place.mine(second)
    place.take(*place.branches.grow(fork, 3))
    for tx in (second.tx, first.tx):
        del place.waiting[tx.txid]
        place.accounts.removed(tx)
    assert place.balances() == (Balance(REWARD, 0, 0), Balance(0, 0, 0), Balance(0, 0, 0))
    place.check()


def test_what_strangers_pay_each_other_is_not_kept() -> None:
    place = Place()
    payment = make_payment(place.accounts, "alice", "carol", 1_000_000)
    bobs = Accounts(REGTEST, ("bob",))
    bobs.accepted(payment.tx)
    assert not (bobs._waiting or bobs._new or bobs._spenders)
    bobs.removed(payment.tx)


def test_both_kinds_of_key_are_followed() -> None:
    accounts = funded(100_000, 50_000, kinds=[Kind.P2WPKH, Kind.P2TR])
    kinds = {coin.value: coin.key.kind for coin in accounts.coins("alice")}
    assert kinds == {100_000: Kind.P2TR, 50_000: Kind.P2WPKH}
    assert accounts.coin(outpoint(1)) == accounts.coins("alice")[0]
    assert accounts.coin(OutPoint(Txid(bytes(32)), 7)) is None
