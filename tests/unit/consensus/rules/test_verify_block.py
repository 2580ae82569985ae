"""Whole blocks through the one door: bytes, coins, height, times and parameters in, verdict out."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import islice

import pytest
from tests.support.blocks import (
    REGTEST,
    MinedChain,
    assembled,
    coinbase_at,
    with_commitment,
)
from tests.support.spending import LOCKS, spend

from drystone.consensus.coins import Coin
from drystone.consensus.connect import BlockChange, verify_block
from drystone.consensus.errors import BlockInvalid, BlockMutated, Rejected
from drystone.primitives.amount import COIN
from drystone.primitives.block import Block
from drystone.primitives.transaction import OutPoint, Transaction, TxOut

FEE = 1000


def coinbases(chain: MinedChain, count: int) -> list[tuple[OutPoint, Coin]]:
    """The oldest coins of a chain, which are mature if they are a hundred blocks deep."""
    return list(islice(((k, v) for k, v in chain.coins.items() if v.output.value), count))


def fan_out(chain: MinedChain) -> Transaction:
    """One coinbase paid out to each kind of lock."""
    ((outpoint, coin),) = coinbases(chain, 1)
    share = (coin.output.value - FEE) // len(LOCKS)
    return spend(
        [(outpoint, coin)], LOCKS[:1], [TxOut(share, lock.script_pubkey) for lock in LOCKS]
    )


def fan_in(chain: MinedChain, source: Transaction) -> Transaction:
    """And all of those spent at once."""
    coins = [
        (OutPoint(source.txid, n), Coin(txout, chain.height, is_coinbase=False))
        for n, txout in enumerate(source.vout)
    ]
    total = sum(txout.value for txout in source.vout)
    return spend(coins, LOCKS, [TxOut(total - FEE, LOCKS[0].script_pubkey)])


@cache
def history() -> tuple[MinedChain, Block]:
    """A chain of 102 blocks, and the next, which spends a coin of every kind."""
    chain = MinedChain()
    chain.mine(101)
    source = fan_out(chain)
    chain.mine(1, [source])
    return chain, chain.block([fan_in(chain, source)])


def verdict(data: bytes) -> BlockChange:
    """Of the bytes of the next block."""
    chain, _ = history()
    return verify_block(
        Block.from_bytes(data),
        chain.coins,
        height=chain.height + 1,
        median_time_at=chain.median_time_at,
        params=REGTEST,
    )


def refusal(block: Block) -> Rejected:
    with pytest.raises(Rejected) as refused:
        verdict(block.encode())
    return refused.value


def test_a_block_that_spends_every_kind_of_coin_passes() -> None:
    chain, block = history()
    change = verdict(block.encode())
    assert change.fees == FEE
    assert len(change.inputs[0]) == len(LOCKS)
    assert set(change.spent) <= set(chain.coins)
    # P2SH 3 * 4 for its redeem script; 1, 1 and 3 in witnesses; what was bare, before.
    assert change.sigop_cost == 3 * 4 + 1 + 1 + 3


def test_paying_and_spending_in_one_block_passes() -> None:
    chain = MinedChain()
    chain.mine(101)
    source = fan_out(chain)
    change = chain.connect(chain.block([source, fan_in(chain, source)]))
    assert change.fees == 2 * FEE + (50 * COIN - FEE) % len(LOCKS)  # what could not be shared out
    assert len(change.spent) == 1
    assert len(change.created) == 2


def test_the_change_is_the_same_whatever_else_the_coins_hold() -> None:
    chain, block = history()
    spent = {k: chain.coins[k] for k in verdict(block.encode()).spent}
    change = verify_block(
        block,
        spent,
        height=chain.height + 1,
        median_time_at={chain.height: chain.median_time_at(chain.height)}.__getitem__,
        params=REGTEST,
    )
    assert change == verdict(block.encode())


def remade(block: Block, *transactions: Transaction) -> Block:
    """With other transactions, and everything that depends on them made anew."""
    height = history()[0].height + 1
    fresh = coinbase_at(height, block.coinbase.vout[0].value)
    return assembled(with_commitment(replace(block, vtx=(fresh, *transactions))), REGTEST)


@pytest.mark.parametrize("index", range(1, len(LOCKS)), ids=[lock.name for lock in LOCKS[1:]])
def test_one_wrong_signature_condemns_the_block(index: int) -> None:
    """The inputs' locks each for itself: another input's signature is no use."""
    _, block = history()
    (payment,) = block.vtx[1:]
    vin = list(payment.vin)
    other = vin[index - 1] if index > 1 else vin[2]
    vin[index] = replace(vin[index], script_sig=other.script_sig, witness=other.witness)
    refused = refusal(remade(block, replace(payment, vin=tuple(vin))))
    assert type(refused) is BlockInvalid
    assert refused.reason.startswith("block-script-verify-flag-failed (")


def test_a_changed_amount_is_no_longer_signed_for() -> None:
    _, block = history()
    (payment,) = block.vtx[1:]
    vout = (replace(payment.vout[0], value=payment.vout[0].value + 1),)
    refused = refusal(remade(block, replace(payment, vout=vout)))
    assert refused.reason.startswith("block-script-verify-flag-failed (")


def assembled_then_repeated(block: Block, tx: Transaction) -> Block:
    three = remade(block, tx, replace(tx, version=1))
    return replace(three, vtx=(*three.vtx, three.vtx[-1]))


def without_witness(tx: Transaction) -> Transaction:
    return replace(tx, vin=tuple(replace(txin, witness=()) for txin in tx.vin))


def greedy(block: Block) -> Block:
    coinbase = block.coinbase
    vout = (replace(coinbase.vout[0], value=coinbase.vout[0].value + FEE + 1), *coinbase.vout[1:])
    return assembled(replace(block, vtx=(replace(coinbase, vout=vout), *block.vtx[1:])), REGTEST)


CHANGES: list[tuple[str, type[Rejected], Callable[[Block, Transaction], Block]]] = [
    (
        "bad-txnmrklroot",
        BlockMutated,
        lambda block, tx: replace(block, vtx=(*block.vtx[:-1], replace(tx, lock_time=1))),
    ),
    (
        "bad-txns-duplicate",
        BlockMutated,
        assembled_then_repeated,
    ),
    (
        "bad-witness-merkle-match",
        BlockMutated,
        lambda block, tx: replace(block, vtx=(*block.vtx[:-1], without_witness(tx))),
    ),
    (
        "bad-cb-missing",
        BlockInvalid,
        lambda block, tx: assembled(replace(block, vtx=(tx,)), REGTEST),
    ),
    (
        "bad-txns-nonfinal",
        BlockInvalid,
        lambda block, tx: remade(block, replace(tx, lock_time=1000)),
    ),
    (
        "bad-txns-inputs-missingorspent",
        BlockInvalid,
        lambda block, tx: remade(block, tx, replace(tx, version=1)),
    ),
    (
        "bad-cb-amount",
        BlockInvalid,
        lambda block, tx: greedy(block),
    ),
]


@pytest.mark.parametrize(
    ("reason", "kind", "change"), CHANGES, ids=[reason for reason, _, _ in CHANGES]
)
def test_a_change_for_the_worse_is_found(
    reason: str, kind: type[Rejected], change: Callable[[Block, Transaction], Block]
) -> None:
    _, block = history()
    refused = refusal(change(block, block.vtx[1]))
    assert type(refused) is kind
    assert refused.reason == reason


def test_a_coin_can_not_be_spent_again_in_a_later_block() -> None:
    chain = MinedChain()
    chain.mine(101)
    source = fan_out(chain)
    chain.mine(1, [source])
    with pytest.raises(BlockInvalid, match="bad-txns-inputs-missingorspent"):
        chain.verify(chain.block([replace(source, vout=source.vout[:1])]))
    # Nor may a transaction come again while any of its outputs is there.
    with pytest.raises(BlockInvalid, match="bad-txns-BIP30"):
        chain.verify(chain.block([source]))


def test_a_sequence_lock_holds_until_its_block() -> None:
    chain = MinedChain()
    chain.mine(101)
    source = fan_out(chain)
    chain.mine(1, [source])
    coin = OutPoint(source.txid, 0), chain.coins[OutPoint(source.txid, 0)]
    patient = spend([coin], LOCKS[:1], [TxOut(1, b"\x51")], sequence=3)
    for _ in range(2):
        with pytest.raises(BlockInvalid, match="bad-txns-nonfinal"):
            chain.verify(chain.block([patient]))
        chain.mine()
    chain.connect(chain.block([patient]))


def test_a_coinbase_matures_after_a_hundred_blocks() -> None:
    chain = MinedChain()
    chain.mine(100)
    early = spend(coinbases(chain, 1), LOCKS[:1], [TxOut(1, b"\x51")])
    assert chain.height == 100
    # Block 1's coinbase is 100 deep in block 101, the very first that may spend it.
    second = spend(coinbases(chain, 2)[1:], LOCKS[:1], [TxOut(1, b"\x51")])
    with pytest.raises(BlockInvalid, match="bad-txns-premature-spend-of-coinbase"):
        chain.verify(chain.block([second]))
    chain.connect(chain.block([early]))


def test_the_subsidy_halves_on_regtest_after_150_blocks() -> None:
    chain = MinedChain()
    chain.mine(149)
    assert chain.blocks[-1].coinbase.vout[0].value == 50 * COIN
    assert chain.mine().coinbase.vout[0].value == 25 * COIN
    with pytest.raises(BlockInvalid, match="bad-cb-amount"):
        chain.verify(chain.block(coinbase=coinbase_at(151, 25 * COIN + 1)))
