"""Export the live view as an SVG: the README's picture, made anew by `make picture`.

The network runs in virtual time under a fixed seed, so the same code always draws the same
picture.
"""

import io
import sys
from pathlib import Path

from rich.console import Console

from drystone.cli.view import render
from drystone.network.classic.board import Board
from drystone.network.classic.virtual import VirtualClassic
from drystone.sim.datagrams import MILLISECOND_NS, DatagramLink

SEED = 3
HEIGHT = 30
LISTEN_NS = 200 * MILLISECOND_NS
SLOW_LINK = DatagramLink(latency_ns=400 * MILLISECOND_NS)  # slow enough that races are lost


def picture(seed: int = SEED) -> str:
    """The SVG's text."""
    network = VirtualClassic(seed, link=SLOW_LINK, listen_ns=LISTEN_NS)
    board = Board(network.nodes.values())
    network.observe = board.observe
    network.run_until_height(HEIGHT)
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    console.print(
        render(
            board,
            network.world.clock(),
            title="3 classic nodes on UDP 127.0.0.1, ports 7000, 8000, 9000",
            hint="Ctrl-C ends it",
        )
    )
    return console.export_svg(title="make up", unique_id="drystone")


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(picture(), encoding="utf-8")
    print(f"wrote {path}")
