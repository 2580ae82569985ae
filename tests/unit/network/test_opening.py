"""Opening a chain that is kept in a directory: begun, gone on with, mended, closed."""

import gc
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.support.blocks import REGTEST
from tests.support.branches import Branches
from tests.support.kept_chains import spending_chain

from drystone.chain.chainstate import ChainState
from drystone.chain.coins_digest import coins_digest
from drystone.chain.store import StoreError
from drystone.consensus.chains import LOCAL
from drystone.drivers.history import local_history
from drystone.network.collector import calm_collector
from drystone.network.opening import opened_chain
from drystone.primitives.block import Block

NOW = 2_000_000_000


def fill(datadir: Path, count: int = 30) -> bytes:
    """Keep a chain of so many blocks; the digest of its coins."""
    branches = Branches()
    with opened_chain(datadir, REGTEST) as chain:
        for block in branches.grow(branches.genesis, count):
            assert chain.submit(block, now=NOW).error is None
        return coins_digest(chain.coins.items())


def fill_without_flush(datadir: Path, blocks: list[Block]) -> None:
    with (
        patch.object(ChainState, "flush", lambda _self: None),
        opened_chain(datadir, REGTEST) as chain,
    ):
        for block in blocks:
            assert chain.submit(block, now=NOW).error is None


def damage_end_of_journal(datadir: Path) -> None:
    with (datadir / "regtest" / "blocks" / "index.dat").open("ab") as file:
        file.write(b"half")


def test_a_new_directory_begins_with_genesis(tmp_path: Path) -> None:
    with opened_chain(tmp_path / "new", REGTEST) as chain:
        assert (chain.height, chain.tip.hash) == (0, REGTEST.genesis_hash)
    assert (tmp_path / "new" / "regtest" / "blocks").is_dir()


def test_a_new_local_chain_begins_with_its_history_and_only_once(tmp_path: Path) -> None:
    for _ in range(2):
        with opened_chain(tmp_path, LOCAL) as chain:
            assert (chain.height, chain.tip.hash) == (119, local_history()[-1].hash)


def test_a_history_that_the_process_died_over_is_made_whole(tmp_path: Path) -> None:
    def die(self: ChainState, *_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with (
        patch.object(ChainState, "submit_all", die),
        pytest.raises(KeyboardInterrupt),
        opened_chain(tmp_path, LOCAL),
    ):
        pass
    with opened_chain(tmp_path, LOCAL) as chain:
        assert chain.height == 119


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    digest = fill(tmp_path)
    with opened_chain(tmp_path, REGTEST, create=False) as chain:
        assert chain.height == 30
        assert coins_digest(chain.coins.items()) == digest


def test_nothing_is_made_where_nothing_may_be(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="there is no chain in"),
        opened_chain(tmp_path / "none", REGTEST, create=False),
    ):
        pass
    assert not (tmp_path / "none").exists()


def test_a_directory_can_be_opened_once_at_a_time(tmp_path: Path) -> None:
    with (
        opened_chain(tmp_path, REGTEST),
        pytest.raises(StoreError, match="in use by process"),
        opened_chain(tmp_path, REGTEST),
    ):
        pass
    with opened_chain(tmp_path, REGTEST):
        pass


def test_it_is_closed_when_its_user_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), opened_chain(tmp_path, REGTEST):
        raise ZeroDivisionError
    with opened_chain(tmp_path, REGTEST) as chain:
        assert chain.height == 0


def test_reindexing_makes_the_same_chain_and_tells_how_far_it_is(tmp_path: Path) -> None:
    digest = fill(tmp_path, 100)
    told: list[tuple[str, int, int | None]] = []

    def progress(what: str, done: int, total: int | None) -> None:
        told.append((what, done, total))

    with (
        patch("drystone.chain.importing.BATCH_BLOCKS", 64),
        opened_chain(tmp_path, REGTEST, reindex=True, progress=progress) as chain,
    ):
        assert chain.height == 100
        assert coins_digest(chain.coins.items()) == digest
    assert told[0] == ("taking in blocks", 64, None)
    assert told[-1] == ("taking in blocks", 100, None)


def test_a_reindexing_that_was_broken_off_goes_on_at_the_next_opening(tmp_path: Path) -> None:
    digest = fill(tmp_path, 100)

    def progress(_what: str, done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        opened_chain(tmp_path, REGTEST, reindex=True, progress=progress),
    ):
        pass
    with opened_chain(tmp_path, REGTEST) as chain:
        assert chain.height == 100
        assert coins_digest(chain.coins.items()) == digest


def test_coins_that_lag_behind_are_brought_up_to_date_and_told(tmp_path: Path) -> None:
    blocks = spending_chain(Branches())
    fill_without_flush(tmp_path, blocks)
    told: list[tuple[str, int, int | None]] = []

    def progress(what: str, done: int, total: int | None) -> None:
        told.append((what, done, total))

    with (
        patch("drystone.chain.chainstate.STEP_BLOCKS", 64),
        opened_chain(tmp_path, REGTEST, progress=progress) as chain,
    ):
        assert (chain.height, chain.tip.hash) == (102, blocks[-1].hash)
        assert len(list(chain.coins.items())) == 102
    assert told == [
        ("bringing the coins up to date", 64, 102),
        ("bringing the coins up to date", 102, 102),
        ("taking in blocks", 0, None),
    ]


def test_stopping_while_coins_are_brought_up_to_date_loses_nothing(tmp_path: Path) -> None:
    blocks = spending_chain(Branches())
    fill_without_flush(tmp_path, blocks)

    def progress(_what: str, _done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), opened_chain(tmp_path, REGTEST, progress=progress):
        pass
    with opened_chain(tmp_path, REGTEST) as chain:
        assert (chain.height, chain.tip.hash) == (102, blocks[-1].hash)
        assert len(list(chain.coins.items())) == 102


def test_what_was_found_amiss_and_mended_is_noted_once(tmp_path: Path) -> None:
    fill(tmp_path)
    damage_end_of_journal(tmp_path)
    notes: list[str] = []
    with opened_chain(tmp_path, REGTEST, note=notes.append) as chain:
        assert chain.height == 30
    (note,) = notes
    assert "dropped the last 4 bytes" in note
    with opened_chain(tmp_path, REGTEST, note=notes.append):
        pass
    assert len(notes) == 1


def test_blocks_that_a_reindexing_leaves_aside_are_noted(tmp_path: Path) -> None:
    fill(tmp_path)
    with opened_chain(tmp_path, REGTEST) as chain:
        tenth = chain.block_bytes(chain.at(10).hash)
    path = tmp_path / "regtest" / "blocks" / "blk00000.dat"
    data = bytearray(path.read_bytes())
    data[data.index(tenth) + 100] ^= 1  # in its coinbase
    path.write_bytes(data)
    notes: list[str] = []
    with opened_chain(tmp_path, REGTEST, reindex=True, note=notes.append) as chain:
        assert chain.height == 9
    assert any("20 blocks are left aside" in note for note in notes), notes


def test_python_looks_less_often_for_garbage_while_a_chain_is_open(tmp_path: Path) -> None:
    before = gc.get_threshold()
    with opened_chain(tmp_path, REGTEST):
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before
    with pytest.raises(ZeroDivisionError), calm_collector():
        raise ZeroDivisionError
    assert gc.get_threshold() == before
