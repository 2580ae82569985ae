"""What goes into a chain, and what comes of it."""

from typing import ClassVar

from drystone.chain.tree import BlockNode
from drystone.consensus.errors import Rejected
from drystone.core.record import Record
from drystone.primitives.block import Block
from drystone.primitives.transaction import Transaction


class TipChange(Record):
    """What a move of the tip meant. Blocks can be read by their nodes' hashes.

    disconnected: the old tip first. connected: the new tip last. unconfirmed: transactions that
    were in blocks and aren't any more, those first that others may depend on; no coinbases.
    """

    __slots__ = ("connected", "disconnected", "new", "old", "unconfirmed")
    __match_args__: ClassVar[tuple[str, ...]] = (
        "old",
        "new",
        "disconnected",
        "connected",
        "unconfirmed",
    )

    def __init__(
        self,
        old: BlockNode,
        new: BlockNode,
        disconnected: tuple[BlockNode, ...],
        connected: tuple[BlockNode, ...],
        unconfirmed: tuple[Transaction, ...],
    ) -> None:
        self.old = old
        self.new = new
        self.disconnected = disconnected
        self.connected = connected
        self.unconfirmed = unconfirmed


class Outcome(Record):
    """What became of a block that was submitted.

    node: its place in the tree, if it has one. is_new: its data weren't known. error: why it was
    refused, or found invalid when it was connected.
    """

    __slots__ = ("error", "is_new", "node")
    __match_args__: ClassVar[tuple[str, ...]] = ("node", "is_new", "error")

    def __init__(self, node: BlockNode | None, *, is_new: bool, error: Rejected | None) -> None:
        self.node = node
        self.is_new = is_new
        self.error = error


class Submission(Record):
    """What became of blocks that were submitted together, and of the tip."""

    __slots__ = ("change", "outcomes")
    __match_args__: ClassVar[tuple[str, ...]] = ("outcomes", "change")

    def __init__(self, outcomes: tuple[Outcome, ...], change: TipChange | None) -> None:
        self.outcomes = outcomes
        self.change = change

    @property
    def error(self) -> Rejected | None:
        """The first error, if any."""
        return next((outcome.error for outcome in self.outcomes if outcome.error), None)


class Arrival(Record):
    """A block, and its bytes where they are at hand."""

    __slots__ = ("block", "encoded")
    __match_args__: ClassVar[tuple[str, ...]] = ("block", "encoded")

    def __init__(self, block: Block, encoded: bytes | None = None) -> None:
        self.block = block
        self.encoded = encoded
