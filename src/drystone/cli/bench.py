"""`drystone bench`: how fast this machine is."""

import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from drystone.cli.main import HELP
from drystone.cli.run import check_kernel, say
from drystone.kernel import native_available, search, variants

PYTHON = "python"
ROUNDS = 5  # each variant once in each, so that all share the machine's moods
HEADERS = {"bitcoin": bytes(80), "classic": bytes(69)}
_WHOLE_RANGE = 1 << 32
_FIRST_GUESS = 20_000  # hashes; the rate is not known yet


@click.group(context_settings=HELP)
def bench() -> None:
    """Measure this machine."""


@bench.command("hash")
@click.option(
    "--seconds",
    type=click.FloatRange(0.05, 60),
    default=1.0,
    show_default=True,
    help="How long each variant is measured, in all.",
)
@click.option(
    "--layout",
    type=click.Choice(list(HEADERS)),
    default="bitcoin",
    show_default=True,
    help="Which header: Bitcoin's 80 bytes, or the tutorial's 69.",
)
@click.option("--json", "as_json", is_flag=True, help="One object: variant to hashes/s per thread.")
def hash_(seconds: float, layout: str, *, as_json: bool) -> None:
    """Measure how many hashes per second each variant of the nonce search reaches.

    A hash is SHA-256 of SHA-256 of a header. The variants are measured in turns, several times,
    and the medians are shown: for one thread alone, and for as many threads as this machine has
    processors. The ratio is to the search in pure Python. DRYSTONE_KERNEL=NAME has every command
    mine with that variant.
    """
    names, threads = variants(), os.cpu_count() or 1
    default = check_kernel()
    say(f"measuring {', '.join(names)}: {seconds:g} s each; Ctrl-C ends it", err=True)
    if not native_available():
        say("the native module was not built: only pure Python can be measured", err=True)
    with _progress(len(names) * ROUNDS * (1 if as_json else 2)) as advance:
        header, each_s = HEADERS[layout], seconds / ROUNDS
        alone = _measure(header, names, each_s, 1, advance)
        together = {} if as_json else _measure(header, names, each_s, threads, advance)
    if as_json:
        say(json.dumps({name: round(rate) for name, rate in alone.items()}))
        return
    _print_table(alone, together, threads, default)
    say(f"{default} is what this machine mines with; DRYSTONE_KERNEL=NAME chooses another")


def _measure(
    header: bytes,
    names: tuple[str, ...],
    seconds: float,
    threads: int,
    advance: Callable[[], None],
) -> dict[str, float]:
    """Hashes per second of each variant: the median of some rounds."""
    rates: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            rates[name].append(_rate(header, name, seconds, threads))
            advance()
    return {name: statistics.median(found) for name, found in rates.items()}


def _rate(header: bytes, name: str, seconds: float, threads: int) -> float:
    """Hashes per second that some threads reach together over a time."""
    rates: list[float] = []

    def work() -> None:
        rates.append(_rate_alone(header, name, seconds))

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(rates)


def _rate_alone(header: bytes, name: str, seconds: float) -> float:
    """Search for what no hash meets, in ever longer parts, until the time is over."""
    done, part = 0, _FIRST_GUESS
    start = time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        search(header, 0, 0, part, variant=name)
        done += part
        spent = time.perf_counter() - start
        left = max(seconds - spent, 0.001)
        part = min(max(int(done / spent * left), _FIRST_GUESS), _WHOLE_RANGE)
    return done / spent


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("measuring", total=total)

        def advance() -> None:
            bar.advance(task)

        yield advance


def _print_table(
    alone: dict[str, float], together: dict[str, float], threads: int, default: str
) -> None:
    # Rich takes a while to import, and --json can do without.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("variant", "one thread", f"{threads} threads", "to python"):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    for name, rate in alone.items():
        mark = " *" if name == default else ""
        table.add_row(
            f"{name}{mark}",
            _per_second(rate),
            _per_second(together[name]),
            f"{rate / alone[PYTHON]:.1f}x",
        )
    Console().print(table)


def _per_second(rate: float) -> str:
    return f"{rate / 1e6:,.2f} MH/s" if rate >= 1e6 else f"{rate / 1e3:,.0f} kH/s"
