"""Export the live view as an SVG: the README's picture, made anew by `make picture`.

The network runs in virtual time under a fixed seed, so the same code always draws the same
picture. Seed, height and delay are chosen for what they show: a race lost to an ordinary block, one
lost to a twin, and a strip that fills one line.
"""

import io
import re
import sys
from pathlib import Path

from rich.console import Console

from drystone.cli.classic_view import render
from drystone.core.time import MILLISECOND_NS
from drystone.network.classic.board import Board
from drystone.network.classic.virtual import VirtualClassic
from drystone.sim.datagrams import DatagramLink

PICTURE = Path(__file__).parent.parent / "docs" / "live-view.svg"
SEED = 20
HEIGHT = 22
COLUMNS = 104  # a whole hash fits into a line
LISTEN_NS = 200 * MILLISECOND_NS
SLOW_LINK = DatagramLink(250 * MILLISECOND_NS, jitter_ns=250 * MILLISECOND_NS)  # races are lost


def picture(seed: int = SEED) -> str:
    """The SVG's text."""
    network = VirtualClassic(seed, link=SLOW_LINK, listen_ns=LISTEN_NS)
    board = Board(network.nodes.values())
    network.observe = board.observe
    network.run_until_height(HEIGHT)
    network.world.run_until(network.agree, limit_ns=LISTEN_NS * 10)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(
        render(
            board,
            network.world.clock(),
            title="3 classic nodes on UDP 127.0.0.1, ports 7000, 8000, 9000",
            hint="Ctrl-C ends it",
            columns=COLUMNS,
        )
    )
    svg = console.export_svg(title="make up", unique_id="drystone")
    return re.sub(r"\s*@font-face {.*?}", "", svg, flags=re.DOTALL)  # nothing fetched from afar


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    path.write_text(picture(), encoding="utf-8")
    print(f"wrote {path}")
