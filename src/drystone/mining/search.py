"""From a template to a block: what a miner searches, and what comes of a solution."""

from typing import Final

from drystone.kernel import Cancel
from drystone.kernel import search as kernel_search
from drystone.mining.ranges import NONCES, Found, Job, Range
from drystone.mining.template import Template
from drystone.primitives.block import Block

MOST_RANGES: Final = 64


def job_from_template(template: Template, extranonce: int = 0, ranges: int | None = None) -> Job:
    """What a miner is to search: a header for each extra nonce from this one on, all nonces of it.

    ranges: how many; by default enough that one miner in 50 at most comes to the end of them, up
    to 64. One who does goes on with the extra nonces that follow.
    """
    if ranges is None:
        expected_hashes = 2**256 // (template.target + 1)
        ranges = min(1 + 4 * expected_hashes // NONCES, MOST_RANGES)
    headers = (
        template.header(template.coinbase.transaction(extranonce + n)).encode()
        for n in range(ranges)
    )
    return Job(template.target, tuple(map(Range, headers)))


def block_from_found(template: Template, found: Found, extranonce: int = 0) -> Block:
    """The block that a solution of `job_from_template` makes; extranonce: as given there."""
    return template.block(extranonce + found.index, found.nonce)


def solve(
    template: Template,
    *,
    extranonce: int = 0,
    tries: int = NONCES,
    cancel: Cancel | None = None,
) -> Block | None:
    """Search here and now, at full speed: the block, or None after so many hashes in vain.

    Nonces from 0 on, then the next extra nonce. For targets that take moments: regtest's, and in
    virtual time. cancel: ends the search with None within about 10 ms.
    """
    target = template.target
    while tries > 0 and not (cancel is not None and cancel.is_set()):
        coinbase = template.coinbase.transaction(extranonce)
        header = template.header(coinbase)
        nonce = kernel_search(header.encode(), target, 0, min(tries, NONCES), cancel=cancel)
        if nonce is not None:
            return Block(template.header(coinbase, nonce), (coinbase, *template.transactions))
        tries -= NONCES
        extranonce += 1
    return None
