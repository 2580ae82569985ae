"""Which transactions go into a block: chunks, the best fee rate first, while they fit.

A chunk is some transactions that go in together, since the later ones pay for the earlier ones that
they need: `core/linearize.py` finds the best. Here they are made of any given set of transactions;
a mempool has its own.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from drystone.consensus.coins import Coin, CoinsOverlay, CoinsView
from drystone.consensus.deployments import script_flags
from drystone.consensus.errors import TxPremature
from drystone.consensus.limits import MAX_BLOCK_SIGOPS_COST, MAX_BLOCK_WEIGHT
from drystone.consensus.locktime import MedianTimeAt, is_final, is_unlocked, sequence_lock
from drystone.consensus.params import Params
from drystone.consensus.transaction import check_tx_inputs, sigop_cost
from drystone.core.linearize import linearize
from drystone.primitives.hashes import NULL_HASH, BlockHash, Txid
from drystone.primitives.transaction import WITNESS_SCALE_FACTOR, Transaction

# To have done soon when the block is nearly full: so many chunks in a row that didn't fit, and no
# more room than this. Core: MAX_CONSECUTIVE_FAILURES, BLOCK_FULL_ENOUGH_WEIGHT_DELTA.
MOST_FAILURES: Final = 1000
NEARLY_FULL_WEIGHT: Final = 4000


class Candidate(NamedTuple):
    """A transaction that could be in the block."""

    tx: Transaction
    fee: int  # satoshis
    sigop_cost: int  # BIP141


class Chunk(NamedTuple):
    """Transactions that go in together, parents before children."""

    members: tuple[Candidate, ...]
    fee: int  # satoshis, as their order goes by: somebody may have wished for another
    weight: int
    sigop_cost: int


class Limits(NamedTuple):
    """How much goes into a block. The defaults are the reference client's."""

    max_weight: int = MAX_BLOCK_WEIGHT  # Core: -blockmaxweight
    max_sigop_cost: int = MAX_BLOCK_SIGOPS_COST
    reserved_weight: int = 8000  # for header and coinbase; Core: -blockreservedweight
    reserved_sigop_cost: int = 400  # for the coinbase
    min_feerate_sat_per_kvb: int = 1  # Core: -blockmintxfee


class Selection(NamedTuple):
    """What was chosen, in the order in which it goes into the block."""

    chosen: tuple[Candidate, ...]
    fees: int  # satoshis
    weight: int  # what is reserved included
    sigop_cost: int  # what is reserved included


def candidates_from_transactions(
    transactions: Iterable[Transaction],
    coins: CoinsView,
    *,
    height: int,
    median_time_at: MedianTimeAt,
    params: Params,
) -> list[Candidate]:
    """What transactions pay and cost in a block at this height, parents given before children.

    coins: as the parent block left them. median_time_at: for the heights below.
    Scripts are not run. Raises MissingInputs, TxPremature or TxInvalid for the first transaction
    that can't be in the block.
    """
    flags = script_flags(params, height, BlockHash(NULL_HASH))
    previous_median_time = median_time_at(height - 1)
    view = CoinsOverlay(coins, height)
    candidates = []
    for tx in transactions:
        spent, fee = check_tx_inputs(tx, view, height, params.coinbase_maturity)
        _check_time_has_come(tx, spent, height, previous_median_time, median_time_at)
        candidates.append(Candidate(tx, fee, sigop_cost(tx, spent, flags)))
        view.apply(tx, spent)
    return candidates


def _check_time_has_come(
    tx: Transaction,
    spent: Sequence[Coin],
    height: int,
    previous_median_time: int,
    median_time_at: MedianTimeAt,
) -> None:
    """Raises TxPremature with the reasons that the reference client's mempool has."""
    if not is_final(tx, height, previous_median_time):
        raise TxPremature("non-final", f"lock time {tx.lock_time}")
    lock = sequence_lock(tx, spent, median_time_at)
    if not is_unlocked(lock, height, previous_median_time):
        raise TxPremature("non-BIP68-final", f"locked up to {lock}")


def chunks_from_candidates(candidates: Iterable[Candidate]) -> list[Chunk]:
    """All of them in chunks, the best fee rate first: the order that pays most, at any length.

    candidates: in any order, each once, no two spending the same coin; what they spend that none
    of them makes is taken to be there. The outcome doesn't depend on their order.
    """
    ordered = _parents_first(candidates)
    place = {candidate.tx.txid: n for n, candidate in enumerate(ordered)}
    parents = [sorted(_parents(candidate.tx, place)) for candidate in ordered]
    linearized = linearize(
        [candidate.fee for candidate in ordered],
        [candidate.tx.weight for candidate in ordered],
        parents,
    )
    return [_chunk([ordered[n] for n in chunk.members]) for chunk in linearized]


def _parents(tx: Transaction, place: dict[Txid, int]) -> set[int]:
    return {place[txin.prevout.txid] for txin in tx.vin if txin.prevout.txid in place}


def _parents_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    """By how long a line of parents each has, then by txid."""
    given = sorted(candidates, key=lambda candidate: candidate.tx.txid)
    place = {candidate.tx.txid: n for n, candidate in enumerate(given)}
    parents = [_parents(candidate.tx, place) for candidate in given]
    children: list[list[int]] = [[] for _ in given]
    for child, needed in enumerate(parents):
        for parent in needed:
            children[parent].append(child)
    waiting = [len(needed) for needed in parents]
    generation = [n for n, left in enumerate(waiting) if not left]
    ordered: list[Candidate] = []
    while generation:
        ordered += [given[n] for n in generation]
        following = []
        for parent in generation:
            for child in children[parent]:
                waiting[child] -= 1
                if not waiting[child]:
                    following.append(child)
        generation = sorted(following)
    return ordered


def _chunk(members: Sequence[Candidate]) -> Chunk:
    return Chunk(
        tuple(members),
        sum(candidate.fee for candidate in members),
        sum(candidate.tx.weight for candidate in members),
        sum(candidate.sigop_cost for candidate in members),
    )


def select(
    chunks: Iterable[Chunk],
    limits: Limits,
    *,
    height: int,
    lock_time_cutoff: int,
    is_segwit_active: bool = True,
) -> Selection:
    """Take chunks while they fit. Core: BlockAssembler::addChunks.

    chunks: the best fee rate first, parents before or with their children. lock_time_cutoff: the
    parent block's median time past; Core goes by it even before BIP113 binds, and so do we.

    One that doesn't fit, or has a transaction whose time hasn't come, is passed over, and with it
    all that need it. Core quirk: a block is never filled to the last unit of weight or of sigops.
    """
    chosen: list[Candidate] = []
    left_out: set[Txid] = set()
    fees, weight, cost = 0, limits.reserved_weight, limits.reserved_sigop_cost
    failures = 0
    for chunk in chunks:
        if _pays_too_little(chunk, limits):
            break  # and so do all that follow
        fits = (
            weight + chunk.weight < limits.max_weight
            and cost + chunk.sigop_cost < limits.max_sigop_cost
            and all(
                _may_be_in(candidate.tx, left_out, height, lock_time_cutoff)
                and (is_segwit_active or not candidate.tx.has_witness)
                for candidate in chunk.members
            )
        )
        if fits:
            chosen += chunk.members
            fees += sum(candidate.fee for candidate in chunk.members)
            weight += chunk.weight
            cost += chunk.sigop_cost
            failures = 0
            continue
        left_out.update(candidate.tx.txid for candidate in chunk.members)
        failures += 1
        if failures > MOST_FAILURES and weight + NEARLY_FULL_WEIGHT > limits.max_weight:
            break
    return Selection(tuple(chosen), fees, weight, cost)


def _pays_too_little(chunk: Chunk, limits: Limits) -> bool:
    """Whether its fee rate, by virtual bytes rounded up as Core has them, is below the least."""
    vsize = -(-chunk.weight // WITNESS_SCALE_FACTOR)
    return chunk.fee * 1000 < limits.min_feerate_sat_per_kvb * vsize


def _may_be_in(tx: Transaction, left_out: set[Txid], height: int, lock_time_cutoff: int) -> bool:
    """Whether its time has come, and what it needs is in the block or below it."""
    if left_out and any(txin.prevout.txid in left_out for txin in tx.vin):
        return False
    return is_final(tx, height, lock_time_cutoff)
