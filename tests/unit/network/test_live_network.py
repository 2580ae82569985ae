"""Full nodes over TCP, in one process."""

import asyncio
import time

from tests.support.node_faults import payment

from drystone.consensus.chains import LOCAL, REGTEST
from drystone.mining.accounts import account
from drystone.network.live import AsyncNetwork
from drystone.node.events import PeerReady


async def ring_of(network: AsyncNetwork, count: int) -> list[str]:
    """Nodes in a ring, all connected."""
    names = [(await network.add_node()).name for _ in range(count)]
    pairs = list(zip(names, [*names[1:], names[0]], strict=True))[: 1 if count == 2 else count]
    for one, other in pairs:
        network.connect(one, other)
    peers = 1 if count == 2 else 2
    await network.wait_until(
        lambda: all(
            sum(conn.is_ready for conn in node.node.peers.values()) == peers for node in network
        ),
        limit_s=20,
    )
    return names


def test_three_live_nodes_mine_fork_under_a_partition_heal_and_converge() -> None:
    async def scenario() -> None:
        async with AsyncNetwork(params=REGTEST) as network:
            await ring_of(network, 3)
            await network.mine("n0", 3)
            await network.wait_until_synced()
            network.partition(["n0"])
            (lost,) = await network.mine("n0")
            kept = await network.mine("n1", 2)
            await network.wait_until_synced(["n1", "n2"])
            assert network.tips()["n0"] == lost
            network.heal()
            assert await network.wait_until_synced() == kept[-1]

    asyncio.run(scenario())


def test_live_nodes_of_local_have_its_history_and_pay_each_other() -> None:
    async def scenario() -> None:
        async with AsyncNetwork() as network:
            await ring_of(network, 3)
            assert network["n2"].node.chain.height == 119
            tx = payment(1, account("dave").script_pubkey)
            assert (await network["n0"].submit(tx)).error is None
            await network.mine("n0")
            await network.wait_until_synced()
            assert tx.txid in {
                one.txid for one in network["n2"].node.chain.block(network.tips()["n2"]).vtx
            }

    asyncio.run(scenario())


def test_live_miners_find_blocks_by_their_budget() -> None:
    async def scenario() -> None:
        async with AsyncNetwork(params=REGTEST) as network:
            await ring_of(network, 2)
            network.set_hashrate("n0", 40)
            network.set_hashrate("n1", 40)
            await network.wait_until(lambda: network["n0"].node.chain.height >= 3, limit_s=30)
            for name in network.nodes:
                network.set_hashrate(name, 0)
            await network.wait_until(lambda: network["n1"].node.chain.height >= 3, limit_s=30)

    asyncio.run(scenario())


def test_a_thousand_blocks_are_synchronised_over_tcp() -> None:
    async def scenario() -> None:
        async with AsyncNetwork(params=REGTEST) as network:
            await network.add_node("old")
            await network.mine("old", 1_000)
            await network.add_node("new")
            network.connect("new", "old")
            await network.wait_until_synced()
            assert network["new"].node.chain.height == 1_000

    asyncio.run(scenario())


def test_a_network_ends_at_once_and_leaves_nothing() -> None:
    ready: list[str] = []

    def watch(name: str, news: object, _now: object) -> None:
        if isinstance(news, PeerReady):
            ready.append(name)

    async def scenario() -> float:
        async with AsyncNetwork(params=LOCAL, watch=watch) as network:
            await ring_of(network, 2)
            began = time.monotonic()
        return time.monotonic() - began

    assert asyncio.run(scenario()) < 5
    assert sorted(ready) == ["n0", "n1"]
