"""What every network does, in virtual time and over TCP: the same tests for both."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from drystone.consensus.chains import REGTEST
from drystone.consensus.pow import block_work
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.time import MILLISECOND_NS, SECOND_NS
from drystone.mining.accounts import account
from drystone.network import AsyncNetwork, LiveNetwork, Network, VirtualNetwork
from drystone.node.events import NewTip

AnyNetwork = VirtualNetwork | LiveNetwork


@pytest.fixture(params=[False, True], ids=["virtual", "live"])
def any_kind(request: pytest.FixtureRequest) -> Iterator[Callable[..., AnyNetwork]]:
    """Makes networks of one world, which end with the test."""
    with ExitStack() as ends:

        def make(nodes: int, **options: Any) -> AnyNetwork:
            if request.param:
                return ends.enter_context(LiveNetwork(nodes, **options))
            return VirtualNetwork(nodes, **options)

        yield make


@pytest.fixture
def network(any_kind: Callable[..., AnyNetwork]) -> AnyNetwork:
    return any_kind(3, params=REGTEST)


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


def test_mining_at_once_on_local_moves_the_clock_and_not_the_difficulty(
    any_kind: Callable[..., AnyNetwork],
) -> None:
    network = any_kind(2)
    before = network.clock().unix_s
    network.mine("n0", 30)
    network.wait_until_synced()
    assert network.clock().unix_s >= before + 300
    before_bits, after_bits = (network["n1"].chain.at(h).header.bits for h in (119, 149))
    # The rule looks at 19 intervals, of 10 s now, as if they were 20: one twentieth, no leap.
    assert 0.9 < block_work(before_bits) / block_work(after_bits) < 1.1


def test_a_node_that_is_stopped_keeps_its_mempool_and_one_that_is_killed_does_not(
    any_kind: Callable[..., AnyNetwork],
) -> None:
    network = any_kind(2)
    paid = network.send("alice", "bob", "1").tx
    network.wait_for_transaction(paid)
    for name in network.nodes:  # both, so that none can tell the other
        network.stop(name)
    with pytest.raises(UserError, match="no node runs: add one, or restart one"):
        network.wait_until_synced()
    for name in network.nodes:
        network.restart(name)
        assert paid.txid in network[name].node.mempool
    network.restart("n1")  # one that runs is stopped first
    assert paid.txid in network["n1"].node.mempool
    for name in network.nodes:
        network.kill(name)
    for name in network.nodes:
        network.restart(name)
        assert paid.txid not in network[name].node.mempool
    network.wait_until_connected()


def test_who_is_disconnected_while_being_dialled_is_not_connected(network: AnyNetwork) -> None:
    for name in ("one", "two"):
        network.add_node(name)
    network.connect("one", "two")
    network.disconnect("one", "two")
    network.connect("two", "n0")
    network.wait_until_connected()
    network.mine("n0", 2)
    network.wait_until_synced(["n0", "n1", "n2", "two"])  # time enough for it, too
    assert len(network["one"].node.peers) == 0
    network.connect("one", "two")
    network.wait_until_connected()
    network.wait_until_synced()


def test_nodes_that_are_down_are_not_waited_for(network: AnyNetwork) -> None:
    network.kill("n0")
    (mined,) = network.mine("n1")
    assert network.wait_until_synced() == mined
    network.wait_for_height(1)
    network.wait_for_block(mined)
    for wait in (network.wait_until_synced, partial(network.wait_for_height, 1)):
        with pytest.raises(UserError, match="n0 does not run: restart it first"):
            wait(names=["n0", "n1"])


def test_waits_for_a_block_and_for_one_that_is_given_up(network: AnyNetwork) -> None:
    network.partition(["n0"])
    (lost,) = network.mine("n0")
    kept = network.mine("n1", 2)
    network.wait_for_block(kept[-1], ["n1", "n2"])
    with pytest.raises(TimeoutError, match=r"\(n0 at 1, .*; n1 at 2, .*; n2 at 2, .*\)"):
        network.wait_for_reorg(lost, limit_s=0.05)
    network.heal()
    network.wait_for_reorg(lost)
    network.wait_for_block(kept[0])


def test_a_reorganisation_leaves_a_cut_alone(network: AnyNetwork) -> None:
    network.partition(["n0"])
    with pytest.raises(UserError, match="the network is cut already: heal it"):
        network.reorg(1)
    assert network.is_cut("n0", "n1")
    assert not network.is_mining_paused
    network.heal()
    network.reorg(2, on="n1")
    assert not network.is_cut("n0", "n1")


def test_news_are_read_one_after_another(network: AnyNetwork) -> None:
    news = network.news(["n2"], limit_s=20)
    everything = network.news()
    blocks = network.mine("n0", 2)
    tip = None
    while tip != blocks[-1]:
        heard = next(news)
        assert heard.name == "n2"
        if isinstance(heard.news, NewTip):
            tip = heard.news.change.new.hash
    names: set[str] = set()
    while names < {"n0", "n1", "n2"}:
        names.add(next(everything).name)
    with pytest.raises(UserError, match="there is no node n9"):
        network.news(["n9"])


def test_whoever_waits_for_news_in_vain_is_told(network: AnyNetwork) -> None:
    with pytest.raises(TimeoutError):
        list(islice(network.news(limit_s=0.1), 1_000))


def test_a_link_that_loses_much_still_brings_all(network: AnyNetwork) -> None:
    for one, other in network.connections():
        network.set_link(one, other, LinkSettings.in_ms(latency_ms=2, jitter_ms=2, loss=0.1))
    blocks = network.mine("n0", 3)
    assert network.wait_until_synced() == blocks[-1]


def test_time_goes_on_in_parts_of_a_second(network: AnyNetwork) -> None:
    before = network.clock()
    for _ in range(8):
        network.advance(0.25)
    after = network.clock()
    assert after.unix_s - before.unix_s >= 2
    assert after.mono_ns - before.mono_ns >= 2 * SECOND_NS


def mistakes(network: AnyNetwork) -> Iterator[tuple[str, object]]:
    link = LinkSettings()
    yield "there is no node n9: there are n0, n1, n2", lambda: network.mine("n9")
    yield "there is no node n9", lambda: network.connect("n0", "n9")
    yield "there is no node n9", lambda: network.connect("n9", "n0")
    yield "there is no node n9", lambda: network.disconnect("n0", "n9")
    yield "there is no node n9", lambda: network.set_link("n0", "n9", link)
    yield "there is no node n9", lambda: network.partition(["n0"], ["n9"])
    yield "there is no node n9", lambda: network.reorg(1, on="n9")
    yield (
        "a connection joins two nodes: n0 has none with itself",
        (lambda: network.connect("n0", "n0")),
    )
    yield "n0 is named twice", lambda: network.partition(["n0"], ["n1", "n0"])
    yield "there is a node n0 already", lambda: network.add_node("n0")
    yield "'../n' can't name a node", lambda: network.add_node("../n")
    yield "'' can't name a node", lambda: network.add_node("")
    yield "-1 blocks can't be mined", lambda: network.mine("n0", -1)
    yield "a reorganisation takes two nodes", lambda: network.reorg(0)
    yield "a hash rate can't be negative", lambda: network.set_hashrate("n0", -1)
    yield "time is advanced by", lambda: network.advance(-1)
    yield "time is advanced by", lambda: network.advance(float("nan"))


def test_mistakes_are_told_in_one_line(network: AnyNetwork) -> None:
    for line, mistake in mistakes(network):
        assert callable(mistake)
        with pytest.raises(UserError, match=line):
            mistake()
    assert list(network.nodes) == ["n0", "n1", "n2"]
    assert len(network.connections()) == 3


def test_names_that_are_free_are_taken(network: AnyNetwork) -> None:
    network.add_node("n4")
    assert [network.add_node().name for _ in range(2)] == ["n5", "n6"]


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
        for name, function in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_all_kinds_of_network_have_the_same_verbs() -> None:
    virtual, awaited, threaded = map(verbs, (VirtualNetwork, AsyncNetwork, LiveNetwork))
    own = {  # of one world alone
        "add_node", "changed", "clock", "close", "told", "solved", "run_for", "run_until", "settle",
    }  # fmt: skip
    for name in (virtual.keys() | awaited.keys() | threaded.keys()) - own:
        assert virtual[name] == awaited[name] == threaded[name], name
