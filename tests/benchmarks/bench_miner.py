"""How well a budget is kept on this machine, and what the pacing costs.

    python tests/benchmarks/bench_miner.py [--seconds 10] [--threads 1,2]

Each line mines ten seconds for a target that no hash meets. `off` is the deviation from the
budget; `gap` the longest time from one slice to the next as they really came, to be held against
the promised 50 ms; `cpu` the share of one core. Without a budget, `off` is what the miner loses to
the bare kernel, called in as many threads at once.
"""

import argparse
import itertools
import threading
import time

from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS
from drystone.drivers.miner import Miner
from drystone.kernel import Cancel, search
from drystone.mining.budget import Budget
from drystone.mining.ranges import Job, Range

BUDGETS = (10, 100, 1000, 6554, 10**5, 10**6, None)
HEADERS = tuple(number.to_bytes(80, "little") for number in range(100))
NEVER = 0


class Watched(Budget):
    """A budget that notes when its slices come."""

    def __init__(self, hashes_per_s: int | None, seed: int) -> None:
        super().__init__(hashes_per_s, Stream(seed))
        self.slices_ns: list[int] = []

    def take(self, now_ns: int, at_most: int) -> int:
        """Take as ever; a new due time betrays a new slice."""
        due_ns = self.due_ns
        taken = super().take(now_ns, at_most)
        if self.due_ns != due_ns:
            self.slices_ns.append(now_ns)
        return taken

    def longest_gap_ms(self) -> float:
        """From one slice to the next."""
        slices = self.slices_ns
        return max((b - a for a, b in itertools.pairwise(slices)), default=0) / 1e6


def bare_kernel(threads: int, seconds: float) -> float:
    """Hashes per second of the kernel alone: the same long searches in each thread."""
    count = 1 << 20
    done = [0] * threads
    stop = Cancel()

    def work(number: int) -> None:
        start = 0
        while not stop.is_set():
            search(HEADERS[number], NEVER, start, count, cancel=stop)
            if not stop.is_set():
                done[number] += count
                start = (start + count) % (1 << 32)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    time.sleep(seconds)
    stop.set()
    for worker in workers:
        worker.join()
    return sum(done) / (time.monotonic() - began)


def line(hashes_per_s: int | None, threads: int, seconds: float, bare: float) -> str:
    """Mine for so long and report."""
    budget = Watched(hashes_per_s, seed=threads)
    job = Job(NEVER, tuple(Range(header) for header in HEADERS))
    with Miner(budget, threads=threads) as miner:
        miner.start(job)
        time.sleep(0.2)  # the first slices
        cpu, before, began = time.process_time_ns(), miner.hashes, time.monotonic_ns()
        time.sleep(seconds)
        done, lasted = miner.hashes - before, time.monotonic_ns() - began
        cpu = time.process_time_ns() - cpu
    rate = done * SECOND_NS / lasted
    wanted = hashes_per_s or bare
    name = "unlimited" if hashes_per_s is None else f"{hashes_per_s:,}"
    return (
        f"{threads:>7} {name:>12} {rate:>14,.1f} {100 * (rate / wanted - 1):>+8.2f} %"
        f" {budget.longest_gap_ms():>8.1f} ms {100 * cpu / lasted:>7.1f} %"
    )


def slowest_cancel_ms(threads: int) -> float:
    """From cancelling to the moment at which all threads have come back, the worst of fifty."""
    slowest = 0
    for _ in range(50):
        miner = Miner(Budget(None, Stream(1)), threads=threads)
        miner.start(Job(NEVER, tuple(Range(header) for header in HEADERS)))
        time.sleep(0.1)
        began = time.monotonic_ns()
        miner.close()
        slowest = max(slowest, time.monotonic_ns() - began)
    return slowest / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", default="1,2")
    options = parser.parse_args()
    print(f"{'threads':>7} {'budget H/s':>12} {'done H/s':>14} {'off':>10} {'gap':>11} {'cpu':>9}")
    for threads in map(int, options.threads.split(",")):
        bare = bare_kernel(threads, options.seconds / 2)
        for hashes_per_s in BUDGETS:
            print(line(hashes_per_s, threads, options.seconds, bare), flush=True)
        print(f"{threads:>7} {'bare kernel':>12} {bare:>14,.1f}")
        print(f"{threads:>7} slowest of 50 cancellations: {slowest_cancel_ms(threads):.1f} ms")


if __name__ == "__main__":
    main()
