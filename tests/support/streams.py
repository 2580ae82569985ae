"""Users of connections that note what they are told, and check that they are told it in order."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from drystone.core.link import LinkSettings
from drystone.core.streams import Streams
from drystone.sim.streams import DEFAULT_LINK, HostStreams, StreamNetwork
from drystone.sim.world import World

Address = TypeVar("Address", bound=Hashable)


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
