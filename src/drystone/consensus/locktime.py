"""When a transaction may be in a block: lock times, sequence locks, and the time both go by."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from drystone.consensus.coins import Coin
from drystone.primitives.transaction import SEQUENCE_FINAL, Transaction

MEDIAN_TIME_SPAN: Final = 11  # blocks (BIP113). Core: nMedianTimeSpan
LOCKTIME_THRESHOLD: Final = 500_000_000  # below it a lock time is a height, from it on unix time

# BIP68: the parts of an input's sequence number.
SEQUENCE_LOCKTIME_DISABLE_FLAG: Final = 1 << 31
SEQUENCE_LOCKTIME_TYPE_FLAG: Final = 1 << 22  # set: units of 512 seconds; clear: blocks
SEQUENCE_LOCKTIME_MASK: Final = 0xFFFF
SEQUENCE_LOCKTIME_GRANULARITY: Final = 9  # 2^9 = 512 seconds

MedianTimeAt = Callable[[int], int]
"""Height to the median time past of the block at that height, on the chain being extended."""


def median_time_past(times: Sequence[int]) -> int:
    """The median of the last eleven block times, or of as many as there are (BIP113).

    times: of a block and the ten before it, in any order; the upper middle of an even number.
    Core: CBlockIndex::GetMedianTimePast.
    """
    return sorted(times)[len(times) // 2]


def is_final(tx: Transaction, height: int, time: int) -> bool:
    """Whether a transaction's lock time lets it into a block of this height and time.

    time: what lock times are measured by, the previous block's median time past since BIP113,
    the block's own before. Core: IsFinalTx.
    """
    if tx.lock_time == 0:
        return True
    if tx.lock_time < (height if tx.lock_time < LOCKTIME_THRESHOLD else time):
        return True
    return all(txin.sequence == SEQUENCE_FINAL for txin in tx.vin)


class SequenceLock(NamedTuple):
    """The last height and the last time at which a transaction is still locked; -1 is never."""

    height: int
    time: int


UNLOCKED: Final = SequenceLock(-1, -1)


def sequence_lock(
    tx: Transaction, coins: Sequence[Coin], median_time_at: MedianTimeAt
) -> SequenceLock:
    """What the inputs' sequence numbers ask for, each relative to its coin's age (BIP68).

    coins: what the inputs spend, in order. Time runs from the median time past of the block
    before the coin's. Core: CalculateSequenceLocks.
    """
    if tx.version < 2:
        return UNLOCKED
    last_height, last_time = UNLOCKED
    for txin, coin in zip(tx.vin, coins, strict=True):
        if txin.sequence & SEQUENCE_LOCKTIME_DISABLE_FLAG:
            continue
        wait = txin.sequence & SEQUENCE_LOCKTIME_MASK
        # Minus one: the sequence number tells the first block that is free, a lock the last
        # that is not.
        if txin.sequence & SEQUENCE_LOCKTIME_TYPE_FLAG:
            since = median_time_at(max(coin.height - 1, 0))
            last_time = max(last_time, since + (wait << SEQUENCE_LOCKTIME_GRANULARITY) - 1)
        else:
            last_height = max(last_height, coin.height + wait - 1)
    return SequenceLock(last_height, last_time)


def is_unlocked(lock: SequenceLock, height: int, previous_median_time: int) -> bool:
    """Whether a sequence lock lets a transaction into the block of this height (BIP68).

    Core: EvaluateSequenceLocks.
    """
    return lock.height < height and lock.time < previous_median_time
