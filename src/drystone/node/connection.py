"""A connection as the node sees it: the peer's machine, and what node and peer know together."""

from collections import deque
from typing import Final

from drystone.chain.tree import BlockNode
from drystone.core.time import Time
from drystone.p2p.messages import Inventory
from drystone.p2p.peer import Peer
from drystone.p2p.results import Result
from drystone.primitives.hashes import BlockHash

MAX_HELD_BYTES: Final = (
    5_000_000  # of what a peer sends while it is being served. Core: -maxreceivebuffer
)
CHUNK_BYTES: Final = 128  # what each piece takes in memory besides its bytes, and counts for
NEVER_NS: Final = 1 << 63


class Connection:
    """One peer. Core: CNode, Peer and CNodeState in one."""

    __slots__ = (
        "best_header_sent",
        "blocks_to_announce",
        "continue_at",
        "has_sent_sendheaders",
        "held_bytes",
        "id",
        "is_chosen",
        "is_gone",
        "is_high_bandwidth",
        "is_paused",
        "is_ready",
        "last_block_s",
        "last_tx_s",
        "opened",
        "peer",
        "results",
        "serves_blocks",
        "unparsed",
        "unserved",
        "watched_ns",
    )

    def __init__(self, id_: int, peer: Peer, opened: Time) -> None:
        self.id = id_
        self.peer = peer
        self.opened = opened
        self.is_ready = False  # the handshake is over
        self.is_gone = False  # the node has done with it
        self.is_paused = False  # it does not take what it is sent

        self.watched_ns = NEVER_NS  # when the node wakes for its time-outs
        # What it has said and we have not come to yet; in order, and only while it is served.
        self.results: deque[Result] = deque()
        self.unparsed: deque[bytes] = deque()
        self.held_bytes = 0
        self.unserved: deque[Inventory] = deque()  # what it asked for and has not been sent

        # Blocks.
        self.serves_blocks = False
        self.is_chosen = False  # we dialled it of our own accord
        self.best_header_sent: BlockNode | None = None
        self.blocks_to_announce: list[BlockNode] = []
        self.continue_at: BlockHash | None = None  # asked for this one, it is told of the tip
        self.has_sent_sendheaders = False
        self.is_high_bandwidth = False  # we have asked it for compact blocks without asking
        self.last_block_s = 0  # unix: when it gave us a block that was new
        self.last_tx_s = 0

    @property
    def is_waiting(self) -> bool:
        """Whether it has said or asked for something that the node has not come to yet."""
        return bool(self.unserved or self.results or self.unparsed)
