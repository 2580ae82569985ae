"""The history of `local`, read from the file that comes with the package."""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from drystone.core.errors import UserError
from drystone.mining.history import decode_history
from drystone.primitives.block import Block

HISTORY_FILE: Final = "local_history.dat"
HISTORY_SHA256: Final = "d6038c1483c65e94045c2eeb5d7056eecab2670358196a220a425f74ede76f92"


@cache
def local_history() -> tuple[Block, ...]:
    """Blocks 1 to 119 of `local`, read once per process; they connect as any others do.

    Raises UserError if the installation is damaged.
    """
    try:
        data = files("drystone.drivers").joinpath(HISTORY_FILE).read_bytes()
    except OSError as e:
        raise UserError(f"the history of local can't be read: {e}; install drystone anew") from None
    if sha256(data).hexdigest() != HISTORY_SHA256:
        raise UserError(f"the history of local, {HISTORY_FILE}, is damaged: install drystone anew")
    return decode_history(data)
