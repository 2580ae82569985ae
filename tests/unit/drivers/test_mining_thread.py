"""Many miners in one thread. What can be counted is counted; where time is measured, it is wide."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError

import pytest

from drystone.core.chance import Stream
from drystone.drivers.mining_thread import MiningThread
from drystone.kernel import Cancel
from drystone.kernel import search as kernel_search
from drystone.mining.budget import Budget
from drystone.mining.ranges import Found, Job, Range

HEADER = bytes(80)
EASY = (1 << 256) // 1000
NEVER = 0
PATIENCE_S = 60  # for what takes milliseconds, unless the machine is very busy


def budget(hashes_per_s: int | None = None, name: str = "") -> Budget:
    return Budget(hashes_per_s, Stream(1, name))


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def thread() -> Iterator[MiningThread]:
    made = MiningThread()
    yield made
    made.close()
    assert not [one for one in threading.enumerate() if one.name == "mining"]


def test_each_of_many_miners_finds_the_lowest_nonce_of_its_own_job(thread: MiningThread) -> None:
    headers = [bytes([n]) * 80 for n in range(20)]
    futures = [thread.miner(budget()).start(Job(EASY, (Range(header),))) for header in headers]
    for header, future in zip(headers, futures, strict=True):
        nonce = kernel_search(header, EASY, 0, 1 << 20)
        assert nonce is not None
        assert future.result(PATIENCE_S) == Found(0, header, nonce)
    assert len([one for one in threading.enumerate() if one.name == "mining"]) == 1


def test_the_thread_begins_with_the_first_job_and_ends_with_close() -> None:
    thread = MiningThread()
    miner = thread.miner(budget())
    before = threading.active_count()
    future = miner.start(Job(NEVER, (Range(HEADER),)))
    assert threading.active_count() == before + 1
    thread.close()
    thread.close()
    assert threading.active_count() == before
    with pytest.raises(CancelledError):
        future.result(PATIENCE_S)
    with pytest.raises(RuntimeError, match="closed"):
        miner.start(Job(NEVER, (Range(HEADER),)))


def test_a_new_job_takes_the_place_of_the_one_before(thread: MiningThread) -> None:
    miner = thread.miner(budget())
    first = miner.start(Job(NEVER, (Range(HEADER),)))
    second = miner.start(Job(EASY, (Range(HEADER),)))
    assert second.result(PATIENCE_S) is not None
    assert first.cancelled()


def test_a_job_searched_in_vain_says_so(thread: MiningThread) -> None:
    miner = thread.miner(budget())
    ranges = (Range(HEADER, 0, 700), Range(HEADER, 5, 300))
    assert miner.start(Job(NEVER, ranges)).result(PATIENCE_S) is None
    assert miner.hashes == 1_000


def test_a_rate_of_zero_stands_still_until_it_is_changed(thread: MiningThread) -> None:
    idle, busy = thread.miner(budget(0)), thread.miner(budget(1_000, "busy"))
    waiting = idle.start(Job(EASY, (Range(HEADER),)))
    working = busy.start(Job(NEVER, (Range(HEADER),)))
    wait_until(lambda: busy.hashes > 100)
    assert idle.hashes == 0
    assert busy.hashes_per_s == 1_000
    idle.set_hashrate(None)
    assert waiting.result(PATIENCE_S) is not None
    busy.cancel()
    assert working.cancelled()


def test_a_budget_is_kept_beside_a_miner_that_has_none(thread: MiningThread) -> None:
    greedy, modest = thread.miner(budget()), thread.miner(budget(2_000, "modest"))
    began = time.monotonic()
    greedy.start(Job(NEVER, (Range(HEADER),)))
    modest.start(Job(NEVER, (Range(HEADER),)))
    wait_until(lambda: modest.hashes >= 400)
    took_s = time.monotonic() - began
    # A slice and what may be made up for are more than it is due at any moment.
    assert modest.hashes <= 2_000 * (took_s + 0.4) + 1
    assert greedy.hashes > modest.hashes


def test_a_search_that_fails_tells_whoever_waits(caplog: pytest.LogCaptureFixture) -> None:
    def fail(header: bytes, target: int, start: int, count: int, *, cancel: Cancel) -> int | None:
        assert header and target and count and not start and not cancel.is_set()
        raise OSError("no more hashes")

    thread = MiningThread(fail)
    with pytest.raises(OSError, match="no more hashes"):
        thread.miner(budget()).start(Job(EASY, (Range(HEADER),))).result(PATIENCE_S)
    thread.close()
    assert "a search failed" in caplog.text


def test_a_rate_below_zero_is_refused(thread: MiningThread) -> None:
    with pytest.raises(ValueError, match="negative"):
        thread.miner(budget()).set_hashrate(-1)
