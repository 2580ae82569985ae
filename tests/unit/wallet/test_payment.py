"""Payments, as they are made and as they can't be."""

import pytest
from tests.support.wallet import funded, outpoint

from drystone.consensus.chains import REGTEST
from drystone.core.errors import UserError
from drystone.primitives.amount import MAX_MONEY
from drystone.wallet.keys import KINDS, Kind, keys_of, script_to
from drystone.wallet.payment import SEQUENCE, Payment, conflicting, make_payment


def outputs_of(payment: Payment) -> dict[bytes, int]:
    return {txout.script_pubkey: txout.value for txout in payment.tx.vout}


@pytest.mark.parametrize("kind", KINDS)
def test_it_pays_what_it_says_and_the_rest_comes_back(kind: Kind) -> None:
    accounts = funded(100_000, kinds=[kind])
    payment = make_payment(accounts, "alice", "bob", 60_000)
    assert outputs_of(payment) == {
        script_to("bob", REGTEST): 60_000,
        script_to("alice", REGTEST): payment.change,
    }
    assert payment.change == 100_000 - 60_000 - payment.fee
    assert payment.fee == payment.tx.vsize or payment.fee == payment.tx.vsize + 1
    assert payment.coins == (outpoint(1),)
    assert {txin.sequence for txin in payment.tx.vin} == {SEQUENCE}


def test_an_address_is_as_good_as_a_name() -> None:
    taproot = keys_of("bob").address(REGTEST, Kind.P2TR)
    payment = make_payment(funded(100_000), "alice", taproot, 60_000)
    assert outputs_of(payment)[keys_of("bob").p2tr.script_pubkey] == 60_000


def test_the_same_payment_is_the_same_transaction() -> None:
    one, again = (make_payment(funded(100_000), "alice", "bob", 60_000) for _ in range(2))
    assert one == again


def test_inputs_and_outputs_are_in_the_order_of_bip69() -> None:
    payment = make_payment(funded(*[30_000] * 9), "alice", "bob", 200_000)
    prevouts = [(txin.prevout.txid[::-1], txin.prevout.vout) for txin in payment.tx.vin]
    assert len(prevouts) > 5 and prevouts == sorted(prevouts)
    values = [txout.value for txout in payment.tx.vout]
    assert values == sorted(values)


def test_coins_that_are_named_are_all_spent_and_no_others() -> None:
    accounts = funded(100_000, 70_000, 80_000)
    named = [outpoint(3), outpoint(2), outpoint(3)]
    payment = make_payment(accounts, "alice", "bob", 10_000, coins=named)
    assert payment.coins == (outpoint(3), outpoint(2))
    assert payment.change == 140_000 - payment.fee


def test_coins_set_aside_are_taken_only_by_name() -> None:
    accounts = funded(100_000, 50_000)
    aside = {outpoint(1)}
    assert make_payment(accounts, "alice", "bob", 10_000, aside=aside).coins == (outpoint(2),)
    with pytest.raises(UserError, match=r"alice can spend 50,000 .*100,000 more wait for a block"):
        make_payment(accounts, "alice", "bob", 60_000, aside=aside)
    payment = make_payment(accounts, "alice", "bob", 60_000, aside=aside, coins=[outpoint(1)])
    assert payment.coins == (outpoint(1),)


def test_a_higher_rate_pays_more_from_the_change() -> None:
    accounts = funded(100_000)
    one, other = (
        make_payment(accounts, "alice", "bob", 10_000, fee_rate=rate) for rate in (1_000, 7_500)
    )
    assert one.fee == 141 and other.fee == -(-141 * 75 // 10)
    assert one.change - other.change == other.fee - one.fee


def test_a_double_spend_takes_the_same_coins_and_fee_to_somebody_else() -> None:
    first = make_payment(funded(100_000), "alice", "bob", 60_000)
    second = conflicting(first, "carol", REGTEST)
    assert second.coins == first.coins and second.fee == first.fee
    assert second.txid != first.txid
    assert outputs_of(second) == {
        script_to("carol", REGTEST): 60_000,
        script_to("alice", REGTEST): first.change,
    }
    with pytest.raises(UserError, match=r"both would pay bob: .* name another"):
        conflicting(first, "bob", REGTEST)
    with pytest.raises(UserError, match="both would pay bcrt1q"):
        conflicting(first, keys_of("bob").address(REGTEST), REGTEST)


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        (0, "an amount is from 1 to 2,100,000,000,000,000 satoshis, not 0"),
        (-1, "an amount is from 1"),
        (MAX_MONEY + 1, "an amount is from 1"),
        (293, "293 satoshis are dust, which no node relays: pay at least 294"),
        (
            100_000,
            "alice can spend 100,000 satoshis, too few for 100,000 and the fee: pay less, or",
        ),
    ],
)
def test_an_amount_that_cannot_be_paid_is_refused_in_a_line(amount: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_payment(funded(100_000), "alice", "bob", amount)


def test_who_has_nothing_is_told_how_to_get_something() -> None:
    way_out = (
        "bob can spend 0 satoshis, too few for 1,000 and the fee: pay less, or mine a block to bob,"
        " whose reward can be spent 100 blocks later"
    )
    with pytest.raises(UserError, match=f"^{way_out}$"):
        make_payment(funded(100_000), "bob", "alice", 1_000)


def test_rewards_that_are_too_young_are_said_to_be() -> None:
    accounts = funded(100_000, 50_000, rewards=1)
    with pytest.raises(UserError, match=r"alice can spend 100,000 .*\(50,000 more are rewards too"):
        make_payment(accounts, "alice", "bob", 120_000)
    with pytest.raises(UserError, match="a block's reward, and block 300 is the first that may"):
        make_payment(accounts, "alice", "bob", 1_000, coins=[outpoint(2)])


@pytest.mark.parametrize("rate", [-1, 10_000_001])
def test_a_fee_rate_that_must_be_a_slip_is_refused(rate: int) -> None:
    with pytest.raises(UserError, match="a fee rate is from 0 to 10,000 satoshis for a virtual"):
        make_payment(funded(100_000), "alice", "bob", 1_000, fee_rate=rate)


def test_coins_that_are_none_of_hers_are_refused() -> None:
    accounts = funded(100_000)
    for owner, coin in (("alice", outpoint(9)), ("bob", outpoint(1))):
        with pytest.raises(UserError, match=f"{coin} is no coin of {owner}"):
            make_payment(accounts, owner, "carol", 1_000, coins=[coin])
    with pytest.raises(UserError, match="there is no account 'dave' here: alice, bob"):
        make_payment(accounts, "dave", "bob", 1_000)
    with pytest.raises(UserError, match="the coins that were named have 0 satoshis"):
        make_payment(accounts, "alice", "bob", 1_000, coins=[])
    with pytest.raises(UserError, match="have 100,000 satoshis, too few for 100,000 and the fee"):
        make_payment(accounts, "alice", "bob", 100_000, coins=[outpoint(1)])
