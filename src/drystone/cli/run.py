"""Running something live until it ends or the user has had enough."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import click

from drystone.core.errors import UserError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_interrupted(work: Coroutine[Any, Any, None]) -> None:
    """Run the work. SIGINT (Ctrl-C) and SIGTERM end it and are no error.

    The first signal ends it, further ones are ignored until it has ended: impatience must not
    cost the summary. A failure inside its task groups comes out as itself, not as a group.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        asyncio.run(_interruptible(work))
    except BaseExceptionGroup as group:
        raise _first(group) from group
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _interruptible(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        await task


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def say(line: str, *, err: bool = False) -> None:
    """Print a line and flush it. Raises UserError if standard output is lost (a full disk)."""
    try:
        click.echo(line, err=err)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"can't write the output: {error.strerror}") from None
