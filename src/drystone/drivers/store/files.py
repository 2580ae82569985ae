"""Files as the stores use them: written whole or not at all, and every failure one line.

Nothing is mapped into memory: a file that gets shorter meanwhile would end the process.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from drystone.chain.store import StoreError

FILE_BYTES: Final = 128 << 20  # then the next file begins. Core: MAX_BLOCKFILE_SIZE
MAX_OPEN_FILES: Final = 64

_PLACE = Struct("<IQII")
PLACE_BYTES: Final = _PLACE.size

_ADVICE = {
    errno.ENOSPC: "free some space and start again; nothing acknowledged is lost",
    errno.EDQUOT: "free some space and start again; nothing acknowledged is lost",
    errno.EFBIG: "raise the limit on files' sizes and start again; nothing acknowledged is lost",
    errno.EACCES: "choose another --datadir, or change its permissions",
    errno.EPERM: "choose another --datadir, or change its permissions",
    errno.EROFS: "choose a --datadir that can be written to",
    errno.EEXIST: "choose a --datadir that is a directory",
    errno.ENOTDIR: "choose a --datadir that is a directory",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}


@contextmanager
def told(doing: str, path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into one line. doing: "read", "write"..."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0)
        reason = error.strerror or str(error)
        raise StoreError(
            f"can't {doing} {path}: {reason}" + (f": {advice}" if advice else "")
        ) from error


class Place(NamedTuple):
    """Where something lies in numbered files, and what it must hash to."""

    file: int
    offset: int  # of the first byte behind the frame
    size: int  # bytes
    crc: int  # CRC-32

    def encode(self) -> bytes:
        """20 bytes."""
        return _PLACE.pack(*self)

    @classmethod
    def of(cls, file: int, offset: int, data: bytes) -> "Place":
        """Of data that are there."""
        return cls(file, offset, len(data), crc32(data))

    @classmethod
    def decode(cls, data: bytes) -> "Place":
        """From 20 bytes."""
        return cls(*_PLACE.unpack(data))

    @staticmethod
    def decode_all(places: Iterable[bytes]) -> Iterator[tuple[int, int, int, int]]:
        """Many at once, as plain tuples."""
        return _PLACE.iter_unpack(b"".join(places))


def write_all(fd: int, data: bytes, offset: int) -> None:
    """Write at an offset until nothing is left. Raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view = view[written:]
        offset += written


def sync_folder(folder: Path) -> None:
    """Have the names in a folder put onto the disk. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: Path, data: bytes) -> None:
    """Put a file there, whole, in place of the one that may be there. Raises OSError."""
    new = path.with_name(path.name + ".new")
    fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        write_all(fd, data, 0)
        os.fsync(fd)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise
    finally:
        os.close(fd)
    new.replace(path)
    sync_folder(path.parent)


class NumberedFiles:
    """blk00000.dat, blk00001.dat...: appended to at the end of the last, read anywhere.

    end: where the next append begins, as a file's number and an offset in it.
    """

    def __init__(self, folder: Path, prefix: str, *, file_bytes: int = FILE_BYTES) -> None:
        self._folder = folder
        self._prefix = prefix
        self._file_bytes = file_bytes
        self._open: dict[int, int] = {}
        self._paths: dict[int, Path] = {}
        self._unsynced: set[int] = set()
        self._created = False
        self.end = (0, 0)

    def path(self, file: int) -> Path:
        """A file's."""
        path = self._paths.get(file)
        if path is None:
            path = self._paths[file] = self._folder / f"{self._prefix}{file:05d}.dat"
        return path

    def sizes(self) -> dict[int, int]:
        """The files that are there, by number, and their sizes in bytes."""
        sizes = {}
        with told("read", self._folder):
            for entry in os.scandir(self._folder):
                digits = entry.name.removeprefix(self._prefix).removesuffix(".dat")
                if (
                    digits.isascii()
                    and digits.isdigit()
                    and entry.name == self.path(int(digits)).name
                ):
                    sizes[int(digits)] = entry.stat().st_size
        return dict(sorted(sizes.items()))

    def append(self, frame: bytes, data: bytes) -> tuple[int, int]:
        """Write a frame and what it frames; the file's number and the offset of the latter.

        If that fails, the file is cut to what it was.
        """
        file, offset = self.end
        size = len(frame) + len(data)
        if offset and offset + size > self._file_bytes:
            file, offset = file + 1, 0
        path = self.path(file)
        with told("write", path):
            fd = self._fd(file, create=True)
            try:
                write_all(fd, frame + data, offset)
            except OSError:
                with suppress(OSError):  # then it is cut at the next opening
                    os.ftruncate(fd, offset)
                raise
        self._unsynced.add(file)
        self.end = (file, offset + size)
        return file, offset + len(frame)

    def read(self, place: Place) -> bytes | None:
        """What lies there, or None if the file ends before. The checksum is the caller's affair."""
        return self.read_at(place.file, place.offset, place.size)

    def read_at(self, file: int, offset: int, size: int) -> bytes | None:
        """Bytes of a file, or None if it has fewer."""
        with told("read", self.path(file)):
            fd = self._fd(file)
            data = os.pread(fd, size, offset)
            while len(data) < size:  # a signal may cut a read short
                more = os.pread(fd, size - len(data), offset + len(data))
                if not more:
                    return None
                data += more
            return data

    def cut(self, file: int, offset: int) -> int:
        """Make this the end: whatever is behind it goes, files too. How many bytes that were."""
        dropped = 0
        for number, size in self.sizes().items():
            path = self.path(number)
            with told("write", path):
                if number > file:
                    self._forget(number)
                    path.unlink()
                    self._created = True  # or removed: the folder has changed
                    dropped += size
                elif number == file and size > offset:
                    os.ftruncate(self._fd(number, create=True), offset)
                    self._unsynced.add(number)
                    dropped += size - offset
        self.end = (file, offset)
        return dropped

    def sync(self) -> None:
        """Have all that was appended put onto the disk."""
        for file in sorted(self._unsynced):
            with told("write", self.path(file)):
                os.fsync(self._fd(file))
        self._unsynced.clear()
        if self._created:
            with told("write", self._folder):
                sync_folder(self._folder)
            self._created = False

    def close(self) -> None:
        """Let go of all files."""
        for file in list(self._open):
            self._forget(file)

    def _fd(self, file: int, *, create: bool = False) -> int:
        fd = self._open.get(file)
        if fd is None:
            if len(self._open) >= MAX_OPEN_FILES:
                self._forget(next(iter(self._open)))
            path = self.path(file)
            if create and not path.exists():
                fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
                self._created = True
            else:
                fd = os.open(path, os.O_RDWR)
            self._open[file] = fd
        return fd

    def _forget(self, file: int) -> None:
        fd = self._open.pop(file, None)
        if fd is not None:
            os.close(fd)
