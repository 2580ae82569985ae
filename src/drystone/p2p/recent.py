"""What a peer knows already, as far as we remember."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class Recent(Generic[Item]):
    """The last things put in: at least so many, at most twice as many. Core: CRollingBloomFilter.

    What was forgotten is said once more than needed, which does no harm.
    """

    __slots__ = ("_least", "_new", "_old")

    def __init__(self, least: int) -> None:
        self._least = least
        self._old: set[Item] = set()  # never gone through, so that no order is needed
        self._new: set[Item] = set()

    def add(self, item: Item) -> None:
        """Remember it."""
        self._new.add(item)
        if len(self._new) >= self._least:
            self._old, self._new = self._new, set()

    def clear(self) -> None:
        """Forget all."""
        self._old.clear()
        self._new.clear()

    def __contains__(self, item: object) -> bool:
        return item in self._new or item in self._old

    def __len__(self) -> int:
        return len(self._new | self._old)
