"""One frame of the live view, drawn from a board that the test feeds by hand."""

import io
import itertools
import re

import pytest
from rich.console import Console
from tests.support.classic import PORTS, chain_of, extended, with_other_reward

from drystone.classic.block import Block
from drystone.classic.chain import Chain
from drystone.classic.events import Copied, Created, Ignored, Tried
from drystone.classic.node import Node, State
from drystone.cli.classic_view import render
from drystone.core.time import SECOND_NS, Time
from drystone.network.classic.board import Board

NOW = Time(100 * SECOND_NS, 1_700_000_100)


def board_of(*ports: int) -> Board:
    return Board([Node(port, ports) for port in ports])


def create(board: Board, port: int, chain: Chain) -> None:
    board.nodes[port].chain = chain
    board.observe(port, Created(Block.decode(chain.blocks[-1]), chain), NOW)


def copy(board: Board, port: int, chain: Chain) -> None:
    board.nodes[port].chain = chain
    board.observe(port, Copied(chain), NOW)


def drawn(board: Board, *, width: int = 100, height: int = 40, ansi: bool = False) -> str:
    """The frame as a terminal of that size gets it."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        height=height,
        force_terminal=ansi,
        color_system="standard" if ansi else None,
        legacy_windows=False,
    )
    console.print(
        render(board, NOW, title="3 nodes", hint="Ctrl-C ends it", columns=width, lines=height)
    )
    return out.getvalue()


def row_of(port: int, text: str) -> list[str]:
    """The cells of a node's row: letter, port, height, tip, state, rate and the three counts."""
    line = next(line for line in text.splitlines() if f" {port} " in line)
    return line.strip("│ ").split()


def strip_of(text: str) -> str:
    line = next(line for line in text.splitlines() if "chain " in line)
    return " ".join(line.strip("│ ").split())


def test_each_node_has_a_row_with_all_that_the_issue_asks_for() -> None:
    board = board_of(*PORTS)
    board.observe(7000, Tried(58_000, 5000), NOW)
    for state, node in zip(
        (State.LISTENING, State.SEARCHING, State.SLEEPING), board.nodes.values(), strict=True
    ):
        node.state = state
    create(board, 7000, chain_of(2))
    copy(board, 8000, chain_of(2))
    copy(board, 8000, chain_of(3))
    for _ in range(4):
        board.observe(9000, Ignored("bad-pow", "x"), NOW)
    text = drawn(board)
    tip_1, tip_2, tip_3 = (chain_of(n).tip_hash.hex()[:10] for n in (2, 3, 1))
    assert row_of(7000, text) == ["A", "7000", "1", tip_1, "listening", "769", "1", "0", "0"]
    assert row_of(8000, text) == ["B", "8000", "2", tip_2, "mining", "0", "0", "2", "0"]
    assert row_of(9000, text) == ["C", "9000", "0", tip_3, "sleeping", "0", "0", "0", "4"]


def test_the_strip_has_a_cell_for_each_block_of_the_best_chain_by_its_miner() -> None:
    board = board_of(*PORTS)
    assert (
        strip_of(drawn(board)) == "chain 0 all agree"
    )  # not the letter of 7000, which genesis pays
    copy(board, 7000, chain_of(3))
    assert strip_of(drawn(board)) == "chain 0 A A racing"
    other = chain_of(3, branch=1)
    for port in PORTS:
        copy(board, port, other)
    assert strip_of(drawn(board)) == "chain 0 B B all agree"


def test_blocks_have_the_colour_of_the_node_that_mined_them() -> None:
    board = board_of(*PORTS)
    for port in PORTS:
        copy(board, port, chain_of(2, branch=2))
    text = drawn(board, ansi=True)
    cyan_a, yellow_c = r"\x1b\[(1;)?30;46m A ", r"\x1b\[(1;)?30;43m C "
    white_0 = r"\x1b\[(1;)?30;47m 0 "
    assert len(re.findall(cyan_a, text)) == 1  # the first node's row
    assert len(re.findall(white_0, text)) == 1  # genesis
    assert len(re.findall(yellow_c, text)) == 2  # the third's, and block 1


def test_a_block_of_a_stranger_and_one_that_pays_nobody_have_a_question_mark() -> None:
    board = board_of(8000, 9000)
    nobody = extended(chain_of(1), timestamp=5)
    for port in (8000, 9000):
        copy(board, port, nobody)
    assert strip_of(drawn(board)) == "chain 0 ? all agree"


def test_stale_blocks_of_lost_races_are_shown_beside_the_chain() -> None:
    board = board_of(*PORTS)
    assert "stale" not in drawn(board)
    create(board, 7000, chain_of(2))
    create(board, 8000, chain_of(2, branch=1))
    copy(board, 9000, chain_of(2))
    text = drawn(board)
    tip = chain_of(2, branch=1).tip_hash.hex()[:12]
    assert "stale  1, the latest:" in text
    assert f" B  block 1 {tip}... lost its race" in text
    assert "twin" not in text
    assert strip_of(text) == "chain 0 A racing"


def test_twins_are_shown_as_such_on_the_chain_and_beside_it() -> None:
    board = board_of(*PORTS)
    won = chain_of(2)
    twin = Chain((won.blocks[0], with_other_reward(won.blocks[1], 8000)), won.tip_hash)
    create(board, 7000, won)
    create(board, 8000, twin)
    copy(board, 9000, won)
    text = drawn(board)
    assert strip_of(text) == "chain 0 A≈ racing"
    line = next(line for line in text.splitlines() if "lost its race" in line)
    assert " B  block 1 " in line
    assert "to a twin: same hash, other reward" in line


def test_only_the_latest_stale_blocks_are_listed_and_all_are_counted() -> None:
    board = board_of(*PORTS)
    tip = chain_of(2)
    for port in range(20):
        raw = with_other_reward(tip.blocks[1], port)
        board.observe(
            7000, Created(Block.decode(raw), Chain((tip.blocks[0], raw), tip.tip_hash)), NOW
        )
    text = drawn(board)
    assert "stale  20, the latest:" in text
    assert text.count("lost its race") == 4


def test_the_latest_events_are_listed_with_their_time_port_and_reason() -> None:
    board = board_of(*PORTS)
    assert "nothing has happened yet" in drawn(board)
    create(board, 7000, chain_of(2))
    later = Time(NOW.mono_ns + 2_500_000_000, NOW.unix_s + 2)
    board.observe(8000, Ignored("bad-pow", "block 3: hash ff"), later)
    board.note_trouble(9000, "a datagram could not be sent: [Errno 90] [/] [bold]", later)
    text = drawn(board)
    assert f"0.0 s  7000 CREATE block 1: {chain_of(2).tip_hash.hex()[:40]}" in text
    assert "2.5 s  8000 ignored: bad-pow (block 3: hash ff)" in text
    assert "2.5 s  9000 a datagram could not be sent: [Errno 90] [/] [bold]" in text


def test_an_event_that_came_again_says_how_often() -> None:
    board = board_of(*PORTS)
    for n in range(1234):
        board.observe(8000, Ignored("bad-pow", f"block {n}"), NOW)
    text = drawn(board)
    assert "0.0 s  8000 (1,234 times) ignored: bad-pow (block 1233)" in text
    assert text.count("ignored: ") == 1


@pytest.mark.parametrize("width", [80, 76])
def test_at_80_columns_nothing_is_cut(width: int) -> None:
    board = crowded()
    for state, node in zip(State, board.nodes.values(), strict=True):
        node.state = state
    board.observe(7000, Tried(0, 98_765_432), NOW)
    board.observe(7000, Tried(98_765_432, 1), NOW)
    text = drawn(board, width=width)
    tip = chain_of(60).tip_hash.hex()[:10]
    for letter, (port, node) in zip("ABC", board.nodes.items(), strict=True):
        rate = "98,765,432" if port == 7000 else "0"
        cells = [letter, str(port), "59", tip, node.state.value, rate]
        assert row_of(port, text)[:6] == cells
    assert "…" not in "".join(line for line in text.splitlines() if " 59 " in line)


@pytest.mark.parametrize("width", [60, 75])
def test_a_narrow_terminal_is_spared_tips_and_rates(width: int) -> None:
    board = crowded()
    for state, node in zip(State, board.nodes.values(), strict=True):
        node.state = state
    text = drawn(board, width=width)
    heading = text.splitlines()[1].strip("│ ").split()
    assert heading == ["port", "height", "state", "created", "copied", "ignored"]
    assert row_of(7000, text) == ["A", "7000", "59", "listening", "1", "1", "0"]
    assert row_of(8000, text) == ["B", "8000", "59", "mining", "2", "1", "0"]
    assert row_of(9000, text) == ["C", "9000", "59", "sleeping", "0", "1", "50"]


def test_thirty_nodes_on_24_lines_leave_room_for_the_chain_and_an_event() -> None:
    board = board_of(*range(7000, 7030))
    copy(board, 7029, chain_of(2))
    lines = drawn(board, height=24).splitlines()
    assert len(lines) < 24  # the prompt has the last
    assert any("chain " in line for line in lines)
    assert any("7029 COPY block 1: " in line for line in lines)
    (more,) = (re.search(r" and (\d+) more nodes ", line) for line in lines if " more " in line)
    assert more is not None
    assert int(more[1]) == 30 - sum(f" {port} " in "".join(lines[:20]) for port in board.nodes)
    assert row_of(7000, "\n".join(lines))[:2] == ["A", "7000"]


def test_no_line_says_that_nodes_are_left_out_where_all_have_room() -> None:
    for count in range(1, 20):
        text = drawn(board_of(*range(7000, 7000 + count)), height=24)
        assert ("more node" in text) == (count > 16)


def test_a_title_with_brackets_is_shown_as_it_is() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(
        render(board_of(7000), NOW, title="on [::1] [/]", hint="[red]")
    )
    assert "drystone on [::1] [/]" in out.getvalue() and "[red]" in out.getvalue()


def crowded() -> Board:
    """A board on which every part of the view has something to show."""
    board = board_of(*PORTS)
    create(board, 7000, chain_of(2))
    create(board, 8000, chain_of(2, branch=1))
    won = chain_of(2)
    twin = Chain((won.blocks[0], with_other_reward(won.blocks[1], 8000)), won.tip_hash)
    create(board, 8000, twin)
    for port in PORTS:
        copy(board, port, chain_of(60))
    for n in range(50):
        board.observe(9000, Ignored(f"reason-{n}", "why"), NOW)
    return board


@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 40, 60, 80, 300])
def test_a_terminal_of_any_width_gets_a_frame_that_fits(width: int) -> None:
    for board, height in itertools.product((board_of(*PORTS), crowded()), (1, 5, 40)):
        for line in drawn(board, width=width, height=height).splitlines():
            assert len(line) <= width


@pytest.mark.parametrize("height", [24, 30, 40, 60])
@pytest.mark.parametrize("width", [80, 100, 132])
def test_a_frame_is_no_higher_than_a_usual_terminal(width: int, height: int) -> None:
    assert len(drawn(crowded(), width=width, height=height).splitlines()) <= height


def test_a_full_chain_and_many_nodes_are_drawn_too() -> None:
    ports = tuple(range(7000, 7060))
    board = board_of(*ports)
    for port in ports:
        copy(board, port, chain_of(122))
    text = drawn(board, height=100)
    assert all(f" {port} " in text for port in ports)
    assert text.count(" A ") >= 122
