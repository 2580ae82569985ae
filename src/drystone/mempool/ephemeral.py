"""Ephemeral dust: an output worth less than its spending costs, which a child spends at once.

So that nobody gains by mining it alone, a transaction with dust pays no fee; whoever wants it mined
spends the dust in the transaction that pays.
"""

from collections.abc import Callable, Sequence

from drystone.mempool.errors import PolicyRefused, TxNonstandard
from drystone.mempool.policy import Policy
from drystone.mempool.standardness import dust_outputs
from drystone.primitives.hashes import Txid, display
from drystone.primitives.transaction import OutPoint, Transaction


def check_dust_pays_nothing(tx: Transaction, fee: int, modified_fee: int, policy: Policy) -> None:
    """A transaction with dust pays no fee. Core: PreCheckEphemeralTx.

    modified_fee: with what its fee is treated as. Raises TxNonstandard("dust").
    """
    if (fee or modified_fee) and dust_outputs(tx, policy.dustrelayfee):
        raise TxNonstandard("dust", "tx with dust output must be 0-fee")


def check_dust_is_spent(
    package: Sequence[Transaction],
    in_pool: Callable[[Txid], Transaction | None],
    policy: Policy,
) -> None:
    """Each transaction spends all dust of its unconfirmed parents. Core: CheckEphemeralSpends.

    in_pool: finds those in the mempool. Raises UnspentDust("missing-ephemeral-spends").
    """
    together = {tx.txid: tx for tx in package}
    for tx in package:
        dust: dict[OutPoint, None] = {}
        for txid in dict.fromkeys([txin.prevout.txid for txin in tx.vin]):
            parent = together.get(txid) or in_pool(txid)
            if parent is not None:
                for vout in dust_outputs(parent, policy.dustrelayfee):
                    dust[OutPoint(txid, vout)] = None
        if dust:
            for txin in tx.vin:
                dust.pop(txin.prevout, None)
            if dust:
                raise UnspentDust(tx)


class UnspentDust(PolicyRefused):
    """A transaction that leaves its parent's dust unspent."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(
            "missing-ephemeral-spends",
            f"tx {display(tx.txid)} (wtxid={display(tx.wtxid)}) "
            "did not spend parent's ephemeral dust",
        )
        self.tx = tx
