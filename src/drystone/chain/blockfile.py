"""Blocks in files, framed as in the reference client's blk*.dat and bootstrap.dat.

```
magic (4) | length (4, little-endian) | block        and so on, whatever lies between
```

Files that lived through crashes have more in them: zeros that were to be overwritten, a last record
that was cut, remains of anything. What is no record is passed over up to the next magic, as
`-loadblock` does (Core: LoadExternalBlockFile), but here it is told, so that no byte of a file goes
unmentioned. A record is what has a block's length and is all there; whether it really is a block,
only decoding tells.

Since v28 the client writes such files XORed with eight bytes, `blocks/xor.dat`, so that no virus
scanner finds in them what somebody put into a block. Byte n of the file goes with byte n mod 8.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Final, NamedTuple, Protocol

from drystone.consensus.limits import MAX_BLOCK_WEIGHT
from drystone.core.errors import UserError
from drystone.primitives.block import HEADER_BYTES
from drystone.primitives.codec import u32

MIN_LENGTH: Final = HEADER_BYTES
MAX_LENGTH: Final = MAX_BLOCK_WEIGHT  # a byte weighs one or more; MAX_BLOCK_SERIALIZED_SIZE
XOR_KEY_BYTES: Final = 8

ZEROS: Final = "zeros"
NO_RECORD: Final = "no record"
CUT: Final = "a record that was cut"

_MAGIC_BYTES = 4
_HEAD_BYTES = _MAGIC_BYTES + 4
_CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """A stream of bytes, such as a file opened for reading."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes, but none only at the end."""


class Record(NamedTuple):
    """What has the frame of a block, and is all there."""

    offset: int  # of its magic
    block: bytes


class Skipped(NamedTuple):
    """Bytes that are in no record."""

    offset: int
    size_bytes: int
    why: str  # ZEROS, NO_RECORD or CUT


def read_records(
    source: Readable | bytes, magic: bytes, *, key: bytes = b"", offset: int = 0
) -> Iterator[Record | Skipped]:
    """All of a file's bytes, from one end to the other: records, and what lies between.

    source: a stream, or all of the bytes. magic: the chain's. key: of xor.dat; none or zeros if
    the file is plain. offset: where in its file the stream stands, so that one can go on from any
    record's end. Whatever the file holds, memory is bounded by the largest block, and time by the
    file's size.

    A record that reaches past the end is CUT; what else has the frame of a record inside of it is
    a record all the same, for it may be the length that is wrong.
    """
    if len(magic) != _MAGIC_BYTES:
        raise ValueError(f"a magic has {_MAGIC_BYTES} bytes, not {len(magic)}")
    stream = BytesIO(source) if isinstance(source, bytes) else source
    return _records(_Window(stream, key, offset), magic)


def _records(window: "_Window", magic: bytes) -> Iterator[Record | Skipped]:
    while True:
        gap = window.gap(magic)
        yield from gap.skipped()
        if gap.length is None:
            return
        window.take(_HEAD_BYTES)
        yield Record(gap.end, window.take(gap.length))


def frame(block: bytes, magic: bytes, *, key: bytes = b"", offset: int = 0) -> bytes:
    """The record of a block. key, offset: as of `read_records`; where in its file it will be.

    Raises ValueError for what is too short or too long to be read again.
    """
    if not MIN_LENGTH <= len(block) <= MAX_LENGTH:
        raise ValueError(f"a block has {MIN_LENGTH} to {MAX_LENGTH} bytes, not {len(block)}")
    return xored(magic + u32(len(block)) + block, key, offset)


def xored(data: bytes, key: bytes, offset: int = 0) -> bytes:
    """Data that are at an offset of their file, XORed or plain again. key: 8 bytes, or none."""
    if not any(_checked(key)):
        return data
    size = len(data)
    at = offset % XOR_KEY_BYTES
    pad = (key[at:] + key[:at]) * (size // XOR_KEY_BYTES + 1)
    mixed = int.from_bytes(data, "little") ^ int.from_bytes(pad[:size], "little")
    return mixed.to_bytes(size, "little")


def xor_key(content: bytes) -> bytes:
    """The key, of what xor.dat holds. Raises UserError."""
    if len(content) != XOR_KEY_BYTES:
        raise UserError(
            f"xor.dat has {len(content)} bytes instead of {XOR_KEY_BYTES}: copy it again, from the "
            "folder that the blk files are from"
        )
    return content


def _checked(key: bytes) -> bytes:
    if len(key) not in (0, XOR_KEY_BYTES):
        raise ValueError(f"a key has {XOR_KEY_BYTES} bytes, or none, not {len(key)}")
    return key


class _Gap:
    """What was passed over in search of a record, and the length of the block that was found."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.all_zero = True
        self.cut_at: int | None = None  # the first that reached past the end
        self.length: int | None = None

    def skipped(self) -> Iterator[Skipped]:
        """In order, at most two."""
        cut_at = self.end if self.cut_at is None else self.cut_at
        if cut_at > self.start:
            why = ZEROS if self.all_zero else NO_RECORD
            yield Skipped(self.start, cut_at - self.start, why)
        if self.end > cut_at:
            yield Skipped(cut_at, self.end - cut_at, CUT)


class _Window:
    """The part of a stream that is in memory: never more than a record and a chunk."""

    def __init__(self, stream: Readable, key: bytes, offset: int) -> None:
        self._stream = stream
        self._key = _checked(key)
        self._data = bytearray()
        self._at = 0  # the next byte in data
        self._read_to = offset  # in the file
        self._ended = False

    @property
    def offset(self) -> int:
        """Of the next byte, in the file."""
        return self._read_to - self._left

    @property
    def _left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """The next bytes, which are there."""
        self._at += size
        with memoryview(self._data) as data:  # a slice of data itself would be one copy more
            return bytes(data[self._at - size : self._at])

    def gap(self, magic: bytes) -> _Gap:
        """Pass over what is no record: up to the next one, or to the end."""
        gap = _Gap(self.offset)
        while self._pass_over(gap, magic):
            head = self._data[self._at : self._at + _HEAD_BYTES]
            length = int.from_bytes(head[_MAGIC_BYTES:], "little")
            if MIN_LENGTH <= length <= MAX_LENGTH:
                if self._has(_HEAD_BYTES + length):
                    gap.length = length
                    break
                self._cut(gap)
            self._skip(gap, 1)
        gap.end = self.offset
        return gap

    def _pass_over(self, gap: _Gap, magic: bytes) -> bool:
        """Up to the next magic that has a length behind it; False if the end came instead."""
        while True:
            found = self._data.find(magic, self._at)
            # If there is none, one may have begun in the last bytes.
            at_most = self._left - (_MAGIC_BYTES - 1)
            self._skip(gap, found - self._at if found >= 0 else max(0, at_most))
            if not self._has(_HEAD_BYTES):
                self._end(gap, magic)
                return False
            if found >= 0:
                return True

    def _end(self, gap: _Gap, magic: bytes) -> None:
        """What is left is too short for a magic and a length. It may be their first bytes."""
        while self._left and not magic.startswith(self._data[self._at :][:_MAGIC_BYTES]):
            self._skip(gap, 1)
        if self._left:
            self._cut(gap)
        self._skip(gap, self._left)

    def _cut(self, gap: _Gap) -> None:
        if gap.cut_at is None:
            gap.cut_at = self.offset

    def _skip(self, gap: _Gap, size: int) -> None:
        if gap.all_zero and gap.cut_at is None:
            gap.all_zero = self._data.count(0, self._at, self._at + size) == size
        self._at += size

    def _has(self, size: int) -> bool:
        """Whether so many bytes are left, reading on where they aren't in memory yet."""
        if self._left < size and not self._ended:
            del self._data[: self._at]
            self._at = 0
            while self._left < size:
                part = self._stream.read(_CHUNK_BYTES)
                if not part:
                    self._ended = True
                    break
                self._data += xored(part, self._key, self._read_to)
                self._read_to += len(part)
        return self._left >= size
