"""A long campaign: networks of full nodes in virtual time, with new seeds and larger faults.

    python -m tests.support.soak --minutes 60

Each run is that of `node_faults`, with all that it checks. One in ten is made in two processes that
hash differently, in the second one by nodes that share nothing, and their traces are compared. The
first failure ends it, with the command that shows the same run again.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.node_faults import KINDS, FaultyNodes

ROOT: Final = Path(__file__).parents[2]
SIZES: Final = (3, 5, 8, 3, 12, 5, 20, 3, 30, 50)  # nodes, in turn
REPEATED: Final = 10  # one run in so many is made twice
LIMIT_S: Final = 600.0  # for one run; a node that goes round in circles would take longer
TELL_S: Final = 60.0  # between two lines, where there is no terminal
TERMINAL_TELL_S: Final = 1.0


class Run(NamedTuple):
    """What is to be done."""

    seed: int
    nodes: int
    kind: str

    @property
    def replay(self) -> str:
        """The command that shows it again."""
        return f"python -m tests.support.node_faults {self.seed} {self.nodes} {self.kind}"


class Done(NamedTuple):
    """What came of it. error: a traceback, or nothing."""

    error: str
    digest: str
    counts: dict[str, int]
    peak_kb: int  # of the process, so far


def runs(first_seed: int) -> Iterator[Run]:
    """Without end: each seed once, all sizes with all kinds."""
    kinds = [kind for kind in KINDS for _ in SIZES]
    for seed, (kind, nodes) in enumerate(
        zip(cycle(kinds), cycle(SIZES), strict=False), start=first_seed
    ):
        yield Run(seed, nodes, kind)


def made(run: Run, *, sharing: bool = True) -> Done:
    """Make a run, here and now."""
    faulty = FaultyNodes(run.seed, run.nodes, faults=KINDS[run.kind], sharing=sharing)
    error = ""
    try:
        faulty.run()
    except Exception:  # noqa: BLE001  whatever it is, it is what we are here for
        error = traceback.format_exc()
    world = faulty.network.world
    counts = {
        "events": world.trace.events,
        "virtual seconds": world.now_ns // 10**9,
        "blocks": len(faulty.blocks),
        "reorganisations": faulty.reorganised,
        "restarts": faulty.restarts,
        "torn commits": faulty.torn,
        "payments confirmed": 0 if error else faulty.confirmed,
        "looks at memory": faulty.checks,
    }
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Done(error, world.trace.digest(), counts, peak_kb)


def serve() -> None:
    """As a worker: runs come in as lines of JSON, and go out so."""
    for line in sys.stdin:
        run, sharing = json.loads(line)
        print(json.dumps(made(Run(*run), sharing=sharing)), flush=True)


class Worker:
    """A process that makes runs. It hashes in its own way."""

    def __init__(self, hash_seed: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.support.soak", "--worker"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for us
        )

    def make(self, run: Run, *, sharing: bool) -> Done:
        """Have it make a run."""
        assert self._process.stdin and self._process.stdout
        timer = threading.Timer(LIMIT_S, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps((run, sharing)) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except (OSError, ValueError):  # it is dead, or we have ended it
            answer = ""
        finally:
            timer.cancel()
        if not answer:
            return Done(f"it died, or took longer than {LIMIT_S:g} s\n", "", {}, 0)
        return Done(*json.loads(answer))

    def end(self) -> None:
        """Have it end, whatever it is doing."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let go of its pipes."""
        assert self._process.stdin and self._process.stdout
        self._process.stdout.close()
        with suppress(BrokenPipeError):
            self._process.stdin.close()


class Campaign:
    """Workers, what they have done, and the first failure."""

    def __init__(self, first_seed: int, jobs: int) -> None:
        kinds = {f"runs, {kind}": 0 for kind in KINDS}
        self.counts = Counter({"runs": 0, **kinds, "runs made twice": 0})
        self.peak_kb = 0
        self.failure: tuple[Run, str] | None = None
        self.has_ended = threading.Event()
        self._runs = runs(first_seed)
        self._lock = threading.Lock()
        self._workers = [Worker(hash_seed) for hash_seed in range(1, max(2, jobs) + 1)]
        self._threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True)
            for number in range(jobs)
        ]
        self._busy = [threading.Lock() for _ in self._workers]
        for thread in self._threads:
            thread.start()

    def _work(self, number: int) -> None:
        while not self.has_ended.is_set():
            with self._lock:
                run = next(self._runs)
            done = self._made_by(number, run)
            if not done.error and run.seed % REPEATED == 0:
                again = self._made_by((number + 1) % len(self._workers), run, sharing=False)
                self._note({"runs made twice": 1}, again.peak_kb)
                if again.digest != done.digest:
                    done = done._replace(error=again.error or "another process, another trace\n")
            if self.has_ended.is_set():
                return  # it was cut short
            self._note({"runs": 1, f"runs, {run.kind}": 1, **done.counts}, done.peak_kb)
            if done.error:
                self.failure = run, done.error
                self.has_ended.set()

    def _made_by(self, number: int, run: Run, *, sharing: bool = True) -> Done:
        with self._busy[number]:
            return self._workers[number].make(run, sharing=sharing)

    def _note(self, counts: dict[str, int], peak_kb: int) -> None:
        with self._lock:
            self.counts.update(counts)
            self.peak_kb = max(self.peak_kb, peak_kb)

    def end(self) -> None:
        """Have all end now. What is half done doesn't count."""
        self.has_ended.set()
        for worker in self._workers:
            worker.end()
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.close()

    def line(self, seconds: float) -> str:
        """How far it is."""
        with self._lock:
            return (
                f"{seconds / 60:5.1f} min: {self.counts['runs']:,} runs,"
                f" {self.counts['blocks']:,} blocks, {self.counts['events']:,} events,"
                f" {self.counts['restarts']:,} restarts, {self.peak_kb / 1024:.0f} MB at most"
            )


def main() -> int:
    """Exit status: 1 if something was found."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=60, help="how long (60)")
    parser.add_argument("--seed", type=int, help="of the first run (from the clock)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (cores)")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve()
        return 0
    if options.minutes <= 0 or options.jobs < 1:
        parser.error("--minutes and --jobs must be more than nothing")
    seed = int(time.time()) * 1000 if options.seed is None else options.seed
    print(f"soak: seeds from {seed}, {options.minutes:g} minutes, {options.jobs} processes")
    return campaign(seed, options.jobs, options.minutes * 60)


def campaign(seed: int, jobs: int, limit_s: float) -> int:
    """Run, tell, sum up."""
    began, told = time.monotonic(), 0.0
    is_terminal = sys.stdout.isatty()
    going = Campaign(seed, jobs)
    note = ""
    try:
        while not going.has_ended.wait(0.2) and time.monotonic() < began + limit_s:
            seconds = time.monotonic() - began
            if seconds >= told + (TERMINAL_TELL_S if is_terminal else TELL_S):
                told = seconds
                end = "\r" if is_terminal else "\n"
                print(going.line(seconds), end=end, flush=True)
    except KeyboardInterrupt:
        note = ", by Ctrl-C"
    failure = going.failure
    going.end()
    if is_terminal:
        print()
    print(f"ended after {(time.monotonic() - began) / 60:.1f} minutes{note}")
    for what, count in going.counts.items():
        print(f"  {what:20} {count:14,}")
    print(f"  {'memory, MB at most':20} {going.peak_kb / 1024:14,.0f}")
    if failure is None:
        print("nothing was found")
        return 0
    run, error = failure
    print(f"FOUND, with seed {run.seed}:\n{error}\nsee it again: {run.replay}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
