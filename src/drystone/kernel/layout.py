"""The two headers that can be searched."""

from typing import Final, NamedTuple


class Layout(NamedTuple):
    """Where the 32-bit counter lies, and how large a target may be."""

    name: str
    header_bytes: int
    counter_at: int  # offset of its four bytes
    max_target: int


# 80 bytes, nonce little-endian at byte 76, the hash a little-endian integer.
BITCOIN: Final = Layout("bitcoin", 80, 76, (1 << 256) - 1)
# 69 bytes, the 32-byte nonce big-endian at the end, the hash a big-endian integer. The counter is
# the nonce's last four bytes; the others are taken from the header as they are.
CLASSIC: Final = Layout("classic", 69, 65, (1 << 240) - 1)

_BY_SIZE = {layout.header_bytes: layout for layout in (BITCOIN, CLASSIC)}


def layout_of(header: bytes) -> Layout:
    """By the header's length. Raises ValueError for a length that is neither 80 nor 69."""
    try:
        return _BY_SIZE[len(header)]
    except KeyError:
        raise ValueError(f"a header has 80 or 69 bytes, not {len(header)}") from None
