"""Whom we ask for headers, and how long a peer may lag behind."""

import pytest
from tests.support.blocktree import Blocks

from drystone.core.time import SECOND_NS
from drystone.p2p.download import Overdue
from drystone.p2p.headers import AskFrom, ChainSync, HeadersSync
from drystone.primitives.hashes import BlockHash, display

S = SECOND_NS
MINUTE = 60 * S


def starts(
    one: HeadersSync,
    peer: int,
    now_ns: int = 0,
    *,
    is_recent: bool = False,
    is_idle: bool = False,
    behind: int = 0,
) -> bool:
    return one.starts(peer, now_ns, is_recent=is_recent, is_idle=is_idle, behind=behind)


def sync(*preferred: int, others: tuple[int, ...] = ()) -> HeadersSync:
    one = HeadersSync()
    for peer in preferred:
        one.connected(peer, is_preferred=True)
    for peer in others:
        one.connected(peer, is_preferred=False)
    return one


def test_one_question_at_a_time_for_two_minutes() -> None:
    one = sync(1)
    assert one.ask(1, 0)
    assert not one.ask(1, 120 * S)
    assert one.ask(1, 120 * S + 1)
    one.answered(1)
    assert one.ask(1, 120 * S + 2)
    assert not one.ask(2, 0)  # who has no blocks is not asked
    one.answered(2)


def test_a_pong_tells_that_a_question_before_the_ping_will_not_be_answered() -> None:
    one = sync(1)
    assert not one.doubts(1) and not one.ponged(1)
    one.ask(1, 0)
    assert not one.ponged(1)  # of an older ping
    assert one.doubts(1) and not one.doubts(1)
    assert one.ponged(1) and not one.ponged(1)
    assert one.ask(1, 0)


def test_a_pong_tells_nothing_of_a_question_after_the_ping() -> None:
    one = sync(1)
    one.ask(1, 0)
    assert one.doubts(1)
    one.answered(1)
    one.ask(1, 0)
    assert not one.ponged(1)
    assert not one.ask(1, 0)


def test_far_behind_one_peer_is_asked_and_one_that_we_chose() -> None:
    one = sync(1, 2, others=(3,))
    assert not starts(one, 3, 0)
    assert starts(one, 1, 0)
    assert not starts(one, 1, 0) and not starts(one, 2, 0)
    one.disconnected(1)
    assert starts(one, 2, 0)


def test_others_are_asked_if_we_chose_none_or_nothing_comes() -> None:
    assert starts(sync(others=(3,)), 3)
    assert starts(sync(1, others=(3,)), 3, is_idle=True)


def test_near_the_tip_everybody_is_asked() -> None:
    one = sync(1, 2, others=(3,))
    assert [starts(one, peer, is_recent=True) for peer in (1, 2, 3)] == [True] * 3


def test_all_headers_take_a_quarter_of_an_hour_and_a_millisecond_each() -> None:
    one = sync(1, 2)
    starts(one, 1, behind=60_000)
    assert one.due_at() == 16 * MINUTE
    assert one.overdue(16 * MINUTE - 1, is_recent=False) == []
    assert one.overdue(16 * MINUTE, is_recent=False) == [Overdue(1, "Timeout downloading headers")]


def test_the_only_peer_may_take_its_time() -> None:
    one = sync(1, others=(2,))
    starts(one, 1, 0)
    assert one.overdue(60 * MINUTE, is_recent=False) == []
    assert one.due_at() is None  # or there would be no end of waking for nothing


def test_who_may_stay_makes_way_without_leaving() -> None:
    one = sync(2)
    one.connected(1, is_preferred=True, may_stay=True)
    starts(one, 1, 0)
    assert one.overdue(15 * MINUTE, is_recent=False) == []
    assert starts(one, 2, 15 * MINUTE)


def test_who_has_brought_us_near_the_tip_is_late_no_more() -> None:
    one = sync(1, 2)
    starts(one, 1, 0)
    assert one.overdue(MINUTE, is_recent=True) == []
    assert one.due_at() is None and one.overdue(60 * MINUTE, is_recent=False) == []


def test_each_new_block_brings_in_one_more_peer_while_another_gives_us_its_headers() -> None:
    first, second = BlockHash(b"1" * 32), BlockHash(b"2" * 32)
    one = sync(1, 2, 3)
    starts(one, 1, 0)
    assert one.follows(1, first)
    assert one.follows(2, first) and not one.follows(3, first)
    assert not one.follows(2, second) and one.follows(3, second)
    assert not one.follows(9, second)


# Lagging behind.


def chain_of(count: int) -> Blocks:
    blocks = Blocks()
    for node in blocks.headers(count):
        blocks.come(node)
    return blocks


def test_who_lags_behind_is_asked_once_and_then_left() -> None:
    blocks = chain_of(10)
    one = ChainSync()
    one.connected(1, is_full_relay=False)
    behind = blocks.at(5)
    assert one.consider(1, behind, blocks.tip, 0) is None
    assert one.due_at() == 20 * MINUTE
    assert one.consider(1, behind, blocks.tip, 20 * MINUTE - 1) is None
    assert one.consider(1, behind, blocks.tip, 20 * MINUTE) == AskFrom(blocks.at(9))
    assert one.consider(1, behind, blocks.tip, 22 * MINUTE - 1) is None
    late = one.consider(1, behind, blocks.tip, 22 * MINUTE)
    shown = display(behind.hash)
    assert late == Overdue(1, f"Outbound peer has old chain, best known block = {shown}")


def test_who_has_told_of_no_block_lags_behind() -> None:
    blocks = chain_of(1)
    one = ChainSync()
    one.connected(1, is_full_relay=True)
    for time in (0, 20 * MINUTE):
        one.consider(1, None, blocks.tip, time)
    late = one.consider(1, None, blocks.tip, 22 * MINUTE)
    assert isinstance(late, Overdue) and late.reason.endswith("= <none>")


def test_who_catches_up_has_no_deadline() -> None:
    blocks = chain_of(10)
    one = ChainSync()
    one.connected(1, is_full_relay=False)
    one.consider(1, blocks.at(5), blocks.tip, 0)
    assert one.consider(1, blocks.tip, blocks.tip, 10 * MINUTE) is None
    assert one.due_at() is None


def test_who_reaches_what_was_our_tip_gets_time_for_the_new_one() -> None:
    blocks = chain_of(10)
    one = ChainSync()
    one.connected(1, is_full_relay=False)
    one.consider(1, blocks.at(5), blocks.at(8), 0)
    assert one.consider(1, blocks.at(8), blocks.tip, 19 * MINUTE) is None
    assert one.due_at() == 39 * MINUTE


@pytest.mark.parametrize("is_full_relay", [True, False])
def test_four_who_kept_up_once_are_protected(*, is_full_relay: bool) -> None:
    blocks = chain_of(10)
    one = ChainSync()
    for peer in range(6):
        one.connected(peer, is_full_relay=is_full_relay)
        one.has_headers(peer, blocks.at(3), blocks.tip)
        assert not one.is_protected(peer)
        one.has_headers(peer, blocks.tip, blocks.tip)
    assert sum(map(one.is_protected, range(6))) == (4 if is_full_relay else 0)
    if is_full_relay:
        assert one.consider(0, blocks.at(1), blocks.tip, 0) is None and one.due_at() is None
        one.disconnected(0)
        one.has_headers(5, blocks.tip, blocks.tip)
        assert one.is_protected(5)


def test_others_are_not_considered() -> None:
    blocks = chain_of(2)
    one = ChainSync()
    assert one.consider(7, None, blocks.tip, 0) is None and not one.is_protected(7)
    one.has_headers(7, blocks.tip, blocks.tip)
    one.disconnected(7)
