"""News of nodes in words, and as fields for scripts.

What a node announces is a value (`node.events.News`). Here it becomes a sentence, for who watches
a terminal, and a flat dict that JSON can show, for who watches with a program.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from drystone.consensus.pow import block_work
from drystone.node.events import (
    BlockRefused,
    News,
    NewTip,
    Overheard,
    PeerLeft,
    PeerReady,
    TxAccepted,
    TxRefused,
    TxRemoved,
)
from drystone.primitives.hashes import display

Fields = dict[str, Any]

SHOWN_HASH: Final = 12  # digits; the whole one is among the fields


class Told(NamedTuple):
    """One thing that happened. kind: what it is called as an event."""

    kind: str
    line: str
    fields: Fields


def told(
    news: News,
    *,
    miner_of: Callable[[NewTip], str | None] = lambda _news: None,
    peer_name: Callable[[int], str] = lambda peer: f"peer {peer}",
) -> Told:
    """News in words. miner_of: who mined the new tip, if that is known."""
    match news:
        case NewTip():
            return _tip(news, miner_of(news))
        case BlockRefused(block_hash, error):
            fields = {"hash": display(block_hash), "reason": error.reason}
            return Told("block-refused", f"refuses block {shown(block_hash)}: {error}", fields)
        case PeerReady(peer) | PeerLeft(peer) | Overheard(peer):
            return _peer(news, peer_name(peer))
        case TxAccepted() | TxRemoved() | TxRefused():
            return _transaction(news)


def _tip(news: NewTip, miner: str | None) -> Told:
    change = news.change
    new, gone = change.new, len(change.disconnected)
    fields: Fields = {
        "height": new.height,
        "hash": display(new.hash),
        "miner": miner,
        "connected": len(change.connected),
        "disconnected": gone,
        "hashes_per_block": block_work(new.header.bits),
    }
    if gone:
        fields["fork_height"] = new.height - len(change.connected)
        lost = f"{gone} block{'s' * (gone != 1)} give{'s' * (gone == 1)} way"
        line = f"REORG at {fields['fork_height']}: {lost} to {len(change.connected)}, "
        return Told("reorg", line + f"tip {new.height} {shown(new.hash)}", fields)
    many = f", {len(change.connected):,} at once" if len(change.connected) > 1 else ""
    by = f" of {miner}" if miner is not None else ""
    return Told("tip", f"block {new.height} {shown(new.hash)}{by}{many}", fields)


def _peer(news: PeerReady | PeerLeft | Overheard, name: str) -> Told:
    fields: Fields = {"peer": news.peer, "name": name}
    match news:
        case PeerReady():
            return Told("peer", f"is connected to {name}", fields)
        case PeerLeft(_, reason, misbehaved):
            line = f"{'disconnects' if misbehaved else 'has lost'} {name}: {reason}"
            return Told("peer-left", line, {**fields, "reason": reason, "misbehaved": misbehaved})
        case Overheard(_, what, reason):
            line = f"overhears {what} from {name}: {reason}"
            return Told("overheard", line, {**fields, "what": what, "reason": reason})


def _transaction(news: TxAccepted | TxRemoved | TxRefused) -> Told:
    fields: Fields = {"txid": display(news.tx.txid)}
    name = f"transaction {shown(news.tx.txid)}"
    match news:
        case TxAccepted():
            return Told("tx", f"takes in {name}", fields)
        case TxRemoved(_, why):
            return Told("tx-removed", f"drops {name}: {why}", {**fields, "reason": str(why)})
        case TxRefused(_, error):
            return Told(
                "tx-refused", f"refuses {name}: {error}", {**fields, "reason": error.reason}
            )


def shown(hash_: bytes) -> str:
    """Enough of a hash to tell it from others by eye."""
    return f"{display(hash_)[:SHOWN_HASH]}..."
