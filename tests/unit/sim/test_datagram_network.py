"""Simulated datagrams: late, lost, out of order, cut off."""

from collections.abc import Iterable

import pytest

from drystone.core.time import MILLISECOND_NS
from drystone.sim.datagrams import DatagramLink, DatagramNetwork
from drystone.sim.world import World


class Wires:
    """A network of names that notes what arrives: (when in ns, at whom, what)."""

    def __init__(self, *names: str, seed: int = 1, link: DatagramLink | None = None) -> None:
        self.world = World(seed, keep_trace=True)
        self.links: DatagramNetwork[str] = DatagramNetwork(self.world, link)
        self.arrived: list[tuple[int, str, bytes]] = []
        for name in names:
            self.attach(name)

    def attach(self, name: str) -> None:
        self.links.attach(name, lambda data: self.arrived.append((self.world.now_ns, name, data)))

    def who_got(self, data: bytes) -> list[str]:
        return [name for _, name, got in self.arrived if got == data]

    def send_many(self, source: str, destination: str, count: int) -> None:
        for n in range(count):
            self.links.send(source, destination, n.to_bytes(4, "big"))

    def numbers(self, name: str) -> Iterable[int]:
        return [int.from_bytes(data, "big") for _, to, data in self.arrived if to == name]


def test_a_datagram_arrives_whole_after_the_links_latency() -> None:
    wires = Wires("a", "b")
    wires.world.run_for(5)
    wires.links.send("a", "b", b"hello")
    assert wires.arrived == []
    wires.world.run_for(MILLISECOND_NS - 1)
    assert wires.arrived == []
    wires.world.run_for(1)
    assert wires.arrived == [(MILLISECOND_NS + 5, "b", b"hello")]


def test_without_jitter_order_is_kept_even_at_one_instant() -> None:
    wires = Wires("a", "b")
    wires.send_many("a", "b", 100)
    wires.world.run_for(MILLISECOND_NS)
    assert wires.numbers("b") == list(range(100))


def test_jitter_delays_each_by_its_own_time_and_reorders() -> None:
    link = DatagramLink(latency_ns=1000, jitter_ns=500)
    wires = Wires("a", "b", link=link)
    wires.send_many("a", "b", 2000)
    wires.world.run_for(1500)
    times = [time_ns for time_ns, _, _ in wires.arrived]
    assert len(times) == 2000
    assert min(times) == 1000 and max(times) == 1500
    assert abs(sum(times) / 2000 - 1250) < 20
    assert wires.numbers("b") != list(range(2000))
    assert sorted(wires.numbers("b")) == list(range(2000))


@pytest.mark.parametrize(
    ("loss", "least", "most"), [(0.0, 2000, 2000), (1.0, 0, 0), (0.3, 1300, 1500)]
)
def test_a_link_loses_its_share(loss: float, least: int, most: int) -> None:
    wires = Wires("a", "b", link=DatagramLink(loss=loss))
    wires.send_many("a", "b", 2000)
    wires.world.run_for(MILLISECOND_NS)
    assert least <= len(wires.arrived) <= most
    assert sum("lost" in line for line in wires.world.trace.lines) == 2000 - len(wires.arrived)


def test_each_direction_has_its_own_link() -> None:
    wires = Wires("a", "b", "c")
    wires.links.set_link("a", "b", DatagramLink(latency_ns=7))
    for source, destination in [("a", "b"), ("b", "a"), ("a", "c")]:
        wires.links.send(source, destination, b"x")
    wires.world.run_for(MILLISECOND_NS)
    assert [(time_ns, name) for time_ns, name, _ in wires.arrived] == [
        (7, "b"),
        (MILLISECOND_NS, "a"),
        (MILLISECOND_NS, "c"),
    ]


def test_the_fate_of_one_link_does_not_depend_on_the_traffic_of_others() -> None:
    link = DatagramLink(latency_ns=0, jitter_ns=10_000, loss=0.4)
    quiet, busy = Wires("a", "b", "c", link=link), Wires("a", "b", "c", link=link)
    quiet.send_many("a", "b", 50)
    for n in range(50):
        busy.links.send("a", "c", b"????")
        busy.links.send("b", "a", b"????")
        busy.links.send("a", "b", n.to_bytes(4, "big"))
    for wires in (quiet, busy):
        wires.world.run_for(10_000)
    assert [a for a in busy.arrived if a[1] == "b"] == quiet.arrived


def test_no_two_directions_share_their_fate() -> None:
    wires = Wires("a", "b", "c", link=DatagramLink(latency_ns=0, jitter_ns=10**9))
    for pair in ("ab", "ba", "ac", "ca", "bc", "cb"):
        wires.send_many(pair[0], pair[1], 20)
    wires.world.run_for(10**9)
    assert len({time_ns for time_ns, _, _ in wires.arrived}) == 6 * 20


def test_the_same_seed_gives_the_same_fates_and_another_seed_others() -> None:
    link = DatagramLink(jitter_ns=1000, loss=0.5)
    runs = [Wires("a", "b", seed=seed, link=link) for seed in (1, 1, 2)]
    for wires in runs:
        wires.send_many("a", "b", 100)
        wires.world.run_for(2 * MILLISECOND_NS)
    one, same, other = (wires.world.trace.lines for wires in runs)
    assert one == same != other


def test_a_changed_link_draws_as_much_chance_as_before() -> None:
    # So that making one link lossless does not shift the fate of all that follows on it.
    plain, changed = (Wires("a", "b", link=DatagramLink(jitter_ns=1000)) for _ in range(2))
    changed.links.set_link("a", "b", DatagramLink(latency_ns=5, loss=1.0))
    for wires in (plain, changed):
        wires.links.send("a", "b", b"first")
    changed.links.set_link("a", "b", DatagramLink(jitter_ns=1000))
    for wires in (plain, changed):
        wires.links.send("a", "b", b"second")
        wires.world.run_for(2 * MILLISECOND_NS)
    assert [a for a in plain.arrived if a[2] == b"second"] == changed.arrived


def test_a_partition_lets_pass_within_a_group_only_and_the_rest_are_a_group() -> None:
    wires = Wires("a", "b", "c", "d", "e", "f")
    wires.links.partition(["a", "b"], ["c", "d"])
    for pair in ("ab", "ba", "cd", "ef", "ac", "ca", "be", "fd"):
        wires.links.send(pair[0], pair[1], pair.encode())
    wires.world.run_for(MILLISECOND_NS)
    assert sorted(data for _, _, data in wires.arrived) == [b"ab", b"ba", b"cd", b"ef"]


def test_a_healed_network_carries_again_and_what_was_lost_stays_lost() -> None:
    wires = Wires("a", "b")
    wires.links.partition(["a"], ["b"])
    wires.links.send("a", "b", b"lost")
    wires.links.heal()
    wires.links.send("a", "b", b"kept")
    wires.world.run_for(10 * MILLISECOND_NS)
    assert [data for _, _, data in wires.arrived] == [b"kept"]
    assert any("a>b 4B lost" in line for line in wires.world.trace.lines)


def test_a_new_partition_replaces_the_one_before() -> None:
    wires = Wires("a", "b", "c")
    wires.links.partition(["a"], ["b", "c"])
    wires.links.partition(["a", "b"], ["c"])
    for pair in ("ab", "bc"):
        wires.links.send(pair[0], pair[1], pair.encode())
    wires.world.run_for(MILLISECOND_NS)
    assert [data for _, _, data in wires.arrived] == [b"ab"]


def test_what_is_sent_to_nobody_vanishes_and_the_trace_says_so() -> None:
    wires = Wires("a", "b")
    wires.links.send("a", "b", b"under way")
    wires.links.detach("b")
    wires.links.detach("b")
    wires.links.send("a", "nobody", b"x")
    wires.world.run_for(MILLISECOND_NS)
    assert wires.arrived == []
    assert wires.world.trace.lines == [
        f"{MILLISECOND_NS} a>b 9B finds nobody",
        f"{MILLISECOND_NS} a>nobody 1B finds nobody",
    ]
    wires.attach("b")
    wires.links.send("a", "b", b"again")
    wires.world.run_for(MILLISECOND_NS)
    assert wires.who_got(b"again") == ["b"]
