"""Each rule of blocks that needs no coins: kept, broken, the step across, and which comes first."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from tests.support.blocks import REGTEST, assembled, coinbase_at, with_commitment

from drystone.consensus.block import (
    check_block,
    check_block_size,
    check_block_weight,
    check_legacy_sigops,
    contextual_check_block,
    is_block_mutated,
)
from drystone.consensus.chains import SIGNET
from drystone.consensus.errors import BlockInvalid, BlockMutated, Rejected
from drystone.consensus.params import Params
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import BlockHash, Txid
from drystone.primitives.opcodes import Op
from drystone.primitives.script import push_int
from drystone.primitives.transaction import (
    NULL_OUTPOINT,
    SEQUENCE_FINAL,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
)

HEIGHT = 200
MEDIAN = 1_600_000_000
TIME = MEDIAN + 5000
COIN_AT = OutPoint(Txid(bytes([7]) * 32), 0)
HEADER = BlockHeader(4, BlockHash(bytes(32)), bytes(32), TIME, 0x207FFFFF, 0)
CHECKSIG = bytes((Op.OP_CHECKSIG,))


def payment(number: int = 0, script_pubkey: bytes = b"", **fields: object) -> Transaction:
    outpoint = COIN_AT._replace(vout=number)
    tx = Transaction(2, (TxIn(outpoint, sequence=0),), (TxOut(1, script_pubkey),))
    return replace(tx, **fields)  # type: ignore[arg-type]


def witnessed(number: int = 0) -> Transaction:
    outpoint = COIN_AT._replace(vout=number)
    return payment(vin=(TxIn(outpoint, witness=(b"something",)),))


COINBASE = coinbase_at(HEIGHT, 5000)


def block_of(*transactions: Transaction) -> Block:
    """Solved, with a true root, and whatever is wrong with its transactions."""
    return assembled(Block(HEADER, transactions), REGTEST)


def committed(*transactions: Transaction) -> Block:
    """The same after a coinbase that commits to the witnesses."""
    return assembled(with_commitment(Block(HEADER, (COINBASE, *transactions))), REGTEST)


def refused(check: Callable[[], None]) -> Rejected:
    with pytest.raises(Rejected) as refusal:
        check()
    return refusal.value


def check(block: Block) -> Rejected:
    return refused(lambda: check_block(block, REGTEST))


def contextual_check(block: Block, params: Params = REGTEST, height: int = HEIGHT) -> None:
    contextual_check_block(block, height=height, previous_median_time=MEDIAN, params=params)


def contextually(block: Block, params: Params = REGTEST, height: int = HEIGHT) -> Rejected:
    return refused(lambda: contextual_check(block, params, height))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_a_block_that_keeps_every_rule_passes(count: int) -> None:
    block = committed(*map(witnessed, range(count)))
    check_block(block, REGTEST)
    contextual_check(block)


def test_work_is_looked_at_first() -> None:
    block = block_of()
    unsolved = replace(block, header=replace(block.header, bits=0x1D00FFFF))
    assert check(unsolved).reason == "high-hash"


def test_a_signets_solution_is_looked_at_next() -> None:
    block = Block(HEADER, (COINBASE,))
    signet = replace(SIGNET, pow_limit=REGTEST.pow_limit)
    refusal = refused(lambda: check_block(assembled(block, signet), signet))
    assert type(refusal) is BlockInvalid
    assert refusal.reason == "bad-signet-blksig"


def test_the_header_commits_to_the_transactions() -> None:
    block = block_of(COINBASE, payment())
    refusal = check(replace(block, vtx=(COINBASE, payment(1))))
    assert type(refusal) is BlockMutated
    assert refusal.reason == "bad-txnmrklroot"


@pytest.mark.parametrize(("count", "repeated"), [(3, 1), (5, 1), (6, 2), (7, 1)])
def test_a_block_with_its_last_transactions_repeated_is_not_condemned(
    count: int, repeated: int
) -> None:
    """CVE-2012-2459: the root stays the same."""
    block = block_of(COINBASE, *map(payment, range(count - 1)))
    mutated = replace(block, vtx=block.vtx + block.vtx[-repeated:])
    assert mutated.merkle_root()[0] == block.header.merkle_root
    refusal = check(mutated)
    assert type(refusal) is BlockMutated
    assert refusal.reason == "bad-txns-duplicate"


def test_a_block_without_transactions_is_bad_for_another_reason_than_mutation() -> None:
    assert not is_block_mutated(block_of(), expect_commitment=True)
    assert is_block_mutated(
        Block(replace(HEADER, merkle_root=b"x" * 32), ()), expect_commitment=True
    )


def test_a_block_has_transactions() -> None:
    refusal = check(block_of())
    assert type(refusal) is BlockInvalid
    assert refusal.reason == "bad-blk-length"


def padded(size: int) -> Block:
    """Of this stripped size."""
    block = Block(HEADER, (COINBASE, payment(0, bytes(1 << 17))))
    padding = size - block.stripped_size + (1 << 17)
    block = Block(HEADER, (COINBASE, payment(0, bytes(padding))))
    assert block.stripped_size == size
    return block


def test_without_witnesses_a_block_has_a_million_bytes() -> None:
    check_block_size(padded(1_000_000))
    assert refused(lambda: check_block_size(padded(1_000_001))).reason == "bad-blk-length"


def test_a_million_transactions_are_too_many_whatever_they_are() -> None:
    class Counted(tuple[Transaction, ...]):
        __slots__ = ()

        def __len__(self) -> int:
            return 1_000_001

    block = Block(HEADER, Counted((COINBASE,)))
    assert refused(lambda: check_block_size(block)).reason == "bad-blk-length"


def test_the_first_transaction_is_a_coinbase_and_no_other() -> None:
    other = coinbase_at(HEIGHT + 1, 1)
    for transactions, reason in (
        ([payment()], "bad-cb-missing"),
        ([payment(), COINBASE], "bad-cb-missing"),
        ([COINBASE, other], "bad-cb-multiple"),
        ([COINBASE, payment(), other], "bad-cb-multiple"),
    ):
        refusal = check(block_of(*transactions))
        assert type(refusal) is BlockInvalid
        assert refusal.reason == reason


def test_a_bad_transaction_condemns_its_block() -> None:
    bad = payment(vin=(TxIn(COIN_AT), TxIn(COIN_AT)))  # CVE-2018-17144
    refusal = check(block_of(COINBASE, payment(1), bad))
    assert type(refusal) is BlockInvalid
    assert refusal.reason == "bad-txns-inputs-duplicate"


def test_the_first_bad_transaction_is_reported() -> None:
    bad = payment(vout=()), payment(vin=(TxIn(COIN_AT), TxIn(COIN_AT)))
    assert check(block_of(COINBASE, *bad)).reason == "bad-txns-vout-empty"
    assert check(block_of(COINBASE, *bad[::-1])).reason == "bad-txns-inputs-duplicate"


def test_legacy_sigops_are_at_most_twenty_thousand() -> None:
    def block(sigops: int) -> Block:
        most = sigops - 10_000
        return Block(HEADER, (COINBASE, payment(0, CHECKSIG * 10_000), payment(1, CHECKSIG * most)))

    check_legacy_sigops(block(20_000))
    assert refused(lambda: check_legacy_sigops(block(20_001))).reason == "bad-blk-sigops"


ORDER: Sequence[tuple[str, tuple[Transaction, ...]]] = [
    ("bad-cb-missing", (payment(vout=()), COINBASE, COINBASE)),
    ("bad-cb-multiple", (COINBASE, payment(vout=()), coinbase_at(1, 1))),
    ("bad-txns-vout-empty", (COINBASE, payment(vout=()), payment(1, CHECKSIG * 20_001))),
    ("bad-blk-sigops", (COINBASE, payment(1, CHECKSIG * 20_001))),
]


@pytest.mark.parametrize(("first", "transactions"), ORDER)
def test_of_several_broken_rules_the_first_is_named(
    first: str, transactions: tuple[Transaction, ...]
) -> None:
    assert check(block_of(*transactions)).reason == first


# On top of the headers below.


def test_transactions_are_final_by_height() -> None:
    contextual_check(committed(payment(lock_time=HEIGHT - 1)))
    refusal = contextually(committed(payment(lock_time=HEIGHT)))
    assert type(refusal) is BlockInvalid
    assert refusal.reason == "bad-txns-nonfinal"
    final = replace(payment(), vin=(TxIn(COIN_AT, sequence=SEQUENCE_FINAL),), lock_time=HEIGHT)
    contextual_check(committed(final))


@pytest.mark.parametrize(("csv_height", "time"), [(HEIGHT, MEDIAN), (HEIGHT + 1, TIME)])
def test_transactions_are_final_by_median_time_from_bip113_on(csv_height: int, time: int) -> None:
    params = replace(REGTEST, csv_height=csv_height)
    contextual_check(committed(payment(lock_time=time - 1)), params)
    refusal = contextually(committed(payment(lock_time=time)), params)
    assert refusal.reason == "bad-txns-nonfinal"


def test_even_a_coinbase_must_be_final() -> None:
    block = committed()
    vin = tuple(replace(txin, sequence=0) for txin in block.coinbase.vin)
    coinbase = replace(block.coinbase, vin=vin, lock_time=HEIGHT)
    assert contextually(block_of(coinbase)).reason == "bad-txns-nonfinal"


@pytest.mark.parametrize(
    ("height", "script_sig"),
    [
        (1, "51 00"),
        (16, "60 00"),
        (17, "0111"),
        (127, "017f"),
        (128, "028000"),
        (227_931, "035b7a03"),
        (8_388_608, "0400008000"),
    ],
)
def test_a_coinbase_begins_with_its_height(height: int, script_sig: str) -> None:
    """BIP34; the heights of 227,931 and others as they are in the chain."""
    coinbase = replace(COINBASE, vin=(TxIn(NULL_OUTPOINT, bytes.fromhex(script_sig)),))
    contextual_check(block_of(coinbase), height=height)
    refusal = contextually(block_of(coinbase), height=height + 1)
    assert type(refusal) is BlockInvalid
    assert refusal.reason == "bad-cb-height"
    contextual_check(block_of(coinbase), replace(REGTEST, bip34_height=height + 2), height + 1)


@pytest.mark.parametrize("script_sig", [b"\x01\x11", b"\x02\xc8\x00\x00"[:2], b"\xc8\x00"])
def test_a_height_is_pushed_whole_and_the_shortest_way(script_sig: bytes) -> None:
    assert push_int(HEIGHT) == b"\x02\xc8\x00"
    coinbase = replace(COINBASE, vin=(TxIn(NULL_OUTPOINT, script_sig),))
    assert contextually(block_of(coinbase)).reason == "bad-cb-height"


def test_a_heavy_block_is_refused() -> None:
    def weighing(weight: int) -> Block:
        tx = replace(payment(), vin=(TxIn(COIN_AT, witness=(bytes(1 << 21),)),))
        padding = weight - Block(HEADER, (COINBASE, tx)).weight + (1 << 21)
        tx = replace(tx, vin=(TxIn(COIN_AT, witness=(bytes(padding),)),))
        block = Block(HEADER, (COINBASE, tx))
        assert block.weight == weight
        return block

    check_block_weight(weighing(4_000_000))
    refusal = refused(lambda: check_block_weight(weighing(4_000_001)))
    assert type(refusal) is BlockInvalid
    assert refusal.reason == "bad-blk-weight"


def test_weight_is_looked_at_after_the_witnesses() -> None:
    """What makes a block heavy may have been put there by somebody on the way."""
    block = committed(replace(payment(), vin=(TxIn(COIN_AT, witness=(bytes(4_000_000),)),)))
    assert contextually(block).reason == "bad-blk-weight"
    stuffed = replace(block.coinbase.vin[0], witness=(bytes(32), bytes(4_000_000)))
    coinbase = replace(block.coinbase, vin=(stuffed,))
    refusal = contextually(replace(block, vtx=(coinbase, *block.vtx[1:])))
    assert type(refusal) is BlockMutated
    assert refusal.reason == "bad-witness-nonce-size"


def test_of_several_broken_contextual_rules_the_first_is_named() -> None:
    heavy = replace(payment(), vin=(TxIn(COIN_AT, witness=(bytes(4_000_000),)),))
    wrong_height = coinbase_at(HEIGHT + 1, 5000)
    transactions = (wrong_height, heavy, payment(1, lock_time=HEIGHT))
    assert contextually(block_of(*transactions)).reason == "bad-txns-nonfinal"
    assert contextually(block_of(*transactions[:2])).reason == "bad-cb-height"
    assert contextually(block_of(COINBASE, heavy)).reason == "unexpected-witness"
