"""Who is asked for which transaction, when, and who is asked after that."""

from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.time import SECOND_NS
from drystone.p2p.requests import (
    GETDATA_TX_INTERVAL_NS,
    MAX_PEER_TX_ANNOUNCEMENTS,
    MAX_PEER_TX_REQUEST_IN_FLIGHT,
    GenTxid,
    TxRequests,
    _State,
)

FRIEND, OTHER_FRIEND, STRANGER, OLD = 1, 2, 3, 4
S = SECOND_NS


def tx(n: int, *, is_wtxid: bool = True) -> GenTxid:
    return GenTxid(sha256(n.to_bytes(4, "little")).digest(), is_wtxid)


@pytest.fixture
def requests() -> TxRequests:
    one = TxRequests(b"key")
    one.connected(FRIEND, is_preferred=True, wtxid_relay=True)
    one.connected(OTHER_FRIEND, is_preferred=True, wtxid_relay=True)
    one.connected(STRANGER, is_preferred=False, wtxid_relay=True)
    one.connected(OLD, is_preferred=True, wtxid_relay=False)
    return one


def test_a_peer_of_our_choice_is_asked_at_once_in_the_order_it_announced(
    requests: TxRequests,
) -> None:
    for n in range(5):
        requests.announced(FRIEND, tx(n), now_ns=7)
    assert requests.due_at() == 7
    assert requests.due(7) == {FRIEND: [tx(n) for n in range(5)]}
    assert requests.due(8) == {} and requests.in_flight(FRIEND) == 5
    assert requests.due_at() == 7 + GETDATA_TX_INTERVAL_NS


def test_others_wait_two_seconds_for_each_thing_against_them(requests: TxRequests) -> None:
    requests.announced(STRANGER, tx(1), now_ns=0)
    requests.announced(OLD, tx(2, is_wtxid=False), now_ns=0)
    requests.announced(STRANGER, tx(3, is_wtxid=False), now_ns=0)
    assert requests.due(2 * S - 1) == {}
    assert requests.due(2 * S) == {STRANGER: [tx(1)], OLD: [tx(2, is_wtxid=False)]}
    assert requests.due(4 * S - 1) == {}
    assert requests.due(4 * S) == {STRANGER: [tx(3, is_wtxid=False)]}


def test_txids_do_not_wait_where_nobody_announces_by_wtxid() -> None:
    requests = TxRequests(b"key")
    requests.connected(OLD, is_preferred=True, wtxid_relay=False)
    requests.announced(OLD, tx(1, is_wtxid=False), now_ns=0)
    assert requests.due(0) == {OLD: [tx(1, is_wtxid=False)]}


def test_who_owes_us_a_hundred_waits_longer(requests: TxRequests) -> None:
    for n in range(MAX_PEER_TX_REQUEST_IN_FLIGHT):
        requests.announced(FRIEND, tx(n), now_ns=0)
    requests.due(0)
    requests.announced(FRIEND, tx(1000), now_ns=0)
    assert requests.due(2 * S - 1) == {}
    assert requests.due(2 * S) == {FRIEND: [tx(1000)]}
    requests.connected(9, is_preferred=True, wtxid_relay=True, may_flood=True)
    for n in range(2000, 2150):
        requests.announced(9, tx(n), now_ns=2 * S)
        requests.due(2 * S)
    assert requests.in_flight(9) == 150


def test_one_peer_remembers_five_thousand(requests: TxRequests) -> None:
    for n in range(MAX_PEER_TX_ANNOUNCEMENTS + 100):
        requests.announced(STRANGER, tx(n), now_ns=0)
    assert requests.count(STRANGER) == len(requests) == MAX_PEER_TX_ANNOUNCEMENTS


def test_the_friend_is_asked_before_the_stranger_who_came_first(requests: TxRequests) -> None:
    requests.announced(STRANGER, tx(1), now_ns=0)
    requests.announced(FRIEND, tx(1), now_ns=S)
    assert requests.due(3 * S) == {FRIEND: [tx(1)]}


def test_who_does_not_answer_within_a_minute_is_not_waited_for(requests: TxRequests) -> None:
    requests.announced(FRIEND, tx(1), now_ns=0)
    requests.announced(STRANGER, tx(1), now_ns=0)
    assert requests.due(0) == {FRIEND: [tx(1)]}
    assert requests.due(60 * S - 1) == {}
    assert requests.due(60 * S) == {STRANGER: [tx(1)]}
    assert requests.in_flight(FRIEND) == 0
    requests.announced(FRIEND, tx(1), now_ns=61 * S)  # once is enough
    assert requests.due(120 * S) == {}
    assert len(requests) == 0  # nobody has it: forgotten, so that it may be announced anew
    requests.announced(FRIEND, tx(1), now_ns=121 * S)
    assert requests.due(121 * S) == {FRIEND: [tx(1)]}


def test_who_has_it_not_makes_way_at_once(requests: TxRequests) -> None:
    requests.announced(FRIEND, tx(1), now_ns=0)
    requests.announced(OTHER_FRIEND, tx(1), now_ns=0)
    ((first, _),) = requests.due(0).items()
    requests.answered(first, tx(1).hash)
    assert requests.due_at() == 0
    assert requests.due(1) == {FRIEND + OTHER_FRIEND - first: [tx(1)]}


def test_who_leaves_makes_way_at_once(requests: TxRequests) -> None:
    requests.announced(FRIEND, tx(1), now_ns=0)
    requests.announced(FRIEND, tx(2), now_ns=0)
    requests.due(0)
    requests.announced(STRANGER, tx(1), now_ns=0)
    requests.disconnected(FRIEND)
    requests.disconnected(FRIEND)
    assert requests.due(2 * S) == {STRANGER: [tx(1)]}
    assert len(requests) == 1
    requests.announced(FRIEND, tx(3), now_ns=0)  # it is gone
    assert len(requests) == 1 and requests.count(FRIEND) == requests.in_flight(FRIEND) == 0


def test_what_is_here_is_asked_for_no_more(requests: TxRequests) -> None:
    for peer in (FRIEND, OTHER_FRIEND, STRANGER):
        requests.announced(peer, tx(1), now_ns=0)
    requests.due(0)
    requests.forget(tx(1).hash)
    requests.forget(tx(1).hash)
    assert len(requests) == 0 and requests.in_flight(FRIEND) == 0
    assert requests.due(1000 * S) == {} and requests.due_at() is None
    requests.announced(FRIEND, tx(2), now_ns=0)
    assert requests.due(0, is_known=lambda name: name == tx(2)) == {}
    assert len(requests) == 0


def test_nobody_knows_whom_of_two_we_ask(requests: TxRequests) -> None:
    for n in range(200):
        requests.announced(FRIEND, tx(n), now_ns=0)
        requests.announced(OTHER_FRIEND, tx(n), now_ns=0)
    asked = {peer: len(names) for peer, names in requests.due(0).items()}
    assert sum(asked.values()) == 200 and min(asked.values()) > 60


def test_a_flood_that_is_answered_takes_no_memory(requests: TxRequests) -> None:
    for n in range(20_000):
        requests.announced(FRIEND, tx(n), now_ns=n)
        requests.due(n)
        requests.forget(tx(n).hash)
    assert len(requests) == 0 and len(requests._heap) <= 1001


# Whatever happens.

steps = st.lists(
    st.one_of(
        st.tuples(st.just("announced"), st.integers(1, 5), st.integers(0, 4)),
        st.tuples(st.just("answered"), st.integers(1, 5), st.integers(0, 4)),
        st.tuples(st.just("forget"), st.integers(1, 5), st.integers(0, 4)),
        st.tuples(st.just("disconnected"), st.integers(1, 5), st.just(0)),
        st.tuples(st.just("connected"), st.integers(1, 5), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(0, 70), st.just(0)),
    ),
    max_size=60,
)


def check(one: TxRequests, now_ns: int) -> None:
    """What the reference client's SanityCheck asks."""
    in_flight: Counter[int] = Counter()
    waiting = 0
    for of_hash in one._announcements.values():
        states = Counter(announcement.state for announcement in of_hash.values())
        assert states[_State.BEST] + states[_State.REQUESTED] <= 1
        assert sum(states.values()) > states[_State.COMPLETED], "it should be forgotten"
        if states[_State.CANDIDATE]:
            assert states[_State.BEST] + states[_State.REQUESTED] == 1
        candidates = [a for a in of_hash.values() if a.state in (_State.CANDIDATE, _State.BEST)]
        for announcement in of_hash.values():
            if announcement.state is _State.BEST:
                assert announcement is max(candidates, key=one._priority)
            in_flight[announcement.peer] += announcement.state is _State.REQUESTED
            waits = announcement.state in (_State.REQUESTED, _State.DELAYED)
            waiting += waits
            assert not waits or announcement.time_ns > now_ns
    assert waiting == one._waiting
    for number, peer in one._peers.items():
        assert peer.in_flight == in_flight[number]
        assert peer.announced.keys() == {h for h, of in one._announcements.items() if number in of}
    assert one._best == sum(len(peer.best) for peer in one._peers.values())


@given(steps)
def test_the_books_agree_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    one = TxRequests(b"key")
    connected: set[int] = set()
    now = 0
    for what, first, second in steps:
        if what == "announced":
            one.announced(first, tx(second), now_ns=now)
        elif what == "answered":
            one.answered(first, tx(second).hash)
        elif what == "forget":
            one.forget(tx(second).hash)
        elif what == "disconnected":
            one.disconnected(first)
            connected.discard(first)
        elif what == "connected" and first not in connected:
            one.connected(first, is_preferred=second % 2 > 0, wtxid_relay=second > 1)
            connected.add(first)
        elif what == "wait":
            now += first * S
        due = one.due(now)
        assert one.due(now) == {}
        check(one, now)
        assert set(due) <= connected
    for peer in connected:
        one.disconnected(peer)
    assert len(one) == 0 and not one._peers and one._waiting == 0 == one._wtxid_peers
