"""What was seen lately: so many things, then the oldest is forgotten."""

from collections.abc import Iterator


class Recent:
    """A set of limited size, in order of arrival. Core has rolling Bloom filters in its place."""

    __slots__ = ("_items", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: dict[bytes, None] = {}

    def add(self, item: bytes) -> None:
        """Remember something; it counts as seen when it was seen first."""
        if item not in self._items:
            self._items[item] = None
            if len(self._items) > self._most:
                del self._items[next(iter(self._items))]

    def clear(self) -> None:
        """Forget all."""
        self._items.clear()

    def __contains__(self, item: bytes) -> bool:
        return item in self._items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._items)
