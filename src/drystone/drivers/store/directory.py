"""A chain's directory: who may open it, what is in it, and whether that fits together.

```
DIR/regtest/lock         held by the process that has it open
DIR/regtest/blocks/      blocks, undo data, the journal
DIR/regtest/chainstate/  the coins
DIR/regtest/indexes/     for indexes that can be made again
```

The main network uses DIR itself. A copy of the three folders of a directory that nobody has open is
as good as they are: nothing inside says where they are or whose they were.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from drystone.chain.store import StoreError
from drystone.consensus.params import Params
from drystone.drivers.store.blocks import INDEX_NAME, REINDEXING_NAME, DiskBlocks, Fsync
from drystone.drivers.store.coins import FORMAT_NAME, DiskCoins, create_coins, read_format
from drystone.drivers.store.files import replace_file, sync_folder, told
from drystone.drivers.store.journal import ForeignError, create_journal, read_header

MAIN_NETWORK: Final = "mainnet"


class ChainDirectory:
    """What a chain keeps on disk, open for this process alone. Made by `open`.

    notes: what was found amiss and mended, a sentence each.
    """

    def __init__(self, folder: Path, lock: "Lock", blocks: DiskBlocks, coins: DiskCoins) -> None:
        self.folder = folder
        self.blocks = blocks
        self.coins = coins
        self._lock = lock

    @classmethod
    def open(
        cls,
        datadir: Path,
        params: Params,
        *,
        create: bool = True,
        reindex: bool = False,
        fsync: Fsync = "flush",
    ) -> Self:
        """Open it, and lock it until it is closed.

        create: make what isn't there. reindex: forget all but the blocks themselves; the store
        then finds them again, every one unrecorded. fsync: at each flush of the coins, at each
        commit ("always"), or at commits so many seconds apart. Raises StoreError.
        """
        folder = chain_folder(datadir, params)
        _make_folders(datadir, folder, create=create or reindex)
        lock = Lock(folder / "lock")
        try:
            blocks, coins = _open_stores(datadir, folder, params, reindex=reindex, fsync=fsync)
        except BaseException:
            lock.release()
            raise
        return cls(folder, lock, blocks, coins)

    @property
    def notes(self) -> list[str]:
        """What was found amiss and mended."""
        return self.blocks.notes

    def close(self) -> None:
        """Sync, close and unlock. Closing twice is fine."""
        try:
            try:
                self.coins.close()
            finally:
                self.blocks.close()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def chain_folder(datadir: Path, params: Params) -> Path:
    """Where in a data directory a chain lies."""
    return datadir if params.name == MAIN_NETWORK else datadir / params.name


class Lock:
    """A file that one process can have at a time; the system lets go of it when that dies."""

    def __init__(self, path: Path) -> None:
        with told("open", path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
            except BlockingIOError:
                holder = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip()
                self.release()
                raise StoreError(
                    f"{path.parent} is in use by process {holder or 'unknown'}: end that one, or "
                    "choose another --datadir"
                ) from None
            except OSError:
                self.release()
                raise

    def release(self) -> None:
        """Let others have it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _make_folders(datadir: Path, folder: Path, *, create: bool) -> None:
    with told("open", folder):
        blocks = folder / "blocks"
        if not create and not any(
            (blocks / name).exists() for name in (INDEX_NAME, REINDEXING_NAME, "blk00000.dat")
        ):
            raise StoreError(
                f"there is no chain in {folder}: choose another --datadir, or begin one with "
                "drystone mine or drystone chain import"
            )
    for path in (datadir, folder, blocks, folder / "indexes"):
        with told("make", path):
            path.mkdir(parents=path is datadir, exist_ok=True)


def _open_stores(
    datadir: Path, folder: Path, params: Params, *, reindex: bool, fsync: Fsync
) -> tuple[DiskBlocks, DiskCoins]:
    blocks_folder, coins_folder = folder / "blocks", folder / "chainstate"
    cure = f"drystone chain reindex --chain {params.name} --datadir {datadir}"
    with told("open", folder):
        _refuse_strangers(blocks_folder, coins_folder)
        reindex = reindex or (blocks_folder / REINDEXING_NAME).exists()
        if reindex:
            _forget(blocks_folder, coins_folder, params, cure)
        if not (blocks_folder / INDEX_NAME).exists():
            if not reindex:
                _refuse_remains(blocks_folder, coins_folder, cure)
            create_journal(blocks_folder / INDEX_NAME, params)
        has_coins = coins_folder.exists()
    coins = DiskCoins(coins_folder, params, cure=cure) if has_coins else None
    try:
        blocks = DiskBlocks(
            blocks_folder,
            params,
            cure=cure,
            fsync=fsync,
            mark=coins.mark if coins else None,
            rescan=reindex,
        )
        try:
            if coins is None:
                if blocks.tip is not None:
                    raise StoreError(
                        f"{coins_folder} is missing: put it back, or rebuild it: {cure}"
                    )
                create_coins(coins_folder, params)
                coins = DiskCoins(coins_folder, params, cure=cure)
            coins.checkpoint = blocks.checkpoint
        except BaseException:
            blocks.close()
            raise
    except BaseException:
        if coins is not None:
            coins.close()
        raise
    return blocks, coins


def _refuse_strangers(blocks: Path, coins: Path) -> None:
    """Leave alone what the reference client has made, above all when asked to rebuild it."""
    for path, is_strange in (
        (blocks / "index", (blocks / "index").exists()),
        (blocks / "xor.dat", (blocks / "xor.dat").exists()),
        (coins, coins.exists() and not (coins / FORMAT_NAME).exists()),
    ):
        if is_strange:
            raise StoreError(
                f"{path} is not drystone's: choose another --datadir, and take the blocks from "
                "this one with drystone chain import"
            )


def _refuse_remains(blocks: Path, coins: Path, cure: str) -> None:
    """A chain without index is no new one."""
    remains = sorted((*blocks.glob("blk*.dat"), *blocks.glob("rev*.dat")))
    if remains or coins.exists():
        raise StoreError(
            f"{blocks / INDEX_NAME} is missing, but not {(*remains, coins)[0].name}: put it back, "
            f"or rebuild it: {cure}"
        )


def _forget(blocks: Path, coins: Path, params: Params, cure: str) -> None:
    """Remove all but the blocks, having left word that they are to be read again."""
    index, form = blocks / INDEX_NAME, coins / FORMAT_NAME
    _check_owner(index, read_header, params, cure)
    _check_owner(form, read_format, params, cure)
    replace_file(blocks / REINDEXING_NAME, b"")
    if coins.exists():
        shutil.rmtree(coins)
    for path in (index, *blocks.glob("rev*.dat")):
        path.unlink(missing_ok=True)
    sync_folder(blocks)
    sync_folder(coins.parent)


def _check_owner(
    path: Path, read: Callable[[Path, bytes, Params, str], object], params: Params, cure: str
) -> None:
    """Whatever else may be wrong with a file: it must not be another chain's."""
    try:
        read(path, path.read_bytes(), params, cure)
    except FileNotFoundError:
        pass
    except ForeignError:
        raise
    except StoreError:
        pass
