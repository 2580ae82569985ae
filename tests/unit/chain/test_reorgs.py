"""From one branch to another and back: what moves, what comes back, and what nobody notices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from tests.support.blocks import REGTEST
from tests.support.branches import Branches, payment
from tests.support.spending import p2wpkh_lock, spend
from tests.support.stores import Shelf, open_chain

from drystone.chain.chainstate import STEP_BLOCKS, ChainState
from drystone.chain.outcomes import Arrival, TipChange
from drystone.chain.store import Validity
from drystone.chain.tips import TipStatus, chain_tips
from drystone.consensus.coins import Coin
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint, Transaction, TxOut

NOW = REGTEST.genesis.header.time + 10_000_000
BAD_SIGNATURE = (
    "block-script-verify-flag-failed (Script evaluated without error but finished with a "
    "false/empty top stack element)"
)
MATURE = 104  # so many blocks below every fork: the first coinbases may be spent


@dataclass
class Ground:
    """A chain, and blocks that have matured in it."""

    chain: ChainState
    branches: Branches
    base: list[Block]  # from genesis on

    @property
    def top(self) -> Block:
        return self.base[-1]

    def coin(self, height: int) -> OutPoint:
        """The coinbase's, of a block of the base."""
        return OutPoint(self.base[height].coinbase.txid, 0)

    def take(self, *blocks: Block) -> TipChange | None:
        """One after the other, all good; what the last did to the tip."""
        change = None
        for block in blocks:
            submission = self.chain.submit(block, now=NOW)
            assert submission.error is None
            change = submission.change
        return change

    def coins(self) -> list[tuple[OutPoint, Coin]]:
        return sorted(self.chain.coins.items())


_BASE = Branches()
_BASE_BLOCKS = [_BASE.genesis, *_BASE.grow(_BASE.genesis, MATURE)]


@pytest.fixture
def ground(shelf: Shelf) -> Ground:
    branches = Branches()
    for block in _BASE_BLOCKS[1:]:
        branches.add(block)
    chain = open_chain(REGTEST, shelf)
    chain.submit_all(map(Arrival, _BASE_BLOCKS[1:]), now=NOW)
    assert chain.tip.hash == _BASE_BLOCKS[-1].hash
    return Ground(chain, branches, _BASE_BLOCKS)


def hashes(nodes: Sequence[object]) -> list[BlockHash]:
    return [node.hash for node in nodes]  # type: ignore[attr-defined]


def encoded(coins: Sequence[tuple[OutPoint, Coin]]) -> bytes:
    """Every byte of what is known of coins."""
    return b"".join(
        outpoint.encode()
        + coin.output.encode()
        + bytes((coin.is_coinbase,))
        + coin.height.to_bytes(4, "little")
        for outpoint, coin in coins
    )


def rivals(ground: Ground, depth: int) -> tuple[list[Block], list[Block]]:
    """Two branches, the second longer by one, that spend the same coins and each other's not.

    The first block of each pays on from an old coinbase, the further ones from the one below. Of
    three coins made each time, one is spent in the next block, one at once, and one never.
    """
    both: list[list[Block]] = [[], []]
    for nth, blocks in enumerate(both):
        outpoint, parent, value = ground.coin(1), ground.top, 4_000_000_000
        for _ in range(depth + nth):
            value -= 2000
            outputs = (TxOut(value, b"\x51"), TxOut(1000, b"\x51"), TxOut(nth, b"\x51"))
            tx = replace(payment(outpoint, 0), vout=outputs)
            inner = payment(OutPoint(tx.txid, 1), 500)
            parent = ground.branches.on(parent, [tx, inner])
            outpoint = OutPoint(tx.txid, 0)
            blocks.append(parent)
    return both[0], both[1]


@pytest.mark.parametrize("depth", [1, 6, 100])
def test_coins_are_the_same_byte_for_byte_after_a_reorganisation_and_back(
    ground: Ground, depth: int
) -> None:
    a, b = rivals(ground, depth)
    ground.take(*a)
    before = ground.coins()
    change = ground.take(*b)
    assert change is not None
    assert hashes(change.disconnected) == [block.hash for block in reversed(a)]
    assert hashes(change.connected) == [block.hash for block in b]
    assert (change.old.hash, change.new.hash) == (a[-1].hash, b[-1].hash)
    on_b = ground.coins()
    assert on_b != before
    back = ground.chain.invalidate(b[0].hash)
    assert back is not None and back.new.hash == a[-1].hash
    assert encoded(ground.coins()) == encoded(before)
    ground.chain.reconsider(b[0].hash)
    assert encoded(ground.coins()) == encoded(on_b)


@pytest.mark.parametrize("depth", [1, 6, 100])
def test_coins_after_a_reorganisation_are_those_of_a_chain_that_never_saw_the_other_branch(
    ground: Ground, depth: int
) -> None:
    a, b = rivals(ground, depth)
    ground.take(*a, *b)
    straight = open_chain(REGTEST)
    straight.submit_all(map(Arrival, [*ground.base[1:], *b]), now=NOW)
    assert ground.coins() == sorted(straight.coins.items())


@pytest.mark.parametrize("depth", [1, 6, 100])
def test_a_reorganisation_outlives_its_process(ground: Ground, shelf: Shelf, depth: int) -> None:
    a, b = rivals(ground, depth)
    ground.take(*a)
    ground.chain.flush()
    ground.take(*b)
    coins = ground.coins()
    again = open_chain(REGTEST, shelf)  # nobody closed the first one: its coins lag
    assert again.tip.hash == b[-1].hash
    assert sorted(again.coins.items()) == coins
    assert [again.at(height).hash for height in (0, 1, again.height)] == [
        REGTEST.genesis_hash,
        ground.base[1].hash,
        b[-1].hash,
    ]


def test_a_long_branch_that_came_all_at_once_is_gone_up_in_steps_and_told_as_one_move(
    ground: Ground,
) -> None:
    depth = 2 * STEP_BLOCKS + 3
    a = ground.branches.grow(ground.top, 5)
    b = ground.branches.grow(ground.top, depth)
    ground.take(*a)
    ground.chain.submit_headers([block.header for block in b], now=NOW)
    ground.take(*b[:0:-1])
    change = ground.take(b[0])
    assert change is not None
    assert hashes(change.connected) == [block.hash for block in b]
    assert hashes(change.disconnected) == [block.hash for block in reversed(a)]
    assert ground.chain.tip.hash == b[-1].hash


def test_blocks_of_equal_work_change_nothing(ground: Ground) -> None:
    a, b = rivals(ground, 3)
    ground.take(*a)
    assert ground.take(*b[:-1]) is None
    assert ground.chain.tip.hash == a[-1].hash
    assert ground.take(b[-1]) is not None


def test_a_branch_whose_missing_block_comes_late_does_not_win_a_tie(ground: Ground) -> None:
    a, b = ground.branches.grow(ground.top, 3), ground.branches.grow(ground.top, 3)
    ground.chain.submit_headers([block.header for block in a], now=NOW)
    ground.take(*a[1:], *b)
    assert ground.take(a[0]) is None
    assert ground.chain.tip.hash == b[-1].hash


# Transactions that become unconfirmed.


def test_transactions_come_back_parents_before_children_without_coinbases(ground: Ground) -> None:
    first = payment(ground.coin(1), 1000, outputs=2)
    second = payment(OutPoint(first.txid, 0), 900)  # of the same block as the first
    third = payment(OutPoint(second.txid, 0), 800)
    fourth = payment(OutPoint(first.txid, 1), 700)
    a1 = ground.branches.on(ground.top, [first, second])
    a2 = ground.branches.on(a1, [third, fourth])
    b = ground.branches.grow(ground.top, 3)
    ground.take(a1, a2)
    change = ground.take(*b)
    assert change is not None
    assert change.unconfirmed == (first, second, third, fourth)


def test_transactions_that_the_new_branch_has_do_not_come_back(ground: Ground) -> None:
    shared = payment(ground.coin(1), 1000, outputs=2)
    lost = payment(OutPoint(shared.txid, 0), 900)
    kept = payment(OutPoint(shared.txid, 1), 800)
    a1 = ground.branches.on(ground.top, [shared, lost, kept])
    b1 = ground.branches.on(ground.top)
    b2 = ground.branches.on(b1, [shared])
    b3 = ground.branches.on(b2, [kept])
    ground.take(a1, b1)
    change = ground.take(b2)
    assert change is not None and change.unconfirmed == (lost, kept)
    assert ground.chain.coin(OutPoint(kept.txid, 0)) is None
    assert ground.take(b3) is not None
    assert ground.chain.coin(OutPoint(kept.txid, 0)) is not None
    assert ground.chain.coin(OutPoint(shared.txid, 0)) is not None


def test_blocks_that_only_extend_the_chain_bring_nothing_back(ground: Ground) -> None:
    change = ground.take(ground.branches.on(ground.top, [payment(ground.coin(1), 1000)]))
    assert change is not None
    assert (change.disconnected, change.unconfirmed) == ((), ())
    assert len(change.connected) == 1


def test_an_invalidated_block_gives_its_transactions_back(ground: Ground) -> None:
    tx = payment(ground.coin(1), 1000)
    a1 = ground.branches.on(ground.top, [tx])
    a2 = ground.branches.on(a1)
    ground.take(a1, a2)
    change = ground.chain.invalidate(a1.hash)
    assert change is not None
    assert change.new.hash == ground.top.hash
    assert (change.connected, change.unconfirmed) == ((), (tx,))
    assert hashes(change.disconnected) == [a2.hash, a1.hash]


# Bad blocks on the way.


def bad_block(ground: Ground, parent: Block) -> Block:
    """It claims a satoshi too much."""
    return ground.branches.on(parent, fees=1)


def test_a_better_branch_with_a_bad_block_in_it_leaves_the_old_state_untouched(
    ground: Ground,
) -> None:
    a, b = rivals(ground, 3)
    ground.take(*a)
    before = encoded(ground.coins())
    bad = bad_block(ground, b[1])
    more = ground.branches.grow(bad, 3)
    ground.chain.submit_headers([block.header for block in (*b[:2], bad, *more)], now=NOW)
    ground.take(*b[:2])
    for block in more:
        assert ground.chain.submit(block, now=NOW).error is None
    submission = ground.chain.submit(bad, now=NOW)
    assert submission.change is None
    assert submission.error is not None and submission.error.reason == "bad-cb-amount"
    assert submission.outcomes[0].is_new
    assert ground.chain.tip.hash == a[-1].hash
    assert encoded(ground.coins()) == before
    tips = {tip.hash: tip.status for tip in chain_tips(ground.chain)}
    assert tips == {a[-1].hash: TipStatus.ACTIVE, more[-1].hash: TipStatus.INVALID}
    # What lies below the bad one was found good on the way, and nothing of it is told.
    nodes = [ground.chain.tree.nodes[block.hash] for block in (*b[:2], bad, *more)]
    assert [node.validity is Validity.SCRIPTS for node in nodes] == [True, True] + [False] * 4
    assert [node.failure for node in nodes] == [None, None, "bad-cb-amount", None, None, None]
    late = ground.chain.submit(ground.branches.on(more[-1]), now=NOW)
    assert late.error is not None and late.error.reason == "bad-prevblk"


@pytest.mark.parametrize("good", [2, 70])
def test_a_branch_is_taken_up_to_the_bad_block_if_that_has_more_work(
    ground: Ground, good: int
) -> None:
    a = ground.branches.grow(ground.top, good - 1)
    b = ground.branches.grow(ground.top, good)
    bad = bad_block(ground, b[-1])
    above = ground.branches.grow(bad, 2)
    ground.take(*a)
    submission = ground.chain.submit_all(map(Arrival, [*b, bad, *above]), now=NOW)
    assert [outcome.error and outcome.error.reason for outcome in submission.outcomes] == [
        *[None] * good,
        "bad-cb-amount",
        "bad-prevblk",
        "bad-prevblk",
    ]
    assert submission.change is not None
    assert hashes(submission.change.connected) == [block.hash for block in b]
    assert ground.chain.tip.hash == b[-1].hash


def test_the_next_best_branch_is_tried_when_the_best_turns_out_bad(ground: Ground) -> None:
    a = ground.branches.grow(ground.top, 1)
    b = ground.branches.grow(ground.top, 3)
    bad = bad_block(ground, ground.top)
    c = [bad, *ground.branches.grow(bad, 4)]
    ground.take(*a)
    submission = ground.chain.submit_all(map(Arrival, [*b, *c]), now=NOW)
    assert ground.chain.tip.hash == b[-1].hash
    assert submission.change is not None
    assert hashes(submission.change.disconnected) == [a[0].hash]


def test_of_two_bad_blocks_the_lower_one_is_marked(ground: Ground) -> None:
    """Its bad signature is known only after the one above has been found to claim too much."""
    lock = p2wpkh_lock()
    funding = payment(ground.coin(1), 100_000, lock.script_pubkey)
    funded = ground.branches.on(ground.top, [funding])
    outpoint = OutPoint(funding.txid, 0)
    coin = Coin(funding.vout[0], MATURE + 1, is_coinbase=False)
    tx = spend([(outpoint, coin)], [lock], [TxOut(1, b"\x51")])
    forged = Transaction(tx.version, tx.vin, (TxOut(2, b"\x51"),), tx.lock_time)
    bad = ground.branches.on(funded, [forged])
    worse = bad_block(ground, bad)
    ground.take(funded)
    submission = ground.chain.submit_all(map(Arrival, [bad, worse]), now=NOW)
    assert [outcome.error and outcome.error.reason for outcome in submission.outcomes] == [
        BAD_SIGNATURE,
        "bad-prevblk",
    ]
    assert ground.chain.tip.hash == funded.hash


def test_a_spend_across_the_fork_is_bad_where_the_coin_is_on_the_other_branch(
    ground: Ground,
) -> None:
    made = payment(ground.coin(1), 1000)
    spent = payment(OutPoint(made.txid, 0), 900)
    a1 = ground.branches.on(ground.top, [made])
    a2 = ground.branches.on(a1, [spent])
    b1 = ground.branches.on(ground.top)
    b2 = ground.branches.on(b1)
    b3 = ground.branches.on(b2, [spent])
    ground.take(a1, a2, b1, b2)
    submission = ground.chain.submit(b3, now=NOW)
    assert submission.error is not None
    assert submission.error.reason == "bad-txns-inputs-missingorspent"
    assert ground.chain.tip.hash == a2.hash
    b3 = ground.branches.on(b2, [made, spent])  # now it has the coin, too
    change = ground.take(b3)
    assert change is not None and change.unconfirmed == ()


# Coinbases and their age.


def test_a_coinbase_is_spent_after_a_hundred_blocks_and_not_one_earlier(shelf: Shelf) -> None:
    branches = Branches()
    blocks = [branches.genesis, *branches.grow(branches.genesis, 98)]
    chain = open_chain(REGTEST, shelf)
    chain.submit_all(map(Arrival, blocks[1:]), now=NOW)
    tx = payment(OutPoint(blocks[1].coinbase.txid, 0), 1000)
    tips = []
    for _ in range(2):  # height 100 is refused, 101 is not
        early_or_not = branches.on(blocks[-1], [tx])
        submission = chain.submit(early_or_not, now=NOW)
        tips.append(submission.error and submission.error.reason)
        blocks.append(branches.on(blocks[-1]))
        chain.submit(blocks[-1], now=NOW)
    early_or_not = branches.on(blocks[-1], [tx])
    tips.append(chain.submit(early_or_not, now=NOW).error)
    assert tips == [
        "bad-txns-premature-spend-of-coinbase",
        "bad-txns-premature-spend-of-coinbase",
        None,
    ]


def test_a_coinbase_that_was_old_enough_on_one_branch_is_too_young_on_another(
    shelf: Shelf,
) -> None:
    """
    genesis - 1 - ... - 99 - a100 - a101    spends the coinbase of 1, a hundred blocks old
                          `- b100 - b101 - b102
    """
    branches = Branches()
    blocks = branches.grow(branches.genesis, 99)
    chain = open_chain(REGTEST, shelf)
    chain.submit_all(map(Arrival, blocks), now=NOW)
    tx = payment(OutPoint(blocks[0].coinbase.txid, 0), 1000)
    a100 = branches.on(blocks[-1])
    a101 = branches.on(a100, [tx])
    for block in (a100, a101):
        assert chain.submit(block, now=NOW).error is None
    b100 = branches.on(blocks[-1], [tx])
    rest = branches.grow(b100, 2)
    submission = chain.submit_all(map(Arrival, [b100, *rest]), now=NOW)
    assert submission.outcomes[0].error is not None
    assert submission.outcomes[0].error.reason == "bad-txns-premature-spend-of-coinbase"
    assert chain.tip.hash == a101.hash
    b100 = branches.on(blocks[-1])
    b101 = branches.on(b100, [tx])
    b102 = branches.on(b101)
    submission = chain.submit_all(map(Arrival, [b100, b101, b102]), now=NOW)
    assert submission.error is None
    assert chain.tip.hash == b102.hash
    assert submission.change is not None and submission.change.unconfirmed == ()


def test_a_coinbase_of_a_branch_that_was_left_is_gone(ground: Ground) -> None:
    a, b = ground.branches.grow(ground.top, 1), ground.branches.grow(ground.top, 2)
    ground.take(*a)
    outpoint = OutPoint(a[0].coinbase.txid, 0)
    assert ground.chain.coin(outpoint) is not None
    ground.take(*b)
    assert ground.chain.coin(outpoint) is None


# By hand.


def test_precious_blocks_take_the_tip_from_their_equals_and_give_it_back(ground: Ground) -> None:
    a, b = rivals(ground, 2)
    ground.take(*a, *b[:-1])
    change = ground.chain.precious(b[1].hash)
    assert change is not None and change.new.hash == b[1].hash
    assert ground.chain.precious(b[1].hash) is None
    change = ground.chain.precious(a[1].hash)
    assert change is not None and change.new.hash == a[1].hash
    ground.take(b[2])
    assert ground.chain.precious(a[1].hash) is None
    assert ground.chain.tip.hash == b[2].hash


def test_what_was_called_precious_is_so_after_opening_again(ground: Ground, shelf: Shelf) -> None:
    a, b = rivals(ground, 2)
    ground.take(*a, *b[:-1])
    ground.chain.precious(b[1].hash)
    ground.chain.close()
    again = open_chain(REGTEST, shelf)
    assert again.tip.hash == b[1].hash
    change = again.precious(a[1].hash)
    assert change is not None and change.new.hash == a[1].hash


def test_an_invalidated_branch_stays_so_after_opening_again(ground: Ground, shelf: Shelf) -> None:
    a, b = rivals(ground, 2)
    ground.take(*a, *b)
    ground.chain.invalidate(b[0].hash)
    ground.chain.close()
    again = open_chain(REGTEST, shelf)
    assert again.tip.hash == a[-1].hash
    late = again.submit(ground.branches.on(b[-1]), now=NOW)
    assert late.error is not None and late.error.reason == "bad-prevblk"
    change = again.reconsider(b[2].hash)  # the branch's last: what is below it counts as well
    assert change is not None and change.new.hash == b[-1].hash


def test_a_broken_rule_is_not_forgotten_when_its_block_is_invalidated_too(ground: Ground) -> None:
    bad = bad_block(ground, ground.top)
    ground.chain.submit(bad, now=NOW)
    assert ground.chain.invalidate(bad.hash) is None
    assert ground.chain.tree.nodes[bad.hash].failure == "bad-cb-amount"


def test_a_bad_block_that_is_reconsidered_is_tried_and_found_bad_again(ground: Ground) -> None:
    bad = bad_block(ground, ground.top)
    ground.chain.submit(bad, now=NOW)
    assert ground.chain.reconsider(bad.hash) is None
    assert ground.chain.tip.hash == ground.top.hash
    assert ground.chain.tree.nodes[bad.hash].failure == "bad-cb-amount"


def test_genesis_stays_and_unknown_blocks_are_unknown(ground: Ground) -> None:
    with pytest.raises(ValueError, match="genesis can't be invalidated"):
        ground.chain.invalidate(REGTEST.genesis_hash)
    nowhere = BlockHash(bytes(32))
    for by_hand in (ground.chain.invalidate, ground.chain.reconsider, ground.chain.precious):
        with pytest.raises(KeyError):
            by_hand(nowhere)
    assert ground.chain.reconsider(REGTEST.genesis_hash) is None  # none of it is fatal
    assert ground.chain.invalidate(ground.base[1].hash) is not None
    assert ground.chain.height == 0
    assert list(ground.chain.coins.items()) == []
