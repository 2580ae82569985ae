"""The hash that Bitcoin is made of."""

from hashlib import sha256


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256: 32 bytes in hash order, as on the wire. Core: `Hash`."""
    return sha256(sha256(data).digest()).digest()
