"""The cases of script_tests.json, each with the two transactions that it stands for."""

from decimal import Decimal
from typing import Any, NamedTuple

from drystone.consensus.script.errors import ScriptError
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.taproot import LEAF_VERSION_TAPSCRIPT, tap_leaf_hash
from drystone.crypto.secp256k1 import tap_tweak, tweak_public_key
from drystone.primitives.amount import COIN
from drystone.primitives.transaction import NULL_OUTPOINT, OutPoint, Transaction, TxIn, TxOut
from tests.support.vectors import assemble, filled, flags_from

# BIP341's point that nobody knows a secret for: the vectors ask for any fixed internal key.
INTERNAL_KEY = bytes.fromhex("50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0")


class ScriptCase(NamedTuple):
    """A spending transaction, the output that it spends, and what must come of it."""

    tx: Transaction
    spent: TxOut
    flags: Flags
    expected: ScriptError
    text: str


def script_cases(entries: list[list[Any]]) -> list[ScriptCase]:
    """All but the comments, which are alone in their list."""
    return [_script_case(entry) for entry in entries if len(entry) > 1]


def _script_case(entry: list[Any]) -> ScriptCase:
    if not isinstance(entry[0], list):
        entry = [[0], *entry]
    (*items, amount), script_sig, script_pubkey, flags, expected, *_ = entry
    witness, output_key = _witness(items)
    script_pubkey = script_pubkey.replace("#TAPROOTOUTPUT#", "0x" + output_key.hex())
    spent = TxOut(int(Decimal(str(amount)) * COIN), assemble(script_pubkey))
    return ScriptCase(
        tx=spending(crediting(spent), assemble(script_sig), witness),
        spent=spent,
        flags=filled(flags_from(flags)),
        expected=ScriptError[expected],
        text=str(entry),
    )


def _witness(items: list[str]) -> tuple[tuple[bytes, ...], bytes]:
    """The witness, and the output key of the one tapscript in it."""
    witness, output_key, control_block = [], b"", b""
    for item in items:
        if item.startswith("#SCRIPT#"):
            script = assemble(item.removeprefix("#SCRIPT#"))
            tweak = tap_tweak(INTERNAL_KEY, tap_leaf_hash(script))
            output_key, parity = tweak_public_key(INTERNAL_KEY, tweak)
            control_block = bytes((LEAF_VERSION_TAPSCRIPT | parity,)) + INTERNAL_KEY
            witness.append(script)
        elif item == "#CONTROLBLOCK#":
            witness.append(control_block)
        else:
            witness.append(bytes.fromhex(item))
    return tuple(witness), output_key


def crediting(output: TxOut) -> Transaction:
    """A transaction that makes the output. Core: BuildCreditingTransaction."""
    return Transaction(1, (TxIn(NULL_OUTPOINT, b"\0\0"),), (output,))


def spending(
    credit: Transaction, script_sig: bytes, witness: tuple[bytes, ...] = ()
) -> Transaction:
    """A transaction that spends it to nobody. Core: BuildSpendingTransaction."""
    txin = TxIn(OutPoint(credit.txid, 0), script_sig, witness=witness)
    return Transaction(1, (txin,), (TxOut(credit.vout[0].value, b""),))
