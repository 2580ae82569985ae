"""Verifying scripts: of one input, of a transaction, of many transactions in one batch."""

from collections.abc import Sequence
from typing import NamedTuple

from drystone.consensus.script.checker import InputChecker
from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.interpreter import run
from drystone.consensus.script.machine import Machine
from drystone.consensus.script.sighash import SignatureHashes
from drystone.consensus.script.templates import is_p2pkh, is_plainly_valid
from drystone.consensus.script.values import is_true
from drystone.consensus.script.witness import check_witness_program
from drystone.consensus.verifier import (
    INLINE,
    BatchVerifier,
    Deferred,
    SignatureCheck,
    Verifier,
    verify_one_by_one,
)
from drystone.primitives.script import is_p2sh, is_push_only, push, witness_program
from drystone.primitives.transaction import Transaction, TxOut


class Spend(NamedTuple):
    """A transaction and the outputs that it spends, one for each input, in order."""

    tx: Transaction
    spent_outputs: Sequence[TxOut]


def verify_scripts(
    tx: Transaction,
    spent_outputs: Sequence[TxOut],
    flags: Flags,
    verifier: Verifier = INLINE,
    decisive: Verifier | None = None,
) -> None:
    """The scripts of a transaction's inputs, in their order. Core: CheckInputScripts.

    spent_outputs: one for each input. decisive: who is asked about signatures without which their
    scripts fail; if its answers may be wrong, whoever gave it must look again.
    Raises ScriptInvalid with the first rule broken by the first input that breaks one.
    """
    assert len(tx.vin) == len(spent_outputs)
    hashes = SignatureHashes(tx, spent_outputs)
    for index in range(len(tx.vin)):
        try:
            verify_input(hashes, index, flags, verifier, decisive)
        except ScriptInvalid as invalid:
            invalid.tx, invalid.input_index = tx, index
            raise


def verify_input(
    hashes: SignatureHashes,
    index: int,
    flags: Flags,
    verifier: Verifier = INLINE,
    decisive: Verifier | None = None,
) -> None:
    """The scripts of one input of the transaction that is hashed. Raises ScriptInvalid."""
    if is_plainly_valid(hashes, index, flags, decisive or verifier):
        return
    txin, spent = hashes.tx.vin[index], hashes.spent_outputs[index]
    checker = InputChecker(hashes, index, verifier, decisive)
    verify_script(txin.script_sig, spent.script_pubkey, txin.witness, flags, checker)


def verify_batch_of_scripts(
    spends: Sequence[Spend],
    flags: Flags,
    are_valid: BatchVerifier = verify_one_by_one,
    verifier: Verifier = INLINE,
) -> None:
    """The scripts of many transactions, say a block's, with most signatures checked in one call.

    The verdict and the error are those of `verify_scripts` on one transaction after the other.
    are_valid: is asked about signatures without which their scripts fail. They count as valid at
    first; what fails nevertheless, or what the batch shows to have counted on a bad one, runs
    again in order. verifier: is asked about all others, at once.
    """
    deferred = Deferred()
    for position, spend in enumerate(spends):
        settled = len(deferred.checks)
        try:
            verify_scripts(*spend, flags, verifier, deferred)
        except ScriptInvalid:
            del deferred.checks[settled:]
            _settle(spends[:position], flags, deferred.checks, are_valid, verifier)
            deferred.checks.clear()
            verify_scripts(*spend, flags, verifier)
    _settle(spends, flags, deferred.checks, are_valid, verifier)


def _settle(
    spends: Sequence[Spend],
    flags: Flags,
    checks: Sequence[SignatureCheck],
    are_valid: BatchVerifier,
    verifier: Verifier,
) -> None:
    """What was assumed is true, or the scripts run again without assuming anything."""
    if checks and not are_valid(checks):
        for spend in spends:
            verify_scripts(*spend, flags, verifier)


def verify_script(
    script_sig: bytes,
    script_pubkey: bytes,
    witness: Sequence[bytes],
    flags: Flags,
    checker: InputChecker,
) -> None:
    """An input's scripts and witness let it spend an output. Core: VerifyScript.

    Raises ScriptInvalid with the first rule broken.
    """
    if Flags.SIGPUSHONLY in flags and not is_push_only(script_sig):
        raise ScriptInvalid(ScriptError.SIG_PUSHONLY)
    stack: list[bytes] = []
    run(Machine(script_sig, stack, flags, checker))
    pushed = stack.copy()
    _check_true(Machine(script_pubkey, stack, flags, checker, decisive=is_p2pkh(script_pubkey)))

    program = None
    if Flags.WITNESS in flags:
        program = witness_program(script_pubkey)
        if program is not None:
            if script_sig:
                raise ScriptInvalid(ScriptError.WITNESS_MALLEATED)
            check_witness_program(program, witness, flags, checker, in_p2sh=False)
            del stack[1:]

    if Flags.P2SH in flags and is_p2sh(script_pubkey):
        if not is_push_only(script_sig):
            raise ScriptInvalid(ScriptError.SIG_PUSHONLY)
        stack = pushed
        program = _check_redeem(script_sig, stack, witness, flags, checker)

    if Flags.CLEANSTACK in flags and len(stack) != 1:
        raise ScriptInvalid(ScriptError.CLEANSTACK)
    if Flags.WITNESS in flags and program is None and witness:
        raise ScriptInvalid(ScriptError.WITNESS_UNEXPECTED)


def _check_true(vm: Machine) -> None:
    """The script runs, and the top of what it leaves is true."""
    run(vm)
    if not vm.stack or not is_true(vm.stack[-1]):
        raise ScriptInvalid(ScriptError.EVAL_FALSE)


def _check_redeem(
    script_sig: bytes,
    stack: list[bytes],
    witness: Sequence[bytes],
    flags: Flags,
    checker: InputChecker,
) -> tuple[int, bytes] | None:
    """The script that was hashed runs on what was pushed below it (BIP16).

    stack: what the scriptSig left; then what the script does. Returns the witness program that
    the script is, if it is one.
    """
    redeem_script = stack.pop()
    _check_true(Machine(redeem_script, stack, flags, checker, decisive=is_p2pkh(redeem_script)))
    program = witness_program(redeem_script) if Flags.WITNESS in flags else None
    if program is not None:
        if script_sig != push(redeem_script):
            raise ScriptInvalid(ScriptError.WITNESS_MALLEATED_P2SH)
        check_witness_program(program, witness, flags, checker, in_p2sh=True)
        del stack[1:]
    return program
