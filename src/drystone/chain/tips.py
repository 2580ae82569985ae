"""Where branches end: the tip, and every block off the chain that none builds on."""

from enum import StrEnum
from typing import NamedTuple

from drystone.chain.chainstate import ChainState
from drystone.chain.store import Validity
from drystone.chain.tree import BlockNode, fork_of
from drystone.primitives.hashes import BlockHash


class TipStatus(StrEnum):
    """What is known of a branch, in the reference client's words."""

    ACTIVE = "active"  # the tip of the chain
    VALID_FORK = "valid-fork"  # all of it was found valid: it was the chain, or on the way to it
    VALID_HEADERS = "valid-headers"  # all blocks are here; the last was never tried on the coins
    HEADERS_ONLY = "headers-only"  # the block, or one below it, hasn't come
    INVALID = "invalid"  # the block, or one below it, is


class ChainTip(NamedTuple):
    """The end of a branch."""

    height: int
    hash: BlockHash
    branch_length: int  # blocks that aren't in the chain
    status: TipStatus


def chain_tips(chain: ChainState) -> list[ChainTip]:
    """The ends of all branches, the highest first; of one height, the one known first.

    The chain's tip is among them even where headers go on from it. Core: getchaintips.
    """
    ends = dict.fromkeys([chain.tip, *chain.tree.leaves])
    tips = [
        ChainTip(
            node.height,
            node.hash,
            node.height - fork_of(node, chain.tip).height,
            _status(chain, node),
        )
        for node in ends
    ]
    return sorted(tips, key=lambda tip: -tip.height)


def _status(chain: ChainState, node: BlockNode) -> TipStatus:
    if node is chain.tip:
        return TipStatus.ACTIVE
    if node.is_failed:
        return TipStatus.INVALID
    if not node.is_complete:
        return TipStatus.HEADERS_ONLY
    if node.validity is Validity.SCRIPTS:
        return TipStatus.VALID_FORK
    return TipStatus.VALID_HEADERS
