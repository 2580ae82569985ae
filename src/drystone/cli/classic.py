"""`drystone classic`: the tutorial's network."""

import math
import random
import sys
import time
from collections.abc import Callable
from typing import TextIO, cast

import click

from drystone.classic.events import Announcement, line_of, notice_of
from drystone.classic.hello import Hello
from drystone.classic.node import NONCES_PER_TURN, Node
from drystone.cli.classic_summary import summary_lines
from drystone.cli.main import HELP
from drystone.cli.run import (
    check_kernel,
    here,
    is_terminal,
    run_until_interrupted,
    say,
    warn_if_slow,
)
from drystone.core.time import SECOND_NS, Time
from drystone.network.classic.board import Board
from drystone.network.classic.config import Places, read_places
from drystone.network.classic.live import LiveNode, run_nodes

TUTORIAL_LISTEN_S = 1.0
BRISK_LISTEN_S = 0.2  # with three nodes a block every 4 s or so
START_APART_S = 1.0  # so that the nodes' first timestamps differ


class _System:
    """Chance for the one live core that rolls dice."""

    def below(self, bound: int) -> int:
        return random.SystemRandom().randrange(bound)


def _refuse_nan(_ctx: click.Context, _param: click.Parameter, seconds: float) -> float:
    """A range lets it through, since it compares false with any bound."""
    if math.isnan(seconds):
        raise click.BadParameter("nan is not a number of seconds.")
    return seconds


def _listen_option(default: float) -> Callable[[click.decorators.FC], click.decorators.FC]:
    return click.option(
        "--listen",
        "listen_s",
        type=click.FloatRange(0.001, 3600),
        callback=_refuse_nan,
        default=default,
        show_default=True,
        help="How long a turn listens; SLEEP's seconds are as long.",
    )


_nonces_option = click.option(
    "--nonces",
    type=click.IntRange(1, 1 << 32),
    default=NONCES_PER_TURN,
    show_default=True,
    help="How many nonces a turn tries.",
)
_port_argument = click.argument("port", type=click.IntRange(1, 65535))


@click.group(context_settings=HELP)
def classic() -> None:
    """The tutorial's network, byte for byte on the wire.

    Each node alternates: it listens for a second, then tries 1,000 nonces; it replaces its chain
    by a longer valid one. The whole chain travels in one UDP datagram. Three terminals make a
    network:

    \b
        drystone classic node 7000
        drystone classic node 8000
        drystone classic node 9000

    `drystone classic up` runs all three in one terminal. NODE_IP (default 127.0.0.1) and
    NODE_PORTS (default 7000,8000,9000) come from the environment or a .env file.
    """  # noqa: D301  \b is click's sign, a real backspace: don't fill the next paragraph


@classic.command(context_settings=HELP)
@_port_argument
@_listen_option(TUTORIAL_LISTEN_S)
@_nonces_option
def node(port: int, listen_s: float, nonces: int) -> None:
    """Run one mining node of the tutorial in this terminal.

    Standard output has the tutorial's lines and no others; why a chain was ignored goes to
    standard error. PORT is one of NODE_PORTS. Ctrl-C ends it.
    """
    check_kernel()
    places = _places_for(port)
    core = Node(port, places.ports, listen_ns=_ns(listen_s), nonces=nonces)
    live = LiveNode(core, port, places, _print_lines, _print_trouble)

    def announce() -> None:
        _introduce("node", port, places)
        warn_if_slow()

    run_until_interrupted(run_nodes([live], apart_s=0), announce=announce)
    say(f"ended at block {core.chain.height}: {core.chain.tip_hash.hex()}", err=True)


@classic.command(context_settings=HELP)
@_port_argument
@_listen_option(TUTORIAL_LISTEN_S)
def hello(port: int, listen_s: float) -> None:
    """Run the tutorial's first node: it only says how long it will sleep.

    PORT is one of NODE_PORTS. Ctrl-C ends it.
    """
    places = _places_for(port)
    core = Hello(port, places.ports, _System(), listen_ns=_ns(listen_s))
    live = LiveNode(core, port, places, _print_lines, _print_trouble)
    run_until_interrupted(
        run_nodes([live], apart_s=0), announce=lambda: _introduce("hello", port, places)
    )


@click.command(context_settings=HELP, short_help="Watch three nodes mine.")
@_listen_option(BRISK_LISTEN_S)
@_nonces_option
@click.option(
    "--plain", is_flag=True, help="Print the nodes' lines, each after its port: no live view."
)
def up(listen_s: float, nonces: int, *, plain: bool) -> None:
    """Run three nodes that mine, broadcast and converge, with a live view.

    They are the tutorial's nodes (`drystone classic --help`), one for each of NODE_PORTS, and
    speak UDP on NODE_IP. When standard output is no terminal, --plain is implied. Ctrl-C ends it
    with a summary.
    """
    check_kernel()
    places = read_places(here())
    cores = [
        Node(port, places.ports, listen_ns=_ns(listen_s), nonces=nonces) for port in places.ports
    ]
    if plain or not is_terminal(cast("TextIO | None", sys.stdout)):
        _run_plain(cores, places)
    else:
        _run_with_view(cores, places)


classic.add_command(up)


def _run_plain(cores: list[Node], places: Places) -> None:
    board = Board(cores)

    def observe(port: int, told: Announcement, now: Time) -> None:
        board.observe(port, told, now)
        _print_told(told, before=f"{port} ")

    def announce() -> None:
        say(f"drystone: {_what(places)}", err=True)
        say("Ctrl-C ends it; `drystone classic --help` tells more", err=True)
        warn_if_slow()

    nodes = _bind_all(cores, places, observe, _print_prefixed_trouble)
    began = time.monotonic()
    run_until_interrupted(run_nodes(nodes, apart_s=START_APART_S), announce=announce)
    _sum_up(board, time.monotonic() - began, places, err=True)


def _run_with_view(cores: list[Node], places: Places) -> None:
    # Rich takes a while to import: only who looks at the view waits for it.
    from drystone.cli.classic_view import watch  # noqa: PLC0415

    def announce() -> None:
        say(f"drystone: {_what(places)}")
        warn_if_slow()

    board = Board(cores)
    nodes = _bind_all(cores, places, board.observe, board.note_trouble)
    work = run_nodes(nodes, apart_s=START_APART_S)
    began = time.monotonic()
    run_until_interrupted(
        watch(board, work, title=_what(places), hint="Ctrl-C ends it"), announce=announce
    )
    _sum_up(board, time.monotonic() - began, places, err=False)


def _sum_up(board: Board, seconds: float, places: Places, *, err: bool) -> None:
    for line in summary_lines(board, seconds):
        say(line, err=err)
    say(
        f"next: `drystone classic node {places.ports[0]}` runs one of them in a terminal of its"
        " own; `drystone --help` shows the rest",
        err=err,
    )


def _what(places: Places) -> str:
    count = len(places.ports)
    nodes = "1 classic node" if count == 1 else f"{count} classic nodes"
    ports = f"port{'s' * (count != 1)} {', '.join(map(str, places.ports))}"
    return f"{nodes} on UDP {places.ip_address}, {ports}"


def _bind_all(
    cores: list[Node],
    places: Places,
    observe: Callable[[int, Announcement, Time], None],
    trouble: Callable[[int, str, Time], None],
) -> list[LiveNode]:
    """Every socket or none."""
    nodes: list[LiveNode] = []
    try:
        for core in cores:
            nodes.append(LiveNode(core, core.port, places, observe, trouble))  # noqa: PERF401
    except BaseException:
        for bound in nodes:
            bound.close()
        raise
    return nodes


def _places_for(port: int) -> Places:
    places = read_places(here())
    places.check_port(port)
    return places


def _introduce(command: str, port: int, places: Places) -> None:
    others = [p for p in places.ports if p != port]
    told = f"port{'s' * (len(others) != 1)} {', '.join(map(str, others))}" if others else "nobody"
    say(
        f"drystone classic {command}: listening on UDP {places.ip_address}:{port}, telling {told}",
        err=True,
    )
    also = f"in another terminal `drystone classic {command} {others[0]}`; " if others else ""
    say(f"next: {also}Ctrl-C ends this one", err=True)


def _print_lines(_port: int, told: Announcement, _now: Time) -> None:
    _print_told(told, before="")


def _print_trouble(_port: int, line: str, _now: Time) -> None:
    say(line, err=True)


def _print_prefixed_trouble(port: int, line: str, _now: Time) -> None:
    say(f"{port} {line}", err=True)


def _print_told(told: Announcement, *, before: str) -> None:
    """The tutorial's line on standard output, what else there is to tell on standard error."""
    if line := line_of(told):
        say(f"{before}{line}")
    if notice := notice_of(told):
        say(f"{before}{notice}", err=True)


def _ns(seconds: float) -> int:
    return round(seconds * SECOND_NS)
