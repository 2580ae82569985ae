"""The hashes that Bitcoin is made of, and how they are shown.

A hash is bytes in the order in which SHA-256 gives them, as on the wire. People see it reversed:
`display` and `from_display` are the only places where that happens.
"""

from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from hashlib import _Hash

Txid = NewType("Txid", bytes)  # 32 bytes: double SHA-256 of a transaction without its witness
Wtxid = NewType("Wtxid", bytes)  # 32 bytes: the same with its witness (BIP141)
BlockHash = NewType("BlockHash", bytes)  # 32 bytes: double SHA-256 of the 80-byte header

NULL_HASH = bytes(32)


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256: 32 bytes in hash order, as on the wire. Core: `Hash`."""
    return sha256(sha256(data).digest()).digest()


@cache
def _tagged(tag: str) -> "_Hash":
    tag_hash = sha256(tag.encode()).digest()
    return sha256(tag_hash + tag_hash)  # one whole block: the copy below starts from its midstate


def tagged_hash(tag: str, data: bytes) -> bytes:
    """SHA-256 of the tag's hash twice and the data (BIP340): no two uses of a hash can meet."""
    hasher = _tagged(tag).copy()
    hasher.update(data)
    return hasher.digest()


def display(hash_: bytes) -> str:
    """A hash as people see it: hex, in reversed byte order."""
    return hash_[::-1].hex()


def from_display(text: str) -> bytes:
    """What `display` shows, back to hash order. Raises ValueError unless it is 64 hex digits."""
    if len(text) != 64:
        raise ValueError(f"a hash has 64 hex digits, not {len(text)}")
    hash_ = bytes.fromhex(text)  # which passes over white space
    if len(hash_) != 32:
        raise ValueError(f"a hash has 64 hex digits and nothing else: {text!r}")
    return hash_[::-1]
