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

    hashlib hashes what comes before the counter once; each nonce begins with a copy of that state.
    """
    pack, hash_ = (_LITTLE if layout is BITCOIN else _BIG), sha256
    begin = sha256(header[: layout.counter_at]).copy
    # The hash's most significant byte tells nearly always, and needs no turning round.
    step = -1 if layout is BITCOIN else 1
    top = -1 if layout is BITCOIN else 0
    limit = target.to_bytes(32, "big")
    first_byte = limit[0]
    for at in range(start, start + count, _SLICE):
        if flag[0]:
            return -1
        for counter in range(at, min(at + _SLICE, start + count)):
            first = begin()
            first.update(pack(counter))
            digest = hash_(first.digest()).digest()
            if digest[top] <= first_byte and digest[::step] <= limit:
                return counter
    return -1
