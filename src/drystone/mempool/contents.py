"""What is in a mempool: entries, who spends what, the clusters, and how much it all takes.

Nothing here asks whether a transaction may come in: `acceptance.py` does.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from drystone.consensus.coins import Coin
from drystone.mempool.entry import Entry, descendants
from drystone.mempool.graph import Graph, Plan, is_oversized
from drystone.mempool.minimum_fee import MinimumFee
from drystone.mempool.oversized import surplus
from drystone.mempool.policy import Policy, rate_of, vsize_of
from drystone.primitives.hashes import Txid, Wtxid
from drystone.primitives.transaction import OutPoint, Transaction


class Why(Enum):
    """For what a transaction had to go. Core: MemPoolRemovalReason."""

    EXPIRY = "expiry"  # it waited for too long
    SIZELIMIT = "sizelimit"  # others pay better
    REORG = "reorg"  # its time is yet to come again, or what it spends is gone
    BLOCK = "block"  # it is in one
    CONFLICT = "conflict"  # what it spends is spent in a block
    REPLACED = "replaced"  # by another that spends the same and pays better


class Removal(NamedTuple):
    """A transaction that was in the mempool and is no more."""

    tx: Transaction
    why: Why


class Contents:
    """Transactions that wait. Core: CTxMemPool.

    usage_bytes: see `entry.usage_bytes`. total_fee: as paid. sequence: one more with each that
    comes or goes. deltas: what `prioritise` adds to fees, of transactions that aren't here too.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.graph = Graph()
        self.minimum_fee = MinimumFee(policy.incrementalrelayfee)
        self.deltas: dict[Txid, int] = {}
        self.usage_bytes = self.total_vsize = self.total_fee = 0
        self.sequence = 1
        self._entries: dict[Txid, Entry] = {}
        self._by_wtxid: dict[Wtxid, Entry] = {}
        self._spenders: dict[OutPoint, Entry] = {}
        self._ages: list[tuple[int, int, Entry]] = []  # a heap, that may have entries of the past
        self._aged = 0

    # ------------------------------------------------------------------ looking

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, txid: Txid) -> Entry | None:
        """By txid."""
        return self._entries.get(txid)

    def get_by_wtxid(self, wtxid: Wtxid) -> Entry | None:
        """By wtxid."""
        return self._by_wtxid.get(wtxid)

    def spender(self, outpoint: OutPoint) -> Entry | None:
        """Who spends an output, of the chain or of another entry."""
        return self._spenders.get(outpoint)

    def coin(self, outpoint: OutPoint, height: int) -> Coin | None:
        """A coin that an entry makes, as if it were in a block of this height."""
        entry = self._entries.get(outpoint.txid)
        if entry is None or outpoint.vout >= len(entry.tx.vout):
            return None
        return Coin(entry.tx.vout[outpoint.vout], height, is_coinbase=False)

    def children_in_pool(self, tx: Transaction) -> list[Entry]:
        """Who spends a transaction's outputs, whether it is here or not."""
        found: dict[Txid, Entry] = {}
        for vout in range(len(tx.vout)):
            child = self._spenders.get(OutPoint(tx.txid, vout))
            if child is not None:
                found[child.tx.txid] = child
        return list(found.values())

    def minimum_rate(self, now: int) -> int:
        """Satoshis for 1,000 virtual bytes, below which nothing is let in while it is full."""
        return self.minimum_fee.rate(now, self.usage_bytes, self.policy.max_usage_bytes)

    # ------------------------------------------------------------------ changing

    def apply(self, plan: Plan, why: Why) -> list[Removal]:
        """Do what was planned, and tell who went. why: for all of these."""
        self.graph.apply(plan)
        for entry in plan.removed:
            self._forget(entry)
        for entry in plan.added:
            self._keep(entry)
        return [Removal(entry.tx, why) for entry in plan.removed]

    def remove(self, entries: Iterable[Entry], why: Why) -> list[Removal]:
        """Remove these alone: their descendants stay unless they are among them."""
        removed = list(entries)
        return self.apply(self.graph.plan(removed=removed), why) if removed else []

    def remove_with_descendants(self, entries: Sequence[Entry], why: Why) -> list[Removal]:
        """Remove these and all that spend their coins."""
        return self.remove(descendants(*entries).values(), why)

    def prioritise(self, txid: Txid, delta: int) -> None:
        """Treat a transaction as if it paid more, or less, than it does; deltas add up.

        Core: PrioritiseTransaction.
        """
        total = self.deltas.get(txid, 0) + delta
        if total:
            self.deltas[txid] = total
        else:
            self.deltas.pop(txid, None)
        entry = self._entries.get(txid)
        if entry is not None:
            entry.modified_fee = entry.fee + total
            self.graph.renew(entry.cluster)
            self.sequence += 1

    def _keep(self, entry: Entry) -> None:
        tx = entry.tx
        self._entries[tx.txid] = entry
        self._by_wtxid[tx.wtxid] = entry
        for txin in tx.vin:
            self._spenders[txin.prevout] = entry
        self.usage_bytes += entry.usage_bytes
        self.total_vsize += entry.vsize
        self.total_fee += entry.fee
        self.sequence += 1
        self._aged += 1
        heappush(self._ages, (entry.time, self._aged, entry))

    def _forget(self, entry: Entry) -> None:
        tx = entry.tx
        del self._entries[tx.txid]
        del self._by_wtxid[tx.wtxid]
        for txin in tx.vin:
            del self._spenders[txin.prevout]
        self.usage_bytes -= entry.usage_bytes
        self.total_vsize -= entry.vsize
        self.total_fee -= entry.fee
        self.sequence += 1

    # ------------------------------------------------------------------ limits

    def limit(self, now: int) -> list[Removal]:
        """Let go of what is too old, and of what pays worst if there is too much.

        now: unix seconds. Core: LimitMempoolSize.
        """
        removed = self._expire(now - self.policy.expiry_s)
        while self.usage_bytes > self.policy.max_usage_bytes:
            worst = self.graph.worst_chunk()
            if worst is None:
                break
            self.minimum_fee.evicted(rate_of(worst.fee, vsize_of(worst.weight)))
            removed += self.remove(worst.entries, Why.SIZELIMIT)
        return removed

    def _expire(self, before: int) -> list[Removal]:
        """Remove what came before a time, and all that spend it."""
        ages = self._ages
        if len(ages) > 2 * len(self._entries) + 64:
            ages[:] = [age for age in ages if self._is_here(age[2])]
            heapify(ages)
        old = []
        while ages and ages[0][0] < before:
            entry = heappop(ages)[2]
            if self._is_here(entry):
                old.append(entry)
        return self.remove_with_descendants(old, Why.EXPIRY) if old else []

    def _is_here(self, entry: Entry) -> bool:
        return self._entries.get(entry.tx.txid) is entry

    def rejoin(self, entries: Sequence[Entry]) -> list[Removal]:
        """Let those know their children that came after them: out of blocks that are no more.

        Clusters that thereby got too large lose what pays least. Core: UpdateTransactionsFromBlock.
        """
        self.graph.connect(
            (entry, child) for entry in entries for child in self.children_in_pool(entry.tx)
        )
        touched = dict.fromkeys([entry.cluster for entry in entries])
        count, weight = self.policy.limitclustercount, self.policy.max_cluster_weight
        too_much: list[Entry] = []
        for cluster in touched:
            if is_oversized(cluster, count, weight):
                too_much += surplus(cluster.entries, count, weight)
        return self.remove(too_much, Why.SIZELIMIT)
