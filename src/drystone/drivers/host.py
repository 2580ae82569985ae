"""A core in real time: one task owns it, everyone else talks to it through a queue."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from drystone.core.host import Core
from drystone.core.time import MILLISECOND_NS, SECOND_NS, Clock, Time
from drystone.drivers.clock import system_clock

Event = TypeVar("Event")
Action = TypeVar("Action")

QUEUE_EVENTS: Final = 256
TURN_NS: Final = MILLISECOND_NS  # then the event loop looks after sockets and other cores


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
        self._has_woken = False  # the core, since it was handed an event
        # By source, the one whose turn it is first.
        self._events: dict[Hashable, deque[tuple[Event, Callable[[], None] | None]]] = {}
        self._urgent: deque[Event] = deque()
        self._places = QUEUE_EVENTS  # free ones, for what is posted or offered
        self._posters: deque[asyncio.Future[None]] = deque()  # each waits for a place
        self._idle: asyncio.Future[None] | None = None  # what `run` waits for, if it does
        self._alarm: asyncio.TimerHandle | None = None

    async def post(self, event: Event) -> None:
        """Hand the core an event, waiting for room."""
        if self._places and not self._posters:
            self._places -= 1
        else:
            place = asyncio.get_running_loop().create_future()
            self._posters.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if not place.cancelled():  # we had just got it
                    self._give_place_back()
                raise
        self.put(event, self._give_place_back)

    def offer(self, event: Event) -> bool:
        """Hand the core an event unless its queue is full: for what may be lost on the way."""
        if not self._places or self._posters:
            return False
        self._places -= 1
        self.put(event, self._give_place_back)
        return True

    def put(
        self,
        event: Event,
        done: Callable[[], None] | None = None,
        *,
        source: Hashable = None,
    ) -> None:
        """Hand the core an event, room or not: for who bounds what he hands over himself.

        done: is called when the core is through with it. source: whose events come in order; those
        of several sources come by turns, so that no flood delays the others.
        """
        waiting = self._events.get(source)
        if waiting is None:
            waiting = self._events[source] = deque()
        waiting.append((event, done))
        self._stir()

    def put_first(self, event: Event) -> None:
        """Hand the core an event before all that waits: for what tells it to slow down."""
        self._urgent.append(event)
        self._stir()

    def wake_at(self, mono_ns: int) -> None:
        """Wake the core then; replaces the wake-up asked for before."""
        self._wake_at_ns = mono_ns
        self._stir()

    def clock_changed(self) -> None:
        """The clock was set: look again whether the core's time has come."""
        self._stir()

    async def run(self) -> None:
        """Begin, and serve the core until cancelled."""
        self._handle(self._wake, self._clock())
        turn_ends_ns = time.monotonic_ns() + TURN_NS
        try:
            while True:
                if not self._handle_next():
                    await self._rest()
                elif time.monotonic_ns() < turn_ends_ns:
                    continue
                else:
                    await asyncio.sleep(0)
                turn_ends_ns = time.monotonic_ns() + TURN_NS
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None

    def _handle_next(self) -> bool:
        """Handle the next event, or the wake-up if it is due; False if there is neither.

        A wake-up that is due goes before what waits in the queue: a flood must not delay it. But
        not twice in a row: nor must a core that always wants to be woken delay the queue.
        """
        if self._urgent:
            self._handle(self._urgent.popleft(), self._clock())
            return True
        if self._wake_at_ns is None and not self._events:
            return False
        now = self._clock()
        if (
            self._wake_at_ns is not None
            and not (self._has_woken and self._events)
            and now.mono_ns >= self._wake_at_ns
        ):
            self._wake_at_ns = None
            self._has_woken = True
            self._handle(self._wake, now)
            return True
        self._has_woken = False
        if not self._events:
            return False
        source, waiting = next(iter(self._events.items()))
        del self._events[source]
        event, done = waiting.popleft()
        if waiting:
            self._events[source] = waiting
        self._handle(event, now)
        if done is not None:
            done()
        return True

    def _handle(self, event: Event, now: Time) -> None:
        for action in self._core.handle(event, now):
            self._perform(action)

    async def _rest(self) -> None:
        """Wait until there may be something to do."""
        loop = asyncio.get_running_loop()
        if self._wake_at_ns is not None:
            when = loop.time() + (self._wake_at_ns - self._clock().mono_ns) / SECOND_NS
            # An alarm that rings too early does no harm, and most are never heard.
            if self._alarm is None or self._alarm.when() > when:
                if self._alarm is not None:
                    self._alarm.cancel()
                self._alarm = loop.call_at(when, self._ring)
        self._idle = loop.create_future()
        try:
            await self._idle
        finally:
            self._idle = None

    def _ring(self) -> None:
        self._alarm = None
        self._stir()

    def _stir(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _give_place_back(self) -> None:
        while self._posters:
            place = self._posters.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._places += 1
