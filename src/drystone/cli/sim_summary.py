"""What simulations came to: as a table for people, as JSON for scripts."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from drystone.core.time import SECOND_NS
from drystone.network.measuring import (
    QUANTILES,
    Figures,
    MeasuredPayment,
    Spread,
    reorg_depths,
    spreads,
    stale_rate,
)
from drystone.primitives.hashes import display

UNKNOWN = "-"
SHOWN_HASH = 16  # digits
SPANS = (  # below so many seconds, in this unit
    (1, 10**6, "ms"),
    (120, SECOND_NS, "s"),
    (120 * 60, 60 * SECOND_NS, "min"),
    (48 * 3_600, 3_600 * SECOND_NS, "h"),
)


def summary(runs: Sequence[Figures]) -> dict[str, str]:
    """Names and values, of one run or of many together."""
    found, stale = sum(len(run.blocks) for run in runs), sum(run.stale for run in runs)
    messages = sum(run.messages for run in runs)
    rows = {} if len(runs) == 1 else {"runs": f"{len(runs):,}"}
    rows |= {
        "virtual time": span_ns(sum(run.virtual_ns for run in runs)),
        "blocks": f"{found:,} found, {found - stale:,} in the chain",
        "stale": f"{stale:,}{_in_per_cent(stale_rate(runs))}",
    }
    for spread in spreads(block for run in runs for block in run.blocks):
        rows[f"to {spread.share} %"] = _spread(spread)
    rows |= {
        "reorgs": _depths(reorg_depths(runs)),
        **_payments(runs),
        "messages": f"{messages:,}, of {_bytes(sum(run.sent_bytes for run in runs))} in all",
        "at the end": _end(runs),
    }
    if len(runs) == 1:
        run = runs[0]
        rows["trace"] = f"{run.events:,} events, {run.digest}"
    return rows


def _in_per_cent(rate: Fraction | None) -> str:
    return "" if rate is None else f", {float(100 * rate):.2f} % of all found"


def _spread(spread: Spread) -> str:
    """How long it took, for most blocks, to reach that many of the nodes."""
    if not spread.reached:
        return f"of the nodes: none of {spread.blocks:,} blocks"
    times = ", ".join(
        f"{per_cent} % within {_time(spread.quantiles_ns[per_cent])}" for per_cent in QUANTILES
    )
    late = spread.blocks - spread.reached
    return f"of the nodes: {times}" + (f"; {late:,} not yet" if late else "")


def _time(duration_ns: int | None) -> str:
    return UNKNOWN if duration_ns is None else span_ns(duration_ns)


def span_ns(duration_ns: int) -> str:
    """A time in three digits or so."""
    for below_s, size_ns, name in SPANS:
        if duration_ns < below_s * SECOND_NS:
            return f"{duration_ns / size_ns:.3g} {name}"
    return f"{duration_ns / (86_400 * SECOND_NS):,.1f} d"


def _depths(depths: dict[int, int]) -> str:
    if not depths:
        return "none"
    shown = ", ".join(f"{count:,} of depth {depth}" for depth, count in depths.items())
    return f"{sum(depths.values()):,}, counted at each node: {shown}"


def _payments(runs: Sequence[Figures]) -> dict[str, str]:
    """Nothing if nobody paid."""
    payments = [paid for run in runs for paid in run.payments]
    if not payments:
        return {}
    sent = sum(not paid.refusal for paid in payments)
    refused = len(payments) - sent
    confirmed = sum(paid.height is not None for paid in payments)
    shown = f"{sent:,} sent, {confirmed:,} in the chain"
    rows = {"payments": shown + (f", {refused:,} refused" if refused else "")}
    races = [race for run in runs for race in run.races]
    if races:
        first = sum(one.height is not None for one, _ in races)
        second = sum(other.height is not None for _, other in races)
        rows["double spends"] = (
            f"{len(races):,}: the first won {first:,}, the second {second:,};"
            f" {len(races) - first - second:,} undecided"
        )
    return rows


def _bytes(size: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} bytes"


def _end(runs: Sequence[Figures]) -> str:
    if len(runs) > 1:
        agreed = sum(len(run.tips) == 1 for run in runs)
        return f"all nodes agree in {agreed:,} of {len(runs):,} runs"
    run = runs[0]
    down = sum(not node.is_up for node in run.nodes)
    which = f"{len(run.nodes) - down:,} nodes" + (f" ({down:,} are down)" if down else "")
    height = run.best_height
    if len(run.tips) == 1:
        return f"{which} agree on block {height:,}, {display(run.tips[0])[:SHOWN_HASH]}..."
    return f"{which} are on {len(run.tips):,} tips, the highest block {height:,}"


def _winner(one: MeasuredPayment, other: MeasuredPayment) -> str | None:
    return next((paid.to for paid in (one, other) if paid.height is not None), None)


HEADINGS = ("seed", "blocks", "stale", "to 50 %", "to 95 %", "deepest", "end")


def row(run: Figures) -> tuple[str, ...]:
    """One of many runs, in a line: medians of how blocks spread."""
    medians = [_time(spread.quantiles_ns[50]) for spread in spreads(run.blocks)]
    deepest = max((reorg.depth for reorg in run.reorgs), default=0)
    end = "agree" if len(run.tips) == 1 else f"{len(run.tips)} tips"
    return (str(run.seed), str(len(run.blocks)), str(run.stale), *medians, str(deepest), end)


def described(runs: Sequence[Figures]) -> Iterator[dict[str, object]]:
    """For JSON: an object for each run, the same in every process."""
    for run in runs:
        yield {
            "seed": run.seed,
            "virtual_s": run.virtual_ns / SECOND_NS,
            "blocks_found": len(run.blocks),
            "blocks_stale": run.stale,
            "stale_rate": None if not run.blocks else round(run.stale / len(run.blocks), 6),
            "propagation": [
                {
                    "nodes_percent": spread.share,
                    "blocks": spread.blocks,
                    "blocks_reached": spread.reached,
                    "quantiles_ms": {
                        str(per_cent): None if time is None else time / 1e6
                        for per_cent, time in spread.quantiles_ns.items()
                    },
                }
                for spread in spreads(run.blocks)
            ],
            "reorgs_by_depth": {str(depth): n for depth, n in reorg_depths([run]).items()},
            "payments": {
                "sent": sum(not paid.refusal for paid in run.payments),
                "confirmed": sum(paid.height is not None for paid in run.payments),
                "refused": sum(bool(paid.refusal) for paid in run.payments),
            },
            "double_spends": [
                {"first": one.to, "second": other.to, "winner": _winner(one, other)}
                for one, other in run.races
            ],
            "messages": run.messages,
            "bytes": run.sent_bytes,
            "tips": [display(tip) for tip in run.tips],
            "height": run.best_height,
            "trace_events": run.events,
            "trace_digest": run.digest,
        }
