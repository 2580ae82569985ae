"""TRUC: transactions of version 3, which keep small company so that they can be replaced (BIP431).

```
a TRUC transaction            has 10,000 virtual bytes at most
  with an unconfirmed parent  has that one parent, itself without any, and 1,000 virtual bytes
  has one child at most       another may take the child's place, if it pays for that
```
What spends an unconfirmed TRUC transaction is one, and what isn't spends none.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from drystone.mempool.entry import Entry, ancestors, descendants
from drystone.mempool.errors import PolicyRefused
from drystone.primitives.hashes import Txid, display
from drystone.primitives.transaction import Transaction

TRUC_VERSION: Final = 3
MAX_VSIZE: Final = 10_000
CHILD_MAX_VSIZE: Final = 1_000

REASON: Final = "TRUC-violation"


class Member(NamedTuple):
    """A transaction of a package, with what it would be in the mempool."""

    tx: Transaction
    vsize: int
    parents: Sequence[Entry]  # those in the mempool


def check_truc(
    tx: Transaction, vsize: int, parents: Sequence[Entry], conflicts: Collection[Txid]
) -> Entry | None:
    """A transaction and its parents in the mempool keep BIP431. Core: SingleTRUCChecks.

    conflicts: what it would replace. Returns a sibling that would have to go for it, if there is
    one and it may. Raises PolicyRefused("TRUC-violation").
    """
    for parent in parents:
        _check_inheritance(tx, parent.tx)
    if tx.version != TRUC_VERSION:
        return None
    if vsize > MAX_VSIZE:
        raise _violation(
            f"version=3 tx {_named(tx)} is too big: {vsize} > {MAX_VSIZE} virtual bytes"
        )
    if not parents:
        return None
    _check_generations(tx, parents, 0)
    _check_child_size(tx, vsize)
    parent = parents[0]
    others = [entry for entry in descendants(parent).values() if entry is not parent]
    if not others or any(entry.tx.txid in conflicts for entry in others):
        return None
    sibling = others[0]
    if len(others) == 1 and len(ancestors(sibling)) == 2:
        return sibling
    raise too_many_children(parent.tx)


def check_package_truc(package: Sequence[Member]) -> None:
    """Transactions that come together keep BIP431 among themselves, too. Core: PackageTRUCChecks.

    package: parents before children. Raises PolicyRefused("TRUC-violation").
    """
    for position, member in enumerate(package):
        spent = {txin.prevout.txid for txin in member.tx.vin}
        inside = [each.tx for each in package[:position] if each.tx.txid in spent]
        if member.tx.version != TRUC_VERSION:
            for parent in (*[entry.tx for entry in member.parents], *inside):
                _check_inheritance(member.tx, parent)
            continue
        _check_generations(member.tx, member.parents, len(inside))
        if not member.parents and not inside:
            continue
        _check_child_size(member.tx, member.vsize)
        parent = member.parents[0].tx if member.parents else inside[0]
        _check_inheritance(member.tx, parent)
        for other in package:
            if other is not member:
                _check_other(other.tx, member.tx, parent)
        if member.parents and member.parents[0].children:
            raise too_many_children(parent)


def _check_inheritance(tx: Transaction, parent: Transaction) -> None:
    """TRUC transactions and others don't spend each other."""
    if tx.version != TRUC_VERSION and parent.version == TRUC_VERSION:
        raise _violation(
            f"non-version=3 tx {_named(tx)} cannot spend from version=3 tx {_named(parent)}"
        )
    if tx.version == TRUC_VERSION and parent.version != TRUC_VERSION:
        raise _violation(
            f"version=3 tx {_named(tx)} cannot spend from non-version=3 tx {_named(parent)}"
        )


def _check_generations(tx: Transaction, parents: Sequence[Entry], inside: int) -> None:
    """One parent at most, and none above it."""
    if len(parents) + inside > 1 or (parents and parents[0].parents):
        raise _violation(f"tx {_named(tx)} would have too many ancestors")


def _check_child_size(tx: Transaction, vsize: int) -> None:
    """A child is small, so that whoever wants to replace it needn't pay for much."""
    if vsize > CHILD_MAX_VSIZE:
        raise _violation(
            f"version=3 child tx {_named(tx)} is too big: {vsize} > {CHILD_MAX_VSIZE} virtual bytes"
        )


def _check_other(other: Transaction, tx: Transaction, parent: Transaction) -> None:
    """No other of the package is a second child of the parent, or a child of the child."""
    for txin in other.vin:
        if txin.prevout.txid == parent.txid:
            raise too_many_children(parent)
        if txin.prevout.txid == tx.txid:
            raise _violation(f"tx {_named(other)} would have too many ancestors")


def too_many_children(parent: Transaction) -> PolicyRefused:
    """What to raise for a second child."""
    return _violation(f"tx {_named(parent)} would exceed descendant count limit")


def _violation(detail: str) -> PolicyRefused:
    return PolicyRefused(REASON, detail)


def _named(tx: Transaction) -> str:
    return f"{display(tx.txid)} (wtxid={display(tx.wtxid)})"
