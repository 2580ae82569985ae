"""The live view of a classic network in a terminal."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from drystone.classic.block import Block
from drystone.classic.node import State
from drystone.core.time import Time
from drystone.drivers.clock import system_clock
from drystone.network.classic.board import Board, Stale

FRAMES_PER_SECOND = 8
EVENT_LINES = 8
STALE_LINES = 4
_FRAME_LINES = 9  # borders, headings and gaps around the parts whose length varies

# Letters as well as colours: some can't tell the colours, some terminals have none.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
_STATES = {State.LISTENING: "green", State.SEARCHING: "bold yellow", State.SLEEPING: "blue"}


async def watch(board: Board, work: Coroutine[Any, Any, None], *, title: str, hint: str) -> None:
    """Run the work and show the board meanwhile, until cancelled."""
    console = Console()

    def frame() -> RenderableType:
        return render(board, system_clock(), title=title, hint=hint, lines=console.height)

    with Live(console=console, auto_refresh=False, get_renderable=frame) as live:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(work)
                tasks.create_task(_refresh(live))
        finally:
            live.refresh()


async def _refresh(live: Live) -> None:
    while True:
        live.refresh()
        await asyncio.sleep(1 / FRAMES_PER_SECOND)


def render(board: Board, now: Time, *, title: str, hint: str, lines: int = 40) -> RenderableType:
    """One frame. lines: of the terminal; what doesn't fit is the older events."""
    styles = _Styles(board)
    stale = board.stale[-STALE_LINES:]
    room = lines - _FRAME_LINES - len(board.nodes) - len(stale) - len(board.best.blocks) // 35
    parts: list[RenderableType] = [
        _nodes_table(board, now, styles),
        Text(),
        _strip(board, styles),
        *_stale_lines(stale, len(board.stale), styles),
        Text(),
        *_event_lines(board, styles, count=max(1, min(EVENT_LINES, room))),
    ]
    return Panel(
        Group(*parts),
        title=f"[bold]drystone[/] {escape(title)}",
        subtitle=f"[dim]{escape(hint)}[/]",
        title_align="left",
        subtitle_align="left",
    )


class _Styles:
    """Which letter and colour stand for which node."""

    def __init__(self, board: Board) -> None:
        self._index = {port: index for index, port in enumerate(board.nodes)}

    def colour(self, port: int | None) -> str:
        index = self._index.get(port) if port is not None else None
        return "white" if index is None else _COLOURS[index % len(_COLOURS)]

    def letter(self, port: int | None) -> str:
        index = self._index.get(port) if port is not None else None
        return "?" if index is None else _LETTERS[index % len(_LETTERS)]

    def cell(self, block: Block, *, twin: bool = False) -> Text:
        """A block in the colour of the node that mined it, its tail marked if it has a twin."""
        mark = "≈" if twin else " "
        return Text(
            f" {self.letter(block.miner)}{mark}", style=f"black on {self.colour(block.miner)}"
        )


def _nodes_table(board: Board, now: Time, styles: _Styles) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), expand=False)
    for heading in ("", "port", "height", "tip", "state"):
        table.add_column(heading, style="bold" if heading == "port" else None)
    for heading in ("nonces/s", "created", "copied", "ignored"):
        table.add_column(heading, justify="right")
    for port, node in board.nodes.items():
        tally = board.tallies[port]
        table.add_row(
            Text(f" {styles.letter(port)} ", style=f"black on {styles.colour(port)}"),
            str(port),
            str(node.chain.height),
            f"{node.chain.tip_hash.hex()[:12]}...",
            Text(node.state.value, style=_STATES[node.state]),
            f"{board.hash_rate(port, now):,.0f}",
            str(tally.created),
            str(tally.copied),
            str(tally.ignored),
        )
    return table


def _strip(board: Board, styles: _Styles) -> Text:
    best = board.best
    twins = {lost.block.hash for lost in board.stale if lost.is_twin}
    strip = Text("chain  ", style="bold")
    for block in map(Block.decode, best.blocks):
        strip.append_text(styles.cell(block, twin=block.hash in twins))
    agreed = "  all agree" if board.agreed else "  racing"
    strip.append(agreed, style="dim")
    return strip


def _stale_lines(stale: list[Stale], total: int, styles: _Styles) -> list[Text]:
    if not stale:
        return []
    lines = [Text(f"stale  {total}, the latest:", style="bold")]
    for lost in stale:
        line = Text("       ")
        line.append_text(styles.cell(lost.block))
        line.append(f" block {lost.height} {lost.block.hash.hex()[:12]}... lost its race")
        if lost.is_twin:
            line.append(" to a twin: same hash, other reward", style="bold red")
        lines.append(line)
    return lines


def _event_lines(board: Board, styles: _Styles, *, count: int) -> list[Text]:
    lines = []
    for happened in list(board.events)[-count:]:
        line = Text(f"{happened.after_s:7.1f} s  ", style="dim", no_wrap=True, overflow="ellipsis")
        line.append(str(happened.port), style=styles.colour(happened.port))
        line.append(f" {happened.line}", style="default not dim")
        lines.append(line)
    return lines or [Text("nothing has happened yet: the first block takes some seconds", "dim")]
