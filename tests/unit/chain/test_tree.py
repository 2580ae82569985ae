"""Where blocks stand: ancestors, forks, candidates, and what is known of each."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.blocks import REGTEST

from drystone.chain.store import Validity
from drystone.chain.tree import BlockNode, BlockTree, fork_of, path_up, skip_height
from drystone.consensus.errors import BlockInvalid, BlockOrphan
from drystone.consensus.locktime import median_time_past
from drystone.core.chance import Stream
from drystone.primitives.block import BlockHeader

GENESIS = REGTEST.genesis.header
EASY, HARD = 0x207FFFFF, 0x203FFFFF  # twice the work


def headers_on(
    parent: BlockHeader, count: int, nonce: int = 0, bits: int = EASY
) -> list[BlockHeader]:
    """So many, one on the other. What has another nonce is another branch."""
    made: list[BlockHeader] = []
    for n in range(count):
        parent = BlockHeader(4, parent.hash, bytes(32), parent.time + 1 + n % 3, bits, nonce)
        made.append(parent)
    return made


def grown(tree: BlockTree, headers: Sequence[BlockHeader], *, data: bool = True) -> list[BlockNode]:
    """The nodes of such headers."""
    nodes = []
    for header in headers:
        node = tree.add(header, tree.parent_of(header))
        if data:
            tree.add_data(node, 1)
        nodes.append(node)
    return nodes


@pytest.fixture
def tree() -> BlockTree:
    made = BlockTree(GENESIS)
    made.add_data(made.genesis, 1)
    return made


# Ancestors and forks.


def random_trees() -> st.SearchStrategy[list[BlockNode]]:
    """The nodes of one, genesis first. Parents are mostly the last or a near one."""

    def built(parents: list[int]) -> list[BlockNode]:
        tree = BlockTree(GENESIS)
        nodes = [tree.genesis]
        for nonce, back in enumerate(parents):
            parent = nodes[-1 - back % len(nodes)]
            header = BlockHeader(4, parent.hash, bytes(32), 1_300_000_000 + nonce, EASY, nonce)
            nodes.append(tree.add(header, parent))
        return nodes

    back = st.one_of(st.just(0), st.just(0), st.just(0), st.integers(0, 5), st.integers(0, 100))
    return st.lists(back, min_size=1, max_size=120).map(built)


def below(node: BlockNode) -> Iterator[BlockNode]:
    """The node and all below it, by one step after the other."""
    at: BlockNode | None = node
    while at is not None:
        yield at
        at = at.parent


@given(random_trees())
def test_ancestors_are_those_that_parents_lead_to(nodes: list[BlockNode]) -> None:
    for node in nodes[-4:]:
        walked = list(below(node))[::-1]
        assert [node.ancestor(height) for height in range(node.height + 1)] == walked
        assert [node.header_at(height) for height in range(node.height + 1)] == [
            one.header for one in walked
        ]
        assert path_up(nodes[0], node) == walked[1:]


@given(random_trees(), st.data())
def test_a_fork_is_the_highest_block_that_both_branches_have(
    nodes: list[BlockNode], data: st.DataObject
) -> None:
    one, other = data.draw(st.sampled_from(nodes)), data.draw(st.sampled_from(nodes))
    of_other = set(below(other))
    fork = next(node for node in below(one) if node in of_other)
    assert fork_of(one, other) is fork_of(other, one) is fork
    assert one.descends_from(other) is (fork is other)
    assert other.descends_from(one) is (fork is one)


@given(random_trees())
def test_work_and_median_time_are_those_of_the_branch(nodes: list[BlockNode]) -> None:
    node = nodes[-1]
    assert node.chainwork == 2 * len(list(below(node)))
    for height in range(node.height + 1):
        times = [one.header.time for one in list(below(node.ancestor(height)))[:11]]
        assert node.median_time_at(height) == median_time_past(times)


class CountingNode(BlockNode):
    """Counts how often a parent is asked for: once in each step of `ancestor`."""

    __slots__ = ("_parent",)
    steps = 0

    @property
    def parent(self) -> BlockNode | None:
        CountingNode.steps += 1
        return self._parent

    @parent.setter
    def parent(self, parent: BlockNode | None) -> None:
        self._parent = parent


def test_any_ancestor_is_some_hundred_steps_away_at_most_even_from_2_to_the_18() -> None:
    chain: list[BlockNode] = []
    for _ in range(1 << 18):
        chain.append(CountingNode(GENESIS, chain[-1] if chain else None))
    chance = Stream(1, "pairs of heights")
    for bits in (8, 12, 15, 18):
        worst = 0
        for _ in range(600):
            start = (1 << bits) - 1 - chance.below(1 << (bits - 4))
            to = chance.below(start)
            CountingNode.steps = 0
            assert chain[start].ancestor(to) is chain[to]
            worst = max(worst, CountingNode.steps)
        assert bits <= worst <= 6 * bits


def test_the_long_step_always_leads_down() -> None:
    assert [skip_height(height) for height in range(10)] == [0, 0, 0, 1, 0, 1, 4, 1, 0, 1]
    assert all(skip_height(height) < height for height in range(1, 5000))


# What a branch is built on.


def test_what_builds_on_nothing_known_is_an_orphan(tree: BlockTree) -> None:
    first, second = headers_on(GENESIS, 2)
    with pytest.raises(BlockOrphan, match="prev-blk-not-found"):
        tree.parent_of(second)
    assert tree.parent_of(first) is tree.genesis


def test_what_builds_on_a_failed_block_is_invalid(tree: BlockTree) -> None:
    *known, last = headers_on(GENESIS, 3)
    nodes = grown(tree, known)
    tree.fail(nodes[0], "bad-cb-amount")
    with pytest.raises(BlockInvalid, match="bad-prevblk"):
        tree.parent_of(last)


def test_leaves_are_the_blocks_that_none_builds_on(tree: BlockTree) -> None:
    a = grown(tree, headers_on(GENESIS, 3))
    b = grown(tree, headers_on(a[0].header, 1, nonce=1))
    assert list(tree.leaves) == [a[-1], b[-1]]


# Candidates.


def test_the_best_candidate_has_the_most_work_not_the_most_blocks(tree: BlockTree) -> None:
    grown(tree, headers_on(GENESIS, 3))
    few = grown(tree, headers_on(GENESIS, 2, nonce=1, bits=HARD))
    assert tree.best() is few[-1]


def test_of_equal_work_the_first_goes_before(tree: BlockTree) -> None:
    a = grown(tree, headers_on(GENESIS, 2))
    b = grown(tree, headers_on(GENESIS, 2, nonce=1))
    assert tree.best() is a[-1]
    assert a[-1].goes_before(b[-1]) and not b[-1].goes_before(a[-1])


def test_no_block_is_a_candidate_before_all_below_it_have_come(tree: BlockTree) -> None:
    nodes = grown(tree, headers_on(GENESIS, 4), data=False)
    for node in (nodes[3], nodes[1], nodes[2]):
        assert tree.add_data(node, 1) == [node]
        assert tree.best() is tree.genesis
        assert node.has_data and not node.is_complete
    assert tree.add_data(nodes[0], 1) == nodes
    assert tree.best() is nodes[3]


def test_blocks_that_waited_come_after_all_that_were_complete_before(tree: BlockTree) -> None:
    """Their data came first; but a tip isn't given up for what is as good at most."""
    a = grown(tree, headers_on(GENESIS, 2), data=False)
    tree.add_data(a[1], 1)
    b = grown(tree, headers_on(GENESIS, 2, nonce=1))
    tree.add_data(a[0], 1)
    assert tree.best() is b[1]


def test_of_blocks_that_get_complete_at_once_the_one_that_came_first_goes_before(
    tree: BlockTree,
) -> None:
    (root,) = grown(tree, headers_on(GENESIS, 1), data=False)
    a = grown(tree, headers_on(root.header, 2, nonce=1), data=False)
    b = grown(tree, headers_on(root.header, 2, nonce=2), data=False)
    for node in (b[1], a[1], a[0], b[0], root):
        tree.add_data(node, 1)
    assert tree.best() is b[1]
    sequences = [node.sequence for node in tree.nodes.values()]
    assert len(set(sequences)) == len(sequences)


def test_candidates_that_the_tip_goes_before_are_forgotten_and_found_again(
    tree: BlockTree,
) -> None:
    a = grown(tree, headers_on(GENESIS, 2))
    b = grown(tree, headers_on(GENESIS, 2, nonce=1))
    tree.forget_worse_than(a[1])
    assert list(tree.candidates) == [a[1]]
    tree.reconsider_all()
    assert list(tree.candidates) == [a[1], b[1]]


def test_the_tip_stays_a_candidate_when_better_ones_are_kept(tree: BlockTree) -> None:
    a = grown(tree, headers_on(GENESIS, 3))
    tree.forget_worse_than(a[1])
    assert set(tree.candidates) == {a[1], a[2]}


# Failures.


def test_what_builds_on_a_failed_block_has_failed_and_its_parent_may_end_the_chain(
    tree: BlockTree,
) -> None:
    a = grown(tree, headers_on(GENESIS, 4))
    tree.fail(a[2], "bad-cb-amount")
    assert [node.is_failed for node in a] == [False, False, True, True]
    assert [node.failure for node in a] == [None, None, "bad-cb-amount", None]
    assert tree.best() is a[1]


def test_a_header_on_a_failed_branch_fails_with_it(tree: BlockTree) -> None:
    headers = headers_on(GENESIS, 3)
    first, second = grown(tree, headers[:2])
    tree.fail(first, "bad-cb-amount")
    assert tree.add(headers[2], second).is_failed


def test_reconsidering_clears_what_is_below_and_above_and_frees_what_only_hung_on_it(
    tree: BlockTree,
) -> None:
    """
    a1 - a2 - a3 - a4      a1, a3 and b2 fail; a2 is reconsidered
     `- b2 - b3
     `- c2
    """
    a = grown(tree, headers_on(GENESIS, 4))
    b = grown(tree, headers_on(a[0].header, 2, nonce=1))
    c = grown(tree, headers_on(a[0].header, 1, nonce=2))
    for node in (a[0], a[2], b[0]):
        tree.fail(node, "bad-cb-amount")
    assert tree.best() is tree.genesis
    assert set(tree.unfail(a[1])) == {a[0], a[2]}
    assert [node.is_failed for node in (*a, *c)] == [False] * 5
    assert [node.is_failed for node in b] == [True, True]
    assert b[0].failure == "bad-cb-amount"
    assert set(tree.candidates) == {a[3], c[0]}


def test_reconsidering_a_good_block_clears_what_builds_on_it(tree: BlockTree) -> None:
    a = grown(tree, headers_on(GENESIS, 3))
    tree.fail(a[2], "bad-cb-amount")
    assert tree.unfail(a[0]) == [a[2]]
    assert tree.best() is a[2]


# Precious blocks.


def test_the_last_one_called_precious_goes_before_its_equals(tree: BlockTree) -> None:
    a, b, c = (grown(tree, headers_on(GENESIS, 2, nonce=nonce))[-1] for nonce in range(3))
    for node in (b, c, a, b):
        assert tree.make_precious(node, tree.genesis)
        assert tree.best() is node


def test_a_block_of_less_work_or_with_gaps_below_it_is_never_precious(tree: BlockTree) -> None:
    a = grown(tree, headers_on(GENESIS, 3))
    b = grown(tree, headers_on(GENESIS, 3, nonce=1), data=False)
    tree.add_data(b[-1], 1)
    assert not tree.make_precious(a[1], a[2])
    assert not tree.make_precious(b[-1], a[2])
    for node in b[:-1]:
        tree.add_data(node, 1)
    assert tree.best() is a[2]


# Records.


@given(st.integers(0, 1 << 30))
def test_a_tree_that_is_restored_is_the_same_tree(seed: int) -> None:
    chance = Stream(seed, "a tree")
    tree = BlockTree(GENESIS)
    tree.add_data(tree.genesis, 1)
    nodes = [tree.genesis]
    for nonce in range(20):
        parent = nodes[chance.below(len(nodes))]
        (header,) = headers_on(parent.header, 1, nonce)
        node = tree.add(header, parent)
        nodes.append(node)
        event = chance.below(8)
        if event < 6 and not node.is_failed:
            tree.add_data(node, 1 + chance.below(3))
        if event == 5:
            tree.fail(node, "bad-cb-amount")
        if event == 4:
            node.validity = Validity.SCRIPTS
        if event == 3:
            tree.make_precious(node, nodes[chance.below(len(nodes))])
    again = BlockTree(GENESIS)
    again.restore([node.record() for node in nodes])

    def told(tree: BlockTree) -> list[object]:
        return [
            (node.record(), node.is_complete, node.is_failed, node.chainwork)
            for node in tree.nodes.values()
        ]

    assert told(again) == told(tree)
    assert [leaf.hash for leaf in again.leaves] == [leaf.hash for leaf in tree.leaves]
    tree.reconsider_all()
    assert [node.hash for node in again.candidates] == [node.hash for node in tree.candidates]
    for one in (tree, again):  # and what comes now comes after all of them
        (node,) = grown(one, headers_on(GENESIS, 1, nonce=99))
        assert all(node.sequence > other.sequence for other in one.nodes.values() if other != node)


def test_a_record_that_builds_on_none_is_refused() -> None:
    tree, other = BlockTree(GENESIS), BlockTree(GENESIS)
    nodes = grown(other, headers_on(GENESIS, 2))
    with pytest.raises(KeyError):
        tree.restore([other.genesis.record(), nodes[1].record()])


def test_a_node_shows_its_height_and_hash(tree: BlockTree) -> None:
    assert repr(tree.genesis).startswith("<BlockNode 0 0f9188f13cb7b2c71f2a335e3a4fc328bf5beb43")
