"""Fee rate diagrams: how much a miner earns with the best of a mempool, for any size of block.

Chunks are laid end to end, the best fee rate first, each a straight line from where the last ended:

```
fees |            __.--'   one set of transactions is better than another if its line is higher
     |      __.--'         somewhere and lower nowhere; past its last chunk a line goes on level
     |   .-'
     | ./
     +------------------- weight
```
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from drystone.core.linearize import rate_key
from drystone.mempool.cluster import Cluster


class Point(NamedTuple):
    """So much weight, and the fees of it."""

    weight: int
    fee: int


def diagram(clusters: Iterable[Cluster]) -> list[Point]:
    """The corners of some clusters' diagram, from the origin on."""
    chunks = [chunk for cluster in clusters for chunk in cluster.chunks]
    chunks.sort(key=lambda chunk: rate_key(chunk.fee, chunk.weight), reverse=True)
    points = [Point(0, 0)]
    for chunk in chunks:
        weight, fee = points[-1]
        points.append(Point(weight + chunk.weight, fee + chunk.fee))
    return points


def improves(new: Sequence[Point], old: Sequence[Point]) -> bool:
    """Whether one diagram is higher than the other somewhere, and lower nowhere.

    Core: CompareChunks.
    """
    is_better = False
    for ahead in differences(new, old):
        if ahead < 0:
            return False
        is_better = is_better or ahead > 0
    return is_better


def differences(new: Sequence[Point], old: Sequence[Point]) -> Iterator[int]:
    """At each corner of either, a number with the sign of how much higher the new one is there."""
    for point in new:
        fee, scale = _height(old, point.weight)
        yield point.fee * scale - fee
    for point in old:
        fee, scale = _height(new, point.weight)
        yield fee - point.fee * scale


def _height(points: Sequence[Point], weight: int) -> tuple[int, int]:
    """A diagram's height at some weight: a fee, and what it is to be divided by."""
    before = points[0]
    for point in points:
        if point.weight >= weight:
            width = point.weight - before.weight
            if not width:
                return point.fee, 1
            rise = (point.fee - before.fee) * (weight - before.weight)
            return before.fee * width + rise, width
        before = point
    return points[-1].fee, 1
