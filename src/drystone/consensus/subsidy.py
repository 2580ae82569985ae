"""The coins that a block may make out of nothing."""

from typing import Final

from drystone.primitives.amount import COIN

INITIAL_SUBSIDY: Final = 50 * COIN


def block_subsidy(height: int, halving_interval: int) -> int:
    """Satoshis: 50 BTC, halved every so many blocks and rounded down, until nothing is left.

    Core: GetBlockSubsidy, which says zero from the 64th halving on; so does this shift, which
    has nothing left after the 33rd.
    """
    return INITIAL_SUBSIDY >> (height // halving_interval)
