"""How fast, and in how much memory, full nodes run in virtual time.

    python tests/benchmarks/bench_network.py [--nodes 1000] [--blocks 144] [--rounds 5] [--quick]

Each figure is taken in a process of its own, since what has been loaded once costs nothing more.
Time is the wall's, the least of the rounds; the large network runs once.
"""

import argparse
import gc
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

from drystone.consensus.chains import LOCAL
from drystone.core.time import SECOND_NS, Time
from drystone.mining.rates import default_hashes_per_s
from drystone.network.virtual import VirtualNetwork
from drystone.p2p.framing import Frame
from drystone.p2p.peer import Peer
from drystone.p2p.results import Result

DEGREE = 8
MESSAGES_NODES, MESSAGES_BLOCKS = 100, 60


def large(nodes: int) -> VirtualNetwork:
    """Nodes that mine, each connected to eight chosen by chance."""
    return VirtualNetwork(
        nodes, seed=1, hashes_per_s=default_hashes_per_s(LOCAL), topology=f"random:{DEGREE}"
    )


def until_height(network: VirtualNetwork, height: int) -> None:
    """Let them mine that far."""
    first = next(iter(network))
    while first.tip.height < height:
        network.run_for(10)


# What is measured, each in its own process. They print what `figure` reads.


def ready(_: argparse.Namespace) -> None:
    """Three nodes until the handshakes are done; then a partition, two branches, heal, converge."""
    start = time.perf_counter_ns()
    network = VirtualNetwork(3)
    is_ready = time.perf_counter_ns()
    assert all(conn.is_ready for node in network for conn in node.node.peers.values())
    assert [len(node.node.peers) for node in network] == [2, 2, 2]
    assert network["n0"].tip.height == 119
    begin = time.perf_counter_ns()
    network.partition(["n0"], ["n1", "n2"])
    network.mine("n0", 1)
    network.mine("n1", 2)
    network.heal()
    network.wait_until_synced()
    end = time.perf_counter_ns()
    assert network["n0"].tip.height == 121
    print((is_ready - start) / 1e6, (end - begin) / 1e6)


def messages(_: argparse.Namespace) -> None:
    """Messages a second. They are counted in one run, and the next one, the same, is timed."""
    taken = 0
    take = Peer._take

    def counting(self: Peer, frame: Frame, now: Time, results: list[Result]) -> None:
        nonlocal taken
        taken += 1
        take(self, frame, now, results)

    digests = []
    elapsed_s = 0.0
    for counts in (True, False):
        Peer._take = counting if counts else take  # type: ignore[method-assign]
        network = large(MESSAGES_NODES)
        start = time.perf_counter()
        until_height(network, 119 + MESSAGES_BLOCKS)
        elapsed_s = time.perf_counter() - start
        digests.append(network.world.trace.digest())
        del network
        gc.collect()
    assert digests[0] == digests[1]
    print(taken / elapsed_s, taken)


def thousand(args: argparse.Namespace) -> None:
    """A thousand nodes, 144 blocks."""
    start = time.perf_counter()
    network = large(args.nodes)
    built = time.perf_counter()
    until_height(network, 119 + args.blocks)
    end = time.perf_counter()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tips = len(set(network.tips().values()))
    print(end - start, peak_mb, built - start, network.world.now_ns / SECOND_NS, tips)
    print(network.world.trace.digest(), network.world.trace.events, file=sys.stderr)


MEASURES: dict[str, Callable[[argparse.Namespace], None]] = {
    measure.__name__: measure for measure in (ready, messages, thousand)
}


def figures(name: str, args: argparse.Namespace, **environment: str) -> list[float]:
    """What a process of its own prints."""
    command = [sys.executable, __file__, "--measure", name]
    command += ["--nodes", str(args.nodes), "--blocks", str(args.blocks)]
    env = os.environ | environment
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=env)
    return [float(word) for word in ended.stdout.split()]


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--blocks", type=int, default=144)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="without the large network")
    parser.add_argument("--measure", choices=MEASURES, help="one figure, in this process")
    args = parser.parse_args()
    if args.measure:
        MEASURES[args.measure](args)
        return
    for kernel in ("native", "python"):
        rounds = [figures("ready", args, DRYSTONE_KERNEL=kernel) for _ in range(args.rounds)]
        for column, what in enumerate(("three nodes ready", "partition, heal, converge")):
            best = min(round_[column] for round_ in rounds)
            print(f"{what + ', kernel ' + kernel:<44} {best:10.1f} ms   bar: 50 at most")
    rate, count = max(figures("messages", args) for _ in range(2))
    print(f"{f'messages ({count:,.0f})':<44} {rate:10,.0f} /s   bar: 50,000 at least")
    if not args.quick:
        elapsed_s, peak_mb, _built, _, _ = figures("thousand", args)
        what = f"{args.nodes} nodes x {args.blocks} blocks"
        print(f"{what:<44} {elapsed_s:10.1f} s    bar: 60 at most")
        print(f"{what + ', memory':<44} {peak_mb:10,.0f} MB   bar: 500 at most")


if __name__ == "__main__":
    main()
