"""Compact blocks on their way to becoming whole (BIP152): at most a few, each of a few peers."""

from collections.abc import Callable, Iterable
from typing import Final

from drystone.p2p.compact import PartialBlock
from drystone.p2p.messages import CmpctBlock
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import Transaction

EXTRA_TRANSACTIONS: Final = 100  # Core: DEFAULT_BLOCK_RECONSTRUCTION_EXTRA_TXN

Transactions = Callable[[], Iterable[Transaction]]
"""All that might be in a block."""


class PartialBlocks:
    """By peer and block; a peer's go with it."""

    def __init__(self) -> None:
        self._partial: dict[tuple[int, BlockHash], PartialBlock] = {}
        self._extra: dict[bytes, Transaction] = {}  # that were refused or replaced lately

    def begin(self, peer: int, message: CmpctBlock, known: Transactions) -> PartialBlock:
        """Raises CompactBlockInvalid, CompactBlockFailed."""
        partial = PartialBlock(message)
        if not partial.is_complete:
            partial.fill(known())
            partial.fill(self._extra.values())
            partial.forget_ids()
        self._partial[peer, message.header.hash] = partial
        return partial

    def has_begun(self, peer: int, block_hash: BlockHash) -> bool:
        """Whether a peer has sent this one before: it need not cost anything again."""
        return (peer, block_hash) in self._partial

    def take(self, peer: int, block_hash: BlockHash) -> PartialBlock | None:
        """One that a peer was asked to complete; it is no longer here."""
        return self._partial.pop((peer, block_hash), None)

    def forget_block(self, block_hash: BlockHash) -> None:
        """The block is here."""
        for key in [key for key in self._partial if key[1] == block_hash]:
            del self._partial[key]

    def forget_peer(self, peer: int) -> None:
        """It is gone."""
        for key in [key for key in self._partial if key[0] == peer]:
            del self._partial[key]

    def remember(self, tx: Transaction) -> None:
        """A transaction that is not in the mempool, and may yet be in a block."""
        self._extra.pop(tx.wtxid, None)
        self._extra[tx.wtxid] = tx
        if len(self._extra) > EXTRA_TRANSACTIONS:
            del self._extra[next(iter(self._extra))]

    def __len__(self) -> int:
        return len(self._partial)
