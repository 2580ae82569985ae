"""Users of connections that note what they are told, and check that they are told it in order."""

import asyncio
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Generic, Self, TypeVar

from drystone.core.link import LinkSettings
from drystone.core.streams import CHUNK_BYTES, Streams
from drystone.drivers.sockets import SocketAddress
from drystone.drivers.tcp import TcpNetwork, TcpStreams
from drystone.sim.streams import DEFAULT_LINK, HostStreams, StreamNetwork
from drystone.sim.world import World

Address = TypeVar("Address", bound=Hashable)

LOOPBACK = "127.0.0.1"
PATIENCE_S = 20.0


class Noting(Generic[Address]):
    """Notes what happens, a line each, and what came in from each peer.

    It fails at once if it is told of a peer that is not there, or twice of one that is.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.came: dict[int, bytearray] = {}
        self.there: dict[int, Address] = {}
        self.inbound: set[int] = set()
        self.reasons: list[str] = []

    def connected(self, peer: int, *, inbound: bool, address: Address) -> None:
        assert peer not in self.came, f"peer {peer} a second time"
        self.came[peer] = bytearray()
        self.there[peer] = address
        if inbound:
            self.inbound.add(peer)
        self.note(f"{peer} {'from' if inbound else 'to'} {address}")

    def received(self, peer: int, data: bytes) -> None:
        assert peer in self.there and data
        self.came[peer] += data
        self.note(f"{peer} {data!r}" if len(data) < 20 else f"{peer} {len(data)}B")

    def closed(self, peer: int, reason: str) -> None:
        del self.there[peer]
        self.reasons.append(reason)
        self.note(f"{peer} {reason}")

    def refused(self, address: Address, reason: str) -> None:
        self.reasons.append(reason)
        self.note(f"{address} {reason}")

    def paused(self, peer: int) -> None:
        assert peer in self.there
        self.note(f"{peer} paused")

    def resumed(self, peer: int) -> None:
        assert peer in self.there
        self.note(f"{peer} resumed")

    def note(self, line: str) -> None:
        self.lines.append(line)

    def peer_at(self, address: Address) -> int:
        """The one connection that we have with an address."""
        (peer,) = (peer for peer, at in self.there.items() if at == address)
        return peer


class SimNoting(Noting[str]):
    """A host of a virtual network: its lines have the nanosecond in front."""

    streams: HostStreams[str, str]

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def note(self, line: str) -> None:
        super().note(f"{self._world.now_ns} {line}")

    def send(self, address: str, data: bytes) -> None:
        """To the one peer at an address."""
        self.streams.send(self.peer_at(address), data)

    def close(self, address: str) -> None:
        """The connection with the one peer at an address."""
        self.streams.close(self.peer_at(address))


class SimWires:
    """A virtual network of hosts that note; each listens at its own name."""

    def __init__(
        self,
        *names: str,
        seed: int = 1,
        link: LinkSettings = DEFAULT_LINK,
        max_queued_bytes: int | None = None,
    ) -> None:
        self.world = World(seed, keep_trace=True)
        limit = {} if max_queued_bytes is None else {"max_queued_bytes": max_queued_bytes}
        self.network: StreamNetwork[str, str] = StreamNetwork(self.world, link, **limit)
        self.hosts: dict[str, SimNoting] = {}
        for name in names:
            self.attach(name)

    def attach(self, name: str) -> None:
        host = SimNoting(self.world)
        host.streams = self.network.attach(name, host, name)
        self.hosts[name] = host
        taken: Streams[str] = host.streams  # it is what the protocol says
        assert taken.listen(name) == name

    def __getitem__(self, name: str) -> SimNoting:
        return self.hosts[name]

    def connect(self, *pairs: str) -> None:
        """Dial, "ab" meaning a to b, and wait until all is settled."""
        for pair in pairs:
            self.hosts[pair[0]].streams.dial(pair[1])
        self.run()

    def run(self, seconds: float = 10) -> None:
        self.world.run_for(int(seconds * 10**9))

    def pairs(self) -> list[str]:
        """The connections that both sides have, as `connect` takes them."""
        return sorted(
            here + there
            for here, host in self.hosts.items()
            for peer, there in host.there.items()
            if peer not in host.inbound and here in self.hosts[there].there.values()
        )


class TcpNoting(Noting[SocketAddress]):
    """A host with real connections; a test can wait for what it is told."""

    streams: TcpStreams

    def __init__(self, *, takes: bool = True) -> None:
        super().__init__()
        self.takes = takes  # whether it is through with bytes as soon as it has them
        self.weight: dict[int, int] = {}  # by peer, of all that came, as `taken` counts it
        self._changed = asyncio.Event()

    def received(self, peer: int, data: bytes) -> None:
        super().received(peer, data)
        weight = len(data) + CHUNK_BYTES
        self.weight[peer] = self.weight.get(peer, 0) + weight
        if self.takes:
            self.streams.taken(peer, weight)

    def note(self, line: str) -> None:
        super().note(line)
        self._changed.set()

    async def until(self, reached: Callable[[], object]) -> None:
        """Wait until something holds; it is asked each time that this host is told something."""
        async with asyncio.timeout(PATIENCE_S):
            while not reached():
                self._changed.clear()
                await self._changed.wait()

    async def until_has(self, data: bytes, peer: int = 1) -> None:
        """Wait until exactly this has come from a peer."""
        await self.until(lambda: len(self.came.get(peer, b"")) >= len(data))
        assert self.came[peer] == data

    async def until_ends(self, count: int = 1) -> list[str]:
        """Wait for so many ends and refusals; their reasons."""
        await self.until(lambda: len(self.reasons) >= count)
        return self.reasons


class TcpWires:
    """Hosts that note, each listening at a port of its own; use it in `async with`."""

    def __init__(self, *names: str, network: TcpNetwork | None = None) -> None:
        self.troubles: list[str] = []
        self._troubled = asyncio.Event()
        self.network = network or TcpNetwork(trouble=self._trouble)
        self.addresses: dict[str, SocketAddress] = {}
        self.hosts: dict[str, TcpNoting] = {}
        self._names = names

    async def __aenter__(self) -> Self:
        await self.network.__aenter__()
        for name in self._names:
            self.attach(name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.network.__aexit__(kind, error, trace)

    def attach(self, name: str, *, takes: bool = True) -> TcpNoting:
        host = TcpNoting(takes=takes)
        host.streams = self.network.attach(name, host)
        self.hosts[name] = host
        taken: Streams[SocketAddress] = host.streams  # it is what the protocol says
        self.addresses[name] = taken.listen(SocketAddress(LOOPBACK, 0))
        return host

    def _trouble(self, line: str) -> None:
        self.troubles.append(line)
        self._troubled.set()

    async def until_troubled(self, count: int) -> None:
        """Wait until so many troubles were told."""
        while len(self.troubles) < count:
            self._troubled.clear()
            await self._troubled.wait()

    def __getitem__(self, name: str) -> TcpNoting:
        return self.hosts[name]

    async def connect(self, *pairs: str) -> None:
        """Dial, "ab" meaning a to b, and wait until both know."""
        for pair in pairs:
            here, there = self.hosts[pair[0]], self.hosts[pair[1]]
            came_here, came_there = len(here.came), len(there.came)
            here.streams.dial(self.addresses[pair[1]])
            await here.until(lambda: len(here.came) > came_here)  # noqa: B023  used at once
            await there.until(lambda: len(there.came) > came_there)  # noqa: B023
