"""The cache and the changes on it, against a dictionary."""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.support.blocks import REGTEST, MinedChain
from tests.support.branches import first_coin, payment
from tests.support.stores import SHELVES, Shelf

from drystone.chain.coins import CoinsCache, CoinsChange, outpoints_left_by
from drystone.chain.store import BlockUndo
from drystone.consensus.coins import Coin
from drystone.consensus.connect import BlockChange
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import BlockHash, Txid
from drystone.primitives.script import op_return
from drystone.primitives.transaction import NULL_OUTPOINT, OutPoint, Transaction, TxIn, TxOut

Coins = dict[OutPoint, Coin]

OUTPOINTS = [OutPoint(Txid(bytes((n,)) * 32), n % 2) for n in range(8)]
outpoints = st.sampled_from(OUTPOINTS)


def coin(value: int) -> Coin:
    return Coin(TxOut(value, b"\x51"), value, is_coinbase=False)


def change_of(created: Coins, spent: Coins) -> BlockChange:
    return BlockChange(created, spent, (), 0, 0)


class AnyCache(RuleBasedStateMachine):
    """Coins come and go in changes of several blocks, some undone again, and some only tried.

    Few outpoints, so that a coin often comes again where one was. A coin is never put where one is.
    """

    def __init__(self, shelf: Callable[[], Shelf] = SHELVES["memory"]) -> None:
        super().__init__()
        self.shelf = shelf()
        _, self.store = self.shelf.stores(REGTEST)
        self.cache = CoinsCache(self.store, most_read=3)
        self.coins: Coins = {}
        self.stored: Coins = {}
        self.values = iter(range(1, 1 << 30))

    def teardown(self) -> None:
        self.cache.close()
        self.shelf.clear()

    def tried(self, blocks: list[set[OutPoint]], undone: int) -> tuple[CoinsChange, Coins]:
        """What blocks do that spend what is there of some outpoints, and make the others.

        Of those, so many are undone again, from the last on.
        """
        paper, coins = CoinsChange(self.cache), dict(self.coins)
        done: list[BlockChange] = []
        for touched in blocks:
            spent = {at: coins[at] for at in touched if at in coins}
            created = {at: coin(next(self.values)) for at in touched if at not in coins}
            change = change_of(created, spent)
            paper.connect(change)
            coins = {at: coin for at, coin in coins.items() if at not in spent} | created
            done.append(change)
        for change in done[::-1][:undone]:
            paper.disconnect(
                block_making(list(change.created)), BlockUndo(tuple(change.spent.items()))
            )
            coins = {at: coin for at, coin in coins.items() if at not in change.created}
            coins |= change.spent
        for outpoint in OUTPOINTS:
            assert paper.get(outpoint) == coins.get(outpoint)
        return paper, coins

    @rule(
        blocks=st.lists(st.sets(outpoints, max_size=4), max_size=4),
        undone=st.integers(0, 4),
        fate=st.sampled_from(["comes true", "is thrown away"]),
    )
    def change(self, blocks: list[set[OutPoint]], undone: int, fate: str) -> None:
        paper, coins = self.tried(blocks, undone)
        if fate == "comes true":
            self.cache.apply(paper)
            self.coins = coins

    @rule(outpoint=outpoints)
    def read(self, outpoint: OutPoint) -> None:
        assert self.cache.get(outpoint) == self.coins.get(outpoint)

    @rule(number=st.integers(0, 255))
    def flush(self, number: int) -> None:
        tip = BlockHash(bytes((number,)) * 32)
        self.cache.flush(tip)
        self.stored = dict(self.coins)
        assert self.store.tip == tip
        assert self.cache.unwritten == 0

    @invariant()
    def all_coins_are_told(self) -> None:
        assert dict(self.cache.items()) == self.coins
        assert len(list(self.cache.items())) == len(self.coins)

    @invariant()
    def the_store_has_what_was_flushed(self) -> None:
        assert dict(self.store.items()) == self.stored

    @invariant()
    def few_coins_are_kept_for_having_been_read(self) -> None:
        assert len(self.cache._read) <= 3


class AnyCacheOnDisk(AnyCache):
    """The same, over a store in files."""

    def __init__(self) -> None:
        super().__init__(SHELVES["disk"])


TestAnyCache = AnyCache.TestCase
TestAnyCache.settings = settings(max_examples=100, stateful_step_count=25)
TestAnyCacheOnDisk = AnyCacheOnDisk.TestCase
TestAnyCacheOnDisk.settings = settings(max_examples=15, stateful_step_count=25)


def block_making(made: list[OutPoint]) -> Block:
    """A block, not to be encoded, that leaves coins just there."""
    header = BlockHeader(4, BlockHash(bytes(32)), bytes(32), 0, 0, 0)
    return Block(header, tuple(map(_making, made)))


def _making(outpoint: OutPoint) -> Transaction:
    burnt = TxOut(0, op_return(b""))
    outputs = (*[burnt] * outpoint.vout, TxOut(1, b"\x51"))
    tx = Transaction(2, (TxIn(NULL_OUTPOINT),), outputs)
    object.__setattr__(tx, "txid", outpoint.txid)
    return tx


@pytest.fixture(scope="module")
def chain() -> MinedChain:
    made = MinedChain()
    made.mine(101)
    return made


def test_a_block_leaves_neither_what_it_spends_itself_nor_what_nobody_can_spend(
    chain: MinedChain,
) -> None:
    outpoint, old = first_coin(chain.blocks[1].coinbase, 1)
    first = payment(outpoint, old.output.value // 2, outputs=2)
    second = payment(OutPoint(first.txid, 1), 1, op_return(b"burnt"))
    block = chain.block([first, second])
    change = chain.verify(block)
    assert set(outpoints_left_by(block)) == set(change.created)
    assert set(change.created) == {OutPoint(first.txid, 0), OutPoint(block.coinbase.txid, 0)}


def test_a_block_can_be_disconnected_from_its_own_undo_data(chain: MinedChain) -> None:
    outpoint, _ = first_coin(chain.blocks[1].coinbase, 1)
    block = chain.block([payment(outpoint, 1)])
    change = chain.verify(block)
    paper = CoinsChange(chain.coins)
    paper.connect(change)
    assert paper.get(outpoint) is None
    paper.disconnect(block, BlockUndo(tuple(change.spent.items())))
    assert paper.created == {outpoint: chain.coins[outpoint]}
    assert paper.spent == {outpoint}
    assert all(paper.get(at) == chain.coins.get(at) for at in (outpoint, *change.created))


def test_a_coin_made_and_spent_between_flushes_never_reaches_the_store() -> None:
    _, store = SHELVES["memory"]().stores(REGTEST)
    cache = CoinsCache(store)
    for created, spent in (({OUTPOINTS[0]: coin(1)}, {}), ({}, {OUTPOINTS[0]: coin(1)})):
        paper = CoinsChange(cache)
        paper.connect(change_of(created, spent))
        cache.apply(paper)
    assert cache.unwritten == 0


def test_reading_coins_lets_go_of_those_read_first() -> None:
    _, store = SHELVES["memory"]().stores(REGTEST)
    store.write([], [(outpoint, coin(1)) for outpoint in OUTPOINTS], REGTEST.genesis_hash)
    cache = CoinsCache(store, most_read=4)
    for outpoint in OUTPOINTS:
        assert cache.get(outpoint) == coin(1)
    assert list(cache._read) == OUTPOINTS[-4:]
