"""News of nodes, kept for those who read them one after another."""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple
from weakref import WeakSet

from drystone.core.time import Time
from drystone.node.events import News

MOST_HEARD: Final = 100_000  # that wait for one listener; then the oldest go


class Heard(NamedTuple):
    """What a node has announced, and when."""

    name: str
    news: News
    now: Time


class Listener:
    """What was heard and is not yet read; lost: how many were never, because they were too many."""

    def __init__(self, names: Iterable[str] | None) -> None:
        self.lost = 0
        self._names = None if names is None else frozenset(names)
        self._heard: deque[Heard] = deque()

    def tell(self, heard: Heard) -> None:
        """Keep it, if it is about a node that is of interest."""
        if self._names is not None and heard.name not in self._names:
            return
        if len(self._heard) == MOST_HEARD:
            self._heard.popleft()
            self.lost += 1
        self._heard.append(heard)

    def next(self) -> Heard:
        """The oldest; there is one, if `bool` says so."""
        return self._heard.popleft()

    def __bool__(self) -> bool:
        return bool(self._heard)


class Listeners:
    """All who listen; whoever is forgotten does no more."""

    def __init__(self) -> None:
        self._all: WeakSet[Listener] = WeakSet()
        self._had_any = False  # which is asked faster than whether there is one now

    def __bool__(self) -> bool:
        return self._had_any

    def add(self, names: Iterable[str] | None) -> Listener:
        """One more, who hears of these nodes, or of all."""
        listener = Listener(names)
        self._all.add(listener)
        self._had_any = True
        return listener

    def tell(self, name: str, news: News, now: Time) -> None:
        """A node has announced something."""
        if self._all:
            heard = Heard(name, news, now)
            for listener in self._all:  # each has a queue of its own: their order is no matter
                listener.tell(heard)
