"""What a node and its links hold in memory, counted, and how much that may be."""

from collections.abc import Iterator
from typing import NamedTuple

from drystone.node.blocks import MAX_SOURCES
from drystone.node.connection import MAX_HELD_BYTES, Connection
from drystone.node.node import Node
from drystone.p2p.download import (
    MAX_BLOCKS_IN_TRANSIT_PER_PEER,
    MAX_CMPCTBLOCKS_INFLIGHT_PER_BLOCK,
)
from drystone.p2p.requests import MAX_PEER_TX_ANNOUNCEMENTS
from drystone.primitives.transaction import OutPoint


class Held(NamedTuple):
    """Something that is held, and the most of it that may be."""

    what: str
    amount: int
    most: int


def held_by(node: Node, *, transactions: int, blocks: int) -> Iterator[Held]:
    """All that could grow, under limits that follow from how much there is in the world at all.

    transactions: that were ever sent. blocks: that were ever found, besides a history.
    """
    peers = len(node.peers)
    known, requests = node.transactions, node.transactions._requests
    yield Held("mempool, transactions", len(node.mempool), transactions)
    yield Held("mempool, bytes", node.mempool.usage_bytes, 10_000 * transactions)
    yield Held("orphans", len(known.orphans), transactions)
    yield Held("orphans, weight", known.orphans.weight, 404_000 * peers)
    yield Held("announcements that were heard", len(requests), transactions * peers)
    yield Held("what these wait for", len(requests._heap), 4 * (transactions * peers + 20))
    yield Held("refused transactions", len(known._rejects), transactions)
    yield Held("blocks in flight", len(node.blocks.download), 16 * peers)
    most_partial = min(peers, MAX_CMPCTBLOCKS_INFLIGHT_PER_BLOCK) * (blocks + 1)
    yield Held("partial blocks", len(node.blocks.partial), most_partial)
    yield Held("transactions for these", len(node.blocks.partial._extra), transactions)
    yield Held("blocks' senders", len(node.blocks._sources), min(blocks, MAX_SOURCES))
    yield Held("relays", len(known._relays), peers)
    yield Held("alarms", len(node._alarms._heap), 8 * (peers + 20))
    for id_, conn in node.peers.items():
        yield from _held_for(node, id_, conn, transactions, blocks)


def _held_for(
    node: Node, id_: int, conn: Connection, transactions: int, blocks: int
) -> Iterator[Held]:
    requests = node.transactions._requests
    yield Held("one peer's unheard bytes", conn.held_bytes, MAX_HELD_BYTES)
    yield Held("one peer's unserved wishes", len(conn.unserved), transactions + blocks)
    yield Held("one peer's messages", len(conn.results), 1_000)
    yield Held("one peer's news", len(conn.blocks_to_announce), blocks)
    in_flight = len(node.blocks.download.in_flight(id_)) if conn.is_ready else 0
    yield Held("one peer's blocks in flight", in_flight, MAX_BLOCKS_IN_TRANSIT_PER_PEER)
    heard = requests.count(id_)
    yield Held("one peer's announcements", heard, min(transactions, MAX_PEER_TX_ANNOUNCEMENTS))


def left_over(node: Node) -> dict[str, int]:
    """What a node that has nothing to do should hold no more, as far as it does."""
    known = node.transactions
    ready = [tx for tx in known.orphans if all(_has(node, txin.prevout) for txin in tx.vin)]
    counts = {
        "orphans that could be accepted": len(ready),  # those of spent coins wait in vain
        "announcements that were heard": len(known._requests),
        "announcements to make": sum(
            len(listener.queue) for listener in known._relay._listeners.values()
        ),
        "blocks in flight": len(node.blocks.download),
        "partial blocks": len(node.blocks.partial),
        "bytes unheard": sum(conn.held_bytes for conn in node.peers.values()),
        "wishes unserved": sum(len(conn.unserved) for conn in node.peers.values()),
        "messages": sum(len(conn.results) for conn in node.peers.values()),
        "news to tell": sum(len(conn.blocks_to_announce) for conn in node.peers.values()),
    }
    return {what: count for what, count in counts.items() if count}


def _has(node: Node, outpoint: OutPoint) -> bool:
    if node.mempool.spender(outpoint) is not None:
        return False
    return node.chain.coin(outpoint) is not None or outpoint.txid in node.mempool
