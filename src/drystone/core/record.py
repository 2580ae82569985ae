"""What is made for every message: objects of a few fields, made and read fast."""

from typing import ClassVar


class Record:
    """Fields that are compared and shown, as those of a dataclass are.

    A dataclass that is frozen, or a NamedTuple, takes twice as long to make, and ten times when it
    is compiled. So nothing keeps anybody from changing a record; nobody does. A subclass names its
    fields in __match_args__ and sets them in __init__.
    """

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def _values(self) -> list[object]:
        return [getattr(self, name) for name in self.__match_args__]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), *self._values()))

    def __repr__(self) -> str:
        shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in self.__match_args__])
        return f"{type(self).__name__}({shown})"
