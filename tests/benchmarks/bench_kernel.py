"""The nonce search at its best: many short searches by turns, the fastest and the median of each.

    python tests/benchmarks/bench_kernel.py [bitcoin|classic]

`drystone bench hash` measures over a whole second, in which other programs get their share too.
The best of many milliseconds shows what the code can do.
"""

import statistics
import sys
import time

from drystone.kernel import search, variants

HEADER_BYTES = {"bitcoin": 80, "classic": 69}
TURNS = 150
TURN_S = 0.003


def rate(header: bytes, variant: str, count: int) -> float:
    """Hashes per second of one search."""
    start = time.perf_counter()
    search(header, 0, 0, count, variant=variant)
    return count / (time.perf_counter() - start)


def main() -> None:
    """Measure and print a table."""
    layout = sys.argv[1] if len(sys.argv) > 1 else "bitcoin"
    header = bytes(range(HEADER_BYTES[layout]))
    counts = {name: max(500, int(rate(header, name, 5000) * TURN_S)) for name in variants()}
    rates: dict[str, list[float]] = {name: [] for name in counts}
    for _ in range(TURNS):
        for name, count in counts.items():
            rates[name].append(rate(header, name, count))
    best = {name: max(found) for name, found in rates.items()}
    median = {name: statistics.median(found) for name, found in rates.items()}
    print(f"{layout} layout, million hashes per second, one thread")
    print(f"{'variant':16}{'best':>8}{'to python':>11}{'median':>10}{'to python':>11}")
    for name in rates:
        print(
            f"{name:16}{best[name] / 1e6:8.2f}{best[name] / best['python']:10.1f}x"
            f"{median[name] / 1e6:10.2f}{median[name] / median['python']:10.1f}x"
        )


if __name__ == "__main__":
    main()
