"""A table of what was worked out before, of bounded size."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memo(Generic[Key, Value]):
    """Values by what they were worked out from; none of them is None.

    get: the value, or None if it isn't known. It is a dictionary's own, since it is asked for every
    message. most: the weight of all values; when that is reached, the table begins anew, which
    costs less than to keep account of who was asked for when. 0: it remembers nothing.
    """

    __slots__ = ("_known", "_most", "_weight", "get")

    def __init__(self, most: int) -> None:
        self._most = most
        self._weight = 0
        self._known: dict[Key, Value] = {}
        self.get: Callable[[Key], Value | None] = self._known.get

    def put(self, key: Key, value: Value, weight: int = 1) -> None:
        """Remember a value, unless it is heavier than all may be."""
        if weight > self._most:
            return
        self._weight += weight
        if self._weight > self._most:
            self._known.clear()
            self._weight = weight
        self._known[key] = value

    def __len__(self) -> int:
        return len(self._known)
