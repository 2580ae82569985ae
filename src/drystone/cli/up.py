"""`drystone up`: a network of full nodes in this terminal."""

from pathlib import Path
from secrets import randbits
from typing import Final

import click

from drystone.cli.chain_options import expanded, refuse_public
from drystone.cli.hosting import Session, kind_of_show
from drystone.cli.main import HELP
from drystone.cli.ready_files import published_option
from drystone.consensus.chains import LOCAL
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.network.chains import params_of
from drystone.network.live import AsyncNetwork
from drystone.network.plan import DEFAULT_TOPOLOGY, Plan, plan_from_options
from drystone.network.plan_file import read_plan

NODES: Final = 3
MOST_NODES: Final = 1_000


@click.command(context_settings=HELP, short_help="Watch full nodes mine against each other.")
@click.option(
    "--nodes",
    type=click.IntRange(1, MOST_NODES),
    help=f"How many: n0, n1, ...  [default: {NODES}]",
)
@click.option(
    "--chain",
    "chain_name",
    metavar="NAME",
    help="local, regtest, or a chain file (.toml).  [default: local]",
)
@click.option(
    "--topology",
    metavar="KIND",
    help="ring, star, line, full, random or random:DEGREE; or a network file (.toml), which says"
    f" nodes, links and chain, too.  [default: {DEFAULT_TOPOLOGY}]",
)
@click.option(
    "--hashrate",
    type=click.IntRange(0),
    metavar="H/S",
    help="Hashes per second of all nodes together.  [default: as the chain wants them: 6,554 on"
    " local, 0 on regtest]",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="The nodes listen here and on the ports above.  [default: wherever there is room]",
)
@click.option(
    "--datadir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Each node keeps its chain in a folder here.  [default: in memory]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, (1 << 63) - 1),
    help="Of chance: random topologies, links.  [default: another each time]",
)
@published_option("up.json")
@click.option("--plain", is_flag=True, help="A line for each event: no live view.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each event, a line each.")
def up(
    *,
    nodes: int | None,
    chain_name: str | None,
    topology: str | None,
    hashrate: int | None,
    port: int | None,
    datadir: Path | None,
    seed: int | None,
    ready: Path | None,
    plain: bool,
    as_json: bool,
) -> None:
    """Run full nodes of Bitcoin's protocol that compete by hash rate, with a live view.

    They speak TCP on 127.0.0.1, each at a port that the system chooses. On `local`, a chain of
    drystone's own, a block comes every 11 s or so, and the difficulty follows the hash rate.

    \b
        drystone up                           three nodes
        drystone up --nodes 8 --topology full
        drystone up --chain regtest           mines when told: press m
        drystone up --datadir /tmp/stones     goes on there the next time

    In the view, ? shows the keys: cut the network in two, watch both sides mine, heal it. From
    another terminal, `drystone net` does the same. When standard output is no terminal, --plain is
    implied. Ctrl-C ends it with a summary.
    """  # noqa: D301  \b is click's sign
    plan = _plan(
        nodes=nodes,
        chain_name=chain_name,
        topology=topology,
        hashrate=hashrate,
        port=port,
        seed=seed,
    )
    folder = expanded(datadir) if datadir is not None else None
    session = Session(
        "up",
        _title(plan, folder),
        kind_of_show(plain=plain, as_json=as_json),
        lambda watch, trouble: AsyncNetwork(
            plan=plan, seed=plan.seed, datadir=folder, watch=watch, trouble=trouble
        ),
        ready=ready,
        accounts=plan.accounts,
        advice="next: `drystone node --port 7000` runs a node in a terminal of its own; `drystone"
        " --help` shows the rest",
    )
    session.run()


def _plan(
    *,
    nodes: int | None,
    chain_name: str | None,
    topology: str | None,
    hashrate: int | None,
    port: int | None,
    seed: int | None,
) -> Plan:
    """What the options say, or the file that they name. Raises UserError."""
    if topology is not None and topology.endswith(".toml"):
        return _plan_of_file(Path(topology), nodes=nodes, chain_name=chain_name, port=port)
    params = params_of(chain_name or LOCAL.name)
    refuse_public(params)
    return plan_from_options(
        NODES if nodes is None else nodes,
        params=params,
        topology_name=topology or DEFAULT_TOPOLOGY,
        hashes_per_s=hashrate,
        first_port=port,
        link=LinkSettings(),  # as good as the machine's own
        seed=randbits(32) if seed is None else seed,
    )


def _plan_of_file(path: Path, **options: object) -> Plan:
    for name, value in options.items():
        if value is not None:
            option = name.removesuffix("_name")
            raise UserError(f"{path} says all of that itself: leave out --{option}")
    return read_plan(path)


def _title(plan: Plan, datadir: Path | None) -> str:
    count = len(plan.nodes)
    nodes = "1 full node" if count == 1 else f"{count} full nodes"
    where = "in memory" if datadir is None else f"in {datadir}"
    return f"{nodes} of {plan.params.name} over TCP, {where}"
