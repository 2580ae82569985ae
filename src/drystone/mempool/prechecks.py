"""The rules on a transaction by itself that ask about the tip, the mempool, or its fee.

`standardness.py` has those on its form, `acceptance.py` the order in which all are asked.
"""

from drystone.consensus.errors import TxInvalid, TxPremature
from drystone.consensus.locktime import SequenceLock, is_final, is_unlocked
from drystone.mempool.chainview import ChainView
from drystone.mempool.contents import Contents
from drystone.mempool.entry import Entry
from drystone.mempool.errors import FeeTooLow, PolicyRefused, TxKnown
from drystone.mempool.policy import Policy, fee_at
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import Transaction


def check_no_coinbase(tx: Transaction) -> None:
    """A coinbase comes in a block and not otherwise. Core: PreChecks.

    Raises TxInvalid("coinbase").
    """
    if tx.is_coinbase:
        raise TxInvalid("coinbase")


def check_final(tx: Transaction, view: ChainView) -> None:
    """The lock time lets it into the next block. Core: CheckFinalTxAtTip.

    Raises TxPremature("non-final").
    """
    if not is_final(tx, view.height + 1, view.median_time_past):
        raise TxPremature("non-final", f"lock time {tx.lock_time}")


def check_sequence_lock(lock: SequenceLock, view: ChainView) -> None:
    """The coins are old enough in the next block (BIP68). Core: CheckSequenceLocksAtTip.

    Raises TxPremature("non-BIP68-final").
    """
    if not is_unlocked(lock, view.height + 1, view.median_time_past):
        raise TxPremature("non-BIP68-final", f"locked up to {lock}")


def check_unknown(tx: Transaction, contents: Contents) -> None:
    """It isn't in the mempool, nor is it there with another witness. Core: PreChecks.

    Raises TxKnown("txn-already-in-mempool") or TxKnown("txn-same-nonwitness-data-in-mempool").
    """
    known = contents.get(tx.txid)
    if known is None:
        return
    if known.tx.wtxid == tx.wtxid:
        raise TxKnown("txn-already-in-mempool")
    raise TxKnown("txn-same-nonwitness-data-in-mempool")


def find_conflicts(tx: Transaction, contents: Contents, *, may_replace: bool) -> list[Entry]:
    """Who spends the same coins. Core: PreChecks.

    Raises PolicyRefused("bip125-replacement-disallowed") if there is somebody, and may not be.
    """
    found: dict[Txid, Entry] = {}
    for txin in tx.vin:
        other = contents.spender(txin.prevout)
        if other is not None:
            if not may_replace:
                raise PolicyRefused("bip125-replacement-disallowed")
            found[other.tx.txid] = other
    return list(found.values())


def check_fee_rate(fee: int, vsize: int, minimum_rate: int, policy: Policy) -> None:
    """It pays for being relayed, and enough to stay. Core: CheckFeeRate.

    Raises FeeTooLow("mempool min fee not met") or FeeTooLow("min relay fee not met").
    """
    needed = fee_at(minimum_rate, vsize)
    if needed > 0 and fee < needed:
        raise FeeTooLow("mempool min fee not met", f"{fee} < {needed}")
    needed = fee_at(policy.minrelaytxfee, vsize)
    if fee < needed:
        raise FeeTooLow("min relay fee not met", f"{fee} < {needed}")


def check_max_feerate(entry: Entry, max_feerate: int | None) -> None:
    """It doesn't pay more than its sender said it might. Core: AcceptSingleTransaction.

    Raises PolicyRefused("max feerate exceeded").
    """
    if max_feerate is not None and entry.modified_fee * 1_000 > max_feerate * entry.vsize:
        raise PolicyRefused("max feerate exceeded")
