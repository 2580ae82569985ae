"""Live networks of 3, 8 and 30 nodes, and nodes that are processes of their own and get killed."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from tests.support.processes import environment

from drystone.consensus.chains import LOCAL, REGTEST
from drystone.network import AsyncNetwork

LIMIT_S = 60.0


@pytest.mark.parametrize(
    ("count", "topology"), [(3, "ring"), (8, "ring"), (30, "random:4"), (30, "star")]
)
def test_so_many_nodes_fork_heal_and_agree(count: int, topology: str) -> None:
    async def scenario() -> None:
        async with AsyncNetwork(count, params=REGTEST, topology=topology, seed=5) as network:
            assert network.missing_connections() == []
            first, last = "n0", f"n{count - 1}"
            await network.mine(first, 2)
            await network.wait_until_synced()
            network.partition([last])
            (lost,) = await network.mine(last)
            kept = await network.mine(first, 2)
            network.heal()
            await network.wait_for_reorg(lost)
            assert await network.wait_until_synced() == kept[-1]

    asyncio.run(scenario())


def test_thirty_nodes_that_compete_come_to_agree() -> None:
    async def scenario() -> None:
        async with AsyncNetwork(30, hashes_per_s=200_000, topology="random:4", seed=9) as network:
            assert network.params == LOCAL
            await network.wait_for_height(122)
            network.pause_mining()
            # Two branches may be as good; one more block decides.
            await network.mine("n0")
            await network.wait_until_synced()

    asyncio.run(scenario())


class NodeProcess:
    """A node in a process, with what it has said."""

    def __init__(self, name: str, datadir: Path, port: int = 0) -> None:
        self.name = name
        self._datadir = datadir
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.node_process", name, str(datadir), str(port)],
            cwd=Path(__file__).parents[3],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        # Whoever waits for a line in vain reads the end of all lines.
        self._limit = threading.Timer(LIMIT_S, self._process.kill)
        self._limit.start()
        self.last: dict[str, Any] = {}
        self.hear()
        self.begins = int(self.last["height"])
        self.address = str(self.last["address"])

    def hear(self) -> None:
        """Read the next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self.name} has ended, or says nothing"
        self.last = json.loads(line)

    def hear_of(self, height: int) -> str:
        """Its tip, once that is as high."""
        while self.last["height"] < height:
            self.hear()
        return str(self.last["tip"])

    def tell(self, order: str) -> None:
        """Give it an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """As nothing can be done about."""
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(LIMIT_S) == -signal.SIGKILL

    def again(self) -> Self:
        """A new process on what this one has left, at the same port."""
        return type(self)(self.name, self._datadir, int(self.address.rpartition(":")[2]))

    def end(self) -> None:
        """End it, if it still runs."""
        self._limit.cancel()
        with self._process as process:
            if process.poll() is None:
                process.kill()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[dict[str, NodeProcess]]:
    """Three nodes, each in its own process, in a ring; all end with the test."""
    nodes: dict[str, NodeProcess] = {}
    try:
        for name in ("a", "b", "c"):
            nodes[name] = NodeProcess(name, tmp_path)
        connect(nodes)
        yield nodes
    finally:
        for node in nodes.values():
            node.end()


def connect(nodes: dict[str, NodeProcess]) -> None:
    for one, other in (("a", "b"), ("b", "c"), ("c", "a")):
        nodes[one].tell(f"connect {nodes[other].address}")


def test_whichever_process_is_killed_comes_back_with_its_chain_and_catches_up(
    processes: dict[str, NodeProcess],
) -> None:
    processes["a"].tell("mine 10")
    tips = {node.hear_of(10) for node in processes.values()}
    assert len(tips) == 1
    height = 10
    for victim, survivor in (("a", "b"), ("b", "c"), ("c", "a")):
        processes[victim].kill()
        processes[survivor].tell("mine 2")
        height += 2
        processes[survivor].hear_of(height)
        killed = processes[victim]
        processes[victim] = killed.again()
        killed.end()
        assert processes[victim].begins == height - 2  # what it had told of was on the disk
        connect(processes)
        tips = {node.hear_of(height) for node in processes.values()}
        assert len(tips) == 1


def test_all_killed_while_they_mine_go_on_together(
    processes: dict[str, NodeProcess], tmp_path: Path
) -> None:
    for node in processes.values():
        node.tell("mine 1000000")
    for node in processes.values():
        node.hear_of(30)
    heights = {name: node.last["height"] for name, node in processes.items()}
    for node in processes.values():
        node.kill()
        node.end()

    async def together() -> None:
        async with AsyncNetwork(params=REGTEST, datadir=tmp_path) as network:
            for name, told in heights.items():
                node = await network.add_node(name)
                assert node.tip.height >= told
            network.connect("a", "b")
            network.connect("b", "c")
            await network.mine("a")
            await network.wait_until_synced()

    asyncio.run(together())
