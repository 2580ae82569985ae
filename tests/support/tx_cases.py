"""The cases of tx_valid.json and tx_invalid.json."""

from typing import Any, NamedTuple

from drystone.primitives.hashes import Txid, from_display
from drystone.primitives.transaction import NULL_VOUT, OutPoint, Transaction, TxOut
from tests.support.vectors import assemble


class TxCase(NamedTuple):
    """A transaction, the outputs that it spends, in the order of inputs, and flags' names."""

    tx: Transaction
    spent: tuple[TxOut, ...]
    flags: str


def tx_cases(entries: list[list[Any]]) -> list[TxCase]:
    """All but the comments, which are alone in their list."""
    return [_tx_case(*entry) for entry in entries if len(entry) > 1]


def _tx_case(inputs: list[list[Any]], serialised: str, flags: str) -> TxCase:
    coins = {
        OutPoint(Txid(from_display(txid)), NULL_VOUT if vout == -1 else vout): TxOut(
            amount[0] if amount else 0, assemble(script)
        )
        for txid, vout, script, *amount in inputs
    }
    tx = Transaction.from_bytes(bytes.fromhex(serialised))
    return TxCase(tx, tuple(coins[txin.prevout] for txin in tx.vin), flags)
