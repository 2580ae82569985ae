"""What a user does with a network in virtual time."""

import pytest
from tests.support.node_faults import payment

from drystone.consensus.chains import LOCAL, REGTEST, variant
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.time import MILLISECOND_NS, SECOND_NS, Time
from drystone.mining.accounts import account
from drystone.mining.rates import default_hashes_per_s
from drystone.network.virtual import VirtualNetwork
from drystone.node.events import News, NewTip


def test_three_nodes_mine_fork_under_a_partition_heal_and_converge() -> None:
    network = VirtualNetwork(3, seed=7)
    assert {node.tip.height for node in network} == {119}
    network.mine("n0")
    network.wait_until_synced(limit_s=10)
    network.partition(["n0"])
    (lost,) = network.mine("n0", 1)
    kept = network.mine("n1", 2)
    network.wait_until_synced(["n1", "n2"], limit_s=10)
    assert network.tips() == {"n0": lost, "n1": kept[-1], "n2": kept[-1]}
    network.heal()
    assert network.wait_until_synced(limit_s=60) == kept[-1]


def test_the_same_calls_give_the_same_trace_and_another_seed_another() -> None:
    def run(seed: int) -> str:
        network = VirtualNetwork(4, seed=seed, hashes_per_s=default_hashes_per_s(LOCAL))
        network.run_for(60)
        network.reorg(2)
        return network.world.trace.digest()

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize("depth", [1, 3, 10])
def test_a_reorganisation_of_any_depth_is_really_mined(depth: int) -> None:
    tips: list[tuple[str, NewTip]] = []

    def watch(name: str, news: News, _now: Time) -> None:
        if isinstance(news, NewTip):
            tips.append((name, news))

    network = VirtualNetwork(3, watch=watch)
    lost, taken = network.reorg(depth)
    assert set(network.tips().values()) == {taken} and lost != taken
    reorganised = {name: len(told.change.disconnected) for name, told in tips if told.is_reorg}
    assert reorganised == {"n0": depth, "n1": depth}


def test_blocks_come_as_fast_as_the_chain_aims_at() -> None:
    network = VirtualNetwork(3, seed=3, hashes_per_s=default_hashes_per_s(LOCAL))
    network.run_for(11.1 * 200)
    blocks = network["n0"].tip.height - 119
    assert 150 < blocks < 250


def test_a_node_with_twice_the_hash_rate_finds_twice_as_many() -> None:
    network = VirtualNetwork(2, seed=5)
    rate = default_hashes_per_s(LOCAL) // 3
    network.set_hashrate("n0", rate)
    network.set_hashrate("n1", 2 * rate)
    network.run_for(11.1 * 240)
    network.settle()
    chain = network["n0"].chain
    found = {"n0": 0, "n1": 0}
    for height in range(120, chain.height + 1):
        script = chain.block(chain.at(height).hash).coinbase.vout[0].script_pubkey
        found[next(name for name in found if account(name).script_pubkey == script)] += 1
    assert 1.4 < found["n1"] / found["n0"] < 2.8


def test_whoever_rests_finds_nothing() -> None:
    network = VirtualNetwork(2, hashes_per_s=default_hashes_per_s(LOCAL))
    network.pause_mining()
    network.run_for(600)
    assert network["n0"].tip.height == 119
    network.resume_mining()
    network.run_for(120)
    assert network["n0"].tip.height > 119
    network.set_hashrate("n0", 0)
    network.set_hashrate("n1", 0)
    height = network["n0"].tip.height
    network.run_for(600)
    assert network["n0"].tip.height <= height + 1


def test_a_killed_node_comes_back_where_it_was_and_catches_up() -> None:
    network = VirtualNetwork(3)
    network.mine("n0", 3)
    before = network.wait_until_synced()
    network.kill("n2")
    network.mine("n0", 4)
    network.restart("n2")
    assert network["n2"].tip.hash == before
    network.wait_until_synced(limit_s=120)
    assert network["n2"].tip.height == 126


def test_a_payment_reaches_all_and_gets_into_a_block() -> None:
    network = VirtualNetwork(3)
    tx = payment(1, account("dave").script_pubkey)
    assert network.submit("n1", tx).error is None
    network.run_for(60)
    assert all(tx.txid in node.node.mempool for node in network)
    network.mine("n2")
    network.wait_until_synced()
    assert not any(len(node.node.mempool) for node in network)
    again = network.submit("n0", payment(1, account("erin").script_pubkey))
    assert again.error is not None and again.error.reason == "bad-txns-inputs-missingorspent"


def test_of_a_double_spend_one_wins_everywhere() -> None:
    network = VirtualNetwork(4)
    one, other = (payment(1, account(name).script_pubkey) for name in ("dave", "erin"))
    network.submit("n0", one)
    network.submit("n2", other)
    network.run_for(60)
    network.mine("n2")
    network.wait_until_synced()
    assert not any(one.txid in node.node.mempool for node in network)


def test_a_slow_link_is_slow() -> None:
    heard: dict[str, int] = {}

    def watch(name: str, news: News, now: Time) -> None:
        if isinstance(news, NewTip):
            heard[name] = now.mono_ns

    network = VirtualNetwork(2, watch=watch)
    network.set_link("n0", "n1", LinkSettings(latency_ns=700 * MILLISECOND_NS))
    network.mine("n0")
    network.wait_until_synced()
    assert heard["n1"] - heard["n0"] >= 700 * MILLISECOND_NS


def test_disconnected_nodes_stay_so_until_they_are_connected_again() -> None:
    network = VirtualNetwork(2)
    network.disconnect("n0", "n1")
    network.mine("n0", 2)
    network.run_for(300)
    assert network["n1"].tip.height == 119
    network.connect("n1", "n0")
    network.wait_until_synced(limit_s=30)


def test_a_silent_partition_holds_what_is_sent_and_lets_it_go() -> None:
    network = VirtualNetwork(2)
    network.partition(["n0"], silent=True)
    network.mine("n0", 2)
    network.run_for(20)
    assert network["n1"].tip.height == 119
    assert len(network["n1"].node.peers) == 1
    network.heal()
    network.wait_until_synced(limit_s=30)


def test_what_a_block_costs_the_network_does_not_grow_with_the_chain() -> None:
    network = VirtualNetwork(4, params=REGTEST)

    def bytes_sent() -> int:
        conns = [conn for node in network for conn in node.node.peers.values()]
        return sum(conn.peer.traffic.bytes_sent for conn in conns)

    def cost_of_ten() -> int:
        before = bytes_sent()
        for _ in range(10):
            network.mine("n0")
            network.run_for(1)
        return bytes_sent() - before

    def grow(height: int) -> None:
        while network["n0"].tip.height < height:
            network.mine("n0")
            network.wait_until_synced()
        network.run_for(130)  # past a ping
        network.mine("n0", 1)
        network.run_for(1)

    grow(300)
    early = cost_of_ten()
    grow(2_000)
    assert cost_of_ten() == early


def test_regtest_networks_need_no_clock() -> None:
    network = VirtualNetwork(3, params=REGTEST)
    before = network.world.now_ns
    network.mine("n0", 110)
    assert network.world.now_ns == before
    network.wait_until_synced(limit_s=60)
    assert network["n2"].tip.height == 110


def test_a_chain_whose_work_is_assumed_is_not_searched() -> None:
    params = variant(
        REGTEST,
        "assumed",
        pow_assumed=True,
        magic=b"asmd",
        pow_limit=(1 << 200) - 1,
    )
    network = VirtualNetwork(2, params=params)
    network.mine("n0", 3)
    network.wait_until_synced(limit_s=60)


def test_what_takes_too_long_to_search_is_refused_in_one_line() -> None:
    network = VirtualNetwork(1)
    network.set_hashrate("n0", 50_000_000)
    with pytest.raises(UserError, match="takes more than 1048576 hashes"):
        network.run_for(36_000)


def test_a_wait_that_can_not_end_says_so() -> None:
    network = VirtualNetwork(2)
    network.partition(["n0"])
    network.mine("n0")
    with pytest.raises(TimeoutError):
        network.wait_until_synced(limit_s=60)
    assert network.world.now_ns < 100 * SECOND_NS


@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        (lambda n: n.mine("x"), "there is no node x: there are n0, n1"),
        (lambda n: n.partition(["n0", "y"]), "there is no node y"),
        (lambda n: n.add_node("n1"), "there is a node n1 already"),
        (lambda n: n.reorg(0), "a reorganisation takes two nodes and a block at least"),
    ],
)
def test_a_mistake_is_told_in_one_line(mistake: object, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        mistake(VirtualNetwork(2))  # type: ignore[operator]
