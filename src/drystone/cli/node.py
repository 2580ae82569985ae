"""`drystone node`: one full node in a terminal of its own."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from drystone.cli.chain_options import expanded, refuse_public
from drystone.cli.hosting import Kind, Session
from drystone.cli.main import HELP
from drystone.cli.ready_files import published_option
from drystone.cli.run import here
from drystone.cli.show import Json, Lines
from drystone.consensus.chains import LOCAL
from drystone.core.time import SECOND_NS
from drystone.drivers.sockets import SocketAddress
from drystone.network.chains import params_of
from drystone.network.classic.config import Places, read_places
from drystone.network.live import AsyncNetwork
from drystone.network.plan import usual_hashes_per_s
from drystone.node.settings import default_settings

LAST_RETRY_NS: Final = 3 * SECOND_NS  # who starts late is found soon


@click.command(context_settings=HELP, short_help="Run one full node in this terminal.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Where it listens.  [default: wherever there is room]",
)
@click.option(
    "--connect",
    "others",
    metavar="HOST:PORT",
    multiple=True,
    help="Dial a node there, and again whenever the connection is lost. May be repeated.",
)
@click.option(
    "--chain",
    "chain_name",
    metavar="NAME",
    help="local, regtest, or a chain file (.toml).  [default: local]",
)
@click.option(
    "--hashrate",
    type=click.IntRange(0),
    metavar="H/S",
    help="Hashes per second.  [default: on local an equal share of 6,554 among NODE_PORTS, on"
    " regtest 0]",
)
@click.option(
    "--datadir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the node keeps its chain, in a folder named by its port.  [default: in memory]",
)
@published_option("node-PORT.json")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each event, a line each.")
def node(
    *,
    port: int,
    others: tuple[str, ...],
    chain_name: str | None,
    hashrate: int | None,
    datadir: Path | None,
    ready: Path | None,
    as_json: bool,
) -> None:
    """Run one full node of Bitcoin's protocol in this terminal, and print what happens.

    \b
        drystone node --port 7000
        drystone node --port 8000
        drystone node --port 9000

    Each in a terminal of its own, these find each other, whichever comes first: the ports are those
    of NODE_PORTS, and NODE_IP is the address, from the environment or a .env file. Any other node
    is joined by --connect. `drystone net --ready node-7000 --help` steers one from another
    terminal. Ctrl-C ends it.
    """  # noqa: D301  \b is click's sign
    places = read_places(here())
    params = params_of(chain_name or LOCAL.name)
    refuse_public(params)
    dialled = [*_family(port, places), *map(SocketAddress.from_text, others)]
    rate = hashrate
    if rate is None:
        rate = -(-usual_hashes_per_s(params) // len(places.ports))
    folder = expanded(datadir) if datadir is not None else None
    name = str(port) if port else "node" if folder is not None else f"node{os.getpid()}"
    settings = replace(default_settings(params).named(name), last_retry_ns=LAST_RETRY_NS)

    async def begin(network: AsyncNetwork) -> None:
        listen = SocketAddress(places.ip_address, port)
        await network.add_node(name, hashes_per_s=rate, listen=listen, settings=settings)
        for address in dialled:
            network.connect(name, str(address))

    where = "in memory" if folder is None else f"in {folder / name}"
    what = ", ".join(map(str, dialled))
    session = Session(
        "node",
        f"a full node of {params.name} over TCP, {where}" + (f", dialling {what}" if what else ""),
        Kind(Json if as_json else Lines),
        lambda watch, trouble: AsyncNetwork(
            params=params, datadir=folder, watch=watch, trouble=trouble
        ),
        begin=begin,
        name=lambda network: f"node-{network[name].address.port}",
        ready=ready,
        advice="next: `drystone up` runs several in one terminal; `drystone --help` shows the rest",
    )
    for other in places.ports:
        session.board.know(str(other))
    session.run()


def _family(port: int, places: Places) -> list[SocketAddress]:
    """The nodes of NODE_PORTS that one of them dials: those below, so that no two dial each other.

    None are there yet? They are dialled again, every few seconds.
    """
    if port not in places.ports:
        return []
    return [SocketAddress(places.ip_address, other) for other in places.ports if other < port]
