"""Full nodes in virtual time, under loss, delay, partitions, crashes and double spends.

Every seed is another run. `tests.support.node_faults` says what goes wrong in it, and checks after
each event that no node gave up work, at each restart that the tip is one that was acknowledged,
each second that memory stays bounded, and at the end that all have the same coins.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.node_faults import KINDS, FaultyNodes
from tests.support.processes import PATIENCE_S, environment

from drystone.network.virtual import VirtualNetwork

ROOT = Path(__file__).parents[2]
RUNS = [
    *[(3, seed) for seed in range(500)],
    *[(5, seed) for seed in range(270)],
    *[(12, seed) for seed in range(170)],
    *[(25, seed) for seed in range(40)],
    *[(50, seed) for seed in range(20)],
]


@pytest.mark.parametrize(("nodes", "seed"), RUNS)
def test_nodes_never_give_up_work_and_agree_after_quiet(nodes: int, seed: int) -> None:
    faulty = FaultyNodes(seed, nodes)
    try:
        faulty.run()
    except BaseException as error:
        error.add_note(f"its trace: python -m tests.support.node_faults {seed} {nodes}")
        raise
    assert len(set(faulty.network.tips().values())) == 1


# Whether the test above tests anything.


def test_the_faults_do_fork_cut_break_crash_and_spend_twice() -> None:
    lines: list[str] = []
    reorganised = confirmed = torn = 0
    for seed in range(15):
        faulty = FaultyNodes(seed, 5, faults=KINDS["rough"], keep_trace=True)
        faulty.run()
        lines += faulty.network.world.trace.lines
        reorganised += faulty.reorganised
        confirmed += faulty.confirmed
        torn += faulty.torn
    assert torn > 2
    assert reorganised > 5
    assert confirmed > 10
    for what in (
        "cut off by a partition",
        "reset by the other side",
        "is killed",
        "dies while it writes",
        "dies while it flushes",
        "dies while it starts",
        "restarts",
        "insufficient fee",
        "conflict",
        "block",
    ):
        assert any(line.endswith(what) for line in lines), what
    assert any(" -2" in line or " -3" in line for line in lines if " tip " in line)


def test_a_node_that_gave_up_work_would_be_noticed() -> None:
    faulty = FaultyNodes(1, 3)
    faulty.network.run_for(50)
    chain = faulty.network["n0"].chain
    chain.invalidate(chain.tip.hash)
    with pytest.raises(AssertionError, match="n0 gave up work"):
        faulty.network.world.step()


def test_a_coin_that_vanished_would_be_noticed() -> None:
    faulty = FaultyNodes(1, 3)
    faulty.run()
    faulty.check_coins()
    chain = faulty.network["n1"].chain
    chain.flush()
    left = dict(chain.coins.items())
    left.popitem()
    chain.coins.items = lambda: iter(left.items())  # type: ignore[method-assign]
    with pytest.raises(AssertionError):
        faulty.check_coins()


def test_a_tip_that_was_not_acknowledged_would_be_noticed() -> None:
    faulty = FaultyNodes(1, 3)
    faulty.network.run_for(50)
    store = faulty._stores["n0"]
    faulty._kill("n0")
    store._below._tip = faulty.network["n0"].chain.at(119).hash  # type: ignore[attr-defined]
    with pytest.raises(AssertionError, match="n0 came back with a tip of its own"):
        faulty._restart("n0")


def test_a_queue_that_is_not_bounded_would_be_noticed() -> None:
    faulty = FaultyNodes(1, 3)
    faulty.network.run_for(50)
    node = faulty.network["n0"].node
    conn = next(iter(node.peers.values()))
    conn.blocks_to_announce.extend([node.chain.tip] * 1_000)
    with pytest.raises(AssertionError, match=r"n0 holds .*one peer's news"):
        faulty.check_memory()


def test_a_link_that_takes_everything_would_be_noticed() -> None:
    faulty = FaultyNodes(1, 3)
    faulty.network.run_for(50)
    end = faulty.network.links._hosts["n0"].ends()[0]
    end.send(bytes(2_000_000))
    with pytest.raises(AssertionError, match="on the way: n0>"):
        faulty.check_memory()


def test_work_that_is_never_done_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = FaultyNodes(1, 3)
    faulty.run()
    node = faulty.network["n1"].node
    next(iter(node.peers.values())).held_bytes = 1
    with pytest.raises(AssertionError, match="bytes unheard of n1"):
        faulty.check_quiet()


# A run is a function of its seed.


def trace_of(seed: int, nodes: int, *, hash_seed: int) -> bytes:
    """The trace as a process of its own prints it, its digest last."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.node_faults", str(seed), str(nodes)],
        cwd=ROOT,
        env=environment(PYTHONHASHSEED=str(hash_seed)),
        stdout=subprocess.PIPE,
        timeout=2 * PATIENCE_S,
        check=True,
    )
    return ended.stdout


@pytest.mark.parametrize("nodes", [3, 20])
def test_the_same_seed_gives_the_same_trace_whatever_the_hash_seed(nodes: int) -> None:
    trace = trace_of(5, nodes, hash_seed=1)
    assert trace.count(b"\n") > 200 and trace.count(b" tip ") >= 3
    assert trace_of(5, nodes, hash_seed=4242) == trace


def test_another_seed_gives_another_trace() -> None:
    digests = set()
    for seed in range(10):
        faulty = FaultyNodes(seed, 3)
        faulty.network.run_for(30)
        digests.add(faulty.network.world.trace.digest())
    assert len(digests) == 10


def test_who_watches_changes_nothing() -> None:
    seen: list[str] = []
    digests = set()
    for watch in (None, lambda name, _news, _now: seen.append(name)):
        network = VirtualNetwork(5, seed=3, hashes_per_s=6_554, watch=watch, keep_trace=bool(watch))
        network.run_for(100)
        digests.add(network.world.trace.digest())
    assert seen
    assert len(digests) == 1
