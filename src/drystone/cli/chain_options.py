"""Which chain a command is about, and in which directory it is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from drystone.consensus.chainfile import ChainFileError, read_chain
from drystone.consensus.chains import CHAINS, LOCAL
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.drivers.store.directory import chain_folder

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


def _chain_option(default: str) -> Callable[[click.decorators.FC], click.decorators.FC]:
    names = ", ".join(CHAINS)
    return click.option(
        "--chain",
        "chain_name",
        metavar="NAME",
        help=f"One of {names}, or a chain file (.toml).  [default: {default}]",
    )


chain_option = _chain_option(LOCAL.name)
kept_chain_option = _chain_option("the one that is there")


def params_of(name: str) -> Params:
    """The chain of a name, or that a file describes. Raises UserError."""
    if name in CHAINS:
        return CHAINS[name]
    path = Path(name)
    if path.suffix != ".toml":
        known = ", ".join(CHAINS)
        raise UserError(f"no chain {name!r}: there are {known}, and files whose name ends in .toml")
    try:
        return read_chain(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"can't read the chain file {name}: {error.strerror}") from None
    except (ChainFileError, UnicodeDecodeError) as error:
        raise UserError(f"chain file {name}: {error}") from None


def kept_params(datadir: Path, name: str | None) -> Params:
    """The chain that is meant among those in a directory. Raises UserError."""
    if name is not None:
        params = params_of(name)
        if not chain_folder(datadir, params).joinpath("blocks").is_dir():
            raise UserError(f"no chain {params.name} in {datadir}: `drystone mine` begins one")
        return params
    kept = [
        params
        for params in CHAINS.values()
        if chain_folder(datadir, params).joinpath("blocks").is_dir()
    ]
    if not kept:
        raise UserError(
            f"no chain in {datadir}: `drystone mine --datadir {datadir}` begins one, and a chain"
            " of your own wants --chain FILE"
        )
    if len(kept) > 1:
        names = ", ".join(params.name for params in kept)
        raise UserError(f"several chains in {datadir}: choose with --chain, of {names}")
    return kept[0]


def expanded(datadir: Path) -> Path:
    """With the user's home in place of a tilde. Raises UserError."""
    try:
        return datadir.expanduser()
    except RuntimeError:
        raise UserError(
            f"no home directory for {datadir}: name one with --datadir or {VARIABLE}"
        ) from None
