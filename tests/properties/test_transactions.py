"""Transactions on the wire: one form each, and nothing else is accepted."""

from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.strategies import transactions

from drystone.consensus.errors import TxInvalid
from drystone.consensus.transaction import check_transaction
from drystone.primitives.codec import DecodeError, Reader, Truncated, compact_size
from drystone.primitives.transaction import Transaction

IDENTITY = ("txid", "wtxid", "stripped_size", "total_size")


@given(transactions)
def test_decoding_undoes_encoding(tx: Transaction) -> None:
    data = tx.encode()
    decoded = Transaction.from_bytes(data)
    assert decoded == tx
    assert decoded.encode() == data
    assert [getattr(decoded, name) for name in IDENTITY] == [getattr(tx, name) for name in IDENTITY]
    assert tx.total_size == len(data)
    assert tx.stripped_size == len(tx.encode_stripped())


@given(transactions, st.binary(max_size=20), st.binary(max_size=20))
def test_decoding_takes_what_is_its_own(tx: Transaction, before: bytes, after: bytes) -> None:
    r = Reader(before + tx.encode() + after, len(before))
    assert Transaction.decode(r) == tx
    assert r.left == len(after)


@given(transactions, st.data())
def test_a_transaction_cut_short_is_truncated(tx: Transaction, data: st.DataObject) -> None:
    encoded = tx.encode()
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(Truncated):
        Transaction.from_bytes(encoded[:cut])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_transaction_or_a_declared_error(data: bytes) -> None:
    accept_or_refuse(data)


@given(transactions, st.data())
def test_any_change_gives_another_transaction_or_a_declared_error(
    tx: Transaction, data: st.DataObject
) -> None:
    encoded = tx.encode()
    start = data.draw(st.integers(0, len(encoded)))
    removed = data.draw(st.integers(0, 9))
    inserted = data.draw(st.binary(max_size=9))
    changed = encoded[:start] + inserted + encoded[start + removed :]
    decoded = accept_or_refuse(changed)
    if decoded is not None and changed != encoded:
        assert decoded.wtxid != tx.wtxid


def accept_or_refuse(data: bytes) -> Transaction | None:
    try:
        tx = Transaction.from_bytes(data)
    except DecodeError:
        return None
    assert tx.encode() == data
    with suppress(TxInvalid):
        check_transaction(tx)
    return tx


def input_bytes(script: bytes = b"") -> bytes:
    return bytes(36) + compact_size(len(script)) + script + bytes(4)


def hostile(shape: str, size: int) -> bytes:
    """About so many bytes of a shape that costs a careless decoder most."""
    if shape == "many inputs":
        count = size // 41
        return bytes(4) + compact_size(count) + input_bytes() * count + bytes(5)
    if shape == "many outputs":
        count = size // 9
        return bytes(4) + b"\1" + input_bytes() + compact_size(count) + bytes(9) * count + bytes(4)
    head = bytes(4) + b"\0\1\1" + input_bytes() + b"\0"
    if shape == "many elements of a witness":
        return head + compact_size(size) + bytes(size) + bytes(4)
    assert shape == "a last byte missing"
    return head + b"\1" + compact_size(size) + bytes(size) + bytes(3)


@pytest.mark.parametrize(
    "shape",
    ["many inputs", "many outputs", "many elements of a witness", "a last byte missing"],
)
def test_decoding_takes_linear_time(shape: str) -> None:
    """Ten times the bytes, some ten times the time; it would be a hundred times if it weren't."""

    def seconds(size: int) -> float:
        data = hostile(shape, size)
        best = float("inf")
        for _ in range(5):
            start = process_time()  # of this process: others may have the machine meanwhile
            accept_or_refuse(data)
            best = min(best, process_time() - start)
        return best

    assert seconds(400_000) < 30 * seconds(40_000)


@pytest.mark.parametrize("count", [0xFD, 0xFFFF, 0x10000, 0x2000000])
def test_a_count_that_can_not_be_true_is_refused_at_once(count: int) -> None:
    for head in (
        bytes(4),  # inputs
        bytes(4) + b"\1" + input_bytes(),  # outputs
        bytes(4) + b"\0\1\1" + input_bytes() + b"\0",  # elements of a witness
    ):
        start = process_time()
        with pytest.raises(Truncated):
            Transaction.from_bytes(head + compact_size(count) + bytes(100))
        assert process_time() - start < 0.05
