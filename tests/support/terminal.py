"""A command in a real terminal: a pty, and a screen that understands its escape sequences."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

from tests.support.processes import PATIENCE_S, command, environment

# The child makes the pty its controlling terminal, so that Ctrl-C there reaches it as a signal.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A `drystone` command that believes in its terminal. Use it in `with`.

    screen: what is on it now, a line of text for each row.
    """

    def __init__(
        self,
        *arguments: str | int,
        cwd: Path,
        ports: tuple[int, ...],
        columns: int = 100,
        rows: int = 40,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._pyte = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._pyte)
        self._changed = threading.Condition()
        self._raw = b""
        self._ended = False
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        settings = environment(ports, **{"TERM": "xterm-256color", **(env or {})})
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            settings.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *command(*arguments)],
            cwd=cwd,
            env=settings,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # how Linux tells that the other end has closed
            while data := os.read(self._master, 65_536):
                with self._changed:
                    self._raw += data
                    self._stream.feed(data)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def screen(self) -> list[str]:
        """The rows of text as they stand."""
        with self._changed:
            return [line.rstrip() for line in self._pyte.display]

    @property
    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.screen)

    def cursor_is_hidden(self) -> bool:
        """Whether the terminal would show no cursor."""
        with self._changed:
            return bool(self._pyte.cursor.hidden)

    @property
    def raw(self) -> str:
        """All that was ever written to it."""
        with self._changed:
            return self._raw.decode("utf-8", "replace")

    def wait_until(self, reached: Callable[[str], object], *, why: str) -> None:
        """Wait until something holds of the screen's text."""
        end = time.monotonic() + PATIENCE_S
        with self._changed:
            while not reached(self.text):
                left_s = end - time.monotonic()
                if left_s <= 0 or self._ended:
                    word = "ended" if self._ended else "too late"
                    raise AssertionError(f"{word}: {why}\n{self.text}")
                self._changed.wait(min(left_s, 1.0))

    def press(self, keys: bytes) -> None:
        """Type something; b"\\x03" is Ctrl-C."""
        os.write(self._master, keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size, of which the command is told by a signal."""
        with self._changed:
            self._pyte.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self) -> int:
        """Wait for its end and for all that it wrote; its exit status."""
        status = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        os.close(self._master)
