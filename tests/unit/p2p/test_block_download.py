"""Which blocks are asked of whom: a window over several peers, and patience that ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.blocktree import Blocks

from drystone.chain.tree import BlockNode
from drystone.core.time import SECOND_NS
from drystone.p2p.download import (
    BLOCK_DOWNLOAD_WINDOW,
    MAX_BLOCKS_IN_TRANSIT_PER_PEER,
    BlockDownload,
    Overdue,
)
from drystone.primitives.hashes import BlockHash, display

S = SECOND_NS
SPACING_NS = 600 * S


@pytest.fixture
def blocks() -> Blocks:
    return Blocks()


def download(blocks: Blocks, *peers: int, **more: int) -> BlockDownload:
    one = BlockDownload(blocks.tree, spacing_ns=SPACING_NS, **more)
    for peer in peers:
        one.connected(peer)
    return one


def heights(nodes: list[BlockNode]) -> list[int]:
    return [node.height for node in nodes]


def test_a_peer_is_asked_for_sixteen_blocks_and_for_one_more_as_each_comes(blocks: Blocks) -> None:
    branch = blocks.headers(100)
    one = download(blocks, 1)
    assert one.next_blocks(1, blocks, 0) == []  # we know of nothing that it has
    one.announced(1, branch[-1].hash)
    assert heights(one.next_blocks(1, blocks, 0)) == list(range(1, 17))
    assert one.next_blocks(1, blocks, 0) == [] and len(one) == 16
    blocks.come(branch[0])
    one.received(branch[0].hash, 1, peer=1)
    assert heights(one.next_blocks(1, blocks, 1)) == [17]
    assert one.last_common(1) is branch[0]
    assert [node.height for node in one.in_flight(1)] == list(range(2, 18))


def test_several_peers_share_the_window(blocks: Blocks) -> None:
    branch = blocks.headers(100)
    one = download(blocks, 1, 2, 3)
    for peer in (1, 2, 3):
        one.announced(peer, branch[-1].hash)
    asked = [heights(one.next_blocks(peer, blocks, 0)) for peer in (1, 2, 3)]
    assert asked == [list(range(1, 17)), list(range(17, 33)), list(range(33, 49))]
    assert one.asked(branch[20].hash) == (2,)
    one.disconnected(2)
    one.received(branch[0].hash, 0, peer=1)
    blocks.come(branch[0])
    assert heights(one.next_blocks(1, blocks, 0)) == [17]


def test_a_peer_with_less_work_than_we_have_is_asked_for_nothing(blocks: Blocks) -> None:
    for node in blocks.headers(5):
        blocks.come(node)
    fork = blocks.headers(4, nonce=1)
    one = download(blocks, 1)
    one.announced(1, fork[-1].hash)
    assert one.next_blocks(1, blocks, 0) == []
    longer = blocks.headers(2, on=fork[-1], nonce=1)
    one.announced(1, longer[-1].hash)
    assert heights(one.next_blocks(1, blocks, 0)) == [1, 2, 3, 4, 5, 6]


def test_a_chain_of_less_work_than_the_least_is_not_downloaded(blocks: Blocks) -> None:
    branch = blocks.headers(10)
    one = download(blocks, 1, minimum_chainwork=branch[5].chainwork)
    one.announced(1, branch[4].hash)
    assert one.next_blocks(1, blocks, 0) == []
    one.announced(1, branch[5].hash)
    assert heights(one.next_blocks(1, blocks, 0)) == [1, 2, 3, 4, 5, 6]


def test_a_block_announced_before_its_header_counts_once_the_header_is_known(
    blocks: Blocks,
) -> None:
    elsewhere = Blocks().headers(3)
    one = download(blocks, 1)
    one.announced(1, elsewhere[-1].hash)
    assert one.best_known(1) is None
    branch = blocks.headers(3)
    assert one.best_known(1) is branch[-1]
    one.announced(1, branch[0].hash)  # less work: it still has the better one
    assert one.best_known(1) is branch[-1]
    assert heights(one.next_blocks(1, blocks, 0)) == [1, 2, 3]


def test_a_peer_that_changes_its_branch_is_asked_for_the_other(blocks: Blocks) -> None:
    common = blocks.headers(3)
    first, second = (blocks.headers(3, on=common[-1], nonce=nonce) for nonce in (1, 2))
    one = download(blocks, 1)
    one.announced(1, first[-1].hash)
    for node in one.next_blocks(1, blocks, 0):
        blocks.come(node)
        one.received(node.hash, 0, peer=1)
    one.announced(1, blocks.headers(1, on=second[-1])[-1].hash)
    assert heights(one.next_blocks(1, blocks, 0)) == [4, 5, 6, 7]
    assert one.last_common(1) is common[-1]


def test_nothing_is_asked_for_above_a_block_that_failed(blocks: Blocks) -> None:
    branch = blocks.headers(10)
    one = download(blocks, 1)
    one.announced(1, branch[-1].hash)
    blocks.tree.fail(branch[4], "bad")
    assert heights(one.next_blocks(1, blocks, 0)) == [1, 2, 3, 4]


def test_blocks_with_witnesses_are_asked_of_those_who_send_them(blocks: Blocks) -> None:
    branch = blocks.headers(10)
    one = download(blocks, segwit_height=5)
    one.connected(1, has_witnesses=False)
    one.announced(1, branch[-1].hash)
    assert heights(one.next_blocks(1, blocks, 0)) == [1, 2, 3, 4]


def test_a_limited_peer_is_asked_for_the_last_blocks_only(blocks: Blocks) -> None:
    branch = blocks.headers(300)
    one = download(blocks)
    one.connected(1, is_limited=True)
    one.announced(1, branch[-1].hash)
    assert heights(one.next_blocks(1, blocks, 0)) == list(range(15, 31))


def test_what_is_here_out_of_order_is_passed_over(blocks: Blocks) -> None:
    branch = blocks.headers(300)
    for node in branch[2:200]:
        blocks.come(node)
    one = download(blocks, 1)
    one.announced(1, branch[-1].hash)
    assert heights(one.next_blocks(1, blocks, 0)) == [1, 2, *range(201, 215)]
    assert one.last_common(1) is blocks.tree.genesis


# Stalling.


def window_held_up_by(blocks: Blocks) -> tuple[BlockDownload, list[BlockNode]]:
    """Peer 1 owes the first block, all others of the window are here, peer 2 has nothing to do."""
    branch = blocks.headers(BLOCK_DOWNLOAD_WINDOW + 50)
    one = download(blocks, 1, 2)
    one.announced(1, branch[0].hash)
    one.announced(2, branch[-1].hash)
    assert heights(one.next_blocks(1, blocks, 0)) == [1]
    for node in branch[1:BLOCK_DOWNLOAD_WINDOW]:
        blocks.come(node)
    return one, branch


def test_who_holds_up_the_window_has_two_seconds(blocks: Blocks) -> None:
    one, _ = window_held_up_by(blocks)
    assert one.next_blocks(2, blocks, 10 * S) == []
    assert one.next_blocks(2, blocks, 11 * S) == []  # the clock runs from the first time
    assert one.due_at() == 12 * S
    assert one.overdue(12 * S - 1) == []
    assert one.overdue(12 * S) == [Overdue(1, "Peer is stalling block download")]
    one.disconnected(1)
    assert heights(one.next_blocks(2, blocks, 12 * S)) == [1]


def test_whoever_delivers_does_not_stall(blocks: Blocks) -> None:
    one, branch = window_held_up_by(blocks)
    one.next_blocks(2, blocks, 10 * S)
    one.received(branch[0].hash, 11 * S, peer=1)
    blocks.come(branch[0])
    assert one.overdue(12 * S) == []
    assert one.next_blocks(2, blocks, 12 * S)[0].height == BLOCK_DOWNLOAD_WINDOW + 1


def test_a_peer_with_something_to_do_makes_nobody_stall(blocks: Blocks) -> None:
    branch = blocks.headers(BLOCK_DOWNLOAD_WINDOW + 50)
    one = download(blocks, 1, 2)
    one.announced(1, branch[0].hash)
    one.announced(2, branch[-1].hash)
    one.next_blocks(1, blocks, 0)
    assert len(one.next_blocks(2, blocks, 0)) == 16
    for node in branch[17:BLOCK_DOWNLOAD_WINDOW]:
        blocks.come(node)
    one.received(branch[1].hash, 0, peer=2)
    blocks.come(branch[1])
    assert one.next_blocks(2, blocks, 0) == [] and one.overdue(500 * S) == []


def test_the_next_one_has_twice_the_time_and_patience_shrinks_as_blocks_come(
    blocks: Blocks,
) -> None:
    one, _ = window_held_up_by(blocks)
    seen = []
    now = 0
    for _ in range(7):
        one.next_blocks(2, blocks, now)
        due = one.due_at()
        assert due is not None
        seen.append((due - now) // S)
        assert one.overdue(due) == [Overdue(1, "Peer is stalling block download")]
        now = due
    assert seen == [2, 4, 8, 16, 32, 64, 64]
    for _ in range(30):
        one.block_connected()
    assert one.stalling_timeout_ns == 2 * S


# Time for one block.


def test_a_block_has_the_spacing_and_half_of_it_for_each_other_peer(blocks: Blocks) -> None:
    branch = blocks.headers(100)
    one = download(blocks, 1, 2, 3)
    for peer in (1, 2, 3):
        one.announced(peer, branch[-1].hash)
    one.next_blocks(1, blocks, 0)
    assert one.due_at() == 600 * S
    one.next_blocks(2, blocks, 5 * S)
    one.next_blocks(3, blocks, 5 * S)
    assert one.due_at() == 1200 * S
    assert one.overdue(1200 * S - 1) == []
    assert one.overdue(1200 * S) == [
        Overdue(1, f"Timeout downloading block {display(branch[0].hash)}")
    ]


def test_each_block_that_comes_starts_the_time_anew(blocks: Blocks) -> None:
    branch = blocks.headers(100)
    one = download(blocks, 1)
    one.announced(1, branch[-1].hash)
    one.next_blocks(1, blocks, 0)
    one.received(branch[5].hash, 100 * S, peer=1)  # not the first: the first is late all the same
    assert one.due_at() == 600 * S
    one.received(branch[0].hash, 100 * S, peer=1)
    assert one.due_at() == 700 * S
    for node in one.in_flight(1):
        one.received(node.hash, 100 * S)
    assert one.due_at() is None and len(one) == 0


# Near the tip.


def test_new_headers_are_followed_at_once(blocks: Blocks) -> None:
    for node in blocks.headers(10):
        blocks.come(node)
    fork = blocks.headers(5, on=blocks.at(7), nonce=1)
    one = download(blocks, 1, 2)
    assert heights(one.direct_blocks(1, fork[-1], blocks, 0)) == [8, 9, 10, 11, 12]
    assert one.direct_blocks(2, fork[-1], blocks, 0) == []  # they are on their way
    assert one.direct_blocks(2, fork[1], blocks, 0) == []  # less work than we have


def test_headers_that_reach_far_back_are_in_no_hurry(blocks: Blocks) -> None:
    branch = blocks.headers(18)
    one = download(blocks, 1)
    assert one.direct_blocks(1, branch[-1], blocks, 0) == []
    assert heights(one.direct_blocks(1, branch[15], blocks, 0)) == list(range(1, 17))


def test_one_block_may_be_asked_of_several_peers(blocks: Blocks) -> None:
    (node,) = blocks.headers(1)
    one = download(blocks, 1, 2)
    assert one.requested(1, node, 0) and not one.requested(1, node, 0)
    assert one.requested(2, node, 0)
    assert one.asked(node.hash) == (1, 2)
    one.received(node.hash, 0, peer=2)
    assert one.asked(node.hash) == (1,)
    one.received(node.hash, 0)
    one.received(node.hash, 0)
    assert one.asked(node.hash) == () and len(one) == 0


# Whatever happens.


@given(
    st.lists(
        st.tuples(st.sampled_from("acdtx"), st.integers(1, 4), st.integers(0, 59)), max_size=80
    )
)
def test_the_books_agree_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    blocks = Blocks()
    branch = [*blocks.headers(40), *blocks.headers(20, on=blocks.tree.genesis, nonce=1)]
    one = download(blocks, 1, 2, 3, 4)
    now = 0
    for what, peer, n in steps:
        if what == "a":
            one.announced(peer, branch[n].hash)
        elif what == "c":
            blocks.come(branch[n])
            one.received(branch[n].hash, now)
        elif what == "d":
            one.disconnected(peer)
            one.connected(peer)
        elif what == "t":
            now += n * S
            for late in one.overdue(now):
                one.disconnected(late.peer)
                one.connected(late.peer)
        one.next_blocks(peer, blocks, now)
        by_block: dict[BlockHash, int] = {}
        for source in one._sources.values():
            assert len(source.in_flight) <= MAX_BLOCKS_IN_TRANSIT_PER_PEER
            for block_hash, node in source.in_flight.items():
                by_block[block_hash] = by_block.get(block_hash, 0) + 1
                assert not node.has_data
        assert by_block == dict.fromkeys(one._asked, 1)
    for peer in (1, 2, 3, 4):
        one.disconnected(peer)
    assert not one._asked and one.due_at() is None


def test_all_blocks_come_in_the_end_whoever_leaves(blocks: Blocks) -> None:
    branch = blocks.headers(3000)
    one = download(blocks, 1, 2, 3)
    for peer in (1, 2, 3):
        one.announced(peer, branch[-1].hash)
    rounds = 0
    while blocks.tip is not branch[-1]:
        rounds += 1
        for peer in (1, 2, 3):
            asked = one.next_blocks(peer, blocks, rounds * S)
            if peer == 3 and rounds % 10 == 0:  # it takes what it was asked for with it
                one.disconnected(3)
                one.connected(3)
                one.announced(3, branch[-1].hash)
                continue
            for node in asked[:: -1 if rounds % 2 else 1]:
                blocks.come(node)
                one.received(node.hash, rounds * S, peer)
        assert rounds < 200
    assert len(one) == 0
