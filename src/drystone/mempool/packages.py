"""Packages: transactions that come together, so that one can pay for another (BIP331's kind).

What can be said of their shape alone; whether they get in is for `acceptance.py`.
"""

from collections.abc import Sequence
from typing import Final

from drystone.mempool.errors import PackageRefused
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction

MAX_PACKAGE_COUNT: Final = 25
MAX_PACKAGE_WEIGHT: Final = 404_000


def check_well_formed(package: Sequence[Transaction]) -> None:
    """Few transactions, parents first, none twice, and no two at odds. Core: IsWellFormedPackage.

    Raises PackageRefused with the first broken rule.
    """
    check_count(package)
    check_total_weight(package)
    check_differ(package)
    check_sorted(package)
    check_consistent(package)


def check_count(package: Sequence[Transaction]) -> None:
    """No more than 25. Core: IsWellFormedPackage.

    Raises PackageRefused("package-too-many-transactions").
    """
    if len(package) > MAX_PACKAGE_COUNT:
        raise PackageRefused("package-too-many-transactions", f"{len(package)} transactions")


def check_total_weight(package: Sequence[Transaction]) -> None:
    """Together they are hardly heavier than one may be. Core: IsWellFormedPackage.

    Raises PackageRefused("package-too-large").
    """
    weight = sum(tx.weight for tx in package)
    if len(package) > 1 and weight > MAX_PACKAGE_WEIGHT:
        raise PackageRefused("package-too-large", f"{weight} weight units")


def check_differ(package: Sequence[Transaction]) -> None:
    """No txid comes twice. Core: IsWellFormedPackage.

    Raises PackageRefused("package-contains-duplicates").
    """
    if len({tx.txid for tx in package}) < len(package):
        raise PackageRefused("package-contains-duplicates")


def check_sorted(package: Sequence[Transaction]) -> None:
    """No transaction comes before its parents. Core: IsTopoSortedPackage.

    Raises PackageRefused("package-not-sorted").
    """
    to_come: set[Txid] = {tx.txid for tx in package}
    for tx in package:
        if any(txin.prevout.txid in to_come for txin in tx.vin):
            raise PackageRefused("package-not-sorted")
        to_come.discard(tx.txid)


def check_consistent(package: Sequence[Transaction]) -> None:
    """No two spend the same output; one alone that does is for consensus to refuse.

    Core: IsConsistentPackage. Raises PackageRefused("conflict-in-package").
    """
    spent: set[OutPoint] = set()
    for tx in package:
        if not tx.vin or any(txin.prevout in spent for txin in tx.vin):
            raise PackageRefused("conflict-in-package")
        spent.update(txin.prevout for txin in tx.vin)


def check_child_with_parents(package: Sequence[Transaction]) -> None:
    """All but the last are parents of the last. Core: IsChildWithParents.

    Raises PackageRefused("package-not-child-with-parents").
    """
    if not is_child_with_parents(package):
        raise PackageRefused("package-not-child-with-parents")


def is_child_with_parents(package: Sequence[Transaction]) -> bool:
    """Whether there are several, and all but the last are parents of the last."""
    if len(package) < 2:
        return False
    spent = {txin.prevout.txid for txin in package[-1].vin}
    return all(tx.txid in spent for tx in package[:-1])
