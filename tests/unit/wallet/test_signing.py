"""Signatures that the interpreter takes, and weights that were foretold."""

from dataclasses import replace
from random import Random

import pytest
from tests.support.wallet import funded, outpoint, owned

from drystone.consensus.script.flags import STANDARD
from drystone.consensus.script.verify import verify_scripts
from drystone.core.errors import UserError
from drystone.primitives.script import p2tr, p2wpkh
from drystone.primitives.transaction import Transaction, TxIn, TxOut
from drystone.wallet.keys import KINDS, Kind, keys_of
from drystone.wallet.owned import OwnedCoin
from drystone.wallet.payment import make_payment
from drystone.wallet.signing import check_signed, sign
from drystone.wallet.sizes import INPUT_VSIZE, predicted_vsize

PAID = TxOut(10_000, p2wpkh(bytes(20)))


def unsigned(coins: list[OwnedCoin], *outputs: TxOut) -> Transaction:
    return Transaction(2, tuple(TxIn(coin.outpoint) for coin in coins), outputs or (PAID,))


def signed(coins: list[OwnedCoin], *outputs: TxOut) -> Transaction:
    keys = {coin.key.script_pubkey: coin.key for coin in coins}
    return sign(unsigned(coins, *outputs), [coin.output for coin in coins], keys)


@pytest.mark.parametrize("kinds", [[Kind.P2WPKH], [Kind.P2TR], [Kind.P2TR, Kind.P2WPKH] * 3])
def test_what_is_signed_passes_the_interpreter(kinds: list[Kind]) -> None:
    coins = [owned(20_000, kind, number=n) for n, kind in enumerate(kinds)]
    tx = signed(coins)
    verify_scripts(tx, [coin.output for coin in coins], STANDARD)
    assert tx.txid == unsigned(coins).txid
    assert signed(coins) == tx  # no chance in it


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_covers_every_input_output_and_amount(kind: Kind) -> None:
    coins = [owned(20_000, kind, number=n) for n in (1, 2)]
    tx = signed(coins, PAID, PAID)
    spent = [coin.output for coin in coins]
    others = [
        replace(tx, vout=(PAID,)),
        replace(tx, vout=(replace(PAID, value=9_999), PAID)),
        replace(tx, vin=(tx.vin[0], replace(tx.vin[1], prevout=outpoint(3)))),
        replace(tx, vin=(replace(tx.vin[0], sequence=1), tx.vin[1])),
        replace(tx, lock_time=1),
    ]
    check_signed(tx, spent)
    for other in others:
        with pytest.raises(UserError, match="input 0 is not signed as its coin asks for"):
            check_signed(other, spent)
    with pytest.raises(UserError, match=r"input [01] is not signed"):
        check_signed(tx, [spent[0], replace(spent[1], value=20_001)])


def test_inputs_of_others_must_be_signed_already() -> None:
    coins = [owned(20_000, number=1), owned(20_000, number=2, owner="bob")]
    spent = [coin.output for coin in coins]
    half = {coins[0].key.script_pubkey: coins[0].key}
    with pytest.raises(UserError, match=r"input 1 is not signed .*: sign it with the key of its"):
        sign(unsigned(coins), spent, half)
    other = {coins[1].key.script_pubkey: coins[1].key}
    assert sign(signed(coins), spent, other) == signed(coins)


def test_the_wrong_secret_is_found_out_before_anybody_sees_it() -> None:
    coin = owned(20_000)
    wrong = coin.key._replace(secret=keys_of("bob").p2wpkh.secret)
    with pytest.raises(UserError, match="input 0 is not signed"):
        sign(unsigned([coin]), [coin.output], {coin.key.script_pubkey: wrong})


def test_the_size_foretold_is_never_too_small_and_seldom_too_large() -> None:
    chance = Random(1)
    off = 0
    for _ in range(60):
        kinds = [chance.choice(KINDS) for _ in range(chance.randint(1, 4))]
        coins = [
            owned(20_000, kind, number=chance.getrandbits(200) + n) for n, kind in enumerate(kinds)
        ]
        outputs = [chance.choice([PAID, TxOut(5_000, p2tr(bytes(32)))]) for _ in range(2)]
        tx = signed(coins, *outputs)
        foretold = predicted_vsize(kinds, [txout.script_pubkey for txout in outputs])
        assert 0 <= foretold - tx.vsize <= len(coins)
        off += foretold - tx.vsize
    assert off < 10
    assert INPUT_VSIZE == {Kind.P2WPKH: 68, Kind.P2TR: 58}


def test_sizes_hold_where_counts_take_three_bytes() -> None:
    accounts = funded(*[10_000] * 300, kinds=KINDS)
    coins = accounts.coins("alice")
    payment = make_payment(
        accounts, "alice", "bob", 1_000_000, coins=[coin.outpoint for coin in coins], fee_rate=2_000
    )
    assert len(payment.tx.vin) == 300
    assert 2 * payment.tx.vsize <= payment.fee <= 2 * (payment.tx.vsize + 10)
