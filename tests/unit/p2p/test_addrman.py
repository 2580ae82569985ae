"""Addresses of other nodes: who gets a place, who is dialled, who is told of."""

from collections import Counter
from hashlib import sha256
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.chance import Stream
from drystone.p2p.addrman import (
    BUCKET_SIZE,
    HORIZON_S,
    NEW_BUCKETS_PER_ADDRESS,
    NEW_BUCKETS_PER_SOURCE_GROUP,
    TRIED_BUCKETS_PER_GROUP,
    AddrMan,
)
from drystone.p2p.messages import PeerAddress
from drystone.p2p.netaddress import NetAddress, Network
from drystone.primitives.codec import DecodeError

NOW = 1_700_000_000
HOUR, DAY = 3600, 24 * 3600
SOURCE = NetAddress.from_text("250.1.2.1:8333")


def manager(seed: int = 1, **more: bool) -> AddrMan:
    return AddrMan(sha256(bytes((seed,))).digest(), Stream(seed, "addresses"), **more)


def host(n: int, group: int = 0) -> NetAddress:
    """The n-th of a group, or of as many groups as there are."""
    first, second = divmod((group or n) % 10_000, 250)
    address = bytes((20 + first, second, *(n % 65536).to_bytes(2)))
    return NetAddress(Network.IPV4, address, 8333)


def told(address: NetAddress, time: int = NOW) -> PeerAddress:
    return PeerAddress(time, 9, address)


def known(*addresses: NetAddress, source: NetAddress = SOURCE) -> AddrMan:
    one = manager()
    one.add(map(told, addresses), source, now_s=NOW)
    return one


def check(one: AddrMan) -> None:
    """The tables, the list and the counts agree."""
    new = [entry for places in one._new.buckets.values() for entry in places.values()]
    tried = [entry for places in one._tried.buckets.values() for entry in places.values()]
    references = Counter(entry.address for entry in new)
    assert {entry.address for entry in new} | {entry.address for entry in tried} == {
        entry.address for entry in one
    }
    assert len(one) == len(one._list) == one.new_count + one.tried_count
    assert one.tried_count == len(tried) and one.new_count == len(references)
    for place, entry in enumerate(one._list):
        assert entry.place == place
        assert len(entry.new_buckets) == references[entry.address] <= NEW_BUCKETS_PER_ADDRESS
        assert entry.in_tried is not bool(entry.new_buckets)
    for table in (one._new, one._tried):
        assert sorted(table._used) == sorted(table.buckets)
        assert all(table.buckets.values())
        assert all(
            position < BUCKET_SIZE for places in table.buckets.values() for position in places
        )


def test_nobody_is_known_at_first() -> None:
    one = manager()
    assert one.select(now_s=NOW) is None and one.get_addr(now_s=NOW) == []
    assert one.good(host(1), now_s=NOW) is False
    one.attempt(host(1), now_s=NOW)
    one.connected(host(1), now_s=NOW)
    one.set_services(host(1), 9)
    assert len(one) == 0


def test_an_address_is_new_until_it_has_answered() -> None:
    one = known(host(1))
    assert (one.new_count, one.tried_count) == (1, 0)
    entry = one.select(now_s=NOW)
    assert entry and entry.address == host(1) and entry.told == told(host(1))
    assert one.good(host(1), now_s=NOW)
    assert (one.new_count, one.tried_count) == (0, 1)
    assert one.select(now_s=NOW, new_only=True) is None
    assert not one.good(host(1), now_s=NOW)
    check(one)


def test_ports_are_different_nodes() -> None:
    same_host = host(1)._replace(port=8334)
    one = known(host(1), same_host)
    assert len(one) == 2


def test_addresses_that_nobody_can_reach_are_refused_unless_the_network_is_one_desk() -> None:
    desk = [NetAddress.from_text(f"127.0.0.1:{7000 + n}") for n in range(20)]
    one = manager()
    assert one.add(map(told, desk), desk[0], now_s=NOW) == 0
    one = manager(routable_only=False)
    assert one.add(map(told, desk), desk[0], now_s=NOW) > 15  # places may collide
    one.add(
        [told(NetAddress(77, b"abc", 1))], desk[0], now_s=NOW
    )  # of a network that we don't know
    check(one)
    assert all(entry.address in desk for entry in one)


def test_who_tells_of_others_makes_them_older_and_itself_not() -> None:
    one = manager()
    one.add([told(host(1)), told(SOURCE)], SOURCE, now_s=NOW, penalty_s=2 * HOUR)
    assert one.get(host(1)).time == NOW - 2 * HOUR  # type: ignore[union-attr]
    assert one.get(SOURCE).time == NOW  # type: ignore[union-attr]


def test_news_of_a_known_address_are_taken_over() -> None:
    one = known(host(1))
    entry = one.get(host(1))
    assert entry
    for later, expected in [(HOUR, NOW), (HOUR + 1, NOW + HOUR + 1)]:
        one.add([PeerAddress(NOW + later, 1 << 6, host(1))], SOURCE, now_s=NOW + later)
        assert entry.time == expected
    assert entry.services == 9 | 1 << 6
    one.set_services(host(1), 1)
    assert entry.services == 1


def test_an_address_that_many_tell_of_is_in_eight_places_at_most() -> None:
    one = manager()
    for n in range(2000):
        source = host(n)
        one.add([told(host(1), NOW + n)], source, now_s=NOW + n)
    check(one)
    entry = one.get(host(1))
    assert entry and 3 <= len(entry.new_buckets) <= NEW_BUCKETS_PER_ADDRESS
    assert len(one) == 1


def test_one_group_of_sources_reaches_few_buckets() -> None:
    one = manager()
    for n in range(2000):
        one.add([told(host(n))], NetAddress.from_text(f"250.1.{n % 250}.1:1"), now_s=NOW)
    assert 40 < len(one._new.buckets) <= NEW_BUCKETS_PER_SOURCE_GROUP
    check(one)


def test_one_group_of_addresses_reaches_few_buckets_of_those_spoken_to() -> None:
    one = manager()
    for n in range(1, 1000):
        one.add([told(host(n, group=7))], host(n), now_s=NOW)
        one.good(host(n, group=7), now_s=NOW)
    assert len(one._tried.buckets) == TRIED_BUCKETS_PER_GROUP
    assert one.tried_count <= TRIED_BUCKETS_PER_GROUP * BUCKET_SIZE
    check(one)


@pytest.mark.parametrize(
    ("time", "last_try", "last_success", "attempts", "terrible"),
    [
        (NOW, 0, 0, 0, False),
        (NOW + 601, 0, 0, 0, True),  # from the future
        (NOW + 600, 0, 0, 0, False),
        (NOW - HORIZON_S - 1, 0, 0, 0, True),  # of long ago
        (NOW - HORIZON_S - 1, NOW - 60, 0, 0, False),  # but being tried
        (NOW, NOW - 61, 0, 3, True),  # never worked
        (NOW, NOW - 61, 0, 2, False),
        (NOW, NOW - 61, NOW - 7 * DAY - 1, 10, True),  # worked once
        (NOW, NOW - 61, NOW - 7 * DAY - 1, 9, False),
        (NOW, NOW - 61, NOW - 7 * DAY, 10, False),
    ],
)
def test_which_addresses_are_terrible(
    time: int,
    last_try: int,
    last_success: int,
    attempts: int,
    terrible: bool,  # noqa: FBT001
) -> None:
    entry = known(host(1)).get(host(1))
    assert entry
    entry.time, entry.last_try = time, last_try
    entry.last_success, entry.attempts = last_success, attempts
    assert entry.is_terrible(NOW) is terrible


def test_failures_count_once_until_somebody_else_answers() -> None:
    one = known(host(1), host(2))
    entry = one.get(host(1))
    assert entry
    for n in range(5):
        one.attempt(host(1), now_s=NOW + n)
    assert entry.attempts == 1 and entry.last_try == NOW + 4
    one.good(host(2), now_s=NOW + 10)
    one.attempt(host(1), now_s=NOW + 11, count_failure=False)
    assert entry.attempts == 1
    one.attempt(host(1), now_s=NOW + 12)
    assert entry.attempts == 2
    one.good(host(1), now_s=NOW + 13)
    assert entry.attempts == 0


def test_addresses_that_failed_are_dialled_less_often() -> None:
    one = known(host(1), host(2))
    bad, good = one.get(host(1)), one.get(host(2))
    assert bad and good
    bad.attempts = 8
    picked = Counter(one.select(now_s=NOW).address for _ in range(1000))  # type: ignore[union-attr]
    assert picked[host(1)] < 150
    bad.attempts, bad.last_try = 0, NOW - 599
    picked = Counter(one.select(now_s=NOW).address for _ in range(1000))  # type: ignore[union-attr]
    assert picked[host(1)] < 60
    good.attempts = 8
    good.last_try = NOW
    assert one.select(now_s=NOW) is not None  # it always comes to an end


def test_half_of_those_dialled_are_known_to_work() -> None:
    one = known(*map(host, range(100)))
    one.good(host(5), now_s=NOW)
    picked = Counter(
        one.select(now_s=NOW + HOUR).address == host(5)  # type: ignore[union-attr]
        for _ in range(1000)
    )
    assert 430 < picked[True] < 570


# Two who want one place.


def rivals() -> tuple[AddrMan, NetAddress, NetAddress]:
    """Two of one group that belong in the same place of the tried table; the first has it."""
    one = manager()
    places: dict[tuple[int, int], NetAddress] = {}
    for n in count(1):
        address = host(n, group=9)
        bucket = one._tried_bucket(address)
        place = bucket, one._position("K", bucket, address)
        if place in places:
            break
        places[place] = address
    first, second = places[place], address
    one.add([told(first), told(second)], SOURCE, now_s=NOW)
    one.good(first, now_s=NOW)
    assert not one.good(second, now_s=NOW)
    return one, first, second


def in_tried(one: AddrMan) -> list[NetAddress]:
    return [entry.address for entry in one if entry.in_tried]


def test_who_has_worked_lately_keeps_its_place() -> None:
    one, first, _ = rivals()
    assert one.select_tried_collision().address == first  # type: ignore[union-attr]
    one.resolve_collisions(now_s=NOW + 4 * HOUR - 1)
    assert in_tried(one) == [first]
    assert one.select_tried_collision() is None
    check(one)


def test_who_fails_when_tried_makes_way_after_a_minute() -> None:
    one, first, second = rivals()
    later = NOW + 5 * HOUR
    one.attempt(first, now_s=later)
    one.resolve_collisions(now_s=later + 60)
    assert in_tried(one) == [first]
    one.resolve_collisions(now_s=later + 61)
    assert in_tried(one) == [second]
    assert one.new_count == 1  # it is not forgotten
    check(one)


def test_who_answers_when_tried_keeps_its_place() -> None:
    one, first, _ = rivals()
    later = NOW + 5 * HOUR
    one.attempt(first, now_s=later)
    one.good(first, now_s=later + 1)
    one.resolve_collisions(now_s=later + 2)
    assert in_tried(one) == [first] and one.select_tried_collision() is None


def test_who_is_not_tried_makes_way_in_the_end() -> None:
    one, first, second = rivals()
    one.get(second).last_success = NOW + 5 * HOUR  # type: ignore[union-attr]
    one.resolve_collisions(now_s=NOW + 5 * HOUR + 2400)
    assert in_tried(one) == [first]
    one.resolve_collisions(now_s=NOW + 5 * HOUR + 2401)
    assert in_tried(one) == [second]
    check(one)


# Telling others.


def test_others_are_told_of_a_part_that_is_not_terrible() -> None:
    one = known(*map(host, range(300)))
    total = len(one)
    assert total > 250
    chosen = one.get_addr(now_s=NOW, max_addresses=1000, max_pct=23)
    assert len(chosen) == total * 23 // 100 == len(set(chosen))
    assert len(one.get_addr(now_s=NOW, max_addresses=10, max_pct=23)) == 10
    assert len(one.get_addr(now_s=NOW)) == total
    assert one.get_addr(now_s=NOW, network=Network.IPV6) == []
    assert one.get_addr(now_s=NOW + HORIZON_S + 1) == []
    check(one)


def test_a_connection_that_lasted_is_news() -> None:
    one = known(host(1))
    entry = one.get(host(1))
    assert entry
    one.connected(host(1), now_s=NOW + 1200)
    assert entry.time == NOW
    one.connected(host(1), now_s=NOW + 1201)
    assert entry.time == NOW + 1201


# Whatever happens.

hosts = st.integers(0, 400).map(host)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), hosts, hosts),
        st.tuples(st.just("good"), hosts, hosts),
        st.tuples(st.just("attempt"), hosts, hosts),
        st.tuples(st.just("resolve"), hosts, hosts),
        st.tuples(st.just("get"), hosts, hosts),
    ),
    max_size=60,
)


def play(one: AddrMan, steps: list[tuple[str, NetAddress, NetAddress]]) -> None:
    now = NOW
    for what, address, source in steps:
        now += HOUR
        if what == "add":
            one.add([told(address, now)], source, now_s=now)
        elif what == "good":
            one.good(address, now_s=now)
        elif what == "attempt":
            one.attempt(address, now_s=now)
        elif what == "resolve":
            one.resolve_collisions(now_s=now)
        else:
            one.get_addr(now_s=now, max_pct=50)
            one.select(now_s=now)


@given(steps)
def test_the_tables_agree_whatever_happens(steps: list[tuple[str, NetAddress, NetAddress]]) -> None:
    one = manager()
    play(one, steps)
    check(one)
    kept = AddrMan.decode(one.encode(), Stream(2, "x"))
    check(kept)
    assert kept.encode() == one.encode()
    again = manager()
    play(again, steps)
    assert again.encode() == one.encode()


def test_the_tables_are_bounded() -> None:
    one = manager()
    for n in range(30_000):
        one.add(
            [told(NetAddress(Network.IPV4, (0x14000000 + 997 * n).to_bytes(4), 1))],
            SOURCE,
            now_s=NOW,
        )
    assert len(one) <= NEW_BUCKETS_PER_SOURCE_GROUP * BUCKET_SIZE
    check(one)


@given(st.binary(max_size=300))
def test_any_bytes_are_kept_addresses_or_a_declared_error(data: bytes) -> None:
    for head in (b"", b"\1" + bytes(32) + b"\2"):
        try:
            one = AddrMan.decode(head + data, Stream(1))
        except DecodeError:
            continue
        check(one)


def test_a_file_cut_short_or_repeated_is_refused() -> None:
    one = known(host(1), host(2))
    one.good(host(1), now_s=NOW)
    data = one.encode()
    for cut in range(len(data)):
        with pytest.raises(DecodeError):
            AddrMan.decode(data[:cut], Stream(1))
    entries = data[34:]
    with pytest.raises(DecodeError, match="twice"):
        AddrMan.decode(data[:33] + b"\4" + entries + entries, Stream(1))
    with pytest.raises(DecodeError, match="another version"):
        AddrMan.decode(b"\2" + data[1:], Stream(1))


def test_keys_decide_who_is_where() -> None:
    one, other = (AddrMan(bytes((n,)) * 32, Stream(1)) for n in (1, 2))
    places = [
        [manager._position("N", manager._new_bucket(host(n), SOURCE), host(n)) for n in range(50)]
        for manager in (one, other)
    ]
    assert places[0] != places[1]
    with pytest.raises(ValueError, match="32 bytes"):
        AddrMan(b"short", Stream(1))
