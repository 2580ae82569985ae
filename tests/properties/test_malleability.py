"""What a signature holds fast, and what others may change in spite of it."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.everyday_spends import der
from tests.support.spending import KEY, LOCKS, SECRET, signed
from tests.support.strategies import outpoints, outputs, u32s

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import CONSENSUS, STANDARD, Flags
from drystone.consensus.script.sighash import (
    SIGHASH_ALL,
    SIGHASH_ANYONECANPAY,
    SIGHASH_NONE,
    SIGHASH_SINGLE,
    SignatureHashes,
)
from drystone.consensus.script.verify import verify_input, verify_scripts
from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import (
    ORDER,
    compact_from_der,
    sign_ecdsa,
    sign_schnorr,
    x_only_public_key,
)
from drystone.primitives.hashes import Txid
from drystone.primitives.opcodes import Op
from drystone.primitives.script import p2pkh, p2tr, p2wpkh, push
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

SCRIPTS = {
    "legacy": p2pkh(hash160(KEY)),
    "version 0": p2wpkh(hash160(KEY)),
    "taproot": p2tr(x_only_public_key(SECRET)),
}
KINDS = tuple(SCRIPTS)


def unsigned(inputs: int, outputs: int) -> Transaction:
    funding = Txid(sha256(b"funding").digest())
    vin = tuple(TxIn(OutPoint(funding, at), sequence=at) for at in range(inputs))
    return Transaction(2, vin, tuple(TxOut(at, b"\x51") for at in range(outputs)), 3)


def sign_first(kind: str, tx: Transaction, spent: list[TxOut], hash_type: int) -> Transaction:
    """The transaction with its first input signed."""
    hashes = SignatureHashes(tx, spent)
    suffix = bytes((hash_type,))
    if kind == "legacy":
        signature = sign_ecdsa(SECRET, hashes.legacy(0, SCRIPTS[kind], hash_type)) + suffix
        return with_input(tx, 0, script_sig=push(signature) + push(KEY))
    if kind == "version 0":
        digest = hashes.witness_v0(0, SCRIPTS["legacy"], hash_type)
        return with_input(tx, 0, witness=(sign_ecdsa(SECRET, digest) + suffix, KEY))
    message = hashes.taproot(0, hash_type)
    assert message is not None
    return with_input(tx, 0, witness=(sign_schnorr(SECRET, message) + suffix,))


def with_input(tx: Transaction, index: int, **changes: object) -> Transaction:
    vin = list(tx.vin)
    vin[index] = replace(vin[index], **changes)  # type: ignore[arg-type]
    return replace(tx, vin=tuple(vin))


def with_output(tx: Transaction, index: int, **changes: object) -> Transaction:
    vout = list(tx.vout)
    vout[index] = replace(vout[index], **changes)  # type: ignore[arg-type]
    return replace(tx, vout=tuple(vout))


Change = Callable[[Transaction], Transaction]
OTHER = OutPoint(Txid(sha256(b"other").digest()), 0)

CHANGES: dict[str, Change] = {
    "version": lambda tx: replace(tx, version=1),
    "lock time": lambda tx: replace(tx, lock_time=4),
    "own prevout": lambda tx: with_input(tx, 0, prevout=OTHER),
    "own sequence": lambda tx: with_input(tx, 0, sequence=9),
    "other prevout": lambda tx: with_input(tx, 1, prevout=OTHER),
    "other sequence": lambda tx: with_input(tx, 1, sequence=9),
    "one input more": lambda tx: replace(tx, vin=(*tx.vin, TxIn(OTHER))),
    "own output": lambda tx: with_output(tx, 0, value=9),
    "other output": lambda tx: with_output(tx, 1, script_pubkey=b""),
    "one output more": lambda tx: replace(tx, vout=(*tx.vout, TxOut(0, b""))),
    "one output less": lambda tx: replace(tx, vout=tx.vout[:-1]),
}
OTHER_OUTPUTS = {"other output", "one output more", "one output less"}
OTHER_INPUTS = {"other prevout", "other sequence", "one input more"}

# What a signature of each hash type does not sign.
FREE: dict[int, set[str]] = {
    SIGHASH_ALL: set(),
    SIGHASH_NONE: {"other sequence", "own output", *OTHER_OUTPUTS},
    SIGHASH_SINGLE: {"other sequence", *OTHER_OUTPUTS},
    SIGHASH_ALL | SIGHASH_ANYONECANPAY: OTHER_INPUTS,
    SIGHASH_NONE | SIGHASH_ANYONECANPAY: {"own output", *OTHER_INPUTS, *OTHER_OUTPUTS},
    SIGHASH_SINGLE | SIGHASH_ANYONECANPAY: {*OTHER_INPUTS, *OTHER_OUTPUTS},
}


def is_free(kind: str, hash_type: int, change: str) -> bool:
    # BIP341 signs all sequences but with ANYONECANPAY.
    signs_sequences = kind == "taproot" and not hash_type & SIGHASH_ANYONECANPAY
    return change in FREE[hash_type] and not (change == "other sequence" and signs_sequences)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("hash_type", FREE, ids=hex)
@pytest.mark.parametrize("kind", KINDS)
def test_others_may_change_just_what_the_hash_type_leaves_free(
    kind: str, hash_type: int, change: str
) -> None:
    spent = [TxOut(100, SCRIPTS[kind]), TxOut(200, b"\x51")]
    tx = sign_first(kind, unsigned(inputs=2, outputs=2), spent, hash_type)
    verify_scripts(tx, spent, CONSENSUS)

    changed = CHANGES[change](tx)
    assert changed.txid != tx.txid
    spent += [TxOut(300, b"\x51")] * (len(changed.vin) - len(spent))
    if is_free(kind, hash_type, change):
        verify_scripts(changed, spent, CONSENSUS)
    else:
        with pytest.raises(ScriptInvalid):
            verify_scripts(changed, spent, CONSENSUS)


@pytest.mark.parametrize("kind", KINDS)
def test_witnesses_sign_the_amount_and_legacy_does_not(kind: str) -> None:
    spent = [TxOut(100, SCRIPTS[kind])]
    tx = sign_first(kind, unsigned(inputs=1, outputs=1), spent, SIGHASH_ALL)
    dearer = [replace(spent[0], value=101)]
    if kind == "legacy":
        verify_scripts(tx, dearer, CONSENSUS)
    else:
        with pytest.raises(ScriptInvalid):
            verify_scripts(tx, dearer, CONSENSUS)


@pytest.mark.parametrize("field", ["value", "script_pubkey"])
def test_taproot_signs_what_the_other_inputs_spend(field: str) -> None:
    spent = [TxOut(100, SCRIPTS["taproot"]), TxOut(200, b"\x51")]
    tx = sign_first("taproot", unsigned(inputs=2, outputs=1), spent, SIGHASH_ALL)
    changed = TxOut(201, b"\x51") if field == "value" else TxOut(200, b"\x52")
    with pytest.raises(ScriptInvalid):
        verify_scripts(tx, [spent[0], changed], CONSENSUS)


SIGNED_LOCKS = [lock for lock in LOCKS if lock.name != "anyone"]
LOCKED = [TxOut(100, lock.script_pubkey) for lock in SIGNED_LOCKS]
SIGNED = signed(unsigned(len(LOCKED), 3), SIGNED_LOCKS, LOCKED)


@given(st.data())
def test_a_change_of_anything_signed_is_refused_by_every_input(data: st.DataObject) -> None:
    tx, fresh = SIGNED, data.draw(st.integers(0, 6))
    match fresh:
        case 0:
            changed = replace(tx, version=data.draw(u32s))
        case 1:
            changed = replace(tx, lock_time=data.draw(u32s))
        case 2:
            at = data.draw(st.integers(0, len(tx.vin) - 1))
            changed = with_input(tx, at, prevout=data.draw(outpoints))
        case 3:
            at = data.draw(st.integers(0, len(tx.vin) - 1))
            changed = with_input(tx, at, sequence=data.draw(u32s))
        case 4:
            at = data.draw(st.integers(0, len(tx.vout) - 1))
            vout = (*tx.vout[:at], data.draw(outputs), *tx.vout[at + 1 :])
            changed = replace(tx, vout=vout)
        case 5:
            changed = replace(tx, vout=(*tx.vout, data.draw(outputs)))
        case _:
            changed = replace(tx, vout=tx.vout[:-1])
    if changed == tx:
        return
    hashes = SignatureHashes(changed, LOCKED)
    for index in range(len(LOCKED)):
        with pytest.raises(ScriptInvalid):
            verify_input(hashes, index, CONSENSUS)


def third_party_changes() -> dict[str, tuple[Callable[[bytes], bytes], Flags, ScriptError]]:
    """Of a P2PKH scriptSig, and which policy keeps them out of the mempool, by which name."""

    def parts(script_sig: bytes) -> tuple[bytes, bytes]:
        size = script_sig[0]
        return script_sig[1 : 1 + size], script_sig[2 + size :]

    def high_s(script_sig: bytes) -> bytes:
        signature, key = parts(script_sig)
        compact = compact_from_der(signature)
        assert compact is not None
        r, s = int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:], "big")
        return push(der(r, ORDER - s) + signature[-1:]) + push(key)

    def longer_push(script_sig: bytes) -> bytes:
        return bytes((Op.OP_PUSHDATA1,)) + script_sig

    def surplus(script_sig: bytes) -> bytes:
        return b"\x51" + script_sig

    def computed(script_sig: bytes) -> bytes:
        return script_sig + bytes((Op.OP_NOP,))

    return {
        "the other s": (high_s, Flags.LOW_S, ScriptError.SIG_HIGH_S),
        "a longer push": (longer_push, Flags.MINIMALDATA, ScriptError.MINIMALDATA),
        "a surplus push": (surplus, Flags.CLEANSTACK, ScriptError.CLEANSTACK),
        "an operation": (computed, Flags.SIGPUSHONLY, ScriptError.SIG_PUSHONLY),
    }


@pytest.mark.parametrize("name", third_party_changes())
def test_anybody_may_change_a_legacy_txid_and_policy_won_t_have_it(name: str) -> None:
    change, flag, error = third_party_changes()[name]
    spent = [TxOut(100, SCRIPTS["legacy"])]
    tx = sign_first("legacy", unsigned(inputs=1, outputs=1), spent, SIGHASH_ALL)
    changed = with_input(tx, 0, script_sig=change(tx.vin[0].script_sig))
    assert changed.txid != tx.txid
    verify_scripts(changed, spent, CONSENSUS)
    with pytest.raises(ScriptInvalid) as refused:
        verify_scripts(changed, spent, CONSENSUS | flag)
    assert refused.value.error is error


def test_nobody_else_can_change_the_txid_of_a_witness_spend() -> None:
    spent = [TxOut(100, SCRIPTS["version 0"])]
    tx = sign_first("version 0", unsigned(inputs=1, outputs=1), spent, SIGHASH_ALL)
    signature, key = tx.vin[0].witness
    compact = compact_from_der(signature)
    assert compact is not None
    r, s = int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:], "big")
    changed = with_input(tx, 0, witness=(der(r, ORDER - s) + signature[-1:], key))
    verify_scripts(changed, spent, CONSENSUS)
    assert changed.txid == tx.txid
    assert changed.wtxid != tx.wtxid
    with pytest.raises(ScriptInvalid):
        verify_scripts(changed, spent, STANDARD)
