"""The clusters of a mempool: how they merge and fall apart, and which pays worst.

A change is planned first: who would go, who would come, and which clusters there would then be.
Nothing has happened by then, so its limits can be checked, and its fee rates compared with those
of before. Then it is applied, or forgotten.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from drystone.core.linearize import rate_key
from drystone.mempool.cluster import Chunk, Cluster, components, parents_first
from drystone.mempool.entry import Entry
from drystone.primitives.hashes import Txid


class Plan(NamedTuple):
    """A change to the graph.

    added: parents before children, their parents known. removed: with all their descendants, or
    else these lose a parent. before, after: the clusters that go, and those that come instead.
    """

    added: Sequence[Entry]
    removed: Sequence[Entry]
    before: Sequence[Cluster]
    after: Sequence[Cluster]


class Graph:
    """All clusters there are. Core: TxGraph."""

    def __init__(self) -> None:
        self._clusters: dict[Cluster, None] = {}
        self._made = 0
        self._unranked: dict[Cluster, None] = {}  # not yet among the following
        self._worst: list[
            tuple[int, int, Cluster]
        ] = []  # a heap, that may have clusters of the past

    def __len__(self) -> int:
        return len(self._clusters)

    def __iter__(self) -> Iterator[Cluster]:
        return iter(self._clusters)

    # ------------------------------------------------------------------ changes

    def plan(self, added: Sequence[Entry] = (), removed: Sequence[Entry] = ()) -> Plan:
        """What it would mean that some come and some go."""
        if not removed and len(added) == 1:
            return self._plan_one(added[0])
        gone = {entry.tx.txid for entry in removed}
        before = {entry.cluster: None for entry in removed}
        new = {entry.tx.txid for entry in added}
        for entry in added:
            for txid, parent in entry.parents.items():
                if txid not in new:
                    before[parent.cluster] = None
        staying = [e for cluster in before for e in cluster.entries if e.tx.txid not in gone]
        after = [self._cluster(members) for members in components([*staying, *added])]
        return Plan(added, removed, list(before), after)

    def _plan_one(self, entry: Entry) -> Plan:
        """The everyday case: nothing goes, and all that it touches becomes one cluster."""
        if not entry.parents:
            return Plan((entry,), (), (), (self._cluster((entry,)),))
        before = list(dict.fromkeys([parent.cluster for parent in entry.parents.values()]))
        members = [member for cluster in before for member in cluster.entries]
        return Plan((entry,), (), before, (self._cluster([*members, entry]),))

    def apply(self, plan: Plan) -> None:
        """Do what was planned, just now."""
        for entry in plan.removed:
            txid = entry.tx.txid
            for parent in entry.parents.values():
                del parent.children[txid]
            for child in entry.children.values():
                del child.parents[txid]
        for entry in plan.added:
            for parent in entry.parents.values():
                parent.children[entry.tx.txid] = entry
        self._replace(plan.before, plan.after)

    def connect(self, pairs: Iterable[tuple[Entry, Entry]]) -> None:
        """Let parents be known that came after their children, out of blocks that are no more.

        pairs: a parent, and a child of its.
        """
        before: dict[Cluster, None] = {}
        for parent, child in pairs:
            child.parents[parent.tx.txid] = parent
            parent.children[child.tx.txid] = child
            before[parent.cluster] = before[child.cluster] = None
        members = parents_first([entry for cluster in before for entry in cluster.entries])
        self._replace(list(before), [self._cluster(each) for each in components(members)])

    def renew(self, cluster: Cluster) -> None:
        """Put a cluster in order again, after fees have changed."""
        self._replace([cluster], [self._cluster(cluster.entries)])

    def _cluster(self, entries: Sequence[Entry]) -> Cluster:
        self._made += 1
        return Cluster(self._made, entries)

    def _replace(self, before: Sequence[Cluster], after: Sequence[Cluster]) -> None:
        for cluster in before:
            del self._clusters[cluster]
            self._unranked.pop(cluster, None)
        for cluster in after:
            self._clusters[cluster] = None
            self._unranked[cluster] = None
            for entry in cluster.entries:
                entry.cluster = cluster

    # ------------------------------------------------------------------ ranks

    def worst_chunk(self) -> Chunk | None:
        """The chunk that would be mined last; of equals, that of the youngest cluster."""
        for cluster in self._unranked:
            last = cluster.chunks[-1]
            heappush(self._worst, (rate_key(last.fee, last.weight), -cluster.number, cluster))
        self._unranked.clear()
        if len(self._worst) > 2 * len(self._clusters) + 64:
            self._worst = [ranked for ranked in self._worst if ranked[2] in self._clusters]
            heapify(self._worst)
        while self._worst:
            cluster = self._worst[0][2]
            if cluster in self._clusters:
                return cluster.chunks[-1]
            heappop(self._worst)
        return None

    def chunks(self) -> list[Chunk]:
        """All chunks, the best fee rate first; those of a cluster stay in order.

        Of equals, those of the cluster with the lowest txid come first, so that mempools with the
        same transactions agree.
        """
        ranked: list[tuple[int, Txid, int, Chunk]] = []
        for cluster in self._clusters:
            chunks = cluster.chunks
            lowest = min([entry.tx.txid for entry in cluster.entries])
            ranked += [
                (-rate_key(chunk.fee, chunk.weight), lowest, n, chunk)
                for n, chunk in enumerate(chunks)
            ]
        ranked.sort(key=lambda each: each[:3])
        return [each[3] for each in ranked]


def is_oversized(cluster: Cluster, max_count: int, max_weight: int) -> bool:
    """Whether a cluster has more transactions, or weighs more, than is allowed."""
    return len(cluster.entries) > max_count or cluster.weight > max_weight
