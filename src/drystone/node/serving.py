"""Answers to peers that ask for headers, blocks and transactions."""

from collections.abc import Callable
from typing import Final, Protocol

from drystone.chain.chainstate import ChainState
from drystone.chain.tree import BlockNode
from drystone.node.connection import Connection
from drystone.node.turn import Turn
from drystone.p2p.compact import CompactBlockInvalid, compact_bytes, requested_transactions
from drystone.p2p.handshake import Permissions
from drystone.p2p.messages import (
    BlockMessage,
    GetBlocks,
    GetBlockTxn,
    GetData,
    GetHeaders,
    Headers,
    Inv,
    Inventory,
    NotFound,
    TxMessage,
)
from drystone.p2p.protocol import (
    MAX_HEADERS_RESULTS,
    MSG_BLOCK,
    MSG_CMPCT_BLOCK,
    MSG_WITNESS_BLOCK,
    MSG_WTX,
)
from drystone.primitives.block import Block
from drystone.primitives.codec import compact_size
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import Transaction

MAX_GETBLOCKS_RESULTS: Final = 500
MAX_CMPCTBLOCK_DEPTH: Final = 5  # older blocks are sent whole: who asks will have little of them
MAX_BLOCKTXN_DEPTH: Final = 10
STALE_RELAY_AGE_S: Final = (
    30 * 24 * 3600
)  # blocks off the chain that are older are nobody's business
ITEM_BYTES: Final = 1_000  # what looking for an item counts for, besides what is sent
MAX_UNSERVED: Final = 50_000  # items that one peer may have asked for; Core: MAX_INV_SZ


class Transactions(Protocol):
    """Where to look for transactions that peers ask for."""

    def find(self, conn: Connection, item: Inventory) -> Transaction | None:
        """One that a peer may know of."""


class Serving:
    """Answers from the chain. best_header: the best one known, whose time says how old is old."""

    def __init__(
        self,
        chain: ChainState,
        transactions: Transactions,
        best_header: Callable[[], BlockNode],
        compact_nonce: Callable[[], int],
    ) -> None:
        self._chain = chain
        self._transactions = transactions
        self._best_header = best_header
        self._compact_nonce = compact_nonce
        self._compact: tuple[BlockHash, bytes] | None = None  # the last one made

    # Headers and hashes.

    def headers(self, conn: Connection, asked: GetHeaders, turn: Turn) -> None:
        """Answer a getheaders."""
        chain = self._chain
        may_ask_early = Permissions.DOWNLOAD in conn.peer.permissions
        if chain.tip.chainwork < chain.params.minimum_chainwork and not may_ask_early:
            turn.send(conn, Headers(()))  # so that it asks somebody else
            return
        if asked.locator.hashes:
            first = chain.fork_with(asked.locator).height + 1
            nodes = self._from(first, asked.stop, MAX_HEADERS_RESULTS)
        else:
            node = chain.tree.get(asked.stop)
            if node is None or not self._may_have(node):
                return
            nodes = [node]
        # If the answer is the tip or nothing, later blocks may be announced on top of it.
        conn.best_header_sent = nodes[-1] if nodes else chain.tip
        turn.send(conn, Headers(tuple([node.header for node in nodes])))

    def hashes(self, conn: Connection, asked: GetBlocks, turn: Turn) -> None:
        """Answer a getblocks."""
        first = self._chain.fork_with(asked.locator).height + 1
        nodes = self._from(first, asked.stop, MAX_GETBLOCKS_RESULTS)
        if nodes and nodes[-1].hash == asked.stop:
            nodes.pop()  # Core quirk: the one at which to stop is not told
        if not nodes:
            return
        if len(nodes) == MAX_GETBLOCKS_RESULTS:
            conn.continue_at = nodes[-1].hash
        turn.send(conn, Inv(tuple([Inventory(MSG_BLOCK, node.hash) for node in nodes])))

    def _from(self, first: int, stop: BlockHash, most: int) -> list[BlockNode]:
        """The chain's blocks from a height on."""
        nodes = []
        for height in range(first, min(first + most, self._chain.height + 1)):
            node = self._chain.at(height)
            nodes.append(node)
            if node.hash == stop:
                break
        return nodes

    # Blocks and transactions.

    def take(self, conn: Connection, asked: GetData, turn: Turn) -> None:
        """Queue what a getdata asks for; `serve` sends it."""
        if len(conn.unserved) + len(asked.items) > MAX_UNSERVED:
            turn.misbehaving(conn, f"getdata for more than {MAX_UNSERVED} items")
            return
        conn.unserved += asked.items

    def serve(self, conn: Connection, turn: Turn) -> None:
        """Send what was asked for, as much as is good at once. Core: ProcessGetData."""
        missing: list[Inventory] = []
        while conn.unserved and not turn.is_long:
            item = conn.unserved.popleft()
            turn.spent_bytes += ITEM_BYTES
            if item.is_tx:
                self._serve_tx(conn, item, turn, missing)
            elif item.is_block or item.type == MSG_CMPCT_BLOCK:
                self._serve_block(conn, item, turn)
            if conn.peer.is_closed:
                return
        if missing:
            turn.send(conn, NotFound(tuple(missing)))

    def _serve_tx(
        self, conn: Connection, item: Inventory, turn: Turn, missing: list[Inventory]
    ) -> None:
        if not conn.peer.may_ask_transactions:
            return
        tx = self._transactions.find(conn, item)
        if tx is None:
            missing.append(item)
            return
        is_stripped = item.type != MSG_WTX and not item.type >> 30
        payload = tx.encode_stripped() if is_stripped else TxMessage(tx).encode()
        turn.send_payload(conn, TxMessage.command, payload)

    def _serve_block(self, conn: Connection, item: Inventory, turn: Turn) -> None:
        chain = self._chain
        block_hash = BlockHash(item.hash)
        node = chain.tree.get(block_hash)
        if node is None or not node.has_data or not self._may_have(node):
            return  # Core quirk: no notfound for blocks
        if item.type == MSG_WITNESS_BLOCK:
            payload = chain.block_bytes(block_hash)
            turn.send_payload(conn, BlockMessage.command, payload)
        elif item.type == MSG_CMPCT_BLOCK:
            self.send_compact(conn, node, turn)
        else:
            payload = stripped_bytes(chain.block(block_hash))
            turn.send_payload(conn, BlockMessage.command, payload)
        if conn.continue_at == block_hash:
            conn.continue_at = None
            turn.send(conn, Inv((Inventory(MSG_BLOCK, chain.tip.hash),)))

    def send_compact(self, conn: Connection, node: BlockNode, turn: Turn) -> None:
        """A block as a compact one, or whole if it is an old one."""
        chain = self._chain
        if node.height < chain.height - MAX_CMPCTBLOCK_DEPTH or not chain.is_active(node):
            payload = chain.block_bytes(node.hash)
            turn.send_payload(conn, BlockMessage.command, payload)
            return
        if self._compact is None or self._compact[0] != node.hash:
            made = compact_bytes(chain.block(node.hash), self._compact_nonce())
            self._compact = node.hash, made
        turn.send_payload(conn, "cmpctblock", self._compact[1])

    def missing_transactions(self, conn: Connection, asked: GetBlockTxn, turn: Turn) -> None:
        """Answer a getblocktxn."""
        chain = self._chain
        node = chain.tree.get(asked.block_hash)
        if node is None or not node.has_data:
            return
        if node.height < chain.height - MAX_BLOCKTXN_DEPTH:
            # A whole block instead, so that such requests cost whoever sends them as much as us.
            conn.unserved.append(Inventory(MSG_WITNESS_BLOCK, node.hash))
            return
        if not self._may_have(node):
            return
        block = chain.block(node.hash)
        turn.spent_bytes += block.total_size  # it may have to be read
        try:
            answer = requested_transactions(block, asked)
        except CompactBlockInvalid as error:
            turn.misbehaving(conn, str(error))
            return
        turn.send(conn, answer)

    def _may_have(self, node: BlockNode) -> bool:
        """Whether a peer may know that we know a block. Core: BlockRequestAllowed.

        Off the chain, only what is valid and recent: anything else would tell nodes apart.
        """
        if self._chain.is_active(node):
            return True
        best = self._best_header()
        return (
            node.was_connected
            and best.header.time - node.header.time < STALE_RELAY_AGE_S
            and best.height - node.height < STALE_RELAY_AGE_S // self._chain.params.pow_spacing_s
        )


def stripped_bytes(block: Block) -> bytes:
    """A block without witnesses, for those who don't ask for them."""
    transactions = b"".join([tx.encode_stripped() for tx in block.vtx])
    return block.header.encode() + compact_size(len(block.vtx)) + transactions
