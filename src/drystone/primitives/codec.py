"""Bytes in and out: fixed integers, CompactSize, and a cursor that never trusts a length.

Integers are little-endian, as everywhere in Bitcoin's serialisation but where a docstring says
otherwise. Decoding is exact: what these functions accept, encoding gives back byte for byte. To
encode a number that its field can't hold is a bug of ours and no input's: struct.error.
"""

from struct import Struct
from typing import Final

MAX_SIZE: Final = 0x02000000  # no vector is longer, whatever it holds. Core: MAX_SIZE

_U16 = Struct("<H")
_U32 = Struct("<I")
_I32 = Struct("<i")
_U64 = Struct("<Q")
_I64 = Struct("<q")
_ONE_BYTE: Final = tuple([bytes((size,)) for size in range(0xFD)])


class DecodeError(ValueError):
    """Bytes that are no value of the kind asked for. See `Truncated` and `Malformed`."""


class Truncated(DecodeError):
    """The bytes end too early: with more of them, there may yet be a value."""


class Malformed(DecodeError):
    """No bytes that follow could make this a value."""


class Reader:
    """A cursor over bytes. Every read checks what is left before it takes anything.

    Raises Truncated past the end, Malformed for what can't be, and nothing else. Truncation by a
    length that a limit forbids is Malformed: more bytes would not help.
    """

    __slots__ = ("_end", "data", "offset")

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.data = bytes(data)  # a bytearray's slices would be neither hashable nor for ever
        self.offset = offset
        self._end = len(data)

    @property
    def left(self) -> int:
        """How many bytes are yet to be read."""
        return self._end - self.offset

    @property
    def rest(self) -> bytes:
        """What is yet to be read; it stays so."""
        return self.data[self.offset :]

    def take(self, count: int) -> bytes:
        """The next count bytes."""
        start = self.offset
        stop = start + count
        if stop > self._end:
            raise Truncated(f"{count} bytes wanted at offset {start}, {self._end - start} left")
        self.offset = stop
        return self.data[start:stop]

    def _unpack(self, layout: Struct) -> int:
        start = self.offset
        stop = start + layout.size
        if stop > self._end:
            raise Truncated(f"{layout.size} bytes wanted at offset {start}")
        self.offset = stop
        value: int = layout.unpack_from(self.data, start)[0]
        return value

    def u8(self) -> int:
        """An unsigned byte."""
        start = self.offset
        if start >= self._end:
            raise Truncated(f"1 byte wanted at offset {start}")
        self.offset = start + 1
        return self.data[start]

    def u16(self) -> int:
        """Two bytes, unsigned."""
        return self._unpack(_U16)

    def u32(self) -> int:
        """Four bytes, unsigned."""
        return self._unpack(_U32)

    def i32(self) -> int:
        """Four bytes, signed."""
        return self._unpack(_I32)

    def u64(self) -> int:
        """Eight bytes, unsigned."""
        return self._unpack(_U64)

    def i64(self) -> int:
        """Eight bytes, signed."""
        return self._unpack(_I64)

    def compact_size(self, limit: int = MAX_SIZE) -> int:
        """A length in 1, 3, 5 or 9 bytes, in the shortest way, at most limit.

        The limit is checked before anybody allocates by it. Raises Malformed.
        Core: ReadCompactSize.
        """
        first = self.u8()
        if first < 0xFD:
            size = first
        elif first == 0xFD:
            size = self._long_size(_U16, 0xFD)
        elif first == 0xFE:
            size = self._long_size(_U32, 0x10000)
        else:
            size = self._long_size(_U64, 0x100000000)
        if size > limit:
            raise Malformed(f"a length of {size}, at most {limit} is allowed")
        return size

    def _long_size(self, layout: Struct, least: int) -> int:
        size = self._unpack(layout)
        if size < least:
            raise Malformed(f"a length of {size} written in {layout.size + 1} bytes")
        return size

    def var_bytes(self, limit: int = MAX_SIZE) -> bytes:
        """A CompactSize length and that many bytes."""
        return self.take(self.compact_size(limit))

    def finish(self) -> None:
        """Nothing may be left. Raises Malformed."""
        if self.offset != self._end:
            raise Malformed(f"{self.left} bytes after the end")


def u16(value: int) -> bytes:
    """Two bytes, unsigned."""
    return _U16.pack(value)


def u32(value: int) -> bytes:
    """Four bytes, unsigned."""
    return _U32.pack(value)


def i32(value: int) -> bytes:
    """Four bytes, signed."""
    return _I32.pack(value)


def u64(value: int) -> bytes:
    """Eight bytes, unsigned."""
    return _U64.pack(value)


def i64(value: int) -> bytes:
    """Eight bytes, signed."""
    return _I64.pack(value)


def compact_size(size: int) -> bytes:
    """A length in the shortest of 1, 3, 5 or 9 bytes. size: 0 to 2^64 - 1."""
    if 0 <= size < 0xFD:
        return _ONE_BYTE[size]
    if size < 0:
        raise OverflowError(f"a length can't be negative: {size}")
    if size < 0x10000:
        return b"\xfd" + _U16.pack(size)
    if size < 0x100000000:
        return b"\xfe" + _U32.pack(size)
    return b"\xff" + _U64.pack(size)


def var_bytes(data: bytes) -> bytes:
    """Bytes after their CompactSize length."""
    return compact_size(len(data)) + data
