"""A mempool as bytes, to outlive its process: the reference client's mempool.dat.

```
version (8)           1: all in the clear; 2: what follows the key is XORed with it
key                   version 2 only: 08 | key (8)
transactions (8)
  transaction, time (8), fee delta (8)           so many times
deltas                n | n x ( txid (32) | fee delta (8) )       of transactions that aren't there
unbroadcast           n | n x txid (32)
```
The key is there for virus scanners, which had better not recognise anything. The byte at offset i
of the file meets byte i mod 8 of the key.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from drystone.primitives.codec import (
    DecodeError,
    Malformed,
    Reader,
    compact_size,
    i64,
    u64,
    var_bytes,
)
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import Transaction

VERSION_PLAIN: Final = 1
VERSION: Final = 2
KEY_BYTES: Final = 8


class Saved(NamedTuple):
    """A transaction, when it came (unix seconds), and what was added to its fee (satoshis)."""

    tx: Transaction
    time: int
    fee_delta: int


@dataclass(frozen=True, slots=True)
class Dump:
    """What is kept of a mempool.

    transactions: parents before children. trouble: what is wrong with the bytes from where on they
    could not be read; None if nothing is.
    """

    transactions: tuple[Saved, ...] = ()
    deltas: tuple[tuple[Txid, int], ...] = ()
    unbroadcast: tuple[Txid, ...] = ()
    trouble: str | None = None

    def encode(self, key: bytes | None) -> bytes:
        """As a file. key: 8 bytes of chance, or None for version 1."""
        parts = [u64(len(self.transactions))]
        parts += [s.tx.encode() + i64(s.time) + i64(s.fee_delta) for s in self.transactions]
        parts.append(compact_size(len(self.deltas)))
        parts += [txid + i64(delta) for txid, delta in sorted(self.deltas)]
        parts.append(compact_size(len(self.unbroadcast)))
        parts += sorted(self.unbroadcast)
        body = b"".join(parts)
        if key is None:
            return u64(VERSION_PLAIN) + body
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        head = u64(VERSION) + var_bytes(key)
        return head + _xored(body, key, len(head))


def read_dump(data: bytes) -> Dump:
    """What a file has, as far as it can be read. Nothing is raised: see `Dump.trouble`."""
    transactions: list[Saved] = []
    deltas: list[tuple[Txid, int]] = []
    unbroadcast: list[Txid] = []
    try:
        r = _opened(data)
        # Each list keeps what was read before the bytes ended.
        transactions.extend(Saved(Transaction.decode(r), r.i64(), r.i64()) for _ in range(r.u64()))
        deltas.extend((Txid(r.take(32)), r.i64()) for _ in range(r.compact_size()))
        unbroadcast.extend(Txid(r.take(32)) for _ in range(r.compact_size()))
        r.finish()
        trouble = None
    except DecodeError as error:
        trouble = str(error)
    return Dump(tuple(transactions), tuple(deltas), tuple(unbroadcast), trouble)


def _opened(data: bytes) -> Reader:
    """A reader of what comes after the head. Raises Truncated or Malformed."""
    head = Reader(data)
    version = head.u64()
    if version == VERSION_PLAIN:
        return head
    if version != VERSION:
        raise Malformed(f"version {version} of mempool.dat is not known")
    key = head.var_bytes(limit=KEY_BYTES)
    if len(key) != KEY_BYTES:
        raise Malformed(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    return Reader(_xored(data[head.offset :], key, head.offset))


def _xored(data: bytes, key: bytes, offset: int) -> bytes:
    """Data with the key XORed onto it, over and over. offset: where in the file the data begin."""
    start = offset % KEY_BYTES
    pad = (key[start:] + key[:start]) * (len(data) // KEY_BYTES + 1)
    number = int.from_bytes(data, "little") ^ int.from_bytes(pad[: len(data)], "little")
    return number.to_bytes(len(data), "little")
