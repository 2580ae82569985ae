"""Help: what there is to type, with the defaults that count."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.support.cli import run_main
from tests.support.processes import free_udp_ports

from drystone.network.classic.live import LiveNode, run_nodes
from drystone.network.steering import VERBS

COMMANDS = [
    (),
    ("up",),
    ("node",),
    ("net",),
    *(("net", verb.name) for verb in VERBS),
    ("sim",),
    ("classic",),
    ("classic", "node"),
    ("classic", "hello"),
    ("classic", "up"),
]


def help_of(*arguments: str, cwd: Path) -> str:
    outcome = run_main(*arguments, "--help", cwd=cwd)
    assert (outcome.status, outcome.err) == (0, "")
    return outcome.out


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_has_help_by_its_long_and_short_name(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    text = help_of(*arguments, cwd=tmp_path)
    assert text.startswith(f"Usage: {' '.join(('drystone', *arguments))} ")
    assert run_main(*arguments, "-h", cwd=tmp_path).out == text


@pytest.mark.parametrize("arguments", [(), ("classic",), ("net",)], ids=" ".join)
def test_a_bare_group_shows_its_help(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    outcome = run_main(*arguments, cwd=tmp_path)
    assert outcome.status == 0
    assert (outcome.out + outcome.err).rstrip() == help_of(*arguments, cwd=tmp_path).rstrip()


def test_the_first_thing_to_try_comes_first(tmp_path: Path) -> None:
    text = help_of(cwd=tmp_path)
    assert "drystone up" in text
    assert text.index("\n  up ") < text.index("\n  classic ")


def test_the_three_terminals_are_three_lines(tmp_path: Path) -> None:
    lines = help_of("classic", cwd=tmp_path).splitlines()
    assert [line.strip() for line in lines if line.strip().startswith("drystone classic node")] == [
        f"drystone classic node {port}" for port in (7000, 8000, 9000)
    ]


def test_help_shows_no_leftover_of_its_own_markup(tmp_path: Path) -> None:
    for arguments in COMMANDS:
        assert "\\b" not in help_of(*arguments, cwd=tmp_path)
        assert "\b" not in help_of(*arguments, cwd=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "listen_s"),
    [(("classic", "node"), "1.0"), (("classic", "up"), "0.2")],
)
def test_the_tutorials_pace_is_the_default_of_node_and_up_is_brisker(
    tmp_path: Path, arguments: tuple[str, ...], listen_s: str
) -> None:
    text = " ".join(help_of(*arguments, cwd=tmp_path).split())
    assert f"[default: {listen_s}; " in text
    assert "[default: 1000; " in text


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    outcome = run_main("--version", cwd=tmp_path)
    assert outcome.status == 0
    assert outcome.out.split()[-1] == version("drystone")


def interrupt_at_once(work: Coroutine[None, None, None], *, announce: Callable[[], None]) -> None:
    async def begin_and_cancel() -> None:
        announce()
        task = asyncio.create_task(work)
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(begin_and_cancel())


@pytest.mark.parametrize("native", [True, False])
def test_mining_without_the_native_kernel_is_said_once_with_the_way_out(
    tmp_path: Path, *, native: bool
) -> None:
    port = free_udp_ports(1)[0]
    with (
        patch("drystone.cli.run.native_available", lambda: native),
        patch("drystone.cli.classic.run_until_interrupted", interrupt_at_once),
    ):
        outcome = run_main("classic", "node", port, cwd=tmp_path, NODE_PORTS=str(port))
    assert ("pure Python" in outcome.err) is not native
    assert ("install a C compiler" in outcome.err) is not native


def test_the_nodes_of_a_network_begin_a_second_apart(tmp_path: Path) -> None:
    apart: list[float] = []

    async def run(nodes: Sequence[LiveNode], *, apart_s: float) -> None:
        apart.append(apart_s)
        await run_nodes(nodes, apart_s=apart_s)

    ports = ",".join(map(str, free_udp_ports(3)))
    with (
        patch("drystone.cli.classic.run_nodes", run),
        patch("drystone.cli.classic.run_until_interrupted", interrupt_at_once),
    ):
        assert run_main("classic", "up", cwd=tmp_path, NODE_PORTS=ports).status == 0
    assert apart == [1.0]
