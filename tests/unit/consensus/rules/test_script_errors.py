"""Every script error: a small spend that ends in it, and one that differs little and is valid.

Signatures are checked by a verifier for whom one is good and any other is not, so that scripts can
be read without keys and digests.
"""

from dataclasses import dataclass
from hashlib import sha256

import pytest
from tests.support.vectors import assemble

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import CONSENSUS, Flags
from drystone.consensus.script.taproot import tap_leaf_hash
from drystone.consensus.script.verify import verify_scripts
from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import (
    ORDER,
    public_key,
    tap_tweak,
    tweak_public_key,
    x_only_public_key,
)
from drystone.primitives.hashes import Txid
from drystone.primitives.script import P2A, p2sh, p2tr, p2wsh, push, witness_script_pubkey
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

SECRET = sha256(b"script errors").digest()
KEY = public_key(SECRET)
LONG_KEY = public_key(SECRET, compressed=False)
HYBRID_KEY = bytes((6 + (LONG_KEY[-1] & 1),)) + LONG_KEY[1:]
X_ONLY = x_only_public_key(SECRET)

GOOD = bytes.fromhex("3006020101020101 01")
BAD = bytes.fromhex("3006020101020102 01")
HIGH_S = b"\x30\x26\x02\x01\x01\x02\x21\x00" + (ORDER - 1).to_bytes(32, "big") + b"\x01"
GOOD_SCHNORR = bytes(63) + b"\x01"
BAD_SCHNORR = bytes(64)


class Judge:
    """One signature of each kind is good, and one of high s."""

    def ecdsa(self, _key: bytes, _digest: bytes, signature: bytes, /) -> bool:
        return signature in (GOOD[:-1], HIGH_S[:-1])

    def schnorr(self, _key: bytes, _digest: bytes, signature: bytes, /) -> bool:
        return signature == GOOD_SCHNORR


@dataclass(frozen=True)
class Spend:
    """An output script and what an input shows for it."""

    script_pubkey: bytes
    script_sig: bytes = b""
    witness: tuple[bytes, ...] = ()
    lock_time: int = 10
    sequence: int = 5

    def verdict(self, flags: Flags) -> ScriptError:
        outpoint = OutPoint(Txid(bytes(32)), 0)
        txin = TxIn(outpoint, self.script_sig, self.sequence, self.witness)
        tx = Transaction(2, (txin,), (TxOut(0, b""),), self.lock_time)
        try:
            verify_scripts(tx, [TxOut(0, self.script_pubkey)], flags, Judge())
        except ScriptInvalid as invalid:
            return invalid.error
        return ScriptError.OK


def bare(script: str, *pushed: bytes) -> Spend:
    """A legacy script, on elements that the script_sig pushes."""
    return Spend(assemble(script), b"".join(map(push, pushed)))


def v0(script: str, *witness: bytes) -> Spend:
    """A witness script (BIP141)."""
    raw = assemble(script)
    return Spend(p2wsh(sha256(raw).digest()), witness=(*witness, raw))


def leaf(script: str, *witness: bytes, version: int = 0xC0, more: bytes = b"") -> Spend:
    """A taproot output's only script (BIP341). more: after the control block."""
    raw = assemble(script)
    tweak = tap_tweak(X_ONLY, tap_leaf_hash(raw, version))
    output_key, parity = tweak_public_key(X_ONLY, tweak)
    control_block = bytes((version | parity,)) + X_ONLY + more
    return Spend(p2tr(output_key), witness=(*witness, raw, control_block))


def key_path(*witness: bytes) -> Spend:
    return Spend(p2tr(X_ONLY), witness=witness)


def in_p2sh(script_sig: str, spend: Spend) -> Spend:
    """The same, its output script hashed; script_sig: what comes before its push."""
    redeem = spend.script_pubkey
    return Spend(p2sh(hash160(redeem)), assemble(script_sig) + push(redeem), spend.witness)


def word(data: bytes) -> str:
    """A push, as `assemble` reads it."""
    return f"0x{push(data).hex()}"


CHECKSIG = f"{word(KEY)} CHECKSIG"
MULTISIG = f"1 {word(KEY)} 1"
A_BLOCK_OF_524 = f"{word(bytes(520))} DROP "
TEN_THOUSAND = 19 * A_BLOCK_OF_524 + f"{word(bytes(42))} DROP"


def checks(count: int) -> str:
    """A tapscript that checks the signature below so often, and leaves true."""
    return f"{word(X_ONLY)} " + "2DUP CHECKSIGVERIFY " * count + "2DROP 1"


# Error, flags, the spend that ends in it, the one that is valid.
CASES: list[tuple[ScriptError, Flags, Spend, Spend]] = [
    (ScriptError.EVAL_FALSE, Flags.NONE, bare("0"), bare("1")),
    (ScriptError.EVAL_FALSE, CONSENSUS, v0("0"), v0("1")),
    (ScriptError.EVAL_FALSE, CONSENSUS, bare("0x0180"), bare("0x0181")),
    (ScriptError.OP_RETURN, Flags.NONE, bare("1 RETURN"), bare("1 0 IF RETURN ENDIF")),
    (
        ScriptError.SCRIPTNUM,
        Flags.NONE,
        bare("1ADD", b"\1\0\0\0\0"),
        bare("1ADD", b"\1\0\0\0"),
    ),
    (ScriptError.SCRIPTNUM, Flags.MINIMALDATA, bare("1ADD", b"\x22\0"), bare("1ADD", b"\x22")),
    # Limits.
    (
        ScriptError.SCRIPT_SIZE,
        Flags.NONE,
        bare(TEN_THOUSAND + " NOP", b"\1"),
        bare(TEN_THOUSAND, b"\1"),
    ),
    (ScriptError.PUSH_SIZE, Flags.NONE, bare("SIZE", bytes(521)), bare("SIZE", bytes(520))),
    (ScriptError.PUSH_SIZE, CONSENSUS, v0("SIZE NIP", bytes(521)), v0("SIZE NIP", bytes(520))),
    (ScriptError.OP_COUNT, Flags.NONE, bare("1" + " NOP" * 202), bare("1" + " NOP" * 201)),
    (
        ScriptError.OP_COUNT,
        Flags.NONE,
        bare("0 0 0 1 1 CHECKMULTISIG" + " NOP" * 200),
        bare("0 0 0 1 1 CHECKMULTISIG DROP 1" + " NOP" * 198),
    ),
    (ScriptError.STACK_SIZE, Flags.NONE, bare("1 " * 1001), bare("1 " * 1000)),
    (
        ScriptError.STACK_SIZE,
        CONSENSUS,
        leaf("2DROP " * 500 + "1", *[b""] * 1001),
        leaf("2DROP " * 500 + "1", *[b""] * 1000),
    ),
    (ScriptError.SIG_COUNT, Flags.NONE, bare("0 -1 0 CHECKMULTISIG"), bare("0 0 0 CHECKMULTISIG")),
    (
        ScriptError.SIG_COUNT,
        Flags.NONE,
        bare("0 0 0 2 1 1 CHECKMULTISIG"),
        bare("0 0 1 1 CHECKMULTISIG"),
    ),
    (
        ScriptError.PUBKEY_COUNT,
        Flags.NONE,
        bare("0 0 -1 CHECKMULTISIG"),
        bare("0 0 0 CHECKMULTISIG"),
    ),
    (
        ScriptError.PUBKEY_COUNT,
        Flags.NONE,
        bare("0 0 " + "1 " * 21 + "21 CHECKMULTISIG"),
        bare("0 0 " + "1 " * 20 + "20 CHECKMULTISIG"),
    ),
    # The opcodes that end in VERIFY.
    (ScriptError.VERIFY, Flags.NONE, bare("1 0 VERIFY"), bare("1 1 VERIFY")),
    (ScriptError.EQUALVERIFY, Flags.NONE, bare("1 2 3 EQUALVERIFY"), bare("1 3 3 EQUALVERIFY")),
    (
        ScriptError.NUMEQUALVERIFY,
        Flags.NONE,
        bare("1 2 3 NUMEQUALVERIFY"),
        bare("1 3 3 NUMEQUALVERIFY"),
    ),
    (
        ScriptError.CHECKSIGVERIFY,
        Flags.NONE,
        bare(f"{CHECKSIG}VERIFY 1", BAD),
        bare(CHECKSIG, GOOD),
    ),
    (
        ScriptError.CHECKMULTISIGVERIFY,
        Flags.NONE,
        bare(f"{MULTISIG} CHECKMULTISIGVERIFY 1", b"", BAD),
        bare(f"{MULTISIG} CHECKMULTISIGVERIFY 1", b"", GOOD),
    ),
    # What can't be run.
    (ScriptError.BAD_OPCODE, Flags.NONE, bare("1 0xff"), bare("1 0 IF 0xff ENDIF")),
    (ScriptError.BAD_OPCODE, Flags.NONE, bare("1 0x0201"), bare("1 0x020102")),
    (ScriptError.BAD_OPCODE, Flags.NONE, bare("1 0 IF VERIF ENDIF"), bare("1 0 IF VER ENDIF")),
    (ScriptError.BAD_OPCODE, CONSENSUS, v0("0 0 0 0xba"), leaf(f"0 0 {word(X_ONLY)} 0xba NOT")),
    (ScriptError.BAD_OPCODE, CONSENSUS, leaf("1 0x0201"), leaf("0x50 0x0201")),
    (ScriptError.DISABLED_OPCODE, Flags.NONE, bare("1 0 IF CAT ENDIF"), bare("1 0 IF NOP ENDIF")),
    (ScriptError.INVALID_STACK_OPERATION, Flags.NONE, bare("DUP"), bare("1 DUP")),
    (ScriptError.INVALID_STACK_OPERATION, Flags.NONE, bare("1 1 PICK"), bare("1 0 PICK")),
    (
        ScriptError.INVALID_ALTSTACK_OPERATION,
        Flags.NONE,
        bare("1 FROMALTSTACK"),
        bare("1 TOALTSTACK FROMALTSTACK"),
    ),
    (ScriptError.UNBALANCED_CONDITIONAL, Flags.NONE, bare("1 1 IF"), bare("1 1 IF ENDIF")),
    (ScriptError.UNBALANCED_CONDITIONAL, Flags.NONE, bare("1 ELSE"), bare("1 1 IF ELSE ENDIF")),
    # Time.
    (
        ScriptError.NEGATIVE_LOCKTIME,
        CONSENSUS,
        bare("-1 CHECKLOCKTIMEVERIFY"),
        bare("1 0 CHECKLOCKTIMEVERIFY DROP"),
    ),
    (
        ScriptError.NEGATIVE_LOCKTIME,
        CONSENSUS,
        bare("-1 CHECKSEQUENCEVERIFY"),
        bare("1 0 CHECKSEQUENCEVERIFY DROP"),
    ),
    (
        ScriptError.UNSATISFIED_LOCKTIME,
        CONSENSUS,
        bare("11 CHECKLOCKTIMEVERIFY"),
        bare("10 CHECKLOCKTIMEVERIFY"),
    ),
    (
        ScriptError.UNSATISFIED_LOCKTIME,
        CONSENSUS,
        bare("6 CHECKSEQUENCEVERIFY"),
        bare("5 CHECKSEQUENCEVERIFY"),
    ),
    # What others could change without the signer.
    (
        ScriptError.SIG_HASHTYPE,
        Flags.STRICTENC,
        bare(CHECKSIG, GOOD[:-1] + b"\x04"),
        bare(CHECKSIG, GOOD[:-1] + b"\x83"),
    ),
    (ScriptError.SIG_DER, CONSENSUS, bare(f"{CHECKSIG} NOT", b"\1"), bare(f"{CHECKSIG} NOT", b"")),
    (ScriptError.MINIMALDATA, Flags.MINIMALDATA, bare("0x0101"), bare("1")),
    (ScriptError.SIG_PUSHONLY, Flags.SIGPUSHONLY, Spend(b"", b"\x51\x61"), Spend(b"", b"\x51\x51")),
    (ScriptError.SIG_PUSHONLY, CONSENSUS, in_p2sh("NOP", bare("1")), in_p2sh("", bare("1"))),
    (ScriptError.SIG_HIGH_S, Flags.LOW_S, bare(CHECKSIG, HIGH_S), bare(CHECKSIG, GOOD)),
    (
        ScriptError.SIG_NULLDUMMY,
        CONSENSUS,
        bare("1 0 0 CHECKMULTISIG"),
        bare("0 0 0 CHECKMULTISIG"),
    ),
    (
        ScriptError.PUBKEYTYPE,
        Flags.STRICTENC,
        bare(f"{word(HYBRID_KEY)} CHECKSIG", GOOD),
        bare(f"{word(LONG_KEY)} CHECKSIG", GOOD),
    ),
    (
        ScriptError.CLEANSTACK,
        Flags.P2SH | Flags.WITNESS | Flags.CLEANSTACK,
        bare("1 1"),
        bare("1"),
    ),
    (ScriptError.CLEANSTACK, CONSENSUS, v0("1 1"), v0("1")),
    (
        ScriptError.MINIMALIF,
        CONSENSUS | Flags.MINIMALIF,
        v0("IF 1 ENDIF", b"\2"),
        v0("IF 1 ENDIF", b"\1"),
    ),
    (
        ScriptError.NULLFAIL,
        Flags.NULLFAIL,
        bare(f"{CHECKSIG} NOT", BAD),
        bare(f"{CHECKSIG} NOT", b""),
    ),
    # What later soft forks may use.
    (
        ScriptError.DISCOURAGE_UPGRADABLE_NOPS,
        Flags.DISCOURAGE_UPGRADABLE_NOPS,
        bare("1 NOP1"),
        bare("1 NOP"),
    ),
    (
        ScriptError.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM,
        CONSENSUS | Flags.DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM,
        Spend(witness_script_pubkey(2, X_ONLY)),
        Spend(P2A),
    ),
    (
        ScriptError.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION,
        CONSENSUS | Flags.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION,
        leaf("1", version=0xC2),
        leaf("1"),
    ),
    (
        ScriptError.DISCOURAGE_OP_SUCCESS,
        CONSENSUS | Flags.DISCOURAGE_OP_SUCCESS,
        leaf("0x50"),
        leaf("0x51"),
    ),
    (
        ScriptError.DISCOURAGE_UPGRADABLE_PUBKEYTYPE,
        CONSENSUS | Flags.DISCOURAGE_UPGRADABLE_PUBKEYTYPE,
        leaf(CHECKSIG, b"anything"),
        leaf(f"{word(X_ONLY)} CHECKSIG", GOOD_SCHNORR),
    ),
    # Segregated witness.
    (
        ScriptError.WITNESS_PROGRAM_WRONG_LENGTH,
        CONSENSUS,
        Spend(witness_script_pubkey(0, X_ONLY[:21])),
        Spend(witness_script_pubkey(2, X_ONLY[:21])),
    ),
    (
        ScriptError.WITNESS_PROGRAM_WITNESS_EMPTY,
        CONSENSUS,
        Spend(v0("1").script_pubkey),
        v0("1"),
    ),
    (ScriptError.WITNESS_PROGRAM_WITNESS_EMPTY, CONSENSUS, key_path(), key_path(GOOD_SCHNORR)),
    (
        ScriptError.WITNESS_PROGRAM_MISMATCH,
        CONSENSUS,
        Spend(v0("1").script_pubkey, witness=v0("2").witness),
        v0("2"),
    ),
    (
        ScriptError.WITNESS_PROGRAM_MISMATCH,
        CONSENSUS,
        Spend(leaf("1").script_pubkey, witness=leaf("2").witness),
        leaf("2"),
    ),
    (
        ScriptError.WITNESS_MALLEATED,
        CONSENSUS,
        Spend(v0("1").script_pubkey, b"\x51", v0("1").witness),
        v0("1"),
    ),
    (ScriptError.WITNESS_MALLEATED_P2SH, CONSENSUS, in_p2sh("1", v0("1")), in_p2sh("", v0("1"))),
    (ScriptError.WITNESS_UNEXPECTED, CONSENSUS, Spend(b"\x51", witness=(b"",)), bare("1")),
    (
        ScriptError.WITNESS_PUBKEYTYPE,
        CONSENSUS | Flags.WITNESS_PUBKEYTYPE,
        v0(f"{word(LONG_KEY)} CHECKSIG", GOOD),
        v0(CHECKSIG, GOOD),
    ),
    # Taproot.
    (
        ScriptError.SCHNORR_SIG_SIZE,
        CONSENSUS,
        key_path(GOOD_SCHNORR + b"\1\1"),
        key_path(GOOD_SCHNORR + b"\1"),
    ),
    (
        ScriptError.SCHNORR_SIG_HASHTYPE,
        CONSENSUS,
        key_path(GOOD_SCHNORR + b"\0"),
        key_path(GOOD_SCHNORR),
    ),
    (
        ScriptError.SCHNORR_SIG_HASHTYPE,
        CONSENSUS,
        key_path(GOOD_SCHNORR + b"\4"),
        key_path(GOOD_SCHNORR + b"\x83"),
    ),
    (ScriptError.SCHNORR_SIG, CONSENSUS, key_path(BAD_SCHNORR), key_path(GOOD_SCHNORR)),
    (
        ScriptError.SCHNORR_SIG,
        CONSENSUS,
        leaf(f"{word(X_ONLY)} CHECKSIG NOT", BAD_SCHNORR),
        leaf(f"{word(X_ONLY)} CHECKSIG NOT", b""),
    ),
    (ScriptError.TAPROOT_WRONG_CONTROL_SIZE, CONSENSUS, leaf("1", more=b"\0"), leaf("1")),
    (
        ScriptError.TAPSCRIPT_VALIDATION_WEIGHT,
        CONSENSUS,
        leaf(checks(4), GOOD_SCHNORR),
        leaf(checks(3), GOOD_SCHNORR),
    ),
    (
        ScriptError.TAPSCRIPT_CHECKMULTISIG,
        CONSENSUS,
        leaf("0 0 0 CHECKMULTISIG"),
        v0("0 0 0 CHECKMULTISIG"),
    ),
    (
        ScriptError.TAPSCRIPT_MINIMALIF,
        CONSENSUS,
        leaf("IF 1 ENDIF", b"\2"),
        leaf("IF 1 ENDIF", b"\1"),
    ),
    (
        ScriptError.TAPSCRIPT_EMPTY_PUBKEY,
        CONSENSUS,
        leaf("0 CHECKSIG", GOOD_SCHNORR),
        leaf("0x0102 CHECKSIG", GOOD_SCHNORR),
    ),
    # Legacy scripts that sign themselves altered.
    (
        ScriptError.OP_CODESEPARATOR,
        CONSENSUS | Flags.CONST_SCRIPTCODE,
        bare("1 0 IF CODESEPARATOR ENDIF"),
        v0("1 0 IF CODESEPARATOR ENDIF"),
    ),
    (
        ScriptError.SIG_FINDANDDELETE,
        CONSENSUS | Flags.CONST_SCRIPTCODE,
        bare(f"{word(GOOD)} DROP {CHECKSIG}", GOOD),
        bare(f"{word(BAD)} DROP {CHECKSIG}", GOOD),
    ),
]


@pytest.mark.parametrize(
    ("error", "flags", "broken", "kept"), CASES, ids=[error.name for error, *_ in CASES]
)
def test_a_rule_is_broken_and_kept(
    error: ScriptError, flags: Flags, broken: Spend, kept: Spend
) -> None:
    assert broken.verdict(flags) is error
    assert kept.verdict(flags) is ScriptError.OK


def test_every_error_has_its_case() -> None:
    never_raised = {ScriptError.OK, ScriptError.UNKNOWN_ERROR}
    assert {error for error, *_ in CASES} == set(ScriptError) - never_raised
