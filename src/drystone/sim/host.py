"""A core in a simulated world: events in, actions out, woken on time."""

from collections.abc import Callable
from typing import Generic, TypeVar

from drystone.core.host import Core
from drystone.sim.world import World

Event = TypeVar("Event")
Action = TypeVar("Action")


class Host(Generic[Event, Action]):
    """Runs one core in a world.

    perform: carries out one action. wake: the event that a core gets when its time has come.
    """

    def __init__(
        self,
        world: World,
        core: Core[Event, Action],
        perform: Callable[[Action], None],
        wake: Event,
    ) -> None:
        self._world = world
        self._core = core
        self._perform = perform
        self._wake = wake
        self._alarm = 0  # only the latest wake-up asked for counts

    def post(self, event: Event) -> None:
        """Hand the core an event now, and carry out what it answers."""
        for action in self._core.handle(event, self._world.clock()):
            self._perform(action)

    def wake_at(self, mono_ns: int) -> None:
        """Wake the core then; replaces the wake-up asked for before."""
        self._alarm += 1
        alarm = self._alarm

        def ring() -> None:
            if alarm == self._alarm:
                self.post(self._wake)

        self._world.at(max(mono_ns, self._world.now_ns), ring)
