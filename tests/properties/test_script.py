"""Scripts, any script: they end in a verdict, within their limits, and every way agrees on it."""

from collections.abc import Callable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.everyday_spends import Credulous
from tests.support.random_spends import flag_sets, scripts, spends
from tests.support.vectors import trimmed

from drystone.consensus.script.checker import InputChecker
from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.interpreter import run
from drystone.consensus.script.machine import (
    MAX_OPS,
    MAX_STACK_ELEMENTS,
    Machine,
    SigVersion,
    Tapscript,
)
from drystone.consensus.script.sighash import SignatureHashes
from drystone.consensus.script.sigops import count_sigops, p2sh_sigops, witness_sigops
from drystone.consensus.script.verify import (
    Spend,
    verify_batch_of_scripts,
    verify_input,
    verify_script,
    verify_scripts,
)
from drystone.consensus.verifier import INLINE, Verifier
from drystone.primitives.script import MAX_ELEMENT_BYTES, p2sh, witness_script_pubkey
from drystone.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut

TX = Transaction(2, (TxIn(NULL_OUTPOINT, sequence=5),), (TxOut(1, b""),), lock_time=7)
stacks = st.lists(st.binary(max_size=8) | st.just(bytes(MAX_ELEMENT_BYTES)), max_size=8)

Outcome = tuple[ScriptError, Transaction | None, int | None]
VALID: Outcome = (ScriptError.OK, None, None)


@settings(max_examples=400)
@given(scripts, stacks, flag_sets, st.sampled_from(SigVersion))
def test_any_script_on_any_stack_ends_within_its_limits(
    script: bytes, stack: list[bytes], flags: Flags, sig_version: SigVersion
) -> None:
    checker = InputChecker(SignatureHashes(TX, [TxOut(1, script)]), 0)
    tapscript = Tapscript(bytes(32), None, weight_left=100)
    vm = Machine(script, stack, flags, checker, sig_version=sig_version, tapscript=tapscript)
    error, *_ = outcome_of(lambda: run(vm))
    assert error is not ScriptError.UNKNOWN_ERROR
    if error is ScriptError.OK:
        assert len(vm.stack) + len(vm.alt_stack) <= MAX_STACK_ELEMENTS
        assert vm.op_count <= MAX_OPS
        assert vm.open_ifs == vm.dead_branch == 0
    assert all(len(element) <= MAX_ELEMENT_BYTES for element in vm.stack + vm.alt_stack)


output_scripts = st.one_of(
    scripts,
    st.binary(min_size=20, max_size=20).map(p2sh),
    st.builds(witness_script_pubkey, st.integers(0, 16), st.binary(min_size=2, max_size=40)),
)
witnesses = st.lists(st.binary(max_size=70) | scripts, max_size=4).map(tuple)


@settings(max_examples=300)
@given(scripts, output_scripts, witnesses, flag_sets)
def test_any_input_is_valid_or_invalid(
    script_sig: bytes, script_pubkey: bytes, witness: tuple[bytes, ...], flags: Flags
) -> None:
    tx = Transaction(2, (TxIn(NULL_OUTPOINT, script_sig, witness=witness),), ())
    one_by_one([Spend(tx, [TxOut(0, script_pubkey)])], flags)


@given(scripts, output_scripts, witnesses)
def test_any_script_has_a_number_of_sigops(
    script_sig: bytes, script_pubkey: bytes, witness: tuple[bytes, ...]
) -> None:
    accurate = count_sigops(script_pubkey, accurate=True)
    assert 0 <= accurate <= count_sigops(script_pubkey, accurate=False) <= 20 * len(script_pubkey)
    assert p2sh_sigops(script_sig, script_pubkey) >= 0
    assert witness_sigops(script_sig, script_pubkey, witness, Flags.NONE) == 0
    assert witness_sigops(script_sig, script_pubkey, witness, Flags.WITNESS) >= 0


def outcome_of(verify: Callable[[], None]) -> Outcome:
    try:
        verify()
    except ScriptInvalid as invalid:
        return invalid.error, invalid.tx, invalid.input_index
    return VALID


def one_by_one(spends: Sequence[Spend], flags: Flags) -> Outcome:
    """The verdict on one transaction after the other, every signature checked at once."""

    def verify() -> None:
        for spend in spends:
            verify_scripts(*spend, flags)

    return outcome_of(verify)


@settings(max_examples=400)
@given(st.lists(spends(), min_size=1, max_size=3), flag_sets)
def test_a_batch_agrees_with_checking_one_by_one(batch: list[Spend], flags: Flags) -> None:
    in_batch = outcome_of(lambda: verify_batch_of_scripts(batch, flags))
    assert in_batch == one_by_one(batch, flags)


@given(st.lists(spends(), min_size=1, max_size=3), flag_sets)
def test_a_batch_refused_without_a_reason_changes_no_verdict(
    batch: list[Spend], flags: Flags
) -> None:
    refused = outcome_of(lambda: verify_batch_of_scripts(batch, flags, lambda checks: False))
    assert refused == one_by_one(batch, flags)


@settings(max_examples=300)
@given(spends(max_inputs=1), flag_sets, st.sampled_from([INLINE, Credulous()]))
def test_the_short_ways_agree_with_the_interpreter(
    spend: Spend, flags: Flags, verifier: Verifier
) -> None:
    hashes = SignatureHashes(*spend)
    txin, spent = spend.tx.vin[0], spend.spent_outputs[0]
    checker = InputChecker(hashes, 0, verifier)
    interpreted = outcome_of(
        lambda: verify_script(txin.script_sig, spent.script_pubkey, txin.witness, flags, checker)
    )
    assert outcome_of(lambda: verify_input(hashes, 0, flags, verifier)) == interpreted


@settings(max_examples=200)
@given(spends(), flag_sets)
def test_flags_only_forbid(spend: Spend, flags: Flags) -> None:
    if one_by_one([spend], flags) == VALID:
        for flag in flags:
            fewer = trimmed(flags & ~flag)
            assert one_by_one([spend], fewer) == VALID, flag
