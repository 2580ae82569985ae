"""Simulated connections: ordered streams that are late, queue, break and are cut, as TCP's are."""

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Final, Generic, TypeVar
from zlib import crc32

from drystone.core.chance import Stream
from drystone.core.link import Direction, GivenUp, LinkSettings
from drystone.core.streams import (
    CHUNK_BYTES,
    CLOSED_HERE,
    CLOSED_THERE,
    CUT,
    DIAL_TIMEOUT_S,
    HIGH_WATER_BYTES,
    LOST,
    LOW_WATER_BYTES,
    MAX_QUEUED_BYTES,
    NOBODY,
    RESET,
    TIMED_OUT,
    TOO_SLOW,
    Connection,
    StreamUser,
)
from drystone.core.time import MILLISECOND_NS, SECOND_NS
from drystone.sim.world import World

Name = TypeVar("Name", bound=Hashable)
Address = TypeVar("Address", bound=Hashable)

DEFAULT_LINK: Final = LinkSettings(latency_ns=MILLISECOND_NS)


class Traffic:
    """What a host has sent in all its lives: how often, and how many bytes."""

    __slots__ = ("sends", "sent_bytes")

    def __init__(self) -> None:
        self.sends = 0
        self.sent_bytes = 0


class StreamNetwork(Generic[Name, Address]):
    """Connections between named hosts of one world, over links that have a direction each.

    default: all links that `set_link` says nothing of. Each direction of each connection has its
    own stream of chance, so its fate depends on its own traffic alone. Names and addresses go into
    the trace, so their `str` must be the same in every run.
    """

    def __init__(
        self,
        world: World,
        default: LinkSettings = DEFAULT_LINK,
        *,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        self.default = default
        self.world = world
        self.max_queued_bytes = max_queued_bytes
        self.high_water_bytes = min(HIGH_WATER_BYTES, max_queued_bytes)
        self.traffic: dict[Name, Traffic] = {}
        self._links: dict[tuple[Name, Name], LinkSettings] = {}
        self._hosts: dict[Name, HostStreams[Name, Address]] = {}
        self._listeners: dict[Address, HostStreams[Name, Address]] = {}
        self._side: dict[Name, int] = {}
        self._is_silent = False
        # What a partition closed: number -> (who dialled, what, whose address that was).
        self._closed_by_cut: dict[int, tuple[HostStreams[Name, Address], Address, Name]] = {}
        self._dials = 0
        self._connections: dict[tuple[Name, Name], int] = {}  # how many, by dialler and listener

    def attach(
        self, name: Name, user: StreamUser[Address], address: Address
    ) -> "HostStreams[Name, Address]":
        """A host joins; or rejoins, after it was stopped or has crashed.

        address: where its connections come from in the eyes of those that it dials.
        """
        if name in self._hosts and self._hosts[name].is_up:
            raise ValueError(f"{name} is there already")
        self._hosts[name] = HostStreams(self, name, user, address)
        return self._hosts[name]

    def link(self, source: Name, destination: Name) -> LinkSettings:
        """What one direction is like."""
        return self._links.get((source, destination), self.default)

    def set_link(self, source: Name, destination: Name, settings: LinkSettings) -> None:
        """Give one direction its own properties, for connections old and new."""
        self._links[source, destination] = settings
        for here in (source, destination):
            if here in self._hosts:
                for end in self._hosts[here].ends():
                    for one in (end, end.other):
                        if (one.host.name, one.other.host.name) == (source, destination):
                            one.direction.change(settings)

    def partition(self, *groups: Iterable[Name], silent: bool = False) -> None:
        """Cut the network: hosts reach those of their group only. Who is in none is in a last one.

        It closes what crosses the cut and refuses what would. A silent one holds the bytes
        instead, and tells nobody. A new partition takes the place of the one before.
        """
        self._set_sides({name: side for side, group in enumerate(groups) for name in group}, silent)

    def heal(self) -> None:
        """Undo the cut: what it closed is dialled again, by whoever had; what it held arrives."""
        self._set_sides({}, silent=False)

    def is_cut(self, one: Name, other: Name) -> bool:
        """Whether a partition runs between two hosts."""
        return self._side.get(one) != self._side.get(other)

    def is_silently_cut(self, one: Name, other: Name) -> bool:
        """Whether a silent one does."""
        return self._is_silent and self.is_cut(one, other)

    def _set_sides(self, side: dict[Name, int], silent: bool) -> None:  # noqa: FBT001
        self._side = side
        self._is_silent = silent
        for host in self._hosts.values():
            for end in host.ends():
                crosses = self.is_cut(host.name, end.other.host.name)
                if crosses and not silent:
                    self._remember(end)
                    end.cut(CUT)
                elif crosses:
                    end.hold()
                else:
                    end.release()
        for number, (host, address, there) in sorted(self._closed_by_cut.items()):
            if not self.is_cut(host.name, there):
                del self._closed_by_cut[number]
                if host.is_up and not host.has_dialled(address):
                    host.dial(address)

    def _remember(self, end: "_End[Name, Address]") -> None:
        dialler = end.other if end.inbound else end
        if dialler.is_open and dialler.other.is_open:
            there = dialler.other.host.name
            self._closed_by_cut[dialler.number] = dialler.host, dialler.address, there

    # For hosts.

    def listen(self, host: "HostStreams[Name, Address]", address: Address) -> None:
        """Raises ValueError if the address is taken."""
        if address in self._listeners:
            raise ValueError(f"somebody listens at {address} already")
        self._listeners[address] = host

    def is_listening(self, host: "HostStreams[Name, Address]", address: Address) -> bool:
        """Whether it still is."""
        return self._listeners.get(address) is host

    def forget(self, host: "HostStreams[Name, Address]") -> None:
        """It listens no more."""
        self._listeners = {at: one for at, one in self._listeners.items() if one is not host}

    def dial(self, host: "HostStreams[Name, Address]", address: Address) -> None:
        """Find the listener, if there is one, and have the first packet sent."""
        self._dials += 1
        listener = self._listeners.get(address)
        if listener is None or (self.is_cut(host.name, listener.name) and not self._is_silent):
            # Whoever answers for the missing is as far away as anybody.
            reason = NOBODY if listener is None else CUT
            self.world.after(2 * self.default.latency_ns, lambda: host.refuse(address, reason))
            return
        pair = host.name, listener.name
        self._connections[pair] = nth = self._connections.get(pair, 0) + 1
        here = _End(self, host, address, self._dials, inbound=False)
        there = _End(self, listener, host.address, self._dials, inbound=True)
        here.join(there, self.world.stream("link", *map(str, pair), nth, "there"))
        there.join(here, self.world.stream("link", *map(str, pair), nth, "back"))
        here.dial()


class HostStreams(Generic[Name, Address]):
    """One host's connections: see `drystone.core.streams.Streams`."""

    def __init__(
        self,
        network: StreamNetwork[Name, Address],
        name: Name,
        user: StreamUser[Address],
        address: Address,
    ) -> None:
        self.name = name
        self.address = address
        self.user = user
        self.is_up = True
        self.traffic = network.traffic.setdefault(name, Traffic())
        self._network = network
        self._ends: dict[int, _End[Name, Address]] = {}
        self._dialling: dict[int, _End[Name, Address]] = {}
        self._peers = 0

    def listen(self, address: Address) -> Address:
        """Take connections at an address from now on."""
        self._network.listen(self, address)
        return address

    def dial(self, address: Address) -> None:
        """Connect; `connected` or `refused` follows."""
        if self.is_up:
            self._network.dial(self, address)

    def send(self, peer: int, data: bytes) -> None:
        """Send bytes."""
        end = self._ends.get(peer)
        if end is not None and data:
            traffic = self.traffic
            traffic.sends += 1
            traffic.sent_bytes += len(data)
            end.send(data)

    def close(self, peer: int) -> None:
        """End a connection. What was sent before still arrives; what comes in no longer does."""
        end = self._ends.get(peer)
        if end is not None:
            end.close()

    def stop(self) -> None:
        """The host ends in good order: it listens no more and closes every connection."""
        for end in self.ends():
            end.close()
        self._go_down()

    def crash(self) -> None:
        """The host is gone at once: what it had sent is lost, and the others are told by a reset.

        Nothing is told here.
        """
        ends = self.ends()
        self._go_down()
        for end in ends:
            end.abort(RESET)

    def connections(self) -> list[Connection[Address]]:
        """Those that are there, in order of their numbers."""
        return [end.statistics() for end in self._ends.values()]

    def _go_down(self) -> None:
        self.is_up = False
        self._network.forget(self)

    # For the network and the ends.

    def ends(self) -> list["_End[Name, Address]"]:
        """Ours of all connections, those being dialled last."""
        return [*self._ends.values(), *self._dialling.values()]

    def has_dialled(self, address: Address) -> bool:
        """Whether there is or soon may be a connection that we dialled."""
        return any(end.address == address and not end.inbound for end in self.ends())

    def dialling(self, end: "_End[Name, Address]") -> None:
        """An answer is to come."""
        self._dialling[end.number] = end

    def is_dialling(self, end: "_End[Name, Address]") -> bool:
        """Whether an answer is still to come."""
        return end.number in self._dialling

    def opened(self, end: "_End[Name, Address]") -> None:
        """A connection is there: give it its number and tell."""
        self._network.world.record(end.line, "connected")
        self._dialling.pop(end.number, None)
        self._peers += 1
        end.peer = self._peers
        self._ends[end.peer] = end
        self.user.connected(end.peer, inbound=end.inbound, address=end.address)

    def ended(self, end: "_End[Name, Address]", reason: str) -> None:
        """A connection or the hope of one is over: tell, though not from within the host's call."""
        if self._dialling.pop(end.number, None) is not None:
            self._network.world.after(0, lambda: self.refuse(end.address, reason))
        elif self._ends.pop(end.peer, None) is not None:
            self._network.world.after(0, lambda: self._tell_closed(end, reason))

    def refuse(self, address: Address, reason: str) -> None:
        """What was dialled comes to nothing."""
        self._network.world.record(f"{self.name}>{address}", reason)
        if self.is_up:
            self.user.refused(address, reason)

    def _tell_closed(self, end: "_End[Name, Address]", reason: str) -> None:
        if self.is_up:
            self._network.world.record(end.line, reason)
            self.user.closed(end.peer, reason)


class _Answer:
    """What a dial sends, and what a listener answers."""


_HELLO: Final = _Answer()


class _End(Generic[Name, Address]):
    """One host's end of a connection, with what is on its way from here to the other end.

    queue: (when it arrives, bytes or a hello or the reason of the end). An event of the world's
    comes for each time in it; what it then finds to be due is handed over together.
    """

    __slots__ = (
        "_hold_number",
        "_is_held",
        "_is_lost",
        "_is_paused",
        "_network",
        "_queue",
        "_queued_bytes",
        "_sent_bytes",
        "_since_ns",
        "_when_due",
        "_world",
        "address",
        "direction",
        "host",
        "inbound",
        "is_open",
        "line",
        "number",
        "other",
        "peer",
        "received_bytes",
    )

    direction: Direction
    other: "_End[Name, Address]"
    line: str

    def __init__(
        self,
        network: StreamNetwork[Name, Address],
        host: HostStreams[Name, Address],
        address: Address,
        number: int,
        *,
        inbound: bool,
    ) -> None:
        self._network = network
        self._world = network.world
        self.host = host
        self.address = address
        self.number = number
        self.inbound = inbound
        self.peer = 0
        self.is_open = False
        self._since_ns = 0
        self._queue: deque[tuple[int, bytes | str | _Answer]] = deque()
        self._queued_bytes = 0
        self._sent_bytes = 0
        self.received_bytes = 0
        self._is_paused = False
        self._is_lost = False  # a packet is being given up; nothing gets through any more
        self._is_held = False  # by a silent partition
        self._hold_number = 0
        self._when_due = self._arrive  # made once: it is planned for all that is sent

    def join(self, other: "_End[Name, Address]", chance: Stream) -> None:
        """Make it one end of a connection."""
        here, there = self.host.name, other.host.name
        self.other = other
        self.line = f"{here}>{there}#{self.number}"
        self.direction = Direction(self._network.link(here, there), chance)
        self._is_held = self._network.is_silently_cut(here, there)

    # What a host does.

    def dial(self) -> None:
        """Ask the other side for a connection."""
        self.host.dialling(self)
        self._world.after(DIAL_TIMEOUT_S * SECOND_NS, self._stop_dialling)
        self._put(_HELLO, 0)

    def send(self, data: bytes) -> None:
        """Put bytes on their way."""
        size = len(data)
        self._sent_bytes += size
        self._put(data, size)
        self._queued_bytes += size + CHUNK_BYTES
        if self._queued_bytes > self._network.high_water_bytes:
            self._crowd()

    def close(self) -> None:
        """Send no more and take no more; what is on its way to the other side stays so."""
        self.is_open = False
        self.other.drop()
        self._put(CLOSED_THERE, 0)
        self.host.ended(self, CLOSED_HERE)

    def abort(self, reason: str) -> None:
        """End it at once; the other side is told by a reset."""
        self.drop()
        self.other.drop()
        self.is_open = False
        arrival_ns = self._world.now_ns + self.direction.settings.latency_ns
        self._queue.append((arrival_ns, RESET))
        self._world.at(arrival_ns, self._when_due)
        self.host.ended(self, reason)

    def statistics(self) -> Connection[Address]:
        """What there is to say of it."""
        return Connection(
            self.peer,
            self.address,
            self.inbound,
            self._since_ns,
            self._sent_bytes,
            self.received_bytes,
            self._queued_bytes,
        )

    # What happens to the network.

    def cut(self, reason: str) -> None:
        """Both ends are told at once, and what is on its way is lost."""
        for end in (self, self.other):
            end.drop()
            end.is_open = False
            end.host.ended(end, reason)

    def hold(self) -> None:
        """Let nothing arrive, either way."""
        for end in (self, self.other):
            end.hold_back()

    def release(self) -> None:
        """Let what was held arrive, after the time that the link takes."""
        for end in (self, self.other):
            end.let_go()

    def hold_back(self) -> None:
        """This way."""
        self._is_held = True
        self._hold_number += 1

    def let_go(self) -> None:
        """This way, unless it is held back again meanwhile."""
        if self._is_held:
            hold = self._hold_number

            def arrive() -> None:
                if hold == self._hold_number:
                    self._is_held = False
                    self._arrive()

            self._world.after(self.direction.settings.latency_ns, arrive)

    def drop(self) -> None:
        """Lose what is on its way from here."""
        self._queue.clear()
        self._queued_bytes = 0

    # From here to there.

    def _put(self, item: bytes | str | _Answer, size: int) -> None:
        if self._is_lost:
            return
        world, queue = self._world, self._queue
        try:
            arrival_ns = self.direction.arrival_ns(world.now_ns, size)
        except GivenUp as lost:
            self._is_lost = True
            world.at(lost.time_ns, lambda: self.cut(LOST))
            return
        if not queue or queue[-1][0] != arrival_ns:
            world.at(arrival_ns, self._when_due)
        queue.append((arrival_ns, item))

    def _arrive(self) -> None:
        """Hand over all that is due."""
        if self._is_held:
            return
        queue, now_ns = self._queue, self._world.now_ns
        if len(queue) == 1 and queue[0][0] <= now_ns:  # as it mostly is
            item = queue.popleft()[1]
            if isinstance(item, bytes):
                self._hand_over(item, 1)
            else:
                self.other.signalled(item)
            return
        chunks: list[bytes] = []
        while queue and queue[0][0] <= now_ns:
            item = queue.popleft()[1]
            if isinstance(item, bytes):
                chunks.append(item)
                continue
            if chunks:
                self._hand_over(b"".join(chunks), len(chunks))
                chunks = []
            self.other.signalled(item)
        if chunks:
            self._hand_over(b"".join(chunks), len(chunks))

    def _hand_over(self, data: bytes, chunks: int) -> None:
        size = len(data)
        self._queued_bytes -= size + CHUNK_BYTES * chunks
        there = self.other
        if there.is_open:
            world = self._world
            checksum = crc32(data).to_bytes(4, "big").hex()
            world.trace.add(f"{world.now_ns} {self.line} {size}B {checksum} arrives")
            there.received_bytes += size
            there.host.user.received(there.peer, data)
        if self._is_paused and self._queued_bytes <= LOW_WATER_BYTES:
            self._is_paused = False
            if self.is_open:
                self.host.user.resumed(self.peer)

    def signalled(self, item: str | _Answer) -> None:
        """A hello has come, or the end."""
        if isinstance(item, str):
            self.is_open = False
            self.drop()
            self.host.ended(self, item)
        elif not self.inbound:
            self._open()
        elif self._network.is_listening(self.host, self.other.address):
            self._put(_HELLO, 0)
            self._open()
        else:
            self._put(NOBODY, 0)

    def _open(self) -> None:
        self.is_open = True
        self._since_ns = self._world.now_ns
        self.host.opened(self)

    def _stop_dialling(self) -> None:
        if self.host.is_dialling(self):
            self.abort(TIMED_OUT)

    def _crowd(self) -> None:
        if self._queued_bytes > self._network.max_queued_bytes:
            self.abort(TOO_SLOW)
        elif not self._is_paused:
            self._is_paused = True
            self._world.after(0, self._tell_paused)

    def _tell_paused(self) -> None:
        if self._is_paused and self.is_open:
            self.host.user.paused(self.peer)
