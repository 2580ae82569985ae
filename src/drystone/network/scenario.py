"""A scenario: a network, what happens to it and when, and when it is over."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from drystone.network.plan import Plan
from drystone.network.verbs import Verb


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that is done at a virtual time, or over and over.

    where: in the file, for messages. every_ns: from then on, again and again. until_ns: but not
    after this.
    """

    at_ns: int
    verb: Verb
    where: str
    every_ns: int | None = None
    until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Where the figures go, besides the screen. csv: a folder. trace: a file."""

    csv: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A network and what happens to it. It is over after a virtual time, or once the best chain has
    so many blocks more than at the beginning, whichever comes first; one of them is given.

    seeds: of the runs that the file asks for; `plan` is that of one.
    """

    plan: Plan
    happenings: tuple[Happening, ...] = ()
    duration_ns: int | None = None
    blocks: int | None = None
    seeds: tuple[int, ...] = ()
    title: str = ""
    output: Output = field(default_factory=Output)


def timeline(happenings: tuple[Happening, ...]) -> Iterator[tuple[int, Happening]]:
    """All that happens, in order of time, then of the file. It may have no end."""
    heap = [(one.at_ns, number, one) for number, one in enumerate(happenings)]
    heapify(heap)
    while heap:
        at_ns, number, one = heappop(heap)
        yield at_ns, one
        if one.every_ns is not None:
            next_ns = at_ns + one.every_ns
            if one.until_ns is None or next_ns <= one.until_ns:
                heappush(heap, (next_ns, number, one))
