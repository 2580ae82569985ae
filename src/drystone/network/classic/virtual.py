"""The tutorial's network in virtual time: the same cores, minutes in milliseconds."""

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial

from drystone.classic.events import (
    Action,
    Announcement,
    Copied,
    Created,
    Event,
    Received,
    Search,
    Searched,
    Wake,
    line_of,
    notice_of,
)
from drystone.classic.node import LISTEN_NS, NONCES_PER_TURN, Node, State
from drystone.classic.pow import search
from drystone.core.time import SECOND_NS
from drystone.network.classic.config import DEFAULT_PORTS
from drystone.network.classic.seat import Observe, perform
from drystone.sim.datagrams import DatagramLink, DatagramNetwork
from drystone.sim.host import Host
from drystone.sim.world import World

HASH_RATE = 200_000  # nonces per second that a simulated node tries within its turns


# Headers commit to no reward, so nodes whose second is the same search the very same headers.
_search_once = lru_cache(maxsize=1 << 14)(search)


class _VirtualSeat:
    """One node of a virtual network."""

    def __init__(self, network: "VirtualClassic", node: Node) -> None:
        self._network = network
        self._port = node.port
        self.host: Host[Event, Action] = Host(
            network.world, node, partial(perform, self), wake=Wake()
        )

    def send(self, port: int, data: bytes) -> None:
        self._network.links.send(self._port, port, data)

    def wake_at(self, mono_ns: int) -> None:
        self.host.wake_at(mono_ns)

    def search(self, wanted: Search) -> None:
        """Really search, at once; the answer comes when a node of our hash rate would have it."""
        mines = self._port in self._network.mining
        nonce = _search_once(wanted.header, wanted.count) if mines else None
        tried = wanted.count if nonce is None else nonce - wanted.header.nonce + 1
        duration_ns = tried * SECOND_NS // HASH_RATE
        self._network.world.after(duration_ns, lambda: self.host.post(Searched(nonce)))

    def tell(self, told: Announcement) -> None:
        self._network.world.record(self._port, _traced(told))
        if self._network.observe is not None:
            self._network.observe(self._port, told, self._network.world.clock())


class VirtualClassic:
    """Classic nodes on simulated links: a function of its arguments, byte for byte.

    seed: of all chance. ports: of the nodes. starts_s: virtual second at which each begins,
    default one after the other as in the tutorial's three terminals. link: all links, unless
    `links.set_link` says otherwise. observe: is told everything that the nodes announce.

    mining: the ports of those nodes that really search; the others' turns find nothing. It can
    be changed at any time.
    """

    def __init__(
        self,
        seed: int,
        ports: Iterable[int] = DEFAULT_PORTS,
        *,
        starts_s: Mapping[int, float] | None = None,
        link: DatagramLink | None = None,
        listen_ns: int = LISTEN_NS,
        nonces: int = NONCES_PER_TURN,
        observe: Observe | None = None,
        keep_trace: bool = False,
    ) -> None:
        ports = tuple(ports)
        self.world = World(seed, keep_trace=keep_trace)
        self.links: DatagramNetwork[int] = DatagramNetwork(self.world, link)
        self.observe = observe
        self.mining = set(ports)
        self.nodes = {p: Node(p, ports, listen_ns=listen_ns, nonces=nonces) for p in ports}
        for index, (port, node) in enumerate(self.nodes.items()):
            start_s = index if starts_s is None else starts_s[port]
            self._begin(node, int(start_s * SECOND_NS))

    def _begin(self, node: Node, start_ns: int) -> None:
        seat = _VirtualSeat(self, node)

        def begin() -> None:
            self.links.attach(node.port, lambda data: seat.host.post(Received(data)))
            seat.host.post(Wake())

        self.world.at(start_ns, begin)

    def run_for(self, seconds: float) -> None:
        """Let virtual seconds pass."""
        self.world.run_for(int(seconds * SECOND_NS))

    def run_until_height(self, height: int, *, limit_s: float = 3600) -> None:
        """Run until some node's chain is that high. Raises TimeoutError after limit_s."""
        self.world.run_until(
            lambda: any(node.chain.height >= height for node in self.nodes.values()),
            limit_ns=int(limit_s * SECOND_NS),
        )

    def settle(self, *, limit_s: float = 600) -> None:
        """Let the network come to agreement: stop mining, wait, then mine one decisive block.

        The node with the longest chain mines it. Links must carry it: heal cuts and loss first.
        Raises TimeoutError if the nodes don't agree within limit_s.
        """
        mining, self.mining = self.mining, set()
        self.run_for(10)  # longer than any sleep at the tutorial's pace
        best = max(self.nodes.values(), key=lambda node: node.chain.height)
        before = best.chain.height
        limit_ns = int(limit_s * SECOND_NS)
        self.mining = {best.port}
        self.world.run_until(lambda: best.chain.height > before, limit_ns=limit_ns)
        self.mining = set()
        self.world.run_until(self.agree, limit_ns=limit_ns)
        self.mining = mining

    def agree(self) -> bool:
        """Whether all nodes hold the same chain, byte for byte."""
        return len({node.chain.data for node in self.nodes.values()}) == 1

    def states(self) -> dict[int, State]:
        """Where each node is in its turn."""
        return {port: node.state for port, node in self.nodes.items()}


def _traced(told: Announcement) -> str:
    """An announcement for the trace. A tip's bytes, not its hash: twins share the hash."""
    words = [type(told).__name__, line_of(told) or "", notice_of(told) or ""]
    if isinstance(told, Created | Copied):
        words.append(told.chain.blocks[-1].hex())
    return " ".join(filter(None, words))
