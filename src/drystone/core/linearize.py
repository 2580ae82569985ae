"""Which of many things that need each other go first, so that the best paid come early.

Each item has a fee and a size, and needs its parents before it. The order is cut into chunks, each
of which pays a better rate than the next, and goes in whole. This one is optimal: for any size at
which a chunk ends, no other order has more fees by then.

How: take items by their weight against the rate F/S of all of them, `fee * S - size * F`. A set
that needs nothing outside it and has a positive weight pays a better rate than the rest, so it goes
before the rest, and the best such set is the source side of a minimal cut: let each item of
positive weight pay for what it needs until that weighs nothing, and see who has something left.
Both halves are cut further in the same way. If nobody has anything left, all is one rate, and what
has paid for each other can't be taken apart.

Core: cluster_linearize.h, whose Linearize is optimal, too, given time.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

RATE_BITS: Final = 64


class Chunk(NamedTuple):
    """Items that go in together."""

    members: tuple[int, ...]  # parents before children
    fee: int
    size: int


def rate_key(fee: int, size: int) -> int:
    """An integer that orders rates as cross-multiplying does: fee_a * size_b < fee_b * size_a.

    For sizes below 2^32 it is exact, equality included: two rates that differ do so by 1 / (size_a
    * size_b) at least, and these units are smaller.
    """
    return (fee << RATE_BITS) // size


def linearize(
    fees: Sequence[int], sizes: Sequence[int], parents: Sequence[Sequence[int]]
) -> list[Chunk]:
    """All items in chunks, the best rate first, and none before what it needs.

    parents: of each item, all of them items of a lower number. sizes: 1 to 2^32 - 1.
    Of equal rates, the cluster with the lowest number goes first; a chunk is as small as can be.
    """
    chunks = []
    for cluster in clusters(parents):
        if len(cluster) == 1:
            chunks.append(Chunk((cluster[0],), fees[cluster[0]], sizes[cluster[0]]))
            continue
        for members in _cut(cluster, fees, sizes, parents):
            fee, size = sum(fees[i] for i in members), sum(sizes[i] for i in members)
            chunks.append(Chunk(tuple(members), fee, size))
    # Stable, so that chunks of a cluster stay in order where they pay the same.
    chunks.sort(key=lambda chunk: rate_key(chunk.fee, chunk.size), reverse=True)
    return chunks


def clusters(parents: Sequence[Sequence[int]]) -> list[list[int]]:
    """Items that are connected, by whichever way, each cluster in order of number."""
    above = list(range(len(parents)))  # towards the lowest number of the cluster

    def lowest(item: int) -> int:
        while above[item] != item:
            above[item] = above[above[item]]
            item = above[item]
        return item

    for child, needed in enumerate(parents):
        for parent in needed:
            one, other = lowest(child), lowest(parent)
            above[max(one, other)] = min(one, other)
    found: dict[int, list[int]] = {}
    for item in range(len(parents)):
        found.setdefault(lowest(item), []).append(item)
    return list(found.values())


def _cut(
    cluster: list[int],
    fees: Sequence[int],
    sizes: Sequence[int],
    parents: Sequence[Sequence[int]],
) -> list[list[int]]:
    """A cluster's chunks, the best rate first."""
    pieces: list[list[int]] = []
    uncut = [cluster]
    while uncut:
        members = uncut.pop()
        within = set(members)
        fee, size = sum(fees[i] for i in members), sum(sizes[i] for i in members)
        debts = _Debts(
            {i: fees[i] * size - sizes[i] * fee for i in members},
            {i: [parent for parent in parents[i] if parent in within] for i in members},
        )
        better = debts.settle()
        if better:
            uncut.append([i for i in members if i not in better])
            uncut.append([i for i in members if i in better])
        else:
            pieces += debts.inseparable()
    return pieces


class _Debts:
    """Items that pay for what they need: a maximal flow, from those of positive weight.

    weights: fall towards zero as they pay and are paid for. parents: among the same items, each
    of a lower number.
    """

    def __init__(self, weights: dict[int, int], parents: dict[int, list[int]]) -> None:
        self._weights = weights
        self._parents = parents
        self._paid: dict[int, dict[int, int]] = {i: {} for i in weights}  # to whom, by which child

    def settle(self) -> set[int]:
        """Pay all that can be paid; the items that have something left, and all that they need.

        They are the set of most weight, of several the smallest; none if no weight is positive.
        """
        rich: set[int] = set()  # from here nobody in need can be reached, nor ever will be
        for item in self._weights:
            while self._weights[item] > 0 and item not in rich:
                came_from = {item: item}
                needy = self._find_needy(item, came_from, rich)
                if needy is None:
                    rich |= came_from.keys()
                else:
                    self._pay(item, needy, came_from)
        return rich

    def _find_needy(self, item: int, came_from: dict[int, int], rich: set[int]) -> int | None:
        """An item in need that can be reached; came_from is filled with the ways there."""
        stack = [item]
        while stack:
            at = stack.pop()
            if self._weights[at] < 0:
                return at
            for to in self._reach(at):
                if to not in came_from and to not in rich:
                    came_from[to] = at
                    stack.append(to)
        return None

    def _reach(self, item: int) -> Iterator[int]:
        """Whom an item can pay: its parents, and children, whose payment it takes over."""
        yield from self._parents[item]
        for child, amount in self._paid[item].items():
            if amount:
                yield child

    def _pay(self, payer: int, needy: int, came_from: dict[int, int]) -> None:
        """Pay as much as can be paid by this way."""
        steps = []
        at = needy
        while at != payer:
            steps.append((came_from[at], at))
            at = came_from[at]
        amount = min(self._weights[payer], -self._weights[needy])
        for giver, taker in steps:
            if taker > giver:
                amount = min(amount, self._paid[giver][taker])
        self._weights[payer] -= amount
        self._weights[needy] += amount
        for giver, taker in steps:
            if taker < giver:
                self._paid[taker][giver] = self._paid[taker].get(giver, 0) + amount
            else:
                self._paid[giver][taker] -= amount

    def inseparable(self) -> list[list[int]]:
        """When all debts are settled, the smallest sets that can go one after the other.

        They are the strongly connected components of who can pay whom. Gabow's algorithm, which
        finds those first from which no other can be reached: what they need has gone before.
        """
        pieces: list[list[int]] = []
        number: dict[int, int] = {}  # by when an item was entered
        entered: list[int] = []  # items that are in no piece yet
        bounds: list[int] = []  # where in it pieces may begin
        path: list[tuple[int, Iterator[int]]] = []

        def enter(item: int) -> None:
            number[item] = len(number)
            bounds.append(len(entered))
            entered.append(item)
            path.append((item, self._reach(item)))

        done: set[int] = set()
        for root in self._weights:
            if root not in number:
                enter(root)
            while path:
                item, ahead = path[-1]
                to = next(ahead, None)
                if to is None:
                    path.pop()
                    if entered[bounds[-1]] == item:
                        piece = entered[bounds.pop() :]
                        del entered[-len(piece) :]
                        done.update(piece)
                        pieces.append(sorted(piece))
                elif to not in number:
                    enter(to)
                elif to not in done:
                    while number[entered[bounds[-1]]] > number[to]:
                        bounds.pop()
        return pieces
