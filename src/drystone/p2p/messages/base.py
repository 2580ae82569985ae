"""What all messages have in common."""

from typing import Protocol, Self

from drystone.primitives.block import MIN_TRANSACTION_BYTES
from drystone.primitives.codec import Malformed, Reader, Truncated, compact_size
from drystone.primitives.transaction import Transaction


class Message(Protocol):
    """A value that travels between peers. Its class has `decode`, which undoes `encode`.

    Bytes after the last field are left unread: whoever sends them may be of a later version.
    """

    @property
    def command(self) -> str:
        """What names its type on the wire: at most 12 characters."""

    def encode(self) -> bytes:
        """The payload: what follows the frame's header."""


class Oversized(Malformed):
    """More of something than the protocol allows: whoever sends it is disconnected.

    Other messages that can't be decoded are only dropped. The text is the reference client's.
    """


class LocatorTooLong(Malformed):
    """The same of a locator, which not even those may send who may misbehave."""


def read_count(r: Reader, limit: int, least_bytes: int, reason: str) -> int:
    """How many items follow. least_bytes: that each of them must take.

    The reference client has all items before it counts them, so too few bytes come first.
    Raises Truncated, or Oversized with the reason and the count.
    """
    count = r.compact_size()
    if count * least_bytes > r.left:
        raise Truncated(f"{count} items announced in {r.left} bytes")
    if count > limit:
        raise Oversized(f"{reason} = {count}")
    return count


def read_hashes(r: Reader) -> tuple[bytes, ...]:
    """A count and as many times 32 bytes."""
    count = r.compact_size()
    data = r.take(32 * count)
    return tuple([data[at : at + 32] for at in range(0, len(data), 32)])


def hashes_bytes(hashes: tuple[bytes, ...]) -> bytes:
    """A count and the hashes."""
    return compact_size(len(hashes)) + b"".join(hashes)


def read_transactions(r: Reader) -> tuple[Transaction, ...]:
    """A count and as many transactions."""
    count = r.compact_size()
    if count * MIN_TRANSACTION_BYTES > r.left:
        raise Truncated(f"{count} transactions announced in {r.left} bytes")
    return tuple([Transaction.decode(r) for _ in range(count)])


class Bare:
    """A message that is all said by its command."""

    __slots__ = ()

    def encode(self) -> bytes:
        """Nothing."""
        return b""

    @classmethod
    def decode(cls, r: Reader) -> Self:  # noqa: ARG003
        """From nothing."""
        return cls()
