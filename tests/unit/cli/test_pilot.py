"""What keys mean in the live view, without a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.cli.keyboard import keys_of
from drystone.cli.net import request_from_words
from drystone.cli.pilot import KEYS, MAX_TYPED, Order, Pilot, Quit, Scene
from drystone.core.errors import UserError

SCENE = Scene(("n0", "n1", "n2"), {"n0": 1000, "n1": 0, "n2": 5}, usual_rate=700, down=("n2",))


def words(*keys: str, scene: Scene = SCENE) -> tuple[str, ...] | None:
    """The order that the last of some keys gives."""
    pilot, last = Pilot(), None
    for key in keys:
        last = pilot.press(key, scene)
    return last.words if isinstance(last, Order) else None


@pytest.mark.parametrize(
    ("keys", "order"),
    [
        (("p",), ("partition", "n0")),
        (("down", "p"), ("partition", "n0,n1")),
        (("up", "p"), ("partition", "n2")),
        (("2", "p"), ("partition", "n2")),
        (("h",), ("heal",)),
        (("m",), ("mine", "n0")),
        (("1", "m"), ("mine", "n1")),
        (("9", "m"), ("mine", "n0")),
        (("r",), ("reorg", "2")),
        ((" ",), ("pause",)),
        (("+",), ("hashrate", "n0", "2000")),
        (("-",), ("hashrate", "n0", "500")),
        (("1", "="), ("hashrate", "n1", "700")),
        (("k",), ("kill", "n0")),
        (("2", "k"), ("restart", "n2")),
        (("x",), None),
        ((":",), None),
    ],
)
def test_a_key_is_an_order(keys: tuple[str, ...], order: tuple[str, ...] | None) -> None:
    assert words(*keys) == order
    if order is not None:
        assert request_from_words(order).verb.name == order[0]


def test_space_has_miners_go_on_where_they_rest() -> None:
    assert words(" ", scene=SCENE._replace(is_paused=True)) == ("resume",)


def test_a_network_of_one_node_has_nothing_to_cut() -> None:
    assert words("p", scene=Scene(("n0",), {})) is None


def test_q_quits_and_a_question_mark_shows_the_keys() -> None:
    pilot = Pilot()
    assert isinstance(pilot.press("q", SCENE), Quit)
    shown = []
    for key in ("?", "escape", "?", "?"):
        pilot.press(key, SCENE)
        shown.append(pilot.shows_help)
    assert shown == [True, False, True, False]
    assert {"p", "h", "m", "r", "space", "q", ":"} <= {key for key, _ in KEYS}


def test_a_command_is_typed_corrected_and_sent() -> None:
    keys = (":", *"mine nx", "backspace", *"1 3", "enter")
    assert words(*keys) == ("mine", "n1", "3")
    assert words(":", *"drystone net heal", "enter") == ("heal",)
    assert words(":", "enter") is None
    assert words(":", *"mine n0", "escape", "m") == ("mine", "n0")
    assert words(":", *"mine 'n0", "enter") == ("mine", "'n0")


def test_keys_at_the_prompt_are_letters_and_not_orders() -> None:
    pilot = Pilot()
    for key in (":", *"phmrq ?"):
        assert pilot.press(key, SCENE) is None
    assert pilot.typed == "phmrq ?"
    pilot.press("clear", SCENE)
    assert pilot.typed == ""
    pilot.press("backspace", SCENE)
    assert pilot.typed is None


def test_what_was_typed_before_comes_back() -> None:
    pilot = Pilot()
    for text in ("heal", "pause"):
        for key in (":", *text, "enter"):
            pilot.press(key, SCENE)
    seen = []
    for key in (":", "up", "up", "up", "down", "down"):
        pilot.press(key, SCENE)
        seen.append(pilot.typed)
    assert seen == ["", "pause", "heal", "heal", "pause", ""]


def test_a_prompt_takes_no_more_than_a_line() -> None:
    pilot = Pilot()
    for key in (":", *"x" * (2 * MAX_TYPED)):
        pilot.press(key, SCENE)
    assert pilot.typed == "x" * MAX_TYPED


@given(st.text(max_size=60))
def test_whatever_is_typed_is_an_order_that_is_understood_or_refused(text: str) -> None:
    pilot = Pilot()
    for key in (*keys_of(text), "escape", ":", *keys_of(text), "enter"):
        outcome = pilot.press(key, SCENE)
        if isinstance(outcome, Order):
            try:
                request_from_words(outcome.words)
            except UserError as error:
                assert "\n" not in str(error)  # noqa: PT017  most are refused, some are not


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("p", ["p"]),
        ("ab c", ["a", "b", " ", "c"]),
        ("\x1b[A\x1b[B\x1bOA", ["up", "down", "up"]),
        ("\t\r\n\x7f\x08\x15", ["down", "enter", "enter", "backspace", "backspace", "clear"]),
        ("\x1b", ["escape"]),
        ("\x1b[3~\x1b[1;5Cx", ["x"]),
        ("é", ["é"]),
        ("\x00\x01", []),
    ],
)
def test_bytes_of_a_terminal_are_keys(text: str, keys: list[str]) -> None:
    assert keys_of(text) == keys
