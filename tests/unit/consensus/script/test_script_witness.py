"""Witness programs: when they count as such, and what they ask for (BIP141, BIP143, BIP16)."""

from hashlib import sha256

import pytest

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import CONSENSUS, Flags
from drystone.consensus.script.verify import verify_scripts
from drystone.consensus.script.witness import witness_size
from drystone.crypto.ripemd160 import hash160
from drystone.primitives.script import (
    P2A,
    p2sh,
    p2wpkh,
    p2wsh,
    push,
    witness_script_pubkey,
)
from drystone.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut

OK = ScriptError.OK
DISCOURAGING = CONSENSUS | Flags.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM


def outcome(
    script_pubkey: bytes,
    *witness: bytes,
    script_sig: bytes = b"",
    flags: Flags = CONSENSUS,
) -> ScriptError:
    tx = Transaction(2, (TxIn(NULL_OUTPOINT, script_sig, witness=witness),), ())
    try:
        verify_scripts(tx, [TxOut(0, script_pubkey)], flags)
    except ScriptInvalid as invalid:
        return invalid.error
    return OK


def v0(script: bytes) -> bytes:
    return p2wsh(sha256(script).digest())


def test_a_witness_script() -> None:
    assert outcome(v0(b"\x51"), b"\x51") is OK
    assert outcome(v0(b"\x51")) is ScriptError.WITNESS_PROGRAM_WITNESS_EMPTY
    assert outcome(v0(b"\x51"), b"\x52") is ScriptError.WITNESS_PROGRAM_MISMATCH
    assert outcome(v0(b"\x00"), b"\x00") is ScriptError.EVAL_FALSE
    assert outcome(v0(b"\x51"), b"", b"\x51") is ScriptError.CLEANSTACK
    assert outcome(v0(b"\x75"), b"\x01", b"\x75") is ScriptError.CLEANSTACK
    assert outcome(v0(b"\x75\x51"), bytes(520), b"\x75\x51") is OK
    assert outcome(v0(b"\x75\x51"), bytes(521), b"\x75\x51") is ScriptError.PUSH_SIZE
    large = b"\x51" + bytes(10_000)
    assert outcome(v0(large), large) is ScriptError.SCRIPT_SIZE


def test_a_key_hash_wants_two_elements() -> None:
    for count in (0, 1, 3):
        elements = [b"\x01"] * count
        assert outcome(p2wpkh(hash160(b"\x01")), *elements) is ScriptError.WITNESS_PROGRAM_MISMATCH
    assert outcome(p2wpkh(hash160(b"k")), b"", b"k") is ScriptError.EVAL_FALSE
    assert outcome(p2wpkh(hash160(b"k")), b"", b"j") is ScriptError.EQUALVERIFY


@pytest.mark.parametrize("size", [2, 19, 21, 31, 33, 40])
def test_version_0_has_two_sizes(size: int) -> None:
    script = witness_script_pubkey(0, b"\x01" * size)
    assert outcome(script, b"\x51") is ScriptError.WITNESS_PROGRAM_WRONG_LENGTH
    assert outcome(script, flags=Flags.P2SH) is OK


@pytest.mark.parametrize("version", range(1, 17))
@pytest.mark.parametrize("size", [2, 20, 31, 33, 40])
def test_later_versions_are_left_for_later(version: int, size: int) -> None:
    script = witness_script_pubkey(version, b"\x01" * size)
    assert outcome(script, b"any", b"thing") is OK
    discouraged = outcome(script, flags=DISCOURAGING)
    assert discouraged is ScriptError.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM


def test_an_anchor_is_not_discouraged_unless_in_p2sh() -> None:
    assert outcome(P2A, flags=DISCOURAGING) is OK
    in_p2sh = outcome(p2sh(hash160(P2A)), script_sig=push(P2A), flags=DISCOURAGING)
    assert in_p2sh is ScriptError.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM


def test_taproot_in_p2sh_is_no_taproot() -> None:
    program = witness_script_pubkey(1, b"\x01" * 32)
    locked = p2sh(hash160(program))
    assert outcome(program) is ScriptError.WITNESS_PROGRAM_WITNESS_EMPTY
    assert outcome(locked, script_sig=push(program)) is OK


@pytest.mark.parametrize("size", [1, 41])
def test_other_sizes_are_no_programs(size: int) -> None:
    script = bytes((0x51, size)) + b"\x01" * size
    assert outcome(script, flags=DISCOURAGING) is OK
    assert outcome(script, b"x") is ScriptError.WITNESS_UNEXPECTED


def test_nothing_may_be_beside_a_bare_program() -> None:
    assert outcome(v0(b"\x51"), b"\x51", script_sig=b"\x51") is ScriptError.WITNESS_MALLEATED


def test_a_program_in_p2sh_is_pushed_in_the_one_way() -> None:
    program = v0(b"\x51")
    locked = p2sh(hash160(program))
    assert outcome(locked, b"\x51", script_sig=push(program)) is OK
    longer = b"\x4c" + push(program)
    assert outcome(locked, b"\x51", script_sig=longer) is ScriptError.WITNESS_MALLEATED_P2SH
    more = b"\x51" + push(program)
    assert outcome(locked, b"\x51", script_sig=more) is ScriptError.WITNESS_MALLEATED_P2SH
    assert outcome(locked, script_sig=more, flags=Flags.P2SH) is OK


@pytest.mark.parametrize("script", [b"\x51", p2sh(hash160(b"\x51"))])
def test_a_witness_is_unexpected_elsewhere(script: bytes) -> None:
    script_sig = push(b"\x51") if len(script) > 1 else b""
    assert outcome(script, script_sig=script_sig) is OK
    assert outcome(script, b"", script_sig=script_sig) is ScriptError.WITNESS_UNEXPECTED
    assert outcome(script, b"", script_sig=script_sig, flags=Flags.P2SH) is OK


def test_p2sh_runs_the_script_that_was_pushed() -> None:
    locked = p2sh(hash160(b"\x00"))
    assert outcome(locked, script_sig=push(b"\x00"), flags=Flags.NONE) is OK
    assert outcome(locked, script_sig=push(b"\x00")) is ScriptError.EVAL_FALSE
    assert outcome(p2sh(hash160(b"")), script_sig=b"\x51\x00") is OK  # what was below is left
    assert outcome(p2sh(hash160(b"")), script_sig=b"\x00") is ScriptError.EVAL_FALSE
    computed = push(b"\x51") + b"\x61"
    assert outcome(p2sh(hash160(b"\x51")), script_sig=computed) is ScriptError.SIG_PUSHONLY
    assert outcome(p2sh(hash160(b"\x51")), script_sig=computed, flags=Flags.NONE) is OK


def test_scripts_share_the_stack_and_nothing_else() -> None:
    assert outcome(b"\x87", script_sig=b"\x51\x51", flags=Flags.NONE) is OK
    assert outcome(b"\x6c", script_sig=b"\x51\x6b") is ScriptError.INVALID_ALTSTACK_OPERATION
    unbalanced = outcome(b"\x68\x51", script_sig=b"\x51\x63")
    assert unbalanced is ScriptError.UNBALANCED_CONDITIONAL
    # An OP_RETURN that the first script might jump over (CVE-2010-5141).
    assert outcome(b"\x6a", script_sig=b"\x51\x6a") is ScriptError.OP_RETURN


def test_script_sigs_that_compute_are_refused_by_policy() -> None:
    assert outcome(b"\x51", script_sig=b"\x61") is OK
    flags = CONSENSUS | Flags.SIGPUSHONLY
    assert outcome(b"\x51", script_sig=b"\x61", flags=flags) is ScriptError.SIG_PUSHONLY
    assert outcome(b"\x51", script_sig=b"\x60", flags=flags) is OK


def test_a_clean_stack_is_policy_outside_of_witnesses() -> None:
    flags = CONSENSUS | Flags.CLEANSTACK
    assert outcome(b"\x51", script_sig=b"\x51") is OK
    assert outcome(b"\x51", script_sig=b"\x51", flags=flags) is ScriptError.CLEANSTACK
    assert outcome(v0(b"\x51"), b"\x51", flags=flags) is OK
    locked = p2sh(hash160(b"\x51"))
    assert outcome(locked, script_sig=push(b"\x51"), flags=flags) is OK
    more = b"\x51" + push(b"\x51")
    assert outcome(locked, script_sig=more, flags=flags) is ScriptError.CLEANSTACK


@pytest.mark.parametrize(
    ("witness", "size"),
    [((), 1), ((b"",), 2), ((bytes(252),), 254), ((bytes(253),), 257), ((b"",) * 253, 256)],
)
def test_the_size_of_a_witness_on_the_wire(witness: tuple[bytes, ...], size: int) -> None:
    assert witness_size(witness) == size
