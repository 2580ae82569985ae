"""The coins in RocksDB, as a CoinStore.

```
outpoint (36)  coin | checksum (4)
"tip"          block hash (32) | checksum (4)
"mark"         how far the journal of the blocks went (16) | checksum (4)
```

A checksum is the CRC-32 of key and value. RocksDB has one more for each of its blocks of 4 KiB, so
that a coin can't go missing unnoticed either: that is why it was taken.

Its write-ahead log is off. Each `write` is one batch, and returns when the table that it makes is
written, synced and listed in the MANIFEST. So whatever is found at the next opening is what some
`write` has left, and no file that is lost or cut short can make a mixture of two.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Final
from zlib import crc32

from drystone.chain.store import StoreError
from drystone.consensus.coins import Coin
from drystone.consensus.params import Params
from drystone.drivers.store.codec import (
    OUTPOINT_BYTES,
    decode_coin,
    decode_outpoint,
    encode_coin,
)
from drystone.drivers.store.files import replace_file, sync_folder, told
from drystone.drivers.store.journal import Mark, foreign
from drystone.drivers.store.manifest import ManifestDamagedError, check_manifest
from drystone.primitives.codec import DecodeError
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint

if TYPE_CHECKING:
    from rocksdict import Options

FORMAT: Final = 1
FORMAT_NAME: Final = "drystone"  # a file that says whose coins these are

CACHE_BYTES: Final = 32 << 20
WRITE_BUFFER_BYTES: Final = 32 << 20
BLOOM_BITS: Final = 10  # for each coin: one in a hundred misses has to look into a table
MANIFEST_BYTES: Final = 1 << 18  # then a new one is begun: it is read whole at each opening
LOG_BYTES: Final = 1 << 16

_FORMAT = Struct("<8sI4s32sI")
_SIGNATURE = b"drystone"
_TIP, _MARK = b"tip", b"mark"
_CRC_BYTES = 4


class DiskCoins:
    """A CoinStore in a folder that `create_coins` has made, and that is this process's alone.

    cure: the command that rebuilds it, for error messages. checkpoint: is called before anything
    is written, to have the blocks put onto the disk; it says how far their journal goes. mark: what
    it said last. Raises StoreError.
    """

    def __init__(self, folder: Path, params: Params, *, cure: str) -> None:
        import rocksdict  # noqa: PLC0415  by whoever has coins on disk, and nobody else

        self._folder = folder
        self._cure = cure
        self.checkpoint: Callable[[], Mark | None] = lambda: None
        self._unusable: str | None = None
        self._new_batch = rocksdict.WriteBatch
        self._without_log = rocksdict.WriteOptions()
        self._without_log.disable_wal = True  # type: ignore[method-assign,assignment]
        form = folder / FORMAT_NAME
        with told("read", form):
            read_format(form, form.read_bytes(), params, cure)
        with told("read", folder):
            self._look_before()
        try:
            self._database = rocksdict.Rdict(str(folder), _options(create=False))
        except Exception as error:
            raise self._failure("open", error) from error
        self._get = self._database.get
        try:
            tip, mark = self._read(_TIP), self._read(_MARK)
        except StoreError:
            self.close()
            raise
        self._tip = None if tip is None else BlockHash(tip)
        self.mark = None if mark is None else Mark.decode(mark)

    @property
    def tip(self) -> BlockHash | None:
        """The block that left the coins so."""
        return self._tip

    def get(self, outpoint: OutPoint, /) -> Coin | None:
        """The coin there, or None."""
        key = outpoint[0] + outpoint[1].to_bytes(4, "little")
        try:
            sealed = self._get(key)
        except Exception as error:
            raise self._failure("read", error) from error
        return None if sealed is None else self._coin(key, sealed)

    def write(
        self,
        spent: Iterable[OutPoint],
        created: Iterable[tuple[OutPoint, Coin]],
        tip: BlockHash,
    ) -> None:
        """Take coins away, put others there, move the tip: one batch."""
        self._check_usable()
        batch = self._new_batch(raw_mode=True)
        delete, put = batch.delete, batch.put
        for txid, vout in spent:
            delete(txid + vout.to_bytes(4, "little"))
        for (txid, vout), coin in created:
            key = txid + vout.to_bytes(4, "little")
            put(key, _sealed(key, encode_coin(coin)))
        mark = self.checkpoint()
        if not len(batch) and (tip, mark) == (self._tip, self.mark):
            return
        put(_TIP, _sealed(_TIP, tip))
        if mark is not None:
            put(_MARK, _sealed(_MARK, mark.encode()))
        try:
            self._database.write(batch, self._without_log)
            self._database.flush()
        except Exception as error:
            self._unusable = str(self._failure("write", error))
            raise StoreError(self._unusable) from error
        self._tip, self.mark = tip, mark

    def items(self) -> Iterator[tuple[OutPoint, Coin]]:
        """All coins, by txid."""
        self._check_usable()
        # The engine's own items() would end at a damaged block as if that were the end.
        cursor = self._database.iter()
        cursor.seek_to_first()
        try:
            while cursor.valid():
                key = cursor.key()
                if len(key) == OUTPOINT_BYTES:
                    yield decode_outpoint(key), self._coin(key, cursor.value())
                cursor.next()
            cursor.status()
        except StoreError:
            raise
        except Exception as error:
            raise self._failure("read", error) from error

    def close(self) -> None:
        """Let go of files."""
        is_first = self._unusable is None
        self._unusable = self._unusable or f"{self._folder} is closed: open it again"
        try:
            self._database.close()
        except Exception as error:
            if is_first:
                raise self._failure("close", error) from error
        _remove_log(self._folder)

    def _look_before(self) -> None:
        """What RocksDB had better not see."""
        for path in self._folder.glob("*.log"):
            if path.stat().st_size:
                raise self._damaged(f"{path.name} should be empty")
        try:
            check_manifest(self._folder)
        except ManifestDamagedError as error:
            raise self._damaged(str(error)) from None
        except FileNotFoundError:
            raise self._damaged("CURRENT is missing") from None

    def _read(self, key: bytes) -> bytes | None:
        try:
            sealed = self._get(key)
        except Exception as error:
            raise self._failure("read", error) from error
        return None if sealed is None else self._unsealed(key, sealed)

    def _coin(self, key: bytes, sealed: bytes) -> Coin:
        try:
            return decode_coin(self._unsealed(key, sealed))
        except DecodeError as error:
            raise self._damaged(f"{decode_outpoint(key)} holds {error}") from None

    def _unsealed(self, key: bytes, sealed: bytes) -> bytes:
        value = sealed[:-_CRC_BYTES]
        if crc32(value, crc32(key)) != int.from_bytes(sealed[-_CRC_BYTES:], "little"):
            raise self._damaged(f"the checksum of record {key.hex()} is wrong")
        return value

    def _check_usable(self) -> None:
        if self._unusable is not None:
            raise StoreError(self._unusable)

    def _damaged(self, what: str) -> StoreError:
        return StoreError(f"the coins in {self._folder} are damaged: {what}; rebuild: {self._cure}")

    def _failure(self, doing: str, error: Exception) -> StoreError:
        if self._unusable is not None:
            return StoreError(self._unusable)
        return _refusal(doing, self._folder, error) or self._damaged(_in_a_line(error))


def _refusal(doing: str, folder: Path, error: Exception) -> StoreError | None:
    """What the operating system has refused to the engine; None if the engine itself complains."""
    reason = _in_a_line(error)
    for sign, advice in (
        ("No space left", "free some space and start again; nothing acknowledged is lost"),
        ("quota exceeded", "free some space and start again; nothing acknowledged is lost"),
        ("File too large", "raise the limit on files' sizes; nothing acknowledged is lost"),
        ("Too many open files", "raise the limit on open files (ulimit -n)"),
        ("Permission denied", "choose another --datadir, or change its permissions"),
        ("Read-only file system", "choose a --datadir that can be written to"),
        ("While lock file", "another process has them open: end that one"),
    ):
        if sign in reason:
            return StoreError(f"can't {doing} the coins in {folder}: {reason}: {advice}")
    return None


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _remove_log(folder: Path) -> None:
    """The engine's own log tells of nothing that we need, but where the folder is."""
    with suppress(OSError):
        for path in folder.glob("LOG*"):
            path.unlink()


def create_coins(folder: Path, params: Params) -> None:
    """Put an empty store there, whole."""
    import rocksdict  # noqa: PLC0415  see above

    new = folder.with_name(folder.name + ".new")
    with told("write", new):
        if new.exists():
            shutil.rmtree(new)
        new.mkdir()
        try:
            rocksdict.Rdict(str(new), _options(create=True)).close()
        except Exception as error:
            raise _refusal("make", folder, error) or StoreError(
                f"can't make the coins in {folder}: {_in_a_line(error)}"
            ) from error
        _remove_log(new)
        replace_file(new / FORMAT_NAME, _encode_format(params))
        new.rename(folder)
        sync_folder(folder.parent)


def _options(*, create: bool) -> "Options":
    import rocksdict  # noqa: PLC0415  see above

    tables = rocksdict.BlockBasedOptions()
    tables.set_block_cache(rocksdict.Cache(CACHE_BYTES))
    tables.set_bloom_filter(BLOOM_BITS, False)
    tables.set_checksum_type(rocksdict.ChecksumType.xxh3())
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(create)
    options.set_block_based_table_factory(tables)
    options.set_compression_type(rocksdict.DBCompressionType.none())  # hashes don't shrink
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_paranoid_checks(True)
    options.set_wal_recovery_mode(rocksdict.DBRecoveryMode.absolute_consistency())
    options.set_max_manifest_file_size(MANIFEST_BYTES)
    options.set_manifest_preallocation_size(1 << 12)
    options.set_max_log_file_size(LOG_BYTES)  # of its own log, which nobody needs
    options.set_keep_log_file_num(1)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    options.set_max_open_files(256)
    return options


def _sealed(key: bytes, value: bytes) -> bytes:
    return value + crc32(value, crc32(key)).to_bytes(_CRC_BYTES, "little")


def _encode_format(params: Params) -> bytes:
    data = _FORMAT.pack(_SIGNATURE, FORMAT, params.magic, params.genesis_hash, 0)[:-_CRC_BYTES]
    return data + crc32(data).to_bytes(_CRC_BYTES, "little")


def read_format(path: Path, data: bytes, params: Params, cure: str) -> None:
    """Whose coins they are, and in which format. Raises StoreError if we had better not read on."""
    if len(data) != _FORMAT.size or crc32(data[:-_CRC_BYTES]) != _FORMAT.unpack(data)[-1]:
        raise StoreError(f"{path} is damaged; rebuild the coins: {cure}")
    signature, version, magic, genesis, _ = _FORMAT.unpack(data)
    if signature != _SIGNATURE or version > FORMAT:
        raise StoreError(
            f"{path.parent} was written by a newer drystone (format {version}; this one knows "
            f"{FORMAT}): use that one, or rebuild the coins: {cure}"
        )
    if (magic, genesis) != (params.magic, params.genesis_hash):
        raise foreign(path.parent, params, magic)
