"""Searching a range of nonces with the best variant that this machine has."""

import os
from typing import Final

from drystone.kernel import fallback
from drystone.kernel.layout import layout_of

try:
    from drystone.kernel import _native
except ImportError:
    _native = None  # type: ignore[assignment]

PYTHON: Final = "python"
VARIABLE: Final = "DRYSTONE_KERNEL"
_COUNTERS = 1 << 32


class VariantUnavailable(ValueError):
    """A variant was asked for that is unknown, or that this machine can't run."""


class Cancel:
    """Ends searches from another thread, within some milliseconds."""

    def __init__(self) -> None:
        self.flag = bytearray(1)  # read by the native loop without the interpreter's lock

    def set(self) -> None:
        """End every search that was given this, now and later."""
        self.flag[0] = 1

    def is_set(self) -> bool:
        """Whether it has been set."""
        return self.flag[0] != 0


def native_available() -> bool:
    """Whether the native module was built, so that mining is fast."""
    return _native is not None


def variants() -> tuple[str, ...]:
    """The names of the variants usable on this machine, fastest first; the last is `python`."""
    return (*(_native.variants() if native_available() else ()), PYTHON)


_USABLE = variants()


def chosen_variant(variant: str | None = None) -> str:
    """The variant that a search takes: the one named, else DRYSTONE_KERNEL's, else the fastest.

    Raises VariantUnavailable.
    """
    name = variant or os.environ.get(VARIABLE) or _USABLE[0]
    if name not in _USABLE:
        source = "" if variant else f" ({VARIABLE})"
        raise VariantUnavailable(
            f"no kernel variant {name!r}{source} here; this machine has {', '.join(_USABLE)}"
        )
    return name


def search(
    header: bytes,
    target: int,
    start: int,
    count: int,
    *,
    cancel: Cancel | None = None,
    variant: str | None = None,
) -> int | None:
    """The lowest counter in start .. start + count - 1 whose hash is at most the target, or None.

    header: 80 bytes (nonce at byte 76, little-endian; the hash is a little-endian integer) or the
    classic 69 (nonce at the end, of which the counter is the last four bytes, big-endian; the
    hash is a big-endian integer, and the target below 2^240). start + count: at most 2^32.
    cancel: ends the search with None within about 10 ms. variant: forces one.

    Other threads run meanwhile. Raises ValueError for arguments out of range.
    """
    name = chosen_variant(variant)
    layout = layout_of(header)
    if not 0 <= target <= layout.max_target:
        raise ValueError(
            f"a target of the {layout.name} layout is from 0 to 2^{layout.max_target.bit_length()}"
            f" - 1, not {target:#x}"
        )
    if not (0 <= start and 0 <= count and start + count <= _COUNTERS):
        raise ValueError(f"not a range of 32-bit counters: {count} from {start}")
    flag = bytearray(1) if cancel is None else cancel.flag
    if name == PYTHON or _native is None:
        found = fallback.search(layout, header, target, start, count, flag)
    else:
        found = _native.search(name, header, target.to_bytes(32, "little"), start, count, flag)
    return None if found < 0 else found
