"""Each rule of transactions: kept, broken, the step across the line, and which comes first."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from drystone.consensus.coins import Coin
from drystone.consensus.errors import MissingInputs, Rejected, TxInvalid, TxPremature
from drystone.consensus.script.flags import Flags
from drystone.consensus.transaction import (
    check_fee,
    check_transaction,
    check_tx_inputs,
    legacy_sigops,
    sigop_cost,
)
from drystone.primitives.amount import MAX_MONEY
from drystone.primitives.hashes import NULL_HASH, Txid
from drystone.primitives.opcodes import Op
from drystone.primitives.script import multisig, p2sh, p2wpkh, p2wsh, push
from drystone.primitives.transaction import (
    NULL_OUTPOINT,
    NULL_VOUT,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
)

A, B, C = (OutPoint(Txid(bytes([n]) * 32), n) for n in (1, 2, 3))
SPEND = Transaction(2, (TxIn(A),), (TxOut(7, b""),))
COINBASE = Transaction(2, (TxIn(NULL_OUTPOINT, b"\x51\x51"),), (TxOut(7, b""),))


def spending(*prevouts: OutPoint) -> Transaction:
    return replace(SPEND, vin=tuple(map(TxIn, prevouts)))


def paying(*values: int) -> Transaction:
    return replace(SPEND, vout=tuple(TxOut(value, b"") for value in values))


def coinbase_with(script: bytes) -> Transaction:
    return replace(COINBASE, vin=(TxIn(NULL_OUTPOINT, script),))


def of_stripped_size(size: int) -> Transaction:
    padding = size - replace(SPEND, vout=(TxOut(7, bytes(1 << 16)),)).stripped_size + (1 << 16)
    tx = replace(SPEND, vout=(TxOut(7, bytes(padding)),))
    assert tx.stripped_size == size
    return tx


@pytest.mark.parametrize(
    "tx",
    [
        SPEND,
        COINBASE,
        spending(A, B),
        spending(A, B, C),
        spending(OutPoint(A.txid, 0), OutPoint(A.txid, 1)),
        paying(0),
        paying(MAX_MONEY),
        paying(MAX_MONEY - 1, 1),
        of_stripped_size(1_000_000),
        coinbase_with(bytes(2)),
        coinbase_with(bytes(100)),
        spending(OutPoint(Txid(NULL_HASH), 0)),  # the null hash alone means nothing
        spending(OutPoint(A.txid, NULL_VOUT)),  # nor does the null position
        spending(A, OutPoint(A.txid, NULL_VOUT)),
    ],
)
def test_what_keeps_every_rule_passes(tx: Transaction) -> None:
    check_transaction(tx)


BROKEN: Mapping[str, list[Transaction]] = {
    "bad-txns-vin-empty": [spending()],
    "bad-txns-vout-empty": [paying()],
    "bad-txns-oversize": [of_stripped_size(1_000_001)],
    "bad-txns-vout-negative": [paying(-1), paying(-(2**63)), paying(1, -1), paying(-1, 2)],
    "bad-txns-vout-toolarge": [paying(MAX_MONEY + 1), paying(2**63 - 1), paying(1, MAX_MONEY + 1)],
    "bad-txns-txouttotal-toolarge": [paying(MAX_MONEY, 1), paying(MAX_MONEY // 2 + 1, MAX_MONEY)],
    "bad-txns-inputs-duplicate": [
        spending(A, A),
        spending(A, B, A),
        spending(NULL_OUTPOINT, NULL_OUTPOINT),
    ],
    "bad-cb-length": [coinbase_with(bytes(1)), coinbase_with(b""), coinbase_with(bytes(101))],
    "bad-txns-prevout-null": [spending(A, NULL_OUTPOINT), spending(NULL_OUTPOINT, A, B)],
}


@pytest.mark.parametrize(
    ("reason", "tx"), [(reason, tx) for reason, txs in BROKEN.items() for tx in txs]
)
def test_a_broken_rule_is_named(reason: str, tx: Transaction) -> None:
    with pytest.raises(TxInvalid) as refused:
        check_transaction(tx)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("first", "tx"),
    [
        ("bad-txns-vin-empty", replace(SPEND, vin=(), vout=())),
        ("bad-txns-vout-empty", replace(spending(A, A), vout=())),
        ("bad-txns-oversize", replace(of_stripped_size(1_000_042), vin=(TxIn(A), TxIn(A)))),
        ("bad-txns-vout-negative", replace(paying(-1), vin=spending(A, A).vin)),
        # Output by output: what the first breaks counts before what the second does.
        ("bad-txns-vout-negative", paying(-1, MAX_MONEY + 1)),
        ("bad-txns-vout-toolarge", paying(MAX_MONEY + 1, -1)),
        ("bad-txns-txouttotal-toolarge", paying(MAX_MONEY, 1, -1)),
        ("bad-txns-txouttotal-toolarge", replace(paying(MAX_MONEY, 1), vin=spending(A, A).vin)),
        ("bad-txns-inputs-duplicate", spending(A, NULL_OUTPOINT, A)),
    ],
)
def test_of_several_broken_rules_the_first_is_named(first: str, tx: Transaction) -> None:
    with pytest.raises(TxInvalid) as refused:
        check_transaction(tx)
    assert refused.value.reason == first


def test_a_witness_is_not_counted_against_the_size() -> None:
    heavy = replace(SPEND, vin=(TxIn(A, witness=(bytes(1_000_000),)),))
    check_transaction(heavy)


# Given the coins that it spends.

MATURITY = 100


def coin(value: int = 10, *, height: int = 1, is_coinbase: bool = False) -> Coin:
    return Coin(TxOut(value, b""), height, is_coinbase)


def refusal_of(tx: Transaction, coins: dict[OutPoint, Coin], height: int = 50) -> Rejected:
    with pytest.raises(Rejected) as refused:
        check_tx_inputs(tx, coins, height, MATURITY)
    return refused.value


def test_the_coins_spent_and_the_fee_are_told() -> None:
    coins = {A: coin(10), B: coin(20), C: coin(30)}
    tx = replace(spending(B, A), vout=paying(25, 1).vout)
    assert check_tx_inputs(tx, coins, 50, MATURITY) == ((coins[B], coins[A]), 4)


def test_a_missing_coin_is_no_fault_of_the_transaction() -> None:
    refused = refusal_of(spending(A, B), {A: coin(MAX_MONEY + 1)})
    assert type(refused) is MissingInputs
    assert refused.reason == "bad-txns-inputs-missingorspent"


@pytest.mark.parametrize("made_at", [0, 1, 77])
def test_a_coinbase_is_spent_a_hundred_blocks_later(made_at: int) -> None:
    coins = {A: coin(height=made_at, is_coinbase=True)}
    refused = refusal_of(SPEND, coins, made_at + 99)
    assert type(refused) is TxPremature
    assert refused.reason == "bad-txns-premature-spend-of-coinbase"
    check_tx_inputs(SPEND, coins, made_at + 100, MATURITY)


def test_other_coins_need_no_maturity() -> None:
    check_tx_inputs(SPEND, {A: coin(height=50)}, 50, MATURITY)


@pytest.mark.parametrize(
    "coins",
    [
        {A: coin(MAX_MONEY + 1), B: coin(0)},
        {A: coin(-1), B: coin(20)},
        {A: coin(MAX_MONEY), B: coin(1)},
    ],
)
def test_coins_out_of_range_are_refused(coins: dict[OutPoint, Coin]) -> None:
    refused = refusal_of(spending(A, B), coins)
    assert type(refused) is TxInvalid
    assert refused.reason == "bad-txns-inputvalues-outofrange"


def test_all_that_there_is_may_be_spent() -> None:
    tx = replace(spending(A, B), vout=paying(0).vout)
    coins = {A: coin(MAX_MONEY - 1), B: coin(1)}
    assert check_tx_inputs(tx, coins, 50, MATURITY)[1] == MAX_MONEY


def test_outputs_are_worth_at_most_the_inputs() -> None:
    assert check_tx_inputs(paying(10), {A: coin(10)}, 50, MATURITY)[1] == 0
    refused = refusal_of(paying(11), {A: coin(10)})
    assert type(refused) is TxInvalid
    assert refused.reason == "bad-txns-in-belowout"


def test_a_fee_is_money() -> None:
    check_fee(0)
    check_fee(MAX_MONEY)
    for fee in (-1, MAX_MONEY + 1):
        with pytest.raises(TxInvalid) as refused:
            check_fee(fee)
        assert refused.value.reason == "bad-txns-fee-outofrange"


def test_coins_are_judged_one_by_one() -> None:
    """An immature coin before one that is no money, and the other way round."""
    immature, too_much = coin(height=49, is_coinbase=True), coin(MAX_MONEY + 1)
    first = refusal_of(spending(A, B), {A: immature, B: too_much})
    assert first.reason == "bad-txns-premature-spend-of-coinbase"
    first = refusal_of(spending(A, B), {A: too_much, B: immature})
    assert first.reason == "bad-txns-inputvalues-outofrange"


# Sigops.

CHECKSIG, CHECKMULTISIG = bytes((Op.OP_CHECKSIG,)), bytes((Op.OP_CHECKMULTISIG,))
KEYS = [bytes([2]) * 33] * 3


def test_legacy_sigops_are_those_in_sight() -> None:
    tx = Transaction(
        1,
        (TxIn(A, CHECKSIG), TxIn(B, CHECKSIG * 2)),
        (TxOut(1, CHECKMULTISIG), TxOut(1, multisig(2, KEYS)), TxOut(1, push(CHECKSIG))),
    )
    assert legacy_sigops(tx) == 1 + 2 + 20 + 20


REDEEM = multisig(2, KEYS)
HASH = bytes(20)


@pytest.mark.parametrize(
    ("script_pubkey", "txin", "cost"),
    [
        (CHECKSIG, TxIn(A), 0),  # the coin's own sigops were counted in its block
        (p2sh(HASH), TxIn(A, push(REDEEM)), 4 * 3),
        (p2wpkh(HASH), TxIn(A, witness=(b"", b"")), 1),
        (p2wsh(bytes(32)), TxIn(A, witness=(b"", REDEEM)), 3),
        (p2sh(HASH), TxIn(A, push(p2wpkh(HASH)), witness=(b"",)), 1),
        (p2sh(HASH), TxIn(A, push(p2wsh(bytes(32))), witness=(REDEEM,)), 3),
        (p2sh(HASH), TxIn(A, push(REDEEM) + CHECKSIG), 4),  # not only pushes: legacy alone
    ],
)
def test_sigops_cost_four_but_in_witnesses(script_pubkey: bytes, txin: TxIn, cost: int) -> None:
    tx = replace(SPEND, vin=(txin,))
    spent = Coin(TxOut(10, script_pubkey), 1, is_coinbase=False)
    assert sigop_cost(tx, [spent], Flags.P2SH | Flags.WITNESS) == cost
    assert sigop_cost(tx, [spent], Flags.NONE) == 4 * legacy_sigops(tx)


def test_a_coinbase_has_legacy_sigops_only() -> None:
    coinbase = replace(COINBASE, vout=(TxOut(7, CHECKSIG),))
    assert sigop_cost(coinbase, [], Flags.P2SH | Flags.WITNESS) == 4
