"""Each rule of blocks that needs coins: kept, broken, the step across, and which comes first."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.support.blocks import REGTEST, coinbase_at
from tests.support.spending import LOCKS, Lock, spend

from drystone.consensus.chains import MAINNET
from drystone.consensus.coins import Coin
from drystone.consensus.connect import (
    BIP34_IMPLIES_BIP30_LIMIT,
    BlockChange,
    connect_block,
    is_bip30_in_doubt,
)
from drystone.consensus.errors import BlockInvalid
from drystone.consensus.params import BlockAt, Params
from drystone.consensus.script.errors import ScriptError
from drystone.consensus.subsidy import block_subsidy
from drystone.crypto.ripemd160 import hash160
from drystone.primitives.amount import MAX_MONEY
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import BlockHash, Txid, display
from drystone.primitives.opcodes import Op
from drystone.primitives.script import op_return, p2sh, push
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

HEIGHT = 200
TRUE = b"\x51"
HEADER = BlockHeader(4, BlockHash(b"\1" * 32), bytes(32), 0, 0x207FFFFF, 0)
SUBSIDY = block_subsidy(HEIGHT, REGTEST.halving_interval)
ANCESTOR = BlockHash(b"\2" * 32)

Coins = dict[OutPoint, Coin]


def outpoint(number: int) -> OutPoint:
    return OutPoint(Txid(bytes([number]) * 32), 0)


def coin(
    value: int = 1000, script: bytes = TRUE, *, height: int = 1, is_coinbase: bool = False
) -> Coin:
    return Coin(TxOut(value, script), height, is_coinbase)


def pays(number: int, value: int = 900, script: bytes = TRUE, **fields: object) -> Transaction:
    tx = Transaction(2, (TxIn(outpoint(number)),), (TxOut(value, script),))
    return replace(tx, **fields)  # type: ignore[arg-type]


def median_time_at(height: int) -> int:
    assert 0 <= height < HEIGHT
    return 1_000_000 + 600 * height


def block_of(*transactions: Transaction, value: int = SUBSIDY) -> Block:
    return Block(HEADER, (coinbase_at(HEIGHT, value), *transactions))


def connect(
    block: Block,
    coins: Coins,
    params: Params = REGTEST,
    height: int = HEIGHT,
    bip34_ancestor: BlockHash | None = None,
) -> BlockChange:
    return connect_block(
        block,
        coins,
        height=height,
        median_time_at=median_time_at,
        params=params,
        bip34_ancestor=bip34_ancestor,
    )


def reason(block: Block, coins: Coins, params: Params = REGTEST) -> str:
    before = dict(coins)
    with pytest.raises(BlockInvalid) as refused:
        connect(block, coins, params)
    assert coins == before
    return refused.value.reason


def test_the_whole_change_is_told_and_nothing_is_changed() -> None:
    coins = {outpoint(1): coin(1000), outpoint(2): coin(500)}
    payment = pays(1, 900)
    child = replace(pays(2, 1), vin=(TxIn(OutPoint(payment.txid, 0)), TxIn(outpoint(2))))
    block = block_of(payment, child, value=SUBSIDY + 100 + 1399)
    change = connect(block, coins)
    made = Coin(payment.vout[0], HEIGHT, is_coinbase=False)
    assert change.created == {
        OutPoint(block.coinbase.txid, 0): Coin(block.coinbase.vout[0], HEIGHT, is_coinbase=True),
        OutPoint(child.txid, 0): Coin(child.vout[0], HEIGHT, is_coinbase=False),
    }
    assert change.spent == coins
    assert change.inputs == ((coins[outpoint(1)],), (made, coins[outpoint(2)]))
    assert change.fees == 1499
    assert change.sigop_cost == 0
    assert len(coins) == 2


def test_undoing_a_change_restores_the_coins() -> None:
    coins = {outpoint(n): coin() for n in (1, 2, 3)}
    change = connect(block_of(pays(1), pays(3)), coins)
    after = {k: v for k, v in coins.items() if k not in change.spent} | dict(change.created)
    undone = {k: v for k, v in after.items() if k not in change.created} | dict(change.spent)
    assert undone == coins


def test_genesis_makes_no_coins() -> None:
    change = connect(REGTEST.genesis, {}, height=0)
    assert not change.created
    assert not change.spent


def test_an_unspendable_output_is_no_coin() -> None:
    change = connect(block_of(pays(1, 0, op_return(b"gone"))), {outpoint(1): coin()})
    assert len(change.created) == 1


# BIP30.


def test_no_coin_is_overwritten() -> None:
    payment = pays(1)
    coins = {outpoint(1): coin(), OutPoint(payment.txid, 0): coin()}
    assert reason(block_of(payment), coins) == "bad-txns-BIP30"
    coinbase = block_of().coinbase
    assert reason(block_of(), {OutPoint(coinbase.txid, 0): coin()}) == "bad-txns-BIP30"


@pytest.mark.parametrize("coinbases_differ", [False, True])
def test_a_transaction_that_comes_again_breaks_bip30_before_anything_else(
    coinbases_differ: bool,  # noqa: FBT001
) -> None:
    """Its own coin is gone; but that is found only later. Where nothing comes again, it is told."""
    payment = pays(1)
    for coins, reason in (
        ({OutPoint(payment.txid, 0): coin()}, "bad-txns-BIP30"),
        ({}, "bad-txns-inputs-missingorspent"),
    ):
        with pytest.raises(BlockInvalid) as refused:
            connect_block(
                block_of(payment),
                coins,
                height=HEIGHT,
                median_time_at=median_time_at,
                params=REGTEST,
                coinbases_differ=coinbases_differ,
            )
        assert refused.value.reason == reason


def test_a_spent_coin_may_come_back() -> None:
    payment = pays(1)
    connect(block_of(payment), {outpoint(1): coin()})


def test_what_a_block_makes_and_spends_may_be_among_its_coins() -> None:
    """As in undo data, and in what block explorers give as a block's inputs."""
    payment = pays(1)
    child = replace(payment, vin=(TxIn(OutPoint(payment.txid, 0)),))
    coins = {outpoint(1): coin(), OutPoint(payment.txid, 0): coin(900, height=HEIGHT)}
    change = connect(block_of(payment, child), coins)
    assert set(change.spent) == {outpoint(1)}


def test_mainnets_two_exceptions_are_those_of_2010() -> None:
    assert [(at.height, display(at.hash)) for at in MAINNET.bip30_repeats] == [
        (91842, "00000000000a4d0a398161ffc163c503763b1f4360639393e0e4c8e300e0caec"),
        (91880, "00000000000743f190a18c5577a3c2d2a1f610ae9601ac046a38084ccb7cd721"),
    ]


def test_two_blocks_may_overwrite_and_it_can_be_undone() -> None:
    """As blocks 91842 and 91880 did."""
    block = block_of()
    overwritten = {OutPoint(block.coinbase.txid, 0): coin(height=90, is_coinbase=True)}
    params = replace(REGTEST, bip30_repeats=(BlockAt(HEIGHT, block.hash),))
    change = connect(block, overwritten, params)
    assert change.spent == overwritten
    assert set(change.created) == set(overwritten)
    for other in (BlockAt(HEIGHT + 1, block.hash), BlockAt(HEIGHT, ANCESTOR)):
        params = replace(REGTEST, bip30_repeats=(other,))
        assert reason(block, overwritten, params) == "bad-txns-BIP30"


@pytest.mark.parametrize(
    ("height", "bip34_hash", "ancestor", "in_doubt"),
    [
        (HEIGHT, None, None, True),
        (HEIGHT, None, ANCESTOR, True),
        (HEIGHT, ANCESTOR, None, True),  # below that height
        (HEIGHT, ANCESTOR, BlockHash(bytes(32)), True),  # another branch
        (HEIGHT, ANCESTOR, ANCESTOR, False),
        (BIP34_IMPLIES_BIP30_LIMIT - 1, ANCESTOR, ANCESTOR, False),
        (BIP34_IMPLIES_BIP30_LIMIT, ANCESTOR, ANCESTOR, True),
    ],
)
def test_bip34_makes_sure_of_bip30_up_to_a_height(
    height: int, bip34_hash: BlockHash | None, ancestor: BlockHash | None, *, in_doubt: bool
) -> None:
    params = replace(REGTEST, bip34_hash=bip34_hash)
    assert is_bip30_in_doubt(height, ancestor, params) is in_doubt


def test_where_bip34_makes_sure_no_coin_is_looked_up() -> None:
    params = replace(REGTEST, bip34_hash=ANCESTOR)
    block = block_of()
    there = {OutPoint(block.coinbase.txid, 0): coin()}
    connect(block, there, params, bip34_ancestor=ANCESTOR)


# Inputs.


@pytest.mark.parametrize(
    ("tx", "found", "expected"),
    [
        (pays(1), {}, "bad-txns-inputs-missingorspent"),
        (
            pays(1),
            {outpoint(1): coin(height=101, is_coinbase=True)},
            "bad-txns-premature-spend-of-coinbase",
        ),
        (pays(1), {outpoint(1): coin(MAX_MONEY + 1)}, "bad-txns-inputvalues-outofrange"),
        (pays(1, 1001), {outpoint(1): coin(1000)}, "bad-txns-in-belowout"),
        (pays(1, -1), {outpoint(1): coin(MAX_MONEY)}, "bad-txns-fee-outofrange"),
    ],
)
def test_whatever_is_wrong_with_an_input_condemns_the_block(
    tx: Transaction, found: Coins, expected: str
) -> None:
    assert reason(block_of(tx), found) == expected


def test_a_coinbase_is_spent_by_a_block_a_hundred_higher() -> None:
    connect(block_of(pays(1)), {outpoint(1): coin(height=100, is_coinbase=True)})


def test_a_coin_is_spent_once_in_a_block() -> None:
    block = block_of(pays(1, 900), pays(1, 901))
    assert reason(block, {outpoint(1): coin()}) == "bad-txns-inputs-missingorspent"


def test_a_coin_is_made_before_it_is_spent() -> None:
    payment = pays(1)
    child = replace(payment, vin=(TxIn(OutPoint(payment.txid, 0)),))
    coins = {outpoint(1): coin()}
    connect(block_of(payment, child), coins)
    assert reason(block_of(child, payment), coins) == "bad-txns-inputs-missingorspent"


def test_fees_add_up_to_money() -> None:
    coins = {outpoint(1): coin(MAX_MONEY - 1), outpoint(2): coin(2)}
    assert connect(block_of(pays(1, 0), pays(2, 1)), coins).fees == MAX_MONEY
    block = block_of(pays(1, 0), pays(2, 0))
    assert reason(block, coins) == "bad-txns-accumulated-fee-outofrange"


# Sequence locks.


def relative(sequence: int, version: int = 2) -> Transaction:
    return pays(1, vin=(TxIn(outpoint(1), sequence=sequence),), version=version)


@pytest.mark.parametrize(
    ("sequence", "locked"),
    [
        (50, False),
        (51, True),
        (1 << 31 | 51, False),
        (1 << 22 | 58, False),  # 50 intervals of 600 s are 58.59 units of 512 s
        (1 << 22 | 59, True),
    ],
)
def test_coins_have_the_age_that_is_asked_for(sequence: int, *, locked: bool) -> None:
    coins = {outpoint(1): coin(height=HEIGHT - 50)}
    block = block_of(relative(sequence))
    if locked:
        assert reason(block, coins) == "bad-txns-nonfinal"
    else:
        connect(block, coins)
    connect(block_of(relative(sequence, version=1)), coins)
    connect(block, coins, replace(REGTEST, csv_height=HEIGHT + 1))


def test_a_coin_of_the_same_block_has_no_age() -> None:
    payment = pays(1)
    coins = {outpoint(1): coin()}
    for sequence, locked in ((0, False), (1, True), (1 << 22, False), (1 << 22 | 1, True)):
        child = pays(2, 1, vin=(TxIn(OutPoint(payment.txid, 0), sequence=sequence),))
        if locked:
            assert reason(block_of(payment, child), coins) == "bad-txns-nonfinal"
        elif sequence == 0:
            connect(block_of(payment, child), coins)


# Sigops.


def revealing(number: int, redeem: bytes) -> tuple[Transaction, Coin]:
    script_sig = push(b"") + push(redeem)
    tx = pays(number, vin=(TxIn(outpoint(number), script_sig),))
    return tx, coin(script=p2sh(hash160(redeem)))


def test_sigops_of_revealed_scripts_count() -> None:
    """Of 80,000 units a P2SH script of 190 CHECKMULTISIGs takes 190 * 20 * 4."""
    redeem = bytes((Op.OP_1, Op.OP_RETURN)) + bytes((Op.OP_CHECKMULTISIG,)) * 190
    cost = 190 * 20 * 4
    spends = [revealing(n, redeem) for n in range(1, 7)]
    coins = {outpoint(n): coin for n, (_, coin) in enumerate(spends, 1)}
    transactions = [tx for tx, _ in spends]
    assert 5 * cost <= 80_000 < 6 * cost
    assert reason(block_of(*transactions), coins) == "bad-blk-sigops"
    # One less, and the block gets as far as the scripts, which all fail.
    assert reason(block_of(*transactions[:5]), coins).startswith("block-script-verify-flag-failed")


def test_sigops_cost_is_at_most_eighty_thousand() -> None:
    def costing(units: int) -> Block:
        sigops = bytes((Op.OP_CHECKSIG,)) * (units // 4)
        return block_of(pays(1, 900, push(b"") + sigops))

    assert connect(costing(80_000), {outpoint(1): coin()}).sigop_cost == 80_000
    assert reason(costing(80_004), {outpoint(1): coin()}) == "bad-blk-sigops"


# The coinbase.


def test_a_coinbase_takes_at_most_subsidy_and_fees() -> None:
    coins = {outpoint(1): coin(1000)}
    for value in (0, SUBSIDY, SUBSIDY + 100):
        assert connect(block_of(pays(1, 900), value=value), coins).fees == 100
    assert reason(block_of(pays(1, 900), value=SUBSIDY + 101), coins) == "bad-cb-amount"


def test_all_outputs_of_a_coinbase_count() -> None:
    coinbase = coinbase_at(HEIGHT, SUBSIDY, TRUE, TxOut(1, op_return(b"")))
    assert reason(replace(block_of(), vtx=(coinbase,)), {}) == "bad-cb-amount"


# Scripts.

KINDS = [lock for lock in LOCKS if lock.name != "anyone"]


@pytest.mark.parametrize("lock", KINDS, ids=lambda lock: lock.name)
def test_scripts_let_coins_be_spent_by_their_owner_only(lock: Lock) -> None:
    coins = {outpoint(1): coin(1000, lock.script_pubkey)}
    good = spend(list(coins.items()), [lock], [TxOut(900, TRUE)])
    connect(block_of(good), coins)
    stolen = replace(good, vout=(TxOut(901, TRUE),))
    assert reason(block_of(stolen), coins).startswith("block-script-verify-flag-failed (")


def test_the_script_error_is_told_in_the_reference_clients_words() -> None:
    coins = {outpoint(1): coin(script=bytes((Op.OP_RETURN,)) * 2), outpoint(2): coin(script=b"")}
    assert (
        reason(block_of(pays(1)), coins)
        == "block-script-verify-flag-failed (OP_RETURN was encountered)"
    )
    # Of several, the first in the order of the block.
    assert reason(block_of(pays(1), pays(2)), coins).endswith("(OP_RETURN was encountered)")
    assert reason(block_of(pays(2), pays(1)), coins) == (
        "block-script-verify-flag-failed (Script evaluated without error but finished with a "
        "false/empty top stack element)"
    )


def test_flags_follow_the_heights() -> None:
    """CHECKLOCKTIMEVERIFY is a NOP below its height."""
    script = bytes((Op.OP_1NEGATE, Op.OP_CHECKLOCKTIMEVERIFY, Op.OP_DROP, Op.OP_1))
    coins = {outpoint(1): coin(script=script)}
    assert reason(block_of(pays(1)), coins).endswith("(Negative locktime)")
    connect(block_of(pays(1)), coins, replace(REGTEST, bip65_height=HEIGHT + 1))


def test_coins_that_the_block_itself_makes_may_be_listed_and_count_once() -> None:
    """As undo data list them: all that the block spends, wherever it was made."""
    first = pays(1)
    made = OutPoint(first.txid, 0)
    once = pays(2, vin=(TxIn(made),), value=800)
    again = pays(3, vin=(TxIn(made),), value=700)
    coins = {outpoint(1): coin()}
    listed = coins | {made: Coin(first.vout[0], HEIGHT, is_coinbase=False)}
    assert connect(block_of(first, once), listed) == connect(block_of(first, once), coins)
    missing = "bad-txns-inputs-missingorspent"
    assert reason(block_of(first, once, again), listed) == missing
    assert reason(block_of(once, first), listed) == missing


def in_order() -> Sequence[tuple[str, Block, Coins]]:
    overwriting = pays(9)
    coins = {
        outpoint(1): coin(script=b""),  # fails as a script
        outpoint(2): coin(MAX_MONEY),
        outpoint(3): coin(MAX_MONEY),
        outpoint(4): coin(height=HEIGHT - 1),
        outpoint(9): coin(),
    }
    bad_script, too_much = pays(1), [pays(2, 0), pays(3, 0)]
    locked = pays(4, vin=(TxIn(outpoint(4), sequence=2),))
    costly = bytes((Op.OP_CHECKSIG,)) * 20_001
    missing = pays(8)
    more = 5000 + SUBSIDY
    return [
        (
            "bad-txns-BIP30",
            block_of(missing, overwriting, value=more),
            coins | {OutPoint(overwriting.txid, 0): coin()},
        ),
        (
            "bad-txns-inputs-missingorspent",
            block_of(bad_script, missing, locked, value=more),
            coins,
        ),
        (
            "bad-txns-accumulated-fee-outofrange",
            block_of(bad_script, *too_much, missing),
            coins,
        ),
        ("bad-txns-nonfinal", block_of(bad_script, locked, pays(9, 900, costly)), coins),
        ("bad-txns-nonfinal", block_of(replace(locked, vout=(TxOut(1, costly),))), coins),
        ("bad-blk-sigops", block_of(pays(9, 900, costly), missing), coins),
        ("bad-cb-amount", block_of(bad_script, value=more), coins),
        (
            f"block-script-verify-flag-failed ({ScriptError.EVAL_FALSE.value})",
            block_of(bad_script),
            coins,
        ),
    ]


@pytest.mark.parametrize(("first", "block", "coins"), in_order())
def test_of_several_broken_rules_the_first_is_named(first: str, block: Block, coins: Coins) -> None:
    assert reason(block, coins) == first
