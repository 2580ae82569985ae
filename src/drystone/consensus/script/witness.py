"""Witness programs: what an output's version and program ask of the witness (BIP141, BIP341)."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from drystone.consensus.script.checker import InputChecker
from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.interpreter import run
from drystone.consensus.script.machine import MAX_STACK_ELEMENTS, Machine, SigVersion, Tapscript
from drystone.consensus.script.ops.signatures import WEIGHT_PER_SIGNATURE
from drystone.consensus.script.taproot import (
    LEAF_VERSION_TAPSCRIPT,
    check_commitment,
    check_control_block_size,
    has_op_success,
    leaf_version,
    pop_annex,
    tap_leaf_hash,
)
from drystone.consensus.script.templates import is_p2pkh
from drystone.consensus.script.values import is_true
from drystone.primitives.codec import compact_size
from drystone.primitives.script import MAX_ELEMENT_BYTES, P2A, p2pkh, witness_program

KEY_HASH_BYTES: Final = 20
SCRIPT_HASH_BYTES: Final = 32
TAPROOT_KEY_BYTES: Final = 32

_ANCHOR = witness_program(P2A)


def check_witness_program(
    program: tuple[int, bytes],
    witness: Sequence[bytes],
    flags: Flags,
    checker: InputChecker,
    *,
    in_p2sh: bool,
) -> None:
    """The witness satisfies the program. Core: VerifyWitnessProgram.

    program: version and bytes. in_p2sh: the output only has its hash; taproot does not go there.
    Raises ScriptInvalid.
    """
    version, data = program
    if version == 0:
        check_witness_v0(data, witness, flags, checker)
    elif version == 1 and len(data) == TAPROOT_KEY_BYTES and not in_p2sh:
        if Flags.TAPROOT in flags:
            check_taproot(data, witness, flags, checker)
    elif program == _ANCHOR and not in_p2sh:
        return  # anyone can spend it, by policy too
    elif Flags.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM in flags:
        raise ScriptInvalid(ScriptError.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM)


def check_witness_v0(
    program: bytes, witness: Sequence[bytes], flags: Flags, checker: InputChecker
) -> None:
    """The witness shows the key or the script that the program is a hash of (BIP141).

    ```
    P2WPKH    program: HASH160 of a key (20)         witness: signature, key
    P2WSH     program: SHA-256 of a script (32)      witness: the script's stack, script
    ```
    """
    if len(program) == SCRIPT_HASH_BYTES:
        if not witness:
            raise ScriptInvalid(ScriptError.WITNESS_PROGRAM_WITNESS_EMPTY)
        script = witness[-1]
        stack = list(witness[:-1])
        if sha256(script).digest() != program:
            raise ScriptInvalid(ScriptError.WITNESS_PROGRAM_MISMATCH)
    elif len(program) == KEY_HASH_BYTES:
        if len(witness) != 2:
            raise ScriptInvalid(ScriptError.WITNESS_PROGRAM_MISMATCH)
        script = p2pkh(program)
        stack = list(witness)
    else:
        raise ScriptInvalid(ScriptError.WITNESS_PROGRAM_WRONG_LENGTH)
    decisive = is_p2pkh(script)
    version = SigVersion.WITNESS_V0
    _check_run(Machine(script, stack, flags, checker, sig_version=version, decisive=decisive))


def check_taproot(
    output_key: bytes, witness: Sequence[bytes], flags: Flags, checker: InputChecker
) -> None:
    """The witness has a signature by the output key, or a script that it commits to (BIP341).

    ```
    key path       signature, [annex]
    script path    the script's stack, script, control block, [annex]
    ```
    """
    stack = list(witness)
    if not stack:
        raise ScriptInvalid(ScriptError.WITNESS_PROGRAM_WITNESS_EMPTY)
    annex_hash = pop_annex(stack)
    if len(stack) == 1:
        checker.check_schnorr(stack[0], output_key, annex_hash)
        return
    control_block, script = stack.pop(), stack.pop()
    check_control_block_size(control_block)
    version = leaf_version(control_block)
    leaf_hash = tap_leaf_hash(script, version)
    check_commitment(control_block, output_key, leaf_hash)
    if version == LEAF_VERSION_TAPSCRIPT:
        weight_left = witness_size(witness) + WEIGHT_PER_SIGNATURE
        tapscript = Tapscript(leaf_hash, annex_hash, weight_left)
        check_tapscript(script, stack, flags, checker, tapscript)
    elif Flags.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION in flags:
        raise ScriptInvalid(ScriptError.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION)


def witness_size(witness: Sequence[bytes]) -> int:
    """How many bytes a witness has on the wire."""
    sizes = map(len, witness)
    return len(compact_size(len(witness))) + sum(len(compact_size(n)) + n for n in sizes)


def check_tapscript(
    script: bytes, stack: list[bytes], flags: Flags, checker: InputChecker, tapscript: Tapscript
) -> None:
    """The script runs, or has an OP_SUCCESS (BIP342). Core: ExecuteWitnessScript."""
    if has_op_success(script):
        if Flags.DISCOURAGE_OP_SUCCESS in flags:
            raise ScriptInvalid(ScriptError.DISCOURAGE_OP_SUCCESS)
        return
    if len(stack) > MAX_STACK_ELEMENTS:
        raise ScriptInvalid(ScriptError.STACK_SIZE)
    version = SigVersion.TAPSCRIPT
    _check_run(Machine(script, stack, flags, checker, sig_version=version, tapscript=tapscript))


def _check_run(vm: Machine) -> None:
    """A witness script starts with elements of allowed sizes, and leaves one that is true."""
    if any(len(element) > MAX_ELEMENT_BYTES for element in vm.stack):
        raise ScriptInvalid(ScriptError.PUSH_SIZE)
    run(vm)
    if len(vm.stack) != 1:
        raise ScriptInvalid(ScriptError.CLEANSTACK)
    if not is_true(vm.stack[0]):
        raise ScriptInvalid(ScriptError.EVAL_FALSE)
