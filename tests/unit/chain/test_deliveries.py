"""How blocks and headers come in: in any order, more than once, damaged, or too early."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.blocks import REGTEST, MinedChain
from tests.support.branches import Branches, payment, twice_the_last
from tests.support.stores import Shelf, open_chain

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import Arrival
from drystone.chain.store import Validity
from drystone.chain.tips import ChainTip, TipStatus, chain_tips
from drystone.chain.tree import BlockNode
from drystone.consensus.errors import BlockInvalid, BlockMutated, BlockOrphan, BlockPremature
from drystone.primitives.block import Block, BlockLocator
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint

GENESIS = REGTEST.genesis
NOW = GENESIS.header.time + 10_000_000


@pytest.fixture
def branches() -> Branches:
    return Branches()


@pytest.fixture
def chain(shelf: Shelf) -> ChainState:
    return open_chain(REGTEST, shelf)


def statuses(chain: ChainState) -> list[tuple[int, BlockHash, int, str]]:
    return [(*tip[:3], str(tip.status)) for tip in chain_tips(chain)]


# A new chain.


def test_a_new_chain_is_genesis_whose_coin_nobody_can_spend(chain: ChainState) -> None:
    assert chain.tip is chain.tree.genesis is chain.at(0)
    assert chain.tip.hash == REGTEST.genesis_hash
    assert list(chain.coins.items()) == []
    assert chain.block(GENESIS.hash) == GENESIS
    assert chain.undo(GENESIS.hash).spent == ()
    assert chain_tips(chain) == [ChainTip(0, GENESIS.hash, 0, TipStatus.ACTIVE)]
    assert chain.block_bytes(GENESIS.hash) == GENESIS.encode()


@pytest.mark.parametrize("height", [1, -1])
def test_there_is_no_block_above_the_tip_nor_below_genesis(chain: ChainState, height: int) -> None:
    with pytest.raises(IndexError):
        chain.at(height)


def test_genesis_can_be_submitted_and_changes_nothing(chain: ChainState) -> None:
    submission = chain.submit(GENESIS, now=NOW)
    (outcome,) = submission.outcomes
    assert outcome.node is chain.tip and not outcome.is_new and outcome.error is None


# Order.


def test_a_block_moves_the_tip_and_can_be_read_back(chain: ChainState, branches: Branches) -> None:
    block = branches.on(GENESIS)
    submission = chain.submit(block, now=NOW, encoded=block.encode())
    (outcome,) = submission.outcomes
    assert outcome.node is chain.tip and outcome.is_new and outcome.error is None
    assert submission.error is None
    assert submission.change is not None
    assert submission.change.connected == (chain.tip,)
    assert chain.tip.hash == block.hash and chain.height == 1
    assert chain.block(block.hash) == block
    assert chain.block_bytes(block.hash) == block.encode()
    assert chain.is_active(chain.tip) and chain.is_active(chain.tree.genesis)
    coin = chain.coin(OutPoint(block.coinbase.txid, 0))
    assert coin is not None and coin.height == 1 and coin.is_coinbase


def test_a_block_that_comes_again_is_not_new(chain: ChainState, branches: Branches) -> None:
    a, b = branches.on(GENESIS), branches.on(GENESIS)
    for block in (a, b):
        chain.submit(block, now=NOW)
    before = statuses(chain)
    for block in (a, b, a):
        submission = chain.submit(Block.from_bytes(block.encode()), now=NOW)
        assert submission.change is None and submission.error is None
        assert not submission.outcomes[0].is_new
    submission = chain.submit_all([Arrival(a), Arrival(b), Arrival(a)], now=NOW)
    assert [outcome.is_new for outcome in submission.outcomes] == [False] * 3
    assert statuses(chain) == before


def test_a_block_twice_in_one_batch_is_new_once(chain: ChainState, branches: Branches) -> None:
    block = branches.on(GENESIS)
    submission = chain.submit_all([Arrival(block), Arrival(block)], now=NOW)
    assert [outcome.is_new for outcome in submission.outcomes] == [True, False]


def test_headers_alone_move_nothing(chain: ChainState, branches: Branches) -> None:
    blocks = branches.grow(GENESIS, 3)
    nodes = chain.submit_headers([block.header for block in blocks], now=NOW)
    assert [node.height for node in nodes] == [1, 2, 3]
    assert chain.tip.hash == GENESIS.hash
    assert statuses(chain) == [
        (3, blocks[-1].hash, 3, "headers-only"),
        (0, GENESIS.hash, 0, "active"),
    ]
    with pytest.raises(KeyError):
        chain.block(blocks[0].hash)
    assert chain.submit_header(blocks[1].header, now=NOW) is nodes[1]


def test_after_headers_blocks_may_come_in_any_order() -> None:
    branches = Branches()
    blocks = branches.grow(GENESIS, 4)
    for order in permutations(blocks):
        chain = open_chain(REGTEST)
        chain.submit_headers([block.header for block in blocks], now=NOW)
        had: set[BlockHash] = set()
        for block in order:
            submission = chain.submit(block, now=NOW)
            assert submission.outcomes[0].is_new and submission.error is None
            had.add(block.hash)
            height = next((n for n, one in enumerate(blocks) if one.hash not in had), len(blocks))
            assert chain.height == height


def test_a_block_before_its_parent_is_an_orphan_and_may_come_again(
    chain: ChainState, branches: Branches
) -> None:
    first, second = branches.grow(GENESIS, 2)
    submission = chain.submit(second, now=NOW)
    (outcome,) = submission.outcomes
    assert isinstance(outcome.error, BlockOrphan) and outcome.error.reason == "prev-blk-not-found"
    assert outcome.node is None and not outcome.is_new
    with pytest.raises(BlockOrphan, match="prev-blk-not-found"):
        chain.submit_header(second.header, now=NOW)
    chain.submit(first, now=NOW)
    assert chain.submit(second, now=NOW).error is None
    assert chain.height == 2


def test_headers_up_to_a_bad_one_are_kept(
    chain: ChainState, branches: Branches, shelf: Shelf
) -> None:
    first, second = branches.grow(GENESIS, 2)
    bad = branches.on(second, bits=0x207FFFFE)
    with pytest.raises(BlockInvalid, match="bad-diffbits"):
        chain.submit_headers([b.header for b in (first, second, bad)], now=NOW)
    assert set(chain.tree.nodes) == {GENESIS.hash, first.hash, second.hash}
    assert chain.submit_header(second.header, now=NOW).height == 2
    again = open_chain(REGTEST, shelf)
    assert set(again.tree.nodes) == {GENESIS.hash, first.hash, second.hash}


BRANCHES = Branches()
TREE = [GENESIS]
for _parent in (0, 1, 2, 2, 1, 5, 6, 0, 8, 9, 10):  # four leaves, the best ones 4 blocks up
    TREE.append(BRANCHES.on(TREE[_parent]))
for _parent in (3, 7):  # and two bad ones that would be better
    TREE.append(BRANCHES.on(TREE[_parent], fees=1))
    TREE.append(BRANCHES.on(TREE[-1]))


@given(st.permutations(TREE[1:]), st.lists(st.integers(1, 15), min_size=15, max_size=15))
@settings(max_examples=60)
def test_blocks_together_lead_where_they_lead_one_after_the_other(
    order: list[Block], sizes: list[int]
) -> None:
    """Orphans are not kept, so everything is sent until nothing is new."""
    single, batched = open_chain(REGTEST), open_chain(REGTEST)
    for _ in range(5):
        for block in order:
            single.submit(block, now=NOW)
        rest = list(order)
        for size in sizes:
            part, rest = rest[:size], rest[size:]
            batched.submit_all(map(Arrival, part), now=NOW)
        assert dict(single.coins.items()) == dict(batched.coins.items())
        assert single.tip.hash == batched.tip.hash
    assert single.height == 4


# Time.


def test_a_block_from_the_future_is_premature_and_may_come_again(
    chain: ChainState, branches: Branches
) -> None:
    block = branches.on(GENESIS, time=NOW + 7201)
    for _ in range(2):
        submission = chain.submit(block, now=NOW)
        assert isinstance(submission.error, BlockPremature)
        assert submission.error.reason == "time-too-new"
        assert submission.outcomes[0].node is None
        with pytest.raises(BlockPremature):
            chain.submit_header(block.header, now=NOW)
    assert set(chain.tree.nodes) == {GENESIS.hash}
    assert chain.submit(block, now=NOW + 1).error is None
    assert chain.tip.hash == block.hash


def test_what_was_once_taken_in_stays_when_the_clock_goes_back(
    chain: ChainState, branches: Branches, shelf: Shelf
) -> None:
    block = branches.on(GENESIS, time=NOW + 7200)
    chain.submit_header(block.header, now=NOW)
    assert chain.submit(block, now=NOW - 100_000).error is None
    chain.close()
    assert open_chain(REGTEST, shelf).tip.hash == block.hash


def test_a_time_must_be_past_the_median_of_eleven(chain: ChainState, branches: Branches) -> None:
    blocks = branches.grow(GENESIS, 15)
    chain.submit_all(map(Arrival, blocks), now=NOW)
    median = branches.median_time(blocks[-1])
    assert median == blocks[9].header.time == chain.tip.median_time_past
    at = branches.on(blocks[-1], time=median)
    submission = chain.submit(at, now=NOW)
    assert submission.error is not None and submission.error.reason == "time-too-old"
    assert chain.tree.get(at.hash) is None  # a bad header is not kept
    assert chain.submit(branches.on(blocks[-1], time=median + 1), now=NOW).error is None


# Damaged, and bad.


@pytest.fixture(scope="module")
def mined() -> MinedChain:
    made = MinedChain()
    made.mine(102)
    return made


@pytest.fixture
def ripe(shelf: Shelf, mined: MinedChain) -> ChainState:
    chain = open_chain(REGTEST, shelf)
    chain.submit_all(map(Arrival, mined.blocks[1:]), now=NOW)
    return chain


def three_transactions(mined: MinedChain) -> Block:
    coinbases = [mined.blocks[height].coinbase for height in (1, 2)]
    return mined.block([payment(OutPoint(tx.txid, 0), 1000) for tx in coinbases])


def test_a_block_with_its_last_transaction_twice_marks_nothing_and_the_good_one_is_taken(
    ripe: ChainState, mined: MinedChain
) -> None:
    good = three_transactions(mined)
    ripe.submit_header(good.header, now=NOW)
    for _ in range(2):
        submission = ripe.submit(twice_the_last(good), now=NOW)
        assert isinstance(submission.error, BlockMutated)
        assert submission.error.reason == "bad-txns-duplicate"
        assert not submission.outcomes[0].is_new and submission.change is None
    node = ripe.tree.nodes[good.hash]
    assert not node.has_data and not node.is_failed
    assert ripe.submit(good, now=NOW).error is None
    assert ripe.tip is node


def test_a_block_whose_witness_was_changed_marks_nothing_and_the_good_one_is_taken(
    ripe: ChainState, mined: MinedChain, shelf: Shelf
) -> None:
    """Here the header turns out to be good before the witness turns out to be bad."""
    good = three_transactions(mined)
    tx = good.vtx[-1]
    changed = replace(tx, vin=(replace(tx.vin[0], witness=(b"other",)),))
    bad = replace(good, vtx=(*good.vtx[:-1], changed))
    assert bad.hash == good.hash
    submission = ripe.submit(bad, now=NOW)
    assert isinstance(submission.error, BlockMutated)
    assert submission.error.reason == "bad-witness-merkle-match"
    node = ripe.tree.nodes[good.hash]
    assert not node.has_data and not node.is_failed
    ripe.close()
    again = open_chain(REGTEST, shelf)
    assert not again.tree.nodes[good.hash].has_data
    assert again.submit(good, now=NOW).error is None
    assert again.tip.hash == good.hash
    assert again.block(good.hash) == good


def test_a_block_with_the_wrong_transactions_never_counts_for_its_header(
    ripe: ChainState, mined: MinedChain
) -> None:
    good = three_transactions(mined)
    for bad in (replace(good, vtx=good.vtx[:-1]), replace(good, vtx=()), GENESIS):
        mixed = replace(good, vtx=bad.vtx)
        submission = ripe.submit(mixed, now=NOW)
        assert isinstance(submission.error, BlockMutated)
        assert submission.error.reason == "bad-txnmrklroot"
        assert ripe.tree.get(good.hash) is None
    assert ripe.submit(good, now=NOW).error is None


def test_a_block_that_is_bad_in_itself_is_not_kept_nor_is_its_header(
    chain: ChainState, branches: Branches
) -> None:
    """As in the reference client: what `check_block` refuses marks nothing."""
    bad = branches.on(GENESIS, [branches.coinbase(1)])
    for _ in range(2):
        submission = chain.submit(bad, now=NOW)
        assert submission.error is not None and submission.error.reason == "bad-cb-multiple"
        assert submission.outcomes[0].node is None
    node = chain.submit_header(bad.header, now=NOW)
    assert chain.submit(bad, now=NOW).error is not None
    assert not node.is_failed


def test_a_block_that_is_bad_in_its_place_is_marked_without_its_data(
    chain: ChainState, branches: Branches, shelf: Shelf
) -> None:
    bad = branches.on(GENESIS, coinbase=branches.coinbase(2))
    child = branches.on(bad)
    submission = chain.submit(bad, now=NOW)
    (outcome,) = submission.outcomes
    assert outcome.error is not None and outcome.error.reason == "bad-cb-height"
    assert outcome.node is chain.tree.nodes[bad.hash] and not outcome.is_new
    for one in (chain, open_chain(REGTEST, shelf)):
        for block, reason in ((bad, "duplicate-invalid"), (child, "bad-prevblk")):
            again = one.submit(block, now=NOW)
            assert isinstance(again.error, BlockInvalid) and again.error.reason == reason
            with pytest.raises(BlockInvalid, match=reason):
                one.submit_header(block.header, now=NOW)
        assert statuses(one) == [(1, bad.hash, 1, "invalid"), (0, GENESIS.hash, 0, "active")]
        assert one.tree.nodes[bad.hash].failure == "bad-cb-height"
        with pytest.raises(KeyError):
            one.block(bad.hash)


def test_headers_that_build_on_a_block_fail_with_it(chain: ChainState, branches: Branches) -> None:
    bad = branches.on(GENESIS, coinbase=branches.coinbase(2))
    above = branches.grow(bad, 2)
    chain.submit_headers([block.header for block in (bad, *above)], now=NOW)
    chain.submit(above[0], now=NOW)
    chain.submit(bad, now=NOW)
    assert statuses(chain)[0] == (3, above[-1].hash, 3, "invalid")
    submission = chain.submit(above[1], now=NOW)
    assert submission.error is not None and submission.error.reason == "duplicate-invalid"


# Tips.


def test_chain_tips_have_the_reference_clients_statuses(
    chain: ChainState, branches: Branches, shelf: Shelf
) -> None:
    """
    genesis - a1 - a2 - a3 - (a4)     active, headers-only above it
          |     `- b2 - b3            valid-fork: it was the chain once
          |- c1                       valid-headers: never needed
          |- (d1) - d2                headers-only: d1 hasn't come
          `- e1 - e2                  invalid: e1 is
    """
    a1 = branches.on(GENESIS)
    b = branches.grow(a1, 2)
    a = branches.grow(a1, 3)
    c1 = branches.on(GENESIS)
    d = branches.grow(GENESIS, 2)
    e1 = branches.on(GENESIS, fees=1)
    e = branches.grow(e1, 4)
    chain.submit_all(map(Arrival, [a1, *b]), now=NOW)
    chain.submit_all(map(Arrival, [*a[:2]]), now=NOW)
    assert statuses(chain) == [(3, b[-1].hash, 0, "active"), (3, a[1].hash, 2, "valid-headers")]
    a_more = branches.on(a[1])
    chain.submit_headers([block.header for block in (a_more, branches.on(a_more))], now=NOW)
    chain.submit_all(map(Arrival, [a_more, c1]), now=NOW)
    chain.submit_headers([block.header for block in d], now=NOW)
    chain.submit(d[1], now=NOW)
    chain.submit_all(map(Arrival, [e1, *e]), now=NOW)
    expected = [
        (5, e[-1].hash, 5, "invalid"),
        (5, chain.tree.nodes[a_more.hash].children[0].hash, 1, "headers-only"),
        (4, a_more.hash, 0, "active"),
        (3, b[-1].hash, 2, "valid-fork"),
        (2, d[1].hash, 2, "headers-only"),
        (1, c1.hash, 1, "valid-headers"),
    ]
    assert sorted(statuses(chain)) == sorted(expected)
    assert [tip.height for tip in chain_tips(chain)] == [5, 5, 4, 3, 2, 1]
    assert statuses(open_chain(REGTEST, shelf)) == statuses(chain)


def test_of_tips_at_one_height_the_chains_own_is_told_first(
    chain: ChainState, branches: Branches
) -> None:
    a, b, c = (branches.on(GENESIS) for _ in range(3))
    chain.submit_all(map(Arrival, [a, b, c]), now=NOW)
    chain.precious(c.hash)
    assert [tip.hash for tip in chain_tips(chain)] == [c.hash, a.hash, b.hash]


# Locators.


def naive_fork(chain: ChainState, node: BlockNode) -> BlockNode:
    while not chain.is_active(node):
        assert node.parent is not None
        node = node.parent
    return node


def test_a_locator_tells_another_chain_where_they_part() -> None:
    branches = Branches()
    shared = branches.grow(GENESIS, 30)
    ours, theirs = branches.grow(shared[-1], 5), branches.grow(shared[-1], 25)
    one, other = open_chain(REGTEST), open_chain(REGTEST)
    one.submit_all(map(Arrival, [*shared, *ours]), now=NOW)
    other.submit_all(map(Arrival, [*shared, *theirs]), now=NOW)
    locator = one.locator()
    assert locator.hashes[0] == one.tip.hash and locator.hashes[-1] == GENESIS.hash
    assert len(set(locator.hashes)) == len(locator.hashes) < 20
    assert other.fork_with(locator).hash == shared[-1].hash  # within ten blocks it is exact
    fork = one.fork_with(other.locator())
    assert fork.height <= 30 and one.is_active(fork)
    step = 2 ** len([n for n in other.locator().hashes if n not in one.tree.nodes])
    assert 30 - fork.height < step


def test_a_locator_of_a_branch_that_goes_on_from_the_tip_means_the_tip(
    chain: ChainState, branches: Branches
) -> None:
    """Their headers are known here, their blocks are not."""
    blocks = branches.grow(GENESIS, 8)
    chain.submit_all(map(Arrival, blocks[:3]), now=NOW)
    nodes = chain.submit_headers([block.header for block in blocks], now=NOW)
    assert chain.fork_with(chain.locator(nodes[-1])) is chain.tip


def test_a_locator_of_strangers_means_genesis(chain: ChainState) -> None:
    nowhere = BlockLocator((BlockHash(b"\1" * 32), BlockHash(b"\2" * 32)))
    for locator in (nowhere, BlockLocator(())):
        assert chain.fork_with(locator) is chain.tree.genesis


@given(st.data())
@settings(max_examples=30)
def test_a_locator_never_tells_of_a_block_above_the_fork(data: st.DataObject) -> None:
    chain = LOCATED
    nodes = list(chain.tree.nodes.values())
    node = data.draw(st.sampled_from(nodes))
    fork = chain.fork_with(chain.locator(node))
    assert fork.height <= naive_fork(chain, node).height
    assert chain.is_active(fork)


LOCATED = open_chain(REGTEST)
_grown = BRANCHES.grow(GENESIS, 40)
LOCATED.submit_all(map(Arrival, _grown), now=NOW)
for _height in (0, 5, 20, 35):
    LOCATED.submit_all(map(Arrival, BRANCHES.grow(_grown[_height], 3)), now=NOW)


def test_validity_rises_as_more_is_known(chain: ChainState, branches: Branches) -> None:
    a = branches.grow(GENESIS, 2)
    b = branches.on(GENESIS)
    chain.submit_header(a[0].header, now=NOW)

    def validities() -> list[Validity]:
        return [node.validity for node in chain.tree.nodes.values()]

    assert validities() == [Validity.SCRIPTS, Validity.TREE]
    chain.submit_all(map(Arrival, [*a, b]), now=NOW)
    assert validities() == [Validity.SCRIPTS] * 3 + [Validity.TRANSACTIONS]
