"""RocksDB's MANIFEST, looked at before RocksDB does.

It lists the engine's tables, in the format of its logs:

```
record  masked CRC-32C of type and data (4) | length (2) | type (1) | data
```

Records don't reach across borders of 32 KiB. RocksDB checks the same sums; but where one bit turns
a record's type into that of a recycled log (5 to 8), version 9.8 reads it again for ever.
"""

from pathlib import Path
from struct import Struct
from typing import Final

BLOCK_BYTES: Final = 32 << 10

_HEAD = Struct("<IHB")
_TYPES = frozenset({1, 2, 3, 4})  # whole, first part, middle part, last part
_MASK_DELTA = 0xA282EAD8


class ManifestDamagedError(Exception):
    """A sentence that says where."""


def check_manifest(folder: Path) -> None:
    """Raises ManifestDamagedError, or OSError.

    A last record that is cut is let pass: that may be the end of a process, and RocksDB goes by
    those before it. So is a CURRENT that names no MANIFEST: RocksDB will tell.
    """
    name = (folder / "CURRENT").read_bytes().decode("ascii", "replace").strip()
    path = folder / name
    if not name.startswith("MANIFEST-") or "/" in name or not path.is_file():
        return
    data = path.read_bytes()
    at = 0
    while at + _HEAD.size <= len(data):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < _HEAD.size:
            at += left
            continue
        masked, length, kind = _HEAD.unpack_from(data, at)
        if kind not in _TYPES or _HEAD.size + length > left:
            raise ManifestDamagedError(f"{name} has no record at offset {at}")
        end = at + _HEAD.size + length
        if end > len(data):
            break
        if _masked(crc32c(data[at + _HEAD.size - 1 : end])) != masked:
            raise ManifestDamagedError(f"{name} has a wrong checksum at offset {at}")
        at = end


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Castagnoli's CRC-32, which no library at hand has. Some 20 megabytes a second."""
    crc = 0xFFFFFFFF
    table = _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE = _table()
