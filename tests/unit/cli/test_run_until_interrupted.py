"""Running something live until it ends or the user has had enough."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.support.cli import run_main
from tests.support.processes import free_udp_ports

from drystone.cli.run import run_until_interrupted
from drystone.core.errors import UserError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers_put_back() -> Iterator[None]:
    """After an interruption signals are ignored for good; the tests live on."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def nothing() -> None:
    pass


def test_work_that_ends_by_itself_leaves_the_signals_as_they_were() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    before = [signal.getsignal(number) for number in SIGNALS]
    run_until_interrupted(work(), announce=lambda: done.append("announced"))
    assert done == ["announced", "work"]
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_cancels_the_work_which_may_clean_up(number: signal.Signals) -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            signal.raise_signal(number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    run_until_interrupted(work(), announce=nothing)
    assert cleaned == ["up"]
    assert [signal.getsignal(n) for n in SIGNALS] == [signal.SIG_IGN, signal.SIG_IGN]


def test_further_signals_do_not_cut_the_cleaning_short() -> None:
    cleaned: list[int] = []

    async def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            for n in range(3):
                signal.raise_signal(SIGNALS[n % 2])
                await asyncio.sleep(0.001)
                cleaned.append(n)

    run_until_interrupted(work(), announce=nothing)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    assert cleaned == [0, 1, 2]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_counts_from_the_announcement_on(number: signal.Signals) -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    run_until_interrupted(work(), announce=lambda: signal.raise_signal(number))


def test_an_error_deep_in_task_groups_comes_out_as_itself() -> None:
    async def fail() -> None:
        raise UserError("mend it")

    async def work() -> None:
        async with asyncio.TaskGroup() as outer:
            outer.create_task(deeper())

    async def deeper() -> None:
        async with asyncio.TaskGroup() as inner:
            inner.create_task(fail())

    with pytest.raises(UserError, match="mend it"):
        run_until_interrupted(work(), announce=nothing)


@contextmanager
def interrupted_at_once() -> Iterator[None]:
    """A signal comes in the midst of the first line that a command says."""

    def warn() -> None:
        signal.raise_signal(signal.SIGINT)

    with patch("drystone.cli.classic.warn_if_slow", warn):
        yield


@pytest.mark.parametrize("arguments", [("classic", "node"), ("classic", "up", "--plain")])
def test_a_command_interrupted_before_it_began_ends_as_any_other_and_frees_its_ports(
    tmp_path: Path, arguments: tuple[str | int, ...]
) -> None:
    ports = free_udp_ports(2)
    if "node" in arguments:
        arguments = (*arguments, ports[0])
    for _ in range(2):  # the second time, the ports must be free again
        with interrupted_at_once():
            outcome = run_main(*arguments, cwd=tmp_path, NODE_PORTS=",".join(map(str, ports)))
        assert outcome.status == 0
        assert "ended" in outcome.err
