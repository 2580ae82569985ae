"""The live view of a network of full nodes in a terminal."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final, Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from drystone.cli.pilot import HINT, KEYS, Pilot
from drystone.network.board import Board, Link, LinkState, Race, Row
from drystone.network.helm import (
    MOST_LINKS,
    agreement,
    difficulty_line,
    label_of,
    labels_of,
    link_counts,
    ruler,
)
from drystone.network.lanes import Cell, Mark, grid_of
from drystone.primitives.hashes import BlockHash, display

FRAMES_PER_SECOND: Final = 6
EVENT_LINES: Final = 10
DRAWING_SHARE: Final = 0.1  # of the time, at most: the nodes need the rest
TREE_LANES: Final = 5  # branches shown, the best one included
_FRAME_LINES: Final = 8  # borders, headings, gaps, the line on difficulty, the shell's prompt
_WIDE_COLUMNS: Final = 90  # a terminal that has less is spared some columns of the table
_TREE_LINES: Final = 4  # the least for tree and events
_BELOW: Final = 12  # what they had better have
_CELL: Final = 3  # characters for each height
_HOLDERS: Final = 20  # characters, beside the tree
_NAMED: Final = 4  # nodes beside an event; more are counted

_COLOURS: Final = ("cyan", "magenta", "yellow", "green", "blue", "red")
_HEADINGS: Final = (
    ("", "left"),
    ("node", "left"),
    ("listens at", "left"),
    ("height", "right"),
    ("tip", "left"),
    ("peers", "right"),
    ("waiting", "right"),
    ("hashes/s", "right"),
    ("mined", "right"),
    ("reorgs", "right"),
)
_SPARED: Final = frozenset({"listens at", "reorgs"})


class Screen:
    """What is drawn, besides the board: title, banner, and where the user is."""

    def __init__(
        self, board: Board, pilot: Pilot, *, title: str, banner: Callable[[], list[str]]
    ) -> None:
        self.board = board
        self.pilot = pilot
        self.title = title
        self.banner = banner
        self.answer = ""  # to the last thing that was typed
        self.has_keys = True


async def draw(screen: Screen) -> None:
    """Show frame after frame, until cancelled; the last one stays."""
    console = Console()

    def frame() -> RenderableType:
        return render(screen, columns=console.width, lines=console.height)

    with Live(console=console, auto_refresh=False, get_renderable=frame) as live:
        try:
            while True:
                began = time.monotonic()
                live.refresh()
                took_s = time.monotonic() - began
                await asyncio.sleep(max(1 / FRAMES_PER_SECOND, took_s / DRAWING_SHARE))
        finally:
            screen.pilot.typed = None
            live.refresh()


def render(screen: Screen, *, columns: int = 100, lines: int = 40) -> RenderableType:
    """One frame. columns, lines: of the terminal.

    What doesn't fit is left out: older events first, then accounts, branches, nodes.
    """
    board, pilot = screen.board, screen.pilot
    styles = _Styles(board)
    room = lines - _FRAME_LINES
    nodes = _shown_nodes(board, pilot, min(room - _TREE_LINES, max(room // 2, room - _BELOW)))
    room -= len(nodes) + (len(nodes) < len(board.nodes))
    tree = list(_tree(board, styles, columns=columns - 4, most=max(1, min(TREE_LANES, room - 3))))
    room -= len(tree)
    races = [_race(board, race) for race in board.races] if room > len(board.races) + 3 else []
    room -= len(races)
    banner = screen.banner()
    banner = banner if room > len(banner) + 4 else []
    room -= len(banner) + bool(banner)
    below = _help() if pilot.shows_help else list(_events(board, styles))
    parts: list[RenderableType] = [
        _table(board, styles, nodes, pilot, is_narrow=columns < _WIDE_COLUMNS),
        *_left_out(len(board.nodes) - len(nodes)),
        _links(board.links()),
        _cut_short(difficulty_line(board)),
        Text(),
        *tree,
        *races,
        Text(),
        *([*map(_cut_short, banner), Text()] if banner else []),
        *below[-max(1, min(EVENT_LINES, room)) :],
    ]
    return Panel(
        Group(*parts),
        title=f"[bold]drystone[/] {escape(screen.title)}",
        subtitle=_foot(screen),
        title_align="left",
        subtitle_align="left",
    )


class _Styles:
    """Which label and colour stand for which node."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._labels = labels_of(board.nodes)
        self._index = {name: index for index, name in enumerate(board.nodes)}

    def colour(self, name: str | None) -> str:
        index = self._index.get(name) if name is not None else None
        return "white" if index is None else _COLOURS[index % len(_COLOURS)]

    def label(self, name: str) -> Text:
        return Text(f"{self._labels[name]:>2} ", style=f"black on {self.colour(name)}")

    def cell(self, cell: Cell) -> Text:
        """A place in the tree: a block in the colour of the node that mined it."""
        label = label_of(cell, self._labels, self._board.base)
        if isinstance(cell, Mark):
            return Text(" ╰─" if cell is Mark.FORK else f" {label} ", style="dim")
        if cell.height <= self._board.base:
            return Text(f" {label} ", style="dim")
        return Text(f"{label:>2} ", style=f"black on {self.colour(cell.miner)}")


def _shown_nodes(board: Board, pilot: Pilot, room: int) -> list[str]:
    """As many nodes as there is room for, the chosen one among them."""
    names = list(board.nodes)
    count = len(names) if len(names) <= room else max(1, room - 1)
    first = max(0, min(pilot.chosen - count // 2, len(names) - count))
    return names[first : first + count]


def _table(
    board: Board, styles: _Styles, names: list[str], pilot: Pilot, *, is_narrow: bool
) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=False)
    shown = [
        (index, heading, justify)
        for index, (heading, justify) in enumerate(_HEADINGS)
        if not (is_narrow and heading in _SPARED)
    ]
    for _index, heading, side in shown:
        justify: Literal["left", "right"] = "left" if side == "left" else "right"
        style = "bold" if heading == "node" else None
        table.add_column(heading, justify=justify, style=style, no_wrap=True)
    chosen = list(board.nodes)[min(pilot.chosen, len(board.nodes) - 1)] if board.nodes else None
    for name in names:
        cells = _cells(board.row(name), styles, is_chosen=name == chosen)
        table.add_row(*(cells[index] for index, *_ in shown))
    return table


def _cells(row: Row, styles: _Styles, *, is_chosen: bool) -> list[RenderableType]:
    mark = Text("▸" if is_chosen else " ")
    state = [str(row.peers), str(row.mempool), f"{row.hashes_per_s:,}"]
    return [
        mark.append_text(styles.label(row.name)),
        row.name,
        row.address,
        f"{row.height:,}",
        f"{display(row.tip)[:12]}",
        *(state if row.is_up else [Text("killed", style="bold red"), "", ""]),
        str(row.mined),
        str(row.reorgs),
    ]


def _left_out(count: int) -> list[RenderableType]:
    return [Text(f"    and {count} more node{'s' * (count != 1)}", style="dim")] if count else []


def _links(links: list[Link]) -> RenderableType:
    """Who is connected to whom, or how many are where there are many."""
    line = Text("links  ", style="bold", no_wrap=True, overflow="ellipsis")
    if not links:
        return line.append("none", style="dim not bold")
    if len(links) > MOST_LINKS:
        return line.append(link_counts(links), style="default not bold")
    for link in links:
        line.append(f"{link.one} ", style="default not bold")
        line.append(*_BETWEEN[link.state])
        line.append(f" {link.other}   ", style="default not bold")
    return line


_BETWEEN: Final = {
    LinkState.UP: ("──", "green not bold"),
    LinkState.CUT: ("─✂─", "bold red"),
    LinkState.DOWN: ("╌╌", "yellow not bold"),
}


def _tree(board: Board, styles: _Styles, *, columns: int, most: int) -> Iterator[Text]:
    """The last blocks: a line of heights, and one for each branch with who is at its end."""
    heights = max(1, (columns - 7 - _HOLDERS) // _CELL)
    grid = grid_of(board.lanes(heights=heights, most=most))
    if not grid.rows:
        return
    heading = Text("height ", style="bold", no_wrap=True, overflow="crop")
    yield heading.append(ruler(grid.lowest, len(grid.rows[0])), style="dim not bold")
    for number, cells in enumerate(grid.rows):
        line = Text("" if number else "blocks ", style="bold", no_wrap=True, overflow="ellipsis")
        line.append(" " * 7 if number else "")
        for cell in cells:
            line.append_text(styles.cell(cell))
        tip = next(cell for cell in reversed(cells) if not isinstance(cell, Mark))
        yield line.append(_held(board, tip.hash), style="default not bold")
    yield Text(f"       {agreement(board)}{board.stale} stale", style="dim")


def _held(board: Board, tip: BlockHash) -> str:
    """Whose tip it is; of many the number."""
    names = board.holders(tip)
    if len(names) == len(board.nodes) > 1:
        return "  all"
    listed = "  " + " ".join(names)
    return listed if len(listed) <= _HOLDERS else f"  {len(names)} nodes"


def _race(board: Board, race: Race) -> RenderableType:
    """A double spend: what each node takes for paid."""
    line = Text("double spend  ", style="bold", no_wrap=True, overflow="ellipsis")
    for standing in board.standings(race):
        where = f" in block {standing.height}" if standing.height is not None else ""
        line.append(f"{standing.name}: ", style="dim not bold")
        line.append(f"{standing.label or 'neither'}{where}   ", style="default not bold")
    return line


def _cut_short(line: str) -> Text:
    return Text(line, no_wrap=True, overflow="ellipsis")


def _help() -> list[RenderableType]:
    lines: list[RenderableType] = []
    for key, meaning in KEYS:
        line = Text(f"  {key:8}", style="bold", no_wrap=True, overflow="ellipsis")
        lines.append(line.append(meaning, style="default not bold"))
    return lines


def _events(board: Board, styles: _Styles) -> Iterator[RenderableType]:
    if not board.events:
        yield Text("nothing has happened yet", style="dim")
    for happened in board.events:
        line = Text(f"{happened.after_s:7.1f} s  ", style="dim", no_wrap=True, overflow="ellipsis")
        again = f"({happened.times:,} times) " if happened.times > 1 else ""
        if len(happened.names) > _NAMED:
            line.append(f"{len(happened.names)} nodes ", style="default not dim")
        else:
            for name in happened.names:
                line.append(f"{name} ", style=f"{styles.colour(name)} not dim")
        is_loud = happened.kind in ("reorg", "order", "block-refused", "trouble")
        style = "bold not dim" if is_loud else "default not dim"
        yield line.append(f"{again}{happened.line}", style=style)


def _foot(screen: Screen) -> str:
    pilot = screen.pilot
    if pilot.typed is not None:
        return f"[bold]: {escape(pilot.typed)}▏[/]"
    if screen.answer:
        return f"[bold]{escape(screen.answer)}[/]"
    if not screen.has_keys:
        return "[dim]Ctrl-C ends it[/]"
    return f"[dim]{escape(HINT)}[/]"
