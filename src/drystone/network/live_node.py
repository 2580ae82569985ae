"""One full node for real: the core on a clock, over TCP, with a miner beside it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from drystone.chain.chainstate import ChainState
from drystone.chain.store import StoreError
from drystone.chain.tree import BlockNode
from drystone.consensus.pow import block_work
from drystone.core.chance import Stream
from drystone.core.errors import UserError
from drystone.core.streams import CHUNK_BYTES
from drystone.core.time import Clock
from drystone.drivers.host import LiveHost
from drystone.drivers.mining_thread import MiningThread, SharedMiner
from drystone.drivers.sockets import SocketAddress
from drystone.drivers.tcp import TcpNetwork, TcpStreams
from drystone.kernel import Cancel
from drystone.mempool.chainview import ChainView
from drystone.mempool.pool import Mempool
from drystone.mining.budget import Budget
from drystone.mining.search import block_from_found, job_from_template, solve
from drystone.mining.template import Template
from drystone.network.homes import Home
from drystone.node.events import (
    Action,
    Announce,
    Close,
    Closed,
    Command,
    Connected,
    Dial,
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
from drystone.node.settings import Settings
from drystone.node.sharing import Sharing
from drystone.p2p.netaddress import NetAddress
from drystone.primitives.block import Block
from drystone.primitives.transaction import Transaction

REFRESH_S: Final = 1.0  # a block that takes longer to find is given a new time
NEVER_NS: Final = 1 << 62
AT_ONCE_HASHES: Final = 1 << 10  # a search that is over in a millisecond: no thread is needed


class LiveNode:
    """One node with its connections and its miner. It is made by `AsyncNetwork.add_node`.

    listen: where it takes connections; with port 0 the system chooses, and a node that comes back
    takes the same again. streams: of chance, by the number of the start and by purpose. told: hears
    what the node announces. failed: hears of a store that can't go on; the node has stopped then.
    mining: where its blocks are searched, beside those of other nodes.
    """

    def __init__(
        self,
        tcp: TcpNetwork,
        name: str,
        home: Home,
        *,
        listen: SocketAddress,
        streams: Callable[..., Stream],
        settings: Settings,
        sharing: Sharing,
        script_pubkey: bytes,
        told: Callable[[News], None],
        failed: Callable[[StoreError], None],
        mining: MiningThread,
        clock: Clock,
    ) -> None:
        self.name = name
        self.address = listen
        self.script_pubkey = script_pubkey
        self.hashes_per_s = 0
        self.is_up = False
        self.node: Node
        self._tcp = tcp
        self._home = home
        self._streams_of_chance = streams
        self._settings = settings
        self._sharing = sharing
        self._told = told
        self._failed = failed
        self._clock = clock
        self._starts = 0
        self._streams: TcpStreams
        self._host: LiveHost[Event, Action]
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._asked = 0
        self._offer: Offer | None = None
        self._is_offer_new = False
        self._offered = asyncio.Event()
        self._mining = mining
        self._miner: SharedMiner | None = None
        self._is_paused = False
        self._is_killed = False

    # ------------------------------------------------------------------ coming and going

    def start(self) -> None:
        """Begin on what the home has, and listen. `run` serves from then on.

        Raises StoreError, UserError.
        """
        streams = partial(self._streams_of_chance, self._starts)
        chain, saved = self._home.open()
        try:
            self._starts += 1
            chain.findings = self._sharing.findings
            mempool = Mempool(chain.params, scripts=self._sharing.scripts)
            mempool.restore(saved, ChainView.at_tip(chain), self._clock().unix_s)
            self.node = Node(chain, mempool, streams, self._settings, self._sharing.wire)
            self._host = LiveHost(self.node, self._perform, Wake(), self._clock)
            self._streams = self._tcp.attach(self.name, self)
            self.address = self._streams.listen(self.address)
        except BaseException:
            self._home.crash()
            raise
        self._is_killed = False
        self.is_up = True
        self._order_mining()

    async def run(self) -> None:
        """Serve until cancelled; then everything is kept, unless the node is to be killed."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._host.run())
                tasks.create_task(self._search())
        except* StoreError as group:
            self._is_killed = True  # what was acknowledged is there, and no more can be written
            self._go_down()
            self._failed(_first_of(group))
        finally:
            self._go_down()

    def end(self) -> None:
        """Make sure that it has gone down, once its task is over.

        One that was cancelled at once has not even begun, and has tidied nothing up.
        """
        self._go_down()

    def kill(self) -> None:
        """Have `run`, which is to be cancelled next, end as a killed process does."""
        self._is_killed = True

    def _go_down(self) -> None:
        if not self.is_up:
            return
        self.is_up = False
        for answer in self._replies.values():
            if not answer.done():
                answer.set_exception(UserError(f"{self.name} has stopped"))
        self._offer = None
        if self._miner is not None:
            self._miner.cancel()
            self._miner = None
        if self._is_killed:
            self._streams.crash()
            self._home.crash()
        else:
            self._streams.stop()
            try:
                self._home.close(self.node.mempool.dump())
            except StoreError as error:
                self._failed(error)

    def clock_changed(self) -> None:
        """The clock was set."""
        if self.is_up:
            self._host.clock_changed()

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

    async def find_block(self, script_pubkey: bytes | None = None) -> Block:
        """Find a block on the tip now, at full speed; for targets that take moments.

        script_pubkey: whom it pays; its own by default.
        """
        template = self.node.miner.template(
            script_pubkey or self.script_pubkey, self._clock().unix_s
        )
        if block_work(template.bits) <= AT_ONCE_HASHES:
            block = solve(template)
        else:
            cancel = Cancel()
            try:
                block = await asyncio.to_thread(solve, template, cancel=cancel)
            finally:
                cancel.set()
        assert block is not None
        return block

    def set_hashrate(self, hashes_per_s: int) -> None:
        """How many hashes a second its miner does from now on."""
        self.hashes_per_s = hashes_per_s
        if self.is_up:
            self._order_mining()

    def pause_mining(self, *, is_paused: bool) -> None:
        """Rest, or go on."""
        self._is_paused = is_paused
        if self.is_up:
            self._order_mining()

    def _order_mining(self) -> None:
        rate = 0 if self._is_paused else self.hashes_per_s
        if self._miner is None and rate:
            dice = self._streams_of_chance(self._starts, "budget")
            self._miner = self._mining.miner(Budget(rate, dice))
        elif self._miner is not None:
            self._miner.set_hashrate(rate)
        self.command(Mining(self.script_pubkey if rate else None))

    # ------------------------------------------------------------------ mining

    async def _search(self) -> None:
        """Search what is on offer, and something newer as soon as there is."""
        template: Template | None = None
        while True:
            self._offered.clear()
            offer, miner = self._offer, self._miner
            if offer is None or miner is None:
                await self._offered.wait()
                continue
            now_s = self._clock().unix_s
            if template is None or self._is_offer_new:
                self._is_offer_new = False
                template = offer.template(now_s)
            else:
                template = template.at(max(now_s, template.min_time))
            future = asyncio.wrap_future(miner.start(job_from_template(template, ranges=1)))
            offered = asyncio.ensure_future(self._offered.wait())
            try:
                await asyncio.wait(
                    (future, offered), timeout=REFRESH_S, return_when=asyncio.FIRST_COMPLETED
                )
                if future.done() and not future.cancelled():
                    found = future.result()
                    if found is not None and not offered.done():
                        self._host.put(Found(block_from_found(template, found)))
                        # The next offer comes with the new tip; without one, it was refused.
                        await asyncio.wait((offered,), timeout=REFRESH_S)
            finally:
                future.cancel()
                offered.cancel()

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
            self._is_offer_new = True
            self._offered.set()
        else:
            answer = self._replies.get(action.id)
            if answer is not None and not answer.done():
                answer.set_result(action)

    # ------------------------------------------------------------------ a core.streams.StreamUser

    def connected(self, peer: int, *, inbound: bool, address: SocketAddress) -> None:
        """There is a connection."""
        self._host.put(Connected(peer, inbound, net_address(address)), source=peer)

    def received(self, peer: int, data: bytes) -> None:
        """Bytes came in."""
        done = partial(self._streams.taken, peer, len(data) + CHUNK_BYTES)
        self._host.put(Received(peer, data), done, source=peer)

    def closed(self, peer: int, reason: str) -> None:
        """A connection is over."""
        self._host.put(Closed(peer, reason), source=peer)

    def refused(self, address: SocketAddress, reason: str) -> None:
        """What was dialled did not become a connection."""
        self._host.put(Refused(net_address(address), reason))

    def paused(self, peer: int) -> None:
        """Much waits for a peer."""
        self._host.put_first(Paused(peer))

    def resumed(self, peer: int) -> None:
        """It is less now."""
        self._host.put_first(Resumed(peer))

    # ------------------------------------------------------------------ looking

    @property
    def chain(self) -> ChainState:
        """Its chain; of a node that is down, as it was left."""
        return self.node.chain

    @property
    def tip(self) -> BlockNode:
        """Its chain's last block."""
        return self.node.chain.tip

    @property
    def inbound(self) -> int:
        """How many have dialled it and have shaken hands."""
        return self.node.inbound

    def is_connected_to(self, address: SocketAddress) -> bool:
        """Whether it has dialled somebody there, and they have shaken hands."""
        return self.node.is_connected_to(net_address(address))

    def __repr__(self) -> str:
        return f"<LiveNode {self.name} at {self.tip.height}>"


def _first_of(group: BaseExceptionGroup[StoreError]) -> StoreError:
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


def net_address(address: SocketAddress) -> NetAddress:
    """The same as the protocol has it."""
    return NetAddress.from_text(str(address))
