"""Which transactions must go from a cluster that has become too large.

That happens only when a block is taken back, and joins what had come to the mempool apart.
"""

from collections.abc import Sequence
from heapq import heappop, heappush

from drystone.core.linearize import rate_key
from drystone.mempool.entry import Entry
from drystone.primitives.hashes import Txid


def surplus(entries: Sequence[Entry], max_count: int, max_weight: int) -> list[Entry]:
    """Those to remove so that what remains falls into clusters within the limits.

    entries: of one cluster, no child before its parents. They are let in again one by one, those
    of the best fee rate first, but none before its parents; one that would make a cluster too
    large stays out, and so do its descendants. Core: TxGraph::Trim.
    """
    inside = _Groups()
    waiting: dict[Txid, int] = {}
    ready: list[tuple[int, Txid, Entry]] = []
    within = {entry.tx.txid: entry for entry in entries}
    for entry in entries:
        count = sum(txid in within for txid in entry.parents)
        waiting[entry.tx.txid] = count
        if not count:
            heappush(ready, _ranked(entry))
    while ready:
        entry = heappop(ready)[2]
        parents = [txid for txid in entry.parents if txid in within]
        if inside.join(entry, parents, max_count, max_weight):
            for txid, child in entry.children.items():
                waiting[txid] -= 1
                if not waiting[txid]:
                    heappush(ready, _ranked(child))
    return [entry for entry in entries if entry.tx.txid not in inside]


def _ranked(entry: Entry) -> tuple[int, Txid, Entry]:
    return -rate_key(entry.modified_fee, entry.weight), entry.tx.txid, entry


class _Groups:
    """Transactions that are connected so far, and how large each group is."""

    def __init__(self) -> None:
        self._above: dict[Txid, Txid] = {}
        self._count: dict[Txid, int] = {}
        self._weight: dict[Txid, int] = {}

    def __contains__(self, txid: Txid) -> bool:
        return txid in self._above

    def join(self, entry: Entry, parents: Sequence[Txid], max_count: int, max_weight: int) -> bool:
        """Take one in and merge its parents' groups, unless that makes too large a one."""
        groups = list(dict.fromkeys([self._top(txid) for txid in parents]))
        count = 1 + sum(self._count[top] for top in groups)
        weight = entry.weight + sum(self._weight[top] for top in groups)
        if count > max_count or weight > max_weight:
            return False
        txid = entry.tx.txid
        for top in (*groups, txid):
            self._above[top] = txid
        self._count[txid], self._weight[txid] = count, weight
        return True

    def _top(self, txid: Txid) -> Txid:
        above = self._above
        while above[txid] != txid:
            above[txid] = above[above[txid]]
            txid = above[txid]
        return txid
