"""Solutions found within a budget are exponentially distributed in time.

The hashes are real, the time is virtual. Each verdict is the Kolmogorov-Smirnov test's: the
largest distance between the intervals' distribution and the one they should have. Everything
follows from a seed, so a test that has passed once always will.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import pytest

from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS
from drystone.kernel import search
from drystone.mining.budget import Budget
from drystone.mining.ranges import Range, Ranges

EXPECTED_HASHES = 256
TARGET = (1 << 256) // EXPECTED_HASHES - 1
HASHES_PER_S = 256
MEAN_S = EXPECTED_HASHES / HASHES_PER_S
FINDS = 2000

# The distance that one sample in a thousand exceeds, if the sample is what it is said to be.
CRITICAL = 1.95 / math.sqrt(FINDS)


def find_times(node: str, finds: int = FINDS, hashes_per_s: int = HASHES_PER_S) -> list[float]:
    """When a node finds its solutions, in seconds; after each it goes on with a new header."""
    budget = Budget(hashes_per_s, Stream(1, node))
    found: list[float] = []
    now, ranges = 0, Ranges([header(node, 0)])
    while len(found) < finds:
        hashes = budget.take(now, ranges.in_reach)
        if not hashes:
            assert budget.due_ns is not None
            now = budget.due_ns
            continue
        piece = ranges.take(hashes)
        nonce = search(piece.header, TARGET, piece.start, piece.count)
        if nonce is not None:
            budget.give_back(piece.start + piece.count - nonce - 1)
            found.append(now / SECOND_NS)
            ranges = Ranges([header(node, len(found))])
    return found


def header(node: str, number: int) -> Range:
    return Range(f"{node}, find {number}".encode().ljust(80, b"\0"))


def intervals(times: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise([0.0, *times])]


def exponential(x: float) -> float:
    """The share of intervals that are at most x; the mean is known, not estimated from them."""
    return 1 - math.exp(-x / MEAN_S)


def distance(sample: Sequence[float], share: Callable[[float], float]) -> float:
    """Kolmogorov and Smirnov's: the sample's distribution is a staircase, look at both corners."""
    n = len(sample)
    corners = [
        (share(x) - below / n, (below + 1) / n - share(x)) for below, x in enumerate(sorted(sample))
    ]
    return max(map(max, corners))


@pytest.fixture(scope="module")
def times() -> dict[str, list[float]]:
    return {node: find_times(node) for node in ("one", "other")}


def test_intervals_between_finds_are_exponential(times: dict[str, list[float]]) -> None:
    for found in times.values():
        assert distance(intervals(found), exponential) < CRITICAL


def test_an_interval_says_nothing_about_the_next(times: dict[str, list[float]]) -> None:
    """After a long interval the next is as an interval ever is: no find is ever overdue."""
    pairs = list(itertools.pairwise(intervals(times["one"])))
    after_long = [later for earlier, later in pairs if earlier > MEAN_S]
    assert len(after_long) > FINDS / 4
    assert distance(after_long, exponential) < 1.95 / math.sqrt(len(after_long))


def test_finds_of_two_nodes_are_not_aligned(times: dict[str, list[float]]) -> None:
    """From one node's find to the other's next is as long as from any moment: exponential."""
    mine, theirs = times["one"], times["other"]
    last = theirs[-1]
    waits = [next(at for at in theirs if at >= since) - since for since in mine if since < last]
    assert len(waits) > FINDS * 0.9
    assert distance(waits, exponential) < CRITICAL


def test_two_nodes_together_find_as_one_of_twice_the_rate(times: dict[str, list[float]]) -> None:
    end = min(found[-1] for found in times.values())
    both = sorted(at for found in times.values() for at in found if at <= end)
    twice = [2 * each for each in intervals(both)]
    assert distance(twice, exponential) < 1.95 / math.sqrt(len(twice))


@pytest.mark.parametrize(
    "unlike",
    [
        pytest.param([MEAN_S] * FINDS, id="regular"),
        pytest.param([2 * MEAN_S * n / FINDS for n in range(FINDS)], id="uniform"),
        pytest.param(
            [-1.15 * MEAN_S * math.log(1 - n / FINDS) for n in range(FINDS)], id="15 % too slow"
        ),
        pytest.param(
            [-MEAN_S * math.log(1 - n / FINDS) // 0.3 * 0.3 for n in range(FINDS)],
            id="on a grid of 300 ms",
        ),
    ],
)
def test_the_verdict_can_be_guilty(unlike: list[float]) -> None:
    assert distance(unlike, exponential) > CRITICAL


def test_the_verdict_can_be_innocent() -> None:
    perfect = [-MEAN_S * math.log(1 - (n + 0.5) / FINDS) for n in range(FINDS)]
    assert distance(perfect, exponential) < 1 / FINDS
