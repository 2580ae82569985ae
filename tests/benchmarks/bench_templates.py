"""How long a miner's node takes for a template, and for a block where the search takes no time.

    python tests/benchmarks/bench_templates.py [--rounds 7]

Times are this process's own, the best of some rounds. Bar: 1,000 regtest blocks mined and connected
in 0.5 s, which leaves 500 microseconds for a block; connecting is measured elsewhere.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.mining import candidate

from drystone.consensus.chains import LOCAL, REGTEST
from drystone.consensus.deployments import StateCache
from drystone.consensus.params import Params
from drystone.core.chance import Stream
from drystone.core.linearize import linearize
from drystone.drivers.history import local_history
from drystone.mining.search import job_from_template, solve
from drystone.mining.selection import Candidate, Chunk, chunks_from_candidates
from drystone.mining.template import Template, assemble
from drystone.primitives.block import BlockHeader
from drystone.primitives.script import p2wpkh


def best_us(work: Callable[[], object], rounds: int, repeats: int) -> float:
    """Microseconds of one call."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(repeats):
            work()
        best = min(best, (time.process_time() - began) / repeats)
    return best * 1e6


STATES: StateCache = {}


def template(params: Params, chunks: Sequence[Chunk] | None = None) -> Template:
    """On a chain of 500 headers, all alike: in the midst of a period of regtest."""
    headers: list[BlockHeader] = [params.genesis.header] * 501
    return assemble(
        500,
        headers.__getitem__,
        median_time=headers[0].time,
        now=headers[0].time + 600,
        script_pubkey=p2wpkh(bytes(20)),
        params=params,
        chunks=chunks,
        states=STATES,
    )


def transactions(count: int) -> list[Candidate]:
    """Of small size; every third is the child of the one before."""
    stream = Stream(1, "candidates")
    made: list[Candidate] = []
    for number in range(count):
        needs = made[-1:] if number % 3 == 2 else []
        made.append(candidate(number, fee=200 + stream.below(5000), needs=needs, padding=100))
    return made


def cluster(count: int) -> tuple[list[int], list[int], list[list[int]]]:
    """As big as a mempool lets them be, each item in need of up to three others."""
    stream = Stream(1, "cluster")
    parents = [sorted({stream.below(n) for _ in range(3)}) if n else [] for n in range(count)]
    fees = [stream.below(10_000) for _ in range(count)]
    return fees, [100 + stream.below(900) for _ in range(count)], parents


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    regtest, local = template(REGTEST), template(LOCAL)
    candidates = transactions(4000)
    chunks = chunks_from_candidates(candidates)
    big = cluster(64)
    works: list[tuple[str, Callable[[], object], int]] = [
        ("an empty template on regtest", lambda: template(REGTEST), 2000),
        ("its block, search included", lambda: solve(regtest), 2000),
        ("a job of one range", lambda: job_from_template(local), 2000),
        ("4,000 transactions in chunks", lambda: chunks_from_candidates(candidates), 1),
        ("a template with their chunks", lambda: template(REGTEST, chunks), 1),
        ("chunks of a cluster of 64", lambda: linearize(*big), 20),
        ("the history of local, read", local_history.__wrapped__, 3),
    ]
    for name, work, repeats in works:
        print(f"{name:32} {best_us(work, rounds, repeats):10,.1f} us", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
