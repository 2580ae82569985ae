"""Long work on a terminal: a bar, and Ctrl-C that waits for a good moment."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from drystone.cli.run import say


class Bar:
    """How far some work has come. Where no bar is shown, only its lines are."""

    def __init__(
        self, show: Callable[[int, int | None, str], None], print_above: Callable[[str], None]
    ) -> None:
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
    """A bar on standard error, where that is a terminal."""
    # Rich takes a while to import, and only long work waits for it.
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
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[beside]}"),
    )
    is_shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not is_shown) as bar:
        task = bar.add_task(what, total=total, beside="")

        def show(done: int, total: int | None, beside: str) -> None:
            bar.update(task, completed=done, total=total, beside=beside)

        def print_above(line: str) -> None:
            if is_shown and sys.stdout.isatty():
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                say(line)

        yield Bar(show, print_above)


class Stop:
    """Whether the user has had enough. A truth value that may change at any time."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self) -> None:
        """Let it be true from now on."""
        self._asked = True

    def __bool__(self) -> bool:
        return self._asked


@contextmanager
def heeding_ctrl_c() -> Iterator[Stop]:
    """SIGINT and SIGTERM only set what this yields; whoever works looks at it between two steps.

    So no block is half taken in, and what was done is told. Further ones change nothing: a step
    takes a second at most.
    """
    stop = Stop()

    def heed(_number: int, _frame: FrameType | None) -> None:
        stop.ask()

    before = {number: signal.signal(number, heed) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
