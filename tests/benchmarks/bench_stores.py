"""Engines for the coins, on our own access pattern; and our store, as it uses the one we took.

    python tests/benchmarks/bench_stores.py [--coins 1000000] [--engine rocksdb ...]

Keys of 36 bytes, values of 38, as a P2WPKH coin has with its checksum. The store is filled by
flushes of 100,000 coins; then each flush puts 100,000 and deletes 50,000 in one transaction, and
waits for the disk, as ours do. After that it is closed and opened again, and read: 100,000 coins
that are there, 100,000 that are not, and all in order. Times are of this thread's clock on the
wall, seconds; engines that are not installed are left out.
"""

import argparse
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, Protocol

FLUSHES: Final = 10
PUTS: Final = 100_000
DELETES: Final = 50_000
READS: Final = 100_000
VALUE: Final = bytes(range(38))

Pairs = Sequence[tuple[bytes, bytes]]


class Engine(Protocol):
    """What we ask of one."""

    def flush(self, deleted: Sequence[bytes], put: Pairs) -> None:
        """Do all of it or nothing, and have it on the disk."""

    def get(self, key: bytes) -> bytes | None:
        """The value there."""

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All there is."""

    def close(self) -> None:
        """Let go of it."""


class RocksDB:
    """As `drystone.drivers.store.coins` sets it up: no write-ahead log, a table for each flush."""

    def __init__(self, folder: Path) -> None:
        import rocksdict

        from drystone.drivers.store.coins import _options

        self._new_batch = rocksdict.WriteBatch
        self._database = rocksdict.Rdict(str(folder), _options(create=True))
        self._without_log = rocksdict.WriteOptions()
        self._without_log.disable_wal = True  # type: ignore[method-assign,assignment]
        self.get = self._database.get

    def flush(self, deleted: Sequence[bytes], put: Pairs) -> None:
        batch = self._new_batch(raw_mode=True)
        for key in deleted:
            batch.delete(key)
        for key, value in put:
            batch.put(key, value)
        self._database.write(batch, self._without_log)
        self._database.flush()

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        cursor = self._database.iter()
        cursor.seek_to_first()
        while cursor.valid():
            yield cursor.key(), cursor.value()
            cursor.next()
        cursor.status()

    def close(self) -> None:
        self._database.close()


class LMDB:
    """One map, one transaction for each flush."""

    def __init__(self, folder: Path) -> None:
        import lmdb

        self._environment: Any = lmdb.open(str(folder), map_size=4 << 30)
        self._reader: Any = None

    def flush(self, deleted: Sequence[bytes], put: Pairs) -> None:
        self._end_reading()
        with self._environment.begin(write=True) as transaction:
            for key in deleted:
                transaction.delete(key)
            for key, value in put:
                transaction.put(key, value)

    def get(self, key: bytes) -> bytes | None:
        if self._reader is None:
            self._reader = self._environment.begin()
        found: bytes | None = self._reader.get(key)
        return found

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        with self._environment.begin() as transaction:
            yield from transaction.cursor()

    def close(self) -> None:
        self._end_reading()
        self._environment.close()

    def _end_reading(self) -> None:
        if self._reader is not None:
            self._reader.abort()
            self._reader = None


class SQLite:
    """One table without row ids, in WAL mode."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._database = sqlite3.connect(folder / "coins.sqlite", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA cache_size = -32768")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS coins (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"
        )

    def flush(self, deleted: Sequence[bytes], put: Pairs) -> None:
        self._database.execute("BEGIN")
        self._database.executemany("DELETE FROM coins WHERE key = ?", [(key,) for key in deleted])
        self._database.executemany("INSERT OR REPLACE INTO coins VALUES (?, ?)", put)
        self._database.execute("COMMIT")

    def get(self, key: bytes) -> bytes | None:
        row = self._database.execute("SELECT value FROM coins WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        yield from self._database.execute("SELECT key, value FROM coins ORDER BY key")

    def close(self) -> None:
        self._database.close()


class LevelDB:
    """One synced batch for each flush."""

    def __init__(self, folder: Path) -> None:
        import plyvel

        self._database: Any = plyvel.DB(
            str(folder),
            create_if_missing=True,
            compression=None,
            bloom_filter_bits=10,
            lru_cache_size=32 << 20,
            write_buffer_size=32 << 20,
        )
        self.get: Callable[[bytes], bytes | None] = self._database.get

    def flush(self, deleted: Sequence[bytes], put: Pairs) -> None:
        with self._database.write_batch(transaction=True, sync=True) as batch:
            for key in deleted:
                batch.delete(key)
            for key, value in put:
                batch.put(key, value)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        yield from self._database.iterator()

    def close(self) -> None:
        self._database.close()


ENGINES: Final[dict[str, tuple[str, Callable[[Path], Engine]]]] = {
    "rocksdb": ("rocksdict", RocksDB),
    "lmdb": ("lmdb", LMDB),
    "sqlite": ("sqlite3", SQLite),
    "leveldb": ("plyvel", LevelDB),
}


def key_of(number: int) -> bytes:
    """As random as a txid, and the same each time."""
    return sha256(number.to_bytes(8, "little")).digest() + b"\0\0\0\0"


def measure(make: Callable[[Path], Engine], folder: Path, coins: int) -> dict[str, float]:
    """Seconds by what was done, and bytes on disk."""
    engine = make(folder)
    for start in range(0, coins, PUTS):
        engine.flush([], [(key_of(n), VALUE) for n in range(start, start + PUTS)])
    flushes = []
    first, last = 0, coins
    for _ in range(FLUSHES):
        deleted = [key_of(number) for number in range(first, first + DELETES)]
        put = [(key_of(number), VALUE) for number in range(last, last + PUTS)]
        began = time.perf_counter()
        engine.flush(deleted, put)
        flushes.append(time.perf_counter() - began)
        first, last = first + DELETES, last + PUTS
    found = {"flush": statistics.median(flushes), "slowest flush": max(flushes)}
    began = time.perf_counter()
    for number in range(100):
        engine.flush([key_of(first + number)], [(key_of(last + number), VALUE)])
    found["small flush"] = (time.perf_counter() - began) / 100
    first, last = first + 100, last + 100
    engine.close()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    began = time.perf_counter()
    engine = make(folder)
    found["open"] = time.perf_counter() - began
    step = (last - first) // READS
    there = [key_of(number) for number in range(first, first + READS * step, step)]
    absent = [key_of(number) for number in range(last, last + READS)]
    for what, keys in (("gets", there), ("misses", absent)):
        began = time.perf_counter()
        hits = sum(engine.get(key) is not None for key in keys)
        found[what] = READS / (time.perf_counter() - began)
        assert hits == (READS if keys is there else 0)
    began = time.perf_counter()
    count = sum(1 for _ in engine.items())
    found["items"] = count / (time.perf_counter() - began)
    assert count == last - first
    engine.close()
    found["bytes"] = size / count
    return found


def report(name: str, coins: int) -> None:
    """Measure an engine in this process, and print its line."""
    folder = Path(mkdtemp(prefix=f"drystone-{name}-"))
    try:
        found = measure(ENGINES[name][1], folder / "store", coins)
    finally:
        shutil.rmtree(folder)
    with Path("/proc/self/status").open() as file:
        memory = {line.split(":")[0]: line.split()[1] for line in file if "kB" in line}
    print(
        f"{name:9}{found['flush'] * 1e3:9.0f}{found['slowest flush'] * 1e3:9.0f}"
        f"{found['small flush'] * 1e3:9.2f}{found['open'] * 1e3:9.1f}"
        f"{found['gets'] / 1e3:9.0f}{found['misses'] / 1e3:9.0f}{found['items'] / 1e3:9.0f}"
        f"{found['bytes']:9.0f}{int(memory['VmHWM']) / 1024:9.0f}",
        flush=True,
    )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--coins", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--here", action="store_true", help="in this process, without a heading")
    options = parser.parse_args()
    names = options.engine or [name for name, (module, _) in ENGINES.items() if find_spec(module)]
    if options.here:
        for name in names:
            report(name, options.coins)
        return
    print(
        f"{options.coins:,} coins, then {FLUSHES} flushes of {PUTS:,} puts and {DELETES:,} deletes"
    )
    print(
        f"{'':9}{'flush':>9}{'slowest':>9}{'small':>9}{'open':>9}{'gets':>9}{'misses':>9}"
        f"{'items':>9}{'bytes':>9}{'memory':>9}\n"
        f"{'':9}{'ms':>9}{'ms':>9}{'ms':>9}{'ms':>9}{'1000/s':>9}{'1000/s':>9}{'1000/s':>9}"
        f"{'a coin':>9}{'MiB':>9}"
    )
    for name in names:
        subprocess.run(
            [sys.executable, __file__, "--here", "--engine", name, "--coins", str(options.coins)],
            check=True,
        )


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main()
