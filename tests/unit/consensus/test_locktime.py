"""Lock times, sequence locks and the time that both go by."""

from dataclasses import replace

import pytest

from drystone.consensus.coins import Coin
from drystone.consensus.locktime import (
    UNLOCKED,
    SequenceLock,
    is_final,
    is_unlocked,
    median_time_past,
    sequence_lock,
)
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import (
    SEQUENCE_FINAL,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
)

A = OutPoint(Txid(bytes(32)), 0)
THRESHOLD = 500_000_000
DISABLED, BY_TIME = 1 << 31, 1 << 22


@pytest.mark.parametrize(
    ("times", "median"),
    [
        ([5], 5),
        ([5, 9], 9),  # the upper of two
        ([9, 5], 9),
        ([1, 2, 3], 2),
        ([30, 10, 20, 40], 30),
        ([11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6], 6),
        ([7] * 6 + [1] * 5, 7),
    ],
)
def test_the_median_is_the_upper_middle(times: list[int], median: int) -> None:
    assert median_time_past(times) == median


def locked(lock_time: int, *sequences: int) -> Transaction:
    vin = tuple(TxIn(A, sequence=sequence) for sequence in sequences)
    return Transaction(2, vin, (TxOut(0, b""),), lock_time)


@pytest.mark.parametrize(
    ("tx", "height", "time", "final"),
    [
        (locked(0, 0), 0, 0, True),
        (locked(10, 0), 10, 0, False),
        (locked(10, 0), 11, 0, True),
        (locked(10, 0), 10, 2**32, False),  # a height is not compared with times
        (locked(THRESHOLD - 1, 0), THRESHOLD - 1, 0, False),
        (locked(THRESHOLD - 1, 0), THRESHOLD, 0, True),
        (locked(THRESHOLD, 0), 2**31, THRESHOLD, False),  # from here on it is a time
        (locked(THRESHOLD, 0), 0, THRESHOLD + 1, True),
        (locked(2**32 - 1, 0), 1, 2**32 - 1, False),
        (locked(10, SEQUENCE_FINAL), 1, 0, True),
        (locked(10, SEQUENCE_FINAL, SEQUENCE_FINAL - 1), 1, 0, False),
    ],
)
def test_a_lock_time_is_over_or_turned_off_by_all_inputs(
    tx: Transaction, height: int, time: int, *, final: bool
) -> None:
    assert is_final(tx, height, time) is final


def sequenced(*sequences: int, version: int = 2) -> Transaction:
    return replace(locked(0, *sequences), version=version)


def coins(*heights: int) -> list[Coin]:
    return [Coin(TxOut(0, b""), height, is_coinbase=False) for height in heights]


def median_time_at(height: int) -> int:
    assert height >= 0
    return 1_000_000 + 600 * height


@pytest.mark.parametrize(
    ("tx", "heights", "lock"),
    [
        (sequenced(0), [70], SequenceLock(69, -1)),
        (sequenced(1), [70], SequenceLock(70, -1)),
        (sequenced(0xFFFF), [70], SequenceLock(70 + 0xFFFF - 1, -1)),
        (sequenced(BY_TIME), [70], SequenceLock(-1, 1_000_000 + 600 * 69 - 1)),
        (sequenced(BY_TIME | 3), [70], SequenceLock(-1, 1_000_000 + 600 * 69 + 3 * 512 - 1)),
        (sequenced(BY_TIME), [0], SequenceLock(-1, 1_000_000 - 1)),  # genesis has none before it
        (sequenced(DISABLED | 5), [70], UNLOCKED),
        (sequenced(DISABLED | BY_TIME | 5), [70], UNLOCKED),
        (sequenced(SEQUENCE_FINAL), [70], UNLOCKED),
        (sequenced(5 | 1 << 16 | 1 << 21 | 1 << 23 | 1 << 30), [70], SequenceLock(74, -1)),
        (sequenced(5, version=1), [70], UNLOCKED),
        (sequenced(5, version=0), [70], UNLOCKED),
        (sequenced(5, version=0xFFFFFFFF), [70], SequenceLock(74, -1)),  # unsigned
        (sequenced(5, 2), [70, 90], SequenceLock(91, -1)),
        (sequenced(5, BY_TIME | 1), [70, 1], SequenceLock(74, 1_000_000 + 511)),
    ],
)
def test_the_longest_lock_of_all_inputs_counts(
    tx: Transaction, heights: list[int], lock: SequenceLock
) -> None:
    assert sequence_lock(tx, coins(*heights), median_time_at) == lock


def test_a_lock_ends_after_its_last_height_and_time() -> None:
    assert is_unlocked(UNLOCKED, 0, 0)
    assert not is_unlocked(SequenceLock(70, -1), 70, 0)
    assert is_unlocked(SequenceLock(70, -1), 71, 0)
    assert not is_unlocked(SequenceLock(-1, 5000), 71, 5000)
    assert is_unlocked(SequenceLock(-1, 5000), 71, 5001)
    assert not is_unlocked(SequenceLock(70, 5000), 71, 5000)
    assert not is_unlocked(SequenceLock(70, 5000), 70, 5001)


def test_one_block_of_waiting_means_the_next_block() -> None:
    """A coin of block 70 with sequence 1 can be spent in block 71, with 0 in block 70 itself."""
    lock = sequence_lock(sequenced(1), coins(70), median_time_at)
    assert not is_unlocked(lock, 70, median_time_at(69))
    assert is_unlocked(lock, 71, median_time_at(70))
    assert is_unlocked(sequence_lock(sequenced(0), coins(70), median_time_at), 70, 0)
