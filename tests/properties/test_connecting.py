"""Connecting random blocks: what must hold of every change, and that it can be undone."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.blocks import REGTEST, coinbase_at

from drystone.consensus.coins import Coin
from drystone.consensus.connect import BlockChange, connect_block
from drystone.consensus.errors import BlockInvalid
from drystone.consensus.subsidy import block_subsidy
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import BlockHash, Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

HEIGHT = 150
SUBSIDY = block_subsidy(HEIGHT, REGTEST.halving_interval)
HEADER = BlockHeader(4, BlockHash(bytes(32)), bytes(32), 0, 0x207FFFFF, 0)
TRUE, FALSE, RETURN = b"\x51", b"\x00", b"\x6a"

Coins = dict[OutPoint, Coin]


def value_of(coins: Coins) -> int:
    return sum(coin.output.value for coin in coins.values())


@st.composite
def histories(draw: st.DrawFn) -> tuple[Coins, list[Transaction]]:
    """Coins, and transactions that spend them or each other's outputs: mostly well, not always."""
    outpoints = [OutPoint(Txid(bytes((n,)) * 32), n) for n in range(draw(st.integers(1, 6)))]
    ages = st.tuples(st.sampled_from([1, 50, 51, 149]), st.booleans())
    coins = {
        outpoint: Coin(TxOut(draw(st.integers(0, 100)), TRUE), *draw(ages))
        for outpoint in outpoints
    }
    transactions: list[Transaction] = []
    for _ in range(draw(st.integers(0, 5))):
        chosen = draw(st.lists(st.sampled_from(outpoints), min_size=1, max_size=3, unique=True))
        locks = st.sampled_from([TRUE, TRUE, TRUE, RETURN, FALSE])
        outputs = draw(
            st.lists(st.builds(TxOut, st.integers(0, 40), locks), min_size=1, max_size=3)
        )
        sequence = st.sampled_from([0, 1, 99, 100, 0xFFFFFFFF])
        tx = Transaction(2, tuple(TxIn(o, b"", draw(sequence)) for o in chosen), tuple(outputs))
        transactions.append(tx)
        outpoints += [OutPoint(tx.txid, n) for n in range(len(outputs))]
    return coins, transactions


def connect(
    coins: Coins, transactions: Sequence[Transaction], claimed: int, height: int = HEIGHT
) -> BlockChange:
    block = Block(HEADER, (coinbase_at(HEIGHT, claimed), *transactions))
    return connect_block(block, coins, height=height, median_time_at=lambda _: 0, params=REGTEST)


def longest_valid(
    coins: Coins, transactions: Sequence[Transaction]
) -> tuple[list[Transaction], BlockChange]:
    """The transactions that can follow one another, and what they do; never a half of one."""
    taken: list[Transaction] = []
    change = connect(coins, [], SUBSIDY)
    for tx in transactions:
        before = dict(coins)
        try:
            change = connect(coins, [*taken, tx], SUBSIDY)
            taken.append(tx)
        except BlockInvalid:
            pass
        assert coins == before
    return taken, change


@given(histories())
def test_nothing_is_made_or_lost_but_by_the_coinbase_and_in_unspendable_outputs(
    history: tuple[Coins, list[Transaction]],
) -> None:
    coins, transactions = history
    taken, change = longest_valid(coins, transactions)
    burnt = sum(txout.value for tx in taken for txout in tx.vout if txout.script_pubkey == RETURN)
    gained = value_of(dict(change.created)) - value_of(dict(change.spent))
    assert gained == SUBSIDY - change.fees - burnt
    assert change.fees == sum(
        sum(coin.output.value for coin in spent) - sum(txout.value for txout in tx.vout)
        for tx, spent in zip(taken, change.inputs, strict=True)
    )


@given(histories())
def test_all_fees_may_be_claimed_and_no_satoshi_more(
    history: tuple[Coins, list[Transaction]],
) -> None:
    coins, transactions = history
    taken, change = longest_valid(coins, transactions)
    most = SUBSIDY + change.fees
    assert connect(coins, taken, most).fees == change.fees
    with pytest.raises(BlockInvalid, match="bad-cb-amount"):
        connect(coins, taken, most + 1)


@given(histories())
def test_a_change_can_be_made_and_undone(history: tuple[Coins, list[Transaction]]) -> None:
    coins, transactions = history
    taken, change = longest_valid(coins, transactions)
    assert change.spent.keys() <= coins.keys()
    assert not change.created.keys() & coins.keys()
    after = {k: v for k, v in coins.items() if k not in change.spent} | dict(change.created)
    spent_within = {txin.prevout for tx in taken for txin in tx.vin}
    assert not after.keys() & spent_within
    undone = {k: v for k, v in after.items() if k not in change.created} | dict(change.spent)
    assert undone == coins


@given(histories())
def test_a_block_can_not_come_again(history: tuple[Coins, list[Transaction]]) -> None:
    coins, transactions = history
    taken, change = longest_valid(coins, transactions)
    after = {k: v for k, v in coins.items() if k not in change.spent} | dict(change.created)
    with pytest.raises(BlockInvalid, match="bad-txns-BIP30"):
        connect(after, taken, SUBSIDY, HEIGHT + 1)
