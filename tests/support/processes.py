"""The `drystone` command as a process of its own, watched line by line as it prints."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PATIENCE_S = 60.0  # for what takes a second at most on a quiet machine
LOOPBACK = "127.0.0.1"

_changed = threading.Condition()  # some process has printed a line, or ended


def free_udp_ports(count: int) -> tuple[int, ...]:
    """So many different ports that nobody has: all bound at once, then given back."""
    with ExitStack() as bound:
        ports = []
        for _ in range(count):
            sock = bound.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind((LOOPBACK, 0))
            ports.append(int(sock.getsockname()[1]))
        return tuple(sorted(ports))


def environment(ports: tuple[int, ...] | None = None, **more: str) -> dict[str, str]:
    """Ours without what would change the outcome, then these ports; warnings are errors."""
    ours = {"NODE_IP", "NODE_PORTS", "PYTHONUNBUFFERED"}
    settings = {k: v for k, v in os.environ.items() if k not in ours}
    settings["PYTHONWARNINGS"] = "error"
    if ports is not None:
        settings["NODE_PORTS"] = ",".join(map(str, ports))
    return {**settings, **more}


def command(*arguments: str | int) -> list[str]:
    """The command line that runs this very source with this very Python."""
    return [sys.executable, "-m", "drystone", *map(str, arguments)]


class Drystone:
    """A running `drystone`. Use it in `with`: at the end it is killed, if it still runs.

    out, err: the lines of its two outputs so far. began: when it was started, monotonic seconds;
    first_line_s: how long it took to say anything at all.
    """

    def __init__(
        self,
        *arguments: str | int,
        cwd: Path,
        ports: tuple[int, ...] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.first_line_s: float | None = None
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            command(*arguments),
            cwd=cwd,
            env=environment(ports, **(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in [(self._process.stdout, self.out), (self._process.stderr, self.err)]
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            with _changed:
                if self.first_line_s is None:
                    self.first_line_s = time.monotonic() - self.began
                lines.append(line.rstrip("\n"))
                _changed.notify_all()
        with _changed:
            _changed.notify_all()

    @property
    def has_ended(self) -> bool:
        """Whether it has closed its outputs."""
        return not any(reader.is_alive() for reader in self._readers)

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Send a signal, as Ctrl-C does."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end, and until all that it printed is read; its exit status."""
        try:
            status = self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end\n{self.output()}") from None
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return status

    def end(self) -> int:
        """Ctrl-C and wait."""
        self.interrupt()
        return self.wait()

    def output(self) -> str:
        """All that it has printed, for the message of a failure."""
        return "\n".join(
            [
                *("out:", *(f"  {line}" for line in self.out)),
                *("err:", *(f"  {line}" for line in self.err)),
            ]
        )

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
        for reader in self._readers:
            reader.join(PATIENCE_S)
        assert self._process.stdout is not None and self._process.stderr is not None
        self._process.stdout.close()
        self._process.stderr.close()


def wait_until(reached: Callable[[], object], *processes: Drystone, why: str) -> None:
    """Wait until something holds of what processes have printed; it is asked after each line."""
    end = time.monotonic() + PATIENCE_S
    with _changed:
        while not reached():
            left_s = end - time.monotonic()
            ended = any(process.has_ended for process in processes)
            if left_s <= 0 or ended:
                outputs = "\n".join(process.output() for process in processes)
                raise AssertionError(f"{'ended' if ended else 'too late'}: {why}\n{outputs}")
            _changed.wait(min(left_s, 1.0))
