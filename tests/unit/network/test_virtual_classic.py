"""The tutorial's network in virtual time, on its own terms."""

import pytest
from tests.support.classic import PORTS, chain_of

from drystone.classic.events import Announcement, Copied, Created, Tried
from drystone.classic.node import State
from drystone.classic.pow import EXPECTED_HASHES
from drystone.core.time import SECOND_NS, Time
from drystone.network.classic.virtual import HASH_RATE, VirtualClassic
from drystone.sim.datagrams import DatagramLink
from drystone.sim.world import UNIX_START


def test_nodes_begin_a_second_apart_unless_told_otherwise() -> None:
    begun: dict[int, int] = {}

    def observe(port: int, told: Announcement, now: Time) -> None:
        begun.setdefault(port, now.mono_ns)

    VirtualClassic(1, observe=observe).run_for(5)
    assert begun == {7000: SECOND_NS, 8000: 2 * SECOND_NS, 9000: 3 * SECOND_NS}
    begun.clear()
    starts = {7000: 2.5, 8000: 0, 9000: 0.25}
    VirtualClassic(1, starts_s=starts, observe=observe).run_for(5)
    assert begun == {p: round((s + 1) * SECOND_NS) for p, s in starts.items()}


def test_blocks_are_really_mined_broadcast_and_copied() -> None:
    told: list[Announcement] = []
    network = VirtualClassic(1, observe=lambda _port, what, _now: told.append(what))
    network.run_until_height(3)
    assert any(isinstance(what, Created) for what in told)
    assert any(isinstance(what, Copied) for what in told)
    best = max((n.chain for n in network.nodes.values()), key=lambda chain: chain.height)
    assert best.height == 3
    assert best.tip_hash[:2] == b"\0\0"


def test_a_search_takes_as_long_as_its_nonces_at_the_nodes_hash_rate() -> None:
    times: list[int] = []

    def observe(port: int, told: Announcement, now: Time) -> None:
        if isinstance(told, Tried):
            times.append(now.mono_ns)

    network = VirtualClassic(1, ports=(7000,), observe=observe)
    network.mining = set()
    network.run_for(4)
    assert times == [SECOND_NS + n * (SECOND_NS + 1000 * SECOND_NS // HASH_RATE) for n in range(3)]


def test_who_is_not_mining_finds_nothing_and_it_can_be_changed_at_any_time() -> None:
    network = VirtualClassic(1)
    network.mining = {8000}
    network.run_until_height(2)
    chain = network.nodes[8000].chain
    assert [raw[-2:] for raw in chain.blocks[1:]] == [(8000).to_bytes(2, "big")] * 2
    network.mining = set()
    before = chain.height
    network.run_for(200)
    assert max(n.chain.height for n in network.nodes.values()) == before
    network.mining = {9000}
    network.run_until_height(before + 1)
    assert network.nodes[9000].chain.height == before + 1


def test_settling_mines_one_decisive_block_and_ends_in_agreement() -> None:
    network = VirtualClassic(4, link=DatagramLink(latency_ns=400_000_000))
    network.run_until_height(3)
    network.settle()
    assert network.agree()
    heights = {n.chain.height for n in network.nodes.values()}
    assert len(heights) == 1
    assert network.mining == set(PORTS)


def test_settling_a_network_that_stays_cut_ends_with_a_timeout() -> None:
    network = VirtualClassic(1)
    network.run_for(5)
    network.links.partition([7000], [8000, 9000])
    with pytest.raises(TimeoutError):
        network.settle(limit_s=300)


def test_twins_are_no_agreement() -> None:
    network = VirtualClassic(1, ports=(7000, 8000), starts_s={7000: 0, 8000: 0})
    network.links.partition([7000], [8000])
    network.run_until_height(1)
    network.run_for(0)
    one, other = (node.chain for node in network.nodes.values())
    # The same second, the same header, the same turn: the same solution with two rewards.
    assert one.tip_hash == other.tip_hash and one.data != other.data
    assert not network.agree()


def test_the_states_are_those_of_the_nodes() -> None:
    network = VirtualClassic(1, starts_s=dict.fromkeys(PORTS, 0.0))
    assert set(network.states().values()) == {State.SLEEPING}
    network.run_for(0.5)
    assert network.states() == dict.fromkeys(PORTS, State.LISTENING)
    network.run_for(0.5)
    assert network.states() == dict.fromkeys(PORTS, State.SEARCHING)


def test_a_height_that_is_not_reached_in_time_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        VirtualClassic(1).run_until_height(1, limit_s=2)


def test_the_trace_has_the_bytes_of_each_new_tip() -> None:
    network = VirtualClassic(1, ports=(7000,), keep_trace=True)
    network.run_until_height(1)
    chain = network.nodes[7000].chain
    created = [line for line in network.world.trace.lines if " Created " in line]
    line = f"7000 Created CREATE block 1: {chain.tip_hash.hex()}! {chain.blocks[-1].hex()}"
    assert created == [f"{network.world.now_ns} {line}"]


def test_virtual_unix_time_is_in_the_headers() -> None:
    network = VirtualClassic(1, ports=(7000,), starts_s={7000: 7.5})
    network.run_until_height(1)
    header = network.nodes[7000].chain.blocks[1][1:70]
    assert int.from_bytes(header[33:37], "big") == UNIX_START + 7


def test_a_network_at_the_tutorials_pace_needs_the_turns_that_chance_gives_it() -> None:
    network = VirtualClassic(2, ports=(7000,))
    network.run_until_height(8)
    seconds = network.world.now_ns / SECOND_NS
    turns = EXPECTED_HASHES / 1000
    assert 0.3 * 8 * turns < seconds < 3 * 8 * turns


def test_a_full_chain_is_carried_too() -> None:
    network = VirtualClassic(1, starts_s=dict.fromkeys(PORTS, 0.0))
    network.run_for(0.1)
    network.links.send(8000, 7000, chain_of(122).data)
    network.run_for(0.1)
    assert network.nodes[7000].chain == chain_of(122)
    network.run_for(60)
    assert network.agree()
