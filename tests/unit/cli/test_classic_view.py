"""The live view in a real terminal, from the first frame to the summary after Ctrl-C."""

import os
import pty
import re
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.processes import free_udp_ports
from tests.support.terminal import Terminal

from drystone.cli.keyboard import no_echo

CTRL_C = b"\x03"
QUICK = ("--listen", "0.05", "--nonces", "8000")


def test_the_view_shows_three_nodes_that_mine_and_converge_and_ctrl_c_ends_it(
    tmp_path: Path,
) -> None:
    ports = free_udp_ports(3)
    with Terminal("classic", "up", *QUICK, cwd=tmp_path, ports=ports) as terminal:
        listed = ", ".join(map(str, ports))
        title = f"drystone 3 classic nodes on UDP 127.0.0.1, ports {listed}"
        terminal.wait_until(lambda text: title in text, why="the title")
        for letter, port in zip("ABC", ports, strict=True):
            row = re.compile(
                rf"│  {letter}  {port} +\d+ +0000[0-9a-f]{{6}}"
                r" +(listening|mining|sleeping) +[\d,]+ +\d+ +\d+ +\d+ "
            )
            terminal.wait_until(row.search, why=f"the row of {port}")
        terminal.wait_until(
            lambda text: re.search(r"chain +0( +[ABC]≈?){3,}", text), why="three blocks"
        )
        terminal.wait_until(lambda text: "CREATE block" in text, why="an event")
        terminal.wait_until(lambda text: "COPY block" in text, why="a block copied")
        terminal.wait_until(lambda text: "all agree" in text, why="agreement")
        terminal.wait_until(
            lambda text: re.search(r"╰─ Ctrl-C ends it ─+╯", text), why="the foot of the frame"
        )
        assert terminal.cursor_is_hidden()
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert not terminal.cursor_is_hidden()
        assert "Traceback" not in terminal.raw
        after = terminal.text[terminal.text.index("ended after") :]
        assert re.match(r"ended after \d+ s at block \d+ \(0000[0-9a-f]{12}\.\.\.\): ", after)
        assert [line.split(":")[0].strip() for line in after.splitlines()[1:4]] == [
            str(port) for port in ports
        ]
        assert after.splitlines()[4].startswith(f"next: `drystone classic node {ports[0]}` runs")


def test_the_view_stays_in_place_and_does_not_scroll(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Terminal("classic", "up", *QUICK, cwd=tmp_path, ports=ports) as terminal:
        for height in (2, 4):
            terminal.wait_until(
                lambda text: re.search(rf"(CREATE|COPY) block {height}:", text),  # noqa: B023
                why=f"block {height}",
            )
        for once in ("drystone 3 classic nodes", "Ctrl-C ends it"):
            terminal.wait_until(lambda text: text.count(once) == 1, why=f"{once!r} once")  # noqa: B023
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert terminal.text.count("port ") == 1  # the last frame stays, once


def test_keys_leave_no_trace(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Terminal("classic", "up", *QUICK, cwd=tmp_path, ports=ports) as terminal:
        terminal.wait_until(lambda text: "Ctrl-C ends it" in text, why="a frame")
        for keys in (b"\r", b"hello\r", b"\r\r\r"):
            frames = terminal.raw.count("╭")
            terminal.press(keys)
            terminal.wait_until(lambda _: terminal.raw.count("╭") > frames + 3, why="new frames")  # noqa: B023
            terminal.wait_until(
                lambda text: text.count("drystone 3 classic nodes") == 1, why="the title once"
            )
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert terminal.text.count("drystone 3 classic nodes") == 1
        assert terminal.text.count("Ctrl-C ends it") == 1
        assert "hello" not in terminal.raw and "^C" not in terminal.raw


def echoes(terminal: int) -> bool:
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def test_the_echo_is_off_for_a_while_unless_the_keys_are_somebody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb"), os.fdopen(slave, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with suppress(KeyboardInterrupt), no_echo():
            assert not echoes(slave)
            raise KeyboardInterrupt
        assert echoes(slave)
        monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
        with no_echo():  # to set it would stop a job in the background
            assert echoes(slave)


def test_who_has_no_keyboard_has_no_echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with no_echo():
        pass
    with (tmp_path / "keys").open("w+") as file:
        monkeypatch.setattr(sys, "stdin", file)
        with no_echo():
            pass


def test_80_columns_have_room_for_every_state_and_tip(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Terminal(
        "classic", "up", *QUICK, cwd=tmp_path, ports=ports, columns=80, rows=24
    ) as terminal:
        for letter, port in zip("ABC", ports, strict=True):
            row = re.compile(
                rf"│  {letter}  {port} +\d+ +0000[0-9a-f]{{6}}"
                r" (listening|mining   |sleeping ) +[\d,]+ +\d+ +\d+ +\d+ "
            )
            terminal.wait_until(row.search, why=f"the row of {port}")
        terminal.press(CTRL_C)
        assert terminal.wait() == 0


def test_thirty_nodes_do_not_push_the_chain_off_the_screen(tmp_path: Path) -> None:
    ports = free_udp_ports(30)
    with Terminal("classic", "up", *QUICK, cwd=tmp_path, ports=ports, rows=24) as terminal:
        for wanted in (
            r"│ +and \d+ more nodes ",
            r"│ chain +0 ",
            r"│ +\d+\.\d s  \d+ (\([\d,]+ times\) )?(CREATE|COPY|ignored)",
            r"╰─ Ctrl-C ends it ─",
        ):
            terminal.wait_until(re.compile(wanted).search, why=wanted)
        terminal.press(CTRL_C)
        assert terminal.wait() == 0


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (8, 3)])
def test_narrow_and_short_terminals_are_fine(tmp_path: Path, columns: int, rows: int) -> None:
    ports = free_udp_ports(3)
    with Terminal(
        "classic", "up", *QUICK, cwd=tmp_path, ports=ports, columns=columns, rows=rows
    ) as terminal:
        terminal.wait_until(lambda _: terminal.raw.count("╭") > 5, why="some frames")
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.raw


def test_a_window_may_change_its_size_meanwhile(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Terminal("classic", "up", *QUICK, cwd=tmp_path, ports=ports) as terminal:
        for columns, rows in [(60, 20), (10, 4), (200, 60)]:
            frames = terminal.raw.count("╭")
            terminal.resize(columns, rows)
            terminal.wait_until(lambda _: terminal.raw.count("╭") > frames + 2, why="new frames")  # noqa: B023
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.raw


def test_plain_output_in_a_terminal_has_no_escape_sequences(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Terminal("classic", "up", "--plain", *QUICK, cwd=tmp_path, ports=ports) as terminal:
        terminal.wait_until(lambda text: f"{ports[0]} TRY up to 0..." in text, why="a plain line")
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert "ended after" in terminal.text
        assert "\x1b" not in terminal.raw


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_can_not_move_its_cursor_gets_plain_lines(
    tmp_path: Path, kind: str
) -> None:
    ports = free_udp_ports(3)
    with Terminal(
        "classic", "up", *QUICK, cwd=tmp_path, ports=ports, env={"TERM": kind}
    ) as terminal:
        terminal.wait_until(lambda text: f"{ports[0]} TRY up to 0..." in text, why="a plain line")
        terminal.press(CTRL_C)
        assert terminal.wait() == 0


def test_a_mistake_in_a_terminal_is_one_line_and_no_view(tmp_path: Path) -> None:
    with Terminal("classic", "up", cwd=tmp_path, ports=(1, 1)) as terminal:
        assert terminal.wait() == 2
        assert terminal.raw.strip().count("\n") == 0
        assert terminal.raw.startswith("drystone: NODE_PORTS is '1,1': ")


def test_impatience_in_the_view_costs_neither_the_summary_nor_the_status(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Terminal("classic", "up", *QUICK, cwd=tmp_path, ports=ports) as terminal:
        terminal.wait_until(lambda text: "listening" in text, why="a frame")
        terminal.press(CTRL_C * 5)
        assert terminal.wait() == 0
        assert "ended after" in terminal.text
        assert not terminal.cursor_is_hidden()
