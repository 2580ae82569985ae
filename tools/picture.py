"""Export the live views as SVGs: the pictures of README and docs, made anew by `make picture`.

The networks run in virtual time under fixed seeds, so the same code always draws the same pictures.
The one of full nodes is mined by hand: a fork that was healed, and a cut that is there now. For the
tutorial's, seed, height and delay are chosen for what they show: a race lost to an ordinary block,
one lost to a twin, and a strip that fills one line.
"""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType

from drystone.cli import classic_view
from drystone.cli.pilot import Pilot
from drystone.cli.view import Screen, render
from drystone.core.time import MILLISECOND_NS, Time
from drystone.network.board import Board
from drystone.network.classic.board import Board as ClassicBoard
from drystone.network.classic.virtual import VirtualClassic
from drystone.network.virtual import VirtualNetwork
from drystone.node.events import News
from drystone.sim.datagrams import DatagramLink

DOCS: Final = Path(__file__).parent.parent / "docs"
COLUMNS: Final = 104  # a whole hash fits into a line
LINES: Final = 34

RATES: Final = (3_000, 2_000, 1_554)  # together what `local` is made for

CLASSIC_SEED: Final = 20
CLASSIC_HEIGHT: Final = 22
LISTEN_NS: Final = 200 * MILLISECOND_NS
SLOW_LINK: Final = DatagramLink(250 * MILLISECOND_NS, jitter_ns=250 * MILLISECOND_NS)


def picture() -> str:
    """Full nodes, as `make up` shows them."""
    network = VirtualNetwork(3, seed=1)
    board = board_of(network)
    network.pause_mining()
    for name, rate in zip(network.nodes, RATES, strict=True):
        network.set_hashrate(name, rate)
    mine(network, "n0 n2 n0 n1")
    cut(network, board, ["n2"])
    mine(network, "n2 n0 n1 n2 n0")
    network.heal()
    board.say("healed: all may reach all")
    network.wait_until_synced()
    mine(network, "n1 n0")
    network.send("alice", "bob", "1.5", via="n1")
    board.say("alice pays 1.5 BTC to bob")
    network.run_for(20)
    cut(network, board, ["n0"])
    mine(network, "n0 n2")
    screen = Screen(
        board,
        Pilot(),
        title="3 full nodes of local over TCP, in memory",
        banner=network.account_lines,
    )
    return svg(render(screen, columns=COLUMNS, lines=LINES), title="make up")


def board_of(network: VirtualNetwork) -> Board:
    """A board that follows a network in virtual time."""
    board = Board(
        network.params,
        network.nodes,
        network.clock,
        hashes_per_s=lambda name: network[name].miner.hashes_per_s,
        is_cut=network.is_cut,
        connections=network.connections,
    )

    def watch(name: str, news: News, now: Time) -> None:
        board.observe(name, news, now)

    network.watch = watch
    for name in network.nodes:
        board.joined(name)
    return board


def mine(network: VirtualNetwork, names: str) -> None:
    """A block each, in that order; on `local`, each takes ten seconds."""
    for name in names.split():
        network.mine(name)


def cut(network: VirtualNetwork, board: Board, side: list[str]) -> None:
    """Cut some nodes off, and say so."""
    network.partition(side)
    others = [name for name in network.nodes if name not in side]
    board.say(f"cut: {' '.join(side)} | {' '.join(others)}")


def classic_picture(seed: int = CLASSIC_SEED) -> str:
    """The tutorial's nodes, as `drystone classic up` shows them."""
    network = VirtualClassic(seed, link=SLOW_LINK, listen_ns=LISTEN_NS)
    board = ClassicBoard(network.nodes.values())
    network.observe = board.observe
    network.run_until_height(CLASSIC_HEIGHT)
    network.world.run_until(network.agree, limit_ns=LISTEN_NS * 10)
    frame = classic_view.render(
        board,
        network.world.clock(),
        title="3 classic nodes on UDP 127.0.0.1, ports 7000, 8000, 9000",
        hint="Ctrl-C ends it",
        columns=COLUMNS,
    )
    return svg(frame, title="drystone classic up")


def svg(frame: RenderableType, *, title: str) -> str:
    """A frame as a terminal shows it."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(frame)
    text = console.export_svg(title=title, unique_id="drystone")
    return re.sub(r"\s*@font-face {.*?}", "", text, flags=re.DOTALL)  # nothing fetched from afar


PICTURES: Final[dict[str, Callable[[], str]]] = {
    "live-view.svg": picture,
    "classic-view.svg": classic_picture,
}


if __name__ == "__main__":
    for file, draw in PICTURES.items():
        (DOCS / file).write_text(draw(), encoding="utf-8")
        print(f"wrote {DOCS / file}")
