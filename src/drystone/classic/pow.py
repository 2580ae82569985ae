"""Proof of work: a hash that begins with two zero bytes, 65,536 tries on average."""

from drystone.classic.block import HEADER_BYTES, Header
from drystone.kernel import Cancel
from drystone.kernel import search as kernel_search

TARGET = (1 << 240) - 1  # the hash as a big-endian integer is at most this
EXPECTED_HASHES = 1 << 16
MAX_NONCE = (1 << 256) - 1
_COUNTER_BITS = 32  # the kernel varies the nonce's last four bytes


def has_work(block_hash: bytes) -> bool:
    """Whether a 32-byte hash meets the target."""
    return block_hash[:2] == b"\0\0"


def search(header: Header, count: int, *, cancel: Cancel | None = None) -> int | None:
    """Try count nonces from header.nonce upward; the first that meets the target, or None.

    None also when cancelled, and past the last of the 2^256 nonces. The kernel counts in 32 bits,
    so a range that crosses a multiple of 2^32 is searched in parts.
    """
    nonce = header.nonce
    end = min(nonce + count, MAX_NONCE + 1)
    encoded = header.encode()
    while nonce < end and not (cancel is not None and cancel.is_set()):
        high, low = divmod(nonce, 1 << _COUNTER_BITS)
        part = min(end - nonce, (1 << _COUNTER_BITS) - low)
        fixed = encoded[: HEADER_BYTES - 32] + (high << _COUNTER_BITS).to_bytes(32, "big")
        found = kernel_search(fixed, TARGET, low, part, cancel=cancel)
        if found is not None:
            return (high << _COUNTER_BITS) | found
        nonce += part
    return None
