"""Telling peers of new blocks, each in the way that it prefers.

```
headers         "sendheaders" (BIP130)              the header, if it has the one before
compact block   "sendcmpct" in high-bandwidth mode  likewise, when there is just one (BIP152)
inv             otherwise, or after a deep reorganisation
```
"""

from typing import Final

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import TipChange
from drystone.chain.tree import BlockNode
from drystone.node.connection import Connection
from drystone.node.serving import Serving
from drystone.node.turn import Turn
from drystone.p2p.download import BlockDownload
from drystone.p2p.messages import Headers, Inv, Inventory
from drystone.p2p.protocol import MSG_BLOCK

MAX_BLOCKS_TO_ANNOUNCE: Final = 8


class Announcing:
    """What is to be told to whom."""

    def __init__(self, chain: ChainState, download: BlockDownload, serving: Serving) -> None:
        self._chain = chain
        self._download = download
        self._serving = serving
        self._headers: tuple[BlockNode, bytes] | None = None  # the last that were told, as bytes

    def queue(self, conn: Connection, change: TipChange) -> None:
        """The tip has moved: a peer is to hear of the blocks that came, the last few at most."""
        # One more than may be announced, so that it shows that there are too many.
        conn.blocks_to_announce += change.connected[-(MAX_BLOCKS_TO_ANNOUNCE + 1) :]

    def announce(self, conn: Connection, turn: Turn) -> None:
        """Tell a peer what is queued for it."""
        nodes, conn.blocks_to_announce = conn.blocks_to_announce, []
        peer = conn.peer
        wants_compact = peer.wants_cmpctblocks and len(nodes) == 1
        news: list[BlockNode] | None = None
        if len(nodes) <= MAX_BLOCKS_TO_ANNOUNCE and (peer.prefers_headers or wants_compact):
            news = self._connecting(conn, nodes)
        if news is None:
            self._by_inv(conn, nodes[-1], turn)
        elif news:
            if peer.wants_cmpctblocks and len(news) == 1:
                self._serving.send_compact(conn, news[0], turn)
            elif peer.prefers_headers:
                self._by_headers(conn, news, turn)
            else:
                self._by_inv(conn, news[-1], turn)
                return
            conn.best_header_sent = news[-1]

    def _connecting(self, conn: Connection, nodes: list[BlockNode]) -> list[BlockNode] | None:
        """Those that a peer lacks and whose headers it can connect; None if it can't."""
        news: list[BlockNode] = []
        best, sent = self._download.best_known(conn.id), conn.best_header_sent
        for node in nodes:
            if not self._chain.is_active(node) or (news and node.parent is not news[-1]):
                return None  # reorganised meanwhile
            if not news:
                if _is_below(node, best, sent):
                    continue
                if node.parent is not None and not _is_below(node.parent, best, sent):
                    return None
            news.append(node)
        return news

    def _by_headers(self, conn: Connection, nodes: list[BlockNode], turn: Turn) -> None:
        if len(nodes) > 1:
            turn.send(conn, Headers(tuple([node.header for node in nodes])))
            return
        if self._headers is None or self._headers[0] is not nodes[0]:
            self._headers = nodes[0], Headers((nodes[0].header,)).encode()
        turn.send_payload(conn, Headers.command, self._headers[1])

    def _by_inv(self, conn: Connection, node: BlockNode, turn: Turn) -> None:
        if not self.has_header(conn, node):
            turn.send(conn, Inv((Inventory(MSG_BLOCK, node.hash),)))

    def has_header(self, conn: Connection, node: BlockNode) -> bool:
        """Whether a peer has a header, as far as we know. Core: PeerHasHeader."""
        return _is_below(node, self._download.best_known(conn.id), conn.best_header_sent)


def _is_below(node: BlockNode, one: BlockNode | None, other: BlockNode | None) -> bool:
    """Whether a block is one of two others, or below one."""
    if one is node or other is node:
        return True
    height = node.height
    return (one is not None and one.height > height and one.descends_from(node)) or (
        other is not None and other.height > height and other.descends_from(node)
    )
