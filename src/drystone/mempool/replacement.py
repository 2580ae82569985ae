"""Replacing transactions that spend the same coins, if miners are better off (BIP125's heir).

No signal is needed. Whoever replaces pays all that those pay who go, pays for being relayed on top,
and makes the fee rate diagram better: higher somewhere, and lower for no size of block.
"""

from collections.abc import Collection, Sequence
from typing import Final

from drystone.consensus.errors import TxInvalid
from drystone.mempool.diagram import diagram, improves, rough_diagram
from drystone.mempool.entry import Entry, ancestors
from drystone.mempool.errors import FeeTooLow, PolicyRefused
from drystone.mempool.graph import Plan, is_oversized
from drystone.mempool.policy import Policy, fee_at
from drystone.primitives.amount import COIN
from drystone.primitives.hashes import Txid, display

MAX_REPLACED_CLUSTERS: Final = 100  # Core: MAX_REPLACEMENT_CANDIDATES
MOST_PUT_IN_ORDER: Final = 256  # transactions, in the clusters that a replacement leaves

SIBLING: Final = " (including sibling eviction)"


def clusters_in_conflict(txid: Txid, conflicts: Collection[Entry]) -> str | None:
    """What is wrong if the transactions to be replaced are of more than 100 clusters.

    Each has to be put in order again. Core: GetEntriesForConflicts.
    """
    count = len({entry.cluster.number for entry in conflicts})
    if count <= MAX_REPLACED_CLUSTERS:
        return None
    return (
        f"rejecting replacement {display(txid)}; "
        f"too many conflicting clusters ({count} > {MAX_REPLACED_CLUSTERS})"
    )


def what_is_unpaid(
    txid: Txid, replaced_fees: int, fees: int, vsize: int, policy: Policy
) -> str | None:
    """What is wrong if fees don't cover those replaced, and the relaying of what replaces them.

    Else the same coins could be announced again and again, for free. Core: PaysForRBF.
    """
    if fees < replaced_fees:
        return (
            f"rejecting replacement {display(txid)}, less fees than conflicting txs; "
            f"{money(fees)} < {money(replaced_fees)}"
        )
    relaying = fee_at(policy.incrementalrelayfee, vsize)
    if fees - replaced_fees < relaying:
        return (
            f"rejecting replacement {display(txid)}, not enough additional fees to relay; "
            f"{money(fees - replaced_fees)} < {money(relaying)}"
        )
    return None


def check_replacement_count(
    entry: Entry, conflicts: Collection[Entry], *, evicts_sibling: bool
) -> None:
    """No more than 100 clusters lose something. Core: ReplacementChecks.

    Raises PolicyRefused("too many potential replacements"), or the same and
    " (including sibling eviction)".
    """
    wrong = clusters_in_conflict(entry.tx.txid, conflicts)
    if wrong is not None:
        note = SIBLING if evicts_sibling else ""
        raise PolicyRefused(f"too many potential replacements{note}", wrong)


def check_replacement_pays(
    entry: Entry, replaced: Collection[Entry], policy: Policy, *, evicts_sibling: bool
) -> None:
    """The replacement pays more, by what its relaying costs at least. Core: ReplacementChecks.

    Raises FeeTooLow("insufficient fee"), or the same and " (including sibling eviction)".
    """
    fees = sum(each.modified_fee for each in replaced)
    wrong = what_is_unpaid(entry.tx.txid, fees, entry.modified_fee, entry.vsize, policy)
    if wrong is not None:
        raise FeeTooLow(f"insufficient fee{SIBLING if evicts_sibling else ''}", wrong)


def check_cluster_limits(plan: Plan, policy: Policy) -> None:
    """No cluster gets more than 64 transactions, or more than 101,000 virtual bytes.

    Core: CheckMemPoolPolicyLimits. Raises PolicyRefused("too-large-cluster").
    """
    count, weight = policy.limitclustercount, policy.max_cluster_weight
    for cluster in plan.after:
        if is_oversized(cluster, count, weight):
            raise PolicyRefused("too-large-cluster")


def check_replacement_improves(plan: Plan) -> None:
    """The fee rate diagram gets better. Core: ImprovesFeerateDiagram.

    Raises FeeTooLow("replacement-failed").
    """
    if not is_improvement(plan):
        raise FeeTooLow(
            "replacement-failed", "insufficient feerate: does not improve feerate diagram"
        )


def is_improvement(plan: Plan) -> bool:
    """Whether a change is one for the better, for blocks of whatever size.

    To put many clusters in their best order takes seconds, and an attempt that fails costs its
    sender nothing. So where many transactions are left, they stay in the order that they had, and
    what would be an improvement only in a better one is refused. The reference client sets itself
    a limit of time, too.
    """
    before = diagram(plan.before)
    if sum(len(cluster.entries) for cluster in plan.after) <= MOST_PUT_IN_ORDER:
        return improves(diagram(plan.after), before)
    ordered = [e for cluster in plan.before for chunk in cluster.chunks for e in chunk.entries]
    place = {entry.tx.txid: n for n, entry in enumerate(ordered)}
    return improves(rough_diagram(plan.after, place), before)


def check_spends_no_conflict(entry: Entry, conflicts: Sequence[Entry]) -> None:
    """A transaction doesn't need what it replaces. Core: EntriesAndTxidsDisjoint.

    No block could have it. Raises TxInvalid("bad-txns-spends-conflicting-tx").
    """
    above = ancestors(entry)
    for conflict in conflicts:
        if conflict.tx.txid in above:
            raise TxInvalid(
                "bad-txns-spends-conflicting-tx",
                f"{display(entry.tx.txid)} spends conflicting transaction "
                f"{display(conflict.tx.txid)}",
            )


def money(value: int) -> str:
    """Bitcoins with two decimals at least, as reasons show them. Core: FormatMoney."""
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), COIN)
    decimals = f"{rest:08}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{decimals}"
