"""What a running network of full nodes prints: lines for people, or JSON for programs."""

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

from drystone.cli.run import say
from drystone.core.time import Time
from drystone.network.board import Board
from drystone.network.helm import agreement, row_line
from drystone.network.news import Told, shown
from drystone.node.events import News

_UNPRINTED: Final = frozenset({"overheard"})  # of interest to programs alone
_SUMMED_UP: Final = 20  # nodes that have a line at the end


class Show(Protocol):
    """Who is told what happens."""

    def news(self, name: str, news: News, now: Time) -> None:
        """A node has announced something."""

    def order(self, line: str, fields: Mapping[str, Any]) -> None:
        """The user has had something done."""

    def trouble(self, line: str) -> None:
        """Something can't go on as it should."""

    def told(self, event: str, lines: list[str], fields: Mapping[str, Any]) -> None:
        """What there is to say at the beginning and at the end."""


class OnBoard:
    """Nothing is printed: the view draws the board."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def news(self, name: str, news: News, now: Time) -> None:
        """It is drawn."""
        self.board.observe(name, news, now)

    def order(self, line: str, fields: Mapping[str, Any]) -> None:
        """The helm has told the board."""

    def trouble(self, line: str) -> None:
        """It is drawn."""
        self.board.trouble(line)

    def told(self, event: str, lines: list[str], fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Printed above and below the view."""
        for line in lines:
            say(line)


class Lines:
    """A line for each event on standard output, everything else on standard error."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def news(self, name: str, news: News, now: Time) -> None:
        """A line, with its time and its node."""
        words = self.board.observe(name, news, now)
        if words.kind not in _UNPRINTED:
            say(f"{self.board.seconds(now):8.1f} s  {name}  {words.line}")

    def order(self, line: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """A line that begins where nodes have their names."""
        say(f"{self.board.seconds(self.board.clock()):8.1f} s  {line}")

    def trouble(self, line: str) -> None:
        """A line on standard error."""
        say(line, err=True)

    def told(self, event: str, lines: list[str], fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Lines on standard error, so that the output has events alone."""
        for line in lines:
            say(line, err=True)


class Json:
    """An object for each event, a line each, on standard output."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def news(self, name: str, news: News, now: Time) -> None:
        """Its fields, and its node."""
        words: Told = self.board.observe(name, news, now)
        self._say(words.kind, now, {"node": name, **words.fields})

    def order(self, line: str, fields: Mapping[str, Any]) -> None:
        """What was done, and what came of it."""
        self._say("order", self.board.clock(), {**fields, "said": line})

    def trouble(self, line: str) -> None:
        """What is the matter."""
        self._say("trouble", self.board.clock(), {"said": line})

    def told(self, event: str, lines: list[str], fields: Mapping[str, Any]) -> None:  # noqa: ARG002
        """The fields alone."""
        self._say(event, self.board.clock(), fields)

    def _say(self, event: str, now: Time, fields: Mapping[str, Any]) -> None:
        after_s = round(self.board.seconds(now), 3)
        say(json.dumps({"event": event, "after_s": after_s, "time": now.unix_s, **fields}))


def summary(board: Board, seconds: float) -> list[str]:
    """What is left to say when a network has ended."""
    best = board.best
    more = len(board.nodes) - _SUMMED_UP
    stale = f"{board.stale} stale block{'s' * (board.stale != 1)}"
    at = f"block {best.height} ({shown(best.hash)})"
    return [
        f"ended after {seconds:.0f} s at {at}: {agreement(board)}{stale}",
        *(f"  {row_line(board.row(name))}" for name in list(board.nodes)[:_SUMMED_UP]),
        *([f"  and {more} more nodes"] if more > 0 else []),
    ]
