"""The link model in real time: what came out of a socket waits here until it may arrive."""

import asyncio
from collections import deque
from collections.abc import Callable

from drystone.core.link import Direction, GivenUp
from drystone.core.streams import CHUNK_BYTES, LOST
from drystone.core.time import SECOND_NS

Item = bytes | str  # bytes of the stream, or the reason of its end


class DelayLine:
    """One direction of a live connection.

    deliver: is given what arrives, in order, at once where the link has no delay. The event loop's
    timers are good to a millisecond, and so is a delay.
    """

    def __init__(self, direction: Direction, deliver: Callable[[Item], None]) -> None:
        self.direction = direction
        self.waiting_bytes = 0
        self._deliver = deliver
        self._items: deque[tuple[int, Item]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_held = False
        self._is_lost = False
        self._loop = asyncio.get_running_loop()

    def put(self, item: Item) -> None:
        """Something came out of the socket."""
        if self._is_lost:
            return
        if not self._items and not self._is_held and self.direction.settings.is_transparent:
            self._deliver(item)
            return
        size = len(item) if isinstance(item, bytes) else 0
        try:
            arrival_ns = self.direction.arrival_ns(self._now_ns(), size)
        except GivenUp as lost:
            self._is_lost = True
            arrival_ns, item, size = lost.time_ns, LOST, 0
        self._items.append((arrival_ns, item))
        self.waiting_bytes += size + CHUNK_BYTES
        self._set_timer()

    def hold(self) -> None:
        """Let nothing arrive until further notice."""
        self._is_held = True
        self._stop_timer()

    def release(self) -> None:
        """Let what was held arrive, after the time that the link takes."""
        if self._is_held and self._timer is None:
            seconds = self.direction.settings.latency_ns / SECOND_NS
            self._timer = self._loop.call_later(seconds, self._let_go)

    def drop(self) -> None:
        """Lose all that waits, and take no more."""
        self._stop_timer()
        self._items.clear()
        self.waiting_bytes = 0
        self._is_lost = True

    def _let_go(self) -> None:
        self._is_held = False
        self._arrive()

    def _arrive(self) -> None:
        self._timer = None
        now_ns = self._now_ns()
        while self._items and self._items[0][0] <= now_ns and not self._is_held:
            _, item = self._items.popleft()
            size = len(item) if isinstance(item, bytes) else 0
            self.waiting_bytes -= size + CHUNK_BYTES
            self._deliver(item)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._items and self._timer is None and not self._is_held:
            self._timer = self._loop.call_at(self._items[0][0] / SECOND_NS, self._arrive)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now_ns(self) -> int:
        return int(self._loop.time() * SECOND_NS)
