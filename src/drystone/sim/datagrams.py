"""Simulated datagrams: late, lost, out of order, as on a real network without streams."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from drystone.core.chance import Stream
from drystone.core.time import MILLISECOND_NS
from drystone.sim.world import World

Address = TypeVar("Address", bound=Hashable)


@dataclass(frozen=True, slots=True)
class DatagramLink:
    """One direction between two addresses.

    latency_ns: the least delay. jitter_ns: up to this much more, drawn for each datagram, so that
    a later one may arrive first. loss: the share that never arrives, 0 to 1.
    """

    latency_ns: int = MILLISECOND_NS
    jitter_ns: int = 0
    loss: float = 0.0


class DatagramNetwork(Generic[Address]):
    """Carries datagrams between addresses over links; a cut between groups loses what crosses it.

    Each direction has its own stream of chance, so a link's fate depends on its own traffic alone.
    """

    def __init__(self, world: World, default: DatagramLink | None = None) -> None:
        self.default = default or DatagramLink()
        self._world = world
        self._links: dict[tuple[Address, Address], DatagramLink] = {}
        self._streams: dict[tuple[Address, Address], Stream] = {}
        self._receivers: dict[Address, Callable[[bytes], None]] = {}
        self._side: dict[Address, int] = {}

    def attach(self, address: Address, receive: Callable[[bytes], None]) -> None:
        """From now on, deliver what is sent to the address."""
        self._receivers[address] = receive

    def detach(self, address: Address) -> None:
        """Nobody is there any more; datagrams to it vanish."""
        self._receivers.pop(address, None)

    def set_link(self, source: Address, destination: Address, link: DatagramLink) -> None:
        """Give one direction its own properties."""
        self._links[source, destination] = link

    def partition(self, *groups: Iterable[Address]) -> None:
        """Cut the network: datagrams pass within a group only. Who is in none is in a last one."""
        self._side = {address: side for side, group in enumerate(groups) for address in group}

    def heal(self) -> None:
        """Undo the cut. What was lost stays lost."""
        self._side = {}

    def send(self, source: Address, destination: Address, data: bytes) -> None:
        """Put a datagram on its way."""
        delay_ns = self._draw_delay_ns(source, destination)
        name = f"{source}>{destination} {len(data)}B"
        if delay_ns is None or self._side.get(source) != self._side.get(destination):
            self._world.record(name, "lost")
            return
        self._world.after(delay_ns, lambda: self._deliver(destination, data, name))

    def _deliver(self, destination: Address, data: bytes, name: str) -> None:
        receive = self._receivers.get(destination)
        self._world.record(name, "arrives" if receive else "finds nobody")
        if receive:
            receive(data)

    def _draw_delay_ns(self, source: Address, destination: Address) -> int | None:
        """A datagram's delay, or None if it is lost. Always two draws, whatever the link."""
        link = self._links.get((source, destination), self.default)
        key = source, destination
        if key not in self._streams:
            self._streams[key] = self._world.stream("link", str(source), str(destination))
        lost = self._streams[key].happens(link.loss)
        jitter_ns = self._streams[key].below(link.jitter_ns + 1)
        return None if lost else link.latency_ns + jitter_ns
