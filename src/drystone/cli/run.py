"""Running something live until it ends or the user has had enough."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import click

from drystone.cli.main import forget_output
from drystone.core.errors import UserError
from drystone.kernel import VariantUnavailable, chosen_variant, native_available

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_interrupted(work: Coroutine[Any, Any, None], *, announce: Callable[[], None]) -> None:
    """Run the work. SIGINT (Ctrl-C) and SIGTERM end it and are no error.

    announce: says that it runs. Whoever reads that can end it: the signals are heeded by then.

    The first signal ends it. Further ones are ignored from then to the end of the process, which
    is near: impatience must cost neither the summary nor the exit status. A failure inside its
    task groups comes out as itself, not as a group.
    """
    try:
        asyncio.run(_interruptible(work, announce))
    except BaseExceptionGroup as group:
        raise _first(group) from group


async def _interruptible(work: Coroutine[Any, Any, None], announce: Callable[[], None]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    stopped = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            loop.call_soon_threadsafe(task.cancel)

    # Not the loop's own handlers: taking those away lets the default, death, in for a moment.
    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        announce()
        with suppress(asyncio.CancelledError):
            await task
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stopped else handler)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def check_kernel() -> str:
    """The variant that searches will take.

    Raises UserError if the environment asks for one that this machine hasn't.
    """
    try:
        return chosen_variant()
    except VariantUnavailable as error:
        raise UserError(str(error)) from None


def warn_if_slow() -> None:
    """Say, where the native kernel is missing, that mining is slow and how to mend it."""
    if not native_available():
        say(
            "mining runs in pure Python, tens of times slower: the native kernel was not"
            " built; install a C compiler and Python's headers, then install drystone again",
            err=True,
        )


def is_terminal(out: TextIO | None) -> bool:
    """Whether output can be drawn over. None: it was closed before we began."""
    if os.environ.get("TERM") in {"dumb", "unknown"}:  # it can't move its cursor
        return False
    return out is not None and out.isatty()


def here() -> Path:
    """The current folder. Raises UserError if it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UserError("the current folder is gone; change into one that exists") from None


def say(line: str, *, err: bool = False) -> None:
    """Print a line and flush it. Raises UserError if standard output is lost (a full disk)."""
    try:
        click.echo(line, err=err)
    except BrokenPipeError:
        raise
    except OSError as error:
        forget_output(sys.stderr if err else sys.stdout)
        raise UserError(f"can't write the output: {error.strerror}") from None
