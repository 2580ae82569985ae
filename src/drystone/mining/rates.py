"""How many hashes per second a chain's nodes do if nobody says otherwise, all of them together."""

from drystone.consensus.params import Params
from drystone.consensus.pow import block_work


def default_hashes_per_s(params: Params) -> int:
    """The hash rate at which blocks of the chain's first difficulty come at its spacing.

    6,554 on `local`. It is the whole network's: with more nodes, each has less, see `shares`.
    """
    return -(-block_work(params.genesis.header.bits) // params.pow_spacing_s)


def shares(hashes_per_s: int, nodes: int) -> list[int]:
    """A hash rate in as many equal parts, which differ by one at most and lose nothing."""
    each, left = divmod(hashes_per_s, nodes)
    return [each + (n < left) for n in range(nodes)]
