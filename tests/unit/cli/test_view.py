"""One frame of the live view, drawn from a network in virtual time."""

import io
import itertools

import pytest
from rich.console import Console
from tests.unit.network.test_board import board_of

from drystone.cli.pilot import HINT, Pilot
from drystone.cli.view import Screen, render
from drystone.consensus.chains import REGTEST
from drystone.network.virtual import VirtualNetwork


def screen_of(network: VirtualNetwork) -> Screen:
    board = board_of(network)
    return Screen(board, Pilot(), title="[/] 3 full nodes", banner=lambda: ["alice  dry1q 5 BTC"])


def drawn(screen: Screen, *, width: int = 104, height: int = 40) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, color_system=None, legacy_windows=False)
    console.print(render(screen, columns=width, lines=height))
    return out.getvalue()


@pytest.fixture
def forked() -> Screen:
    network = VirtualNetwork(3, params=REGTEST, seed=1)
    screen = screen_of(network)
    network.mine("n2", 1)
    network.wait_until_synced()
    network.partition(["n0"], ["n1", "n2"])
    network.mine("n0", 1)
    network.mine("n1", 2)
    network.wait_until_synced(["n1", "n2"])
    return screen


def lines_of(text: str) -> list[str]:
    return [" ".join(line.strip("│ ").split()) for line in text.splitlines()]


def test_each_node_has_a_row_and_the_chosen_one_a_mark(forked: Screen) -> None:
    lines = lines_of(drawn(forked))
    tip = {name: tip.hash[::-1].hex()[:12] for name, tip in forked.board.tips.items()}
    assert lines[2] == f"▸ 0 n0 10.0.0.1:18444 2 {tip['n0']} 0 0 0 1 0"
    assert lines[3] == f"1 n1 10.0.0.2:18444 3 {tip['n1']} 1 0 0 2 0"
    forked.pilot.chosen = 1
    assert lines_of(drawn(forked))[3].startswith("▸ 1 n1 ")


def test_links_show_which_are_cut(forked: Screen) -> None:
    assert "links n0 ─✂─ n1 n1 ── n2 n0 ─✂─ n2" in lines_of(drawn(forked))


def test_the_tree_shows_both_branches_by_their_miners_and_who_holds_them(forked: Screen) -> None:
    lines = lines_of(drawn(forked))
    assert "blocks · 2 1 1 n1 n2" in lines
    assert "╰─ 0 n0" in lines
    assert "they don't agree, 1 stale" in lines


def test_accounts_difficulty_and_events_are_there(forked: Screen) -> None:
    text = drawn(forked)
    assert "alice  dry1q 5 BTC" in text
    assert "a block takes 2 hashes on average" in text
    assert "block 1 " in text and " of n2" in text
    assert "drystone [/] 3 full nodes" in text
    assert HINT in text


def test_a_killed_node_is_shown_as_such() -> None:
    network = VirtualNetwork(3, params=REGTEST, seed=1)
    screen = screen_of(network)
    network.kill("n1")
    assert any(line.startswith("1 n1 ") and "killed" in line for line in lines_of(drawn(screen)))


def test_the_prompt_takes_the_place_of_the_hint_and_help_that_of_events(forked: Screen) -> None:
    forked.pilot.typed = "mine [n0"
    assert ": mine [n0▏" in drawn(forked)
    forked.pilot.typed = None
    forked.answer = "no verb 'x' [/]"
    assert "no verb 'x' [/]" in drawn(forked)
    forked.answer = ""
    forked.has_keys = False
    assert "Ctrl-C ends it" in drawn(forked)
    forked.pilot.shows_help = True
    assert "partition: cut between" in drawn(forked) and " of n2" not in drawn(forked)


def test_the_chosen_one_of_many_nodes_is_always_on_the_screen() -> None:
    network = VirtualNetwork(0, params=REGTEST, seed=1)
    for number in range(40):
        network.add_node(f"n{number}")
    screen = screen_of(network)
    for chosen in (0, 20, 39):
        screen.pilot.chosen = chosen
        text = drawn(screen, height=24)
        assert f"▸{chosen:>2}  n{chosen}" in text
        assert "more nodes" in text


@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 40, 60, 80, 300])
def test_a_terminal_of_any_width_gets_a_frame_that_fits(forked: Screen, width: int) -> None:
    for height, shows_help in itertools.product((1, 5, 40), (True, False)):
        forked.pilot.shows_help = shows_help
        for line in drawn(forked, width=width, height=height).splitlines():
            assert len(line) <= width


@pytest.mark.parametrize("height", [24, 30, 40, 60])
@pytest.mark.parametrize("width", [80, 100, 132])
@pytest.mark.parametrize("nodes", [3, 30])
def test_a_frame_is_no_higher_than_a_usual_terminal(nodes: int, width: int, height: int) -> None:
    network = VirtualNetwork(0, params=REGTEST, seed=1)
    for number in range(nodes):
        network.add_node(f"n{number}")
    screen = screen_of(network)
    for number in range(6):  # nobody is connected: six branches
        network.mine(f"n{number % nodes}", number + 1)
    for number in range(50):
        screen.board.say(f"event {number}")
    assert len(drawn(screen, width=width, height=height).splitlines()) <= height - 1


def test_a_network_without_nodes_is_drawn_too() -> None:
    assert "links" in drawn(screen_of(VirtualNetwork(0, params=REGTEST)))
