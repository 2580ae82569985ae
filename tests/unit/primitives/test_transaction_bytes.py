"""Transactions byte by byte: what each part is, and what the reference client refuses (BIP144)."""

from dataclasses import FrozenInstanceError, replace

import pytest

from drystone.primitives.codec import DecodeError, Malformed, Reader, Truncated
from drystone.primitives.hashes import NULL_HASH, Txid, display, sha256d
from drystone.primitives.transaction import (
    NULL_OUTPOINT,
    NULL_VOUT,
    SEQUENCE_FINAL,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
)

VERSION = "02000000"
INPUT = "11" * 32 + "07000000" + "03" + "515253" + "feffffff"
OUTPUT = "e803000000000000" + "02" + "6a00"
LOCK_TIME = "40e20100"
LEGACY = VERSION + "01" + INPUT + "01" + OUTPUT + LOCK_TIME
STACK = "02" + "01aa" + "00"
SEGWIT = VERSION + "0001" + "01" + INPUT + "01" + OUTPUT + STACK + LOCK_TIME

TX = Transaction(
    version=2,
    vin=(TxIn(OutPoint(Txid(b"\x11" * 32), 7), b"\x51\x52\x53", 0xFFFFFFFE),),
    vout=(TxOut(1000, b"\x6a\x00"),),
    lock_time=123_456,
)
WITNESS_TX = replace(TX, vin=(replace(TX.vin[0], witness=(b"\xaa", b"")),))


def test_a_legacy_transaction_is_these_bytes() -> None:
    assert TX.encode().hex() == LEGACY
    assert Transaction.from_bytes(bytes.fromhex(LEGACY)) == TX
    assert {TX.txid, TX.wtxid} == {sha256d(bytes.fromhex(LEGACY))}
    assert (TX.stripped_size, TX.total_size) == (len(LEGACY) // 2,) * 2
    assert (TX.weight, TX.vsize) == (4 * TX.total_size, TX.total_size)
    assert not TX.has_witness


def test_a_transaction_with_witness_is_these_bytes() -> None:
    assert WITNESS_TX.encode().hex() == SEGWIT
    assert WITNESS_TX.encode_stripped().hex() == LEGACY
    assert Transaction.from_bytes(bytes.fromhex(SEGWIT)) == WITNESS_TX
    assert WITNESS_TX.txid == TX.txid
    assert WITNESS_TX.wtxid == sha256d(bytes.fromhex(SEGWIT))
    assert (WITNESS_TX.stripped_size, WITNESS_TX.total_size) == (
        len(LEGACY) // 2,
        len(SEGWIT) // 2,
    )
    assert WITNESS_TX.weight == 3 * WITNESS_TX.stripped_size + WITNESS_TX.total_size
    assert WITNESS_TX.vsize == (WITNESS_TX.weight + 3) // 4
    assert WITNESS_TX.has_witness


def test_identities_are_the_same_however_a_transaction_was_made() -> None:
    decoded = Transaction.from_bytes(bytes.fromhex(SEGWIT))
    for name in ("txid", "wtxid", "stripped_size", "total_size"):
        assert getattr(decoded, name) == getattr(WITNESS_TX, name)
    assert hash(decoded) == hash(WITNESS_TX)


def test_a_transaction_can_not_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TX.version = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        TX.vin[0].sequence = 1  # type: ignore[misc]


@pytest.mark.parametrize("data", [LEGACY, SEGWIT])
def test_every_shorter_one_is_truncated(data: str) -> None:
    encoded = bytes.fromhex(data)
    for size in range(len(encoded)):
        with pytest.raises(Truncated):
            Transaction.from_bytes(encoded[:size])


@pytest.mark.parametrize("data", [LEGACY, SEGWIT])
def test_bytes_after_the_end_are_malformed(data: str) -> None:
    with pytest.raises(Malformed, match="1 bytes after the end"):
        Transaction.from_bytes(bytes.fromhex(data + "00"))


def test_a_reader_is_left_after_the_transaction() -> None:
    r = Reader(bytes.fromhex("ff" + LEGACY + SEGWIT + "ee"), offset=1)
    assert [Transaction.decode(r), Transaction.decode(r)] == [TX, WITNESS_TX]
    assert r.take(r.left) == b"\xee"


def test_a_reader_is_where_it_was_if_there_is_none() -> None:
    r = Reader(bytes.fromhex(LEGACY)[:-1])
    with pytest.raises(Truncated):
        Transaction.decode(r)
    assert r.offset == 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (VERSION + "0001" + "01" + INPUT + "01" + OUTPUT + "00" + LOCK_TIME, "superfluous witness"),
        (VERSION + "0001" + "00" + "00" + LOCK_TIME, "superfluous witness"),
        (VERSION + "0001" + "00" + "01" + OUTPUT + LOCK_TIME, "superfluous witness"),
        (VERSION + "0002" + "01" + INPUT + "01" + OUTPUT + LOCK_TIME, "unknown transaction optio"),
        (
            VERSION + "0003" + "01" + INPUT + "01" + OUTPUT + STACK + LOCK_TIME,
            "unknown transaction optio",
        ),
        (VERSION + "0002" + "00" + "00" + LOCK_TIME, "unknown transaction optional data"),
    ],
    ids=["empty-stack", "no-inputs", "outputs-only", "flag-2", "flag-3", "flag-2-empty"],
)
def test_flags_and_witnesses_without_meaning_are_malformed(data: str, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        Transaction.from_bytes(bytes.fromhex(data))


@pytest.mark.parametrize(
    "data",
    [
        VERSION + "fd0100" + INPUT + "01" + OUTPUT + LOCK_TIME,
        VERSION + "01" + INPUT + "fd0100" + OUTPUT + LOCK_TIME,
        LEGACY.replace("03515253", "fd0300515253"),
        LEGACY.replace("026a00", "fe020000006a00"),
        SEGWIT.replace(STACK, "fd0200" + "01aa" + "00"),
        SEGWIT.replace(STACK, "02" + "fd0100aa" + "00"),
        VERSION + "fd0000" + "01" + LOCK_TIME,
    ],
    ids=["vin", "vout", "script_sig", "script_pubkey", "stack", "element", "marker"],
)
def test_a_size_longer_than_it_needs_to_be_is_malformed(data: str) -> None:
    with pytest.raises(Malformed, match="written in"):
        Transaction.from_bytes(bytes.fromhex(data))


@pytest.mark.parametrize("count", ["fdffff", "feffff0000", "fe00000002"])
def test_more_inputs_than_there_are_bytes_for_are_refused_at_once(count: str) -> None:
    with pytest.raises(DecodeError):
        Transaction.from_bytes(bytes.fromhex(VERSION + count) + bytes(1000))


@pytest.mark.parametrize("count", ["fe01000002", "ff0000000001000000"])
def test_more_than_a_vector_may_have_is_malformed(count: str) -> None:
    for data in (
        VERSION + count,
        VERSION + "01" + INPUT + count,
        VERSION + "0001" + "01" + INPUT + "01" + OUTPUT + count,
        LEGACY.partition("03515253")[0] + count,
        LEGACY.partition("026a00")[0] + count,
        SEGWIT.partition(STACK)[0] + "01" + count,
    ):
        with pytest.raises(Malformed, match="at most 33554432"):
            Transaction.from_bytes(bytes.fromhex(data) + bytes(100))


def test_a_transaction_without_inputs_or_outputs_can_be_written_and_read() -> None:
    empty = Transaction(1, (), ())
    assert empty.encode().hex() == "01000000" + "0000" + "00000000"
    assert Transaction.from_bytes(empty.encode()) == empty


def test_a_transaction_of_outputs_only_reads_as_something_else() -> None:
    """The count of its inputs, zero, marks a witness: so it is read by the reference client too."""
    data = Transaction(1, (), (TxOut(0, b""),)).encode()
    with pytest.raises(DecodeError):
        Transaction.from_bytes(data)


def test_amounts_may_be_negative_until_a_rule_refuses_them() -> None:
    tx = replace(TX, vout=(TxOut(-1, b""), TxOut(-(2**63), b""), TxOut(2**63 - 1, b"")))
    assert Transaction.from_bytes(tx.encode()) == tx


@pytest.mark.parametrize("size", [0, 1, 252, 253, 254, 65_535, 65_536])
def test_scripts_and_elements_of_every_size_come_back(size: int) -> None:
    script = bytes(size)
    txin = TxIn(OutPoint(Txid(NULL_HASH), 1), script, 5, (script, b"x"))
    tx = Transaction(2**32 - 1, (txin, replace(txin, witness=())), (TxOut(1, script),), 2**32 - 1)
    assert Transaction.from_bytes(tx.encode()) == tx


@pytest.mark.parametrize("count", [252, 253, 300])
def test_many_inputs_outputs_and_elements_come_back(count: int) -> None:
    vin = (TX.vin[0],) * (count - 1) + (replace(TX.vin[0], witness=(b"a",) * count),)
    tx = replace(TX, vin=vin, vout=TX.vout * count)
    assert Transaction.from_bytes(tx.encode()) == tx


# Parts.


def test_parts_decode_by_themselves() -> None:
    assert TxIn.decode(Reader(TX.vin[0].encode())) == TX.vin[0]
    assert TxOut.decode(Reader(TX.vout[0].encode())) == TX.vout[0]
    assert OutPoint.decode(Reader(TX.vin[0].prevout.encode())) == TX.vin[0].prevout


def test_an_outpoint_is_shown_as_people_see_it() -> None:
    outpoint = OutPoint(Txid(bytes(31) + b"\x12"), 3)
    assert str(outpoint) == "12" + "00" * 31 + ":3"
    assert str(outpoint) == f"{display(outpoint.txid)}:3"


def test_a_coinbase_spends_nothing() -> None:
    coinbase = Transaction(1, (TxIn(NULL_OUTPOINT, b"\x51\x51"),), (TxOut(50, b""),))
    assert coinbase.is_coinbase
    assert coinbase.vin[0].sequence == SEQUENCE_FINAL
    assert not TX.is_coinbase
    assert not replace(coinbase, vin=coinbase.vin * 2).is_coinbase
    assert not replace(coinbase, vin=()).is_coinbase


@pytest.mark.parametrize(
    ("outpoint", "is_null"),
    [
        (NULL_OUTPOINT, True),
        (OutPoint(Txid(NULL_HASH), 0), False),
        (OutPoint(Txid(b"\x11" * 32), NULL_VOUT), False),
    ],
)
def test_nothing_is_no_transaction_and_no_output(outpoint: OutPoint, *, is_null: bool) -> None:
    assert outpoint.is_null is is_null


def test_repr_pastes_back() -> None:
    assert eval(repr(WITNESS_TX)) == WITNESS_TX
