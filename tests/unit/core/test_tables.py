"""What people write in files: values, and sentences about mistakes."""

from typing import Any

import pytest

from drystone.core.tables import (
    BOOLEAN,
    Kind,
    Table,
    TableMistake,
    list_of,
    number,
    one_of,
    text,
    toml_document,
    whole,
)


class OurMistake(TableMistake):
    """Of a file of ours."""


def table(values: dict[str, Any]) -> Table:
    return Table(values, "", "size name inner many", OurMistake)


def test_values_come_as_they_are_wanted() -> None:
    root = table({"size": 3, "inner": {"name": "x"}, "many": [{"size": 1}, {"size": 2}]})
    assert root.need("size", whole(1, 3)) == 3
    assert root.get("name", text("a name", "[a-z]+"), default="nobody") == "nobody"
    assert "size" in root and "name" not in root
    assert root.table("inner", "name").need("name", text("a name", "[a-z]+")) == "x"
    assert [one.need("size", whole(1, 3)) for one in root.tables("many", "size")] == [1, 2]
    assert root.tables("name", "size") == [] and root.table("name", "size").values == {}


def test_a_mistake_says_where_it_is_however_deep() -> None:
    root = table({"inner": {"many": [{"size": 1}, {"size": "big"}]}})
    second = root.table("inner", "many").tables("many", "size")[1]
    with pytest.raises(OurMistake) as caught:
        second.need("size", whole(1, 3))
    assert str(caught.value) == (
        'inner.many[1].size: found "big", wanted a whole number from 1 to 3'
    )


def test_what_is_missing_is_told() -> None:
    with pytest.raises(OurMistake, match=r"^size: missing, wanted true or false$"):
        table({}).need("size", BOOLEAN)


def test_an_unknown_key_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(OurMistake, match=r"^sise: unknown key; did you mean size\?$"):
        table({"sise": 3})
    with pytest.raises(OurMistake, match=r"^colour: unknown key; known are size name inner many$"):
        table({"colour": 3})


def test_of_keys_that_exclude_each_other_one_may_be_there() -> None:
    root = table({"size": 1, "name": "x"})
    assert root.at_most_one("inner", "size") == "size"
    assert root.at_most_one("inner", "many") is None
    with pytest.raises(OurMistake, match=r"^name: says the same as size; leave one out$"):
        root.at_most_one("inner", "size", "name")


def test_what_was_found_is_shown_on_one_short_printable_line() -> None:
    for found in ("x" * 500, "two\nlines", "\x1b[31mred", ["long"] * 200):
        error = table({}).error("size", found, "something else")
        assert str(error).isprintable() and len(str(error)) < 120
    with pytest.raises(OurMistake) as caught:
        table({"\x1b[31m" * 100: 1})
    assert str(caught.value).isprintable() and len(str(caught.value)) < 150


@pytest.mark.parametrize("broken", ["a = ", "a = 1\na = 2", "[" * 10_000, "a = [" * 5_000, "\x00"])
def test_what_is_no_toml_is_told(broken: str) -> None:
    with pytest.raises(OurMistake, match=r"^not TOML: "):
        toml_document(broken, OurMistake)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (whole(1, 3), [1, 3], [0, 4, True, 1.0, "1", None]),
        (number(0, 1, "a share"), [0, 1, 0.5], [-0.1, 1.1, True, float("nan"), "0"]),
        (text("a name", "[a-z]+", frozenset({"me"})), ["a", "you"], ["", "A", "a\n", "me", 1]),
        (one_of(["a", "b"]), ["a", "b"], ["c", "", 1, ["a"]]),
        (BOOLEAN, [True, False], [0, 1, "true"]),
        (list_of(whole(1, 3), "numbers"), [[], [1, 2]], [[0], [1, "2"], 1, "12", {}]),
    ],
)
def test_a_kind_takes_its_own_and_nothing_else(
    kind: Kind[Any], good: list[Any], bad: list[Any]
) -> None:
    for value in good:
        converted = kind.convert(value)
        assert converted == (tuple(value) if isinstance(value, list) else value)
    for value in bad:
        assert kind.convert(value) is None
