"""The tree of blocks as one node knows it, to be looked at."""

from typing import NamedTuple

from drystone.chain.chainstate import ChainState
from drystone.chain.tree import BlockNode
from drystone.primitives.hashes import BlockHash


class TreeBlock(NamedTuple):
    """A block, or a header whose block has not come."""

    hash: BlockHash
    prev_hash: BlockHash
    height: int
    time: int  # unix seconds
    is_active: bool  # in the chain
    has_data: bool
    failure: str | None  # the rule that it breaks


def tree_of(chain: ChainState, blocks: int) -> tuple[TreeBlock, ...]:
    """All blocks of so many heights below the tip, and above it; parents first."""
    least = chain.height - blocks + 1
    nodes: dict[BlockHash, BlockNode] = {}
    for leaf in [*chain.tree.leaves, chain.tip]:
        node: BlockNode | None = leaf
        while node is not None and node.height >= least and node.hash not in nodes:
            nodes[node.hash] = node
            node = node.parent
    return tuple(
        TreeBlock(
            node.hash,
            node.header.prev_hash,
            node.height,
            node.header.time,
            chain.is_active(node),
            node.has_data,
            node.failure,
        )
        for node in sorted(nodes.values(), key=lambda node: (node.height, node.sequence))
    )
