"""The journal: what of it counts after a crash, and what is told of damage."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.kept import CURE, PARAMS, record_of, steps

from drystone.chain.store import BlockRecord, StoreError
from drystone.consensus.chains import CHAINS
from drystone.drivers.store.files import Place
from drystone.drivers.store.journal import (
    FORMAT,
    ForeignError,
    Index,
    Journal,
    Mark,
    create_journal,
    encode_block,
    encode_data_place,
    encode_tip,
    encode_undo_place,
)
from drystone.primitives.hashes import BlockHash

HEADER_BYTES = 56
PLACE = Place(3, 2**33, 1000, 2**32 - 1).encode()


def batches() -> list[list[bytes]]:
    """What six commits append."""
    made = []
    for number, step in enumerate(steps(12)[:6]):
        block_hash = step.block.hash
        undo = None if number % 2 else PLACE[::-1]
        made.append([encode_block(record_of(step, number), PLACE, undo), encode_tip(block_hash)])
    made[4] += [encode_data_place(BlockHash(bytes(32)), PLACE)]
    made[5] += [encode_undo_place(BlockHash(bytes(32)), PLACE)]
    return made


def written(path: Path, appended: Sequence[Sequence[bytes]]) -> list[int]:
    """Make a journal there; its size after each batch, the header first."""
    create_journal(path, PARAMS)
    journal = Journal(path, PARAMS, CURE)
    journal.replay()
    sizes = [path.stat().st_size]
    for batch in appended:
        journal.append(batch)
        sizes.append(path.stat().st_size)
    journal.sync()
    journal.close()
    return sizes


def replayed(path: Path, mark: Mark | None = None) -> tuple[Index, list[str]]:
    journal = Journal(path, PARAMS, CURE)
    try:
        return journal.replay(mark), journal.notes
    finally:
        journal.close()


def known(index: Index) -> tuple[list[BlockRecord], object, object, object]:
    return list(index.records.values()), index.data, index.undo, index.tip


def test_what_was_appended_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "index.dat"
    written(path, batches())
    index, notes = replayed(path)
    hashes = [step.block.hash for step in steps(12)[:6]]
    assert list(index.records.values()) == [record_of(s, n) for n, s in enumerate(steps(12)[:6])]
    assert index.data == dict.fromkeys([*hashes, bytes(32)], PLACE)
    assert index.undo == dict.fromkeys(hashes[::2], PLACE[::-1]) | {BlockHash(bytes(32)): PLACE}
    assert index.tip == hashes[-1]
    assert notes == []


def test_cut_at_any_byte_of_the_last_batch_the_batches_before_it_count(tmp_path: Path) -> None:
    path = tmp_path / "index.dat"
    sizes = written(path, batches())
    whole = path.read_bytes()
    path.write_bytes(whole[: sizes[-2]])
    before = known(replayed(path)[0])
    for size in range(sizes[-2] + 1, sizes[-1]):
        path.write_bytes(whole[:size])
        index, notes = replayed(path)
        assert known(index) == before
        assert len(notes) == 1 and f"dropped the last {size - sizes[-2]} bytes" in notes[0]
        assert path.stat().st_size == sizes[-2]  # so it is told once


def test_after_a_torn_batch_others_are_appended_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "index.dat"
    written(path, batches())
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    journal = Journal(path, PARAMS, CURE)
    journal.replay()
    journal.append(batches()[-1])
    journal.close()
    assert path.read_bytes() == whole


def test_any_flipped_bit_is_told(tmp_path: Path) -> None:
    path = tmp_path / "index.dat"
    written(path, batches()[:3])
    whole = path.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        with pytest.raises(StoreError) as told:
            replayed(path)
        assert str(path) in str(told.value) and CURE in str(told.value)
        assert "\n" not in str(told.value)
        assert path.read_bytes() == damaged


def test_a_batch_that_is_missing_from_the_middle_or_there_twice_is_told(tmp_path: Path) -> None:
    path = tmp_path / "index.dat"
    sizes = written(path, batches())
    whole = path.read_bytes()
    second = whole[sizes[1] : sizes[2]]
    for damaged in (
        whole[: sizes[1]] + whole[sizes[2] :],
        whole[: sizes[2]] + second + whole[sizes[2] :],
        whole[: sizes[2]] + b"\0" * 100 + whole[sizes[2] :],
        whole + b"\0" * 12,
        whole + second,
    ):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged at offset"):
            replayed(path)


@pytest.mark.parametrize("size", [0, 1, HEADER_BYTES - 1])
def test_a_journal_without_a_whole_header_is_told(tmp_path: Path, size: int) -> None:
    path = tmp_path / "index.dat"
    written(path, batches())
    os.truncate(path, size)
    with pytest.raises(StoreError, match=f"cut to {size} bytes; rebuild it: {CURE}"):
        replayed(path)


def test_a_newer_format_another_chain_and_an_unknown_record_are_told(tmp_path: Path) -> None:
    path = tmp_path / "index.dat"
    create_journal(path, CHAINS["testnet4"])
    with pytest.raises(ForeignError, match=r"another chain than regtest .magic 1c163f28"):
        replayed(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drystone.drivers.store.journal.FORMAT", FORMAT + 1)
        create_journal(path, PARAMS)
    with pytest.raises(StoreError, match=f"newer drystone .format {FORMAT + 1}; this one knows"):
        replayed(path)
    sizes = written(path, [*batches(), [b"X something else"]])
    with pytest.raises(
        StoreError, match=f"unknown kind at offset {sizes[-2] + 12}, perhaps a newer"
    ):
        replayed(path)
    for strange in (batches()[0][0][:-50], b"T123", b"D123", batches()[0][0][:81] + b"\7" * 50):
        written(path, [[strange]])
        with pytest.raises(StoreError, match="record of unknown kind"):
            replayed(path)


def test_a_journal_that_ends_before_its_mark_is_told(tmp_path: Path) -> None:
    path = tmp_path / "index.dat"
    sizes = written(path, batches())
    journal = Journal(path, PARAMS, CURE)
    journal.replay()
    mark = journal.mark
    journal.close()
    whole = path.read_bytes()
    assert known(replayed(path, mark)[0]) == known(replayed(path)[0])
    for size in (*sizes[:-1], sizes[-1] - 1, sizes[2] + 5):
        path.write_bytes(whole[:size])
        with pytest.raises(StoreError, match=rf"ends at \d+ bytes of {sizes[-1]}: records were"):
            replayed(path, mark)
        assert path.stat().st_size == size


def test_a_journal_that_is_another_one_up_to_its_mark_is_told(tmp_path: Path) -> None:
    path = tmp_path / "index.dat"
    written(path, [*batches()[:2], *batches()[3:]])
    journal = Journal(path, PARAMS, CURE)
    journal.replay()
    mark = journal.mark
    journal.close()
    written(path, batches())
    with pytest.raises(StoreError, match="not what it was when the coins were written"):
        replayed(path, mark)
    with pytest.raises(StoreError, match="older than the coins"):
        replayed(path, mark._replace(generation=1))


def test_a_worn_journal_is_replaced_by_a_short_one_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "index.dat"
    written(path, batches())
    before = known(replayed(path)[0])
    journal = Journal(path, PARAMS, CURE)
    journal.replay()
    old_mark = journal.mark
    for _ in range(400):
        journal.append(batches()[-1])
    long = path.stat().st_size
    journal.close(compact=True)
    assert path.stat().st_size < long // 50
    assert [entry.name for entry in tmp_path.iterdir()] == ["index.dat"]
    index, notes = replayed(path, old_mark)  # of the generation before: nothing to compare
    assert known(index) == before and notes == []
    journal = Journal(path, PARAMS, CURE)
    journal.replay()
    assert journal.mark.generation == 1
    journal.append(batches()[-1])
    journal.close(compact=True)
    assert known(replayed(path)[0]) == before


def test_a_journal_of_many_records_is_left_as_it_is_if_they_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "index.dat"
    create_journal(path, PARAMS)
    journal = Journal(path, PARAMS, CURE)
    journal.replay()
    for number in range(1100):
        header = steps(12)[0].block.header
        other = type(header)(4, header.prev_hash, bytes(32), 0, 0, number)
        record = record_of(steps(12)[0], number)._replace(header=other)
        journal.append([encode_block(record, PLACE, PLACE), encode_tip(other.hash)])
    size = path.stat().st_size
    journal.close(compact=True)
    assert path.stat().st_size == size


def test_if_the_disk_is_full_a_worn_journal_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index.dat"
    written(path, batches() + [batches()[-1]] * 700)
    whole = path.read_bytes()
    journal = Journal(path, PARAMS, CURE)
    journal.replay()

    def full(fd: int, data: bytes, offset: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drystone.drivers.store.files.write_all", full)
    journal.close(compact=True)
    assert path.read_bytes() == whole
    assert [entry.name for entry in tmp_path.iterdir()] == ["index.dat"]
