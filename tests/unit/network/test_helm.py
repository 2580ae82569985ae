"""Orders carried out on live nodes over TCP, on regtest, in one process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from drystone.cli.hosting import board_of
from drystone.cli.net import request_from_words
from drystone.consensus.chains import LOCAL, REGTEST
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.network.board import Board
from drystone.network.helm import Done, Helm
from drystone.network.live import AsyncNetwork

Say = Callable[[str], Awaitable[Done]]


def steered(
    scenario: Callable[[AsyncNetwork, Board, Say], Awaitable[None]],
    *,
    nodes: int = 3,
    params: Params = REGTEST,
    datadir: Path | None = None,
) -> list[tuple[str, Mapping[str, Any]]]:
    """Run a scenario that says orders as they are typed; what the helm told."""
    told: list[tuple[str, Mapping[str, Any]]] = []

    async def run() -> None:
        async with AsyncNetwork(nodes, params=params, datadir=datadir) as network:
            board = board_of(network)
            network.watch = lambda name, news, now: void(board.observe(name, news, now))
            for name in network.nodes:
                board.joined(name)
            helm = Helm(network, board, tell=lambda line, fields: told.append((line, fields)))

            async def say(words: str) -> Done:
                return await helm.perform(request_from_words(words.split()))

            await scenario(network, board, say)

    asyncio.run(asyncio.wait_for(run(), 60))
    return told


def void(_value: object) -> None:
    pass


def test_a_cut_two_branches_and_a_heal() -> None:
    async def scenario(network: AsyncNetwork, board: Board, say: Say) -> None:
        assert (await say("partition n0")).said == "cut: n0 | n1 n2"
        assert (await say("mine n0")).said.startswith("n0 has mined block 1 ")
        done = await say("mine n1 2")
        assert done.result["height"] == 2 and len(done.result["hashes"]) == 2
        await say("wait n1 n2")
        assert not (await say("tips")).result["agreed"]
        tree = (await say("tree --heights 5")).said.splitlines()
        assert tree[1:] == [" ·  1  1   n1 n2", " ╰─ 0      n0"]
        with pytest.raises(TimeoutError, match=r"not agreed within 0.2 s: n0 1, n1 2, n2 2"):
            await say("wait --limit 0.2")
        await say("heal")
        done = await say("wait")
        assert done.said.startswith("n0, n1, n2 agree on block 2 ")
        assert (await say("tips")).result["agreed"]
        blocks = (await say("tree")).result["blocks"]
        assert [(b["height"], b["miner"], b["branch"]) for b in blocks] == [
            (0, None, 0),
            (1, "n1", 0),
            (2, "n1", 0),
            (1, "n0", 1),
        ]

    told = steered(scenario)
    assert [fields["verb"] for _, fields in told] == ["partition", "mine", "mine", "heal"]


def test_a_reorganisation_of_three_blocks() -> None:
    async def scenario(network: AsyncNetwork, board: Board, say: Say) -> None:
        done = await say("reorg 3 --on n1")
        assert done.said.startswith("reorganised: 3 blocks up to ")
        assert done.result["taken"] == network["n0"].tip.hash[::-1].hex()
        assert board.tallies["n0"].deepest == 3
        assert (await say("status")).result["agreed"]

    steered(scenario)


def test_miners_are_set_paused_and_resumed() -> None:
    async def scenario(network: AsyncNetwork, board: Board, say: Say) -> None:
        await say("pause")
        assert board.is_paused and network.is_mining_paused
        await say("hashrate n2 50")
        await asyncio.sleep(0.2)
        assert network["n0"].tip.height == 0
        await say("resume")
        done = await say("wait --height 3 --limit 30")
        assert done.said == "n0, n1, n2 have reached 3"
        assert (await say("hashrate n2 0")).said == "n2 mines no more"
        assert board.row("n2").mined >= 3

    steered(scenario)


def test_a_killed_node_comes_back_on_what_it_had(tmp_path: Path) -> None:
    async def scenario(network: AsyncNetwork, board: Board, say: Say) -> None:
        await say("mine n0 2")
        await say("wait")
        await say("kill n1")
        assert "killed at 2" in (await say("status")).said
        with pytest.raises(UserError, match="n1 does not run: restart it first"):
            await say("mine n1")
        await say("mine n2")
        assert (await say("restart n1")).said.startswith("n1 has restarted at block ")
        await say("wait --height 3")

    steered(scenario, datadir=tmp_path)


def test_a_node_is_added_connected_and_disconnected() -> None:
    async def scenario(network: AsyncNetwork, board: Board, say: Say) -> None:
        await say("mine n0 2")
        assert (await say("add dave")).result["node"] == "dave"
        await say("connect dave n0")
        await say("wait dave --height 2")
        assert ("n0", "dave") in {(link.one, link.other) for link in board.links()}
        await say("disconnect dave n0")
        await network.wait_until(lambda: board.row("dave").peers == 0)
        for name in ("n0", "da/ve", "x" * 40):
            with pytest.raises(UserError):
                await say(f"add {name}")

    steered(scenario, nodes=2)


def test_links_and_clocks_are_set() -> None:
    async def scenario(network: AsyncNetwork, board: Board, say: Say) -> None:
        said = (await say("link n0 n1 --latency 200 --jitter 5 --loss 0.1")).said
        assert said == "link n0-n1: 200 ms, up to 5 ms more, 10% of packets lost"
        before_s = network.clock().unix_s
        await say("advance 600")
        assert network.clock().unix_s >= before_s + 600
        await say("time 2000000000")
        assert 0 <= network.clock().unix_s - 2_000_000_000 < 5
        with pytest.raises(UserError, match="a link's loss is a share"):
            await say("link n0 n1 --loss 2")

    steered(scenario, nodes=2)


def test_accounts_pay_and_cheat_on_local() -> None:
    async def scenario(network: AsyncNetwork, board: Board, say: Say) -> None:
        done = await say("send alice bob 1.5 --via n1 --fee-rate 5")
        assert done.result["amount_sat"] == 150_000_000
        accounts = (await say("accounts")).result["accounts"]
        assert list(accounts) == ["alice", "bob", "carol"]
        assert "everybody knows" in (await say("accounts")).said
        await say("partition n0")
        done = await say("double-spend carol bob alice 1 --via n0 --via n2")
        assert done.result["via"] == ["n0", "n2"]
        (race,) = board.races
        assert {e.name: e.label for e in board.standings(race)} | {"n1": ""} == {
            "n0": "bob",
            "n1": "",
            "n2": "alice",
        }
        await say("mine n0")
        await say("mine n2 2")
        await say("heal")
        await say("wait")
        assert {(e.label, e.height) for e in board.standings(race)} == {("alice", 120)}
        with pytest.raises(UserError):
            await say("send dave bob 1")

    steered(scenario, params=LOCAL)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("mine n9", "there is no node n9: there are n0, n1"),
        ("partition n0,n9", "there is no node n9"),
        ("hashrate n9 5", "there is no node n9"),
        ("reorg 20000", "a reorganisation gives up 10,000 blocks at most"),
        ("mine n0 20000", "20,000 blocks are too many at once"),
        ("restart n9", "there is no node n9"),
        ("connect n0 127.0.0.1:x", "is no address"),
        ("connect n0 n9", "there is no node n9"),
        ("disconnect n0 n9", "there is no node n9"),
        ("link n0 n9", "there is no node n9"),
        ("wait n9", "there is no node n9"),
        ("accounts a/b", "can't name an account|is no account"),
    ],
)
def test_what_can_not_be_done_is_refused_and_the_network_goes_on(
    words: str, complaint: str
) -> None:
    async def scenario(network: AsyncNetwork, board: Board, say: Say) -> None:
        with pytest.raises(UserError, match=complaint):
            await say(words)
        await say("mine n1")
        await say("wait --height 1")

    assert [fields["verb"] for _, fields in steered(scenario, nodes=2)] == ["mine"]
