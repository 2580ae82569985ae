"""Payments between accounts, in virtual time and over TCP: the same tests for both."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drystone.consensus.chains import LOCAL, REGTEST
from drystone.core.errors import UserError
from drystone.network import LiveNetwork, Network, VirtualNetwork
from drystone.network.payments import Raced, Sent, Settled, outpoint_from
from drystone.primitives.amount import COIN
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint
from drystone.wallet.accounts import Balance
from drystone.wallet.keys import Kind, keys_of

AnyNetwork = VirtualNetwork | LiveNetwork


@pytest.fixture(params=[False, True], ids=["virtual", "live"])
def network(request: pytest.FixtureRequest) -> Iterator[AnyNetwork]:
    """Three nodes of `local`, where alice, bob and carol have coins."""
    if request.param:
        with Network(3, live=True) as network:
            yield network
    else:
        yield Network(3, seed=5)


@pytest.fixture
def virtual() -> VirtualNetwork:
    """The same where relaying a transaction takes no time of ours."""
    return Network(3, seed=5)


def test_a_payment_is_confirmed_by_the_next_block(network: AnyNetwork) -> None:
    before = network.balance("bob")
    payment = network.send("alice", "bob", "1.5")
    assert network.confirmations(payment) == 0
    assert network.balance("bob", at="n0") == before._replace(unconfirmed=150_000_000)
    network.mine("n0")
    network.wait_until_synced()
    for name in network.nodes:
        assert network.confirmations(payment, at=name) == 1
        balance = network.balance("bob", at=name)
        assert balance.confirmed >= before.confirmed + 150_000_000 and balance.unconfirmed == 0
    network.mine("n2", 2)
    assert network.confirmations(payment, at="n2") == 3


def test_a_payment_reaches_all_and_whoever_finds_a_block_takes_it(virtual: VirtualNetwork) -> None:
    payment = virtual.send("alice", "bob", "1.5", via="n1")
    virtual.wait_for_transaction(payment.tx)
    virtual.mine("n2")
    virtual.wait_until_synced()
    assert virtual.confirmations(payment, at="n0") == 1


def test_many_payments_at_once_take_coins_of_their_own(virtual: VirtualNetwork) -> None:
    payments = [
        virtual.send("alice", to, COIN, via=via)
        for to in ("bob", "carol")
        for via in ("n0", "n1", "n2")
    ]
    spent = [outpoint for payment in payments for outpoint in payment.coins]
    assert len(set(spent)) == len(spent)
    for payment in payments:
        virtual.wait_for_transaction(payment.tx)
    virtual.mine("n0")
    virtual.wait_until_synced()
    assert all(virtual.confirmations(payment, at="n2") == 1 for payment in payments)


def test_an_address_is_paid_and_what_it_got_can_be_spent(virtual: VirtualNetwork) -> None:
    taproot = keys_of("dave").address(LOCAL, Kind.P2TR)
    virtual.send("alice", taproot, "2")
    virtual.mine("n0")
    payment = virtual.send("dave", "erin", "1.5")
    assert payment.spent[0].key.kind is Kind.P2TR
    virtual.mine("n0")
    assert virtual.balance("erin") == Balance(150_000_000, 0, 0)


def test_who_pays_more_replaces_what_waits(virtual: VirtualNetwork) -> None:
    first = virtual.send("alice", "bob", "1")
    virtual.wait_for_transaction(first.tx)
    with pytest.raises(UserError, match=r"n0 refuses .*insufficient fee.*: pay a higher fee_rate$"):
        virtual.send("alice", "carol", "1", coins=first.coins)
    second = virtual.send("alice", "carol", "1", coins=list(map(str, first.coins)), fee_rate=3.5)
    assert second.coins == first.coins and second.fee > 3 * first.fee
    virtual.wait_for_transaction(second.tx)
    assert all(first.txid not in node.node.mempool for node in virtual)
    virtual.mine("n2")
    assert virtual.confirmations(second, at="n2") == 1
    assert virtual.confirmations(first, at="n2") == 0


def test_of_a_double_spend_across_a_cut_the_loser_is_dropped_when_it_heals(
    network: AnyNetwork,
) -> None:
    network.partition(["n0"])
    race = network.double_spend("alice", "bob", "carol", "5")
    assert race.via == ("n0", "n2")
    assert race.first.coins == race.second.coins
    assert network.winner(race) is None
    network.mine("n0")
    network.mine("n2", 2)
    network.wait_until_synced(["n1", "n2"])
    assert network.winner(race, at="n0") == race.first
    assert network.winner(race, at="n2") == race.second
    network.heal()
    network.wait_until_synced()
    for name in network.nodes:
        assert network.winner(race, at=name) == race.second
        assert race.first.txid not in network[name].node.mempool
    events = network.payment_events()
    assert events[0] == Raced(race)
    assert Settled("n0", race, race.first, 120) in events
    last = {event.name: event for event in events if isinstance(event, Settled)}
    assert {name: event.payment for name, event in last.items()} == dict.fromkeys(
        ("n0", "n1", "n2"), race.second
    )


def test_two_payments_of_one_coin_meet_and_each_node_keeps_the_first(network: AnyNetwork) -> None:
    race = network.double_spend("alice", "bob", "carol", "5", via=["n2", "n1"])
    for payment, via in zip(race.payments, race.via, strict=True):
        assert payment.txid in network[via].node.mempool
    network.mine("n1")
    network.wait_until_synced()
    assert network.winner(race) == race.second
    assert race.first.txid not in network["n2"].node.mempool
    assert network.balance("carol").unconfirmed == network.balance("bob").unconfirmed == 0


def test_a_payment_comes_back_into_the_mempool_when_its_block_is_given_up(
    network: AnyNetwork,
) -> None:
    network.partition(["n2"])
    payment = network.send("alice", "bob", "1")
    network.mine("n0")
    network.wait_until_synced(["n0", "n1"])
    assert network.confirmations(payment) == 1
    network.mine("n2", 2)
    network.heal()
    network.wait_until_synced()
    assert network.confirmations(payment) == 0
    assert payment.txid in network["n0"].node.mempool
    assert network.balance("bob").unconfirmed == COIN
    network.mine("n0")
    assert network.confirmations(payment) == 1


def test_a_node_that_was_killed_knows_accounts_again(network: AnyNetwork) -> None:
    network.send("alice", "bob", "1", via="n0")
    network.mine("n0")
    network.wait_until_synced()
    before = network.balance("bob", at="n0")
    network.kill("n0")
    with pytest.raises(UserError, match="n0 does not run: restart it first"):
        network.balance("bob", at="n0")
    with pytest.raises(UserError, match="n0 does not run: restart it first"):
        network.send("bob", "alice", "1", via="n0")
    network.restart("n0")
    network.mine("n1", to="bob")
    network.wait_until_synced()
    after = network.balance("bob", at="n0")
    assert after.confirmed + after.immature == before.total + 50 * COIN
    assert after == network.balance("bob", at="n1")


def test_mistakes_are_told_in_a_line(network: AnyNetwork) -> None:
    mistakes: dict[str, dict[str, Any]] = {
        "there is no node n9: there are n0, n1, n2": {"via": "n9"},
        "'1.2.3' is no amount": {"amount": "1.2.3"},
        "names no coin: wanted 64 hex digits": {"coins": ["alice"]},
        "is no fee rate": {"fee_rate": "cheap"},
        "min relay fee not met .*: pay a higher fee_rate": {"fee_rate": 0.01},
        "'not a name' can't name an account": {"to": "not a name"},
        "dave can spend 0 satoshis": {"from_": "dave"},
    }
    for mistake, send in mistakes.items():
        arguments: dict[str, Any] = {"from_": "alice", "to": "bob", "amount": "1", **send}
        with pytest.raises(UserError, match=mistake) as caught:
            network.send(**arguments)
        assert "\n" not in str(caught.value)
    for via in (["n0"], ["n0", "n0"], ["n0", "n1", "n2"]):
        with pytest.raises(UserError, match="a double spend goes through two nodes"):
            network.double_spend("alice", "bob", "carol", "1", via=via)
    network.partition(["n0"])
    paid = network.send("alice", "bob", "1", via="n0")
    network.mine("n0")
    with pytest.raises(UserError, match="is no coin of alice: it is spent, or another's"):
        network.double_spend("alice", "bob", "carol", "1", coins=paid.coins)
    with pytest.raises(UserError, match=r"n0 refuses the payment to carol, .*: there its coins"):
        network.double_spend("alice", "bob", "carol", "1", coins=paid.coins, via=["n2", "n0"])
    assert not any(isinstance(event, Raced) for event in network.payment_events())


def test_the_banner_says_who_has_what_and_that_everybody_has_the_keys(network: AnyNetwork) -> None:
    lines = network.account_lines(at="n1")
    assert lines == [
        "alice  dry1q86tt4wg4xh6rj0hpkwka62zqk9ls94m0hm6hyp  350 BTC, 1,650 BTC too young",
        "bob    dry1qmffcn83anqr5wzak2fwv5775asnxnmf7jnneu0  350 BTC, 1,650 BTC too young",
        "carol  dry1q9fayr947lqsd4d0t7xcg2f84llz0vmznmwqewn  300 BTC, 1,650 BTC too young",
        "everybody knows these accounts' keys: never pay them anything of worth",
    ]
    payment = network.send("alice", "dave", "0.25", via="n1")
    assert network.account_lines(["dave"], at="n1")[0].endswith("  0 BTC, 0.25 BTC wait")
    assert network.payment_events()[0] == Sent("n1", payment)
    assert payment.tx.txid[::-1].hex() in network.payment_events()[0].line


def test_on_regtest_nobody_has_anything_until_blocks_are_mined_to_them() -> None:
    network = Network(2, params=REGTEST)
    with pytest.raises(UserError, match="mine a block to alice, whose reward can be spent 100 bl"):
        network.send("alice", "bob", "1")
    network.mine("n0", to="alice")
    network.mine("n0", 99)
    assert network.balance("alice") == Balance(50 * COIN, 0, 0)
    payment = network.send("alice", "bob", "1")
    network.mine("n0")
    assert network.confirmations(payment) == 1
    assert network.send("n0", "bob", "1").spent[0].height == 2  # its own rewards
    network.mine("n0", to=keys_of("bob").address(REGTEST, Kind.P2TR))
    assert network.balance("bob").immature >= 50 * COIN


def test_a_node_pays_its_own_rewards_through_itself() -> None:
    network = Network(3, params=REGTEST)
    network.mine("n1", 101)
    network.wait_until_synced()
    network.send("n1", "alice", "1")
    (sent,) = network.payment_events()
    assert isinstance(sent, Sent) and sent.via == "n1"


def test_payments_are_in_the_trace_and_the_same_in_every_run() -> None:
    def run() -> tuple[str, list[str]]:
        network = Network(3, seed=3, keep_trace=True)
        network.partition(["n0"])
        network.send("alice", "bob", "1")
        network.double_spend("bob", "alice", "carol", "2")
        network.mine("n0")
        network.mine("n2", 2)
        network.heal()
        network.wait_until_synced()
        return network.world.trace.digest(), [event.line for event in network.payment_events()]

    digest, lines = run()
    assert run() == (digest, lines)
    assert lines[0].startswith("alice pays 1 BTC to bob: ") and lines[0].endswith(" through n0")
    assert lines[1:] == [
        "bob pays the same 2 BTC to alice through n0 and carol through n2",
        "n0: alice wins a double spend in block 120",
        "n2: carol wins a double spend in block 120",
        "n1: carol wins a double spend in block 120",
        "n0: carol wins a double spend in block 120",
    ]


def test_a_coin_is_named_by_transaction_and_output() -> None:
    coin = outpoint_from(f"{'ab' * 32}:3")
    assert coin == OutPoint(Txid(bytes.fromhex("ab" * 32)), 3) and outpoint_from(coin) is coin
    for text in ("", ":", "ab:1", f"{'ab' * 32}", f"{'ab' * 32}:", f"{'ab' * 32}:-1", "é:1"):
        with pytest.raises(UserError, match="names no coin"):
            outpoint_from(text)


def test_accounts_of_a_node_that_was_killed_follow_its_new_self(tmp_path: Path) -> None:
    with LiveNetwork(2, datadir=tmp_path) as network:
        network.balance("bob", at="n0")
        network.kill("n0")
        network.restart("n0")
        network.mine("n1", 2, to="bob")
        network.wait_until_synced()
        assert network.balance("bob", at="n0") == network.balance("bob", at="n1")
