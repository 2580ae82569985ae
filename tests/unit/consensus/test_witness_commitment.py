"""The coinbase's commitment to witnesses: there, absent, wrong."""

from dataclasses import replace

import pytest
from tests.support.blocks import coinbase_at, with_commitment

from drystone.consensus.errors import BlockMutated
from drystone.consensus.witness_commitment import check_witnesses, witness_commitment
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import BlockHash, Txid, sha256d
from drystone.primitives.script import op_return
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

HEADER = BlockHeader(4, BlockHash(bytes(32)), bytes(32), 0, 0x207FFFFF, 0)
PAYMENT = Transaction(2, (TxIn(OutPoint(Txid(bytes(32)), 0), witness=(b"w",)),), (TxOut(1, b""),))
PREFIX = bytes.fromhex("6a24aa21a9ed")
BLOCK = with_commitment(Block(HEADER, (coinbase_at(9, 50), PAYMENT)))


def reason(block: Block, *, expect_commitment: bool = True) -> str:
    with pytest.raises(BlockMutated) as refused:
        check_witnesses(block, expect_commitment=expect_commitment)
    return refused.value.reason


def with_coinbase(block: Block, **fields: object) -> Block:
    coinbase = replace(block.coinbase, **fields)  # type: ignore[arg-type]
    return replace(block, vtx=(coinbase, *block.vtx[1:]))


def with_reserved_value(*witness: bytes) -> Block:
    return with_coinbase(BLOCK, vin=(replace(BLOCK.coinbase.vin[0], witness=witness),))


def stripped(tx: Transaction) -> Transaction:
    return replace(tx, vin=tuple(replace(txin, witness=()) for txin in tx.vin))


def test_a_commitment_to_the_witnesses_passes() -> None:
    check_witnesses(BLOCK, expect_commitment=True)


def test_a_block_without_witnesses_needs_no_commitment() -> None:
    plain = Block(HEADER, (coinbase_at(9, 50), stripped(PAYMENT)))
    check_witnesses(plain, expect_commitment=True)
    check_witnesses(plain, expect_commitment=False)


def test_a_witness_without_commitment_is_unexpected() -> None:
    bare = replace(BLOCK, vtx=(coinbase_at(9, 50), PAYMENT))
    assert reason(bare) == "unexpected-witness"
    assert reason(with_coinbase(BLOCK, vout=BLOCK.coinbase.vout[:1])) == "unexpected-witness"


def test_before_segwit_a_commitment_excuses_no_witness() -> None:
    assert reason(BLOCK, expect_commitment=False) == "unexpected-witness"


@pytest.mark.parametrize(
    "witness", [(), (bytes(31),), (bytes(33),), (b"",), (bytes(32), b""), (b"", bytes(32))]
)
def test_the_reserved_value_is_one_element_of_32_bytes(witness: tuple[bytes, ...]) -> None:
    assert reason(with_reserved_value(*witness)) == "bad-witness-nonce-size"


def test_a_commitment_needs_its_reserved_value_even_without_witnesses() -> None:
    block = replace(with_reserved_value(), vtx=(with_reserved_value().coinbase, stripped(PAYMENT)))
    assert reason(block) == "bad-witness-nonce-size"


def test_the_commitment_is_to_these_witnesses_and_this_value() -> None:
    assert reason(with_reserved_value(b"\1" * 32)) == "bad-witness-merkle-match"
    other = replace(PAYMENT, vin=(replace(PAYMENT.vin[0], witness=(b"x",)),))
    assert other.txid == PAYMENT.txid
    assert reason(replace(BLOCK, vtx=(BLOCK.coinbase, other))) == "bad-witness-merkle-match"


def test_any_reserved_value_will_do_if_it_is_committed_to() -> None:
    value = b"\5" * 32
    script = PREFIX + sha256d(BLOCK.witness_merkle_root() + value)
    block = with_reserved_value(value)
    vout = (block.coinbase.vout[0], TxOut(0, script))
    check_witnesses(with_coinbase(block, vout=vout), expect_commitment=True)


GOOD = BLOCK.coinbase.vout[1]


@pytest.mark.parametrize(
    ("scripts", "expected"),
    [
        ([], None),
        ([PREFIX + b"a" * 32], b"a" * 32),
        ([PREFIX + b"a" * 31], None),
        ([PREFIX + b"a" * 32 + b"more"], b"a" * 32),
        ([PREFIX + b"a" * 32, PREFIX + b"b" * 32], b"b" * 32),  # the last one counts
        ([PREFIX + b"a" * 32, PREFIX + b"b" * 31], b"a" * 32),
        ([PREFIX + b"a" * 32, op_return(b"")], b"a" * 32),
        ([b"\x6a\x24\xaa\x21\xa9\xee" + b"a" * 32], None),
    ],
)
def test_the_last_output_of_its_form_is_the_commitment(
    scripts: list[bytes], expected: bytes | None
) -> None:
    coinbase = replace(coinbase_at(9, 50), vout=tuple(TxOut(0, script) for script in scripts))
    assert witness_commitment(coinbase) == expected


def test_a_commitment_may_be_in_the_very_first_output() -> None:
    block = with_coinbase(BLOCK, vout=(GOOD, BLOCK.coinbase.vout[0]))
    check_witnesses(block, expect_commitment=True)
