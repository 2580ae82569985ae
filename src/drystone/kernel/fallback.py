"""The search in pure Python, on hashlib: for where the native module could not be built."""

from hashlib import sha256
from struct import Struct

from drystone.kernel.layout import BITCOIN, Layout

_LITTLE = Struct("<I").pack
_BIG = Struct(">I").pack
_SLICE = 1 << 12  # nonces between looks at the cancel flag: about 4 ms


def search(  # noqa: PLR0917
    layout: Layout, header: bytes, target: int, start: int, count: int, flag: bytearray
) -> int:
    """The lowest counter that meets the target, or -1. Arguments as in `drystone.kernel.search`.

    Hashing the first block anew costs less than copying hashlib's state after it.
    """
    pack = _LITTLE if layout is BITCOIN else _BIG
    # The deciding end of the hash first: most hashes are told by its two bytes alone.
    limit = target.to_bytes(32, "big")
    step = -1 if layout is BITCOIN else 1
    head = header[: layout.counter_at]
    for at in range(start, start + count, _SLICE):
        if flag[0]:
            return -1
        for counter in range(at, min(at + _SLICE, start + count)):
            if sha256(sha256(head + pack(counter)).digest()).digest()[::step] <= limit:
                return counter
    return -1
