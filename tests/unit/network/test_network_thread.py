"""The thread of a live network: it ends with its user, however that ends."""

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from drystone.consensus.chains import REGTEST
from drystone.core.errors import UserError
from drystone.network import AsyncNetwork, LiveNetwork
from drystone.network.live_node import LiveNode


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "network"]


def are_gone_soon() -> bool:
    ends = time.monotonic() + 10
    while threads() and time.monotonic() < ends:
        time.sleep(0.005)
    return not threads()


def test_an_error_in_the_block_comes_out_and_the_network_has_ended() -> None:
    with pytest.raises(ZeroDivisionError), LiveNetwork(2, params=REGTEST):
        raise ZeroDivisionError
    assert threads() == []


def test_a_network_that_is_closed_says_so_and_closes_again() -> None:
    network = LiveNetwork(1, params=REGTEST)
    network.close()
    network.close()
    with pytest.raises(UserError, match="the network is closed"):
        network.mine("n0")


def test_one_that_is_forgotten_ends() -> None:
    network = LiveNetwork(1, params=REGTEST)
    assert len(threads()) == 1
    del network
    gc.collect()
    assert are_gone_soon()


def test_one_whose_own_thread_finds_it_forgotten_ends() -> None:
    network = LiveNetwork(1, params=REGTEST)
    circle: list[object] = [network]
    circle.append(circle)
    in_its_thread = network._loop._loop.call_soon_threadsafe
    collected = threading.Event()

    def collect() -> None:
        gc.collect()
        collected.set()

    gc.disable()
    try:
        del network, circle
        in_its_thread(collect)
        assert collected.wait(5)
    finally:
        gc.enable()
    assert are_gone_soon()


def test_one_that_can_not_begin_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "n1").write_text("not a folder")
    with pytest.raises(UserError):
        LiveNetwork(2, params=REGTEST, datadir=tmp_path)
    assert threads() == []
    with LiveNetwork(1, params=REGTEST, datadir=tmp_path):
        pass  # n0's folder is not locked any more


def test_whoever_waits_for_a_network_that_is_closed_meanwhile_is_told() -> None:
    network = LiveNetwork(1, params=REGTEST)
    closing = threading.Timer(0.1, network.close)
    closing.start()
    with pytest.raises(UserError, match="the network is closed"):
        network.wait_until(lambda: False)
    closing.join()


def test_it_can_not_be_used_from_what_it_calls() -> None:
    told: list[str] = []

    def watch(*_news: object) -> None:
        if not told:
            try:
                network.tips()
            except UserError as error:
                told.append(str(error))

    network = LiveNetwork(1, params=REGTEST, watch=watch)
    with network:
        network.mine("n0")
    assert told == ["the network can't be used from its own thread, as in `watch`"]


def test_a_node_that_fails_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = LiveNode.run

    async def run(node: LiveNode) -> None:
        if node.name == "n1":
            raise ZeroDivisionError
        await begin(node)

    network = LiveNetwork(1, params=REGTEST)
    monkeypatch.setattr(LiveNode, "run", run)
    network.add_node("n1")
    with pytest.raises(RuntimeError, match="the network has failed"):
        network.wait_until(lambda: False)
    with pytest.raises(ExceptionGroup) as failure:
        network.close()
    assert failure.group_contains(ZeroDivisionError)
    assert threads() == []


def test_a_loop_that_closes_just_now_is_a_network_that_is_closed() -> None:
    network = LiveNetwork(1, params=REGTEST)
    network.close()
    network._loop._is_over = False  # what the thread says a moment after
    with pytest.raises(UserError, match="the network is closed"):
        network.tips()


def python(program: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


BEGINS = """
from pathlib import Path
from drystone.network import Network
network = Network(2, live=True, chain="regtest", datadir=Path("kept"))
network.mine("n0", 3)
network.wait_until_synced()
print("ready", flush=True)
"""


@pytest.mark.parametrize(
    ("ends", "status", "said"),
    [
        ("", 0, ""),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("raise SystemExit(3)", 3, ""),
        ("network.add_node('n0')", 1, "UserError: there is a node n0 already\n"),
    ],
    ids=["end", "error", "exit", "mistake"],
)
def test_a_program_that_ends_without_closing_it_ends_and_all_is_kept(
    tmp_path: Path, ends: str, status: int, said: str
) -> None:
    process = python(BEGINS + ends, tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "ready\n")
    assert err.endswith(said)
    assert bool(err) == bool(said)
    with LiveNetwork(2, params=REGTEST, datadir=tmp_path / "kept") as network:
        assert [node.tip.height for node in network] == [3, 3]
        assert list((tmp_path / "kept").rglob("mempool.dat"))  # written in good order


@pytest.mark.parametrize(
    "waits",
    [
        "network.wait_until(lambda: False)",
        "network.mine('n0', 10**9)",
        "import time; time.sleep(99)",
    ],
    ids=["waits", "mines", "sleeps"],
)
def test_ctrl_c_ends_whatever_is_going_on(tmp_path: Path, waits: str) -> None:
    process = python(BEGINS + waits, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert err.endswith("KeyboardInterrupt\n")
    assert "Task was destroyed" not in err
    assert "Exception ignored" not in err
    with LiveNetwork(2, params=REGTEST, datadir=tmp_path / "kept") as network:
        assert network["n0"].tip.height >= 3


def test_an_interrupted_start_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def for_ever(*_arguments: object, **_more: object) -> None:
        me = threading.main_thread().ident
        assert me is not None
        signal.pthread_kill(me, signal.SIGINT)
        await asyncio.sleep(100)

    with monkeypatch.context() as patch:
        patch.setattr("drystone.network.live.AsyncNetwork.wait_until_connected", for_ever)
        with pytest.raises(KeyboardInterrupt):
            LiveNetwork(2, params=REGTEST, datadir=tmp_path)
    assert are_gone_soon()
    with LiveNetwork(2, params=REGTEST, datadir=tmp_path) as network:
        network.mine("n0")


def test_a_node_killed_in_the_moment_it_begins_is_down(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with AsyncNetwork(1, params=REGTEST, datadir=tmp_path) as network:
            node = await network.add_node("n1")
            await network.kill("n1")
            assert not node.is_up
            await network.restart("n1")
            network.connect("n0", "n1")
            await network.mine("n0")
            await network.wait_until_synced()

    asyncio.run(scenario())
