"""Keys that are pressed in a terminal, while something is drawn there."""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

READ_BYTES: Final = 1024
LOOK_AGAIN_S: Final = 0.5  # whether the keys are ours again

NAMED: Final = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[Z": "up",
    "\t": "down",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x15": "clear",
    "\x1b": "escape",
}
_KEY: Final = re.compile(r"\x1b(?:\[[0-9;]*[ -/]*[@-~]|O[@-~])?|.", re.DOTALL)


def keys_of(text: str) -> list[str]:
    """What was typed, key by key: a character, or a name. Keys that mean nothing are left out."""
    keys = (NAMED.get(key, key) for key in _KEY.findall(text))
    return [key for key in keys if key.isprintable() and not key.startswith("\x1b")]


@contextmanager
def no_echo(*, by_key: bool = False) -> Iterator[None]:
    """Keys that are pressed leave no trace: an echo, even of Ctrl-C, would shift the next frame.

    by_key: they can be read one by one, not only once a line is ended.
    """
    try:
        import termios  # noqa: PLC0415
    except ImportError:  # not a Unix
        yield
        return
    try:
        before = termios.tcgetattr(sys.stdin)
    except (termios.error, TypeError, ValueError, OSError):  # no terminal to type at
        yield
        return
    quiet = termios.tcgetattr(sys.stdin)
    quiet[3] &= ~(termios.ECHO | (termios.ICANON if by_key else 0))
    if has_keyboard():
        termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        if has_keyboard():
            # And drop what was typed meanwhile: the shell would take it for commands.
            termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)


def has_keyboard() -> bool:
    """Whether keys come to us; a job in the background that sets its terminal is stopped."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # not the terminal that controls us, so it stops nobody
        return True


def is_typed_at() -> bool:
    """Whether somebody can type at standard input."""
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # it was closed
        return False


@contextmanager
def keys_pressed(pressed: Callable[[str], None]) -> Iterator[None]:
    """Call with each key, in the event loop, until the end of the block."""
    if not is_typed_at():
        yield
        return
    loop = asyncio.get_running_loop()
    fd = sys.stdin.fileno()
    again: asyncio.TimerHandle | None = None

    def listen() -> None:
        loop.add_reader(fd, read)

    def read() -> None:
        nonlocal again
        if not has_keyboard():  # to read would stop us, and the keys are somebody else's
            loop.remove_reader(fd)
            again = loop.call_later(LOOK_AGAIN_S, listen)
            return
        data = b""
        with suppress(OSError):
            data = os.read(fd, READ_BYTES)
        if not data:  # the terminal is gone
            loop.remove_reader(fd)
        for key in keys_of(data.decode("utf-8", "ignore")):
            pressed(key)

    with no_echo(by_key=True):
        listen()
        try:
            yield
        finally:
            loop.remove_reader(fd)
            if again is not None:
                again.cancel()
