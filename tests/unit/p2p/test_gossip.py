"""Which addresses are believed, who hears of them, and how fast."""

from collections import Counter

import pytest
from tests.support.peers import START, after

from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS, Time
from drystone.p2p.gossip import (
    AVG_ADDRESS_BROADCAST_INTERVAL_NS,
    KNOWN_ADDRESSES,
    AddressGossip,
)
from drystone.p2p.messages import PeerAddress
from drystone.p2p.netaddress import NetAddress, Network

S = SECOND_NS
DAY = 24 * 3600
NOW_S = START.unix_s
OWN = PeerAddress(NOW_S, 9, NetAddress.from_text("9.8.7.6:8333"))


def node(n: int, time: int = NOW_S, services: int = 9) -> PeerAddress:
    address = NetAddress(Network.IPV4, (0x14000000 + n).to_bytes(4), 8333)
    return PeerAddress(time, services, address)


def gossip(peers: int, *, key: bytes = b"key", tell_self: bool = False) -> AddressGossip:
    one = AddressGossip(key, Stream(1), draw=lambda mean_ns: mean_ns)
    for peer in range(peers):
        one.connected(peer, fits_v2=True, now=START, tell_self=tell_self)
    return one


def test_a_new_node_is_passed_on_to_two_others() -> None:
    one = gossip(10)
    assert one.heard(0, [node(1)], START) == ([node(1)], 0)
    sent = one.due(START)
    assert len(sent) == 2 and 0 not in sent
    assert all(told == [node(1)] for told in sent.values())
    assert one.due(after(100)) == {}


def test_it_is_the_same_two_for_a_day_whoever_tells_us() -> None:
    seen = []
    for source in (0, 1, 2, 3):
        one = gossip(20)
        for days in (0, 0.01):
            now = after(days * DAY)
            one._listeners[source].token_ns = 10**15
            one.heard(source, [node(1, now.unix_s)], now)
        seen.append(set(one.due(after(DAY))))
    assert len(Counter(peer for pair in seen for peer in pair)) <= 4
    assert set(gossip_of(b"a")) != set(gossip_of(b"b"))


def gossip_of(key: bytes) -> list[int]:
    one = gossip(50, key=key)
    one.heard(0, [node(1)], START)
    return list(one.due(START))


def test_old_news_and_long_lists_are_not_passed_on() -> None:
    one = gossip(5)
    one._listeners[0].token_ns = 10**15
    one.heard(0, [node(1, NOW_S - 600)], START)
    one.heard(0, [node(n) for n in range(11)], START)
    one.heard(0, [PeerAddress(NOW_S, 9, NetAddress.from_text("127.0.0.1:1"))], START)
    one.asked(0)
    one.heard(0, [node(20)], START)
    assert one.due(START) == {}


def test_nodes_without_blocks_are_not_believed() -> None:
    one = gossip(5)
    assert one.heard(0, [node(1, services=8)], START).believed == []
    assert one.heard(1, [node(1, services=1024)], START).believed == [node(1, services=1024)]


@pytest.mark.parametrize("time", [0, 100_000_000, NOW_S + 601])
def test_times_that_can_not_be_are_five_days_ago(time: int) -> None:
    assert gossip(1).heard(0, [node(1, time)], START).believed == [node(1, NOW_S - 5 * DAY)]


def test_one_address_in_ten_seconds() -> None:
    one = gossip(1)
    assert one.heard(0, [node(n) for n in range(5)], START).rate_limited == 4
    assert one.heard(0, [node(5)], after(9.9)) == ([], 1)
    assert one.heard(0, [node(6)], after(10)) == ([node(6)], 0)
    assert one.heard(0, [node(n, NOW_S + DAY) for n in range(1000)], after(DAY)).rate_limited == 0
    late = after(2 * DAY)
    assert one.heard(0, [node(n, NOW_S) for n in range(1500)], late).rate_limited == 500


def test_a_thousand_more_at_once_where_we_asked() -> None:
    one = gossip(1)
    one.asked(0)
    assert one.heard(0, [node(n) for n in range(1000)], START).rate_limited == 0
    assert one.heard(0, [node(n) for n in range(2)], START).rate_limited == 1


def test_who_may_tells_as_many_as_it_likes() -> None:
    one = gossip(0)
    one.connected(0, fits_v2=True, now=START, unlimited=True)
    heard = one.heard(0, [node(n) for n in range(3000)], START)
    assert len(heard.believed) == 3000


def test_whoever_floods_can_not_choose_what_is_heard() -> None:
    believed = []
    for seed in range(20):
        one = AddressGossip(b"key", Stream(seed), draw=lambda mean_ns: mean_ns)
        one.connected(0, fits_v2=True, now=START)
        believed += one.heard(0, [node(n) for n in range(10)], START).believed
    assert len(set(believed)) > 5


def test_a_peer_does_not_hear_what_it_told_or_heard() -> None:
    one = gossip(2)
    one.heard(1, [node(1)], START)
    one.tell(1, node(1))
    one.tell(0, node(2))
    assert one.due(after(30)) == {0: [node(1), node(2)]}
    one.tell(0, node(2))
    assert one.due(after(100)) == {}


def test_addresses_go_out_every_thirty_seconds() -> None:
    one = gossip(1)
    one.tell(0, node(1))
    assert one.due_at() == START.mono_ns and one.due(START) == {0: [node(1)]}
    one.tell(0, node(2))
    assert one.due_at() == START.mono_ns + AVG_ADDRESS_BROADCAST_INTERVAL_NS
    assert one.due(after(29.9)) == {} and one.due(after(30)) == {0: [node(2)]}


def test_old_software_hears_only_of_what_it_can_read() -> None:
    one = gossip(0)
    one.connected(0, fits_v2=False, now=START)
    onion = PeerAddress(NOW_S, 9, NetAddress(Network.TORV3, bytes(range(1, 33)), 8333))
    for told in (onion, node(1), PeerAddress(NOW_S, 9, NetAddress(99, b"abc", 1))):
        one.tell(0, told)
    assert one.due(START) == {0: [node(1)]}


def test_an_answer_is_all_that_a_peer_hears() -> None:
    one = gossip(1)
    one.tell(0, node(1))
    one.answer(0, [node(2), node(3)])
    assert one.due(START) == {0: [node(2), node(3)]}


def test_a_thousand_wait_at_most() -> None:
    one = gossip(1)
    for n in range(1500):
        one.tell(0, node(n))
    (told,) = one.due(START).values()
    assert len(told) == 1000 and node(1499) in told and told != [node(n) for n in range(500, 1500)]


def test_our_own_address_is_told_at_once_and_then_once_a_day() -> None:
    one = gossip(1, tell_self=True)
    assert one.due_at() is None and one.due_at(has_own=True) == START.mono_ns
    assert one.due(START, OWN) == {0: [OWN]}
    assert one.due(after(DAY - 1), OWN) == {}
    assert one.due(after(DAY), OWN) == {0: [OWN]}
    assert one.due_at(has_own=True) == Time(START.mono_ns + 2 * DAY * S, 0).mono_ns


def test_what_peers_know_is_bounded() -> None:
    one = gossip(0)
    one.connected(0, fits_v2=True, now=START, unlimited=True)
    for start in range(0, 20_000, 1000):
        one.heard(0, [node(n) for n in range(start, start + 1000)], START)
    assert len(one._listeners[0].known) <= 2 * KNOWN_ADDRESSES
    one.disconnected(0)
    one.disconnected(0)
    assert one.due(START) == {}
