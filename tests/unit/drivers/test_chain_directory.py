"""A chain's directory: who may open it, what is refused, copying, reindexing."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.kept import (
    NOW,
    PARAMS,
    coins_after,
    copied,
    everything,
    keep,
    make_directory,
    steps,
    write_coins,
)

from drystone.chain.chainstate import ChainState
from drystone.chain.importing import take_in_unrecorded
from drystone.chain.store import StoreError
from drystone.consensus.chains import CHAINS, REGTEST
from drystone.drivers.store.blocks import REINDEXING_NAME
from drystone.drivers.store.directory import ChainDirectory, chain_folder

ROOT = Path(__file__).parents[3]


def refusal(datadir: Path, **options: bool) -> str:
    """The one line that says why a directory can't be opened."""
    with pytest.raises(StoreError) as told:
        ChainDirectory.open(datadir, PARAMS, **options)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_a_chain_has_its_own_folder_and_the_main_network_none(tmp_path: Path) -> None:
    make_directory(tmp_path)
    folders = {path.name for path in (tmp_path / "regtest").iterdir() if path.is_dir()}
    assert folders == {"blocks", "chainstate", "indexes"}
    assert chain_folder(tmp_path, CHAINS["signet"]) == tmp_path / "signet"
    assert chain_folder(tmp_path, CHAINS["mainnet"]) == tmp_path
    with ChainDirectory.open(tmp_path / "main", CHAINS["mainnet"]) as directory:
        assert directory.folder == tmp_path / "main"
        assert (tmp_path / "main" / "blocks" / "index.dat").exists()


def test_a_copy_of_the_three_folders_is_a_good_directory(tmp_path: Path) -> None:
    make_directory(tmp_path / "one")
    target = tmp_path / "elsewhere" / "two" / "regtest"
    for name in ("blocks", "chainstate", "indexes"):
        shutil.copytree(tmp_path / "one" / "regtest" / name, target / name)
    shutil.rmtree(tmp_path / "one")
    with ChainDirectory.open(tmp_path / "elsewhere" / "two", PARAMS, create=False) as directory:
        kept = everything(directory)
        assert directory.notes == []
    assert [record.header for record in kept.records] == [s.block.header for s in steps(12)]
    assert kept.coins == coins_after(12)
    assert kept.tip == kept.coins_tip == steps(12)[-1].block.hash


def test_nothing_inside_says_where_it_is(tmp_path: Path) -> None:
    make_directory(tmp_path)
    for path in (tmp_path / "regtest").rglob("*"):
        if path.is_file():
            assert os.fsencode(tmp_path) not in path.read_bytes()


def test_two_processes_cannot_open_the_same_directory(tmp_path: Path) -> None:
    make_directory(tmp_path)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from drystone.consensus.chains import REGTEST\n"
        "from drystone.drivers.store.directory import ChainDirectory\n"
        "directory = ChainDirectory.open(Path(sys.argv[1]), REGTEST)\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        assert f"regtest is in use by process {holder.pid}: end that one" in refusal(tmp_path)
        assert f"in use by process {holder.pid}" in refusal(tmp_path, reindex=True)
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=60)
        ChainDirectory.open(tmp_path, PARAMS).close()  # a dead process holds nothing
    finally:
        holder.kill()
        holder.communicate()


def test_the_same_process_cannot_open_it_twice_but_again_once_it_is_closed(tmp_path: Path) -> None:
    with ChainDirectory.open(tmp_path, PARAMS):
        assert f"in use by process {os.getpid()}" in refusal(tmp_path)
    with ChainDirectory.open(tmp_path, PARAMS) as directory:
        directory.close()
        ChainDirectory.open(tmp_path, PARAMS).close()


def test_a_refused_directory_is_not_left_locked(tmp_path: Path) -> None:
    make_directory(tmp_path)
    index = tmp_path / "regtest" / "blocks" / "index.dat"
    whole = index.read_bytes()
    index.write_bytes(b"x" + whole[1:])
    for _ in range(2):
        assert "header is damaged" in refusal(tmp_path)
    index.write_bytes(whole)
    ChainDirectory.open(tmp_path, PARAMS).close()


# What can't be opened, and why.


def test_a_directory_that_is_not_there_is_only_made_when_asked(tmp_path: Path) -> None:
    assert "there is no chain in" in refusal(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()
    ChainDirectory.open(tmp_path / "some" / "where", PARAMS).close()
    ChainDirectory.open(tmp_path / "some" / "where", PARAMS, create=False).close()


def test_a_file_in_place_of_a_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "choose a --datadir that is a directory" in refusal(tmp_path / "file")
    assert "choose a --datadir that is a directory" in refusal(tmp_path / "file" / "below")
    (tmp_path / "regtest").write_text("")
    assert "choose a --datadir that is a directory" in refusal(tmp_path)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, if we have them."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_missing_permissions_are_told(tmp_path: Path) -> None:
    make_directory(tmp_path)
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == tmp_path.owner() and path != Path(path.anchor):
            path.chmod(path.stat().st_mode | 0o055)
        if path.name.startswith("pytest-of-"):
            break
    locked = tmp_path / "regtest"
    for path in (locked, locked / "blocks", locked / "chainstate", locked / "blocks/index.dat"):
        mode = path.stat().st_mode
        path.chmod(0)
        with as_nobody():
            line = refusal(tmp_path)
        path.chmod(mode)
        assert "Permission denied: choose another --datadir, or change its permissions" in line
    with as_nobody():
        line = refusal(tmp_path / "regtest" / "new")
    assert "Permission denied" in line


def test_a_disk_that_cannot_be_written_to_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_directory(tmp_path)

    def read_only(path: object, flags: int, mode: int = 0o777) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("drystone.drivers.store.directory.os.open", read_only)
    assert "Read-only file system: choose a --datadir that can be written to" in refusal(tmp_path)


def test_the_directory_of_another_chain_is_told_and_left_alone(tmp_path: Path) -> None:
    with ChainDirectory.open(tmp_path, CHAINS["testnet4"]):
        pass
    (tmp_path / "testnet4").rename(tmp_path / "regtest")
    before = {p: p.read_bytes() for p in (tmp_path / "regtest").rglob("*.dat")}
    assert "belongs to another chain than regtest" in refusal(tmp_path)
    assert "belongs to another chain than regtest" in refusal(tmp_path, reindex=True)
    assert {p: p.read_bytes() for p in (tmp_path / "regtest").rglob("*.dat")} == before


def test_coins_of_another_chain_or_a_newer_format_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_directory(tmp_path / "ours")
    with ChainDirectory.open(tmp_path / "other", CHAINS["testnet4"]):
        pass
    coins = tmp_path / "ours" / "regtest" / "chainstate"
    own = copied(coins, tmp_path / "own")
    copied(tmp_path / "other" / "testnet4" / "chainstate", coins)
    assert "chainstate belongs to another chain than regtest" in refusal(tmp_path / "ours")
    copied(own, coins)
    monkeypatch.setattr("drystone.drivers.store.coins.FORMAT", 0)
    assert "newer drystone (format 1; this one knows 0): use that one" in refusal(tmp_path / "ours")


@pytest.mark.parametrize("strange", ["blocks/index", "blocks/xor.dat", "chainstate"])
def test_a_directory_of_the_reference_clients_is_left_alone(tmp_path: Path, strange: str) -> None:
    path = tmp_path / "regtest" / strange
    path.mkdir(parents=True)
    (path / "CURRENT").write_text("MANIFEST-000001\n")
    for options in ({}, {"reindex": True}):
        assert "is not drystone's: choose another --datadir" in refusal(tmp_path, **options)
    assert (path / "CURRENT").exists()


@pytest.mark.parametrize("missing", ["blocks/index.dat", "chainstate", "blocks/blk00000.dat"])
def test_what_is_missing_is_told_and_never_made_anew(tmp_path: Path, missing: str) -> None:
    make_directory(tmp_path)
    path = tmp_path / "regtest" / missing
    target = tmp_path / "aside"
    path.rename(target)
    for _ in range(2):
        line = refusal(tmp_path)
        assert path.name in line and "is missing" in line
        assert line.endswith(f"drystone chain reindex --chain regtest --datadir {tmp_path}")
    assert not path.exists()
    target.rename(path)
    with ChainDirectory.open(tmp_path, PARAMS) as directory:
        assert everything(directory).coins == coins_after(12)


def test_a_process_that_died_while_it_made_a_directory_leaves_a_good_one(tmp_path: Path) -> None:
    """Whatever of it is there: the journal comes first, then the coins, whole."""
    make_directory(tmp_path / "whole", count=0)
    ChainDirectory.open(tmp_path / "new", PARAMS).close()
    folder = tmp_path / "new" / "regtest"
    (folder / "chainstate").rename(folder / "chainstate.new")
    (folder / "chainstate.new" / "drystone").unlink()
    with ChainDirectory.open(tmp_path / "new", PARAMS) as directory:
        assert everything(directory).tip is None
    assert not (folder / "chainstate.new").exists()
    (folder / "blocks" / "index.dat").rename(folder / "blocks" / "index.dat.new")
    shutil.rmtree(folder / "chainstate")
    with ChainDirectory.open(tmp_path / "new", PARAMS) as directory:
        keep(directory.blocks, steps(12)[0], 1)


# Coins and journal fit together.


def test_a_journal_that_was_cut_is_told_even_between_two_batches(tmp_path: Path) -> None:
    make_directory(tmp_path / "eight", 8)
    make_directory(tmp_path / "twelve", 12)
    name = "regtest/blocks/index.dat"
    shorter = (tmp_path / "eight" / name).read_bytes()
    whole = (tmp_path / "twelve" / name).read_bytes()
    assert whole.startswith(shorter)
    (tmp_path / "twelve" / name).write_bytes(shorter)
    line = refusal(tmp_path / "twelve")
    assert f"index.dat: ends at {len(shorter)} bytes of {len(whole)}: records were lost" in line


def test_coins_are_written_only_once_the_blocks_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChainDirectory.open(tmp_path, PARAMS) as directory:
        directory.blocks.load()
        for number, step in enumerate(steps(12)[:4]):
            keep(directory.blocks, step, number)
        synced: list[int] = []
        monkeypatch.setattr(directory.blocks, "sync", lambda: synced.append(1))
        write_coins(directory.coins, steps(12)[:4])
        assert synced == [1]


# Reindexing.


def reindexed(datadir: Path, *, blocks: int | None = None) -> ChainState:
    """A chain that has taken in so many of the blocks that its store found; all, if None."""
    directory = ChainDirectory.open(datadir, PARAMS, reindex=blocks is None)
    chain = ChainState(PARAMS, directory.blocks, directory.coins)
    if blocks is None:
        for _ in take_in_unrecorded(chain, now=NOW):
            pass
    else:
        for _, block in zip(range(blocks), chain.unrecorded, strict=False):
            chain.submit(block, now=NOW)
    return chain


def test_reindexing_rebuilds_all_but_the_blocks_from_the_blocks(tmp_path: Path) -> None:
    make_directory(tmp_path)
    folder = tmp_path / "regtest"
    data = (folder / "blocks" / "blk00000.dat").read_bytes()
    (folder / "blocks" / "index.dat").unlink()
    (folder / "blocks" / "rev00000.dat").unlink()
    shutil.rmtree(folder / "chainstate")
    directory = ChainDirectory.open(tmp_path, PARAMS, reindex=True)
    chain = ChainState(PARAMS, directory.blocks, directory.coins)
    reports = list(take_in_unrecorded(chain, now=NOW))
    assert reports[-1].new == 12 and chain.height == 12
    assert dict(chain.coins.items()) == coins_after(12)
    chain.close()
    directory.close()
    assert not (folder / "blocks" / REINDEXING_NAME).exists()
    # In place: only genesis was new, and was put behind them.
    assert (folder / "blocks" / "blk00000.dat").read_bytes().startswith(data)
    with ChainDirectory.open(tmp_path, PARAMS) as directory:
        kept = everything(directory)
        assert directory.notes == []
    assert (len(kept.records), kept.unrecorded) == (13, ())
    assert kept.tip == kept.coins_tip == steps(12)[-1].block.hash
    assert kept.coins == coins_after(12)


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("read", [0, 1, 7, 11])
def test_a_reindexing_that_was_broken_off_begins_again(
    tmp_path: Path, read: int, *, flushed: bool
) -> None:
    make_directory(tmp_path)
    directory = ChainDirectory.open(tmp_path, PARAMS, reindex=True)
    chain = ChainState(PARAMS, directory.blocks, directory.coins)
    unrecorded = iter(chain.unrecorded)
    for _ in range(read):
        chain.submit(next(unrecorded), now=NOW)
    if flushed:
        chain.flush()
    copied(tmp_path / "regtest", tmp_path / "killed" / "regtest")
    chain.close()
    directory.close()
    for datadir in (tmp_path / "killed", tmp_path):  # the one was killed, the other ended in time
        assert (datadir / "regtest" / "blocks" / REINDEXING_NAME).exists()
        with ChainDirectory.open(datadir, PARAMS) as directory:
            chain = ChainState(PARAMS, directory.blocks, directory.coins)
            for _ in take_in_unrecorded(chain, now=NOW):
                pass
            assert chain.tip.hash == steps(12)[-1].block.hash
            assert dict(chain.coins.items()) == coins_after(12)
            chain.close()
        assert not (datadir / "regtest" / "blocks" / REINDEXING_NAME).exists()


def test_reindexing_takes_blocks_in_any_order_and_passes_over_what_is_none(tmp_path: Path) -> None:
    make_directory(tmp_path)
    path = tmp_path / "regtest" / "blocks" / "blk00000.dat"
    frames = [
        PARAMS.magic + len(data).to_bytes(4, "little") + data
        for data in (step.block.encode() for step in steps(12))
    ]
    middle = frames[6:]
    path.write_bytes(b"".join([*reversed(frames[:6]), bytes(1000), b"rubbish"]))
    path.with_name("blk00001.dat").write_bytes(b"".join([*middle, frames[3], bytes(5000)]))
    directory = ChainDirectory.open(tmp_path, PARAMS, reindex=True)
    chain = ChainState(PARAMS, directory.blocks, directory.coins)
    reports = list(take_in_unrecorded(chain, now=NOW))
    assert chain.tip.hash == steps(12)[-1].block.hash
    assert reports[-1].new == 12
    chain.close()
    directory.close()
    with ChainDirectory.open(tmp_path, PARAMS) as directory:
        kept = everything(directory)
    assert kept.coins == coins_after(12) and kept.unrecorded == ()
    assert kept.blocks[steps(12)[3].block.hash] == steps(12)[3].block.encode()


# A full disk.

IMPORT = """
import resource, sys
from pathlib import Path
from tests.support.kept import NOW, PARAMS, steps
from drystone.chain.chainstate import ChainState
from drystone.chain.store import StoreError
from drystone.drivers.store.directory import ChainDirectory
blocks = [step.block for step in steps(12)]
when, limit = sys.argv[2], int(sys.argv[3])
def begin(now):
    if now == when:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
begin("before")
try:
    directory = ChainDirectory.open(Path(sys.argv[1]), PARAMS)
    try:
        chain = ChainState(PARAMS, directory.blocks, directory.coins, flush_blocks=1)
        print(chain.tip.hash.hex(), flush=True)
        begin("after")
        try:
            for block in blocks:
                submission = chain.submit(block, now=NOW)
                assert submission.error is None, submission.error
                print(chain.tip.hash.hex(), flush=True)
        finally:
            chain.close()
    finally:
        directory.close()
except StoreError as error:
    sys.exit(f"refused: {error}")
"""


def imported(datadir: Path, when: str, limit_bytes: int) -> tuple[int, list[str], str]:
    """Import with files that may not grow beyond a limit, from before or after the opening on.

    Status, tips told, what went wrong.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT, str(datadir), when, str(limit_bytes)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.split(), done.stderr


def check_after_full_disk(datadir: Path, told: list[str]) -> None:
    """The tip is the last one told, or the one after it, and the coins are its."""
    with ChainDirectory.open(datadir, PARAMS) as directory:
        chain = ChainState(PARAMS, directory.blocks, directory.coins)
        hashes = [REGTEST.genesis.hash.hex(), *(step.block.hash.hex() for step in steps(12))]
        assert hashes[: len(told)] == told
        assert len(told) - 1 <= chain.height <= len(told)
        assert dict(chain.coins.items()) == coins_after(chain.height)
        for step in steps(12)[chain.height :]:
            assert chain.submit(step.block, now=NOW).error is None
        assert dict(chain.coins.items()) == coins_after(12)
        chain.close()


@pytest.mark.parametrize(
    ("when", "limit"),
    [
        *(("before", limit) for limit in (10, 60, 300, 8000, 16000)),
        *(("after", limit) for limit in (300, 700, 1000, 1150, 1500, 2000, 2500, 3000, 3500, 4500)),
    ],
)
def test_wherever_files_may_not_grow_nothing_acknowledged_is_lost(
    tmp_path: Path, when: str, limit: int
) -> None:
    status, told, error = imported(tmp_path, when, limit)
    if status == 0:
        assert len(told) == 13
    else:
        assert status == 1 and error.startswith("refused: can't "), error
        assert error.count("\n") == 1
        assert "nothing acknowledged is lost" in error
    check_after_full_disk(tmp_path, told)


def test_a_small_disk_that_is_full_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Where a file system of our own can be mounted; the test above runs everywhere."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        return
    try:
        filler = disk / "filler"
        for room in (4096, 8192, 16384, 32768, 49152, 65536):
            with filler.open("wb") as file:
                free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
                file.write(bytes(max(0, free - room)))
            status, told, error = imported(disk / "data", "never", 0)
            if status != 0:
                assert error.startswith("refused: can't ") and error.count("\n") == 1, error
                assert "No space left on device" in error
            filler.unlink()
            check_after_full_disk(disk / "data", told)
            shutil.rmtree(disk / "data")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
