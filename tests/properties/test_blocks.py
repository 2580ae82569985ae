"""Blocks on the wire, and that no bit of a real one can be changed."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.blocks import REGTEST, MinedChain
from tests.support.mainnet import BLOCK_1, BLOCK_170, COIN_9
from tests.support.spending import LOCKS, spend
from tests.support.strategies import blocks, hashes, headers

from drystone.consensus.block import check_block
from drystone.consensus.chains import MAINNET
from drystone.consensus.connect import verify_block
from drystone.consensus.errors import BlockInvalid, BlockMutated, Rejected
from drystone.primitives.amount import COIN
from drystone.primitives.block import HEADER_BYTES, Block, BlockHeader, BlockLocator
from drystone.primitives.codec import DecodeError, Reader, Truncated
from drystone.primitives.hashes import display
from drystone.primitives.merkleblock import PartialMerkleTree
from drystone.primitives.transaction import TxOut

REAL = {0: MAINNET.genesis, 1: BLOCK_1, 170: BLOCK_170}


def no_times(height: int) -> int:
    raise AssertionError("before BIP113 nobody asks for the median time")


def test_real_blocks_are_themselves() -> None:
    assert [display(block.hash) for block in REAL.values()] == [
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
        "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048",
        "00000000d1145790a8694403d4063f323d499e655c83426834d4ce2f8dd4a2ee",
    ]


@pytest.mark.parametrize("height", REAL)
def test_real_blocks_pass_every_rule(height: int) -> None:
    change = verify_block(
        Block.from_bytes(REAL[height].encode()),
        dict([COIN_9]),
        height=height,
        median_time_at=no_times,
        params=MAINNET,
    )
    assert change.fees == 0
    assert [coin.output.value for coin in change.created.values()] == {
        0: [],
        1: [50 * COIN],
        170: [50 * COIN, 10 * COIN, 40 * COIN],
    }[height]


def flips(data: bytes, start: int, stop: int) -> Iterator[bytes]:
    for bit in range(8 * start, 8 * stop):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


@pytest.mark.parametrize("height", REAL)
def test_no_bit_of_a_real_header_can_be_changed(height: int) -> None:
    for data in flips(REAL[height].encode(), 0, HEADER_BYTES):
        with pytest.raises(BlockInvalid, match="high-hash"):
            check_block(Block.from_bytes(data), MAINNET)


@pytest.mark.parametrize("height", REAL)
def test_no_bit_of_a_real_blocks_transactions_can_be_changed(height: int) -> None:
    encoded = REAL[height].encode()
    refused = 0
    for data in flips(encoded, HEADER_BYTES, len(encoded)):
        try:
            check_block(Block.from_bytes(data), MAINNET)
        except (DecodeError, BlockMutated):
            refused += 1
    assert refused == 8 * (len(encoded) - HEADER_BYTES)


@given(st.sampled_from(sorted(REAL)), st.data())
def test_no_byte_of_a_real_block_can_be_changed_inserted_or_removed(
    height: int, data: st.DataObject
) -> None:
    encoded = REAL[height].encode()
    start = data.draw(st.integers(0, len(encoded)))
    stop = start + data.draw(st.integers(0, 40))
    changed = encoded[:start] + data.draw(st.binary(max_size=40)) + encoded[stop:]
    if changed == encoded:
        return
    with pytest.raises((DecodeError, Rejected)):
        check_block(Block.from_bytes(changed), MAINNET)


@cache
def witnessed() -> tuple[MinedChain, Block]:
    """A chain, and the next block: its transaction has witnesses."""
    chain = MinedChain()
    chain.mine(101)
    coin = next(item for item in chain.coins.items() if item[1].height == 1)
    outputs = [TxOut(COIN, lock.script_pubkey) for lock in LOCKS]
    chain.mine(1, [spend([coin], LOCKS[:1], outputs)])
    coins = [item for item in chain.coins.items() if item[1].output.value == COIN]
    return chain, chain.block([spend(coins, LOCKS, outputs[:1])])


def test_no_byte_of_a_witness_can_be_changed() -> None:
    """The work is not on witnesses, but the commitment in the coinbase is."""
    chain, block = witnessed()
    chain.verify(block)
    encoded = block.encode()
    position = 0
    for txin in block.vtx[1].vin:
        for element in txin.witness:
            position = encoded.index(element, position) + len(element)
            for data in flips(encoded, position - 1, position):
                with pytest.raises(BlockMutated, match="bad-witness-merkle-match"):
                    chain.verify(Block.from_bytes(data))


# On the wire.


@given(headers)
def test_decoding_undoes_encoding_a_header(header: BlockHeader) -> None:
    data = header.encode()
    assert len(data) == HEADER_BYTES
    decoded = BlockHeader.from_bytes(data)
    assert decoded == header
    assert decoded.hash == header.hash


@given(st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES))
def test_any_80_bytes_are_a_header(data: bytes) -> None:
    assert BlockHeader.from_bytes(data).encode() == data


@given(blocks)
def test_decoding_undoes_encoding_a_block(block: Block) -> None:
    data = block.encode()
    decoded = Block.from_bytes(data)
    assert decoded == block
    assert decoded.encode() == data
    assert block.total_size == len(data)
    assert block.weight == 3 * block.stripped_size + len(data)


@given(blocks, st.data())
def test_a_block_cut_short_is_truncated(block: Block, data: st.DataObject) -> None:
    encoded = block.encode()
    with pytest.raises(Truncated):
        Block.from_bytes(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(st.binary(max_size=400))
def test_any_bytes_are_a_block_or_a_declared_error(data: bytes) -> None:
    try:
        block = Block.from_bytes(data)
    except DecodeError:
        return
    assert block.encode() == data


@given(st.lists(hashes, max_size=101).map(tuple))
def test_decoding_undoes_encoding_a_locator(locator: tuple[bytes, ...]) -> None:
    value = BlockLocator(locator)  # type: ignore[arg-type]
    assert BlockLocator.decode(Reader(value.encode())) == value


@given(st.lists(hashes, min_size=1, max_size=40, unique=True), st.data())
def test_a_partial_tree_proves_what_it_was_made_for(
    txids: list[bytes], data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.booleans(), min_size=len(txids), max_size=len(txids)))
    tree = PartialMerkleTree.from_leaves(txids, chosen)
    decoded = PartialMerkleTree.decode(Reader(tree.encode()))
    _, matched = decoded.extract()
    assert matched == [(n, txids[n]) for n in range(len(txids)) if chosen[n]]
    assert decoded.extract() == tree.extract()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_partial_tree_or_a_declared_error(data: bytes) -> None:
    with suppress(DecodeError):
        PartialMerkleTree.decode(Reader(data)).extract()


def test_regtest_is_not_mainnet() -> None:
    """The same headline, another target: neither's genesis passes for the other's."""
    assert REGTEST.genesis.coinbase == MAINNET.genesis.coinbase
    with pytest.raises(BlockInvalid, match="high-hash"):
        check_block(REGTEST.genesis, MAINNET)
