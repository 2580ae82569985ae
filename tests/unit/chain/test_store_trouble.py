"""What a chain does when its store can't, or holds what can't be: it stops, and loses nothing."""

from collections.abc import Callable, Iterable, Sequence

import pytest
from tests.support.blocks import REGTEST
from tests.support.branches import Branches, payment
from tests.support.spending import p2wpkh_lock, spend
from tests.support.stores import MemoryShelf, Shelf, open_chain

from drystone.chain.chainstate import ChainState
from drystone.chain.coins import CoinsCache
from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.chain.outcomes import Arrival
from drystone.chain.store import BlockRecord, BlockUndo, StoreError
from drystone.chain.tips import chain_tips
from drystone.consensus.chains import LOCAL
from drystone.consensus.coins import Coin
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint, TxOut

NOW = REGTEST.genesis.header.time + 10_000_000
FULL = StoreError("the disk is full: make room, and open it again")


class FailingBlocks(MemoryBlocks):
    """Fails at the nth of its writes, and from then on; what it had before is kept."""

    def __init__(self, kept: MemoryBlocks, writes: int) -> None:
        super().__init__()
        self._blocks, self._undo, self._records = kept._blocks, kept._undo, kept._records
        self._tip = kept._tip
        self.kept = kept
        self.writes = writes

    def _count(self) -> None:
        self.writes -= 1
        if self.writes < 0:
            raise FULL

    def add_block(self, block: Block, encoded: bytes | None = None) -> None:
        self._count()
        super().add_block(block, encoded)

    def add_undo(self, block_hash: BlockHash, undo: BlockUndo) -> None:
        self._count()
        super().add_undo(block_hash, undo)

    def commit(self, records: Sequence[BlockRecord], tip: BlockHash | None = None) -> None:
        self._count()
        super().commit(records, tip)
        self.kept._tip = self._tip


class FailingCoins(MemoryCoins):
    """Has no room for coins."""

    def write(
        self,
        spent: Iterable[OutPoint],
        created: Iterable[tuple[OutPoint, Coin]],
        tip: BlockHash,
    ) -> None:
        raise FULL


def rivals() -> tuple[Branches, list[Block], list[Block]]:
    branches = Branches()
    return branches, branches.grow(branches.genesis, 3), branches.grow(branches.genesis, 4)


@pytest.mark.parametrize("writes", range(10))
def test_a_store_that_fails_at_any_write_ends_the_chain_and_opening_again_goes_on(
    writes: int,
) -> None:
    """A reorganisation of four blocks: four of data, three of undo below, a commit, and so on."""
    _, a, b = rivals()
    shelf = MemoryShelf()
    chain = open_chain(REGTEST, shelf)
    chain.submit_all(map(Arrival, [*a, *b[:1]]), now=NOW)
    chain.close()
    failing = ChainState(REGTEST, FailingBlocks(shelf.blocks, writes), shelf.coins)
    told = caught = None
    try:
        failing.submit_all(map(Arrival, b), now=NOW)
        told = failing.tip.hash
    except StoreError as error:
        caught = error
    if caught is not None:
        for use in uses(failing, a[0]):
            with pytest.raises(StoreError, match="this chain can't go on: the disk is full"):
                use()
        failing.close()  # without a word, and without a flush
    again = open_chain(REGTEST, shelf)
    assert again.tip.hash in ({told} if told else {a[-1].hash, b[-1].hash})
    again.submit_all(map(Arrival, b), now=NOW)
    assert again.tip.hash == b[-1].hash
    straight = open_chain(REGTEST)
    straight.submit_all(map(Arrival, b), now=NOW)
    assert dict(again.coins.items()) == dict(straight.coins.items())


def uses(chain: ChainState, block: Block) -> list[Callable[[], object]]:
    return [
        lambda: chain.submit(block, now=NOW),
        lambda: chain.submit_header(block.header, now=NOW),
        lambda: chain.invalidate(block.hash),
        lambda: chain.reconsider(REGTEST.genesis_hash),
        lambda: chain.precious(REGTEST.genesis_hash),
        chain.flush,
    ]


def test_coins_that_can_not_be_written_lose_no_block() -> None:
    _, a, _ = rivals()
    shelf = MemoryShelf()
    open_chain(REGTEST, shelf).close()
    coins = FailingCoins()
    coins._tip = shelf.coins.tip
    chain = ChainState(REGTEST, shelf.blocks, coins, flush_blocks=0)
    with pytest.raises(StoreError):
        chain.submit(a[0], now=NOW)
    again = open_chain(REGTEST, shelf)
    assert again.tip.hash == a[0].hash
    assert again.coin(OutPoint(a[0].coinbase.txid, 0)) is not None


def test_a_chain_that_was_closed_says_so_and_closing_again_is_fine(shelf: Shelf) -> None:
    chain = open_chain(REGTEST, shelf)
    _, a, _ = rivals()
    chain.submit(a[0], now=NOW)
    chain.close()
    chain.close()
    with pytest.raises(StoreError, match="it is closed"):
        chain.submit(a[1], now=NOW)
    assert open_chain(REGTEST, shelf).tip.hash == a[0].hash


class Interrupted:
    """Somebody presses Ctrl-C when signatures are about to be checked."""

    def start(self, checks: object, /) -> Callable[[], bool]:
        raise KeyboardInterrupt


def test_a_chain_that_was_interrupted_does_not_go_on() -> None:
    branches = Branches()
    shelf = MemoryShelf()
    blocks = branches.grow(branches.genesis, 101)
    lock = p2wpkh_lock()
    funding = payment(OutPoint(blocks[0].coinbase.txid, 0), 1000, lock.script_pubkey)
    funded = branches.on(blocks[-1], [funding])
    coin = (OutPoint(funding.txid, 0), Coin(funding.vout[0], 102, is_coinbase=False))
    signed = branches.on(funded, [spend([coin], [lock], [TxOut(1, b"\x51")])])
    chain = open_chain(REGTEST, shelf, signatures=Interrupted())
    chain.submit_all(map(Arrival, [*blocks, funded]), now=NOW)
    with pytest.raises(KeyboardInterrupt):
        chain.submit(signed, now=NOW)
    with pytest.raises(StoreError, match="this chain can't go on: KeyboardInterrupt"):
        chain.submit(signed, now=NOW)
    again = open_chain(REGTEST, shelf)
    assert again.tip.hash == funded.hash
    assert again.submit(signed, now=NOW).error is None


# What is there when a chain is opened.


def test_coins_without_blocks_are_refused() -> None:
    shelf = MemoryShelf()
    _, a, _ = rivals()
    chain = open_chain(REGTEST, shelf)
    chain.submit(a[0], now=NOW)
    chain.close()
    with pytest.raises(StoreError, match="there are coins but no blocks"):
        ChainState(REGTEST, MemoryBlocks(), shelf.coins)


def test_a_tip_that_is_not_among_the_blocks_is_refused() -> None:
    shelf = MemoryShelf()
    open_chain(REGTEST, shelf).close()
    shelf.blocks._tip = BlockHash(b"\1" * 32)
    with pytest.raises(StoreError, match=r"the tip, 0101.*, is not among the blocks: reindex"):
        open_chain(REGTEST, shelf)


def test_coins_of_an_unknown_block_are_refused() -> None:
    shelf = MemoryShelf()
    open_chain(REGTEST, shelf).close()
    shelf.coins._tip = BlockHash(b"\1" * 32)
    with pytest.raises(StoreError, match=r"the coins' block, 0101.*, is not among the blocks"):
        open_chain(REGTEST, shelf)


def test_blocks_of_another_chain_are_refused_in_one_line() -> None:
    shelf = MemoryShelf()
    chain = open_chain(REGTEST, shelf)
    chain.submit(rivals()[1][0], now=NOW)
    chain.close()
    with pytest.raises(StoreError, match="another chain") as refused:
        open_chain(LOCAL, shelf)
    assert "\n" not in str(refused.value)


def test_coins_that_do_not_fit_the_blocks_are_refused_when_blocks_walk_over_them() -> None:
    branches = Branches()
    blocks = branches.grow(branches.genesis, 101)
    spending = branches.on(blocks[-1], [payment(OutPoint(blocks[0].coinbase.txid, 0), 1)])
    shelf = MemoryShelf()
    chain = open_chain(REGTEST, shelf)
    chain.submit_all(map(Arrival, blocks), now=NOW)
    chain.flush()
    chain.submit(spending, now=NOW)  # and the process dies before the next flush
    del shelf.coins._coins[OutPoint(blocks[0].coinbase.txid, 0)]
    with pytest.raises(
        StoreError, match="block 102 was valid and now is bad-txns-inputs-missingorspent: reindex"
    ):
        open_chain(REGTEST, shelf)


@pytest.mark.parametrize("flushed_at", [0, 3, 7])
def test_coins_that_lag_on_another_branch_are_walked_to_the_tip(
    shelf: Shelf, flushed_at: int
) -> None:
    _, a, b = rivals()
    chain = open_chain(REGTEST, shelf)
    for count, block in enumerate([*a, *b]):
        if count == flushed_at:
            chain.flush()
        chain.submit(block, now=NOW)
    expected = dict(chain.coins.items())
    steps: list[tuple[int, int]] = []
    again = open_chain(REGTEST, shelf, progress=lambda done, total: steps.append((done, total)))
    assert again.tip.hash == b[-1].hash
    assert dict(again.coins.items()) == expected
    lagging = {0: 4, 3: 7, 7: 4}[flushed_at]  # 7: never
    assert steps == [(lagging, lagging)]


def test_coins_that_are_rebuilt_from_nothing_are_written_on_the_way() -> None:
    """As many as are left to wait elsewhere: a long chain's are more than memory should hold."""
    shelf = MemoryShelf()
    branches = Branches()
    chain = open_chain(REGTEST, shelf)
    blocks = branches.grow(branches.genesis, 400)
    chain.submit_all(map(Arrival, blocks), now=NOW)
    expected = dict(chain.coins.items())
    most = 0

    class Watched(CoinsCache):
        def apply(self, change: object) -> None:
            nonlocal most
            super().apply(change)  # type: ignore[arg-type]
            most = max(most, self.unwritten)

    shelf.coins = MemoryCoins()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drystone.chain.chainstate.CoinsCache", Watched)
        again = open_chain(REGTEST, shelf, flush_changes=50)
    assert dict(again.coins.items()) == expected
    assert again.tip.hash == blocks[-1].hash
    assert most <= 50 + 128


def test_everything_is_as_before_after_opening_again(shelf: Shelf) -> None:
    branches, a, b = rivals()
    chain = open_chain(REGTEST, shelf)
    bad = branches.on(a[-1], fees=1)
    chain.submit_all(map(Arrival, [*a, *b, bad, branches.on(bad)]), now=NOW)
    chain.submit_headers([branches.on(b[-1]).header], now=NOW)
    nodes = [(node.record(), node.is_failed) for node in chain.tree.nodes.values()]
    tips, coins = chain_tips(chain), dict(chain.coins.items())
    chain.close()
    again = open_chain(REGTEST, shelf)
    assert [(node.record(), node.is_failed) for node in again.tree.nodes.values()] == nodes
    assert chain_tips(again) == tips
    assert dict(again.coins.items()) == coins


def test_a_tip_that_was_not_moved_is_moved_when_the_chain_is_opened() -> None:
    """The process died between a block's commit and the move of the tip."""
    _, a, _ = rivals()
    shelf = MemoryShelf()
    chain = open_chain(REGTEST, shelf)
    chain.submit_all(map(Arrival, a), now=NOW)
    shelf.blocks._tip = REGTEST.genesis_hash
    assert open_chain(REGTEST, shelf).tip.hash == a[-1].hash


def test_blocks_and_undo_data_that_nobody_added_are_missing(shelf: Shelf) -> None:
    blocks, coins = shelf.stores(REGTEST)
    chain = ChainState(REGTEST, blocks, coins)
    nowhere = BlockHash(bytes(32))
    for ask in (chain.block, chain.block_bytes, chain.undo, chain.stored_block):
        with pytest.raises(KeyError):
            ask(nowhere)
    _, a, b = rivals()
    chain.submit_all(map(Arrival, [*b, *a]), now=NOW)
    assert chain.block(a[0].hash) == a[0]
    with pytest.raises(KeyError):
        chain.undo(a[0].hash)  # it was never connected
    assert chain.undo(b[0].hash) == BlockUndo(())
