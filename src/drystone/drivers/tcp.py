"""TCP in the event loop: the real twin of `drystone.sim.streams`.

The link model works between socket and inbox, so it delays what foreign programs send, too.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Hashable, Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Self

from drystone.core.chance import Stream
from drystone.core.link import Direction, LinkSettings
from drystone.core.streams import (
    CHUNK_BYTES,
    CLOSED_HERE,
    CUT,
    DIAL_TIMEOUT_S,
    HIGH_WATER_BYTES,
    MAX_QUEUED_BYTES,
    NO_ADDRESS,
    NOBODY,
    RESET,
    TIMED_OUT,
    Connection,
    StreamUser,
)
from drystone.core.time import SECOND_NS
from drystone.drivers.connection import HOST_INBOX_BYTES, READ_BYTES, TcpConnection
from drystone.drivers.sockets import OUT_OF_FILES, SocketAddress, bind_tcp, reason_of

BACKLOG: Final = 1024  # connections that may wait to be accepted
MAX_LINGERING: Final = 64  # sockets of a host that outlive their connections; then the oldest goes
GOODBYE_S: Final = 1.0  # at the end, for last bytes and the other sides' ends
_ACCEPT_AGAIN_S: Final = 0.2  # after the system has refused a socket
_ANYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  known when somebody listens there

Name = Hashable


def _nowhere(_line: str) -> None:
    pass


class TcpNetwork:
    """All TCP connections of this process. Use it in `async with`: at the end all are closed.

    default: all links that `set_link` says nothing of. seed: of the links' chance. trouble: is
    given a line for each kind of trouble with sockets, once.

    Hosts have names. What is not of this process has its address for a name, the one that was
    dialled, or the one that it came from.
    """

    def __init__(
        self,
        default: LinkSettings | None = None,
        *,
        seed: int = 0,
        trouble: Callable[[str], None] = _nowhere,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        self.default = default or LinkSettings()
        self.max_queued_bytes = max_queued_bytes
        self._seed = seed
        self._trouble = trouble
        self._told: set[str] = set()
        self._tasks = asyncio.TaskGroup()
        self._children: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._hosts: dict[Name, TcpStreams] = {}
        self._links: dict[tuple[Name, Name], LinkSettings] = {}
        self._listeners: dict[SocketAddress, Name] = {}
        self._dialled_from: dict[tuple[int, SocketAddress], Name] = {}
        self._connections: dict[TcpConnection, None] = {}  # an ordered set: all whose socket lives
        self._keys: dict[TcpConnection, tuple[int, SocketAddress]] = {}  # of _dialled_from
        self._opened = 0
        self._all_gone = asyncio.Event()
        self._side: dict[Name, int] = {}
        self._is_silent = False
        self._sides_changed = asyncio.Event()
        # What a partition closed: who dialled, what, and whose address that was.
        self._closed_by_cut: list[tuple[TcpStreams, SocketAddress, Name]] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closing = True
        try:
            for host in self._hosts.values():
                host.stop()
            for connection in list(self._connections):
                connection.release()
            for task in self._children:
                task.cancel()
            await self._say_goodbye()
        finally:
            for connection in list(self._connections):
                connection.abort(CLOSED_HERE)
            await asyncio.sleep(0)  # the event loop closes sockets at its next turn
            is_cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
            # It is to learn of a cancellation, which it may have asked for itself because a child
            # failed. Any other error comes out as it is.
            await self._tasks.__aexit__(*((kind, error, trace) if is_cancelled else (None,) * 3))

    def attach(self, name: Name, user: StreamUser[SocketAddress]) -> "TcpStreams":
        """A host joins; or rejoins, after it was stopped or has crashed."""
        if name in self._hosts and self._hosts[name].is_up:
            raise ValueError(f"{name} is there already")
        self._hosts[name] = TcpStreams(self, name, user)
        return self._hosts[name]

    def link(self, source: Name, destination: Name) -> LinkSettings:
        """What one direction is like."""
        return self._links.get((source, destination), self.default)

    def set_link(self, source: Name, destination: Name, settings: LinkSettings) -> None:
        """Give one direction its own properties, for connections old and new.

        The destination must be of this process, since bytes are delayed where they arrive.
        """
        self._links[source, destination] = settings
        for connection in self._connections:
            if (connection.other, connection.host.name) == (source, destination):
                connection.line.direction.change(settings)

    def partition(self, *groups: Iterable[Name], silent: bool = False) -> None:
        """Cut the network: hosts reach those of their group only. Who is in none is in a last one.

        It closes what crosses the cut and refuses what would. A silent one holds the bytes
        instead, and tells nobody. A new partition takes the place of the one before.
        """
        self._set_sides({name: side for side, group in enumerate(groups) for name in group}, silent)

    def heal(self) -> None:
        """Undo the cut: what it closed is dialled again, by whoever had; what it held arrives.

        What a foreign program had dialled is its own affair: nobody knows where it listens.
        """
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
        for connection in list(self._connections):
            host, other = connection.host, connection.other
            if not self.is_cut(host.name, other):
                connection.release()
            elif silent:
                connection.hold()
            else:
                if connection.is_open and not connection.inbound:
                    self._closed_by_cut.append((host, connection.address, other))
                connection.abort(CUT)
        self._sides_changed.set()
        self._sides_changed = asyncio.Event()
        remembered, self._closed_by_cut = self._closed_by_cut, []
        for host, address, other in remembered:
            if self.is_cut(host.name, other):
                self._closed_by_cut.append((host, address, other))
            elif host.is_up and not host.has_dialled(address):
                host.dial(address)

    async def _say_goodbye(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                while self._connections:
                    self._all_gone.clear()
                    await self._all_gone.wait()

    # For hosts.

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Let something go on beside us; it is ended with the network."""
        if self._is_closing:
            work.close()
            return
        task = self._tasks.create_task(work)
        self._children.add(task)
        task.add_done_callback(self._children.discard)

    def tell(self, trouble: str) -> None:
        """A line for the user, once."""
        if trouble not in self._told:
            self._told.add(trouble)
            self._trouble(trouble)

    def listens(self, host: "TcpStreams", address: SocketAddress) -> None:
        """Who is dialled there is known by name."""
        self._listeners[address] = host.name

    def listens_no_more(self, address: SocketAddress) -> None:
        """Nobody is."""
        self._listeners.pop(address, None)

    def lost(self, connection: TcpConnection) -> None:
        """Its socket is gone."""
        self._connections.pop(connection, None)
        key = self._keys.pop(connection, None)
        if key is not None:
            del self._dialled_from[key]
        if not self._connections:
            self._all_gone.set()

    async def accept(self, host: "TcpStreams", sock: socket.socket) -> None:
        """Make a connection of a socket."""
        try:
            came_from = SocketAddress(*sock.getpeername()[:2])
            key = came_from.port, SocketAddress(*sock.getsockname()[:2])
            other = self._dialled_from.get(key, came_from)
            if not host.is_up or (self.is_cut(host.name, other) and not self._is_silent):
                sock.close()
                return
            make = partial(self._make, host, other, came_from, inbound=True)
            await asyncio.get_running_loop().connect_accepted_socket(make, sock)
        except OSError:  # it is gone already
            sock.close()

    async def dial(self, host: "TcpStreams", address: SocketAddress) -> None:
        """Connect, or say why not."""
        there = self._name_at(address)
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                while self.is_silently_cut(host.name, there):
                    await self._sides_changed.wait()
                await self._connect(host, address, there)
        except _RefusedError as refused:
            host.refused(address, refused.reason)
        except TimeoutError:
            host.refused(address, TIMED_OUT)
        except ConnectionRefusedError:
            host.refused(address, NOBODY)
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in OUT_OF_FILES:
                reason = reason_of(error)
                self.tell(f"can't connect: {reason}")
            host.refused(address, reason)
        except (OverflowError, ValueError):  # a port beyond 65535, a name that is none
            host.refused(address, NO_ADDRESS)

    async def _connect(self, host: "TcpStreams", address: SocketAddress, there: Name) -> None:
        if self.is_cut(host.name, there):
            raise _RefusedError(CUT)
        loop = asyncio.get_running_loop()
        key: tuple[int, SocketAddress] | None = None
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if there in self._hosts:  # then it is to know whose connection it gets
                sock.bind(("", 0))
                key = sock.getsockname()[1], address
                self._dialled_from[key] = host.name
            await loop.sock_connect(sock, address)
            if sock.getsockname() == sock.getpeername():  # TCP may connect a socket to itself
                raise _RefusedError(NOBODY)
            round_trip_ns = sum(
                self.link(*way).latency_ns for way in ((host.name, there), (there, host.name))
            )
            if round_trip_ns:
                await asyncio.sleep(round_trip_ns / SECOND_NS)
            if self.is_cut(host.name, there) and not self._is_silent:
                raise _RefusedError(CUT)
            make = partial(self._make, host, there, address, inbound=False)
            _, connection = await loop.create_connection(make, sock=sock)
        except BaseException:
            if key is not None:
                del self._dialled_from[key]
            sock.close()
            raise
        if key is not None:
            self._keys[connection] = key

    def _make(
        self, host: "TcpStreams", other: Name, address: SocketAddress, *, inbound: bool
    ) -> TcpConnection:
        self._opened += 1
        chance = Stream(self._seed, "link", str(other), str(host.name), self._opened)
        connection = TcpConnection(
            host,
            other,
            address,
            Direction(self.link(other, host.name), chance),
            self._buffer,
            inbound=inbound,
            held=self.is_silently_cut(host.name, other),
        )
        self._connections[connection] = None
        return connection

    def _name_at(self, address: SocketAddress) -> Name:
        """Whose an address is, if that is known."""
        places = (address, *(SocketAddress(host, address.port) for host in _ANYWHERE))
        return next((self._listeners[at] for at in places if at in self._listeners), address)


class _RefusedError(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TcpStreams:
    """One host's connections: see `drystone.core.streams.Streams`.

    Whoever is handed bytes calls `taken` when it is through with them; until then they count
    against what is read.
    """

    def __init__(self, network: TcpNetwork, name: Name, user: StreamUser[SocketAddress]) -> None:
        self.name = name
        self.user = user
        self.is_up = True
        self.max_queued_bytes = network.max_queued_bytes
        self.high_water_bytes = min(HIGH_WATER_BYTES, network.max_queued_bytes)
        self._network = network
        self._listeners: list[_Listener] = []
        self._peers = 0
        self._connections: dict[int, TcpConnection] = {}
        self._dialling: list[SocketAddress] = []
        self._inbox_bytes = 0
        self._waiting: dict[TcpConnection, None] = {}  # not read until there is room
        self._lingering: dict[TcpConnection, None] = {}  # over, but for their sockets

    def listen(self, address: SocketAddress) -> SocketAddress:
        """Take connections at an address from now on; with port 0 the system chooses one.

        The address really taken. Raises UserError.
        """
        listener = _Listener(self._network, self, bind_tcp(address, BACKLOG))
        self._listeners.append(listener)
        self._network.listens(self, listener.address)
        return listener.address

    def dial(self, address: SocketAddress) -> None:
        """Connect; `connected` or `refused` follows."""
        if self.is_up:
            self._dialling.append(address)
            self._network.start(self._dial(address))

    def send(self, peer: int, data: bytes) -> None:
        """Send bytes. If more than max_queued_bytes wait for the peer, the connection ends."""
        connection = self._connections.get(peer)
        if connection is not None and data:
            connection.send(data)

    def close(self, peer: int) -> None:
        """End a connection. What was sent before still arrives; what comes in no longer does."""
        connection = self._connections.get(peer)
        if connection is not None:
            connection.close()

    def taken(self, peer: int, size_bytes: int) -> None:
        """We are through with so many of the bytes that were received from a peer.

        size_bytes: CHUNK_BYTES for each piece included.
        """
        self._inbox_bytes -= size_bytes
        connection = self._connections.get(peer)
        if connection is not None:
            connection.taken(size_bytes)
        if self._waiting and self._inbox_bytes <= HOST_INBOX_BYTES // 2:
            waiting, self._waiting = self._waiting, {}
            for one in waiting:
                one.mind_inbox()

    def stop(self) -> None:
        """The host ends in good order: it listens no more and closes every connection."""
        for connection in list(self._connections.values()):
            connection.close()
        self._go_down()

    def crash(self) -> None:
        """The host is gone at once, as if it was killed; the others are told by a reset."""
        for connection in list(self._connections.values()):
            connection.abort(RESET)
        self._go_down()

    def connections(self) -> list[Connection[SocketAddress]]:
        """Those that are there, in order of their numbers."""
        return [connection.statistics() for connection in self._connections.values()]

    def _go_down(self) -> None:
        self.is_up = False
        for listener in self._listeners:
            listener.close()
            self._network.listens_no_more(listener.address)
        self._listeners.clear()

    async def _dial(self, address: SocketAddress) -> None:
        try:
            await self._network.dial(self, address)
        finally:
            self._dialling.remove(address)

    # For network and connections.

    @property
    def is_full(self) -> bool:
        """Whether we have as much to do as we can hold."""
        return self._inbox_bytes > HOST_INBOX_BYTES

    def has_dialled(self, address: SocketAddress) -> bool:
        """Whether there is or soon may be a connection that we dialled."""
        return address in self._dialling or any(
            one.address == address and not one.inbound for one in self._connections.values()
        )

    def opened(self, connection: TcpConnection) -> None:
        """A connection is there."""
        if not self.is_up:
            connection.is_open = False
            connection.abort(CLOSED_HERE)
            return
        self._peers += 1
        connection.peer = self._peers
        self._connections[connection.peer] = connection
        self.user.connected(connection.peer, inbound=connection.inbound, address=connection.address)

    def received(self, connection: TcpConnection, data: bytes) -> None:
        """Bytes have come."""
        self._inbox_bytes += len(data) + CHUNK_BYTES
        self.user.received(connection.peer, data)

    def waits_for_room(self, connection: TcpConnection) -> None:
        """It is not read until we have less to do."""
        self._waiting[connection] = None

    def ended(self, connection: TcpConnection) -> None:
        """A connection is over for us."""
        self._connections.pop(connection.peer, None)

    def tell_closed(self, connection: TcpConnection, reason: str) -> None:
        """Say so."""
        if self.is_up:
            self.user.closed(connection.peer, reason)

    def lingers(self, connection: TcpConnection) -> None:
        """It is over, but for its last bytes. Who fills the table of open files with these ends."""
        self._lingering[connection] = None
        if len(self._lingering) > MAX_LINGERING:
            oldest = next(iter(self._lingering))
            del self._lingering[oldest]
            oldest.abort(CLOSED_HERE)

    def lost(self, connection: TcpConnection) -> None:
        """Its socket is gone, too."""
        self._waiting.pop(connection, None)
        self._lingering.pop(connection, None)
        self._network.lost(connection)

    def refused(self, address: SocketAddress, reason: str) -> None:
        """What was dialled comes to nothing."""
        if self.is_up:
            self.user.refused(address, reason)


class _Listener:
    """A socket that takes connections for a host."""

    def __init__(self, network: TcpNetwork, host: TcpStreams, sock: socket.socket) -> None:
        self.address = SocketAddress(*sock.getsockname()[:2])
        self._network = network
        self._host = host
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Give the port back."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        """One at a time, so that whoever is connected has his turn in between."""
        try:
            sock, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            # Nothing is lost: who dials waits in the system's queue.
            self._network.tell(f"can't take connections at {self.address}: {reason_of(error)}")
            self._loop.remove_reader(self._socket)
            self._pause = self._loop.call_later(_ACCEPT_AGAIN_S, self._listen)
            return
        sock.setblocking(False)
        self._network.start(self._network.accept(self._host, sock))
