"""Threads that search for nonces, no faster than their budget."""

import asyncio
import contextlib
import logging
import threading
import time
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from drystone.core.time import SECOND_NS
from drystone.kernel import Cancel
from drystone.kernel import search as kernel_search
from drystone.mining.budget import Budget
from drystone.mining.pace import Pace
from drystone.mining.ranges import Found, Job, Piece, Ranges

_log = logging.getLogger(__name__)


class Search(Protocol):
    """The kernel's search, or another that keeps its promises."""

    def __call__(
        self, header: bytes, target: int, start: int, count: int, *, cancel: Cancel
    ) -> int | None:
        """The lowest solution among the nonces; None if there is none, or when cancelled."""


@dataclass(eq=False, slots=True)
class _Run:
    """A job being searched."""

    target: int
    ranges: Ranges
    pieces_out: int = 0  # taken by a thread that has not come back yet
    cancel: Cancel = field(default_factory=Cancel)
    future: Future[Found | None] = field(default_factory=Future)

    def end(self, found: Found | None) -> None:
        """Say how it came out, unless that has been said, or the job was cancelled."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_result(found)

    def fail(self, error: BaseException) -> None:
        """Hand the error to whoever waits for the job."""
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            _log.error("a mining thread failed after its job's end", exc_info=error)


class Miner:
    """Searches one job at a time with several threads that share one budget.

    A job ends with the first solution that any of its threads finds; with one thread that is the
    lowest of the first range that has one. Close the miner to end its threads, or use `with`.

    budget: the miner's own from here on; change its rate with `set_hashrate`.
    """

    def __init__(self, budget: Budget, *, threads: int = 1, search: Search = kernel_search) -> None:
        if threads < 1:
            raise ValueError(f"a miner needs at least one thread, not {threads}")
        self._budget = budget
        self._search = search
        self._run: _Run | None = None
        self._hashes = 0
        self._closed = False
        self._time_is_kept = False
        self._changed = threading.Condition()  # guards all of the above
        self._threads = [  # daemons: a program that forgets to close can still end
            threading.Thread(target=self._work, name=f"miner-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def hashes(self) -> int:
        """How many hashes have been done so far, by all threads; it grows every 20 ms or so."""
        return self._hashes

    @property
    def hashes_per_s(self) -> int | None:
        """The budget's rate: None has no limit, 0 stands still."""
        return self._budget.hashes_per_s

    def start(self, job: Job) -> Future[Found | None]:
        """Search a job in place of the one before, which is cancelled.

        The future tells the solution, or None when all ranges were searched in vain, or the error
        that befell a thread. Cancelling it stops the search within about 10 ms. Its callbacks run
        in a thread of the miner.
        """
        run = _Run(job.target, Ranges(job.ranges))
        run.future.add_done_callback(lambda _: self._over(run))
        with self._changed:
            if self._closed:
                raise RuntimeError("the miner is closed")
            before, self._run = self._run, run
            self._changed.notify_all()
        if before is not None:
            before.future.cancel()
        return run.future

    async def mine(self, job: Job) -> Found | None:
        """Search a job from asyncio; cancelling the task stops the search.

        asyncio.CancelledError is also what comes of it when another job is started meanwhile.
        """
        return await asyncio.wrap_future(self.start(job))

    def cancel(self) -> None:
        """Stop searching, within about 10 ms, and wait for the next job."""
        run = self._run
        if run is not None:
            run.future.cancel()

    def set_hashrate(self, hashes_per_s: int | None) -> None:
        """Change the budget's rate; what a thread has begun it ends first, within about 20 ms."""
        with self._changed:
            self._budget.set_rate(hashes_per_s, time.monotonic_ns())
            self._changed.notify_all()

    def close(self) -> None:
        """Cancel the job and wait for the threads to end. Closing twice is fine."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.cancel()
        for thread in self._threads:
            if thread is not threading.current_thread():  # closed by a future's callback
                thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _work(self) -> None:
        """What each thread does: one job after another."""
        pace = Pace()
        while (run := self._wait_for_run()) is not None:
            try:
                self._serve(run, pace)
            except BaseException as error:  # noqa: BLE001  whoever waits for the job gets it
                run.fail(error)

    def _serve(self, run: _Run, pace: Pace) -> None:
        """Search pieces of a run until it is over, or all of it has been handed out."""
        while (piece := self._wait_for_piece(run, pace.turn_hashes)) is not None:
            began_ns = time.monotonic_ns()
            nonce = self._search(
                piece.header, run.target, piece.start, piece.count, cancel=run.cancel
            )
            elapsed_ns = time.monotonic_ns() - began_ns
            if nonce is not None:
                done = nonce - piece.start + 1
            elif run.cancel.is_set():
                done = min(pace.estimate(elapsed_ns), piece.count)
            else:
                done = piece.count
                pace.learn(done, elapsed_ns)
            in_vain = self._settle(run, piece, done)
            if nonce is not None:
                run.end(Found(piece.index, piece.header, nonce))
            elif in_vain:
                run.end(None)

    def _wait_for_run(self) -> _Run | None:
        """The present run once it has something to search; None when the miner is closed."""
        with self._changed:
            while not self._closed:
                if self._run is not None and self._run.ranges.in_reach:
                    return self._run
                self._changed.wait()
        return None

    def _wait_for_piece(self, run: _Run, at_most: int) -> Piece | None:
        """A piece of the run as soon as the budget has hashes for one; None if it has no more."""
        with self._changed:
            while run is self._run and not self._closed and run.ranges.in_reach:
                at_most = min(at_most, run.ranges.in_reach)
                hashes = self._budget.take(time.monotonic_ns(), at_most)
                if hashes:
                    run.pieces_out += 1
                    self._changed.notify()  # someone else takes what is left, or keeps the time
                    return run.ranges.take(hashes)
                self._wait_until_due()
        return None

    def _wait_until_due(self) -> None:
        """Wait for the next slice. One thread watches the time, the others wait for its word."""
        due_ns = self._budget.due_ns
        if due_ns is None or self._time_is_kept:
            self._changed.wait()
            return
        self._time_is_kept = True
        try:
            self._changed.wait(max(due_ns - time.monotonic_ns(), 0) / SECOND_NS)
        finally:
            self._time_is_kept = False

    def _settle(self, run: _Run, piece: Piece, done: int) -> bool:
        """Book a piece that has been searched; whether it was the last of the run."""
        with self._changed:
            self._hashes += done
            self._budget.give_back(piece.count - done)
            run.pieces_out -= 1
            return not (run.pieces_out or run.ranges.in_reach)

    def _over(self, run: _Run) -> None:
        """The run's future is done, one way or another: let go of it."""
        run.cancel.set()
        with self._changed:
            if run is self._run:
                self._run = None
                self._budget.rest(time.monotonic_ns())
                self._changed.notify_all()
