"""One thread that searches for many miners, each no faster than its own budget.

A thread for each of hundreds of nodes would wake ten thousand times a second, each time against the
interpreter's lock. Here one thread wakes every few milliseconds and gives each miner its slice.
"""

import contextlib
import logging
import threading
import time
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Final

from drystone.core.time import MILLISECOND_NS
from drystone.drivers.miner import Search
from drystone.kernel import Cancel
from drystone.kernel import search as kernel_search
from drystone.mining.budget import Budget
from drystone.mining.pace import Pace
from drystone.mining.ranges import Found, Job, Ranges

_log = logging.getLogger(__name__)

ROUND_S: Final = 0.02  # from one look at all miners to the next, unless there is more to do
REST_NS: Final = 100 * MILLISECOND_NS  # a shorter pause between two jobs is none


@dataclass(eq=False, slots=True)
class _Run:
    """A job being searched."""

    target: int
    ranges: Ranges
    cancel: Cancel = field(default_factory=Cancel)
    future: Future[Found | None] = field(default_factory=Future)

    def end(self, found: Found | None) -> None:
        """Say how it came out, unless it was cancelled."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_result(found)


class MiningThread:
    """The thread, which begins with the first job. Close it to end it.

    All its miners together hash as fast as one processor does, and no faster.
    """

    def __init__(self, search: Search = kernel_search) -> None:
        self._search = search
        self._pace = Pace()
        self._busy: dict[SharedMiner, None] = {}  # those with a job; an ordered set
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()  # guards the three above

    def miner(self, budget: Budget) -> "SharedMiner":
        """One more miner. budget: the miner's own from here on."""
        return SharedMiner(self, budget)

    def close(self) -> None:
        """Cancel all jobs and wait for the thread's end. Closing twice is fine."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
            busy, thread = list(self._busy), self._thread
        for miner in busy:
            miner.cancel()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    # For its miners.

    def begin(self, miner: "SharedMiner") -> None:
        """A miner has something to search."""
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the mining thread is closed")
            if self._thread is None:
                # A daemon: a program that forgets to close can still end.
                self._thread = threading.Thread(target=self._work, name="mining", daemon=True)
                self._thread.start()
            was_idle = not self._busy
            self._busy[miner] = None
            if was_idle:
                self._changed.notify()

    def _work(self) -> None:
        while (busy := self._wait_for_work()) is not None:
            has_more = False
            for miner in busy:
                has_more |= self._serve(miner)
            if not has_more:
                time.sleep(ROUND_S)

    def _wait_for_work(self) -> "list[SharedMiner] | None":
        with self._changed:
            for miner in [one for one in self._busy if one.run is None]:
                del self._busy[miner]
            while not self._busy and not self._is_closed:
                self._changed.wait()
            return None if self._is_closed else list(self._busy)

    def _serve(self, miner: "SharedMiner") -> bool:
        """Do what a miner's budget allows now; whether there is more of it."""
        run = miner.run
        if run is None:
            return False
        try:
            return self._search_piece(miner, run)
        except Exception as error:  # noqa: BLE001  whoever waits for the job gets it
            _log.exception("a search failed")
            with contextlib.suppress(InvalidStateError):
                run.future.set_exception(error)
            return False

    def _search_piece(self, miner: "SharedMiner", run: _Run) -> bool:
        began_ns = time.monotonic_ns()
        budget = miner.budget_at(began_ns)
        most = min(self._pace.turn_hashes, run.ranges.in_reach)
        count = budget.take(began_ns, most)
        if not count:
            return False
        piece = run.ranges.take(count)
        nonce = self._search(piece.header, run.target, piece.start, count, cancel=run.cancel)
        elapsed_ns = time.monotonic_ns() - began_ns
        done = count if nonce is None else nonce - piece.start + 1
        if nonce is not None:
            run.end(Found(piece.index, piece.header, nonce))
        elif run.cancel.is_set():
            done = min(self._pace.estimate(elapsed_ns), count)
        else:
            if count == self._pace.turn_hashes:  # a few hashes say little of the pace
                self._pace.learn(count, elapsed_ns)
            if not run.ranges.in_reach:
                run.end(None)
        budget.give_back(count - done)
        miner.hashes += done
        return count == most


class SharedMiner:
    """Searches one job at a time, in a thread that it shares with others; made by `MiningThread`.

    It keeps the promises of `drivers.miner.Miner`.
    """

    def __init__(self, thread: MiningThread, budget: Budget) -> None:
        self.hashes = 0  # done so far
        self.run: _Run | None = None
        self._thread = thread
        self._budget = budget  # the thread's alone, but for what is asked of it
        self._hashes_per_s = budget.hashes_per_s
        self._idle_since_ns: int | None = None

    @property
    def hashes_per_s(self) -> int | None:
        """The budget's rate: None has no limit, 0 stands still."""
        return self._hashes_per_s

    def start(self, job: Job) -> Future[Found | None]:
        """Search a job in place of the one before, which is cancelled.

        As of `Miner.start`. Callbacks run in the thread.
        """
        run = _Run(job.target, Ranges(job.ranges))
        run.future.add_done_callback(lambda _: self._over(run))
        before, self.run = self.run, run
        if before is not None:
            before.future.cancel()
        self._thread.begin(self)
        return run.future

    def cancel(self) -> None:
        """Stop searching, and wait for the next job."""
        run = self.run
        if run is not None:
            run.future.cancel()

    def set_hashrate(self, hashes_per_s: int | None) -> None:
        """Change the budget's rate, from the next slice on."""
        if hashes_per_s is not None and hashes_per_s < 0:
            raise ValueError(f"hashes_per_s must not be negative: {hashes_per_s}")
        self._hashes_per_s = hashes_per_s

    def close(self) -> None:
        """Cancel the job."""
        self.cancel()

    def budget_at(self, now_ns: int) -> Budget:
        """The budget, brought up to date: for the thread."""
        budget = self._budget
        since_ns, self._idle_since_ns = self._idle_since_ns, None
        if since_ns is not None and now_ns - since_ns > REST_NS:
            budget.rest(since_ns)
        if budget.hashes_per_s != self._hashes_per_s:
            budget.set_rate(self._hashes_per_s, now_ns)
        return budget

    def _over(self, run: _Run) -> None:
        """The run's future is done, one way or another: let go of it."""
        run.cancel.set()
        if run is self.run:
            self.run = None
            self._idle_since_ns = time.monotonic_ns()
