"""Block templates: a block on a parent, whole but for its extra nonce and its nonce.

A template is a value. Time passes, and `at` makes one of a later time; a better set of
transactions, or another parent, is another template.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from drystone.consensus.deployments import StateCache, compute_block_version
from drystone.consensus.params import MAX_TIMEWARP_S, Params
from drystone.consensus.pow import HeaderAt, next_bits, read_compact
from drystone.consensus.subsidy import block_subsidy
from drystone.consensus.transaction import legacy_sigops
from drystone.mining.coinbase import Coinbase, make_coinbase
from drystone.mining.selection import Candidate, Chunk, Limits, Selection, select
from drystone.primitives.block import HEADER_BYTES, Block, BlockHeader
from drystone.primitives.codec import compact_size
from drystone.primitives.hashes import BlockHash
from drystone.primitives.merkle import merkle_branch, root_from_branch
from drystone.primitives.transaction import WITNESS_SCALE_FACTOR, Transaction, TxOut

DEFAULT_LIMITS = Limits()


class BitsByTime(NamedTuple):
    """The bits of the next block, which on chains like testnet4 depend on its time."""

    bits: int
    until: int | None  # unix seconds: the last time that asks for them; None: all do
    bits_after: int

    def at(self, time: int) -> int:
        """The bits of a block of this time."""
        return self.bits if self.until is None or time <= self.until else self.bits_after


@dataclass(frozen=True, slots=True)
class Template:
    """A block to come. Core: CBlockTemplate."""

    height: int
    version: int
    prev_hash: BlockHash
    time: int  # unix seconds
    min_time: int  # the earliest that it may have
    bits: int  # at this time
    bits_by_time: BitsByTime
    is_pow_assumed: bool
    coinbase: Coinbase
    selection: Selection
    transactions: tuple[Transaction, ...]  # all but the coinbase
    merkle_branch: tuple[bytes, ...]  # from the coinbase to the root

    @property
    def target(self) -> int:
        """What the hash, as an integer, may be at most; anything goes where work is assumed."""
        return (1 << 256) - 1 if self.is_pow_assumed else read_compact(self.bits).value

    @property
    def reward(self) -> int:
        """Subsidy and fees, in satoshis."""
        return sum(txout.value for txout in self.coinbase.outputs)

    def at(self, time: int) -> "Template":
        """The same block at another time, and with the bits that go with it. Core: UpdateTime.

        Raises ValueError for a time before `min_time`.
        """
        if time < self.min_time:
            raise ValueError(f"the block's time is {self.min_time} at least, not {time}")
        return replace(self, time=time, bits=self.bits_by_time.at(time))

    def header(self, coinbase: Transaction, nonce: int = 0) -> BlockHeader:
        """The header above a coinbase of this template."""
        root = root_from_branch(coinbase.txid, 0, self.merkle_branch)
        return BlockHeader(self.version, self.prev_hash, root, self.time, self.bits, nonce)

    def block(self, extranonce: int, nonce: int) -> Block:
        """The block, once they have been found."""
        coinbase = self.coinbase.transaction(extranonce)
        return Block(self.header(coinbase, nonce), (coinbase, *self.transactions))


def assemble(
    parent_height: int,
    header_at: HeaderAt,
    *,
    median_time: int,
    now: int,
    script_pubkey: bytes,
    params: Params,
    outputs: Sequence[TxOut] = (),
    chunks: Iterable[Chunk] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    states: StateCache | None = None,
    commits_always: bool = True,
) -> Template:
    """A template on a parent. Core: CreateNewBlock.

    header_at: for heights from 0 to the parent's. median_time: past of the parent. now: unix
    seconds. script_pubkey: gets what the outputs leave of subsidy and fees. chunks: transactions
    to choose from, best first, as `selection` makes them; they find their coins after the parent.
    states: of deployments, so that they need not be counted anew for each block. commits_always:
    also to no witnesses at all, as Core does.

    A block of it keeps all rules if its chunks do, but that a signet's blocks want signing.
    Raises ValueError if the outputs are worth more than there is.
    """
    parent, height = header_at(parent_height), parent_height + 1
    is_segwit_active = height >= params.segwit_height
    min_time = minimum_time(parent, height, median_time, params)
    time = max(min_time, now)
    bits_by_time = _bits_by_time(parent_height, header_at, parent, params)
    subsidy = block_subsidy(height, params.halving_interval)

    def coinbase_with(chosen: Sequence[Candidate], fees: int, *, commits: bool) -> Coinbase:
        return make_coinbase(
            height,
            subsidy + fees,
            script_pubkey,
            outputs=outputs,
            wtxids=[candidate.tx.wtxid for candidate in chosen],
            is_segwit_active=is_segwit_active,
            commits=commits,
        )

    selection = Selection((), 0, limits.reserved_weight, limits.reserved_sigop_cost)
    if chunks is not None:
        selection = select(
            chunks,
            _with_room_for(coinbase_with((), 0, commits=True), limits),
            height=height,
            lock_time_cutoff=median_time,
            is_segwit_active=is_segwit_active,
        )
    transactions = tuple(candidate.tx for candidate in selection.chosen)
    commits = commits_always or any(tx.has_witness for tx in transactions)
    return Template(
        height=height,
        version=compute_block_version(parent_height, header_at, params, states),
        prev_hash=parent.hash,
        time=time,
        min_time=min_time,
        bits=bits_by_time.at(time),
        bits_by_time=bits_by_time,
        is_pow_assumed=params.pow_assumed,
        coinbase=coinbase_with(selection.chosen, selection.fees, commits=commits),
        selection=selection,
        transactions=transactions,
        merkle_branch=merkle_branch([bytes(32), *(tx.txid for tx in transactions)], 0),
    )


def minimum_time(parent: BlockHeader, height: int, median_time: int, params: Params) -> int:
    """The earliest time that a miner gives a block: later than the parent's median time past.

    height: the block's own. A retargeting period begins no more than ten minutes before the end
    of the one below, whether or not the chain asks for that (BIP94). Core: GetMinimumTime.
    """
    if height % params.retarget_interval == 0:
        return max(median_time + 1, parent.time - MAX_TIMEWARP_S)
    return median_time + 1


def _bits_by_time(
    parent_height: int, header_at: HeaderAt, parent: BlockHeader, params: Params
) -> BitsByTime:
    bits = next_bits(parent_height, header_at, parent.time, params)
    if not params.allow_min_difficulty:
        return BitsByTime(bits, None, bits)
    until = parent.time + 2 * params.pow_spacing_s
    return BitsByTime(bits, until, next_bits(parent_height, header_at, until + 1, params))


def _with_room_for(coinbase: Coinbase, limits: Limits) -> Limits:
    """The limits, with as much reserved as this coinbase takes, in case it takes more.

    Fees only change a number of fixed size in it.
    """
    frame = WITNESS_SCALE_FACTOR * (HEADER_BYTES + len(compact_size(0xFFFF)))
    sigop_cost = WITNESS_SCALE_FACTOR * legacy_sigops(coinbase.transaction())
    return limits._replace(
        reserved_weight=max(limits.reserved_weight, frame + coinbase.max_weight),
        reserved_sigop_cost=max(limits.reserved_sigop_cost, sigop_cost),
    )
