"""How well a budget is kept on this machine, and what the pacing costs.

    python tests/benchmarks/bench_miner.py [--seconds 10] [--threads 1,2]

Each line mines ten seconds for a target that no hash meets. `off` is the deviation from the
budget; `gap` the longest time from one slice to the next as they really came, to be held against
the promised 50 ms; `cpu` the share of one core. Without a budget, the miner and the bare kernel in
as many threads take turns of a second; `off` compares what they do in a second of the clock, and
the line below in a second of the processor, which other programs disturb less.
"""

import argparse
import itertools
import threading
import time
from typing import NamedTuple

from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS
from drystone.drivers.miner import Miner
from drystone.kernel import Cancel, search
from drystone.mining.budget import Budget
from drystone.mining.pace import TURN_NS
from drystone.mining.ranges import Job, Range

BUDGETS = (10, 100, 1000, 6554, 10**5, 10**6)
HEADERS = tuple(number.to_bytes(80, "little") for number in range(100))
NEVER = 0


class Watched(Budget):
    """A budget that notes when its slices come."""

    def __init__(self, hashes_per_s: int, seed: int) -> None:
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


class Measured(NamedTuple):
    """What was done, in how long, with how much of the processor."""

    hashes: int
    wall_ns: int
    cpu_ns: int

    def __add__(self, other: tuple[int, ...]) -> "Measured":  # type: ignore[override]
        return Measured(*map(sum, zip(self, other, strict=True)))


NOTHING = Measured(0, 0, 0)


def bare_kernel(threads: int, seconds: float) -> Measured:
    """The kernel alone: long searches in each thread."""
    count = 1 << 18
    done = [0] * threads
    end_ns = time.monotonic_ns() + int(seconds * SECOND_NS)

    def work(number: int) -> None:
        while time.monotonic_ns() < end_ns:
            search(HEADERS[number], NEVER, done[number], count)
            done[number] += count

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    began, cpu = time.monotonic_ns(), time.process_time_ns()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return Measured(sum(done), time.monotonic_ns() - began, time.process_time_ns() - cpu)


def mined(budget: Budget, threads: int, seconds: float) -> Measured:
    """A miner, once it has found its pace."""
    with Miner(budget, threads=threads) as miner:
        miner.start(Job(NEVER, tuple(Range(header) for header in HEADERS)))
        time.sleep(0.3)
        cpu, before, began = time.process_time_ns(), miner.hashes, time.monotonic_ns()
        time.sleep(seconds)
        done, lasted = miner.hashes - before, time.monotonic_ns() - began
        return Measured(done, lasted, time.process_time_ns() - cpu)


def paced(hashes_per_s: int, threads: int, seconds: float) -> None:
    """Mine within a budget and report."""
    budget = Watched(hashes_per_s, seed=threads)
    done = mined(budget, threads, seconds)
    report(threads, f"{hashes_per_s:,}", done, hashes_per_s, f"{budget.longest_gap_ms():.1f} ms")


def unlimited(threads: int, seconds: float) -> None:
    """Mine without a budget, in turns with the bare kernel, and report."""
    bare = free = NOTHING
    for _ in range(round(seconds)):
        bare += bare_kernel(threads, 1)
        free += mined(Budget(None, Stream(1)), threads, 1)
    bare_per_s = bare.hashes * SECOND_NS / bare.wall_ns
    report(threads, "bare kernel", bare, bare_per_s)
    report(threads, "unlimited", free, bare_per_s)
    lost = 1 - (free.hashes / free.cpu_ns) / (bare.hashes / bare.cpu_ns)
    print(f"{threads:>7} {'':>12} {100 * lost:.2f} % fewer hashes per second of the processor")


def turn_cost_us() -> float:
    """What a thread does between two searches, with a search that does nothing."""
    turns = 0

    def no_search(
        header: bytes,
        target: int,
        start: int,
        count: int,
        *,
        cancel: Cancel,
    ) -> None:
        nonlocal turns
        turns += 1

    with Miner(Budget(None, Stream(1)), search=no_search) as miner:
        miner.start(Job(NEVER, tuple(Range(header) for header in HEADERS) * 10_000))
        time.sleep(1)
    return 1e6 / turns


def report(threads: int, name: str, done: Measured, wanted: float, gap: str = "") -> None:
    """One line of the table."""
    rate = done.hashes * SECOND_NS / done.wall_ns
    off, cpu = 100 * (rate / wanted - 1), 100 * done.cpu_ns / done.wall_ns
    print(f"{threads:>7} {name:>12} {rate:>14,.1f} {off:>+8.2f} % {gap:>11} {cpu:>7.1f} %")


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
        for hashes_per_s in BUDGETS:
            paced(hashes_per_s, threads, options.seconds)
        unlimited(threads, options.seconds)
        print(f"{threads:>7} slowest of 50 cancellations: {slowest_cancel_ms(threads):.1f} ms")
    print(f"between two searches of {TURN_NS / 1e6:.0f} ms: {turn_cost_us():.1f} us")


if __name__ == "__main__":
    main()
