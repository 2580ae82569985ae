"""`drystone sim`: a scenario in virtual time, as fast as it goes."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from drystone.cli.main import HELP, INTERRUPT_STATUS
from drystone.cli.progress import Bar, Stop, heeding_ctrl_c, progress_bar
from drystone.cli.run import say
from drystone.cli.sim_csv import CsvFolder
from drystone.cli.sim_summary import HEADINGS, described, row, span_ns, summary
from drystone.cli.tables import print_pairs, print_table
from drystone.core.errors import UserError
from drystone.core.time import SECOND_NS
from drystone.network.measuring import Figures
from drystone.network.plan_file import MAX_SEED
from drystone.network.quantities import duration_ns
from drystone.network.running import Run
from drystone.network.scenario import Scenario
from drystone.network.scenario_file import MOST_BLOCKS, read_scenario, seeds_from_text

REFRESH_S: Final = 0.1  # of the bar


def _mended(parse: Callable[[str], object]) -> Callable[..., object]:
    """An option's value by a parser, a mistake told as click does."""

    def callback(_context: click.Context, _param: click.Parameter, value: str | None) -> object:
        try:
            return None if value is None else parse(value)
        except UserError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def _lasting(text: str) -> int:
    """A time that is more than none. Raises UserError."""
    lasting_ns = duration_ns(text)
    if lasting_ns == 0:
        raise UserError("a run takes more than no time: give it some")
    return lasting_ns


@click.command(context_settings=HELP)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(0, MAX_SEED), help="Run this one.  [default: FILE's]")
@click.option(
    "--seeds", metavar="A..B", callback=_mended(seeds_from_text), help="Run each of these."
)
@click.option("--blocks", type=click.IntRange(1, MOST_BLOCKS), help="End after so many blocks.")
@click.option(
    "--duration",
    metavar="TIME",
    callback=_mended(_lasting),
    help='End after so much virtual time, such as "90 s", "10 min" or "2 d".',
)
@click.option("--csv", "csv_folder", type=click.Path(path_type=Path), help="Write CSV files there.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each run, a line each.")
@click.option(
    "--trace", type=click.Path(path_type=Path), help="Write all that happens there, a line each."
)
def sim(
    file: Path,
    *,
    seed: int | None,
    seeds: tuple[int, ...] | None,
    blocks: int | None,
    duration: int | None,
    csv_folder: Path | None,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Run a network in virtual time, as FILE describes it, and measure what it does.

    \b
        nodes = 20                  FILE is a network...
        topology = "random:4"
        [link]
        latency = "100 ms"

    \b
        [[event]]                   ...and what happens to it
        at = "1 min"
        do = "partition"
        groups = [["n0", "n1"]]
        [[event]]
        at = "5 min"
        do = "heal"

    \b
        drystone sim FILE --blocks 144
        drystone sim FILE --duration "1 h" --seeds 1..20 --csv results

    The nodes are those of `drystone up`; only the clock isn't real. The same seed gives the same
    blocks, the same figures and the same trace, always. The tables tell how many blocks were stale,
    how long blocks took to reach 50 % and 95 % of the nodes, and how deep nodes reorganised.

    --csv writes blocks.csv, propagation.csv, reorgs.csv, nodes.csv and payments.csv, in place of
    older ones. Ctrl-C ends the run; what has been measured by then is shown and written.
    """  # noqa: D301  \b is click's sign
    if seed is not None and seeds is not None:
        raise UserError("--seed is for one run and --seeds for many: leave one out")
    first = _as_asked(read_scenario(file, seed=seed), blocks, duration)
    chosen = seeds or ((first.plan.seed,) if seed is not None else first.seeds)
    csv_folder = csv_folder or (Path(first.output.csv) if first.output.csv else None)
    trace = trace or (Path(first.output.trace) if first.output.trace else None)
    if trace is not None and len(chosen) > 1:
        raise UserError(f"a trace is of one run, and there are {len(chosen)}: choose with --seed")
    nodes = f"{len(first.plan.nodes):,} nodes on {first.plan.params.name}"
    say(f"drystone sim: {first.title or file.name}: {nodes}; Ctrl-C ends it", err=True)
    began = time.monotonic()
    figures: list[Figures] = []
    with ExitStack() as stack:
        csv = None if csv_folder is None else stack.enter_context(CsvFolder(csv_folder))
        sink = None if trace is None else stack.enter_context(_written(trace))
        stop = stack.enter_context(heeding_ctrl_c())
        for number in chosen:
            scenario = first
            if number != first.plan.seed:
                scenario = _as_asked(read_scenario(file, seed=number), blocks, duration)
            beside = "" if len(chosen) == 1 else f"run {len(figures) + 1:,} of {len(chosen):,}"
            figures.append(_run(Run(scenario, trace_sink=sink), stop, beside))
            if csv is not None:
                csv.add(figures[-1])
            if as_json:
                say(json.dumps(next(described(figures[-1:]))))
            if stop:
                break
    if not as_json:
        _show(figures)
    _tell_speed(figures, time.monotonic() - began)
    if csv_folder is not None:
        say(f"figures are in {csv_folder}", err=True)
    if stop:
        raise SystemExit(INTERRUPT_STATUS)


def _as_asked(scenario: Scenario, blocks: int | None, duration: int | None) -> Scenario:
    """With an end of the user's in place of the file's."""
    if blocks is None and duration is None:
        return scenario
    return replace(scenario, blocks=blocks, duration_ns=duration)


def _run(run: Run, stop: Stop, beside: str) -> Figures:
    """Run it to the end, with a bar."""
    scenario = run.scenario
    total_s = None if scenario.duration_ns is None else scenario.duration_ns // SECOND_NS
    is_by_blocks = total_s is None
    total = scenario.blocks if is_by_blocks else total_s
    with progress_bar("simulating", total, "blocks" if is_by_blocks else "s") as bar:
        show = _Sometimes(bar)

        def go_on(run: Run) -> bool:
            done = run.blocks if is_by_blocks else run.virtual_ns // SECOND_NS
            tells = span_ns(run.virtual_ns) if is_by_blocks else f"{run.blocks:,} blocks"
            show(done, f"{tells}  {beside}")
            return not stop

        try:
            return run.go(go_on)
        except KeyboardInterrupt:  # in the midst of something long, asked for twice
            return run.figures()


class _Sometimes:
    """A bar that is not drawn for every little thing."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._shown_s = 0.0

    def __call__(self, done: int, beside: str) -> None:
        now_s = time.monotonic()
        if self._bar.is_shown and now_s >= self._shown_s + REFRESH_S:
            self._shown_s = now_s
            self._bar(done, beside=beside)


@contextmanager
def _written(path: Path) -> Iterator[Callable[[str], object]]:
    """What writes to a file. Raises UserError, as that does."""

    @contextmanager
    def telling() -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"can't write {path}: {error.strerror}; name another file") from None

    with telling():
        file = path.open("w", encoding="utf-8")

    def write(text: str) -> None:
        with telling():
            file.write(text)

    try:
        yield write
    finally:
        with telling():
            file.close()


def _show(figures: list[Figures]) -> None:
    if len(figures) > 1:
        print_table(HEADINGS, map(row, figures))
        say("")
    print_pairs(summary(figures))


def _tell_speed(figures: list[Figures], seconds: float) -> None:
    virtual_s = sum(run.virtual_ns for run in figures) / SECOND_NS
    messages = sum(run.messages for run in figures)
    seconds = max(seconds, 1e-3)
    say(
        f"took {seconds:,.1f} s: {virtual_s / seconds:,.0f} virtual seconds and"
        f" {messages / seconds:,.0f} messages per second",
        err=True,
    )
