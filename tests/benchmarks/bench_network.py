"""How fast, and in how much memory, full nodes run in virtual time.

    python tests/benchmarks/bench_network.py [--nodes 1000] [--blocks 144] [--rounds 5] [--quick]

Each figure is taken in a process of its own, since what has been loaded once costs nothing more.
Time is the wall's, the least of the rounds, and beside it the process's own, which other work on
the machine disturbs less; the large network runs once.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

from drystone.consensus.chains import LOCAL
from drystone.mining.rates import default_hashes_per_s
from drystone.network.virtual import VirtualNetwork

DEGREE = 8
FIRST = "n0"  # whose height it goes by
MESSAGES_NODES, MESSAGES_BLOCKS = 100, 60


def large(nodes: int) -> VirtualNetwork:
    """Nodes that mine, each connected to eight chosen by chance."""
    return VirtualNetwork(
        nodes, seed=1, hashes_per_s=default_hashes_per_s(LOCAL), topology=f"random:{DEGREE}"
    )


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
    """Messages a second: what nodes send while they mine, once all have shaken hands."""
    network = large(MESSAGES_NODES)
    traffic = network.links.traffic.values()
    sent = sum(one.sends for one in traffic)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    network.wait_for_height(119 + MESSAGES_BLOCKS, [FIRST])
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    sent = sum(one.sends for one in traffic) - sent
    print(sent / wall_s, sent / cpu_s, sent)


def thousand(args: argparse.Namespace) -> None:
    """Many nodes, many blocks, from the first node's making on."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    network = large(args.nodes)
    network.wait_for_height(119 + args.blocks, [FIRST])
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(wall_s, cpu_s, peak_mb)


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
    for kernel, chosen in (("native", {}), ("python", {"DRYSTONE_KERNEL": "python"})):
        rounds = [figures("ready", args, **chosen) for _ in range(args.rounds)]
        for column, what in enumerate(("three nodes ready", "partition, heal, converge")):
            best = min(round_[column] for round_ in rounds)
            show(f"{what}, kernel {kernel}", f"{best:.1f} ms", "50 at most")
    wall, cpu, count = max(figures("messages", args) for _ in range(min(args.rounds, 3)))
    show(f"{count:,.0f} messages, a second", f"{wall:,.0f}", "50,000 at least", f"{cpu:,.0f}")
    if not args.quick:
        wall_s, cpu_s, peak_mb = figures("thousand", args)
        what = f"{args.nodes:,} nodes x {args.blocks} blocks"
        show(what, f"{wall_s:.1f} s", "60 at most", f"{cpu_s:.1f} s")
        show(f"{what}, memory", f"{peak_mb:,.0f} MB", "500 at most")


def show(what: str, figure: str, bar: str, own: str = "") -> None:
    """A row: what was measured, by the wall's clock, by the process's own, and the bar."""
    print(f"{what:<42} {figure:>12} {own:>12}   bar: {bar}")


if __name__ == "__main__":
    main()
