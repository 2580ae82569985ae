"""Orphans: transactions that came before their parents, kept in case these come.

Nobody can tell an orphan from a transaction that spends coins that never were, so they are kept for
a while and within limits, which each peer has its share of:

```
latency   3,000 in all, split among peers   1 for each announcement, 1 more for 10 inputs
weight    404,000 for each peer             of what it announced
```
A peer may have more while there is room. Once there is none, the one furthest above its share loses
its oldest orphan; so no peer can push out another's.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from drystone.core.chance import Dice
from drystone.mempool.standardness import MAX_STANDARD_WEIGHT
from drystone.primitives.block import Block
from drystone.primitives.hashes import Wtxid
from drystone.primitives.transaction import OutPoint, Transaction

MAX_LATENCY: Final = 3_000  # Core: DEFAULT_MAX_ORPHANAGE_LATENCY_SCORE
WEIGHT_PER_PEER: Final = 404_000  # Core: DEFAULT_RESERVED_ORPHAN_WEIGHT_PER_PEER
INPUTS_PER_LATENCY: Final = 10

Peer = int


class Work(NamedTuple):
    """An orphan whose parent has come, and the peer in whose turn it is to be looked at."""

    wtxid: Wtxid
    peer: Peer


class _Orphan:
    """A transaction, who announced it, and in whose turn it is to be looked at, if it is."""

    __slots__ = ("announcers", "ready_for", "tx")

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx
        self.announcers: dict[Peer, None] = {}
        self.ready_for: Peer | None = None


class _Share:
    """What one peer announced, the oldest first, and how much that is."""

    __slots__ = ("latency", "ready", "waiting", "weight")

    def __init__(self) -> None:
        self.waiting: dict[Wtxid, None] = {}
        self.ready: dict[Wtxid, None] = {}
        self.latency = 0
        self.weight = 0

    @property
    def count(self) -> int:
        return len(self.waiting) + len(self.ready)


class Orphanage:
    """All orphans, by wtxid. Core: TxOrphanage.

    Iterates over the transactions, in the order in which they first came.
    """

    def __init__(
        self, max_latency: int = MAX_LATENCY, weight_per_peer: int = WEIGHT_PER_PEER
    ) -> None:
        self._max_latency = max_latency
        self._weight_per_peer = weight_per_peer
        self._orphans: dict[Wtxid, _Orphan] = {}
        self._shares: dict[Peer, _Share] = {}
        self._by_prevout: dict[OutPoint, dict[Wtxid, None]] = {}
        self._weight = 0  # of each orphan once
        self._announcements = 0
        self._input_latency = 0  # of each orphan once

    # ------------------------------------------------------------------ looking

    def __len__(self) -> int:
        return len(self._orphans)

    def __iter__(self) -> Iterator[Transaction]:
        return (orphan.tx for orphan in self._orphans.values())

    def __contains__(self, wtxid: Wtxid) -> bool:
        return wtxid in self._orphans

    def get(self, wtxid: Wtxid) -> Transaction | None:
        """The transaction."""
        orphan = self._orphans.get(wtxid)
        return None if orphan is None else orphan.tx

    def announcers(self, wtxid: Wtxid) -> tuple[Peer, ...]:
        """Who announced it, in that order."""
        orphan = self._orphans.get(wtxid)
        return () if orphan is None else tuple(orphan.announcers)

    def count_from(self, peer: Peer) -> int:
        """How many a peer has announced."""
        share = self._shares.get(peer)
        return 0 if share is None else share.count

    def weight_from(self, peer: Peer) -> int:
        """How much these weigh."""
        share = self._shares.get(peer)
        return 0 if share is None else share.weight

    @property
    def weight(self) -> int:
        """How much all orphans weigh."""
        return self._weight

    @property
    def latency(self) -> int:
        """How long it takes to go through all, in no unit."""
        return self._announcements + self._input_latency

    def children_of(self, parent: Transaction, peer: Peer) -> list[Transaction]:
        """Those that a peer announced and that spend the parent, the youngest first.

        Core: GetChildrenFromSamePeer.
        """
        share = self._shares.get(peer)
        if share is None:
            return []
        spenders = {
            wtxid
            for vout in range(len(parent.vout))
            for wtxid in self._by_prevout.get(OutPoint(parent.txid, vout), ())
        }
        if not spenders:
            return []
        newest_first = (*reversed(share.ready), *reversed(share.waiting))
        return [self._orphans[wtxid].tx for wtxid in newest_first if wtxid in spenders]

    # ------------------------------------------------------------------ coming

    def add(self, tx: Transaction, peer: Peer) -> bool:
        """Keep a transaction for a peer that sent it; whether it is new. Core: AddTx.

        One that is too heavy to be relayed is not kept.
        """
        if tx.weight > MAX_STANDARD_WEIGHT:
            return False
        is_new = tx.wtxid not in self._orphans
        if is_new:
            self._orphans[tx.wtxid] = _Orphan(tx)
            self._weight += tx.weight
            self._input_latency += _input_latency(tx)
            for txin in tx.vin:
                self._by_prevout.setdefault(txin.prevout, {})[tx.wtxid] = None
        self.add_announcer(tx.wtxid, peer)
        return is_new

    def add_announcer(self, wtxid: Wtxid, peer: Peer) -> bool:
        """Let one more peer answer for an orphan; whether it is one more. Core: AddAnnouncer."""
        orphan = self._orphans.get(wtxid)
        if orphan is None or peer in orphan.announcers:
            return False
        orphan.announcers[peer] = None
        share = self._shares.setdefault(peer, _Share())
        share.waiting[wtxid] = None
        share.latency += 1 + _input_latency(orphan.tx)
        share.weight += orphan.tx.weight
        self._announcements += 1
        self._limit()
        return True

    def parent_came(self, parent: Transaction, dice: Dice) -> list[Work]:
        """Have its children looked at again, each in the turn of one of its announcers.

        Which one, chance decides, so that nobody can hold it up for sure. Core:
        AddChildrenToWorkSet.
        """
        work = []
        for vout in range(len(parent.vout)):
            for wtxid in self._by_prevout.get(OutPoint(parent.txid, vout), ()):
                orphan = self._orphans[wtxid]
                if orphan.ready_for is not None:
                    continue
                peers = tuple(orphan.announcers)
                peer = peers[dice.below(len(peers))]
                orphan.ready_for = peer
                share = self._shares[peer]
                del share.waiting[wtxid]
                share.ready[wtxid] = None
                work.append(Work(wtxid, peer))
        return work

    # ------------------------------------------------------------------ going

    def has_work(self, peer: Peer) -> bool:
        """Whether an orphan is to be looked at in a peer's turn."""
        share = self._shares.get(peer)
        return share is not None and bool(share.ready)

    def take_work(self, peer: Peer) -> Transaction | None:
        """An orphan that is to be looked at in a peer's turn. It stays. Core: GetTxToReconsider."""
        share = self._shares.get(peer)
        if share is None or not share.ready:
            return None
        wtxid = next(iter(share.ready))
        del share.ready[wtxid]
        share.waiting[wtxid] = None
        orphan = self._orphans[wtxid]
        orphan.ready_for = None
        return orphan.tx

    def remove(self, wtxid: Wtxid) -> bool:
        """Forget an orphan; whether it was there. Core: EraseTx."""
        is_there = self._remove(wtxid)
        self._limit()
        return is_there

    def forget_peer(self, peer: Peer) -> None:
        """Forget what only this peer answers for. Core: EraseForPeer."""
        share = self._shares.get(peer)
        if share is None:
            return
        for wtxid in (*share.waiting, *share.ready):
            self._withdraw(wtxid, peer)
        self._limit()

    def block_came(self, block: Block) -> int:
        """Forget those in the block or at odds with it; how many. Core: EraseForBlock."""
        if not self._orphans:
            return 0
        gone = {
            wtxid: None
            for tx in block.vtx
            for txin in tx.vin
            for wtxid in self._by_prevout.get(txin.prevout, ())
        }
        for wtxid in gone:
            self._remove(wtxid)
        self._limit()
        return len(gone)

    def _remove(self, wtxid: Wtxid) -> bool:
        orphan = self._orphans.get(wtxid)
        if orphan is None:
            return False
        for peer in tuple(orphan.announcers):
            self._withdraw(wtxid, peer)
        return True

    def _withdraw(self, wtxid: Wtxid, peer: Peer) -> None:
        """Let a peer no longer answer for an orphan; without anybody it is forgotten."""
        orphan = self._orphans[wtxid]
        tx, share = orphan.tx, self._shares[peer]
        del orphan.announcers[peer]
        share.waiting.pop(wtxid, None)
        share.ready.pop(wtxid, None)
        if orphan.ready_for == peer:
            orphan.ready_for = None
        share.latency -= 1 + _input_latency(tx)
        share.weight -= tx.weight
        self._announcements -= 1
        if not share.count:
            del self._shares[peer]
        if orphan.announcers:
            return
        del self._orphans[wtxid]
        self._weight -= tx.weight
        self._input_latency -= _input_latency(tx)
        for txin in tx.vin:
            spenders = self._by_prevout.get(txin.prevout)
            if spenders is not None:
                spenders.pop(wtxid, None)
                if not spenders:
                    del self._by_prevout[txin.prevout]

    # ------------------------------------------------------------------ limits

    @property
    def _is_too_much(self) -> bool:
        max_weight = self._weight_per_peer * max(1, len(self._shares))
        return self.latency > self._max_latency or self._weight > max_weight

    def _limit(self) -> None:
        """While there is too much, the peer furthest above its share loses. Core: LimitOrphans."""
        if not self._is_too_much:
            return
        max_latency = max(1, self._max_latency // max(1, len(self._shares)))
        scores = {peer: self._score(share, max_latency) for peer, share in self._shares.items()}
        while self._is_too_much:
            # Of equals, the one that connected last: its number is the highest.
            worst = max(scores, key=lambda peer: (scores[peer], peer))
            share = self._shares[worst]
            self._withdraw(next(iter(share.waiting or share.ready)), worst)
            scores[worst] = self._score(share, max_latency)
            if not share.count:
                del scores[worst]

    def _score(self, share: _Share, max_latency: int) -> int:
        """How much of its share a peer has used up, of latency or weight, whichever is more.

        As a multiple of what is the same for all.
        """
        return max(share.latency * self._weight_per_peer, share.weight * max_latency)


def _input_latency(tx: Transaction) -> int:
    return len(tx.vin) // INPUTS_PER_LATENCY
