"""The short ways say yes only where the interpreter does, and don't go its way for nothing."""

import pytest
from tests.support.everyday_spends import KINDS, Choices, Credulous, everyday_spend, with_oddities

from drystone.consensus.script.checker import InputChecker
from drystone.consensus.script.errors import ScriptInvalid
from drystone.consensus.script.flags import CONSENSUS, STANDARD, Flags
from drystone.consensus.script.sighash import SignatureHashes
from drystone.consensus.script.templates import is_plainly_valid
from drystone.consensus.script.verify import Spend, verify_script
from drystone.consensus.verifier import INLINE, Verifier

FLAG_SETS = (
    CONSENSUS,
    STANDARD,
    Flags.NONE,
    Flags.P2SH,
    Flags.P2SH | Flags.WITNESS,
    Flags.CLEANSTACK,
    CONSENSUS & ~Flags.DERSIG,
    STANDARD & ~Flags.STRICTENC,
    STANDARD & ~Flags.LOW_S,
)


def is_valid(spend: Spend, flags: Flags, verifier: Verifier) -> bool:
    """As the interpreter has it."""
    txin, spent = spend.tx.vin[0], spend.spent_outputs[0]
    checker = InputChecker(SignatureHashes(*spend), 0, verifier)
    try:
        verify_script(txin.script_sig, spent.script_pubkey, txin.witness, flags, checker)
    except ScriptInvalid:
        return False
    return True


@pytest.mark.parametrize("flags", [CONSENSUS, STANDARD])
@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_input_is_plainly_valid(kind: str, flags: Flags) -> None:
    spend = everyday_spend(kind, Choices({}))
    assert is_plainly_valid(SignatureHashes(*spend), 0, flags, INLINE)
    assert is_valid(spend, flags, INLINE)


def test_what_is_plainly_valid_is_valid() -> None:
    for kind, taken in with_oddities(at_most=2):
        spend = everyday_spend(kind, Choices(taken))
        for flags in FLAG_SETS:
            for verifier in (INLINE, Credulous()):
                if is_plainly_valid(SignatureHashes(*spend), 0, flags, verifier):
                    assert is_valid(spend, flags, verifier), (kind, taken, flags)
