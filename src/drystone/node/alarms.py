"""Many things to do at their times, and the one time at which to be woken for the first."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_FEWEST_TO_REBUILD: Final = 64


class Alarms(Generic[Key]):
    """An alarm for each key, in monotonic nanoseconds; those of one time ring in the order set."""

    def __init__(self) -> None:
        self._at: dict[Key, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, Key]] = []  # may have alarms that no longer count
        self._sequence = 0
        self._earliest: int | None = None
        self.have_changed = False  # since `earliest` was last asked

    def set(self, key: Key, at_ns: int) -> None:
        """Ring then, and at no other time that was asked for before."""
        there = self._at.get(key)
        if there is not None and there[0] == at_ns:
            return
        self._sequence += 1
        self.have_changed = True
        self._at[key] = at_ns, self._sequence
        heappush(self._heap, (at_ns, self._sequence, key))
        if len(self._heap) > max(4 * len(self._at), _FEWEST_TO_REBUILD):
            self._heap = [(at, sequence, key) for key, (at, sequence) in self._at.items()]
            heapify(self._heap)

    def set_no_later(self, key: Key, at_ns: int) -> None:
        """Ring then, unless it rings earlier anyway."""
        there = self._at.get(key)
        if there is None or at_ns < there[0]:
            self.set(key, at_ns)

    def cancel(self, key: Key) -> None:
        """Don't ring."""
        if self._at.pop(key, None) is not None:
            self.have_changed = True

    def earliest(self) -> int | None:
        """When the first one rings."""
        if self.have_changed:
            heap = self._heap
            while heap and not self._counts(heap[0]):
                heappop(heap)
            self._earliest = heap[0][0] if heap else None
            self.have_changed = False
        return self._earliest

    def take_due(self, now_ns: int) -> Key | None:
        """The first whose time has come, if there is one; it is no longer set."""
        self.have_changed = True
        while self._heap and self._heap[0][0] <= now_ns:
            alarm = heappop(self._heap)
            if self._counts(alarm):
                del self._at[alarm[2]]
                return alarm[2]
        return None

    def _counts(self, alarm: tuple[int, int, Key]) -> bool:
        at_ns, sequence, key = alarm
        return self._at.get(key) == (at_ns, sequence)
