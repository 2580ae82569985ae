"""Full nodes for real, in one process: the same cores on the system's clock, over TCP.

```
async with LiveNetwork() as network:
    for name in ("n0", "n1", "n2"):
        await network.add_node(name)
    network.connect("n0", "n1")
    ...
    await network.wait_until_synced()
```
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Final, Self

from drystone.chain.chainstate import ChainState
from drystone.consensus.chains import LOCAL
from drystone.consensus.params import Params
from drystone.core.chance import Stream
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.streams import CHUNK_BYTES
from drystone.core.time import Clock, Time
from drystone.drivers.clock import system_clock
from drystone.drivers.host import LiveHost
from drystone.drivers.miner import Miner
from drystone.drivers.sockets import SocketAddress
from drystone.drivers.tcp import TcpNetwork
from drystone.mempool.pool import Mempool
from drystone.mining.accounts import account
from drystone.mining.budget import Budget
from drystone.mining.search import block_from_found, job_from_template, solve
from drystone.network.virtual import opening_stores
from drystone.node.events import (
    Action,
    Announce,
    Close,
    Closed,
    Command,
    Connect,
    Connected,
    Dial,
    Disconnect,
    Event,
    Found,
    Mine,
    Mining,
    News,
    Offer,
    Order,
    Paused,
    Received,
    Refused,
    Reply,
    Resumed,
    Send,
    Submit,
    Wake,
    WakeAt,
)
from drystone.node.node import Node
from drystone.node.settings import Settings, default_settings
from drystone.p2p.netaddress import NetAddress
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import Transaction

LOOPBACK: Final = SocketAddress("127.0.0.1", 0)  # at a port that the system chooses
REFRESH_S: Final = 1.0  # a block that takes longer to find is given a new time
DEFAULT_LIMIT_S: Final = 60.0
NEVER_NS: Final = 1 << 62

Watch = Callable[[str, News, Time], None]
"""Is told what a node announces, and when."""


class LiveNode:
    """One node with its connections and its miner. It is made by `LiveNetwork.add_node`."""

    def __init__(
        self,
        tcp: TcpNetwork,
        name: str,
        chain: ChainState,
        *,
        streams: Callable[[str], Stream],
        settings: Settings,
        script_pubkey: bytes,
        told: Callable[[News], None],
        clock: Clock = system_clock,
    ) -> None:
        self.name = name
        self.script_pubkey = script_pubkey
        self.node = Node(chain, Mempool(chain.params), streams, settings)
        self.address = LOOPBACK
        self._told = told
        self._clock = clock
        self._streams = tcp.attach(name, self)
        self._host: LiveHost[Event, Action] = LiveHost(self.node, self._perform, Wake(), clock)
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._asked = 0
        self._offer: Offer | None = None
        self._offered = asyncio.Event()
        self._budget_dice = streams("budget")
        self._miner: Miner | None = None

    def listen(self, address: SocketAddress = LOOPBACK) -> SocketAddress:
        """Take connections from now on; the address really taken. Raises UserError."""
        self.address = self._streams.listen(address)
        return self.address

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._host.run())
                tasks.create_task(self._search())
        finally:
            self._streams.stop()
            if self._miner is not None:
                self._miner.close()
            self.node.chain.close()

    # ------------------------------------------------------------------ what the user wants

    async def submit(self, item: Block | Transaction) -> Reply:
        """Hand it a block or transaction; what became of it."""
        return await self._ask(partial(Submit, item))

    async def order(self, order: Order) -> Reply:
        """Hand it an order."""
        return await self._ask(partial(Command, order))

    def command(self, order: Order) -> None:
        """The same, without waiting."""
        self._host.put(Command(order))

    async def _ask(self, event: Callable[[int], Event]) -> Reply:
        self._asked += 1
        number = self._asked
        answer = asyncio.get_running_loop().create_future()
        self._replies[number] = answer
        try:
            await self._host.post(event(number))
            reply: Reply = await answer
            return reply
        finally:
            self._replies.pop(number, None)

    def mine_now(self) -> Block:
        """Find a block on the tip, here and now; for targets that take moments."""
        template = self.node.miner.template(self.script_pubkey, self._clock().unix_s)
        block = solve(template)
        assert block is not None
        return block

    def set_hashrate(self, hashes_per_s: int) -> None:
        """How many hashes a second its miner does from now on, in a thread of its own."""
        if self._miner is None and hashes_per_s > 0:
            self._miner = Miner(Budget(hashes_per_s, self._budget_dice))
        elif self._miner is not None:
            self._miner.set_hashrate(hashes_per_s)
        self.command(Mining(self.script_pubkey if hashes_per_s > 0 else None))

    # ------------------------------------------------------------------ mining

    async def _search(self) -> None:
        """Search what is on offer, and something newer as soon as there is."""
        extranonce = 0
        while True:
            self._offered.clear()
            offer, miner = self._offer, self._miner
            if offer is None or miner is None:
                await self._offered.wait()
                continue
            template = offer.template(self._clock().unix_s)
            future = asyncio.wrap_future(
                miner.start(job_from_template(template, extranonce, ranges=1))
            )
            offered = asyncio.ensure_future(self._offered.wait())
            try:
                await asyncio.wait(
                    (future, offered), timeout=REFRESH_S, return_when=asyncio.FIRST_COMPLETED
                )
                if future.done() and not future.cancelled():
                    found = future.result()
                    if found is not None and not offered.done():
                        self._host.put(Found(block_from_found(template, found, extranonce)))
                        # The next offer comes with the new tip; without one, it was refused.
                        await asyncio.wait((offered,), timeout=REFRESH_S)
            finally:
                future.cancel()
                offered.cancel()
            extranonce += 1

    # ------------------------------------------------------------------ what the core wants

    def _perform(self, action: Action) -> None:
        if isinstance(action, Send):
            self._streams.send(action.peer, action.data)
        elif isinstance(action, Announce):
            self._told(action.news)
        elif isinstance(action, WakeAt):
            self._host.wake_at(NEVER_NS if action.mono_ns is None else action.mono_ns)
        elif isinstance(action, Close):
            self._streams.close(action.peer)
        elif isinstance(action, Dial):
            self._streams.dial(SocketAddress(action.address.host, action.address.port))
        elif isinstance(action, Mine):
            self._offer = action.offer
            self._offered.set()
        else:
            answer = self._replies.get(action.id)
            if answer is not None and not answer.done():
                answer.set_result(action)

    # ------------------------------------------------------------------ a core.streams.StreamUser

    def connected(self, peer: int, *, inbound: bool, address: SocketAddress) -> None:
        """There is a connection."""
        self._host.put(Connected(peer, inbound, net_address(address)))

    def received(self, peer: int, data: bytes) -> None:
        """Bytes came in."""
        done = partial(self._streams.taken, peer, len(data) + CHUNK_BYTES)
        self._host.put(Received(peer, data), done)

    def closed(self, peer: int, reason: str) -> None:
        """A connection is over."""
        self._host.put(Closed(peer, reason))

    def refused(self, address: SocketAddress, reason: str) -> None:
        """What was dialled did not become a connection."""
        self._host.put(Refused(net_address(address), reason))

    def paused(self, peer: int) -> None:
        """Much waits for a peer."""
        self._host.put_first(Paused(peer))

    def resumed(self, peer: int) -> None:
        """It is less now."""
        self._host.put_first(Resumed(peer))


class LiveNetwork:
    """Full nodes over TCP on this machine. Use it in `async with`: at the end all are stopped."""

    def __init__(
        self,
        *,
        params: Params = LOCAL,
        seed: int = 0,
        link: LinkSettings | None = None,
        settings: Settings | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.params = params
        self.nodes: dict[str, LiveNode] = {}
        self._seed = seed
        self._settings = settings or default_settings(params)
        self._watch = watch
        self._tcp = TcpNetwork(link, seed=seed)
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._tcp.__aenter__()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._running:
            task.cancel()
        try:
            await self._tasks.__aexit__(kind, error, trace)
        finally:
            await self._tcp.__aexit__(kind, error, trace)

    async def add_node(
        self,
        name: str | None = None,
        *,
        listen: SocketAddress = LOOPBACK,
        chain: ChainState | None = None,
    ) -> LiveNode:
        """A node that knows nobody yet. chain: what it begins with; in memory by default."""
        name = name or f"n{len(self.nodes)}"
        if name in self.nodes:
            raise UserError(f"there is a node {name} already")
        node = LiveNode(
            self._tcp,
            name,
            chain or ChainState(self.params, *opening_stores(self.params)),
            streams=partial(Stream, self._seed, "node", name),
            settings=self._settings,
            script_pubkey=account(name).script_pubkey,
            told=partial(self._news, name),
        )
        node.listen(listen)
        self.nodes[name] = node
        self._running.append(self._tasks.create_task(node.run()))
        return node

    def _news(self, name: str, news: News) -> None:
        self._changed.set()
        if self._watch is not None:
            self._watch(name, news, system_clock())

    # ------------------------------------------------------------------ verbs

    def connect(self, one: str, other: str) -> None:
        """Have one node dial another, and again whenever the connection is lost."""
        self[one].command(Connect(net_address(self[other].address)))

    def disconnect(self, one: str, other: str) -> None:
        """End the connection that one node has dialled to another."""
        self[one].command(Disconnect(net_address(self[other].address)))

    def partition(self, *groups: Iterable[str], silent: bool = False) -> None:
        """Cut the network, as `VirtualNetwork.partition` does."""
        groups = tuple(map(tuple, groups))
        for name in (name for group in groups for name in group):
            self[name]  # raises if there is none
        self._tcp.partition(*groups, silent=silent)

    def heal(self) -> None:
        """Undo the cut."""
        self._tcp.heal()

    def set_link(self, one: str, other: str, settings: LinkSettings) -> None:
        """How the link between two nodes is, both ways."""
        self._tcp.set_link(one, other, settings)
        self._tcp.set_link(other, one, settings)

    async def mine(self, name: str, count: int = 1) -> list[BlockHash]:
        """Have a node find blocks now; their hashes. Raises UserError if one is refused."""
        node, found = self[name], []
        for _ in range(count):
            block = node.mine_now()
            reply = await node.submit(block)
            if reply.error is not None:
                raise UserError(f"the mined block is refused: {reply.error}")
            found.append(block.hash)
        return found

    def set_hashrate(self, name: str, hashes_per_s: int) -> None:
        """How many hashes a node does in a second from now on."""
        self[name].set_hashrate(hashes_per_s)

    # ------------------------------------------------------------------ waiting and looking

    async def wait_until(
        self, reached: Callable[[], bool], *, limit_s: float = DEFAULT_LIMIT_S
    ) -> None:
        """Wait until something is the case, looking whenever a node has news.

        Raises TimeoutError.
        """
        async with asyncio.timeout(limit_s):
            while not reached():
                self._changed.clear()
                await self._changed.wait()

    async def wait_until_synced(
        self, names: Iterable[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
    ) -> BlockHash:
        """Wait until nodes are on one tip, all by default; the tip. Raises TimeoutError."""
        nodes = [self[name] for name in (self.nodes if names is None else names)]
        await self.wait_until(
            lambda: len({node.node.chain.tip.hash for node in nodes}) == 1, limit_s=limit_s
        )
        return nodes[0].node.chain.tip.hash

    def tips(self) -> dict[str, BlockHash]:
        """Each node's tip."""
        return {name: node.node.chain.tip.hash for name, node in self.nodes.items()}

    def __getitem__(self, name: str) -> LiveNode:
        node = self.nodes.get(name)
        if node is None:
            raise UserError(f"there is no node {name}: there are {', '.join(self.nodes) or 'none'}")
        return node

    def __iter__(self) -> Iterator[LiveNode]:
        return iter(self.nodes.values())


def net_address(address: SocketAddress) -> NetAddress:
    """The same as the protocol has it."""
    return NetAddress.from_text(str(address))
