"""The live view of a classic network in a terminal."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from drystone.classic.block import GENESIS, Block
from drystone.classic.node import State
from drystone.cli.keyboard import no_echo
from drystone.core.time import Time
from drystone.drivers.clock import system_clock
from drystone.network.classic.board import Board, Stale

FRAMES_PER_SECOND = 8
EVENT_LINES = 8
STALE_LINES = 4
_FRAME_LINES = 6  # borders, headings, gaps and the shell's prompt, around what varies in length
_WIDE_COLUMNS = 76  # a terminal that has less is spared some columns of the table

# Letters as well as colours: some can't tell the colours, some terminals have none.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
_TEXTS = {"", "port", "height", "tip", "state"}  # columns that are read from the left
_STATES = {State.LISTENING: "green", State.SEARCHING: "bold yellow", State.SLEEPING: "blue"}


async def watch(board: Board, work: Coroutine[Any, Any, None], *, title: str, hint: str) -> None:
    """Run the work and show the board meanwhile, until cancelled."""
    console = Console()

    def frame() -> RenderableType:
        size = {"columns": console.width, "lines": console.height}
        return render(board, system_clock(), title=title, hint=hint, **size)

    with no_echo(), Live(console=console, auto_refresh=False, get_renderable=frame) as live:
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


def render(
    board: Board, now: Time, *, title: str, hint: str, columns: int = 100, lines: int = 40
) -> RenderableType:
    """One frame. columns, lines: of the terminal.

    What doesn't fit is left out: older events first, then stale blocks, then nodes.
    """
    styles = _Styles(board)
    lost = board.stale  # each look at it hashes the whole chain
    strip = _strip(board, lost, styles)
    room = lines - _FRAME_LINES - -(-len(strip) // max(1, columns - 4))
    nodes = len(board.nodes) if len(board.nodes) < room else max(1, room - 2)
    room -= nodes + (nodes < len(board.nodes))
    stale = lost[-STALE_LINES:] if room > STALE_LINES + 2 else []
    room -= len(stale) + bool(stale)
    parts: list[RenderableType] = [
        _nodes_table(board, now, styles, count=nodes, is_narrow=columns < _WIDE_COLUMNS),
        Text(),
        strip,
        *_stale_lines(stale, len(lost), styles),
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
        """Of a node; a question mark for a miner that is none of them."""
        index = self._index.get(port) if port is not None else None
        return "?" if index is None else _LETTERS[index % len(_LETTERS)]

    def cell(self, block: Block, *, twin: bool = False) -> Text:
        """A block in the colour of the node that mined it, its tail marked if it has a twin."""
        mark = "≈" if twin else " "
        if block == GENESIS:  # nobody's here: it was there before
            return Text(f" 0{mark}", style="black on white")
        return Text(
            f" {self.letter(block.miner)}{mark}", style=f"black on {self.colour(block.miner)}"
        )


def _nodes_table(
    board: Board, now: Time, styles: _Styles, *, count: int, is_narrow: bool
) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=False)
    headings = ["", "port", "height", "tip", "state", "nonces/s", "created", "copied", "ignored"]
    left_out = {"tip", "nonces/s"} if is_narrow else set()
    for heading in headings:
        if heading not in left_out:
            justify: Literal["left", "right"] = "left" if heading in _TEXTS else "right"
            style = "bold" if heading == "port" else None
            table.add_column(heading, justify=justify, style=style, no_wrap=True)
    for port, node in list(board.nodes.items())[:count]:
        tally = board.tallies[port]
        cells: dict[str, RenderableType] = {
            "": Text(f" {styles.letter(port)} ", style=f"black on {styles.colour(port)}"),
            "port": str(port),
            "height": str(node.chain.height),
            "tip": node.chain.tip_hash.hex()[:10],
            "state": Text(f"{node.state.value:9}", style=_STATES[node.state]),
            "nonces/s": f"{board.hash_rate(port, now):,.0f}",
            "created": str(tally.created),
            "copied": str(tally.copied),
            "ignored": str(tally.ignored),
        }
        table.add_row(*(cell for heading, cell in cells.items() if heading not in left_out))
    if count == len(board.nodes):
        return table
    more = len(board.nodes) - count
    return Group(table, Text(f"    and {more} more node{'s' * (more != 1)}", style="dim"))


def _strip(board: Board, stale: list[Stale], styles: _Styles) -> Text:
    twins = {lost.block.hash for lost in stale if lost.is_twin}
    strip = Text("chain  ", style="bold")
    for block in map(Block.decode, board.best.blocks):
        strip.append_text(styles.cell(block, twin=block.hash in twins))
    agreed = "  all agree" if board.agreed else "  racing"
    strip.append(agreed, style="dim")
    return strip


def _stale_lines(stale: list[Stale], total: int, styles: _Styles) -> list[Text]:
    if not stale:
        return []
    lines = [Text(f"stale  {total}, the latest:", style="bold")]
    for lost in stale:
        line = Text("       ", no_wrap=True, overflow="ellipsis")
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
        again = f" ({happened.times:,} times)" if happened.times > 1 else ""
        line.append(f"{again} {happened.line}", style="default not dim")
        lines.append(line)
    return lines or [Text("nothing has happened yet: the first block takes some seconds", "dim")]
