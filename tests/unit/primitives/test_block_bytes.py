"""Headers, blocks and locators byte by byte."""

from dataclasses import replace

import pytest
from tests.support.mainnet import BLOCK_1, BLOCK_170

from drystone.primitives.block import (
    HEADER_BYTES,
    MAX_LOCATOR_HASHES,
    Block,
    BlockHeader,
    BlockLocator,
    locator_heights,
)
from drystone.primitives.codec import Malformed, Reader, Truncated
from drystone.primitives.hashes import NULL_HASH, BlockHash, display, sha256d
from drystone.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut

HEADER = BlockHeader(
    version=-2,
    prev_hash=BlockHash(b"\x11" * 32),
    merkle_root=b"\x22" * 32,
    time=0x33333333,
    bits=0x44444444,
    nonce=0x55555555,
)


def test_a_header_is_80_bytes() -> None:
    data = HEADER.encode()
    assert len(data) == HEADER_BYTES
    assert data.hex() == "feffffff" + "11" * 32 + "22" * 32 + "33" * 4 + "44" * 4 + "55" * 4
    assert BlockHeader.from_bytes(data) == HEADER
    assert HEADER.hash == sha256d(data)
    with pytest.raises(Truncated):
        BlockHeader.from_bytes(data[:-1])
    with pytest.raises(Malformed):
        BlockHeader.from_bytes(data + b"\0")


def test_a_block_has_its_headers_hash_and_its_transactions_sizes() -> None:
    assert display(BLOCK_170.hash) == (
        "00000000d1145790a8694403d4063f323d499e655c83426834d4ce2f8dd4a2ee"
    )
    assert BLOCK_170.total_size == BLOCK_170.stripped_size == len(BLOCK_170.encode()) == 490
    assert BLOCK_170.weight == 4 * 490
    assert BLOCK_170.coinbase is BLOCK_170.vtx[0]
    assert BLOCK_170.merkle_root() == (BLOCK_170.header.merkle_root, False)


def test_a_block_with_witness_weighs_it_once() -> None:
    coinbase = Transaction(
        1, (TxIn(NULL_OUTPOINT, b"\x51\x51", witness=(bytes(32),)),), (TxOut(0, b""),)
    )
    block = Block(HEADER, (coinbase,))
    assert block.stripped_size == HEADER_BYTES + 1 + coinbase.stripped_size
    assert block.total_size == len(block.encode()) == HEADER_BYTES + 1 + coinbase.total_size
    assert block.weight == 3 * block.stripped_size + block.total_size
    assert Block.from_bytes(block.encode()) == block


def test_the_witness_root_leaves_the_coinbase_out() -> None:
    assert BLOCK_1.witness_merkle_root() == NULL_HASH
    assert BLOCK_170.witness_merkle_root() == sha256d(bytes(32) + BLOCK_170.vtx[1].wtxid)


def test_a_count_of_many_transactions_takes_more_bytes() -> None:
    small = Transaction(1, (), ())
    for count in (252, 253, 300):
        block = Block(HEADER, (small,) * count)
        assert block.total_size == len(block.encode())
        assert Block.from_bytes(block.encode()) == block


def test_a_block_without_transactions_can_be_read() -> None:
    block = Block(HEADER, ())
    assert Block.from_bytes(block.encode()) == block
    assert block.merkle_root() == (NULL_HASH, False)
    with pytest.raises(IndexError):
        _ = block.coinbase


def test_every_shorter_block_is_truncated_and_every_longer_malformed() -> None:
    data = BLOCK_1.encode()
    for size in range(len(data)):
        with pytest.raises(Truncated):
            Block.from_bytes(data[:size])
    with pytest.raises(Malformed):
        Block.from_bytes(data + b"\0")


@pytest.mark.parametrize(
    ("count", "error"),
    [
        ("fdffff", Truncated),
        ("fe00000002", Truncated),
        ("fe01000002", Malformed),
        ("fd0100", Malformed),
    ],
)
def test_a_count_that_can_not_be_true_is_refused(count: str, error: type[Exception]) -> None:
    data = BLOCK_1.encode()
    with pytest.raises(error):
        Block.from_bytes(data[:80] + bytes.fromhex(count) + data[81:])


def test_the_same_transactions_under_another_header_are_another_block() -> None:
    other = replace(BLOCK_1, header=replace(BLOCK_1.header, nonce=0))
    assert other != BLOCK_1
    assert other.hash != BLOCK_1.hash
    assert other.vtx == BLOCK_1.vtx


# Locators.


def test_a_locator_is_a_version_and_hashes() -> None:
    locator = BlockLocator((BlockHash(b"\x11" * 32), BlockHash(b"\x22" * 32)), version=70016)
    assert locator.encode().hex() == "80110100" + "02" + "11" * 32 + "22" * 32
    assert BlockLocator.decode(Reader(locator.encode())) == locator


def test_a_locator_has_101_hashes_at_most() -> None:
    hashes = (BlockHash(NULL_HASH),) * MAX_LOCATOR_HASHES
    assert BlockLocator.decode(Reader(BlockLocator(hashes).encode())).hashes == hashes
    too_many = BlockLocator((*hashes, BlockHash(NULL_HASH))).encode()
    with pytest.raises(Malformed, match="a locator of 102 hashes, at most 101"):
        BlockLocator.decode(Reader(too_many))
    with pytest.raises(Truncated):
        BlockLocator.decode(Reader(BlockLocator(hashes).encode()[:-1]))


@pytest.mark.parametrize(
    ("tip", "heights"),
    [
        (0, [0]),
        (1, [1, 0]),
        (5, [5, 4, 3, 2, 1, 0]),
        (11, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (12, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (13, [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 0]),
        (30, [30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 17, 13, 5, 0]),
    ],
)
def test_a_locator_goes_back_ever_farther(tip: int, heights: list[int]) -> None:
    assert list(locator_heights(tip)) == heights


def test_a_locator_stays_short() -> None:
    assert len(locator_heights(1_000_000)) == 31
    assert len(locator_heights(2**31)) < MAX_LOCATOR_HASHES
