"""Checking a kept chain from genesis on: what is all right, and each way to be wrong."""

from dataclasses import replace

import pytest
from tests.support.blocks import REGTEST
from tests.support.branches import Branches, first_coin, payment
from tests.support.kept_chains import spending_chain
from tests.support.stores import MemoryShelf, open_chain

from drystone.chain.chainstate import ChainState
from drystone.chain.coins_digest import coins_digest
from drystone.chain.store import BlockUndo, StoreError
from drystone.chain.verifying import PIECE_COINS, VerifyReport, verify_chain
from drystone.consensus.coins import Coin
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash, Txid, display
from drystone.primitives.transaction import OutPoint, TxOut

NOW = 2_000_000_000


class Kept:
    """A chain of 102 blocks with a branch of two beside it, in stores that can be tampered with."""

    def __init__(self) -> None:
        self.shelf = MemoryShelf()
        self.branches = Branches()
        self.blocks = spending_chain(self.branches)
        self.side = self.branches.grow(self.blocks[49], 2)
        chain = open_chain(REGTEST, self.shelf)
        for block in [*self.blocks, *self.side]:
            assert chain.submit(block, now=NOW).error is None
        chain.close()
        self.last = self.blocks[-1]

    def open(self) -> ChainState:
        return open_chain(REGTEST, self.shelf)

    @property
    def coins(self) -> dict[OutPoint, Coin]:
        return self.shelf.coins._coins

    def replace_block(self, block: Block, other: Block) -> None:
        self.shelf.blocks._blocks[block.hash] = other


@pytest.fixture
def kept() -> Kept:
    return Kept()


def verified(chain: ChainState) -> VerifyReport:
    return list(verify_chain(chain, now=NOW))[-1]


def test_a_good_chain_is_verified_from_end_to_end(kept: Kept) -> None:
    chain = kept.open()
    report = verified(chain)
    assert report.problems == []
    assert (report.done, report.total) == (102, 102)
    assert (report.transactions, report.side_blocks) == (104, 2)
    assert report.coins == len(list(chain.coins.items())) == 102
    assert report.digest == coins_digest(chain.coins.items())


def test_a_new_chain_has_nothing_to_verify() -> None:
    report = verified(open_chain(REGTEST))
    assert (report.done, report.total, report.problems) == (0, 0, [])
    assert report.digest == coins_digest([])


def test_the_report_comes_after_each_block_and_can_be_left_at_any(kept: Kept) -> None:
    chain = kept.open()
    before = [
        report.done for report, _ in zip(verify_chain(chain, now=NOW), range(5), strict=False)
    ]
    assert before == [1, 2, 3, 4, 5]
    assert verified(chain).problems == []


def test_verifying_changes_nothing(kept: Kept) -> None:
    chain = kept.open()
    tip, coins = chain.tip, dict(chain.coins.items())
    verified(chain)
    assert chain.tip is tip and dict(chain.coins.items()) == coins


def test_coins_that_are_not_yet_written_are_verified_too() -> None:
    chain = open_chain(REGTEST)
    for block in spending_chain(Branches()):
        chain.submit(block, now=NOW)
    report = verified(chain)
    assert (report.problems, report.coins) == ([], 102)


def test_a_missing_coin(kept: Kept) -> None:
    lost = OutPoint(kept.blocks[7].coinbase.txid, 0)
    del kept.coins[lost]
    report = verified(kept.open())
    assert report.problems == [
        f"coins that are missing: 1, of what the blocks leave; one is {lost}"
    ]
    assert report.done == report.total


def test_a_changed_coin(kept: Kept) -> None:
    outpoint = OutPoint(kept.blocks[7].coinbase.txid, 0)
    for changed in (
        kept.coins[outpoint]._replace(height=9),
        kept.coins[outpoint]._replace(is_coinbase=False),
        kept.coins[outpoint]._replace(output=TxOut(1, b"\x51")),
    ):
        kept.coins[outpoint] = changed
        report = verified(kept.open())
        assert report.problems == [
            f"coins that are changed: 1, of what the blocks leave; one is {outpoint}"
        ]


def test_a_coin_too_many(kept: Kept) -> None:
    extra = OutPoint(Txid(bytes(32)), 5)
    kept.coins[extra] = Coin(TxOut(1, b"\x51"), 3, is_coinbase=False)
    report = verified(kept.open())
    assert report.problems == [
        f"coins that are too many: 1, of what the blocks leave; one is {extra}"
    ]


def test_all_kinds_of_differences_are_told_beside_each_other(kept: Kept) -> None:
    first, second, third = (OutPoint(block.coinbase.txid, 0) for block in kept.blocks[10:13])
    del kept.coins[first], kept.coins[second]
    kept.coins[third] = kept.coins[third]._replace(height=1)
    kept.coins[OutPoint(Txid(bytes(32)), 0)] = Coin(TxOut(1, b""), 1, is_coinbase=False)
    report = verified(kept.open())
    assert [problem.split(",")[0] for problem in report.problems] == [
        "coins that are changed: 1",
        "coins that are too many: 1",
        "coins that are missing: 2",
    ]
    assert report.digest != coins_digest(kept.open().coins.items())


def test_changed_undo_data(kept: Kept) -> None:
    ((outpoint, coin),) = kept.shelf.blocks._undo[kept.last.hash].spent
    for spent in (
        (),
        ((outpoint, coin._replace(height=coin.height + 1)),),
        ((outpoint, coin), (OutPoint(Txid(bytes(32)), 0), coin)),
    ):
        kept.shelf.blocks._undo[kept.last.hash] = BlockUndo(spent)
        report = verified(kept.open())
        assert report.problems == [
            f"block 102, {display(kept.last.hash)}: its undo data are not the coins that it spends"
        ]
        assert report.done == 101
        assert report.digest is None


def test_another_block_in_a_blocks_place(kept: Kept) -> None:
    kept.replace_block(kept.blocks[9], kept.blocks[8])
    place, other = kept.blocks[9].hash, kept.blocks[8].hash
    report = verified(kept.open())
    assert report.problems == [
        f"block 10, {display(place)}: the stored block is another, {display(other)}"
    ]
    assert report.done == 9


def test_the_same_header_with_other_transactions(kept: Kept) -> None:
    other = replace(kept.last, vtx=kept.last.vtx[:-1])
    assert other.hash == kept.last.hash
    kept.replace_block(kept.last, other)
    (problem,) = verified(kept.open()).problems
    assert problem.startswith(
        f"block 102, {display(kept.last.hash)}: breaks a rule: bad-txnmrklroot"
    )


def test_a_block_that_was_taken_without_a_look_at_its_scripts_and_breaks_them() -> None:
    branches = Branches()
    never = branches.coinbase(1, script_pubkey=b"\x00")  # nobody can spend it
    paid = branches.on(branches.genesis, coinbase=never)
    blocks = [paid, *branches.grow(paid, 100)]
    outpoint, coin = first_coin(paid.coinbase, 1)
    thief = branches.on(blocks[-1], [payment(outpoint, coin.output.value)])
    chain = open_chain(REGTEST, are_scripts_assumed=lambda _node: True)
    for block in [*blocks, thief]:
        assert chain.submit(block, now=NOW).error is None
    assert chain.height == 102
    (problem,) = verified(chain).problems
    assert problem.startswith(f"block 102, {display(thief.hash)}: breaks a rule: ")
    assert "block-script-verify-flag-failed" in problem


def test_a_block_that_cannot_be_read(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = kept.open()
    bad = kept.blocks[30].hash

    def stored_block(block_hash: BlockHash) -> Block:
        if block_hash == bad:
            raise StoreError("it is damaged")
        return kept.shelf.blocks.block(block_hash)

    monkeypatch.setattr(chain, "stored_block", stored_block)
    report = verified(chain)
    assert report.problems == [f"block 31, {display(bad)}: it is damaged"]
    assert report.done == 30


def test_a_damaged_block_on_another_branch(kept: Kept) -> None:
    kept.replace_block(kept.side[0], kept.side[1])
    kept.replace_block(kept.side[1], replace(kept.side[1], vtx=kept.side[0].vtx))
    report = verified(kept.open())
    assert sorted(report.problems) == sorted(
        f"block {display(block.hash)} on another branch: the stored block is another"
        for block in kept.side
    )
    assert (report.done, report.side_blocks) == (102, 2)


def test_coins_that_cannot_be_read_are_a_problem_among_others(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def items() -> object:
        raise StoreError("the coins are damaged")

    chain = kept.open()
    monkeypatch.setattr(chain.coins, "items", items)
    report = verified(chain)
    assert report.problems == ["the coins are damaged"]
    assert report.digest is not None  # of those that the blocks leave


def test_many_coins_are_compared_piece_by_piece(
    monkeypatch: pytest.MonkeyPatch, kept: Kept
) -> None:
    assert PIECE_COINS > 102
    monkeypatch.setattr("drystone.chain.verifying.PIECE_COINS", 10)
    seen = [report.coins for report in verify_chain(kept.open(), now=NOW)]
    assert sorted(set(seen)) == [0, *range(10, 110, 10), 102]
