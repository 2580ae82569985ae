"""What every network does, in virtual time and over TCP: the same tests for both."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from drystone.consensus.chains import REGTEST
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.time import MILLISECOND_NS
from drystone.mining.accounts import account
from drystone.network import AsyncNetwork, LiveNetwork, Network, VirtualNetwork

AnyNetwork = VirtualNetwork | LiveNetwork


@pytest.fixture(params=[False, True], ids=["virtual", "live"])
def network(request: pytest.FixtureRequest) -> Iterator[AnyNetwork]:
    if request.param:
        with Network(3, live=True, params=REGTEST) as network:
            yield network
    else:
        yield Network(3, params=REGTEST)


def test_it_begins_connected_and_in_agreement(network: AnyNetwork) -> None:
    assert network.missing_connections() == []
    assert len(network.connections()) == 3
    assert set(network.tips().values()) == {REGTEST.genesis_hash}


def test_mined_blocks_reach_all_and_pay_whom_they_should(network: AnyNetwork) -> None:
    blocks = network.mine("n1", 2, to="alice")
    assert network.wait_until_synced() == blocks[-1]
    (reward,) = network["n0"].chain.block(blocks[0]).vtx[0].vout[:1]
    assert reward.script_pubkey == account("alice").script_pubkey


def test_both_sides_of_a_cut_go_on_and_the_heavier_wins(network: AnyNetwork) -> None:
    network.partition(["n0"])
    assert network.is_cut("n0", "n1")
    (lost,) = network.mine("n0")
    kept = network.mine("n1", 2)
    network.wait_until_synced(["n1", "n2"])
    assert network.tips()["n0"] == lost
    network.heal()
    assert network.wait_until_synced() == kept[-1]
    network.wait_until_connected()


@pytest.mark.parametrize("depth", [1, 5])
def test_a_reorganisation_is_as_deep_as_asked_for(network: AnyNetwork, depth: int) -> None:
    network.mine("n0", 3)
    lost, taken = network.reorg(depth)
    assert set(network.tips().values()) == {taken}
    assert network["n0"].tip.height == 3 + depth + 1
    assert [block.hash for block in network.tree("n0") if not block.is_active][-1] == lost
    assert not network.is_mining_paused


def test_whoever_is_killed_has_gone_and_comes_back_where_it_was(network: AnyNetwork) -> None:
    network.mine("n0", 3)
    network.wait_until_synced()
    network.kill("n2")
    assert set(network.tips()) == {"n0", "n1"}
    with pytest.raises(UserError, match="n2 does not run: restart it first"):
        network.mine("n2")
    network.mine("n0", 2)
    network.restart("n2")
    network.wait_until_synced()
    assert network["n2"].tip.height == 5
    network.wait_until_connected()


def test_miners_find_blocks_rest_and_go_on(network: AnyNetwork) -> None:
    network.set_hashrate("n0", 40)
    network.wait_for_height(2)
    network.pause_mining()
    height = network["n0"].tip.height
    network.wait_until_synced()
    assert network["n0"].tip.height <= height + 1  # one was found in that moment
    network.resume_mining()
    network.wait_for_height(height + 2)
    network.set_hashrate("n0", 0)


def test_time_is_set_and_goes_on_and_blocks_have_it(network: AnyNetwork) -> None:
    before = network.clock().unix_s
    network.advance(5_000)
    assert network.clock().unix_s >= before + 5_000
    network.mine("n0")
    assert network["n0"].tip.header.time >= before + 5_000
    network.wait_until_synced()
    network.set_time(before + 2_000)
    assert before + 2_000 <= network.clock().unix_s < before + 2_060


def test_links_and_nodes_come_and_go(network: AnyNetwork) -> None:
    network.add_node("late")
    network.connect("late", "n1")
    network.set_link("late", "n1", LinkSettings(latency_ns=5 * MILLISECOND_NS))
    network.mine("n0", 3)
    network.wait_until_synced()
    network.disconnect("n1", "late")
    network.mine("n0")
    network.wait_until_synced(["n0", "n1", "n2"])
    assert network.tips()["late"] != network.tips()["n0"]


@pytest.mark.parametrize("live", [False, True], ids=["virtual", "live"])
def test_mining_at_once_on_local_moves_the_clock_and_not_the_difficulty(*, live: bool) -> None:
    network = Network(2, live=True) if live else Network(2)
    try:
        before = network.clock().unix_s
        network.mine("n0", 30)
        network.wait_until_synced()
        assert network.clock().unix_s >= before + 300
        bits = {network["n1"].chain.at(height).header.bits for height in (119, 149)}
        assert len(bits) == 1 or network["n1"].chain.at(149).chainwork
    finally:
        if isinstance(network, LiveNetwork):
            network.close()


def mistakes(network: AnyNetwork) -> Iterator[tuple[str, object]]:
    yield "there is no node n9: there are n0, n1, n2", lambda: network.mine("n9")
    yield "there is a node n0 already", lambda: network.add_node("n0")
    yield "a reorganisation takes two nodes", lambda: network.reorg(0)
    yield "a hash rate can't be negative", lambda: network.set_hashrate("n0", -1)
    yield "time is advanced by", lambda: network.advance(-1)


def test_mistakes_are_told_in_one_line(network: AnyNetwork) -> None:
    for line, mistake in mistakes(network):
        assert callable(mistake)
        with pytest.raises(UserError, match=line):
            mistake()


def test_a_wait_that_can_not_end_says_so(network: AnyNetwork) -> None:
    with pytest.raises(TimeoutError):
        network.wait_for_height(1, limit_s=0.2)


def test_a_live_network_keeps_its_state_in_a_directory(tmp_path: Path) -> None:
    with Network(2, live=True, params=REGTEST, datadir=tmp_path) as network:
        network.mine("n0", 5)
        network.wait_until_synced()
        network.kill("n1")
        network.restart("n1")
        assert network["n1"].tip.height == 5
        tips = network.tips()
    with Network(2, live=True, params=REGTEST, datadir=tmp_path) as network:
        assert network.tips() == tips
        network.mine("n1")
        network.wait_until_synced()
    with (
        Network(1, live=True, params=REGTEST, datadir=tmp_path),
        pytest.raises(UserError, match="is in use by process"),
    ):
        Network(1, live=True, params=REGTEST, datadir=tmp_path)


def verbs(kind: type[object]) -> dict[str, list[str]]:
    """Public methods, and the names of their parameters."""
    return {
        name: list(inspect.signature(function).parameters)
        for name, function in vars(kind).items()
        if inspect.isfunction(function) and not name.startswith("_")
    }


def test_all_kinds_of_network_have_the_same_verbs() -> None:
    virtual, awaited, threaded = map(verbs, (VirtualNetwork, AsyncNetwork, LiveNetwork))
    own = {  # of one world alone
        "add_node", "clock", "close", "stop", "told", "solved", "run_for", "run_until", "settle",
    }  # fmt: skip
    for name in (virtual.keys() | awaited.keys() | threaded.keys()) - own:
        assert virtual[name] == awaited[name] == threaded[name], name
