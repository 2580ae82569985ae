"""What headers are worth: whether they can be right, how much work they took, which is the best."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from drystone.chain.chainstate import ChainState
from drystone.chain.tree import BlockNode
from drystone.consensus.errors import BlockInvalid
from drystone.consensus.header import check_header
from drystone.consensus.pow import block_work
from drystone.primitives.block import BlockHeader

NEAR_TIP_BLOCKS: Final = 144  # worth of work that a branch may lack, and still be looked at


class HeaderTip:
    """The best header known, which may be far ahead of the best block. Core: m_best_header."""

    def __init__(self, chain: ChainState) -> None:
        self._chain = chain
        self._best = chain.tip
        self.consider(*chain.tree.leaves)

    @property
    def best(self) -> BlockNode:
        """The header with the most work of which nothing bad is known."""
        if self._best.is_failed:
            self._best = self._chain.tip
            self.consider(*self._chain.tree.leaves)
        return self._best

    def consider(self, *nodes: BlockNode) -> None:
        """These are known now."""
        for known in nodes:
            node = known
            while node.is_failed and node.parent is not None:
                node = node.parent
            if node.chainwork > self._best.chainwork:
                self._best = node

    def covers(self, node: BlockNode) -> bool:
        """Whether a header is below the best, or in the chain, so that its work is known."""
        return self._chain.is_active(node) or self.best.descends_from(node)


def check_headers(headers: Sequence[BlockHeader], chain: ChainState) -> str | None:
    """What is wrong with headers whatever they build on, if anything. Core: CheckHeadersPoW."""
    try:
        for header in headers:
            if not chain.keeps_rules(header):
                check_header(header, chain.params)
    except BlockInvalid:
        return "header with invalid proof of work"
    for below, header in pairwise(headers):
        if header.prev_hash != below.hash:
            return "non-continuous headers sequence"
    return None


def work_threshold(chain: ChainState) -> int:
    """The work of a branch that is worth our memory. Core: GetAntiDoSWorkThreshold.

    Whoever makes less could fill it with headers at the difficulty of the chain's first days.
    """
    tip = chain.tip
    near_tip = tip.chainwork - min(NEAR_TIP_BLOCKS * block_work(tip.header.bits), tip.chainwork)
    return max(near_tip, chain.params.minimum_chainwork)


def claimed_work(headers: Sequence[BlockHeader]) -> int:
    """What headers took, if their bits are right. Core: CalculateClaimedHeadersWork."""
    return sum([block_work(header.bits) for header in headers])
