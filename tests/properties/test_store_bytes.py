"""Coins and undo data come back from their bytes, and other bytes are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.chain.store import BlockUndo
from drystone.consensus.coins import Coin
from drystone.drivers.store.codec import (
    OUTPOINT_BYTES,
    decode_coin,
    decode_outpoint,
    decode_undo,
    encode_coin,
    encode_outpoint,
    encode_undo,
)
from drystone.primitives.codec import DecodeError, Truncated
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, TxOut

outpoints = st.builds(
    OutPoint, st.binary(min_size=32, max_size=32).map(Txid), st.integers(0, 2**32 - 1)
)
scripts = st.binary(max_size=50) | st.sampled_from([252, 253, 10_000, 70_000]).map(bytes)
coins = st.builds(
    Coin,
    st.builds(TxOut, st.integers(0, 21 * 10**14), scripts),
    st.integers(0, 2**31 - 1),
    st.booleans(),
)
undos = st.lists(st.tuples(outpoints, coins), max_size=5).map(lambda s: BlockUndo(tuple(s)))


@given(outpoints)
def test_outpoints_come_back(outpoint: OutPoint) -> None:
    data = encode_outpoint(outpoint)
    assert data == outpoint.encode() and len(data) == OUTPOINT_BYTES
    assert decode_outpoint(data) == outpoint


@given(coins)
def test_coins_come_back(coin: Coin) -> None:
    assert decode_coin(encode_coin(coin)) == coin


@given(undos)
def test_undo_data_come_back(undo: BlockUndo) -> None:
    assert decode_undo(encode_undo(undo)) == undo


@given(undos, st.data())
def test_undo_data_that_are_cut_or_too_long_are_refused(
    undo: BlockUndo, data: st.DataObject
) -> None:
    encoded = encode_undo(undo)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    for wrong in (encoded[:cut], encoded + b"\0"):
        with pytest.raises(DecodeError):
            decode_undo(wrong)


@given(st.binary(max_size=200))
def test_any_bytes_are_undo_data_or_refused(data: bytes) -> None:
    try:
        undo = decode_undo(data)
    except DecodeError:
        return
    assert encode_undo(undo) == data


def test_undo_data_that_announce_too_many_coins_are_refused_before_anything_is_made() -> None:
    with pytest.raises(Truncated, match="30000000 coins announced"):
        decode_undo(b"\xfe" + (30_000_000).to_bytes(4, "little"))


@pytest.mark.parametrize("size", range(12))
def test_a_coin_needs_twelve_bytes(size: int) -> None:
    with pytest.raises(Truncated):
        decode_coin(bytes(size))
