"""A transaction in the mempool, and what is known of it there."""

from typing import TYPE_CHECKING

from drystone.consensus.locktime import SequenceLock
from drystone.mempool.policy import vsize_of
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import Transaction

if TYPE_CHECKING:
    from drystone.mempool.cluster import Cluster

# What the reference client allocates, on a machine of 64 bits.
_TRANSACTION_BYTES = 48 + 144  # with what counts its references
_ENTRY_BYTES = 288 + 240  # and its part of the graph of clusters
_TXIN_BYTES = 104
_SPENDER_BYTES = 64  # in the map of who spends what
_TXOUT_BYTES = 48
_INNER_SCRIPT_BYTES = 36  # scripts as short as this need no memory of their own
_WITNESS_ITEM_BYTES = 24


class Entry:
    """A transaction that waits, and its place among others. Core: CTxMemPoolEntry.

    fee: satoshis, as paid. modified_fee: with what `prioritise` added. weight: in units, more than
    the transaction's own if it has many signature checks. time: of arrival, unix seconds.
    height: of the tip then. sequence: the order of arrival; 0 for what was in a block before.
    lock: until when its coins' ages keep it out of a block (BIP68).
    parents, children: whose coins it spends, and who spends its own.
    """

    __slots__ = (
        "children",
        "cluster",
        "fee",
        "height",
        "lock",
        "modified_fee",
        "parents",
        "sequence",
        "sigop_cost",
        "spends_coinbase",
        "time",
        "tx",
        "usage_bytes",
        "vsize",
        "weight",
    )

    def __init__(
        self,
        tx: Transaction,
        *,
        fee: int,
        modified_fee: int,
        weight: int,
        sigop_cost: int,
        time: int,
        height: int,
        lock: SequenceLock,
        spends_coinbase: bool,
        sequence: int,
    ) -> None:
        self.tx = tx
        self.fee = fee
        self.modified_fee = modified_fee
        self.weight = weight
        self.vsize = vsize_of(weight)
        self.sigop_cost = sigop_cost
        self.time = time
        self.height = height
        self.lock = lock
        self.spends_coinbase = spends_coinbase
        self.sequence = sequence
        self.usage_bytes = usage_bytes(tx)
        self.parents: dict[Txid, Entry] = {}
        self.children: dict[Txid, Entry] = {}
        self.cluster: Cluster

    def __repr__(self) -> str:
        return f"Entry({self.tx.txid[::-1].hex()}, fee={self.fee}, vsize={self.vsize})"


def ancestors(entry: Entry) -> dict[Txid, Entry]:
    """All that must be in a block before it, and itself, which comes first."""
    found = {entry.tx.txid: entry}
    stack = [entry]
    while stack:
        for txid, parent in stack.pop().parents.items():
            if txid not in found:
                found[txid] = parent
                stack.append(parent)
    return found


def descendants(*entries: Entry) -> dict[Txid, Entry]:
    """They, and all that can't be in a block without one of them."""
    found = {entry.tx.txid: entry for entry in entries}
    stack = list(entries)
    while stack:
        for txid, child in stack.pop().children.items():
            if txid not in found:
                found[txid] = child
                stack.append(child)
    return found


def usage_bytes(tx: Transaction) -> int:
    """How much memory a transaction takes: an estimate of what it takes the reference client.

    So that a limit in megabytes means the same here and there. Python takes some two thirds more
    for an everyday one. Core: DynamicMemoryUsage.
    """
    vin, vout = tx.vin, tx.vout
    usage = _TRANSACTION_BYTES + _ENTRY_BYTES
    usage += _allocated(_TXIN_BYTES * len(vin)) + _allocated(_TXOUT_BYTES * len(vout))
    usage += _SPENDER_BYTES * len(vin)
    for txin in vin:
        if len(txin.script_sig) > _INNER_SCRIPT_BYTES:
            usage += _allocated(len(txin.script_sig))
        if txin.witness:
            usage += _allocated(_WITNESS_ITEM_BYTES * len(txin.witness))
            for item in txin.witness:
                usage += (len(item) + 31) & ~15 if item else 0
    for txout in vout:
        if len(txout.script_pubkey) > _INNER_SCRIPT_BYTES:
            usage += _allocated(len(txout.script_pubkey))
    return usage


def _allocated(size: int) -> int:
    """What an allocation of this size takes. Core: MallocUsage."""
    return (size + 31) & ~15 if size else 0
