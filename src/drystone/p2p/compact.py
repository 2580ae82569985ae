"""Compact blocks: a block's transactions by short ids, and the block put together again (BIP152).

```
announcing peer            header, short ids, the coinbase  ->  finds most in its memory pool
the block's transactions   <-  getblocktxn: places of the others
                           blocktxn: the others             ->  the block
```

A short id is the 48 low bits of a wtxid's SipHash, under a key that each message makes anew: nobody
can prepare two transactions of the same short id.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Final, Protocol

from drystone.consensus.block import is_block_mutated
from drystone.crypto.siphash import siphash_of_hashes
from drystone.p2p.messages.compact import (
    MAX_INDEX,
    BlockTxn,
    CmpctBlock,
    GetBlockTxn,
    PrefilledTransaction,
    encoded_compact,
)
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.codec import u64
from drystone.primitives.transaction import Transaction

_SHORT_ID_MASK: Final = (1 << 48) - 1
_HASHED_AT_ONCE: Final = 4096  # transactions of the pool, before a look whether all are found


class CompactBlockInvalid(Exception):
    """No honest peer sends this: disconnect. The text is the reference client's."""


class CompactBlockFailed(Exception):
    """Two transactions share a short id: nobody's fault. Ask for the whole block."""


def short_ids(header: BlockHeader, nonce: int, wtxids: Sequence[bytes]) -> list[int]:
    """48 bits for each, by a key made of header and nonce. Core: GetShortID."""
    if not wtxids:
        return []
    key = sha256(header.encode() + u64(nonce)).digest()
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:16], "little")
    return [id_ & _SHORT_ID_MASK for id_ in siphash_of_hashes(k0, k1, wtxids)]


def compact_block(block: Block, nonce: int) -> CmpctBlock:
    """The coinbase, which nobody can have, and short ids of the others. nonce: uint64, random."""
    prefilled = (PrefilledTransaction(0, block.coinbase),)
    wtxids = [tx.wtxid for tx in block.vtx[1:]]
    return CmpctBlock(block.header, nonce, tuple(short_ids(block.header, nonce, wtxids)), prefilled)


def compact_bytes(block: Block, nonce: int) -> bytes:
    """The same as on the wire: each node makes it of each block, with a nonce of its own."""
    ids = short_ids(block.header, nonce, [tx.wtxid for tx in block.vtx[1:]])
    return encoded_compact(block.header, nonce, ids, [(0, block.coinbase_bytes())])


def requested_transactions(block: Block, request: GetBlockTxn) -> BlockTxn:
    """The answer to a getblocktxn. Raises CompactBlockInvalid for places that there aren't."""
    if any(index >= len(block.vtx) for index in request.indexes):
        raise CompactBlockInvalid("getblocktxn with out-of-bounds tx indices")
    return BlockTxn(request.block_hash, tuple([block.vtx[index] for index in request.indexes]))


class IsMutated(Protocol):
    """As `consensus.block.is_block_mutated`, or that itself."""

    def __call__(self, block: Block, *, expect_commitment: bool) -> bool:
        """Whether these can't be the transactions that the header stands for."""


class PartialBlock:
    """A block of which some transactions are still missing. Core: PartiallyDownloadedBlock."""

    def __init__(self, message: CmpctBlock) -> None:
        """Raises CompactBlockInvalid, CompactBlockFailed."""
        self.header = message.header
        self._nonce = message.nonce
        self._transactions = _with_prefilled(message)
        places = [n for n, tx in enumerate(self._transactions) if tx is None]
        self._places = dict(zip(message.short_ids, places, strict=True))
        if len(self._places) != len(places):
            raise CompactBlockFailed("two equal short ids")
        self._wanted = len(places)
        self._ambiguous: set[int] = set()  # places for which there were two transactions

    def fill(self, known: Iterable[Transaction]) -> None:
        """Put in what we have: the memory pool, or others that came lately.

        Of two that have the same short id neither is taken, since one of them is wrong.
        """
        remaining = iter(known)
        while self._wanted and (some := list(islice(remaining, _HASHED_AT_ONCE))):
            ids = short_ids(self.header, self._nonce, [tx.wtxid for tx in some])
            for tx, id_ in zip(some, ids, strict=True):
                place = self._places.get(id_)
                if place is not None:
                    self._put(place, tx)

    def _put(self, place: int, tx: Transaction) -> None:
        there = self._transactions[place]
        if there is None and place not in self._ambiguous:
            self._transactions[place] = tx
            self._wanted -= 1
        elif there is not None and there.wtxid != tx.wtxid:
            self._transactions[place] = None
            self._ambiguous.add(place)
            self._wanted += 1

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, as in a block of nothing but a coinbase."""
        return not self._wanted

    def forget_ids(self) -> None:
        """Nothing more is to be put in by its short id: a hundred bytes for each, given back."""
        self._places = {}

    @property
    def missing(self) -> tuple[int, ...]:
        """Places in the block that are still empty."""
        return tuple([n for n, tx in enumerate(self._transactions) if tx is None])

    def request(self) -> GetBlockTxn:
        """What to ask the peer for."""
        return GetBlockTxn(self.header.hash, self.missing)

    def completed(
        self,
        transactions: Sequence[Transaction] = (),
        *,
        expect_commitment: bool,
        is_mutated: IsMutated = is_block_mutated,
    ) -> Block:
        """The block, the missing places filled in order. Core: FillBlock.

        expect_commitment: whether witnesses are active (BIP141). is_mutated: whom to ask about it.
        Raises CompactBlockInvalid for too few or too many transactions, and CompactBlockFailed if
        the block is not that of the header: one of ours may have the short id of another.
        """
        missing = self.missing
        if len(transactions) != len(missing):
            raise CompactBlockInvalid("invalid compact block/non-matching block transactions")
        vtx = list(self._transactions)
        for place, tx in zip(missing, transactions, strict=True):
            vtx[place] = tx
        block = Block(self.header, tuple([tx for tx in vtx if tx is not None]))
        if is_mutated(block, expect_commitment=expect_commitment):
            raise CompactBlockFailed("these are not the header's transactions")
        return block


def _with_prefilled(message: CmpctBlock) -> list[Transaction | None]:
    """The block's places, with what came whole. Raises CompactBlockInvalid."""
    count = len(message.short_ids) + len(message.prefilled)
    if count == 0 or message.header.bits == 0:  # a header that is null, says the reference client
        raise CompactBlockInvalid("invalid compact block")
    transactions: list[Transaction | None] = [None] * count
    for prefilled in message.prefilled:
        tx, index = prefilled.tx, prefilled.index
        if index > MAX_INDEX or index >= count or not (tx.vin or tx.vout):
            raise CompactBlockInvalid("invalid compact block")
        transactions[index] = tx
    return transactions
