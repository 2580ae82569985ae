"""What there is to see of a classic network: the model behind the live view."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drystone.classic.block import Block
from drystone.classic.chain import Chain
from drystone.classic.events import (
    Announcement,
    Copied,
    Created,
    Filled,
    Ignored,
    Tried,
    line_of,
    notice_of,
)
from drystone.classic.node import Node
from drystone.core.time import SECOND_NS, Time

RATE_WINDOW_NS = 10 * SECOND_NS
EVENTS = 200
STALE = 100


@dataclass(frozen=True, slots=True)
class Happened:
    """One event for the list of the latest; the same again at once is counted, not listed."""

    after_s: float  # since the first event that the board saw
    port: int
    line: str
    kind: str  # what makes it the same event again
    times: int = 1


@dataclass(frozen=True, slots=True)
class Stale:
    """A block that lost its race."""

    height: int
    block: Block
    is_twin: bool  # a block on the best chain has the same hash, and other bytes


@dataclass(slots=True)
class Tally:
    """What one node has done so far."""

    created: int = 0
    copied: int = 0
    ignored: int = 0
    ignored_why: Counter[str] = field(default_factory=Counter)
    hashes: int = 0
    searching: Tried | None = None  # the turn under way, whose nonces don't count yet
    turns: deque[tuple[int, int]] = field(default_factory=deque)  # (mono_ns, nonces), the latest


class Board:
    """Follows the announcements of all nodes of one network, live or virtual.

    `observe` has the shape of `seat.Observe`. Blocks are told apart by their bytes, never by
    their hash alone.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes: Mapping[int, Node] = {node.port: node for node in nodes}
        self.tallies = {port: Tally() for port in self.nodes}
        self.events: deque[Happened] = deque(maxlen=EVENTS)
        self._created: dict[bytes, tuple[int, Block]] = {}  # in order of creation
        self._start_ns: int | None = None

    def observe(self, port: int, told: Announcement, now: Time) -> None:
        """Take note of one announcement."""
        self._begin(now)
        tally = self.tallies[port]
        self._end_turn(tally, told, now)
        match told:
            case Tried():
                tally.searching = told
                return  # too many of these for the list of events
            case Created(block, chain):
                tally.created += 1
                self._created[chain.blocks[-1]] = chain.height, block
            case Copied():
                tally.copied += 1
            case Ignored(reason):
                tally.ignored += 1
                tally.ignored_why[reason] += 1
            case Filled():
                pass
            case _:
                return
        line = notice_of(told) or line_of(told) or ""
        kind = told.reason if isinstance(told, Ignored) else line
        self._note(port, line, kind, now)

    def note_trouble(self, port: int, line: str, now: Time) -> None:
        """Take note of a datagram that could not be sent."""
        self._note(port, line, line, now)

    def _note(self, port: int, line: str, kind: str, now: Time) -> None:
        after_s = (now.mono_ns - self._begin(now)) / SECOND_NS
        times = 1
        # A flood comes to all nodes at once: look at each one's latest event.
        for back in range(1, min(len(self.nodes), len(self.events)) + 1):
            before = self.events[-back]
            if before.port == port:
                if before.kind == kind:
                    times = before.times + 1
                    del self.events[-back]
                break
        self.events.append(Happened(after_s, port, line, kind, times))

    def _end_turn(self, tally: Tally, told: Announcement, now: Time) -> None:
        """Count the nonces of the turn before: a node that searches tells nothing until it ends."""
        turn, tally.searching = tally.searching, None
        if turn is None:
            return
        tried = turn.count
        if isinstance(told, Created):
            tried = told.block.header.nonce - turn.nonce + 1
        tally.hashes += tried
        tally.turns.append((now.mono_ns, tried))
        self._forget_old_turns(tally, now)

    @staticmethod
    def _forget_old_turns(tally: Tally, now: Time) -> None:
        while tally.turns and tally.turns[0][0] < now.mono_ns - RATE_WINDOW_NS:
            tally.turns.popleft()

    def _begin(self, now: Time) -> int:
        if self._start_ns is None:
            self._start_ns = now.mono_ns
        return self._start_ns

    def hash_rate(self, port: int, now: Time) -> float:
        """Nonces per second that the node has tried over the last ten seconds."""
        self._forget_old_turns(self.tallies[port], now)
        turns = self.tallies[port].turns
        if not turns or self._start_ns is None:
            return 0.0
        window_ns = min(RATE_WINDOW_NS, max(now.mono_ns - self._start_ns, SECOND_NS))
        return sum(count for _, count in turns) * SECOND_NS / window_ns

    @property
    def best(self) -> Chain:
        """The longest chain that a node holds; of equals, the one that most nodes hold."""
        held = Counter(node.chain for node in self.nodes.values())
        return max(held, key=lambda chain: (chain.height, held[chain]))

    @property
    def agreed(self) -> bool:
        """Whether all nodes hold the same chain."""
        return len({node.chain.data for node in self.nodes.values()}) == 1

    @property
    def stale(self) -> list[Stale]:
        """The blocks that were created and are not on the best chain, oldest first."""
        best = self.best
        on_best = set(best.blocks)
        best_hashes = {Block.decode(raw).hash for raw in best.blocks}
        lost = [
            Stale(height, block, is_twin=block.hash in best_hashes)
            for raw, (height, block) in self._created.items()
            if raw not in on_best
        ]
        return lost[-STALE:]
