"""Who must go when all places are taken, and who never does."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.chance import Stream
from drystone.p2p.eviction import Candidate, Slots, keyed_group, select_to_evict
from drystone.p2p.handshake import ConnectionKind
from drystone.p2p.netaddress import NetAddress, Network


def crowd(count: int) -> list[Candidate]:
    """Peers that came one after the other, each of a group of its own, all equally good."""
    return [Candidate(n, connected=1000 + n, group=n * 7919 % 10007) for n in range(count)]


def shuffled(candidates: list[Candidate], seed: int) -> list[Candidate]:
    stream = Stream(seed)
    return sorted(candidates, key=lambda _: stream.word())


def evicted(candidates: list[Candidate]) -> set[int]:
    """All who would go, one after the other."""
    gone = set()
    while (who := select_to_evict(candidates)) is not None:
        gone.add(who)
        candidates = [one for one in candidates if one.id != who]
    return gone


def test_few_peers_are_all_protected() -> None:
    assert select_to_evict([]) is None
    assert select_to_evict(crowd(20)) is None
    assert select_to_evict(crowd(29)) is not None


def test_whom_we_dialled_and_who_may_stay_never_go() -> None:
    candidates = [
        replace(one, noban=n % 2 == 0, kind=one.kind if n % 2 == 0 else ConnectionKind.MANUAL)
        for n, one in enumerate(crowd(200))
    ]
    assert select_to_evict(candidates) is None


def test_the_youngest_goes_where_all_are_equal() -> None:
    candidates = [replace(one, group=1, min_ping_ns=100 + one.id % 2) for one in crowd(60)]
    (youngest, *_) = sorted(evicted(candidates), reverse=True)
    assert select_to_evict(candidates) == youngest


def test_the_youngest_of_the_largest_group_goes() -> None:
    candidates = [
        replace(one, group=5 if one.id in (30, 31, 32) else one.group) for one in crowd(60)
    ]
    candidates = [replace(one, min_ping_ns=1 + one.id) for one in candidates]
    late = [replace(one, connected=2000 if one.id in (30, 31, 32) else 1) for one in candidates]
    assert select_to_evict(late) in (30, 31, 32)


@pytest.mark.parametrize(
    ("merit", "protected"),
    [
        ({"min_ping_ns": 1}, 8),
        ({"last_tx": 5000, "relays_transactions": True}, 4),
        ({"last_block": 5000, "relays_transactions": True}, 4),
        ({"last_block": 5000, "relevant_services": True}, 12),  # and relays no transactions
    ],
)
def test_peers_of_merit_are_protected(merit: dict[str, int], protected: int) -> None:
    """Even if they are the youngest, of the largest group, and misbehaved before."""
    others = [
        replace(one, min_ping_ns=1000, relays_transactions=True, group=100 + one.id)
        for one in crowd(100)
    ]
    best = [
        replace(
            Candidate(1000 + n, connected=9000 + n, group=1, min_ping_ns=2000, prefer_evict=True),
            **merit,  # type: ignore[arg-type]
        )
        for n in range(protected)
    ]
    for seed in range(5):
        assert not {one.id for one in best} & {select_to_evict(shuffled(others + best, seed))}
    one_more = replace(best[0], id=2000, connected=8000)
    assert select_to_evict([*others, *best, one_more]) in {one.id for one in [*best, one_more]}


def test_who_misbehaved_before_goes_first() -> None:
    candidates = [replace(one, prefer_evict=one.id == 45, min_ping_ns=100) for one in crowd(60)]
    assert select_to_evict([replace(one, group=1) for one in candidates]) in (45, 59)
    young = [replace(one, group=1, connected=2000 - one.id) for one in candidates]
    marked = [replace(one, prefer_evict=one.id in (0, 1)) for one in young]
    assert select_to_evict(marked) == 0


@pytest.mark.parametrize("network", [Network.TORV3, Network.I2P, Network.CJDNS, None])
def test_a_quarter_of_those_left_may_be_of_an_uncommon_network(network: Network | None) -> None:
    """Of 40 that have no other merit, 20 are protected, ten of them for their network."""
    common = [
        replace(one, min_ping_ns=5, relays_transactions=True, group=100 + one.id)
        for one in crowd(60)
    ]
    candidates = [
        one
        if one.id < 50
        else replace(
            one,
            min_ping_ns=1000,
            network=network if network is not None else Network.IPV4,
            is_local=network is None,
        )
        for one in common
    ]
    assert not {select_to_evict(shuffled(candidates, seed)) for seed in range(5)} & set(
        range(50, 60)
    )


candidates = st.builds(
    Candidate,
    st.integers(0, 10**6),
    st.integers(0, 50),
    st.integers(0, 10),
    st.none() | st.integers(0, 20),
    st.integers(0, 5),
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(list(Network)),
    st.booleans(),
    st.sampled_from([ConnectionKind.INBOUND] * 4 + [ConnectionKind.MANUAL]),
)


@given(st.lists(candidates, max_size=150, unique_by=lambda one: one.id))
def test_only_those_who_dialled_go_and_only_if_they_are_many(crowd: list[Candidate]) -> None:
    who = select_to_evict(crowd)
    able = [one for one in crowd if not one.noban and one.kind is ConnectionKind.INBOUND]
    if who is None:
        assert len(able) < 29  # 4 + 8 + 4 + 8 + 4 are protected, and half of one is none
    else:
        assert len(able) > 20  # 4 + 8 + 4 + 4
        assert who in {one.id for one in able}
    assert select_to_evict(crowd) == who
    assert 20 <= len(able) - len(evicted(crowd)) <= 28 or len(able) <= 20


def test_slots_are_those_of_the_reference_client() -> None:
    slots = Slots()
    assert [slots.of(kind) for kind in ConnectionKind] == [114, 8, 8, 1, 2, 1]
    few = Slots(total=5)
    assert (few.full_relay, few.block_relay, few.inbound) == (5, 0, 0)


def test_groups_are_ordered_by_a_key() -> None:
    addresses = [NetAddress.from_text(f"{n}.1.1.1:1") for n in range(20, 40)]
    orders = [
        sorted(addresses, key=lambda address, key=key: keyed_group(key, address))  # type: ignore[misc]
        for key in (b"one", b"two")
    ]
    assert orders[0] != orders[1]
    assert keyed_group(b"k", addresses[0]) == keyed_group(b"k", addresses[0]._replace(port=2))
