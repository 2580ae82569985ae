"""Digests against their definitions, written down a second time without any sharing."""

from dataclasses import replace
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from tests.support.random_spends import words
from tests.support.strategies import i32s, outputs, transactions

from drystone.consensus.script.sighash import (
    SIGHASH_ANYONECANPAY,
    SIGHASH_NONE,
    SIGHASH_SINGLE,
    SignatureHashes,
)
from drystone.primitives.codec import i64, u32, var_bytes
from drystone.primitives.hashes import sha256d, tagged_hash
from drystone.primitives.opcodes import Op
from drystone.primitives.script import parse_script
from drystone.primitives.transaction import Transaction, TxOut

NO_OUTPUT = TxOut(-1, b"")
# Without pushes past the end; what becomes of those is told in the unit tests.
script_codes = st.lists(
    st.one_of(
        words.filter(lambda word: word[0] == len(word) - 1 or not 0 < word[0] < Op.OP_1NEGATE),
        st.just(bytes((Op.OP_CODESEPARATOR,))),
    ),
    max_size=9,
).map(b"".join)
hash_types = st.one_of(st.sampled_from([0, 1, 2, 3, 0x81, 0x82, 0x83]), st.integers(0, 255))


def legacy_digest(tx: Transaction, index: int, script_code: bytes, hash_type: int) -> bytes:
    """The transaction is altered as the hash type asks, and hashed with it."""
    kind = hash_type & 0x1F
    if kind == SIGHASH_SINGLE and index >= len(tx.vout):
        return (1).to_bytes(32, "little")
    script, at = b"", 0
    for op in parse_script(script_code):
        script += script_code[at : op.end] if op.opcode != Op.OP_CODESEPARATOR else b""
        at = op.end
    vin = [replace(txin, script_sig=b"", witness=()) for txin in tx.vin]
    vout = list(tx.vout)
    if kind in (SIGHASH_NONE, SIGHASH_SINGLE):
        vin = [replace(txin, sequence=0) for txin in vin]
        vout = [] if kind == SIGHASH_NONE else [NO_OUTPUT] * index + [tx.vout[index]]
    vin[index] = replace(tx.vin[index], script_sig=script, witness=())
    if hash_type & SIGHASH_ANYONECANPAY:
        vin = [vin[index]]
    altered = Transaction(tx.version, tuple(vin), tuple(vout), tx.lock_time)
    return sha256d(altered.encode_stripped() + u32(hash_type & 0xFFFFFFFF))


def v0_digest(tx: Transaction, index: int, script_code: bytes, value: int, hash_type: int) -> bytes:
    """BIP143's ten items."""
    kind = hash_type & 0x1F
    anyone = bool(hash_type & SIGHASH_ANYONECANPAY)
    only = kind in (SIGHASH_NONE, SIGHASH_SINGLE)
    prevouts = b"".join(txin.prevout.encode() for txin in tx.vin)
    sequences = b"".join(u32(txin.sequence) for txin in tx.vin)
    hash_outputs = bytes(32)
    if not only:
        hash_outputs = sha256d(b"".join(txout.encode() for txout in tx.vout))
    elif kind == SIGHASH_SINGLE and index < len(tx.vout):
        hash_outputs = sha256d(tx.vout[index].encode())
    items = (
        u32(tx.version),
        bytes(32) if anyone else sha256d(prevouts),
        bytes(32) if anyone or only else sha256d(sequences),
        tx.vin[index].prevout.encode(),
        var_bytes(script_code),
        i64(value),
        u32(tx.vin[index].sequence),
        hash_outputs,
        u32(tx.lock_time),
        u32(hash_type),
    )
    return sha256d(b"".join(items))


def taproot_digest(
    tx: Transaction,
    spent: list[TxOut],
    index: int,
    hash_type: int,
    *,
    annex_hash: bytes | None,
    leaf: tuple[bytes, int] | None,
) -> bytes | None:
    """BIP341's SigMsg, and BIP342's extension for a leaf and the last OP_CODESEPARATOR in it."""
    single = hash_type & 3 == SIGHASH_SINGLE
    if hash_type not in (0, 1, 2, 3, 0x81, 0x82, 0x83) or (single and index >= len(tx.vout)):
        return None
    message = bytes((0, hash_type)) + u32(tx.version) + u32(tx.lock_time)
    if not hash_type & SIGHASH_ANYONECANPAY:
        message += sha256(b"".join(txin.prevout.encode() for txin in tx.vin)).digest()
        message += sha256(b"".join(i64(txout.value) for txout in spent)).digest()
        message += sha256(b"".join(var_bytes(txout.script_pubkey) for txout in spent)).digest()
        message += sha256(b"".join(u32(txin.sequence) for txin in tx.vin)).digest()
    if hash_type & 3 < SIGHASH_NONE:
        message += sha256(b"".join(txout.encode() for txout in tx.vout)).digest()
    message += bytes((2 * (leaf is not None) + (annex_hash is not None),))
    if hash_type & SIGHASH_ANYONECANPAY:
        message += tx.vin[index].prevout.encode() + spent[index].encode()
        message += u32(tx.vin[index].sequence)
    else:
        message += u32(index)
    message += annex_hash or b""
    if single:
        message += sha256(tx.vout[index].encode()).digest()
    if leaf is not None:
        message += leaf[0] + b"\0" + u32(leaf[1])
    return tagged_hash("TapSighash", message)


def draw_index(data: st.DataObject, tx: Transaction) -> int:
    return data.draw(st.integers(0, len(tx.vin) - 1))


@given(transactions, st.data())
def test_legacy_digests_in_any_order(tx: Transaction, data: st.DataObject) -> None:
    hashes = SignatureHashes(tx)
    for _ in range(4):
        asked = draw_index(data, tx), data.draw(script_codes), data.draw(hash_types | i32s)
        assert hashes.legacy(*asked) == legacy_digest(tx, *asked)


@given(transactions, st.data())
def test_version_0_digests_in_any_order(tx: Transaction, data: st.DataObject) -> None:
    spent = [data.draw(outputs) for _ in tx.vin]
    hashes = SignatureHashes(tx, spent)
    for _ in range(4):
        index, script_code = draw_index(data, tx), data.draw(script_codes)
        hash_type = data.draw(hash_types)
        expected = v0_digest(tx, index, script_code, spent[index].value, hash_type)
        assert hashes.witness_v0(index, script_code, hash_type) == expected


@given(transactions, st.data())
def test_taproot_digests_in_any_order(tx: Transaction, data: st.DataObject) -> None:
    spent = [data.draw(outputs) for _ in tx.vin]
    hashes = SignatureHashes(tx, spent)
    some_hash = st.binary(min_size=32, max_size=32)
    for _ in range(4):
        index, hash_type = draw_index(data, tx), data.draw(hash_types)
        annex_hash = data.draw(st.none() | some_hash)
        leaf = data.draw(st.none() | st.tuples(some_hash, st.integers(0, 2**32 - 1)))
        expected = taproot_digest(tx, spent, index, hash_type, annex_hash=annex_hash, leaf=leaf)
        if leaf is None:
            assert hashes.taproot(index, hash_type, annex_hash) == expected
        else:
            assert hashes.taproot(index, hash_type, annex_hash, *leaf) == expected
