"""Blocks and undo data in files, as a BlockStore.

```
blocks/blk00000.dat   n x ( magic (4) | size (4) | block )         as the reference client's
blocks/rev00000.dat   n x ( magic (4) | size (4) | undo data )
blocks/index.dat      the journal: what is known of each block, where it lies, its checksums
```

Data and undo data are with the operating system before the journal tells of them. A process that
is killed in between leaves blocks behind that no record tells of: they are found again, and stay
where they are when somebody adds them.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias
from zlib import crc32

from drystone.chain.store import BlockRecord, BlockUndo, Loaded, StoreError
from drystone.consensus.params import Params
from drystone.drivers.store.codec import decode_undo, encode_undo
from drystone.drivers.store.files import FILE_BYTES, NumberedFiles, Place, sync_folder, told
from drystone.drivers.store.journal import (
    Journal,
    Mark,
    encode_block,
    encode_data_place,
    encode_tip,
    encode_undo_place,
)
from drystone.drivers.store.scan import scan_blocks
from drystone.primitives.block import Block
from drystone.primitives.codec import DecodeError, u32
from drystone.primitives.hashes import BlockHash, display

# When the disk itself must hold what was committed: at each flush of the coins, at each commit, or
# at the first commit after so many seconds. Whatever it is, a killed process loses nothing.
Fsync: TypeAlias = Literal["flush", "always"] | float

INDEX_NAME: Final = "index.dat"
REINDEXING_NAME: Final = "reindexing"  # a file that is there as long as the index isn't rebuilt


class DiskBlocks:
    """A BlockStore of files in a folder that belongs to this process alone.

    cure: the command that rebuilds the index, for error messages. mark: how far the journal went
    when the coins were last written. rescan: whether blocks that no record tells of may be
    anywhere, rather than at the end of the data files. Raises StoreError.
    """

    def __init__(
        self,
        folder: Path,
        params: Params,
        *,
        cure: str,
        fsync: Fsync = "flush",
        mark: Mark | None = None,
        rescan: bool = False,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self._folder = folder
        self._magic = params.magic
        self._cure = cure
        self._fsync = fsync
        self._rescan = rescan
        self._unusable: str | None = None
        self._synced_s = time.monotonic()
        self._data = NumberedFiles(folder, "blk", file_bytes=file_bytes)
        self._undo = NumberedFiles(folder, "rev", file_bytes=file_bytes)
        self._new_data: dict[BlockHash, bytes] = {}  # places that the journal doesn't have yet
        self._new_undo: dict[BlockHash, bytes] = {}
        self._found: dict[BlockHash, bytes] = {}  # places of blocks that nobody has added yet
        self._journal = Journal(folder / INDEX_NAME, params, cure)
        try:
            index = self._journal.replay(mark)
            self._data_places, self._undo_places = index.data, index.undo
            self.notes = self._journal.notes  # what was found amiss and mended, a line each
            self._find_ends()
        except StoreError:
            self._let_go()
            raise
        self.tip = index.tip  # as committed
        self._loaded: Loaded | None = Loaded(
            index.records.values(), index.tip, self._scan() if rescan else self._unrecorded()
        )

    def load(self) -> Loaded:
        """All that the journal says, and the blocks that it says nothing of."""
        assert self._loaded is not None
        loaded, self._loaded = self._loaded, None
        return loaded

    def took_in_unrecorded(self) -> None:
        """Reindexing is over at the next `sync`; until then, the next opening begins it anew."""
        self._rescan = False

    def add_block(self, block: Block, encoded: bytes | None = None) -> None:
        """Write a block's data, unless they are there."""
        block_hash = block.hash
        if block_hash in self._data_places or block_hash in self._new_data:
            return
        data = block.encode() if encoded is None else encoded
        crc = crc32(data)
        place = self._found.pop(block_hash, None)
        if place is None or Place.decode(place)[2:] != (len(data), crc):
            place = self._append(self._data, data, crc)
        self._new_data[block_hash] = place

    def add_undo(self, block_hash: BlockHash, undo: BlockUndo) -> None:
        """Write a block's undo data, unless they are there."""
        if block_hash not in self._undo_places and block_hash not in self._new_undo:
            data = encode_undo(undo)
            crc = crc32(data, crc32(block_hash))
            self._new_undo[block_hash] = self._append(self._undo, data, crc)

    def commit(self, records: Sequence[BlockRecord], tip: BlockHash | None = None) -> None:
        """Append one batch to the journal."""
        batch = []
        new_data, new_undo = self._new_data.copy(), self._new_undo.copy()
        for record in records:
            block_hash = record.header.hash
            data, undo = new_data.pop(block_hash, None), new_undo.pop(block_hash, None)
            batch.append(encode_block(record, data, undo))
        batch += [encode_data_place(*place) for place in new_data.items()]
        batch += [encode_undo_place(*place) for place in new_undo.items()]
        if tip is not None:
            batch.append(encode_tip(tip))
        if not batch:
            return
        with self._usable():
            if self._fsync == "always":
                self._data.sync()
                self._undo.sync()
            self._journal.append(batch)
            if self._fsync == "always":
                self._journal.sync()
        self._data_places.update(self._new_data)
        self._undo_places.update(self._new_undo)
        self._new_data.clear()
        self._new_undo.clear()
        self.tip = tip or self.tip
        if isinstance(self._fsync, int | float) and (
            time.monotonic() >= self._synced_s + self._fsync
        ):
            self.sync()

    def block(self, block_hash: BlockHash) -> Block:
        """Read a block."""
        try:
            block = Block.from_bytes(self.block_bytes(block_hash))
        except DecodeError as error:
            raise self._damaged(f"block {display(block_hash)}", str(error)) from None
        if block.hash != block_hash:
            raise self._damaged(f"block {display(block_hash)}", "another block is in its place")
        return block

    def block_bytes(self, block_hash: BlockHash) -> bytes:
        """Read a block's bytes."""
        found = self._new_data.get(block_hash) or self._data_places[block_hash]
        return self._read(self._data, found, 0, f"block {display(block_hash)}")

    def undo(self, block_hash: BlockHash) -> BlockUndo:
        """Read a block's undo data."""
        found = self._new_undo.get(block_hash) or self._undo_places[block_hash]
        what = f"undo data of block {display(block_hash)}"
        try:
            return decode_undo(self._read(self._undo, found, crc32(block_hash), what))
        except DecodeError as error:
            raise self._damaged(what, str(error)) from None

    def sync(self) -> None:
        """Have the disk hold all that is committed: data and undo data first."""
        with self._usable():
            self._data.sync()
            self._undo.sync()
            self._journal.sync()
            if not self._rescan:
                self._end_reindexing()
        self._synced_s = time.monotonic()

    def checkpoint(self) -> Mark:
        """Sync; how far the journal goes now."""
        self.sync()
        return self._journal.mark

    def close(self) -> None:
        """Sync, and let go of all files."""
        if self._unusable is None:
            try:
                self.sync()
                self._journal.close(compact=True)
            finally:
                self._let_go()

    def _find_ends(self) -> None:
        """Where to append. What is behind the last whole block goes, and undo data without record:
        they are made again.
        """
        end = self._recorded_end(self._data, self._data_places)
        self._cut(self._undo, self._recorded_end(self._undo, self._undo_places))
        if self._rescan:
            self._data.end = max(self._data.sizes().items(), default=(0, 0))
            return
        for place, block in scan_blocks(self._data, self._magic, end):
            self._found[block.hash] = place.encode()
            end = (place.file, place.offset + place.size)
        self._cut(self._data, end)

    def _recorded_end(
        self, files: NumberedFiles, places: dict[BlockHash, bytes]
    ) -> tuple[int, int]:
        """The end of what records tell of. Raises StoreError if a file ends before that."""
        ends: dict[int, int] = {}
        for file, offset, size, _ in Place.decode_all(places.values()):
            end = offset + size
            if end > ends.get(file, 0):
                ends[file] = end
        sizes = files.sizes()
        for file, end in sorted(ends.items()):
            if sizes.get(file, 0) < end:
                state = f"is cut to {sizes[file]} bytes" if file in sizes else "is missing"
                raise StoreError(
                    f"{files.path(file)} {state}, {end} bytes were written: put it back, or go on "
                    f"with what is left: {self._cure}"
                )
        return max(ends.items(), default=(0, 0))

    def _cut(self, files: NumberedFiles, end: tuple[int, int]) -> None:
        dropped = files.cut(*end)
        if dropped:
            self.notes.append(
                f"{files.path(end[0])}: dropped {dropped} bytes behind offset {end[1]}, which were "
                "written but never acknowledged"
            )

    def _unrecorded(self) -> Iterator[Block]:
        """The blocks that were found behind the recorded ones."""
        for block_hash, place in list(self._found.items()):
            what = f"block {display(block_hash)}"
            yield Block.from_bytes(self._read(self._data, place, 0, what))

    def _scan(self) -> Iterator[Block]:
        """All blocks of all data files, read as they are asked for."""
        end = (0, 0)
        before = self._data.end
        for place, block in scan_blocks(self._data, self._magic, (0, 0)):
            block_hash = block.hash
            end = (place.file, place.offset + place.size)
            if block_hash not in self._data_places and block_hash not in self._new_data:
                self._found[block_hash] = place.encode()
                yield block
        if self._data.end == before:
            self._cut(self._data, end)

    def _end_reindexing(self) -> None:
        path = self._folder / REINDEXING_NAME
        with told("remove", path):
            if path.exists():
                path.unlink()
                sync_folder(self._folder)

    def _append(self, files: NumberedFiles, data: bytes, crc: int) -> bytes:
        with self._usable():
            file, offset = files.append(self._magic + u32(len(data)), data)
        return Place(file, offset, len(data), crc).encode()

    def _read(self, files: NumberedFiles, found: bytes, start: int, what: str) -> bytes:
        place = Place.decode(found)
        with self._usable():
            data = files.read(place)
        path = files.path(place.file)
        if data is None:
            raise self._damaged(what, f"{path} ends before offset {place.offset + place.size}")
        if crc32(data, start) != place.crc:
            raise self._damaged(what, f"its checksum in {path} at offset {place.offset} is wrong")
        return data

    def _damaged(self, what: str, reason: str) -> StoreError:
        return StoreError(
            f"{what} is damaged: {reason}; put the file back, or go on with what is left: "
            f"{self._cure}"
        )

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Whatever fails once may not be tried again: nobody knows what the disk has of it."""
        if self._unusable is not None:
            raise StoreError(self._unusable)
        try:
            yield
        except StoreError as error:
            self._let_go(str(error))
            raise

    def _let_go(self, why: str = "") -> None:
        self._unusable = why or f"{self._folder} is closed: open it again"
        self._journal.close()
        self._data.close()
        self._undo.close()
