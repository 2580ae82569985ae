"""Where a classic core sits: the four things it asks of the world around it."""

from collections.abc import Callable
from typing import Protocol

from drystone.classic.events import Action, Announcement, Search, Send, WakeAt
from drystone.core.time import Time

Observe = Callable[[int, Announcement, Time], None]  # (port, what it tells, when)


class Seat(Protocol):
    """The world as one core sees it. Live and virtual seats differ in nothing else."""

    def send(self, port: int, data: bytes) -> None:
        """Send a datagram to the node at a port."""

    def wake_at(self, mono_ns: int) -> None:
        """Hand the core `Wake` then."""

    def search(self, wanted: Search) -> None:
        """Hand the core `Searched` when the search has ended."""

    def tell(self, told: Announcement) -> None:
        """Let whoever watches know."""


def perform(seat: Seat, action: Action) -> None:
    """Carry out one of a core's actions."""
    match action:
        case Send(port, data):
            seat.send(port, data)
        case WakeAt(mono_ns):
            seat.wake_at(mono_ns)
        case Search():
            seat.search(action)
        case _:
            seat.tell(action)
