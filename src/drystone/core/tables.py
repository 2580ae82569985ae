"""What people write in TOML files, read so that every mistake ends in one sentence.

The sentence says which key it is about, what was found and what is wanted.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
D = TypeVar("D")

_MOST_SHOWN = 72  # characters of what was found


class TableMistake(ValueError):
    """Something in a file is not as it should be: one sentence that says what to mend."""


def toml_document(text: str, mistake: type[TableMistake] = TableMistake) -> dict[str, Any]:
    """What a TOML text holds. Raises the mistake."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise mistake(f"not TOML: {error}") from None
    except RecursionError:
        raise mistake("not TOML: too deeply nested") from None


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of value: in words, and from what TOML holds (None if that is no such value)."""

    wanted: str
    convert: Callable[[Any], T | None]


@dataclass(frozen=True)
class Table:
    """A table that knows where it is in the file, and which keys it may have.

    Every method raises the mistake.
    """

    values: Mapping[str, Any]
    path: str  # before a key of it: "" or "genesis."
    known: str  # keys, in words
    mistake: type[TableMistake] = TableMistake

    def __post_init__(self) -> None:
        known = self.known.split()
        for key in self.values:
            if key not in known:
                near = get_close_matches(key, known, n=1, cutoff=0.5)
                hint = f"did you mean {self.path}{near[0]}?" if near else f"known are {self.known}"
                raise self.mistake(f"{self.path}{_shown_key(key)}: unknown key; {hint}")

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def need(self, key: str, kind: Kind[T]) -> T:
        """The value of a key that must be there."""
        if key not in self.values:
            raise self.error(key, None, kind.wanted)
        value = kind.convert(self.values[key])
        if value is None:
            raise self.error(key, self.values[key], kind.wanted)
        return value

    def get(self, key: str, kind: Kind[T], *, default: D) -> T | D:
        """The value of a key that may be missing."""
        return self.need(key, kind) if key in self.values else default

    def table(self, key: str, known: str) -> "Table":
        """The table of a key; an empty one if it is missing."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, value, f"a table that begins with [{self.path}{key}]")
        return Table(value, f"{self.path}{key}.", known, self.mistake)

    def tables(self, key: str, known: str) -> "list[Table]":
        """The tables of a key that may occur many times."""
        values = self.values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.error(key, values, f"tables that each begin with [[{self.path}{key}]]")
        return [
            Table(value, f"{self.path}{key}[{number}].", known, self.mistake)
            for number, value in enumerate(values)
        ]

    def at_most_one(self, *keys: str) -> str | None:
        """Which of some keys that exclude each other is there."""
        there = [key for key in keys if key in self.values]
        if len(there) > 1:
            raise self.mistake(f"{self.path}{there[1]}: says the same as {there[0]}; leave one out")
        return there[0] if there else None

    def error(self, key: str, found: object, wanted: str) -> TableMistake:
        """What is wrong with a key. found: None if it is missing."""
        shown = "missing" if found is None else f"found {_shown(found)}"
        return self.mistake(f"{self.path}{key}: {shown}, wanted {wanted}")


def _shown(found: object) -> str:
    text = f'"{found}"' if isinstance(found, str) else str(found)
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def _shown_key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]{1,40}", key) else _shown(key)


# Kinds of value that many files have.


def whole(least: int, most: int) -> Kind[int]:
    """A whole number within bounds."""

    def convert(value: Any) -> int | None:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return value if is_whole and least <= value <= most else None

    return Kind(f"a whole number from {least} to {most}", convert)


def number(least: float, most: float, wanted: str) -> Kind[float]:
    """A number within bounds, with or without a fraction."""

    def convert(value: Any) -> float | None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if is_number and least <= value <= most else None

    return Kind(wanted, convert)


def text(wanted: str, pattern: str, taken: frozenset[str] = frozenset()) -> Kind[str]:
    """A string that matches a pattern as a whole."""

    def convert(value: Any) -> str | None:
        is_text = isinstance(value, str) and re.fullmatch(pattern, value)
        return value if is_text and value not in taken else None

    return Kind(wanted, convert)


def one_of(words: Sequence[str]) -> Kind[str]:
    """One of some words."""
    return Kind(f"one of {', '.join(words)}", lambda value: value if value in words else None)


def list_of(kind: Kind[T], wanted: str) -> Kind[tuple[T, ...]]:
    """A list whose every element is of a kind."""

    def convert(value: Any) -> tuple[T, ...] | None:
        if not isinstance(value, list):
            return None
        converted = [kind.convert(element) for element in value]
        kept = tuple(element for element in converted if element is not None)
        return kept if len(kept) == len(converted) else None

    return Kind(wanted, convert)


BOOLEAN: Final[Kind[bool]] = Kind("true or false", lambda v: v if isinstance(v, bool) else None)
