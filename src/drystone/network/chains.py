"""The chain that a user names: one that everybody knows, or one that a file describes."""

from pathlib import Path

from drystone.consensus.chainfile import ChainFileError, read_chain
from drystone.consensus.chains import CHAINS
from drystone.consensus.params import Params
from drystone.core.errors import UserError


def params_of(name: str, folder: Path = Path()) -> Params:
    """The chain of a name, or that a file describes. folder: where relative names begin.

    Raises UserError.
    """
    if name in CHAINS:
        return CHAINS[name]
    path = folder / name
    if path.suffix != ".toml":
        known = ", ".join(CHAINS)
        raise UserError(f"no chain {name!r}: there are {known}, and files whose name ends in .toml")
    try:
        return read_chain(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"can't read the chain file {path}: {error.strerror}") from None
    except (ChainFileError, UnicodeDecodeError) as error:
        raise UserError(f"chain file {path}: {error}") from None
