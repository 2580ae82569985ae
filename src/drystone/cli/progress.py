"""Long work on a terminal: a bar, and Ctrl-C that waits for a good moment."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from drystone.cli.run import is_terminal, say

PATIENCE_S: Final = 0.3  # before a bar appears
STUCK_S: Final = 3.0  # before a second Ctrl-C counts


class Bar:
    """How far some work has come. is_shown: on a terminal; elsewhere there are only its lines."""

    def __init__(
        self,
        show: Callable[[int, int | None, str], None],
        print_above: Callable[[str], None],
        *,
        is_shown: bool,
    ) -> None:
        self.is_shown = is_shown
        self._show = show
        self._print_above = print_above

    def __call__(self, done: int, *, total: int | None = None, beside: str = "") -> None:
        """Show the amount done so far, perhaps of another total, and a few words beside the bar."""
        self._show(done, total, beside)

    def say(self, line: str) -> None:
        """Print a line on standard output, above the bar if both are on one terminal."""
        self._print_above(line)


@contextmanager
def progress_bar(what: str, total: int | None, unit: str = "blocks") -> Iterator[Bar]:
    """A bar on standard error, where that is a terminal and the work takes a while."""
    if not is_terminal(sys.stderr):
        yield Bar(lambda _done, _total, _beside: None, say, is_shown=False)
        return
    # Rich takes a while to import, and only a terminal needs it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[beside]}"),
    )
    # Standard output is left alone: it may be a pipe while the bar is on a terminal.
    bar = Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    task = bar.add_task(what, total=total, beside="")

    def show(done: int, total: int | None, beside: str) -> None:
        bar.update(task, completed=done, total=total, beside=beside)

    def print_above(line: str) -> None:
        if is_terminal(sys.stdout):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            say(line)

    soon = threading.Timer(PATIENCE_S, bar.start)  # no flicker for what is over at once
    soon.daemon = True
    soon.start()
    try:
        yield Bar(show, print_above, is_shown=True)
    finally:
        soon.cancel()
        soon.join()
        bar.stop()


class Stop:
    """Whether the user has had enough. A truth value that may change at any time."""

    def __init__(self) -> None:
        self._asked_s: float | None = None

    def ask(self) -> None:
        """Let it be true from now on. Raises KeyboardInterrupt if it has been for a while."""
        now_s = time.monotonic()
        if self._asked_s is None:
            self._asked_s = now_s
        elif now_s >= self._asked_s + STUCK_S:
            raise KeyboardInterrupt

    def __bool__(self) -> bool:
        return self._asked_s is not None


@contextmanager
def heeding_ctrl_c() -> Iterator[Stop]:
    """SIGINT and SIGTERM only set what this yields; whoever works looks at it between two steps.

    So no block is half taken in, and what was done is told. Further ones change nothing, to the end
    of the process, which is near: impatience must cost neither the summary nor the exit status.
    Only where a step takes longer than STUCK_S, another one ends it like a crash; nothing that was
    acknowledged is lost by that either.
    """
    stop = Stop()

    def heed(_number: int, _frame: FrameType | None) -> None:
        stop.ask()

    before = {number: signal.signal(number, heed) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stop else handler)
