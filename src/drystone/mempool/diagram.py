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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from drystone.core.linearize import rate_key
from drystone.mempool.cluster import Cluster
from drystone.primitives.hashes import Txid


class Point(NamedTuple):
    """So much weight, and the fees of it."""

    weight: int
    fee: int


def diagram(clusters: Iterable[Cluster]) -> list[Point]:
    """The corners of some clusters' diagram, from the origin on."""
    chunks = [chunk for cluster in clusters for chunk in cluster.chunks]
    return _laid_end_to_end([Point(chunk.weight, chunk.fee) for chunk in chunks])


def rough_diagram(clusters: Iterable[Cluster], place: Mapping[Txid, int]) -> list[Point]:
    """A diagram that is nowhere above the true one, and takes no time to speak of.

    place: where transactions stood before, in an order with no child before its parents. That order
    is kept, those that have no place coming last, and cut into chunks.
    """
    lines: list[Point] = []
    for cluster in clusters:
        ordered = sorted(cluster.entries, key=lambda entry: place.get(entry.tx.txid, len(place)))
        chunks: list[Point] = []
        for entry in ordered:
            weight, fee = entry.weight, entry.modified_fee
            while chunks and fee * chunks[-1].weight > chunks[-1].fee * weight:
                last = chunks.pop()
                weight, fee = weight + last.weight, fee + last.fee
            chunks.append(Point(weight, fee))
        lines += chunks
    return _laid_end_to_end(lines)


def _laid_end_to_end(lines: list[Point]) -> list[Point]:
    """Corners, of lines that go so far and so high, the steepest first."""
    lines.sort(key=lambda line: rate_key(line.fee, line.weight), reverse=True)
    points = [Point(0, 0)]
    for line in lines:
        weight, fee = points[-1]
        points.append(Point(weight + line.weight, fee + line.fee))
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
