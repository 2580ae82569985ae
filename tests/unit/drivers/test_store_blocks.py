"""Blocks in files: where they lie, what a crash leaves, what a full disk does."""

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.kept import CURE, PARAMS, keep, record_of, steps

from drystone.chain.blockfile import Record, read_records
from drystone.chain.store import StoreError
from drystone.drivers.store.blocks import INDEX_NAME, DiskBlocks, Fsync
from drystone.drivers.store.journal import create_journal
from drystone.primitives.hashes import display


def opened(folder: Path, *, fsync: Fsync = "flush", file_bytes: int = 1 << 20) -> DiskBlocks:
    if not (folder / INDEX_NAME).exists():
        create_journal(folder / INDEX_NAME, PARAMS)
    return DiskBlocks(folder, PARAMS, cure=CURE, fsync=fsync, file_bytes=file_bytes)


@pytest.fixture
def blocks(tmp_path: Path) -> Iterator[DiskBlocks]:
    blocks = opened(tmp_path)
    blocks.load()
    yield blocks
    blocks.close()


def tip_and_unrecorded(blocks: DiskBlocks) -> tuple[object, list[object]]:
    loaded = blocks.load()
    return loaded.tip, [block.hash for block in loaded.unrecorded]


def test_a_data_file_is_framed_as_the_reference_clients(tmp_path: Path, blocks: DiskBlocks) -> None:
    for number, step in enumerate(steps(12)):
        keep(blocks, step, number)
    data = (tmp_path / "blk00000.dat").read_bytes()
    encoded = [step.block.encode() for step in steps(12)]
    assert data == b"".join(
        PARAMS.magic + len(block).to_bytes(4, "little") + block for block in encoded
    )
    records = list(read_records(data, PARAMS.magic))
    assert [record.block for record in records if isinstance(record, Record)] == encoded


def test_a_file_that_is_full_is_followed_by_the_next(tmp_path: Path) -> None:
    for number, step in enumerate(steps(12)):
        blocks = opened(tmp_path, file_bytes=500)
        blocks.load()
        keep(blocks, step, number)
        blocks.close()
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("blk*.dat"))]
    assert len(sizes) > 3 and all(size <= 500 for size in sizes)
    assert len(list(tmp_path.glob("rev*.dat"))) > 1
    blocks = opened(tmp_path, file_bytes=500)
    assert tip_and_unrecorded(blocks) == (steps(12)[-1].block.hash, [])
    for step in steps(12):
        assert blocks.block(step.block.hash) == step.block
        assert blocks.undo(step.block.hash) == step.undo
    blocks.close()


def test_a_block_larger_than_a_file_has_one_of_its_own(tmp_path: Path) -> None:
    blocks = opened(tmp_path, file_bytes=10)
    blocks.load()
    for number, step in enumerate(steps(12)[:3]):
        keep(blocks, step, number)
    blocks.close()
    assert len(list(tmp_path.glob("blk*.dat"))) == 3


def test_blocks_that_were_not_committed_are_found_and_stay_where_they_are(tmp_path: Path) -> None:
    blocks = opened(tmp_path, file_bytes=700)
    blocks.load()
    for number, step in enumerate(steps(12)[:3]):
        keep(blocks, step, number)
    for step in steps(12)[3:9]:
        blocks.add_block(step.block)
        blocks.add_undo(step.block.hash, step.undo)
    blocks.close()
    before = {path.name: path.read_bytes() for path in tmp_path.glob("blk*.dat")}
    assert len(before) > 2
    for _ in range(2):
        blocks = opened(tmp_path, file_bytes=700)
        found = [step.block.hash for step in steps(12)[3:9]]
        assert tip_and_unrecorded(blocks) == (steps(12)[2].block.hash, found)
        blocks.close()
    blocks = opened(tmp_path, file_bytes=700)
    for number, block in enumerate(blocks.load().unrecorded, start=3):
        assert block == steps(12)[number].block
        keep(blocks, steps(12)[number], number)
    blocks.close()
    assert {path.name: path.read_bytes() for path in tmp_path.glob("blk*.dat")} == before
    blocks = opened(tmp_path, file_bytes=700)
    assert tip_and_unrecorded(blocks) == (steps(12)[8].block.hash, [])
    for step in steps(12)[:9]:
        assert blocks.block(step.block.hash) == step.block
        assert blocks.undo(step.block.hash) == step.undo
    blocks.close()


def test_a_block_with_another_witness_does_not_pass_for_the_one_that_was_found(
    tmp_path: Path,
) -> None:
    block = steps(12)[0].block
    coinbase = block.coinbase
    other = replace(coinbase, vin=(replace(coinbase.vin[0], witness=(b"\1" * 32,)),))
    mutated = replace(block, vtx=(other, *block.vtx[1:]))
    assert mutated.hash == block.hash and mutated != block
    blocks = opened(tmp_path)
    blocks.load()
    blocks.add_block(mutated)
    blocks.close()
    blocks = opened(tmp_path)
    assert tip_and_unrecorded(blocks) == (None, [block.hash])
    blocks.add_block(block)
    blocks.commit([])
    blocks.close()
    blocks = opened(tmp_path)
    assert blocks.block(block.hash) == block
    blocks.close()


def test_whatever_is_left_of_a_block_at_the_end_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "blk00000.dat"
    blocks = opened(tmp_path)
    blocks.load()
    keep(blocks, steps(12)[0], 0)
    blocks.close()
    one = path.read_bytes()
    blocks = opened(tmp_path)
    blocks.load()
    keep(blocks, steps(12)[1], 1)
    blocks.close()
    two = path.read_bytes()
    journal = (tmp_path / INDEX_NAME).read_bytes()
    os.truncate(tmp_path / INDEX_NAME, len(journal) - 1)
    for size in range(len(one) + 1, len(two), 7):
        path.write_bytes(two[:size])
        (tmp_path / INDEX_NAME).write_bytes(journal[:-1])
        blocks = opened(tmp_path)
        assert tip_and_unrecorded(blocks) == (steps(12)[0].block.hash, [])
        assert path.read_bytes() == one
        assert any(
            f"dropped {size - len(one)} bytes behind offset" in note for note in blocks.notes
        )
        blocks.close()
    path.write_bytes(two)
    blocks = opened(tmp_path)
    assert tip_and_unrecorded(blocks) == (steps(12)[0].block.hash, [steps(12)[1].block.hash])
    blocks.close()


def test_whole_blocks_behind_garbage_are_found(tmp_path: Path) -> None:
    blocks = opened(tmp_path)
    blocks.load()
    keep(blocks, steps(12)[0], 0)
    blocks.close()
    path = tmp_path / "blk00000.dat"
    frames = [
        PARAMS.magic + len(data).to_bytes(4, "little") + data
        for data in (step.block.encode() for step in steps(12)[1:4])
    ]
    wrong_length = PARAMS.magic + (len(frames[1]) + 20).to_bytes(4, "little")
    with path.open("ab") as file:
        file.write(b"rubbish" + frames[0] + wrong_length + frames[1] + frames[2] + PARAMS.magic)
    blocks = opened(tmp_path)
    assert tip_and_unrecorded(blocks)[1] == [step.block.hash for step in steps(12)[1:4]]
    blocks.close()
    assert path.read_bytes().endswith(frames[2])


@pytest.mark.parametrize("name", ["blk00000.dat", "rev00000.dat"])
def test_files_that_are_shorter_than_their_records_say_are_told(tmp_path: Path, name: str) -> None:
    blocks = opened(tmp_path)
    blocks.load()
    for number, step in enumerate(steps(12)):
        keep(blocks, step, number)
    blocks.close()
    path = tmp_path / name
    size = path.stat().st_size
    for cut in (size - 1, size // 2, 0):
        os.truncate(path, cut)
        with pytest.raises(StoreError, match=f"{name} is cut to {cut} bytes, {size} bytes were"):
            opened(tmp_path)
    path.unlink()
    with pytest.raises(StoreError, match=f"{name} is missing, {size} bytes were"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["blk00000.dat", "rev00000.dat"])
def test_a_flipped_bit_gives_the_right_value_or_the_error(
    tmp_path: Path, blocks: DiskBlocks, name: str
) -> None:
    for number, step in enumerate(steps(12)[:2]):
        keep(blocks, step, number)
    path = tmp_path / name
    whole = path.read_bytes()
    told = 0
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        for step in steps(12)[:2]:
            block_hash = step.block.hash
            line = ""
            try:
                assert blocks.block(block_hash) == step.block
                assert blocks.undo(block_hash) == step.undo
            except StoreError as error:
                line = str(error)
            if line:
                told += 1
                assert display(block_hash) in line and CURE in line and "\n" not in line
    assert told == len(whole) - 2 * 8  # all but the frames, which are for others to read


def test_a_file_that_gets_shorter_while_it_is_open_is_told(
    tmp_path: Path, blocks: DiskBlocks
) -> None:
    keep(blocks, steps(12)[0], 0)
    os.truncate(tmp_path / "blk00000.dat", 100)
    with pytest.raises(StoreError, match=r"is damaged: .*blk00000.dat ends before offset"):
        blocks.block(steps(12)[0].block.hash)


def full_after(monkeypatch: pytest.MonkeyPatch, room: int, *, cut_fails: bool = False) -> None:
    """Let the disk have room for so many bytes more."""
    left = [room]
    pwrite = os.pwrite

    def limited(fd: int, data: bytes, offset: int) -> int:
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = pwrite(fd, bytes(data)[: left[0]], offset)
        left[0] -= written
        return written

    def refuse(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("drystone.drivers.store.files.os.pwrite", limited)
    if cut_fails:
        monkeypatch.setattr("drystone.drivers.store.files.os.ftruncate", refuse)


@pytest.mark.parametrize("cut_fails", [False, True])
def test_wherever_the_disk_is_full_nothing_acknowledged_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cut_fails: bool
) -> None:
    template = tmp_path / "template"
    template.mkdir()
    blocks = opened(template)
    blocks.load()
    keep(blocks, steps(12)[0], 0)
    blocks.close()
    before = {path.name: path.read_bytes() for path in template.iterdir()}
    keep_whole = 0
    room = 0
    while True:
        folder = tmp_path / str(room)
        folder.mkdir()
        for name, data in before.items():
            (folder / name).write_bytes(data)
        blocks = opened(folder)
        blocks.load()
        with monkeypatch.context() as patch:
            full_after(patch, room, cut_fails=cut_fails)
            line = ""
            try:
                keep(blocks, steps(12)[1], 1)
            except StoreError as error:
                line = str(error)
            if line:
                assert "No space left on device: free some space" in line
                with pytest.raises(StoreError, match="No space left"):
                    blocks.commit([record_of(steps(12)[1], 1)])  # it is of no use any more
                with pytest.raises(StoreError, match="No space left"):
                    blocks.sync()
            else:
                keep_whole = room
            blocks.close()
        blocks = opened(folder)
        tip, unrecorded = tip_and_unrecorded(blocks)
        if keep_whole:
            assert tip == steps(12)[1].block.hash
        else:
            assert tip == steps(12)[0].block.hash
            assert unrecorded in ([], [steps(12)[1].block.hash])
            keep(blocks, steps(12)[1], 1)
        for step in steps(12)[:2]:
            assert blocks.block(step.block.hash) == step.block
            assert blocks.undo(step.block.hash) == step.undo
        blocks.close()
        if keep_whole:
            break
        room += 23
    assert keep_whole > 500


def test_always_means_that_data_undo_and_journal_are_on_disk_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = watch_fsync(monkeypatch)
    blocks = opened(tmp_path, fsync="always")
    blocks.load()
    keep(blocks, steps(12)[0], 0)
    assert [name for name in synced if name.endswith(".dat")] == [
        "blk00000.dat",
        "rev00000.dat",
        "index.dat",
    ]
    count = len(synced)
    keep(blocks, steps(12)[1], 1)
    assert synced[count:] == ["blk00000.dat", "rev00000.dat", "index.dat"]
    blocks.close()


def test_flush_means_that_only_sync_and_close_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = opened(tmp_path)
    blocks.load()
    synced = watch_fsync(monkeypatch)
    for number, step in enumerate(steps(12)[:3]):
        keep(blocks, step, number)
    assert synced == []
    blocks.sync()
    assert [name for name in synced if name.endswith(".dat")] == [
        "blk00000.dat",
        "rev00000.dat",
        "index.dat",
    ]
    assert tmp_path.name in synced  # the folder, which has new names
    synced.clear()
    blocks.sync()
    assert synced == []  # nothing to do
    keep(blocks, steps(12)[3], 3)
    blocks.close()
    assert synced == ["blk00000.dat", "rev00000.dat", "index.dat"]


def test_an_interval_means_that_commits_so_far_apart_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("drystone.drivers.store.blocks.time.monotonic", lambda: now[0])
    blocks = opened(tmp_path, fsync=5.0)
    blocks.load()
    synced = watch_fsync(monkeypatch)
    for number, (second, is_synced) in enumerate(
        [(1001, False), (1004.9, False), (1005, True), (1009, False), (1012, True)]
    ):
        now[0] = second
        synced.clear()
        keep(blocks, steps(12)[number], number)
        assert ("index.dat" in synced) is is_synced
    blocks.close()


def watch_fsync(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is synced from now on."""
    synced: list[str] = []
    fsync = os.fsync

    def watched(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        fsync(fd)

    monkeypatch.setattr("drystone.drivers.store.files.os.fsync", watched)
    return synced


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    blocks = opened(tmp_path)
    blocks.load()
    keep(blocks, steps(12)[0], 0)
    blocks.close()
    blocks.close()
    for call in (
        lambda: blocks.block(steps(12)[0].block.hash),
        lambda: blocks.add_block(steps(12)[1].block),
        lambda: blocks.commit([record_of(steps(12)[1], 1)]),
        blocks.sync,
    ):
        with pytest.raises(StoreError, match="is closed: open it again"):
            call()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_more_files_than_may_be_open_are_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drystone.drivers.store.files.MAX_OPEN_FILES", 2)
    blocks = opened(tmp_path, file_bytes=1)
    blocks.load()
    for number, step in enumerate(steps(12)):
        keep(blocks, step, number)
    before = open_files()
    for step in (*steps(12), *steps(12)):
        assert blocks.block(step.block.hash) == step.block
    assert open_files() <= before
    blocks.sync()
    blocks.close()
