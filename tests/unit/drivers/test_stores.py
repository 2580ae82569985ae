"""What any store has to do, in memory or on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.kept import PARAMS, coins_after, keep, record_of, steps, write_coins

from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.chain.store import BlockRecord, BlockStore, CoinStore, Validity
from drystone.consensus.coins import Coin
from drystone.drivers.store.directory import ChainDirectory
from drystone.primitives.hashes import BlockHash, Txid
from drystone.primitives.transaction import OutPoint, TxOut

GENESIS = BlockHash(bytes(32))
SOMEWHERE = OutPoint(Txid(bytes(range(32))), 7)


class Stores:
    """A pair of stores that can be closed and opened again."""

    def __init__(self, datadir: Path | None) -> None:
        self._datadir = datadir
        self._directory: ChainDirectory | None = None
        self.blocks: BlockStore = MemoryBlocks()
        self.coins: CoinStore = MemoryCoins()
        self.reopen()

    def reopen(self) -> None:
        """Close both and open them again."""
        self.close()
        if self._datadir is not None:
            self._directory = ChainDirectory.open(self._datadir, PARAMS)
            self.blocks, self.coins = self._directory.blocks, self._directory.coins

    def close(self) -> None:
        """Closing twice is fine."""
        self.coins.close()
        self.blocks.close()
        if self._directory is not None:
            self._directory.close()


@pytest.fixture(params=["memory", "disk"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    stores = Stores(tmp_path if request.param == "disk" else None)
    yield stores
    stores.close()
    stores.close()


def test_a_new_store_is_empty(stores: Stores) -> None:
    loaded = stores.blocks.load()
    assert (list(loaded.records), loaded.tip, list(loaded.unrecorded)) == ([], None, [])
    assert stores.coins.tip is None
    assert list(stores.coins.items()) == []
    assert stores.coins.get(SOMEWHERE) is None


def test_what_was_added_can_be_read_at_once_and_after_reopening(stores: Stores) -> None:
    stores.blocks.load()
    for number, step in enumerate(steps(12)):
        stores.blocks.add_block(step.block, step.block.encode() if number % 2 else None)
        stores.blocks.add_undo(step.block.hash, step.undo)
        assert stores.blocks.block(step.block.hash) == step.block
        assert stores.blocks.undo(step.block.hash) == step.undo
        stores.blocks.commit([record_of(step, number)], step.block.hash)
    stores.blocks.sync()
    for _ in range(2):
        for step in steps(12):
            assert stores.blocks.block(step.block.hash) == step.block
            assert stores.blocks.block_bytes(step.block.hash) == step.block.encode()
            assert stores.blocks.undo(step.block.hash) == step.undo
        stores.reopen()
        loaded = stores.blocks.load()
        assert list(loaded.records) == [record_of(step, n) for n, step in enumerate(steps(12))]
        assert loaded.tip == steps(12)[-1].block.hash
        assert list(loaded.unrecorded) == []


def test_the_last_word_on_a_block_counts_and_parents_stay_before_children(stores: Stores) -> None:
    stores.blocks.load()
    first, second, third = (record_of(step, n) for n, step in enumerate(steps(12)[:3]))
    header_only = first._replace(validity=Validity.TREE, tx_count=0)
    stores.blocks.commit([header_only, second])
    stores.blocks.commit([third, first])
    failed = second._replace(failure="bad-txns-inputs-missingorspent", sequence=-3)
    stores.blocks.commit([failed])
    stores.reopen()
    loaded = stores.blocks.load()
    assert list(loaded.records) == [first, failed, third]
    assert loaded.tip is None


def test_a_tip_stays_until_another_is_committed(stores: Stores) -> None:
    stores.blocks.load()
    keep(stores.blocks, steps(12)[0], 1)
    stores.blocks.commit([record_of(steps(12)[1], 2)])
    stores.blocks.commit([])
    stores.reopen()
    assert stores.blocks.load().tip == steps(12)[0].block.hash


def test_data_count_with_the_next_commit_whatever_that_tells_of(stores: Stores) -> None:
    stores.blocks.load()
    first, second = steps(12)[:2]
    stores.blocks.add_block(first.block)
    stores.blocks.add_undo(second.block.hash, second.undo)
    stores.blocks.commit([record_of(second, 2)])
    stores.blocks.commit([record_of(first, 1)])
    stores.reopen()
    stores.blocks.load()
    assert stores.blocks.block(first.block.hash) == first.block
    assert stores.blocks.undo(second.block.hash) == second.undo


@pytest.mark.parametrize("what", ["block", "block_bytes", "undo"])
def test_what_was_never_added_is_a_key_error(stores: Stores, what: str) -> None:
    stores.blocks.load()
    stores.blocks.commit([record_of(steps(12)[0], 1)])
    for block_hash in (GENESIS, steps(12)[0].block.hash):
        with pytest.raises(KeyError):
            getattr(stores.blocks, what)(block_hash)


def test_records_keep_every_field(stores: Stores) -> None:
    records = [
        BlockRecord(step.block.header, validity, tx_count, sequence, failure)
        for step, validity, tx_count, sequence, failure in zip(
            steps(12),
            (Validity.TREE, Validity.TRANSACTIONS, Validity.SCRIPTS),
            (0, 1, 2**32 - 1),
            (-(2**31), 0, 2**40),
            (None, "ungültig", "x" * 1000),
            strict=False,
        )
    ]
    stores.blocks.load()
    stores.blocks.commit(records)
    stores.reopen()
    assert list(stores.blocks.load().records) == records


def test_coins_are_as_the_blocks_left_them(stores: Stores) -> None:
    for end in (4, 8, 12):
        write_coins(stores.coins, steps(12)[end - 4 : end])
        for _ in range(2):
            assert dict(stores.coins.items()) == coins_after(end)
            assert all(stores.coins.get(o) == coin for o, coin in coins_after(end).items())
            assert all(
                stores.coins.get(outpoint) is None
                for step in steps(12)[:end]
                for outpoint in step.change.spent
            )
            assert stores.coins.tip == steps(12)[end - 1].block.hash
            stores.reopen()


def test_a_coin_that_is_taken_and_put_in_one_write_is_there(stores: Stores) -> None:
    old = Coin(TxOut(1, b"old"), 1, is_coinbase=True)
    new = Coin(TxOut(2, b"new"), 2, is_coinbase=False)
    stores.coins.write([], [(SOMEWHERE, old)], GENESIS)
    stores.coins.write([SOMEWHERE], [(SOMEWHERE, new)], GENESIS)
    assert stores.coins.get(SOMEWHERE) == new
    stores.coins.write([SOMEWHERE, OutPoint(SOMEWHERE.txid, 8)], [], GENESIS)
    assert stores.coins.get(SOMEWHERE) is None
    assert list(stores.coins.items()) == []


@pytest.mark.parametrize(
    "coin",
    [
        Coin(TxOut(0, b""), 0, is_coinbase=False),
        Coin(TxOut(21_000_000 * 10**8, b"\x51" * 10_000), 2**31 - 1, is_coinbase=True),
    ],
)
def test_a_coin_of_any_size_is_kept(stores: Stores, coin: Coin) -> None:
    outpoint = OutPoint(Txid(b"\xff" * 32), 2**32 - 1)
    stores.coins.write([], [(outpoint, coin)], GENESIS)
    stores.reopen()
    assert stores.coins.get(outpoint) == coin
    assert list(stores.coins.items()) == [(outpoint, coin)]
