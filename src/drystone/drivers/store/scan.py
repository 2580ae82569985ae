"""Looking for blocks in data files that no record tells of."""

from collections.abc import Iterator

from drystone.chain.blockfile import Record, read_records
from drystone.drivers.store.files import NumberedFiles, Place, told
from drystone.primitives.block import Block
from drystone.primitives.codec import DecodeError

FRAME_BYTES = 8


def scan_blocks(
    files: NumberedFiles, magic: bytes, start: tuple[int, int]
) -> Iterator[tuple[Place, Block]]:
    """Whole blocks from an offset of a file on, in that file and those after it.

    What is no block is passed over, and what follows a frame that holds none is looked for inside
    of it: it may be the frame's length that is wrong. Files are read as they are now.
    """
    first, offset = start
    for file, size in files.sizes().items():
        if file >= first:
            yield from _scan_file(files, magic, file, offset if file == first else 0, size)


def _scan_file(
    files: NumberedFiles, magic: bytes, file: int, start: int, size: int
) -> Iterator[tuple[Place, Block]]:
    path = files.path(file)
    with told("read", path), path.open("rb", buffering=0) as stream:
        restart: int | None = start
        while restart is not None and restart < size:
            stream.seek(restart)
            offset, restart = restart, None
            for record in read_records(stream, magic, offset=offset):
                if isinstance(record, Record) and record.offset < size:
                    try:
                        block = Block.from_bytes(record.block)
                    except DecodeError:
                        restart = record.offset + 1
                        break
                    yield Place.of(file, record.offset + FRAME_BYTES, record.block), block
