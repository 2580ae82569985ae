"""Every file of a directory, damaged in many places: the right values or one line, never others.

Also never a signal or a hang: this process is the one that reads.
"""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import pytest
from tests.support.kept import (
    PARAMS,
    Kept,
    coins_after,
    copied,
    everything,
    keep,
    make_directory,
    steps,
    write_coins,
)

from drystone.chain.store import StoreError
from drystone.drivers.store.directory import ChainDirectory

FLUSH_EVERY = 4
FILES = ("blocks/", "chainstate/")  # all that is in these
IDLE = {"LOCK", "LOG", "IDENTITY", "rocksdict-config.json"}  # of the engine's, which nobody reads


def closed(datadir: Path) -> Path:
    """A directory that was closed."""
    make_directory(datadir, 12, flush_every=FLUSH_EVERY)
    return datadir


def killed(datadir: Path) -> Path:
    """One as a killed process leaves it: the last coins written after 8 of 12 blocks."""
    with ChainDirectory.open(datadir.with_name("running"), PARAMS) as directory:
        directory.blocks.load()
        for number, step in enumerate(steps(12), start=1):
            keep(directory.blocks, step, number)
            if number in (4, 8):
                write_coins(directory.coins, steps(12)[number - 4 : number])
        shutil.copytree(datadir.with_name("running"), datadir)
    return datadir


@pytest.fixture(scope="module", params=[closed, killed])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make: Callable[[Path], Path] = request.param
    return make(tmp_path_factory.mktemp("whole") / "data")


def files_in(datadir: Path) -> list[Path]:
    """All of a directory's files, below it."""
    folder = datadir / "regtest"
    return sorted(
        path.relative_to(datadir)
        for part in FILES
        for path in (folder / part).rglob("*")
        if path.is_file() and path.name not in IDLE and not path.name.startswith("LOG")
    )


@cache
def tips() -> dict[bytes | None, int]:
    """Heights by tip."""
    return {None: 0, **{step.block.hash: n for n, step in enumerate(steps(12), start=1)}}


def outcome(datadir: Path) -> str:
    """Read all that is there: what is told, or "right", or "older" if it is right so far."""
    try:
        with ChainDirectory.open(datadir, PARAMS, create=False) as directory:
            kept = everything(directory)
    except StoreError as error:
        line = str(error)
        assert "\n" not in line and str(datadir) in line, line
        return line
    return judged(kept)


def judged(kept: Kept) -> str:
    height, coins_height = tips()[kept.tip], tips()[kept.coins_tip]
    assert kept.coins == coins_after(coins_height)  # never a mixture
    assert coins_height <= height
    assert [record.header for record in kept.records] == [
        step.block.header for step in steps(12)[:height]
    ]
    # What lost its record is found again.
    assert list(kept.unrecorded) == [step.block.hash for step in steps(12)[height:]]
    for step in steps(12)[:height]:
        assert kept.blocks[step.block.hash] == step.block.encode()
        assert kept.undo[step.block.hash] == step.undo
    return "right" if height == 12 else "older"


def damage(whole: Path, scratch: Path, name: Path, mend: Callable[[bytes], bytes | None]) -> str:
    """The outcome with one file changed; None removes it."""
    copied(whole / "regtest", scratch / "regtest")
    path = scratch / name
    data = mend(path.read_bytes())
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    return outcome(scratch)


def positions(size: int, count: int, seed: int) -> Iterator[int]:
    """The first and last bytes, and some between them."""
    if size <= count:
        yield from range(size)
        return
    ends = count // 4
    yield from range(ends)
    yield from sorted(random.Random(seed).sample(range(ends, size - ends), count - 2 * ends))
    yield from range(size - ends, size)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def cut(data: bytes, size: int) -> bytes:
    return data[:size]


def extended(data: bytes, more: bytes) -> bytes:
    return data + more


def test_flipped_bits(whole: Path, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for name in files_in(whole):
        for at in positions((whole / name).stat().st_size, 40, seed=at_seed(name)):
            said = damage(whole, tmp_path, name, partial(flipped, at=at))
            seen[said if said in ("right", "older") else "told"] += 1
            assert said != "older" or name.parent.name == "chainstate", (name, at)
    assert seen["told"] > 100
    assert seen["right"] > 0  # in frames and padding, which nobody reads


def test_cut_files(whole: Path, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for name in files_in(whole):
        for size in positions((whole / name).stat().st_size, 40, seed=at_seed(name)):
            said = damage(whole, tmp_path, name, partial(cut, size=size))
            seen[said if said in ("right", "older") else "told"] += 1
    assert seen["told"] > 100


def test_missing_files(whole: Path, tmp_path: Path) -> None:
    for name in files_in(whole):
        said = damage(whole, tmp_path, name, lambda _: None)
        if name.name.startswith(("OPTIONS-", "0000")) and name.suffix != ".sst":
            assert said == "right", name
        else:
            assert said not in ("right", "older"), name


def test_files_that_are_longer_than_they_were(whole: Path, tmp_path: Path) -> None:
    for name in files_in(whole):
        for more in (b"\0", b"\0" * 100, b"rubbish", os.urandom(5000)):
            damage(whole, tmp_path, name, partial(extended, more=more))


def test_files_of_zeros(whole: Path, tmp_path: Path) -> None:
    for name in files_in(whole):
        said = damage(whole, tmp_path, name, lambda data: bytes(len(data)))
        if name.suffix in (".dat", ".sst") and (whole / name).stat().st_size:
            assert said not in ("right", "older"), name


def test_coins_older_than_the_blocks_are_whole(tmp_path: Path) -> None:
    """The coins' folder of yesterday beside the blocks of today: they only lag."""
    make_directory(tmp_path / "old", 4)
    make_directory(tmp_path / "new", 12)
    copied(tmp_path / "old" / "regtest" / "chainstate", tmp_path / "new" / "regtest" / "chainstate")
    assert outcome(tmp_path / "new") == "right"


def test_blocks_older_than_the_coins_are_told(tmp_path: Path) -> None:
    make_directory(tmp_path / "old", 4)
    make_directory(tmp_path / "new", 12)
    copied(tmp_path / "old" / "regtest" / "blocks", tmp_path / "new" / "regtest" / "blocks")
    assert "records were lost" in outcome(tmp_path / "new")


def at_seed(name: Path) -> int:
    return sum(os.fsencode(name))
