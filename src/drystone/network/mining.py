"""Mining on a chain, block after block, in real time."""

from collections.abc import Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NotYet
from typing import Final, Protocol

from drystone.chain.chainstate import ChainState
from drystone.chain.tree import BlockNode
from drystone.consensus.deployments import StateCache
from drystone.core.errors import UserError
from drystone.core.time import Clock
from drystone.drivers.clock import system_clock
from drystone.drivers.miner import Miner
from drystone.mining.search import block_from_found, job_from_template, solve
from drystone.mining.template import Template, assemble
from drystone.primitives.block import Block

AT_ONCE_HASHES: Final = 1 << 16  # a search that is over in moments: no thread is woken for it
REFRESH_S: Final = 1.0  # a block that takes longer is given a new time
PATIENCE_S: Final = 0.05  # between two looks at whether to stop


class Stop(Protocol):
    """Whether to stop: a truth value that may change at any time."""

    def __bool__(self) -> bool:
        """True from when it is enough."""


def mine_blocks(
    chain: ChainState,
    script_pubkey: bytes,
    miner: Miner,
    stop: Stop,
    clock: Clock = system_clock,
) -> Iterator[BlockNode]:
    """Mine on the tip and submit what is found, for ever; each block once the chain has it.

    script_pubkey: whom the rewards pay. miner: keeps the budget; where that has no limit and a
    block takes moments, the calling thread searches.

    Raises UserError if a block is refused. Only its time can be the cause: it is later than that of
    most blocks just below, so where many come in the same second, again and again,
    times run two hours ahead of the clock.
    """
    states: StateCache = {}
    while not stop:
        template = _template(chain, script_pubkey, clock, states)
        block = _new_block(chain, template, miner, stop, clock)
        if block is None:
            return
        error = chain.submit(block, now=clock().unix_s).error
        if error is not None:
            raise UserError(
                f"the mined block is refused, {error}: the times of blocks run ahead of the clock"
                " where many are mined at once; go on in an hour or two, or set the clock"
            )
        yield chain.tip


def _template(
    chain: ChainState, script_pubkey: bytes, clock: Clock, states: StateCache
) -> Template:
    tip = chain.tip
    return assemble(
        tip.height,
        tip.header_at,
        median_time=tip.median_time_past,
        now=clock().unix_s,
        script_pubkey=script_pubkey,
        params=chain.params,
        states=states,
    )


def _new_block(
    chain: ChainState, template: Template, miner: Miner, stop: Stop, clock: Clock
) -> Block | None:
    """A block that isn't known, or None if it was time to stop.

    One is known if it was mined here before in the same second, and invalidated since.
    """
    extranonce = 0
    while True:
        block = _solved(template, extranonce, miner, stop, clock)
        if block is None or chain.tree.get(block.hash) is None:
            return block
        extranonce += 1


def _solved(
    template: Template, extranonce: int, miner: Miner, stop: Stop, clock: Clock
) -> Block | None:
    if miner.hashes_per_s is None and 2**256 // (template.target + 1) <= AT_ONCE_HASHES:
        return solve(template, extranonce=extranonce)
    while not stop:
        block = _search(template, extranonce, miner, stop)
        if block is not None:
            return block
        extranonce += 1
        template = template.at(max(template.min_time, clock().unix_s))
    return None


def _search(template: Template, extranonce: int, miner: Miner, stop: Stop) -> Block | None:
    """What a miner finds before the template wants a new time."""
    job = job_from_template(template, extranonce, ranges=1)
    future = miner.start(job)
    waited = 0.0
    while not stop and waited < REFRESH_S:
        try:
            found = future.result(timeout=PATIENCE_S)
        except NotYet:
            waited += PATIENCE_S
            continue
        except CancelledError:
            return None
        return None if found is None else block_from_found(template, found, extranonce)
    future.cancel()
    return None
