"""Who is connected to whom: pure functions from names to pairs, the one who dials first.

None joins a pair twice, and each leaves every node within reach of every other.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from drystone.core.chance import Stream
from drystone.core.errors import UserError

Pair = tuple[str, str]

TOPOLOGIES: Final = ("ring", "star", "line", "full", "random")
USUAL_DEGREE: Final = 8  # of `random`; Core: MAX_OUTBOUND_FULL_RELAY_CONNECTIONS
MOST_INBOUND: Final = 114  # a node takes no more from those who dial it

_SWAPS_PER_PAIR = 10  # after which a regular graph has forgotten where it came from


def topology(description: str, names: Sequence[str], seed: int = 0) -> tuple[Pair, ...]:
    """The pairs of a topology as people write it: ring, star, line, full, random or random:DEGREE.

    Raises UserError.
    """
    kind, _, degree = description.partition(":")
    if kind not in TOPOLOGIES or (degree and kind != "random"):
        raise UserError(
            f"no topology {description!r}: there are {', '.join(TOPOLOGIES)}, and random:4 gives"
            " each node 4 neighbours"
        )
    match kind:
        case "ring":
            return ring(names)
        case "star":
            return star(names)
        case "line":
            return line(names)
        case "full":
            return full(names)
    if not description.partition(":")[1]:
        return random_regular(names, usual_degree(len(names)), seed)
    if not (degree.isascii() and degree.isdigit() and len(degree) < 6):
        raise UserError(f"topology {description}: a whole number of neighbours must follow random:")
    return random_regular(names, int(degree), seed)


def ring(names: Sequence[str]) -> tuple[Pair, ...]:
    """Each has two neighbours."""
    pairs = line(names)
    return (*pairs, (names[-1], names[0])) if len(names) > 2 else pairs


def line(names: Sequence[str]) -> tuple[Pair, ...]:
    """A ring with a gap between the last and the first."""
    return tuple(pairwise(names))


def star(names: Sequence[str]) -> tuple[Pair, ...]:
    """The first is everybody's neighbour. It dials, since there is a limit to being dialled."""
    return tuple((names[0], name) for name in names[1:])


def full(names: Sequence[str]) -> tuple[Pair, ...]:
    """Each is everybody's neighbour, and dials half of them.

    Raises UserError if that is more than a node takes.
    """
    count = len(names)
    if count // 2 > MOST_INBOUND:
        raise UserError(
            f"topology full: {count} nodes are too many, since each takes {MOST_INBOUND}"
            f" connections of others; at most {2 * MOST_INBOUND + 1}, or else random"
        )
    return tuple(
        (names[one], names[(one + step) % count])
        for step in range(1, count // 2 + 1)
        for one in range(count // 2 if 2 * step == count else count)
    )


def random_regular(names: Sequence[str], degree: int, seed: int = 0) -> tuple[Pair, ...]:
    """Each has so many neighbours, chosen by the seed.

    Begins with a ring whose nodes know the next few on both sides, and then has two pairs swap
    their partners, over and over, as long as nobody meets themselves or an old neighbour. That
    comes as near as one likes to a graph drawn evenly from all regular ones that are connected.

    Raises UserError if there is no such graph.
    """
    _check_degree(len(names), degree)
    pairs = _circulant(len(names), degree)
    neighbours: list[set[int]] = [set() for _ in names]
    for one, other in pairs:
        neighbours[one].add(other)
        neighbours[other].add(one)
    chance = Stream(seed, "topology", "random", len(names), degree)
    while pairs:
        for _ in range(_SWAPS_PER_PAIR * len(pairs)):
            _swap(pairs, neighbours, chance)
        if _is_connected(neighbours):
            break
    return tuple((names[one], names[other]) for one, other in sorted(pairs))


def usual_degree(count: int) -> int:
    """How many neighbours `random` gives to each of so many nodes: eight, or what they allow."""
    degree = min(USUAL_DEGREE, max(count - 1, 0))
    return degree - degree * count % 2


def _check_degree(count: int, degree: int) -> None:
    if count <= 1 and degree == 0:
        return
    name = f"topology random:{degree}"
    if not 1 <= degree < count or degree > MOST_INBOUND:
        most = min(count - 1, MOST_INBOUND)
        raise UserError(f"{name}: of {count} nodes, each can have 1 to {most} neighbours")
    if degree * count % 2:
        raise UserError(
            f"{name}: {count} nodes can't have {degree} neighbours each, for both are odd; take one"
            " node or neighbour more"
        )
    if degree == 1 and count > 2:
        raise UserError(f"{name}: pairs alone leave most nodes out of reach; give each 2 at least")


def _circulant(count: int, degree: int) -> list[tuple[int, int]]:
    pairs = [
        (one, (one + step) % count) for step in range(1, degree // 2 + 1) for one in range(count)
    ]
    if degree % 2:
        pairs += [(one, one + count // 2) for one in range(count // 2)]
    return pairs


def _swap(pairs: list[tuple[int, int]], neighbours: list[set[int]], chance: Stream) -> None:
    """(a, b) and (c, d) become (a, d) and (c, b): nobody's number of neighbours changes."""
    first, second = chance.below(len(pairs)), chance.below(len(pairs))
    (a, b), (c, d) = pairs[first], pairs[second]
    if chance.below(2):
        c, d = d, c
    if len({a, b, c, d}) < 4 or d in neighbours[a] or b in neighbours[c]:
        return
    pairs[first], pairs[second] = (a, d), (c, b)
    for one, lost, won in ((a, b, d), (b, a, c), (c, d, b), (d, c, a)):
        neighbours[one].remove(lost)
        neighbours[one].add(won)


def _is_connected(neighbours: list[set[int]]) -> bool:
    reached = {0}
    fresh = [0]
    while fresh:
        for other in neighbours[fresh.pop()]:
            if other not in reached:
                reached.add(other)
                fresh.append(other)
    return len(reached) == len(neighbours)
