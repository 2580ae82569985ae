"""Taproot outputs and tapscript (BIP341, BIP342), each rule kept and broken."""

from hashlib import sha256

import pytest
from tests.support.machines import Run
from tests.support.spending import SECRETS
from tests.support.vectors import assemble

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import CONSENSUS, Flags
from drystone.consensus.script.machine import SigVersion
from drystone.consensus.script.sighash import NO_CODE_SEPARATOR, SignatureHashes
from drystone.consensus.script.taproot import OP_SUCCESS, branch_hash, tap_leaf_hash
from drystone.consensus.script.verify import verify_scripts
from drystone.crypto.secp256k1 import (
    sign_schnorr,
    tap_tweak,
    tap_tweak_secret,
    tweak_public_key,
    x_only_public_key,
)
from drystone.primitives.codec import var_bytes
from drystone.primitives.hashes import Txid
from drystone.primitives.opcodes import Op
from drystone.primitives.script import MAX_ELEMENT_BYTES, p2tr, push
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

INTERNAL = x_only_public_key(SECRETS[0])
SECRET = SECRETS[1]
KEY = x_only_public_key(SECRET)
FUNDING = OutPoint(Txid(sha256(b"funding").digest()), 0)
CHECKSIG = bytes((Op.OP_CHECKSIG,))


def spend_of(output_key: bytes, witness: tuple[bytes, ...] = ()) -> tuple[Transaction, list[TxOut]]:
    txin = TxIn(FUNDING, witness=witness)
    return Transaction(2, (txin,), (TxOut(1, b"\x51"),)), [TxOut(2, p2tr(output_key))]


def outcome(output_key: bytes, witness: tuple[bytes, ...], flags: Flags = CONSENSUS) -> ScriptError:
    try:
        verify_scripts(*spend_of(output_key, witness), flags)
    except ScriptInvalid as invalid:
        return invalid.error
    return ScriptError.OK


class Leaf:
    """An output with one script, or with that script at the end of a path."""

    def __init__(self, script: bytes, path: tuple[bytes, ...] = (), *, version: int = 0xC0) -> None:
        self.script = script
        self.hash = root = tap_leaf_hash(script, version)
        for node in path:
            root = branch_hash(root, node)
        self.output_key, parity = tweak_public_key(INTERNAL, tap_tweak(INTERNAL, root))
        self.control = bytes((version | parity,)) + INTERNAL + b"".join(path)

    def outcome(self, *stack: bytes, flags: Flags = CONSENSUS) -> ScriptError:
        return outcome(self.output_key, (*stack, self.script, self.control), flags)

    def signature(
        self, *, annex_hash: bytes | None = None, code_separator: int = NO_CODE_SEPARATOR
    ) -> bytes:
        hashes = SignatureHashes(*spend_of(self.output_key))
        digest = hashes.taproot(0, 0, annex_hash, self.hash, code_separator)
        assert digest is not None
        return sign_schnorr(SECRET, digest)


# The key path.

TWEAK = tap_tweak(INTERNAL)
OUTPUT_KEY, _ = tweak_public_key(INTERNAL, TWEAK)
OUTPUT_SECRET = tap_tweak_secret(SECRETS[0], TWEAK)


def key_signature(hash_type: int = 0, annex: bytes | None = None) -> bytes:
    annex_hash = sha256(var_bytes(annex)).digest() if annex is not None else None
    digest = SignatureHashes(*spend_of(OUTPUT_KEY)).taproot(0, hash_type, annex_hash)
    assert digest is not None
    return sign_schnorr(OUTPUT_SECRET, digest)


@pytest.mark.parametrize("hash_type", [1, 2, 3, 0x81, 0x82, 0x83])
def test_a_key_spend_with_a_hash_type(hash_type: int) -> None:
    signature = key_signature(hash_type) + bytes((hash_type,))
    assert outcome(OUTPUT_KEY, (signature,)) is ScriptError.OK
    assert outcome(OUTPUT_KEY, (signature[:64],)) is ScriptError.SCHNORR_SIG


def test_a_key_spend_without_a_hash_type_and_its_errors() -> None:
    signature = key_signature()
    assert outcome(OUTPUT_KEY, (signature,)) is ScriptError.OK
    assert outcome(OUTPUT_KEY, ()) is ScriptError.WITNESS_PROGRAM_WITNESS_EMPTY
    assert outcome(OUTPUT_KEY, (b"",)) is ScriptError.SCHNORR_SIG_SIZE
    assert outcome(OUTPUT_KEY, (signature[:63],)) is ScriptError.SCHNORR_SIG_SIZE
    assert outcome(OUTPUT_KEY, (signature + b"\1\1",)) is ScriptError.SCHNORR_SIG_SIZE
    assert outcome(OUTPUT_KEY, (signature + b"\0",)) is ScriptError.SCHNORR_SIG_HASHTYPE
    assert outcome(OUTPUT_KEY, (signature + b"\x80",)) is ScriptError.SCHNORR_SIG_HASHTYPE
    assert outcome(OUTPUT_KEY, (signature + b"\x04",)) is ScriptError.SCHNORR_SIG_HASHTYPE
    assert outcome(OUTPUT_KEY, (signature + b"\x01",)) is ScriptError.SCHNORR_SIG
    assert outcome(OUTPUT_KEY, (bytes(64),)) is ScriptError.SCHNORR_SIG
    assert outcome(b"\xff" * 32, (signature,)) is ScriptError.SCHNORR_SIG  # no point


def test_single_needs_an_output_at_its_position() -> None:
    tx = Transaction(2, (TxIn(FUNDING), TxIn(FUNDING, witness=(bytes(64) + b"\3",))), ())
    with pytest.raises(ScriptInvalid) as refused:
        verify_scripts(tx, [TxOut(1, b"\x51"), TxOut(1, p2tr(KEY))], CONSENSUS)
    assert refused.value.error is ScriptError.SCHNORR_SIG_HASHTYPE
    assert refused.value.input_index == 1


def test_a_signature_signs_the_annex() -> None:
    annex = b"\x50annex"
    signed = key_signature(annex=annex)
    assert outcome(OUTPUT_KEY, (signed, annex)) is ScriptError.OK
    assert outcome(OUTPUT_KEY, (key_signature(annex=b"\x50"), b"\x50")) is ScriptError.OK
    assert outcome(OUTPUT_KEY, (signed,)) is ScriptError.SCHNORR_SIG
    assert outcome(OUTPUT_KEY, (key_signature(), annex)) is ScriptError.SCHNORR_SIG
    # Alone, it is no annex.
    assert outcome(OUTPUT_KEY, (annex,)) is ScriptError.SCHNORR_SIG_SIZE


def test_before_taproot_anyone_can_spend() -> None:
    assert outcome(OUTPUT_KEY, (), CONSENSUS & ~Flags.TAPROOT) is ScriptError.OK


# The script path.


@pytest.mark.parametrize("depth", [0, 1, 2, 128])
def test_a_script_at_any_depth(depth: int) -> None:
    path = tuple(sha256(bytes((n,))).digest() for n in range(depth))
    leaf = Leaf(b"\x51", path)
    assert leaf.outcome() is ScriptError.OK
    leaf.control = leaf.control[:-1]
    assert leaf.outcome() is ScriptError.TAPROOT_WRONG_CONTROL_SIZE


def test_a_path_of_129_is_too_long() -> None:
    assert Leaf(b"\x51", (bytes(32),) * 129).outcome() is ScriptError.TAPROOT_WRONG_CONTROL_SIZE


@pytest.mark.parametrize("at", [0, 1, 33])
def test_a_control_block_of_another_output(at: int) -> None:
    leaf = Leaf(b"\x51", (bytes(32),))
    flipped = leaf.control[at] ^ 1  # the parity, the internal key, the path
    leaf.control = leaf.control[:at] + bytes((flipped,)) + leaf.control[at + 1 :]
    assert leaf.outcome() is ScriptError.WITNESS_PROGRAM_MISMATCH


def test_leaf_versions_are_left_for_later() -> None:
    future = Leaf(b"\x6a", version=0xC2)
    assert future.outcome() is ScriptError.OK
    flags = CONSENSUS | Flags.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION
    assert future.outcome(flags=flags) is ScriptError.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION
    assert Leaf(b"\x6a").outcome(flags=flags) is ScriptError.OP_RETURN


def test_a_script_must_leave_one_true_element() -> None:
    assert Leaf(b"\x00").outcome() is ScriptError.EVAL_FALSE
    assert Leaf(b"\x51\x51").outcome() is ScriptError.CLEANSTACK
    assert Leaf(b"\x51").outcome(b"x") is ScriptError.CLEANSTACK
    assert Leaf(b"").outcome() is ScriptError.CLEANSTACK


def test_the_first_stack_has_limits_too() -> None:
    drop = Leaf(bytes((Op.OP_DROP,)) + b"\x51")
    assert drop.outcome(bytes(MAX_ELEMENT_BYTES)) is ScriptError.OK
    assert drop.outcome(bytes(MAX_ELEMENT_BYTES + 1)) is ScriptError.PUSH_SIZE
    many = Leaf(bytes((Op.OP_2DROP,)) * 500 + b"\x51")
    assert many.outcome(*[b""] * 1000) is ScriptError.OK
    assert many.outcome(*[b""] * 1001) is ScriptError.STACK_SIZE


@pytest.mark.parametrize("opcode", range(0x4F, 0x100))
def test_an_op_success_makes_anything_valid(opcode: int) -> None:
    leaf = Leaf(b"\x6a" + bytes((opcode,)) + b"\x4c")  # after RETURN, before half a push
    discouraging = CONSENSUS | Flags.DISCOURAGE_OP_SUCCESS
    if opcode in OP_SUCCESS:
        assert leaf.outcome(*[bytes(521)] * 1001) is ScriptError.OK
        assert leaf.outcome(flags=discouraging) is ScriptError.DISCOURAGE_OP_SUCCESS
    else:
        assert leaf.outcome() is ScriptError.BAD_OPCODE


def test_there_are_87_op_success() -> None:
    assert len(OP_SUCCESS) == 87
    assert {Op.OP_RESERVED, Op.OP_VER, Op.OP_CAT, Op.OP_2MUL, 0xBB, 0xFE} <= OP_SUCCESS
    assert not OP_SUCCESS & {Op.OP_VERIF, Op.OP_VERNOTIF, Op.OP_CHECKSIGADD, 0xFF}


def test_no_op_success_in_what_is_pushed_or_behind_half_a_push() -> None:
    assert Leaf(b"\x01\x50").outcome() is ScriptError.OK
    assert Leaf(b"\x4c\x50").outcome() is ScriptError.BAD_OPCODE


# Signatures in tapscript.


def test_checksig() -> None:
    leaf = Leaf(push(KEY) + CHECKSIG)
    assert leaf.outcome(leaf.signature()) is ScriptError.OK
    assert leaf.outcome(b"") is ScriptError.EVAL_FALSE
    assert leaf.outcome(bytes(64)) is ScriptError.SCHNORR_SIG  # fails, and not only as false
    assert leaf.outcome(bytes(9)) is ScriptError.SCHNORR_SIG_SIZE
    negated = Leaf(push(KEY) + CHECKSIG + bytes((Op.OP_NOT,)))
    assert negated.outcome(b"") is ScriptError.OK
    assert negated.outcome(bytes(64)) is ScriptError.SCHNORR_SIG


def test_checksigverify() -> None:
    leaf = Leaf(push(KEY) + bytes((Op.OP_CHECKSIGVERIFY, Op.OP_1)))
    assert leaf.outcome(leaf.signature()) is ScriptError.OK
    assert leaf.outcome(b"") is ScriptError.CHECKSIGVERIFY


def test_a_signature_signs_the_last_separator_that_ran_by_its_position() -> None:
    script = push(b"data") + bytes((Op.OP_DROP, Op.OP_CODESEPARATOR)) + push(KEY) + CHECKSIG
    leaf = Leaf(script)
    assert leaf.outcome(leaf.signature(code_separator=2)) is ScriptError.OK
    assert leaf.outcome(leaf.signature()) is ScriptError.SCHNORR_SIG


def tapscript(script: str, *stack: bytes, flags: Flags = Flags.NONE, weight: int = 1000) -> Run:
    return Run(script, list(stack), flags, SigVersion.TAPSCRIPT, weight_left=weight)


UNKNOWN = b"\x02" + bytes(32)


def test_keys_of_unknown_kind_are_always_satisfied() -> None:
    for key in (b"\x01", UNKNOWN, bytes(31), bytes(520)):
        assert tapscript("CHECKSIG", b"anything", key).result() == [b"\x01"]
        assert tapscript("CHECKSIG", b"", key).result() == [b""]
        for signature in (b"anything", b""):
            run = tapscript(
                "CHECKSIG", signature, key, flags=Flags.DISCOURAGE_UPGRADABLE_PUBKEYTYPE
            )
            assert run.outcome() is ScriptError.DISCOURAGE_UPGRADABLE_PUBKEYTYPE


@pytest.mark.parametrize("signature", [b"", b"anything"])
def test_an_empty_key_fails(signature: bytes) -> None:
    run = tapscript("CHECKSIG", signature, b"")
    assert run.outcome() is ScriptError.TAPSCRIPT_EMPTY_PUBKEY


def test_checksigadd_counts() -> None:
    assert tapscript("CHECKSIGADD", b"s", b"\x05", UNKNOWN).result() == [b"\x06"]
    assert tapscript("CHECKSIGADD", b"", b"\x05", UNKNOWN).result() == [b"\x05"]
    assert tapscript("CHECKSIGADD", b"s", b"\x81", UNKNOWN).result() == [b""]
    largest = b"\xff\xff\xff\x7f"
    assert tapscript("CHECKSIGADD", b"s", largest, UNKNOWN).result() == [b"\0\0\0\x80\0"]


@pytest.mark.parametrize(
    ("stack", "flags", "error"),
    [
        ([b"s", b"\x05"], Flags.NONE, ScriptError.INVALID_STACK_OPERATION),
        ([b"s", bytes(5), b""], Flags.NONE, ScriptError.SCRIPTNUM),  # before the key is looked at
        ([b"s", b"\x05\0", UNKNOWN], Flags.NONE, ScriptError.OK),
        ([b"s", b"\x05\0", UNKNOWN], Flags.MINIMALDATA, ScriptError.SCRIPTNUM),
    ],
)
def test_checksigadd_refuses(stack: list[bytes], flags: Flags, error: ScriptError) -> None:
    assert tapscript("CHECKSIGADD", *stack, flags=flags).outcome() is error


@pytest.mark.parametrize("word", ["CHECKMULTISIG", "CHECKMULTISIGVERIFY"])
def test_checkmultisig_is_no_more(word: str) -> None:
    assert tapscript(word).outcome() is ScriptError.TAPSCRIPT_CHECKMULTISIG
    assert tapscript(f"0 IF {word} ENDIF").outcome() is ScriptError.OK


@pytest.mark.parametrize(
    ("weight", "error"), [(100, ScriptError.OK), (99, ScriptError.TAPSCRIPT_VALIDATION_WEIGHT)]
)
def test_each_signature_uses_up_50_units_of_weight(weight: int, error: ScriptError) -> None:
    run = tapscript("2DUP CHECKSIG DROP CHECKSIG", b"s", UNKNOWN, weight=weight)
    assert run.outcome() is error
    run = tapscript("2DUP CHECKSIG DROP CHECKSIG", b"", UNKNOWN, weight=0)
    assert run.outcome() is ScriptError.OK


def test_weight_is_used_up_before_the_key_is_looked_at() -> None:
    run = tapscript("CHECKSIG", b"s", b"", weight=49)
    assert run.outcome() is ScriptError.TAPSCRIPT_VALIDATION_WEIGHT


def test_the_weight_is_that_of_the_witness_and_50_more() -> None:
    # Witness: count (1), script (1 + n), control block (1 + 33): with 50, it comes to 86 + n.
    # Each `1 <1> CHECKSIG DROP`, five bytes, uses 50.
    def script(checks: int, filling: int) -> bytes:
        return assemble("1 1 CHECKSIG DROP " * checks + "NOP " * filling + "1")

    assert Leaf(script(2, 5)).outcome() is ScriptError.OK  # 86 + 14
    assert Leaf(script(2, 4)).outcome() is ScriptError.TAPSCRIPT_VALIDATION_WEIGHT
    annexed = Leaf(script(2, 4))
    witness = (annexed.script, annexed.control, b"\x50")  # two bytes more
    assert outcome(annexed.output_key, witness) is ScriptError.OK
