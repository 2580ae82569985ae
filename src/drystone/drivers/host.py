"""A core in real time: one task owns it, everyone else talks to it through a bounded queue."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from drystone.core.host import Core
from drystone.core.time import SECOND_NS, Clock
from drystone.drivers.clock import system_clock

Event = TypeVar("Event")
Action = TypeVar("Action")

QUEUE_EVENTS = 256


class LiveHost(Generic[Event, Action]):
    """Runs one core on the system's clock: the twin of `drystone.sim.host.Host`.

    perform: carries out one action, and must not block. wake: the event that a core gets when it
    begins and when its time has come.
    """

    def __init__(
        self,
        core: Core[Event, Action],
        perform: Callable[[Action], None],
        wake: Event,
        clock: Clock = system_clock,
    ) -> None:
        self._core = core
        self._perform = perform
        self._wake = wake
        self._clock = clock
        self._wake_at_ns: int | None = None
        self._queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE_EVENTS)

    async def post(self, event: Event) -> None:
        """Hand the core an event, waiting for room."""
        await self._queue.put(event)

    def offer(self, event: Event) -> bool:
        """Hand the core an event unless its queue is full: for what may be lost on the way."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            return False
        return True

    def wake_at(self, mono_ns: int) -> None:
        """Wake the core then; replaces the wake-up asked for before."""
        self._wake_at_ns = mono_ns

    async def run(self) -> None:
        """Begin, and serve the core until cancelled."""
        self._handle(self._wake)
        while True:
            self._handle(await self._next())

    async def _next(self) -> Event:
        """The next event, or the wake-up if its time comes first.

        A wake-up that is due goes before what waits in the queue: a flood must not delay it.
        """
        if self._wake_at_ns is None:
            return await self._queue.get()
        seconds = (self._wake_at_ns - self._clock().mono_ns) / SECOND_NS
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    return await self._queue.get()
            except TimeoutError:
                pass
        self._wake_at_ns = None
        return self._wake

    def _handle(self, event: Event) -> None:
        for action in self._core.handle(event, self._clock()):
            self._perform(action)
