"""The index of a chain's blocks: a journal, `blocks/index.dat`, only ever appended to.

```
header  "drystone" | format (4) | generation (4) | magic (4) | genesis hash (32) | check (4)
batch   size (4) | checksum (4) | check (4) | records
record  B | header (80) | validity (1) | transactions (4) | sequence (8) | places (1) | n (2)
          | place of the data (20), if places & 1 | of the undo data, if places & 2 | failure (n)
        D | block hash (32) | place (20)
        U | block hash (32) | place (20)
        T | block hash (32)
place   file (4) | offset (8) | size (4) | checksum (4)
```

A batch is what one `commit` acknowledges: it counts whole or not at all. All checks are CRC-32s
that go on from the batch before, so that none can be missing from the middle; a batch's size has
one of its own, so that a damaged one is told from a batch that was cut short by the process's end.
"""

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Final, NamedTuple
from zlib import crc32

from drystone.chain.store import BlockRecord, StoreError, Validity
from drystone.consensus.params import Params
from drystone.drivers.store.files import PLACE_BYTES, replace_file, told, write_all
from drystone.primitives.block import BlockHeader
from drystone.primitives.hashes import BlockHash

FORMAT: Final = 1
SPARE_RECORDS = 1000  # superfluous ones that are no reason to write it anew

_SIGNATURE = b"drystone"
_HEADER = Struct("<8sII4s32sI")
_U32 = Struct("<I")
_BATCH = Struct("<III")
_BLOCK = Struct("<i32s32sIIIBIqBH")
_MARK = Struct("<IQI")
_BLOCK_KIND, _DATA_KIND, _UNDO_KIND, _TIP_KIND = b"BDUT"
_VALIDITIES = {int(validity): validity for validity in Validity}
_DATA, _UNDO = 1, 2


class ForeignError(StoreError):
    """Something that is whole, but belongs to another chain."""


class Mark(NamedTuple):
    """How far a journal went at some time: it must never be found shorter."""

    generation: int
    size: int  # bytes
    crc: int  # of all up to there

    def encode(self) -> bytes:
        """16 bytes."""
        return _MARK.pack(*self)

    @classmethod
    def decode(cls, data: bytes) -> "Mark":
        """From 16 bytes."""
        return cls(*_MARK.unpack(data))


class Index:
    """What a journal says, all in all. Places are kept as they were written, 20 bytes each."""

    def __init__(self) -> None:
        self.records: dict[BlockHash, BlockRecord] = {}  # parents before children
        self.data: dict[BlockHash, bytes] = {}
        self.undo: dict[BlockHash, bytes] = {}
        self.tip: BlockHash | None = None
        self.count = 0  # records, superfluous ones too

    @property
    def is_worn(self) -> bool:
        """Whether most records are superfluous by now."""
        return self.count > 3 * len(self.records) + SPARE_RECORDS

    def encode(self) -> bytes:
        """All of it as records, none of them superfluous."""
        parts = [
            encode_block(record, self.data.get(block_hash), self.undo.get(block_hash))
            for block_hash, record in self.records.items()
        ]
        for encode, places in ((encode_data_place, self.data), (encode_undo_place, self.undo)):
            parts += [
                encode(block_hash, place)
                for block_hash, place in places.items()
                if block_hash not in self.records
            ]
        if self.tip is not None:
            parts.append(encode_tip(self.tip))
        return b"".join(parts)


def encode_block(record: BlockRecord, data: bytes | None, undo: bytes | None) -> bytes:
    """What is known of a block, and what was found a place since it was last told."""
    header = record.header
    failure = (record.failure or "").encode()
    fixed = _BLOCK.pack(
        header.version,
        header.prev_hash,
        header.merkle_root,
        header.time,
        header.bits,
        header.nonce,
        record.validity,
        record.tx_count,
        record.sequence,
        (_DATA if data else 0) | (_UNDO if undo else 0),
        len(failure),
    )
    return b"".join((b"B", fixed, data or b"", undo or b"", failure))


def encode_data_place(block_hash: BlockHash, place: bytes) -> bytes:
    """Where the data of a block lie."""
    return b"D" + block_hash + place


def encode_undo_place(block_hash: BlockHash, place: bytes) -> bytes:
    """Where the undo data of a block lie."""
    return b"U" + block_hash + place


def encode_tip(block_hash: BlockHash) -> bytes:
    """The best block."""
    return b"T" + block_hash


class Journal:
    """The file: to be replayed once, and appended to from then on.

    cure: the command that rebuilds it, for error messages. Raises StoreError, as everything here.
    """

    def __init__(self, path: Path, params: Params, cure: str) -> None:
        self._path = path
        self._params = params
        self._cure = cure
        self._generation = self._size = self._crc = 0
        self._replayed = self._appended = 0  # records
        self._is_worn = False
        self._is_unsynced = True  # who knows what the process before did
        self.notes: list[str] = []
        with told("read", path):
            self._fd = os.open(path, os.O_RDWR)

    def replay(self, mark: Mark | None = None) -> Index:
        """All that it says. mark: how far it once went, if anybody knows."""
        data = self._read()
        self._generation = read_header(self._path, data, self._params, self._cure)
        with _garbage_left():
            index = self._replay(data, mark)
        self._replayed, self._is_worn = index.count, index.is_worn
        if self._size < len(data):
            self.notes.append(
                f"{self._path}: dropped the last {len(data) - self._size} bytes, a batch of "
                "records that was cut short before it was acknowledged"
            )
            with told("write", self._path):
                os.ftruncate(self._fd, self._size)
        return index

    @property
    def mark(self) -> Mark:
        """How far it goes now."""
        return Mark(self._generation, self._size, self._crc)

    def append(self, records: Sequence[bytes]) -> None:
        """Add a batch. If that fails, the file is cut to what it was."""
        batch, crc = _encode_batch(b"".join(records), self._crc)
        with told("write", self._path):
            try:
                write_all(self._fd, batch, self._size)
            except OSError:
                with suppress(OSError):  # then the next opening drops what there is of it
                    os.ftruncate(self._fd, self._size)
                raise
        self._size += len(batch)
        self._crc = crc
        self._appended += len(records)
        self._is_unsynced = True

    def sync(self) -> None:
        """Have it put onto the disk."""
        if self._is_unsynced:
            with told("write", self._path):
                os.fsync(self._fd)
            self._is_unsynced = False

    def close(self, *, compact: bool = False) -> None:
        """Let go of the file. compact: first replace one whose records are mostly superfluous."""
        if self._fd >= 0:
            if compact and (self._is_worn or self._appended > self._replayed + SPARE_RECORDS):
                self._compact()
            os.close(self._fd)
            self._fd = -1

    def _compact(self) -> None:
        index = self._replay(self._read(), None)
        if index.is_worn:
            generation = self._generation + 1
            header = _encode_header(self._params, generation)
            batch, crc = _encode_batch(index.encode(), crc32(header))
            with suppress(OSError):  # the old one is as good, only longer
                replace_file(self._path, header + batch)
                self._generation, self._size, self._crc = generation, len(header + batch), crc

    def _read(self) -> bytes:
        with told("read", self._path), open(self._fd, "rb", closefd=False) as file:
            file.seek(0)
            return file.read()

    def _replay(self, data: bytes, mark: Mark | None) -> Index:
        """Go through all batches that are whole."""
        index = Index()
        view = memoryview(data)
        at = _HEADER.size
        crc = crc32(view[:at])
        marked = mark is None or mark.generation != self._generation
        if mark is not None and mark.generation > self._generation:
            raise self._lost(f"is older than the coins (generation {self._generation})")
        while True:
            if not marked and mark is not None and at >= mark.size:
                if (at, crc) != mark[1:]:
                    raise self._lost(f"is not what it was when the coins were written, up to {at}")
                marked = True
            start = at + _BATCH.size
            if start > len(data):
                break
            size, batch_crc, check = _BATCH.unpack_from(data, at)
            if check != crc32(view[at : start - 4], crc):
                raise self._damaged(at, "the size of a batch doesn't match its checksum")
            end = start + size
            if end > len(data):
                break
            if crc32(view[start:end], crc) != batch_crc:
                raise self._damaged(at, "a batch of records doesn't match its checksum")
            try:
                self._replay_batch(index, data, start, end)
            except (KeyError, IndexError, StructError, UnicodeDecodeError):  # sound, but not ours
                raise self._strange(start) from None
            at, crc = end, batch_crc
        if not marked and mark is not None:
            raise self._lost(f"ends at {at} bytes of {mark.size}")
        self._size, self._crc = at, crc
        return index

    def _replay_batch(self, index: Index, data: bytes, at: int, end: int) -> None:
        while at < end:
            index.count += 1
            kind = data[at]
            at += 1
            if kind == _BLOCK_KIND:
                # fmt: off
                (version, previous, root, seconds, bits, nonce,
                 validity, tx_count, sequence, places, failure) = _BLOCK.unpack_from(data, at)
                # fmt: on
                header = BlockHeader(version, previous, root, seconds, bits, nonce)
                block_hash = header.hash
                at += _BLOCK.size
                if places & _DATA:
                    index.data[block_hash] = data[at : at + PLACE_BYTES]
                    at += PLACE_BYTES
                if places & _UNDO:
                    index.undo[block_hash] = data[at : at + PLACE_BYTES]
                    at += PLACE_BYTES
                reason = None
                if failure:
                    reason = data[at : at + failure].decode()
                    at += failure
                index.records[block_hash] = BlockRecord(
                    header, _VALIDITIES[validity], tx_count, sequence, reason
                )
            elif kind == _TIP_KIND:
                index.tip = BlockHash(data[at : at + 32])
                at += 32
            elif kind in (_DATA_KIND, _UNDO_KIND):
                places_of = index.data if kind == _DATA_KIND else index.undo
                places_of[BlockHash(data[at : at + 32])] = data[at + 32 : at + 32 + PLACE_BYTES]
                at += 32 + PLACE_BYTES
            else:
                raise self._strange(at - 1)
        if at != end:
            raise IndexError(at)  # slices past the end come out short and unnoticed

    def _damaged(self, at: int, what: str) -> StoreError:
        return StoreError(f"{self._path}: damaged at offset {at}: {what}; rebuild it: {self._cure}")

    def _strange(self, at: int) -> StoreError:
        return StoreError(
            f"{self._path}: a record of unknown kind at offset {at}, perhaps a newer drystone's: "
            f"use that one, or rebuild it: {self._cure}"
        )

    def _lost(self, what: str) -> StoreError:
        return StoreError(f"{self._path}: {what}: records were lost; rebuild it: {self._cure}")


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Don't look for garbage: among a million new objects, none of them any, that takes long."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def create_journal(path: Path, params: Params) -> None:
    """Put an empty one there, whole."""
    with told("write", path):
        replace_file(path, _encode_header(params, 0))


def read_header(path: Path, data: bytes, params: Params, cure: str) -> int:
    """A journal's generation. Raises StoreError if it is damaged, foreign or of a newer version."""
    if len(data) < _HEADER.size:
        raise StoreError(f"{path}: cut to {len(data)} bytes; rebuild it: {cure}")
    signature, version, generation, magic, genesis, check = _HEADER.unpack_from(data)
    if signature != _SIGNATURE or check != crc32(memoryview(data)[: _HEADER.size - 4]):
        raise StoreError(f"{path}: its header is damaged; rebuild it: {cure}")
    if version > FORMAT:
        raise StoreError(
            f"{path} was written by a newer drystone (format {version}; this one knows {FORMAT}): "
            f"use that one, or rebuild it: {cure}"
        )
    if (magic, genesis) != (params.magic, params.genesis_hash):
        raise foreign(path, params, magic)
    return int(generation)


def foreign(path: Path, params: Params, magic: bytes) -> ForeignError:
    """That something belongs to another chain."""
    return ForeignError(
        f"{path} belongs to another chain than {params.name} (magic {magic.hex()}, not "
        f"{params.magic.hex()}, or another genesis block): choose another --datadir"
    )


def _encode_header(params: Params, generation: int) -> bytes:
    fields = (_SIGNATURE, FORMAT, generation, params.magic, params.genesis_hash)
    unchecked = _HEADER.pack(*fields, 0)[:-4]
    return unchecked + _U32.pack(crc32(unchecked))


def _encode_batch(records: bytes, crc: int) -> tuple[bytes, int]:
    """A batch, and its checksum."""
    batch_crc = crc32(records, crc)
    head = _BATCH.pack(len(records), batch_crc, 0)[:-4]
    return b"".join((head, _U32.pack(crc32(head, crc)), records)), batch_crc
