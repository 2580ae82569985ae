"""The tutorial's block, byte for byte. Every integer is big-endian.

```
block   size (1, counts itself) | header (69) | transaction count (1) | transactions (4 each)
header  version (1) | previous hash (32) | timestamp, unix seconds (4) | nonce (32)
tx      sender port (2) | receiver port (2); a reward has sender 0
```

The header commits to nothing but its predecessor's header: not to the transactions. Two blocks
may share a hash and differ in their rewards, so a block's identity here is its bytes.
"""

from dataclasses import dataclass, field
from typing import Self

from drystone.primitives.hashes import sha256d

VERSION = 0
HEADER_BYTES = 69
TRANSACTION_BYTES = 4
EMPTY_BLOCK_BYTES = 1 + HEADER_BYTES + 1
MAX_TRANSACTIONS = (0xFF - EMPTY_BLOCK_BYTES) // TRANSACTION_BYTES  # 46: the size is one byte
REWARD_BLOCK_BYTES = EMPTY_BLOCK_BYTES + TRANSACTION_BYTES  # 75: what a miner makes
NO_SENDER = 0


class ClassicInvalid(Exception):
    """Bytes that this network refuses: the only error that its decoders raise.

    reason: a short fixed word, for counting and for tests. detail: our sentence.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Transaction:
    """One coin from a port to a port. The tutorial's first steps check no balances."""

    sender: int  # port, uint16; 0 for a reward
    receiver: int  # port, uint16

    def encode(self) -> bytes:
        """Four bytes."""
        return self.sender.to_bytes(2, "big") + self.receiver.to_bytes(2, "big")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """From exactly four bytes."""
        return cls(int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big"))


@dataclass(frozen=True, slots=True)
class Header:
    """What is hashed and worked on: 69 bytes."""

    previous_hash: bytes  # 32 bytes, as SHA-256 gives them
    timestamp: int  # unix seconds, uint32
    nonce: int  # uint256
    version: int = VERSION  # uint8

    def encode(self) -> bytes:
        """The 69 bytes whose double SHA-256 is the block's hash."""
        return (
            self.version.to_bytes(1, "big")
            + self.previous_hash
            + self.timestamp.to_bytes(4, "big")
            + self.nonce.to_bytes(32, "big")
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """From exactly 69 bytes; whether the version is one we know is a rule, not a format."""
        return cls(
            version=data[0],
            previous_hash=data[1:33],
            timestamp=int.from_bytes(data[33:37], "big"),
            nonce=int.from_bytes(data[37:69], "big"),
        )

    @property
    def hash(self) -> bytes:
        """SHA-256 of SHA-256 of the 69 bytes; shown as it is, never reversed."""
        return sha256d(self.encode())


@dataclass(frozen=True, slots=True)
class Block:
    """A header and up to 46 transactions."""

    header: Header
    transactions: tuple[Transaction, ...]
    hash: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", self.header.hash)

    @property
    def miner(self) -> int | None:
        """The port that the first reward goes to, or None: nothing obliges a block to pay one."""
        return next((t.receiver for t in self.transactions if t.sender == NO_SENDER), None)

    def encode(self) -> bytes:
        """71 bytes and four for each transaction. Raises ValueError above 46 transactions."""
        if len(self.transactions) > MAX_TRANSACTIONS:
            raise ValueError(f"a block's size is one byte: at most {MAX_TRANSACTIONS} transactions")
        body = b"".join(t.encode() for t in self.transactions)
        size = EMPTY_BLOCK_BYTES + len(body)
        count = len(self.transactions)
        return size.to_bytes(1, "big") + self.header.encode() + count.to_bytes(1, "big") + body

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """From exactly one block's bytes. Raises ClassicInvalid, and nothing else."""
        raw = split_block(data, 0)
        if len(raw) != len(data):
            raise ClassicInvalid("trailing-bytes", f"{len(data) - len(raw)} after the block")
        transactions = raw[EMPTY_BLOCK_BYTES:]
        return cls(
            Header.decode(raw[1 : 1 + HEADER_BYTES]),
            tuple(
                Transaction.decode(transactions[at : at + TRANSACTION_BYTES])
                for at in range(0, len(transactions), TRANSACTION_BYTES)
            ),
        )


def split_block(data: bytes, offset: int) -> bytes:
    """The bytes of the one block that begins at offset, its shape checked and nothing else.

    Raises ClassicInvalid: empty-block, bad-block-size, truncated-block, trailing-bytes or
    bad-tx-count.
    """
    left = len(data) - offset
    if left <= 0:
        raise ClassicInvalid("truncated-block", "no bytes where a block should begin")
    size = data[offset]
    if size == 0:
        raise ClassicInvalid("empty-block", "its size byte is 0")  # the tutorial would loop forever
    transactions, odd = divmod(size - EMPTY_BLOCK_BYTES, TRANSACTION_BYTES)
    if transactions < 0 or odd:
        if left < EMPTY_BLOCK_BYTES:
            raise ClassicInvalid("trailing-bytes", f"{left} that can't begin a block")
        raise ClassicInvalid("bad-block-size", f"{size} is not {EMPTY_BLOCK_BYTES} + 4n")
    if left < size:
        raise ClassicInvalid("truncated-block", f"{left} bytes of {size}")
    count = data[offset + 1 + HEADER_BYTES]
    if count != transactions:
        raise ClassicInvalid("bad-tx-count", f"says {count}, its size says {transactions}")
    return data[offset : offset + size]


def reward_block(header: Header, port: int) -> Block:
    """What a miner makes: the header it solved and one reward to its own port."""
    return Block(header, (Transaction(NO_SENDER, port),))


GENESIS = reward_block(Header(bytes(32), timestamp=1_634_700_000, nonce=70_822), port=7000)
