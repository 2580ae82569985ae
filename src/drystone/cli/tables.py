"""What is kept, laid out for people: pairs, tables, amounts, times.

A hash has 64 digits and is never cut, so that it can be copied: where a table is too wide for the
terminal, its last column gets lines of its own.
"""

import datetime
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from drystone.chain.chainstate import ChainState
from drystone.cli.run import is_terminal, say
from drystone.primitives.amount import COIN
from drystone.primitives.hashes import display

_UNITS: Final = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))


def print_pairs(rows: dict[str, str]) -> None:
    """A line for each, its name first. Names of 14 characters leave room for a hash."""
    width = max(map(len, rows))
    for key, value in rows.items():
        say(f"{key:{width}}  {value}")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns of text, amounts to the right."""
    all_rows = list(rows)
    for line in table_lines(headings, all_rows, _width()):
        say(line)


def table_lines(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None
) -> Iterator[str]:
    """A table as lines. width: of the terminal; None if lines may be as long as they have to be."""
    lines = _rendered(headings, rows)
    if width is None or max(map(len, lines)) <= width:
        yield from lines
        return
    narrow = _rendered(headings[:-1], [row[:-1] for row in rows])
    for line, row in zip(narrow, (headings, *rows), strict=True):
        yield line
        if row[-1]:
            yield f"    {row[-1]}"


def _rendered(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    # Rich takes a while to import, and --json can do without.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("amount", "fee") else "left")
    for row in rows:
        table.add_row(*row)
    console = Console(width=10_000, color_system=None, markup=False)
    lines = console.render_lines(table)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def _width() -> int | None:
    if not is_terminal(sys.stdout):
        return None
    from rich.console import Console  # noqa: PLC0415

    return Console().width


def tip_line(chain: ChainState) -> str:
    """Where a chain ends, in a line."""
    return f"tip: {chain.height:,}  {display(chain.tip.hash)}"


def amount(satoshis: int) -> str:
    """In bitcoins, with all eight places."""
    whole, rest = divmod(satoshis, COIN)
    return f"{whole:,}.{rest:08}"


def moment(unix_s: int) -> str:
    """A time for people, in UTC."""
    when = datetime.datetime.fromtimestamp(unix_s, datetime.UTC)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: int) -> str:
    """How long something took, in the unit that leaves two digits or so."""
    for size, name in _UNITS:
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{seconds:,} s"
