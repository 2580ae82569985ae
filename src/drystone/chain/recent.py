"""Blocks that are likely to be asked for again soon."""

from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash


class RecentBlocks:
    """The blocks last seen, decoded: so many transactions of them.

    The store has them all; but the tip's block is wanted by miner, peers and mempool alike, and a
    reorganisation wants those below it.
    """

    def __init__(self, most_transactions: int = 20_000) -> None:
        self._most = most_transactions
        self._held = 0
        self._blocks: dict[BlockHash, Block] = {}

    def get(self, block_hash: BlockHash) -> Block | None:
        """The block, or None if it isn't held."""
        return self._blocks.get(block_hash)

    def put(self, block: Block) -> None:
        """Hold a block, and let go of the oldest if it gets too much."""
        if block.header.hash in self._blocks:
            return
        self._blocks[block.header.hash] = block
        self._held += len(block.vtx)
        while self._held > self._most and len(self._blocks) > 1:
            oldest = next(iter(self._blocks))
            self._held -= len(self._blocks.pop(oldest).vtx)
