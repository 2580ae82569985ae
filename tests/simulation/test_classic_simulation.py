"""The tutorial's network in virtual time, under loss, delay, reordering and partitions.

Every seed is another run. `tests.support.classic_faults` says what goes wrong in it, and checks
after each event that no node gave its chain up for one that is not longer and valid.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.classic import chain_of, solve
from tests.support.classic_faults import FaultyNetwork, replayable
from tests.support.processes import PATIENCE_S, environment

from drystone.classic.block import reward_block
from drystone.classic.chain import GENESIS_CHAIN, Chain

ROOT = Path(__file__).parents[2]
SEEDS = range(200)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("nodes", [3, 30])
def test_nodes_never_take_a_shorter_chain_and_agree_after_quiet_and_one_decisive_block(
    nodes: int, seed: int
) -> None:
    with replayable(seed, nodes):
        faulty = FaultyNetwork(seed, nodes)
        faulty.run()
        assert faulty.network.agree()


# Whether the test above tests anything.


def test_the_faults_do_lose_reorder_cut_and_fork() -> None:
    lines: list[str] = []
    reorganised = 0
    for seed in range(8):
        faulty = FaultyNetwork(seed, 3, keep_trace=True)
        faulty.run()
        lines += faulty.network.world.trace.lines
        reorganised += faulty.copied_over
    assert sum(line.endswith(" lost") for line in lines) > 20
    assert sum(line.endswith(" arrives") for line in lines) > 20
    assert any("not-longer" in line for line in lines)
    assert reorganised > 3


def replace_chain(faulty: FaultyNetwork, chain: Chain) -> None:
    """Tamper with one node behind its back, and let one more thing happen."""
    faulty.network.nodes[7000].chain = chain
    faulty.network.world.step()


def test_a_node_that_took_a_shorter_chain_would_be_noticed() -> None:
    faulty = FaultyNetwork(1, 3)
    replace_chain(faulty, chain_of(3))
    for shorter in (chain_of(3, branch=1), chain_of(2), GENESIS_CHAIN):
        with pytest.raises(AssertionError, match=f"gave up 3 blocks for {len(shorter.blocks)}"):
            replace_chain(faulty, shorter)


def test_a_node_that_took_an_invalid_chain_would_be_noticed() -> None:
    faulty = FaultyNetwork(1, 3)
    elsewhere = reward_block(solve(bytes(32), 1), 7000)
    with pytest.raises(ValueError, match="block 1 does not build on the one before it"):
        replace_chain(faulty, GENESIS_CHAIN.extended(elsewhere))


def test_a_failure_tells_its_seed_and_how_to_see_it_again() -> None:
    with pytest.raises(AssertionError) as failed, replayable(17, 30):
        raise AssertionError("gave up 3 blocks for 2")
    (note,) = failed.value.__notes__
    assert note == "seed 17, 30 nodes; its trace: python -m tests.support.classic_faults 17 30"


# A run is a function of its seed.


def trace_of(seed: int, nodes: int, *, hash_seed: int) -> bytes:
    """The trace as a process of its own prints it."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.classic_faults", str(seed), str(nodes)],
        cwd=ROOT,
        env=environment(PYTHONHASHSEED=str(hash_seed)),
        stdout=subprocess.PIPE,
        timeout=2 * PATIENCE_S,
        check=True,
    )
    return ended.stdout


@pytest.mark.parametrize("nodes", [3, 30])
def test_the_same_seed_gives_the_same_trace_whatever_the_hash_seed(nodes: int) -> None:
    trace = trace_of(5, nodes, hash_seed=1)
    assert trace.count(b"\n") > 200 and trace.count(b" Created ") >= 3
    assert trace_of(5, nodes, hash_seed=4242) == trace


def test_another_seed_gives_another_trace() -> None:
    digests = set()
    for seed in range(10):
        faulty = FaultyNetwork(seed, 3)
        faulty.network.run_for(30)
        digests.add(faulty.network.world.trace.digest())
    assert len(digests) == 10
    assert trace_of(5, 3, hash_seed=1) != trace_of(6, 3, hash_seed=1)


def test_who_watches_changes_nothing() -> None:
    plain, watched = FaultyNetwork(3, 3), FaultyNetwork(3, 3, keep_trace=True)
    seen = 0

    def observe(*_: object) -> None:
        nonlocal seen
        seen += 1

    watched.network.observe = observe
    for faulty in (plain, watched):
        faulty.run()
    assert seen > 100
    assert plain.network.world.trace.digest() == watched.network.world.trace.digest()
