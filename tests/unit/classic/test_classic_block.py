"""The tutorial's block, byte for byte."""

from dataclasses import replace

import pytest
from tests.support.classic import FIRST_NONCE, FIRST_TIMESTAMP, with_other_reward

from drystone.classic.block import (
    GENESIS,
    MAX_TRANSACTIONS,
    Block,
    ClassicInvalid,
    Header,
    Transaction,
    reward_block,
    split_block,
)
from drystone.classic.pow import has_work, search

GENESIS_HASH = "00001ff58495c3dc2a1aaa69ebca4e9b3e05e63e5a319fb73bcdccbcdbba1e72"
FIRST_HASH = "000071e6ff5b358e57339b42d45b20acc0f112c218fa435b3ffa8f239b777347"


def header(nonce: int = 0) -> Header:
    return Header(GENESIS.hash, FIRST_TIMESTAMP, nonce)


def block_of(transactions: int) -> Block:
    return Block(header(), tuple(Transaction(n, n + 1) for n in range(transactions)))


# The vectors.


def test_genesis_has_the_tutorials_bytes_and_hash() -> None:
    assert GENESIS.hash.hex() == GENESIS_HASH
    assert (
        GENESIS.encode()
        == bytes.fromhex(
            "4b"  # 75 bytes with this one
            "00" + "00" * 32 + "616f8ae0"  # 1,634,700,000
            f"{70822:064x}"
            "01" + "0000" + "1b58"  # one reward to port 7000
        )
    )


def test_the_first_block_is_solved_by_nonce_58768() -> None:
    solved = replace(header(), nonce=FIRST_NONCE)
    assert solved.hash.hex() == FIRST_HASH
    assert has_work(solved.hash)


def test_a_thousand_tries_from_58000_find_it() -> None:
    assert search(header(58_000), 1000) == FIRST_NONCE


def test_a_thousand_tries_from_0_do_not() -> None:
    assert search(header(0), 1000) is None


# Formats.


def test_the_header_is_69_bytes_with_big_endian_fields() -> None:
    encoded = Header(bytes(range(32)), 0x01020304, 0x0506, version=7).encode()
    assert len(encoded) == 69
    assert encoded == b"\7" + bytes(range(32)) + b"\1\2\3\4" + bytes(30) + b"\5\6"


def test_a_transaction_is_the_senders_port_and_the_receivers() -> None:
    assert Transaction(0x1234, 0x5678).encode() == b"\x12\x34\x56\x78"


def test_a_block_is_its_size_header_count_and_transactions() -> None:
    block = Block(header(5), (Transaction(1, 2), Transaction(3, 4)))
    assert block.encode() == (bytes([79]) + header(5).encode() + b"\2" + b"\0\1\0\2" + b"\0\3\0\4")


def test_a_miners_block_has_75_bytes_and_pays_its_own_port_from_nobody() -> None:
    block = reward_block(header(), 9000)
    assert block.transactions == (Transaction(sender=0, receiver=9000),)
    assert len(block.encode()) == 75
    assert block.miner == 9000


@pytest.mark.parametrize("transactions", [0, 1, 2, 45, 46])
def test_a_block_of_0_to_46_transactions_is_encoded_and_decoded(transactions: int) -> None:
    block = block_of(transactions)
    assert len(block.encode()) == 71 + 4 * transactions
    assert Block.decode(block.encode()) == block


def test_a_block_of_47_transactions_has_no_encoding() -> None:
    assert MAX_TRANSACTIONS == 46
    with pytest.raises(ValueError, match="at most 46 transactions"):
        block_of(47).encode()


def test_who_mined_a_block_is_told_by_its_first_reward_if_it_has_one() -> None:
    assert block_of(0).miner is None
    assert Block(header(), (Transaction(5, 6),)).miner is None
    assert Block(header(), (Transaction(5, 6), Transaction(0, 7), Transaction(0, 8))).miner == 7


def test_twins_have_one_hash_and_are_not_equal() -> None:
    block = reward_block(header(FIRST_NONCE), 7000)
    twin = Block.decode(with_other_reward(block.encode(), 8000))
    assert twin.hash == block.hash
    assert twin != block
    assert len({twin, block}) == 2


# Refusals.


def bad(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


WHOLE = block_of(2).encode()  # 79 bytes


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "truncated-block", id="nothing"),
        pytest.param(b"\0", "empty-block", id="size 0"),
        pytest.param(bytes(79), "empty-block", id="size 0, and 78 more bytes"),
        pytest.param(WHOLE[:-1], "truncated-block", id="a byte short"),
        pytest.param(WHOLE[:1], "truncated-block", id="only the size"),
        pytest.param(WHOLE + b"\0", "trailing-bytes", id="a byte more"),
        pytest.param(WHOLE + WHOLE, "trailing-bytes", id="a block more"),
        pytest.param(bad(WHOLE, 0, 70), "bad-block-size", id="too small for header and count"),
        pytest.param(bad(WHOLE, 0, 78), "bad-block-size", id="no whole transactions"),
        pytest.param(bad(WHOLE, 0, 255) + bytes(255), "bad-tx-count", id="46 by size, 2 by count"),
        pytest.param(bad(WHOLE, 0, 75), "bad-tx-count", id="1 by size, 2 by count"),
        pytest.param(bad(WHOLE, 70, 3), "bad-tx-count", id="2 by size, 3 by count"),
        pytest.param(bad(WHOLE, 70, 0), "bad-tx-count", id="2 by size, 0 by count"),
        pytest.param(bad(WHOLE, 70, 255), "bad-tx-count", id="2 by size, 255 by count"),
    ],
)
def test_bytes_that_are_no_block_are_refused_for_the_right_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ClassicInvalid) as refused:
        Block.decode(data)
    assert refused.value.reason == reason
    assert refused.value.detail


def test_splitting_takes_the_one_block_that_begins_at_the_offset() -> None:
    data = b"junk" + block_of(3).encode() + block_of(0).encode()
    assert split_block(data, 4) == block_of(3).encode()
    assert split_block(data, 4 + 83) == block_of(0).encode()


def test_an_error_says_its_reason_and_its_sentence() -> None:
    error = ClassicInvalid("bad-pow", "hash ff")
    assert str(error) == "bad-pow: hash ff"
