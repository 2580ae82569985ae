"""A table of what was worked out before, which forgets what nobody has asked for lately."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memo(Generic[Key, Value]):
    """Values by what they were worked out from; none of them is None.

    most: the weight that the young half may have. When it is full it becomes the old half, and what
    was old is forgotten; whatever is asked for meanwhile is young again. 0: it remembers nothing.
    """

    __slots__ = ("_most", "_old", "_weight", "_young")

    def __init__(self, most: int) -> None:
        self._most = most
        self._weight = 0  # of the young half
        self._young: dict[Key, tuple[Value, int]] = {}
        self._old: dict[Key, tuple[Value, int]] = {}

    def get(self, key: Key) -> Value | None:
        """The value, or None if it isn't known, or no longer."""
        known = self._young.get(key)
        if known is None:
            known = self._old.pop(key, None)
            if known is None:
                return None
            self._put(key, known)
        return known[0]

    def put(self, key: Key, value: Value, weight: int = 1) -> None:
        """Remember a value, unless it is heavier than all may be."""
        if weight <= self._most:
            self._put(key, (value, weight))

    def _put(self, key: Key, known: tuple[Value, int]) -> None:
        if self._weight + known[1] > self._most:
            self._old, self._young, self._weight = self._young, {}, 0
        self._young[key] = known
        self._weight += known[1]

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
