"""Which chain a command is about, and in which directory it is kept."""

import math
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Final

import click
from click.core import ParameterSource

from drystone.consensus.chains import CHAINS, LOCAL, REGTEST
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.drivers.store.blocks import Fsync
from drystone.drivers.store.directory import chain_folder
from drystone.network.chains import params_of

VARIABLE: Final = "DRYSTONE_DATADIR"
DEFAULT_DATADIR: Final = Path("~/.drystone")

datadir_option = click.option(
    "--datadir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=VARIABLE,
    default=DEFAULT_DATADIR,
    show_default=True,
    show_envvar=True,
    help="Where chains are kept, each in a folder of its own.",
)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")


def _fsync(_context: click.Context, _param: click.Parameter, when: str) -> Fsync:
    """What `--fsync` says, for the store."""
    match when:
        case "flush" | "always":
            return when
    try:
        seconds = float(when)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise click.BadParameter(f"{when!r} is neither flush nor always nor a number of seconds.")
    return seconds


fsync_option = click.option(
    "--fsync",
    metavar="WHEN",
    default="flush",
    show_default=True,
    callback=_fsync,
    help="When the disk itself must have what came: at each flush of the coins (every 2,000 blocks"
    " or so, and at the end), always, or every so many seconds. It counts only where the power"
    " fails.",
)


def _chain_option(default: str) -> Callable[[click.decorators.FC], click.decorators.FC]:
    names = ", ".join(CHAINS)
    return click.option(
        "--chain",
        "chain_name",
        metavar="NAME",
        help=f"One of {names}, or a chain file (.toml).  [default: {default}]",
    )


mined_chain_option = _chain_option(LOCAL.name)
imported_chain_option = _chain_option("the one that the first file is of")
kept_chain_option = _chain_option("the one that is there")


def kept_params(datadir: Path, name: str | None) -> Params:
    """The chain that is meant among those in a directory. Raises UserError."""
    if name is not None:
        params = params_of(name)
        if not _is_kept(datadir, params):
            raise UserError(
                f"no chain {params.name} in {datadir}: `{command_here('mine', name)}` begins one"
            )
        return params
    kept = _kept_chains(datadir)
    if not kept:
        raise UserError(
            f"no chain in {datadir}: `{command_here('mine', None)}` begins one, and a chain of your"
            " own wants --chain FILE"
        )
    if len(kept) > 1:
        names = ", ".join(params.name for params in kept)
        raise UserError(f"several chains in {datadir}: choose with --chain, of {names}")
    return kept[0]


def _kept_chains(datadir: Path) -> list[Params]:
    return [params for params in CHAINS.values() if _is_kept(datadir, params)]


def _is_kept(datadir: Path, params: Params) -> bool:
    blocks = chain_folder(datadir, params) / "blocks"
    try:
        return blocks.is_dir()
    except OSError as error:
        raise UserError(f"can't look into {blocks.parent}: {error.strerror}") from None


def command_here(command: str, chain_name: str | None) -> str:
    """A command to type next, with the options that lead it to the chain at hand.

    chain_name: as it was given, or None if only one can be meant.
    """
    context = click.get_current_context()
    datadir = context.params["datadir"]
    words = ["drystone", command]
    if chain_name is not None and (
        command == "mine" or chain_name not in CHAINS or len(_kept_chains(expanded(datadir))) > 1
    ):
        words.append(f"--chain {quote(chain_name)}")
    if context.get_parameter_source("datadir") is ParameterSource.COMMANDLINE:
        words.append(f"--datadir {quote(str(datadir))}")
    return " ".join(words)


def expanded(datadir: Path) -> Path:
    """With the user's home in place of a tilde. Raises UserError."""
    try:
        return datadir.expanduser()
    except RuntimeError:
        raise UserError(
            f"no home directory for {datadir}: name one with --datadir or {VARIABLE}"
        ) from None


def refuse_public(params: Params) -> None:
    """Raises UserError for chains that nobody could mine on a desk."""
    if params in CHAINS.values() and params not in (LOCAL, REGTEST):
        raise UserError(
            f"nobody can mine {params.name} on this machine: choose local, regtest, or a chain file"
        )
