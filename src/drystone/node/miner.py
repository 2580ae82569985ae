"""What the node's miner works on: a block on the tip, of what pays best."""

from collections.abc import Iterator
from typing import Final

from drystone.chain.chainstate import ChainState
from drystone.chain.tree import BlockNode
from drystone.consensus.deployments import StateCache
from drystone.consensus.pow import next_bits
from drystone.core.time import SECOND_NS
from drystone.mempool.pool import Mempool
from drystone.mining.selection import Candidate, Chunk
from drystone.mining.template import Template, assemble
from drystone.node.events import Mine, Offer
from drystone.node.turn import Turn

REFRESH_NS: Final = 5 * SECOND_NS  # between two offers on one tip, while transactions come


class Miner:
    """Offers blocks to whoever searches. commits_always: as of Settings."""

    def __init__(self, chain: ChainState, mempool: Mempool, *, commits_always: bool = True) -> None:
        self._chain = chain
        self._commits_always = commits_always
        self._mempool = mempool
        self._script_pubkey: bytes | None = None
        self._states: StateCache = {}
        self._offered_on: BlockNode | None = None
        self._offered_ns = 0
        self._is_stale = False  # transactions have come since

    def order(self, script_pubkey: bytes | None) -> None:
        """Pay rewards to a script from now on; None: don't mine."""
        self._script_pubkey = script_pubkey
        self._offered_on = None
        self._is_stale = True

    def mempool_changed(self) -> None:
        """A better block may be possible."""
        self._is_stale = True

    def conclude(self, turn: Turn) -> int | None:
        """Offer a block if the last offer is no longer the best; when to look again."""
        tip = self._chain.tip
        if self._script_pubkey is None:
            if self._is_stale:
                self._is_stale = False
                turn.actions.append(Mine(None))
            return None
        if self._offered_on is not tip:
            self._offer(turn)
        elif self._is_stale:
            due_ns = self._offered_ns + REFRESH_NS
            if turn.now.mono_ns < due_ns:
                return due_ns
            self._offer(turn)
        return None

    def _offer(self, turn: Turn) -> None:
        tip, script_pubkey = self._chain.tip, self._script_pubkey
        assert script_pubkey is not None
        time = max(turn.now.unix_s, tip.median_time_past + 1)
        bits = next_bits(tip.height, tip.header_at, time, self._chain.params)
        offer = Offer(
            tip.hash, tip.height + 1, bits, lambda now_s: self.template(script_pubkey, now_s)
        )
        self._offered_on = tip
        self._offered_ns = turn.now.mono_ns
        self._is_stale = False
        turn.actions.append(Mine(offer))

    def template(self, script_pubkey: bytes, now_s: int) -> Template:
        """A block on the tip, at a unix time."""
        tip = self._chain.tip
        return assemble(
            tip.height,
            tip.header_at,
            median_time=tip.median_time_past,
            now=now_s,
            script_pubkey=script_pubkey,
            params=self._chain.params,
            chunks=chunks_of(self._mempool),
            states=self._states,
            commits_always=self._commits_always,
        )


def chunks_of(mempool: Mempool) -> Iterator[Chunk]:
    """The mempool's chunks as a template wants them."""
    for chunk in mempool.chunks():
        members = tuple(
            [Candidate(entry.tx, entry.fee, entry.sigop_cost) for entry in chunk.entries]
        )
        weight = sum([entry.tx.weight for entry in chunk.entries])
        sigop_cost = sum([entry.sigop_cost for entry in chunk.entries])
        yield Chunk(members, chunk.fee, weight, sigop_cost)
