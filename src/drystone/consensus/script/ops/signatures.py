"""Opcodes that check signatures."""

from typing import Final

from drystone.consensus.script.encoding import (
    check_public_key_encoding,
    check_signature_encoding,
)
from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.machine import MAX_OPS, Machine, SigVersion, need
from drystone.consensus.script.sigops import MAX_PUBKEYS_PER_MULTISIG
from drystone.consensus.script.values import FALSE, number, truth
from drystone.consensus.script.walk import PUSHDATA4, push_bounds
from drystone.primitives.script import encode_number, push

WEIGHT_PER_SIGNATURE: Final = 50  # BIP342. Core: VALIDATION_WEIGHT_PER_SIGOP_PASSED


def op_codeseparator(vm: Machine) -> None:
    """Signatures checked from here on sign only what follows."""
    if vm.sig_version is SigVersion.BASE and Flags.CONST_SCRIPTCODE in vm.flags:
        raise ScriptInvalid(ScriptError.OP_CODESEPARATOR)  # even in a branch not taken
    if vm.dead_branch:
        return
    vm.code_start = vm.at
    vm.last_separator = vm.position


def op_checksig(vm: Machine) -> None:
    """signature key -> whether the signature is the key's."""
    need(vm, 2)
    valid = is_signature_valid(vm, vm.stack[-2], vm.stack[-1])
    vm.stack[-2:] = [truth(valid)]


def op_checksigverify(vm: Machine) -> None:
    """signature key -> : fails unless the signature is the key's."""
    op_checksig(vm)
    if vm.stack[-1] == FALSE:
        raise ScriptInvalid(ScriptError.CHECKSIGVERIFY)
    vm.stack.pop()


def op_checksigadd(vm: Machine) -> None:
    """signature n key -> n, or n + 1 if the signature is the key's (BIP342)."""
    if vm.sig_version is not SigVersion.TAPSCRIPT:
        raise ScriptInvalid(ScriptError.BAD_OPCODE)
    need(vm, 3)
    signature, operand, public_key = vm.stack[-3:]
    n = number(operand, minimal=vm.is_minimal)
    valid = is_signature_valid(vm, signature, public_key)
    vm.stack[-3:] = [encode_number(n + valid)]


def is_signature_valid(vm: Machine, signature: bytes, public_key: bytes) -> bool:
    """Whether it is, if the script may go on after the answer. Core: EvalChecksig."""
    if vm.sig_version is SigVersion.TAPSCRIPT:
        return _is_valid_in_tapscript(vm, signature, public_key)
    return _is_valid_ecdsa(vm, signature, public_key)


def _is_valid_ecdsa(vm: Machine, signature: bytes, public_key: bytes) -> bool:
    """Core: EvalChecksigPreTapscript."""
    script_code = vm.script[vm.code_start :]
    in_witness = vm.sig_version is SigVersion.WITNESS_V0
    if not in_witness:
        script_code = without_signature(vm, script_code, signature)
    check_signature_encoding(signature, vm.flags)
    check_public_key_encoding(public_key, vm.flags, in_witness=in_witness)
    valid = vm.checker.ecdsa(
        signature, public_key, script_code, in_witness=in_witness, decisive=vm.decisive
    )
    if not valid and signature and Flags.NULLFAIL in vm.flags:
        raise ScriptInvalid(ScriptError.NULLFAIL)
    return valid


def _is_valid_in_tapscript(vm: Machine, signature: bytes, public_key: bytes) -> bool:
    """An empty signature is a no, any other must be valid, and uses up weight (BIP342).

    The order is consensus: the weight is used up even with a key of unknown kind, with which every
    signature is valid; and an empty key fails even with an empty signature.
    Core: EvalChecksigTapscript.
    """
    tapscript = vm.tapscript
    assert tapscript is not None
    if signature:
        tapscript.weight_left -= WEIGHT_PER_SIGNATURE
        if tapscript.weight_left < 0:
            raise ScriptInvalid(ScriptError.TAPSCRIPT_VALIDATION_WEIGHT)
    if not public_key:
        raise ScriptInvalid(ScriptError.TAPSCRIPT_EMPTY_PUBKEY)
    if len(public_key) != 32:
        if Flags.DISCOURAGE_UPGRADABLE_PUBKEYTYPE in vm.flags:
            raise ScriptInvalid(ScriptError.DISCOURAGE_UPGRADABLE_PUBKEYTYPE)
    elif signature:
        vm.checker.check_schnorr(
            signature, public_key, tapscript.annex_hash, tapscript.leaf_hash, vm.last_separator
        )
    return bool(signature)


def op_checkmultisig(vm: Machine) -> None:
    """dummy m signatures, m, n keys, n -> whether each signature is that of some key, in order.

    Signatures and keys are looked at from the top; each key is tried with one signature at most.
    Core quirk: there is one element too many below, the dummy.
    """
    if vm.sig_version is SigVersion.TAPSCRIPT:
        raise ScriptInvalid(ScriptError.TAPSCRIPT_CHECKMULTISIG)
    stack = vm.stack
    need(vm, 1)
    key_count = number(stack[-1], minimal=vm.is_minimal)
    if not 0 <= key_count <= MAX_PUBKEYS_PER_MULTISIG:
        raise ScriptInvalid(ScriptError.PUBKEY_COUNT)
    vm.op_count += key_count
    if vm.op_count > MAX_OPS:
        raise ScriptInvalid(ScriptError.OP_COUNT)
    need(vm, key_count + 2)
    signature_count = number(stack[-key_count - 2], minimal=vm.is_minimal)
    if not 0 <= signature_count <= key_count:
        raise ScriptInvalid(ScriptError.SIG_COUNT)
    size = signature_count + 1 + key_count + 1
    need(vm, 1 + size)
    public_keys = stack[-key_count - 1 : -1]
    signatures = stack[-size : -key_count - 2]

    valid = are_signatures_valid(vm, signatures[::-1], public_keys[::-1])
    if not valid and any(signatures) and Flags.NULLFAIL in vm.flags:
        raise ScriptInvalid(ScriptError.NULLFAIL)
    if stack[-size - 1] and Flags.NULLDUMMY in vm.flags:
        raise ScriptInvalid(ScriptError.SIG_NULLDUMMY)
    stack[-size - 1 :] = [truth(valid)]


def op_checkmultisigverify(vm: Machine) -> None:
    """dummy m signatures, m, n keys, n -> : fails unless each signature is that of some key."""
    op_checkmultisig(vm)
    if vm.stack[-1] == FALSE:
        raise ScriptInvalid(ScriptError.CHECKMULTISIGVERIFY)
    vm.stack.pop()


def are_signatures_valid(vm: Machine, signatures: list[bytes], public_keys: list[bytes]) -> bool:
    """Whether each signature is that of some key, keys in the order of signatures.

    Of what isn't tried, the encoding isn't looked at either: that is what one can observe.
    """
    script_code = vm.script[vm.code_start :]
    in_witness = vm.sig_version is SigVersion.WITNESS_V0
    if not in_witness:
        for signature in signatures:
            script_code = without_signature(vm, script_code, signature)
    missing, left = len(signatures), len(public_keys)
    while missing and missing <= left:
        signature, public_key = signatures[-missing], public_keys[-left]
        check_signature_encoding(signature, vm.flags)
        check_public_key_encoding(public_key, vm.flags, in_witness=in_witness)
        if vm.checker.ecdsa(signature, public_key, script_code, in_witness=in_witness):
            missing -= 1
        left -= 1
    return not missing


def without_signature(vm: Machine, script_code: bytes, signature: bytes) -> bytes:
    """The script that a legacy signature signs: without that signature, which can't sign itself.

    Core quirk: nobody needs this, and an empty signature removes every OP_0. By policy, a script
    that has its signature in it fails. Raises ScriptInvalid(SIG_FINDANDDELETE).
    """
    pattern = push(signature)
    if pattern not in script_code:
        return script_code
    remaining = find_and_delete(script_code, pattern)
    if len(remaining) != len(script_code) and Flags.CONST_SCRIPTCODE in vm.flags:
        raise ScriptInvalid(ScriptError.SIG_FINDANDDELETE)
    return remaining


def find_and_delete(script: bytes, pattern: bytes) -> bytes:
    """The script less the pattern wherever an operation starts with it. Core: FindAndDelete.

    pattern: not empty. It may be part of an operation or several of them. Behind a push that
    reaches past the end, nothing is an operation.
    """
    kept = []
    start = at = 0
    end = len(script)
    while at <= end:
        if script.startswith(pattern, at):
            kept.append(script[start:at])
            while script.startswith(pattern, at):
                at += len(pattern)
            start = at
        if at == end:
            break
        opcode = script[at]
        at += 1
        if opcode <= PUSHDATA4:
            at = push_bounds(script, at, opcode)[1]
    kept.append(script[start:])
    return b"".join(kept)
