"""Runs a network of this process for its user: shown in this terminal, steered from others."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, TextIO, cast

from drystone.cli.ready_files import Meeting, meeting_at, usual_meeting
from drystone.cli.run import check_kernel, is_terminal, run_until_interrupted, say, warn_if_slow
from drystone.cli.show import (
    Json,
    Lines,
    OnBoard,
    Show,
    summary,
)
from drystone.core.errors import UserError
from drystone.core.time import Time
from drystone.drivers.control import ControlServer
from drystone.drivers.ready import Ready, ready_file
from drystone.network.board import Board
from drystone.network.helm import Helm, difficulty_line
from drystone.network.live import AsyncNetwork, Watch
from drystone.network.payments import Event, Settled
from drystone.node.events import News
from drystone.wallet.keys import keys_of

Make = Callable[[Watch, Callable[[str], None]], AsyncNetwork]
"""Makes a network that tells news, and trouble, to whom it is given."""

_LISTED: Final = 8  # addresses in a line; more are told by `drystone net status`


class Kind(NamedTuple):
    """How a network is shown. is_view: drawn; what else there is to say goes to the same place."""

    show: Callable[[Board], Show]
    is_view: bool = False


def kind_of_show(*, plain: bool, as_json: bool) -> Kind:
    """What the options want; where there is no terminal, no view."""
    if as_json:
        return Kind(Json)
    if plain or not is_terminal(cast("TextIO | None", sys.stdout)):
        return Kind(Lines)
    return Kind(OnBoard, is_view=True)


class Hosted(NamedTuple):
    """Where the network is found; or why it isn't."""

    meeting: Meeting | None
    complaint: str | None = None


@asynccontextmanager
async def steerable(
    network: AsyncNetwork, helm: Helm, name: str, ready: Path | None
) -> AsyncIterator[Hosted]:
    """Until the end of the block, `drystone net` finds the network and steers it.

    ready: the file that says where; by default one of this name in the usual folder. Where that
    can't be had, the network runs without it; a file that was asked for must be had.

    Raises UserError.
    """
    async with AsyncExitStack() as undo:
        try:
            meeting = meeting_at(ready) if ready is not None else usual_meeting(name)
            await undo.enter_async_context(ControlServer(meeting.control, helm.handle))
            addresses = {node.name: str(node.address) for node in network}
            undo.enter_context(
                ready_file(meeting.ready, Ready(os.getpid(), addresses, meeting.control))
            )
            hosted = Hosted(meeting)
        except UserError as error:
            await undo.aclose()
            if ready is not None:
                raise
            hosted = Hosted(None, f"no other terminal can steer this network: {error}")
        yield hosted


class Session:
    """One run of a command that runs a network.

    command, title: what it is. begin: is done once the network is there. ready: see `steerable`.
    accounts: whose addresses are shown. advice: what to type next.
    """

    def __init__(
        self,
        command: str,
        title: str,
        kind: Kind,
        make: Make,
        *,
        ready: Path | None,
        begin: Callable[[AsyncNetwork], Awaitable[object]] | None = None,
        name: Callable[[AsyncNetwork], str] | None = None,
        accounts: Sequence[str] = (),
        advice: str,
    ) -> None:
        self._command = command
        self._title = title
        self._kind = kind
        self._network = make(self._news, self._trouble)
        self._begin = begin
        self._name = name or (lambda _network: command)
        self._ready = ready
        self._accounts = accounts
        self._advice = advice
        self.board = board_of(self._network)
        self._show = kind.show(self.board)
        self._helm = Helm(self._network, self.board, accounts=self._accounts, tell=self._show.order)
        self._network.payments.tell = self._paid
        self._summary: list[str] = []
        self._described: Mapping[str, object] = {}

    def run(self) -> None:
        """Until Ctrl-C; then sum up. Raises UserError."""
        check_kernel()
        run_until_interrupted(self._work(), announce=self._announce)
        self._show.told("ended", [*self._summary, self._advice], self._described)

    def _announce(self) -> None:
        say(f"drystone {self._command}: {self._title}; Ctrl-C ends it", err=not self._kind.is_view)
        warn_if_slow()

    async def _work(self) -> None:
        began = time.monotonic()
        async with self._network as network:
            try:
                await self._serve(network)
            finally:  # while the nodes are still up
                self._summary = summary(self.board, time.monotonic() - began)
                self._described = self.board.described()

    async def _serve(self, network: AsyncNetwork) -> None:
        if self._begin is not None:
            await self._begin(network)
        for name in network.nodes:
            self.board.joined(name)
        name = self._name(network)
        async with steerable(network, self._helm, name, self._ready) as hosted:
            self._tell_ready(hosted)
            if self._kind.is_view:
                await self._watch()
            else:
                await asyncio.Event().wait()

    def _tell_ready(self, hosted: Hosted) -> None:
        addresses = {node.name: str(node.address) for node in self._network}
        lines = [hosted.complaint] if hosted.complaint is not None else []
        if hosted.meeting is not None:
            lines.append(f"steer it from another terminal: {hosted.meeting.command('status')}")
        if not self._kind.is_view:  # which has all of this
            listed = [f"{name} {address}" for name, address in addresses.items()]
            more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
            lines = [
                f"listening: {', '.join(listed[:_LISTED])}{more}",
                difficulty_line(self.board),
                *self._account_lines(),
                *lines,
            ]
        meeting = hosted.meeting
        fields = {
            "pid": os.getpid(),
            "chain": self.board.params.name,
            "nodes": addresses,
            "accounts": {name: keys_of(name).address(self.board.params) for name in self._accounts},
            "ready": None if meeting is None else str(meeting.ready),
            "control": None if meeting is None else str(meeting.control),
        }
        self._show.told("ready", lines, fields)

    async def _watch(self) -> None:
        # Rich takes a while to import: only who looks at the view waits for it.
        from drystone.cli.watching import watch  # noqa: PLC0415

        await watch(
            self.board,
            self._helm,
            title=self._title,
            banner=self._account_lines,
            quit_=lambda: signal.raise_signal(signal.SIGINT),
        )

    def _account_lines(self) -> list[str]:
        """Accounts and what they have; nothing while no node runs that would know."""
        if not self._accounts:
            return []
        with suppress(UserError):
            return self._network.account_lines(self._accounts)
        return []

    def _paid(self, event: Event) -> None:
        """A double spend is decided; the helm has told the rest."""
        if isinstance(event, Settled):
            self.board.say(event.line)
            won = None if event.payment is None else event.payment.to
            fields = {"verb": "settled", "node": event.name, "winner": won, "height": event.height}
            self._show.order(event.line, fields)

    def _news(self, name: str, news: News, now: Time) -> None:
        self._show.news(name, news, now)

    def _trouble(self, line: str) -> None:
        self._show.trouble(line)


def board_of(network: AsyncNetwork) -> Board:
    """A board that follows a live network."""
    return Board(
        network.params,
        network.nodes,
        network.clock,
        hashes_per_s=lambda name: network[name].hashes_per_s,
        is_up=lambda name: network[name].is_up,
        is_cut=network.is_cut,
        connections=network.connections,
    )
