"""A running network, and commands that find it: each test has a run folder of its own."""

import json
from pathlib import Path
from typing import Any

from tests.support.cli import Outcome, run_main
from tests.support.processes import Drystone, wait_until


def runtime(folder: Path) -> dict[str, str]:
    """The environment in which processes find each other here, and no others."""
    return {"XDG_RUNTIME_DIR": str(folder)}


def net(folder: Path, *words: str | int) -> Outcome:
    """`drystone net`, until it ends."""
    return run_main("net", *words, cwd=folder, **runtime(folder))


def net_json(folder: Path, *words: str | int) -> Any:
    """What it says with --json."""
    outcome = net(folder, *words, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    return json.loads(outcome.out)


def events(process: Drystone, kind: str) -> list[dict[str, Any]]:
    """What a command that runs with --json has told so far, of one kind."""
    objects = [json.loads(line) for line in process.out]
    return [one for one in objects if one["event"] == kind]


def wait_for_event(process: Drystone, kind: str, count: int = 1) -> dict[str, Any]:
    """Wait for the n-th event of a kind."""
    wait_until(lambda: len(events(process, kind)) >= count, process, why=f"{count} {kind}")
    return events(process, kind)[count - 1]


def wait_for_height(process: Drystone, height: int) -> None:
    """Wait until a node's chain is that high."""
    wait_until(
        lambda: any(one["height"] >= height for one in events(process, "tip")),
        process,
        why=f"block {height}",
    )
