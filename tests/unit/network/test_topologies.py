"""Who is connected to whom."""

from collections import Counter

import pytest

from drystone.core.errors import UserError
from drystone.network.topologies import MOST_INBOUND, Pair, topology, usual_degree

KINDS = ["ring", "star", "line", "full", "random"]


def names(count: int) -> list[str]:
    return [f"n{number}" for number in range(count)]


def neighbours(pairs: tuple[Pair, ...]) -> Counter[str]:
    return Counter(name for pair in pairs for name in pair)


def reached(pairs: tuple[Pair, ...], start: str) -> set[str]:
    found = {start}
    while True:
        more = {name for pair in pairs if found & {*pair} for name in pair}
        if more <= found:
            return found
        found |= more


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [*range(1, 13), 40, 41])
def test_every_node_is_within_reach_and_no_pair_is_joined_twice(kind: str, count: int) -> None:
    pairs = topology(kind, names(count), seed=5)
    assert reached(pairs, "n0") == {*names(count)}
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    assert all(one != other for one, other in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_no_nodes_have_no_connections(kind: str) -> None:
    assert topology(kind, []) == ()


def test_each_topology_is_what_its_name_says() -> None:
    four = names(4)
    assert topology("line", four) == (("n0", "n1"), ("n1", "n2"), ("n2", "n3"))
    assert topology("ring", four) == (*topology("line", four), ("n3", "n0"))
    assert topology("ring", four[:2]) == topology("line", four[:2]) == (("n0", "n1"),)
    assert topology("star", four) == (("n0", "n1"), ("n0", "n2"), ("n0", "n3"))
    assert {*neighbours(topology("full", four)).values()} == {3}
    assert len(topology("full", names(9))) == 36


@pytest.mark.parametrize(("degree", "count"), [(2, 30), (3, 4), (3, 30), (4, 5), (8, 50), (29, 30)])
def test_in_a_random_regular_network_each_has_as_many_neighbours(degree: int, count: int) -> None:
    pairs = topology(f"random:{degree}", names(count), seed=3)
    assert {*neighbours(pairs).values()} == {degree}
    assert reached(pairs, "n0") == {*names(count)}


def test_the_seed_chooses_the_random_network() -> None:
    drawn = {topology("random:4", names(20), seed) for seed in range(20)}
    assert len(drawn) == 20
    assert topology("random:4", names(20), 7) == topology("random:4", names(20), 7)


def test_every_pair_is_as_likely_in_a_random_network() -> None:
    """Of 15 pairs of six nodes a ring has six, so each is in two fifths of all rings."""
    times: Counter[frozenset[str]] = Counter()
    for seed in range(1_000):
        times.update(frozenset(pair) for pair in topology("random:2", names(6), seed))
    assert len(times) == 15
    assert all(330 < count < 470 for count in times.values())  # 4.5 standard deviations


def test_random_gives_each_eight_neighbours_or_what_few_nodes_allow() -> None:
    assert [usual_degree(count) for count in (0, 1, 2, 3, 4, 9, 10, 1_000)] == [
        *(0, 0, 1, 2, 3, 8, 8, 8),
    ]


def test_nobody_is_dialled_by_more_than_a_node_takes() -> None:
    for kind, count in (("star", 1_000), ("full", 2 * MOST_INBOUND + 1), ("random:114", 200)):
        dialled = Counter(other for _, other in topology(kind, names(count)))
        assert max(dialled.values()) <= MOST_INBOUND, kind


@pytest.mark.parametrize(
    ("description", "count", "complaint"),
    [
        ("circle", 3, "no topology 'circle': there are ring, star, line, full, random"),
        ("ring:2", 3, "no topology 'ring:2'"),
        ("random:", 3, "a whole number of neighbours must follow random:"),
        ("random:many", 3, "a whole number of neighbours must follow random:"),
        ("random:-1", 3, "a whole number of neighbours must follow random:"),
        ("random:3", 3, "of 3 nodes, each can have 1 to 2 neighbours"),
        ("random:0", 3, "of 3 nodes, each can have 1 to 2 neighbours"),
        ("random:3", 5, "5 nodes can't have 3 neighbours each, for both are odd"),
        ("random:1", 4, "give each 2 at least"),
        ("random:115", 1_000, "each can have 1 to 114 neighbours"),
        ("full", 230, "at most 229, or else random"),
    ],
)
def test_what_is_no_topology_is_told_in_a_sentence(
    description: str, count: int, complaint: str
) -> None:
    with pytest.raises(UserError) as caught:
        topology(description, names(count))
    assert complaint in str(caught.value)
