"""The live view in a real terminal, from the first frame to the summary after Ctrl-C."""

import re
from pathlib import Path

import pytest
from tests.support.processes import free_udp_ports
from tests.support.terminal import Terminal

CTRL_C = b"\x03"
QUICK = ("--listen", "0.05", "--nonces", "8000")


def test_the_view_shows_three_nodes_that_mine_and_converge_and_ctrl_c_ends_it(
    tmp_path: Path,
) -> None:
    ports = free_udp_ports(3)
    with Terminal("up", *QUICK, cwd=tmp_path, ports=ports) as terminal:
        listed = ", ".join(map(str, ports))
        title = f"drystone 3 classic nodes on UDP 127.0.0.1, ports {listed}"
        terminal.wait_until(lambda text: title in text, why="the title")
        for letter, port in zip("ABC", ports, strict=True):
            row = re.compile(
                rf"│  {letter}   {port} +\d+ +0000[0-9a-f]{{8}}\.\.\."
                r" +(listening|mining|sleeping) +[\d,]+ +\d+ +\d+ +\d+ "
            )
            terminal.wait_until(row.search, why=f"the row of {port}")
        terminal.wait_until(
            lambda text: re.search(r"chain +\?( +[ABC]≈?){3,}", text), why="three blocks"
        )
        terminal.wait_until(lambda text: "CREATE block" in text, why="an event")
        terminal.wait_until(lambda text: "COPY block" in text, why="a block copied")
        terminal.wait_until(lambda text: "all agree" in text, why="agreement")
        terminal.wait_until(lambda text: "Ctrl-C ends it" in text, why="the foot of the frame")
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


def test_the_view_stays_in_place_and_does_not_scroll(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Terminal("up", *QUICK, cwd=tmp_path, ports=ports) as terminal:
        for height in (2, 4):
            terminal.wait_until(
                lambda text: re.search(rf"(CREATE|COPY) block {height}:", text),  # noqa: B023
                why=f"block {height}",
            )
        assert terminal.text.count("drystone 3 classic nodes") == 1
        assert terminal.text.count("Ctrl-C ends it") == 1
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert terminal.text.count("port ") == 1  # the last frame stays, once


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (8, 3)])
def test_narrow_and_short_terminals_are_fine(tmp_path: Path, columns: int, rows: int) -> None:
    ports = free_udp_ports(3)
    with Terminal("up", *QUICK, cwd=tmp_path, ports=ports, columns=columns, rows=rows) as terminal:
        terminal.wait_until(lambda _: terminal.raw.count("╭") > 5, why="some frames")
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.raw


def test_a_window_may_change_its_size_meanwhile(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Terminal("up", *QUICK, cwd=tmp_path, ports=ports) as terminal:
        for columns, rows in [(60, 20), (10, 4), (200, 60)]:
            frames = terminal.raw.count("╭")
            terminal.resize(columns, rows)
            terminal.wait_until(lambda _: terminal.raw.count("╭") > frames + 2, why="new frames")  # noqa: B023
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.raw


def test_plain_output_in_a_terminal_has_no_escape_sequences(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Terminal("up", "--plain", *QUICK, cwd=tmp_path, ports=ports) as terminal:
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
    with Terminal("up", *QUICK, cwd=tmp_path, ports=ports, env={"TERM": kind}) as terminal:
        terminal.wait_until(lambda text: f"{ports[0]} TRY up to 0..." in text, why="a plain line")
        terminal.press(CTRL_C)
        assert terminal.wait() == 0


def test_a_mistake_in_a_terminal_is_one_line_and_no_view(tmp_path: Path) -> None:
    with Terminal("up", cwd=tmp_path, ports=(1, 1)) as terminal:
        assert terminal.wait() == 2
        assert terminal.raw.strip().count("\n") == 0
        assert terminal.raw.startswith("drystone: NODE_PORTS is '1,1': ")


def test_impatience_in_the_view_costs_neither_the_summary_nor_the_status(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Terminal("up", *QUICK, cwd=tmp_path, ports=ports) as terminal:
        terminal.wait_until(lambda text: "listening" in text, why="a frame")
        terminal.press(CTRL_C * 5)
        assert terminal.wait() == 0
        assert "ended after" in terminal.text
        assert not terminal.cursor_is_hidden()
