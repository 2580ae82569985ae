"""`make soak` itself: it runs, compares, stops at the first failure and says how to see it."""

import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import ClassVar

import pytest
from tests.support import soak
from tests.support.node_faults import KINDS, FaultyNodes
from tests.support.processes import PATIENCE_S, environment
from tests.support.soak import SIZES, Done, Run, campaign, made, runs

ROOT = Path(__file__).parents[2]


class Pretending:
    """In place of a process. Its traces differ from others' where `differing` says so."""

    failing: ClassVar[set[int]] = set()
    differing: ClassVar[set[int]] = set()

    def __init__(self, hash_seed: int) -> None:
        self.hash_seed = hash_seed

    def make(self, run: Run, *, sharing: bool) -> Done:
        error = "AssertionError: it broke\n" if run.seed in self.failing else ""
        digest = f"{self.hash_seed}" if run.seed in self.differing else "same"
        return Done(error, digest, {"blocks": 1}, 1024)

    def end(self) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def pretending(monkeypatch: pytest.MonkeyPatch) -> type[Pretending]:
    monkeypatch.setattr(soak, "Worker", Pretending)
    monkeypatch.setattr(Pretending, "failing", set())
    monkeypatch.setattr(Pretending, "differing", set())
    return Pretending


def test_all_sizes_meet_all_kinds_of_faults_and_no_seed_comes_twice() -> None:
    some = list(islice(runs(7), len(KINDS) * len(SIZES)))
    assert {(run.nodes, run.kind) for run in some} == {(n, kind) for n in SIZES for kind in KINDS}
    assert [run.seed for run in some] == list(range(7, 7 + len(some)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_faults_comes_to_agreement(kind: str) -> None:
    done = made(Run(3, 4, kind))
    assert not done.error
    assert done.counts["restarts"] > 0 and done.counts["blocks"] > 0
    assert done.peak_kb > 1024


def test_the_first_failure_ends_it_with_the_command_that_shows_it_again(
    pretending: type[Pretending], capsys: pytest.CaptureFixture[str]
) -> None:
    pretending.failing.add(25)
    assert campaign(seed=1, jobs=2, limit_s=60) == 1
    told = capsys.readouterr().out
    assert "FOUND, with seed 25:\nAssertionError: it broke" in told
    assert told.endswith("see it again: python -m tests.support.node_faults 25 12 rough\n")


def test_a_trace_that_another_process_does_not_have_is_a_failure(
    pretending: type[Pretending], capsys: pytest.CaptureFixture[str]
) -> None:
    pretending.differing.update({15, 20})  # of these, one is made twice
    assert campaign(seed=1, jobs=1, limit_s=60) == 1
    assert "FOUND, with seed 20:\nanother process, another trace" in capsys.readouterr().out


def test_it_ends_in_time_with_a_summary(
    pretending: type[Pretending], capsys: pytest.CaptureFixture[str]
) -> None:
    assert campaign(seed=1, jobs=2, limit_s=0.3) == 0
    told = capsys.readouterr().out
    assert told.startswith("ended after 0.0 minutes\n  runs ")
    assert told.endswith("nothing was found\n")


def test_real_processes_make_real_runs() -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.support.soak"),
            *("--minutes", "0.04", "--seed", "9", "--jobs", "1"),
        ],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.startswith("soak: seeds from 9, 0.04 minutes, 1 processes\n")
    assert ended.stdout.endswith("nothing was found\n")


def test_an_error_in_a_run_is_told_with_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(faulty: FaultyNodes) -> None:
        raise AssertionError("n0 gave up work")

    monkeypatch.setattr(FaultyNodes, "check_coins", break_down)
    done = made(Run(3, 3, "usual"))
    assert "break_down" in done.error and done.error.endswith("AssertionError: n0 gave up work\n")
