"""Real threads. What can be counted is counted; where time is measured, the bounds are wide."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future

import pytest

from drystone.core.chance import Stream
from drystone.drivers.miner import Miner
from drystone.kernel import Cancel
from drystone.kernel import search as kernel_search
from drystone.mining.budget import Budget
from drystone.mining.ranges import NONCES, Found, Job, Range

HEADER = bytes(80)
EASY = (1 << 256) // 1000
NEVER = 0
PATIENCE_S = 60  # for what takes milliseconds, unless the machine is very busy


class Notebook:
    """A search that finds nothing, or what it was told to, and writes down where it looked."""

    def __init__(self, solutions: tuple[int, ...] = ()) -> None:
        self.solutions = solutions
        self.pieces: list[tuple[bytes, int, int]] = []

    def __call__(
        self, header: bytes, target: int, start: int, count: int, *, cancel: Cancel
    ) -> int | None:
        self.pieces.append((header, start, count))
        time.sleep(0.0002)  # so that the others get their turn
        return min((each for each in self.solutions if start <= each < start + count), default=None)

    @property
    def hashes(self) -> int:
        return sum(count for _, _, count in self.pieces)


def budget(hashes_per_s: int | None = None) -> Budget:
    return Budget(hashes_per_s, Stream(1))


def miner_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("miner-")]


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    yield
    assert not miner_threads()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_one_thread_finds_the_lowest_nonce_of_the_first_range_that_has_one() -> None:
    barren, fertile = Range(b"barren".ljust(80), 0, 5), Range(HEADER, 7, 100_000)
    assert kernel_search(barren.header, EASY, 0, 5) is None
    lowest = kernel_search(HEADER, EASY, 7, 100_000)
    assert lowest is not None
    with Miner(budget()) as miner:
        found = miner.start(Job(EASY, (barren, fertile, fertile))).result(PATIENCE_S)
        assert found == Found(1, HEADER, lowest)
        assert miner.hashes == 5 + lowest - 7 + 1


@pytest.mark.parametrize("threads", [2, 5])
def test_several_threads_find_a_solution(threads: int) -> None:
    with Miner(budget(), threads=threads) as miner:
        found = miner.start(Job(EASY, (Range(HEADER),))).result(PATIENCE_S)
    assert found is not None
    assert kernel_search(HEADER, EASY, found.nonce, 1) == found.nonce


def test_the_tutorials_header_is_searched_too() -> None:
    header, target = bytes(69), (1 << 240) - 1
    with Miner(budget()) as miner:
        found = miner.start(Job(target, (Range(header),))).result(PATIENCE_S)
    assert found is not None
    assert found.nonce == kernel_search(header, target, 0, NONCES)


@pytest.mark.parametrize("hashes_per_s", [None, 10**9])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_every_nonce_is_tried_once_and_none_twice(threads: int, hashes_per_s: int | None) -> None:
    notebook = Notebook()
    ranges = (
        Range(b"first", 0, 50_001),
        Range(b"second", 5, 1),
        Range(b"third", NONCES - 200_000, 200_000),
    )
    with Miner(budget(hashes_per_s), threads=threads, search=notebook) as miner:
        assert miner.start(Job(NEVER, ranges)).result(PATIENCE_S) is None
        assert miner.hashes == sum(each.count for each in ranges)
    for each in ranges:
        ends = each.start
        for _, start, count in sorted(p for p in notebook.pieces if p[0] == each.header):
            assert start == ends
            ends += count
        assert ends == each.start + each.count


@pytest.mark.parametrize("hashes_per_s", [None, 10**9])
def test_all_threads_take_part(hashes_per_s: int | None) -> None:
    all_here = threading.Barrier(4)

    def search(header: bytes, target: int, start: int, count: int, *, cancel: Cancel) -> int | None:
        all_here.wait(PATIENCE_S)
        return start

    with Miner(budget(hashes_per_s), threads=4, search=search) as miner:
        assert miner.start(Job(EASY, (Range(HEADER),))).result(PATIENCE_S) is not None


def test_a_solution_ends_the_search_of_all_threads() -> None:
    stopped: list[int] = []

    def search(header: bytes, target: int, start: int, count: int, *, cancel: Cancel) -> int | None:
        if start == 0:
            wait_until(lambda: len(waiting) == 2)
            return 5
        waiting.append(start)
        wait_until(cancel.is_set)
        stopped.append(start)
        return None

    waiting: list[int] = []
    with Miner(budget(), threads=3, search=search) as miner:
        found = miner.start(Job(EASY, (Range(HEADER),))).result(PATIENCE_S)
        assert found == Found(0, HEADER, 5)
        wait_until(lambda: sorted(stopped) == sorted(waiting))
        assert miner.hashes >= 6


def test_a_search_is_cancelled_within_milliseconds() -> None:
    with Miner(budget(), threads=2) as miner:
        future = miner.start(Job(NEVER, (Range(HEADER), Range(HEADER))))
        wait_until(lambda: miner.hashes > 0)
        miner.cancel()
        assert future.cancelled()
        wait_until(lambda: miner._run is None)
        began = time.monotonic()
    assert time.monotonic() - began < 1  # all threads have come back; 10 ms if nothing disturbs


def test_cancelling_the_future_cancels_the_search() -> None:
    with Miner(budget()) as miner:
        future = miner.start(Job(NEVER, (Range(HEADER),)))
        assert future.cancel()
        wait_until(lambda: miner._run is None)
        with pytest.raises(CancelledError):
            future.result(PATIENCE_S)


def test_cancelling_without_a_job_is_fine() -> None:
    with Miner(budget()) as miner:
        miner.cancel()
        assert miner.start(Job(EASY, (Range(HEADER),))).result(PATIENCE_S) is not None
        miner.cancel()


def test_a_new_job_takes_the_place_of_the_old() -> None:
    with Miner(budget(), threads=2) as miner:
        old = miner.start(Job(NEVER, (Range(HEADER),)))
        new = miner.start(Job(EASY, (Range(HEADER),)))
        assert old.cancelled()
        assert new.result(PATIENCE_S) is not None


def test_a_stale_future_cannot_cancel_the_new_job() -> None:
    with Miner(budget()) as miner:
        old = miner.start(Job(NEVER, (Range(HEADER),)))
        new = miner.start(Job(EASY, (Range(HEADER),)))
        old.cancel()
        assert new.result(PATIENCE_S) is not None


def test_a_callback_can_start_the_next_job() -> None:
    """As a node does: found, on to the next block."""
    ended = threading.Event()
    nonces: list[int] = []

    def go_on(future: Future[Found | None]) -> None:
        found = future.result()
        assert found is not None
        nonces.append(found.nonce)
        if len(nonces) == 20:
            ended.set()
        else:
            header = len(nonces).to_bytes(80, "little")
            miner.start(Job(EASY, (Range(header),))).add_done_callback(go_on)

    with Miner(budget(), threads=2) as miner:
        miner.start(Job(EASY, (Range(HEADER),))).add_done_callback(go_on)
        assert ended.wait(PATIENCE_S)
    assert len(nonces) == 20


def test_a_callback_can_close_the_miner() -> None:
    miner = Miner(budget(), threads=3)
    future = miner.start(Job(EASY, (Range(HEADER),)))
    future.add_done_callback(lambda _: miner.close())
    assert future.result(PATIENCE_S) is not None
    miner.close()


def test_an_error_in_a_thread_reaches_whoever_waits_and_the_miner_goes_on() -> None:
    with Miner(budget(), threads=2) as miner:
        future = miner.start(Job(EASY, (Range(b"neither 80 bytes nor 69"),)))
        with pytest.raises(ValueError, match="header"):
            future.result(PATIENCE_S)
        assert miner.start(Job(EASY, (Range(HEADER),))).result(PATIENCE_S) is not None


def test_an_error_after_the_jobs_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def search(header: bytes, target: int, start: int, count: int, *, cancel: Cancel) -> int | None:
        wait_until(cancel.is_set)
        raise OSError("too late")

    with caplog.at_level(logging.ERROR), Miner(budget(), search=search) as miner:
        miner.start(Job(EASY, (Range(HEADER),)))
        wait_until(lambda: miner._run is not None and miner._run.pieces_out > 0)
    assert "too late" in caplog.text


def test_closing_ends_all_threads_and_cancels_the_job() -> None:
    miner = Miner(budget(10), threads=4)
    assert len(miner_threads()) == 4
    future = miner.start(Job(NEVER, (Range(HEADER),)))
    miner.close()
    assert not miner_threads()
    assert future.cancelled()
    miner.close()
    with pytest.raises(RuntimeError, match="closed"):
        miner.start(Job(EASY, (Range(HEADER),)))


def test_a_miner_needs_a_thread() -> None:
    with pytest.raises(ValueError, match="at least one thread, not 0"):
        Miner(budget(), threads=0)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_budget_is_kept_by_all_threads_together(threads: int) -> None:
    """Never more than the time allows. That it is no less is measured in tests/benchmarks."""
    notebook = Notebook()
    began = time.monotonic()
    with Miner(budget(5000), threads=threads, search=notebook) as miner:
        miner.start(Job(NEVER, (Range(HEADER),)))
        wait_until(lambda: miner.hashes >= 2500)
    lasted = time.monotonic() - began
    assert lasted > 0.4  # 2,500 hashes are half a second's
    assert notebook.hashes <= 5000 * (lasted + 0.35)
    assert len(notebook.pieces) >= 2  # in slices


def test_a_new_hashrate_takes_effect_at_once() -> None:
    with Miner(budget(0), threads=2) as miner:
        future = miner.start(Job(EASY, (Range(HEADER),)))
        assert miner.hashes_per_s == 0
        time.sleep(0.05)
        assert miner.hashes == 0
        miner.set_hashrate(None)
        assert future.result(PATIENCE_S) is not None


def test_a_waiting_thread_hears_of_a_new_hashrate() -> None:
    """At one hash per second the next is far away."""
    with Miner(budget(1)) as miner:
        future = miner.start(Job(EASY, (Range(HEADER),)))
        time.sleep(0.05)
        assert miner.hashes <= 1
        miner.set_hashrate(10**7)
        assert future.result(PATIENCE_S) is not None


def test_mining_from_asyncio() -> None:
    async def main() -> Found | None:
        with Miner(budget(), threads=2) as miner:
            return await miner.mine(Job(EASY, (Range(HEADER),)))

    assert asyncio.run(main()) is not None


def test_cancelling_the_task_stops_the_search() -> None:
    async def main() -> None:
        with Miner(budget(), threads=2) as miner:
            task = asyncio.create_task(miner.mine(Job(NEVER, (Range(HEADER),))))
            await asyncio.to_thread(wait_until, lambda: miner.hashes > 0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert miner._run is None
            assert await miner.mine(Job(EASY, (Range(HEADER),))) is not None

    asyncio.run(main())


def test_errors_reach_asyncio() -> None:
    async def main() -> None:
        with Miner(budget()) as miner:
            await miner.mine(Job(EASY, (Range(b"short"),)))

    with pytest.raises(ValueError, match="header"):
        asyncio.run(main())
