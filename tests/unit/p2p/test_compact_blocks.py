"""Compact blocks: what is left out is found again, and nobody can put in anything else."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.blocks import REGTEST, coinbase_at, with_commitment
from tests.support.messages import u64s
from tests.support.records import changed

from drystone.crypto.siphash import siphash
from drystone.p2p import compact
from drystone.p2p.compact import (
    CompactBlockFailed,
    CompactBlockInvalid,
    PartialBlock,
    compact_block,
    compact_bytes,
    requested_transactions,
    short_ids,
)
from drystone.p2p.messages import (
    BlockTxn,
    CmpctBlock,
    GetBlockTxn,
    PrefilledTransaction,
    decode_message,
)
from drystone.p2p.messages.base import Message
from drystone.primitives.block import Block
from drystone.primitives.codec import Reader
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut


def payment(n: int, witness: bytes = b"signature") -> Transaction:
    txid = Txid(sha256(n.to_bytes(4, "little")).digest())
    return Transaction(2, (TxIn(OutPoint(txid, n), witness=(witness,)),), (TxOut(n, b"\x51"),))


def block_of(count: int) -> Block:
    """A coinbase and so many payments; the header commits to them and nothing else is right."""
    vtx = (coinbase_at(1, 50), *(payment(n) for n in range(count)))
    block = with_commitment(Block(REGTEST.genesis.header, vtx))
    return replace(block, header=replace(block.header, merkle_root=block.merkle_root()[0]))


BLOCK = block_of(20)
POOL = BLOCK.vtx[1:]


def over_the_wire(message: Message) -> Any:
    return decode_message(message.command, message.encode())


def completed(partial: PartialBlock, transactions: tuple[Transaction, ...] = ()) -> Block:
    return partial.completed(transactions, expect_commitment=True)


@given(nonce=u64s, known=st.sets(st.integers(0, 19)))
@settings(max_examples=30)
def test_what_one_has_not_is_asked_for_and_the_block_is_whole(nonce: int, known: set[int]) -> None:
    partial = PartialBlock(over_the_wire(compact_block(BLOCK, nonce)))
    partial.fill([payment(100), *(POOL[n] for n in known), payment(101)])
    assert set(partial.missing) == {n + 1 for n in range(20)} - {n + 1 for n in known}
    request = over_the_wire(partial.request())
    assert request == GetBlockTxn(BLOCK.hash, partial.missing)
    answer = over_the_wire(requested_transactions(BLOCK, request))
    assert isinstance(answer, BlockTxn)
    assert completed(partial, answer.transactions) == BLOCK


@given(nonce=u64s)
@settings(max_examples=30)
def test_the_bytes_that_a_node_sends_are_those_of_the_message(nonce: int) -> None:
    for block in (BLOCK, block_of(0)):
        assert compact_bytes(block, nonce) == compact_block(block, nonce).encode()


def test_what_follows_the_only_transaction_is_not_taken_for_a_part_of_it() -> None:
    encoded = compact_bytes(block_of(0), 1)
    r = Reader(encoded + b"more")
    assert CmpctBlock.decode(r) == compact_block(block_of(0), 1)
    assert r.rest == b"more"
    assert CmpctBlock.decode(Reader(encoded)) == compact_block(block_of(0), 1)


def test_a_block_of_nothing_but_a_coinbase_is_whole_at_once() -> None:
    block = block_of(0)
    partial = PartialBlock(compact_block(block, 1))
    assert partial.is_complete
    assert partial.missing == () and completed(partial) == block


def test_short_ids_are_of_48_bits_under_a_key_of_header_and_nonce() -> None:
    key = sha256(BLOCK.header.encode() + (7).to_bytes(8, "little")).digest()
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:16], "little")
    assert compact_block(BLOCK, 7).short_ids == tuple(
        siphash(k0, k1, tx.wtxid) & 0xFFFFFFFFFFFF for tx in POOL
    )
    assert compact_block(BLOCK, 7).short_ids != compact_block(BLOCK, 8).short_ids


def test_a_transaction_with_another_witness_is_another() -> None:
    partial = PartialBlock(compact_block(BLOCK, 7))
    partial.fill([payment(0, b"other"), *POOL[1:]])
    assert partial.missing == (1,)


def test_a_pool_far_larger_than_the_block_is_looked_through_until_all_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed = []

    def counted(header: Any, nonce: int, wtxids: list[bytes]) -> list[int]:
        hashed.append(len(wtxids))
        return short_ids(header, nonce, wtxids)

    monkeypatch.setattr(compact, "_HASHED_AT_ONCE", 10)
    monkeypatch.setattr(compact, "short_ids", counted)
    partial = PartialBlock(compact_block(BLOCK, 7))
    hashed.clear()
    partial.fill([*POOL, *(payment(n) for n in range(100, 200))])
    assert partial.missing == () and hashed == [10, 10]


# What goes wrong by chance: short ids of 48 bits that meet.


def test_two_equal_short_ids_in_a_message_ask_for_the_whole_block() -> None:
    message = compact_block(BLOCK, 7)
    twice = changed(message, short_ids=(message.short_ids[0], *message.short_ids[:-1]))
    with pytest.raises(CompactBlockFailed):
        PartialBlock(twice)


def test_of_two_transactions_with_the_same_short_id_neither_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strangers = [payment(500), payment(501)]
    alike = {tx.wtxid: POOL[3].wtxid for tx in strangers}

    def colliding(header: Any, nonce: int, wtxids: list[bytes]) -> list[int]:
        return short_ids(header, nonce, [alike.get(wtxid, wtxid) for wtxid in wtxids])  # type: ignore[call-overload]

    monkeypatch.setattr(compact, "short_ids", colliding)
    partial = PartialBlock(compact_block(BLOCK, 7))
    partial.fill(POOL)
    partial.fill(POOL)  # the same ones again are no strangers
    assert partial.missing == ()
    partial = PartialBlock(compact_block(BLOCK, 7))
    partial.fill([*POOL[:10], *strangers, *POOL[10:]])
    assert partial.missing == (4,)
    assert completed(partial, (POOL[3],)) == BLOCK
    # Only the wrong one is at hand: the block is found not to be the header's.
    partial = PartialBlock(compact_block(BLOCK, 7))
    partial.fill([*POOL[:3], strangers[0], *POOL[4:]])
    assert partial.missing == ()
    with pytest.raises(CompactBlockFailed):
        completed(partial)


# What no honest peer sends.


def test_an_answer_of_the_wrong_number_is_invalid() -> None:
    partial = PartialBlock(compact_block(BLOCK, 7))
    partial.fill(POOL[2:])
    for answer in ((), POOL[:1], POOL[:3]):
        with pytest.raises(CompactBlockInvalid, match="non-matching block transactions"):
            completed(partial, answer)


@pytest.mark.parametrize("wrong", [(POOL[1], POOL[0]), (POOL[0], payment(1, b"other"))])
def test_an_answer_of_other_transactions_is_found_out(wrong: tuple[Transaction, ...]) -> None:
    partial = PartialBlock(compact_block(BLOCK, 7))
    partial.fill(POOL[2:])
    with pytest.raises(CompactBlockFailed):
        completed(partial, wrong)


def test_messages_that_describe_no_block_are_invalid() -> None:
    message = compact_block(BLOCK, 7)
    empty = CmpctBlock(BLOCK.header, 7, (), ())
    beyond = changed(message, prefilled=(PrefilledTransaction(21, BLOCK.coinbase),))
    null = changed(message, prefilled=(PrefilledTransaction(0, Transaction(0, (), ())),))
    for wrong in (empty, beyond, null, changed(message, header=replace(BLOCK.header, bits=0))):
        with pytest.raises(CompactBlockInvalid, match="invalid compact block"):
            PartialBlock(wrong)


def test_places_that_a_block_has_not_are_no_request() -> None:
    with pytest.raises(CompactBlockInvalid, match="out-of-bounds tx indices"):
        requested_transactions(BLOCK, GetBlockTxn(BLOCK.hash, (0, 21)))


def test_without_a_coinbase_a_transaction_of_64_bytes_may_be_two_hashes() -> None:
    """Whoever asks for a block by its tree alone could be given an inner node for a leaf."""
    short = Transaction(1, (TxIn(OutPoint(Txid(bytes(32)), 1)),), (TxOut(1, bytes(4)),))
    assert short.stripped_size == 64
    for tx, is_mutated in ((short, True), (payment(1), False)):
        header = replace(BLOCK.header, merkle_root=tx.txid)
        partial = PartialBlock(CmpctBlock(header, 1, (), (PrefilledTransaction(0, tx),)))
        if is_mutated:
            with pytest.raises(CompactBlockFailed):
                completed(partial)
        else:
            assert completed(partial).vtx == (tx,)
