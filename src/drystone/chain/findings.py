"""What was found out about blocks, so that nodes of one process need not find it out again.

A block's rules look at the block, at those below it, which its header names, and at the chain's
parameters. The clock has a part in none but one, and that one is always asked. So whatever one node
has found about a block holds for all nodes on the same chain, whoever sent it.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from drystone.chain.store import BlockUndo
from drystone.chain.tree import BlockNode, KnownHeader
from drystone.consensus.block import check_block, contextual_check_block, is_block_mutated
from drystone.consensus.connect import BlockChange
from drystone.consensus.errors import BlockInvalid, Rejected
from drystone.consensus.params import Params
from drystone.core.memo import Memo
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash

MOST_TRANSACTIONS: Final = 40_000  # of the blocks in a table
MOST_HEADERS: Final = 20_000


Error = TypeVar("Error", bound=Rejected)


class Finding:
    """What is known of one block, byte for byte, on one chain.

    block: the first that came of those that are equal, for all to hold the same. change, undo: what
    connecting it does to the coins, once all its scripts were found valid. unfit: why it can't be
    connected, if it was tried, with its scripts.
    """

    __slots__ = ("_in_place", "_is_mutated", "_itself", "block", "change", "undo", "unfit")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.change: BlockChange | None = None
        self.undo: BlockUndo | None = None
        self.unfit: BlockInvalid | None = None
        self._is_mutated: bool | None = None
        self._itself: Rejected | bool = False  # False: nobody has looked; True: it is as it must be
        self._in_place: Rejected | bool = False

    def is_mutated(self, *, expect_commitment: bool) -> bool:
        """As `consensus.block.is_block_mutated`. expect_commitment: the same for all who ask."""
        if self._is_mutated is None:
            self._is_mutated = is_block_mutated(self.block, expect_commitment=expect_commitment)
        return self._is_mutated

    def check(self, params: Params) -> None:
        """As `consensus.block.check_block`. Raises BlockInvalid, BlockMutated."""
        if self._itself is False:
            self._itself = _outcome(lambda: check_block(self.block, params))
        _tell(self._itself)

    def check_in_place(self, height: int, previous_median_time: int, params: Params) -> None:
        """As `consensus.block.contextual_check_block`. Raises BlockInvalid, BlockMutated."""
        if self._in_place is False:
            self._in_place = _outcome(
                lambda: contextual_check_block(
                    self.block,
                    height=height,
                    previous_median_time=previous_median_time,
                    params=params,
                )
            )
        _tell(self._in_place)

    def connected(self, change: BlockChange) -> BlockUndo:
        """It can be connected, scripts and all. Returns its undo data."""
        if self.undo is None:
            self.change = change
            self.undo = BlockUndo(tuple(change.spent.items()))
        return self.undo


def _outcome(check: Callable[[], None]) -> Rejected | bool:
    try:
        check()
    except Rejected as error:
        return again(error)
    return True


def _tell(outcome: Rejected | bool) -> None:  # noqa: FBT001
    if isinstance(outcome, Rejected):
        raise again(outcome)


def again(error: Error) -> Error:
    """The same error, without the calls that it came through: those would be kept with it."""
    return type(error)(error.reason, error.detail)


class Findings:
    """A table of them, for one chain's parameters; several nodes may share it.

    What a block's header names is not all of it: the same header may come with other witnesses, or
    with transactions repeated. So blocks are known by their header's and all wtxids, which are
    hashes of every byte there is. most_transactions: of the blocks that are remembered; 0: none.
    """

    def __init__(
        self,
        params: Params,
        *,
        most_transactions: int = MOST_TRANSACTIONS,
        most_headers: int = MOST_HEADERS,
    ) -> None:
        self.params = params
        self._is_kept = most_transactions > 0
        self._blocks: Memo[bytes, Finding] = Memo(most_transactions)
        self._headers: Memo[BlockHash, KnownHeader] = Memo(most_headers)
        self.header = self._headers.get  # one that keeps all rules but perhaps the clock's
        self._last: tuple[Block, Finding] | None = None  # what was asked for, and found

    @classmethod
    def none(cls, params: Params) -> "Findings":
        """A table that remembers nothing, for whoever is alone."""
        return cls(params, most_transactions=0, most_headers=0)

    def of(self, block: Block) -> Finding:
        """What is known of a block."""
        if not self._is_kept:
            return Finding(block)
        if self._last is not None and self._last[0] is block:
            return self._last[1]
        key = identity(block)
        finding = self._blocks.get(key)
        if finding is None:
            finding = Finding(block)
            self._blocks.put(key, finding, max(1, len(block.vtx)))
        self._last = block, finding
        return finding

    def keeps_rules(self, node: BlockNode) -> None:
        """Take note of such a header."""
        if self._is_kept:
            known = KnownHeader(node.header, node.chainwork, node.median_time_past)
            self._headers.put(node.hash, known)


def identity(block: Block) -> bytes:
    """Hashes of all of a block's bytes: two blocks that share them are equal."""
    return b"".join([block.header.hash, *[tx.wtxid for tx in block.vtx]])
