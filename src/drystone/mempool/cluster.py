"""Clusters: transactions that hang together, and the order in which they would best be mined."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from drystone.core.linearize import linearize
from drystone.mempool.entry import Entry
from drystone.primitives.hashes import Txid


class Chunk(NamedTuple):
    """Transactions that go into a block together, parents before children."""

    entries: tuple[Entry, ...]
    fee: int  # satoshis, as modified
    weight: int  # adjusted to signature checks


class Cluster:
    """Transactions connected by spending, in whichever direction. Core: TxGraph's Cluster.

    number: clusters are numbered as they are made, and never change but for their fees.
    entries: no child before its parents.
    """

    __slots__ = ("_chunks", "entries", "number", "weight")

    def __init__(self, number: int, entries: Sequence[Entry]) -> None:
        self.number = number
        self.entries = entries
        self.weight = sum([entry.weight for entry in entries])
        self._chunks: Sequence[Chunk] | None = None

    @property
    def chunks(self) -> Sequence[Chunk]:
        """All transactions in chunks, the best fee rate first.

        They are worked out when they are first asked for: a cluster that grows by many, one after
        the other, is put in order once.
        """
        if self._chunks is None:
            self._chunks = chunks_of(self.entries)
        return self._chunks


def chunks_of(entries: Sequence[Entry]) -> list[Chunk]:
    """Connected transactions in chunks, the best fee rate first.

    entries: no child before its parents. The outcome doesn't depend on who came when.
    """
    if len(entries) == 1:
        entry = entries[0]
        return [Chunk((entry,), entry.modified_fee, entry.weight)]
    ordered = _by_generation(entries)
    place = {entry.tx.txid: n for n, entry in enumerate(ordered)}
    linearized = linearize(
        [entry.modified_fee for entry in ordered],
        [entry.weight for entry in ordered],
        [sorted([place[txid] for txid in entry.parents if txid in place]) for entry in ordered],
    )
    return [
        Chunk(tuple([ordered[n] for n in chunk.members]), chunk.fee, chunk.size)
        for chunk in linearized
    ]


def _by_generation(entries: Iterable[Entry]) -> list[Entry]:
    """By how long a line of parents each has, then by txid."""
    generation: dict[Txid, int] = {}
    for entry in entries:
        generation[entry.tx.txid] = max(
            [generation[txid] + 1 for txid in entry.parents if txid in generation], default=0
        )
    return sorted(entries, key=lambda entry: (generation[entry.tx.txid], entry.tx.txid))


def components(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries that are connected with each other, in the order given.

    Connections by entries that aren't given don't count.
    """
    if len(entries) == 1:
        return [list(entries)]
    above = {entry.tx.txid: entry.tx.txid for entry in entries}

    def top(txid: Txid) -> Txid:
        while above[txid] != txid:
            above[txid] = above[above[txid]]
            txid = above[txid]
        return txid

    for entry in entries:
        for txid in entry.parents:
            if txid in above:
                above[top(txid)] = top(entry.tx.txid)
    found: dict[Txid, list[Entry]] = {}
    for entry in entries:
        found.setdefault(top(entry.tx.txid), []).append(entry)
    return list(found.values())


def parents_first(entries: Collection[Entry]) -> list[Entry]:
    """The same entries, in an order that has no child before its parents."""
    given = {entry.tx.txid: entry for entry in entries}
    ordered: dict[Txid, Entry] = {}
    for entry in entries:
        stack = [entry]
        while stack:
            at = stack[-1]
            missing = [
                parent
                for txid, parent in at.parents.items()
                if txid in given and txid not in ordered
            ]
            if at.tx.txid in ordered or not missing:
                stack.pop()
                ordered.setdefault(at.tx.txid, at)
            else:
                stack += missing
    return list(ordered.values())
