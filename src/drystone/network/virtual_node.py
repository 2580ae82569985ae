"""One node of a network in virtual time: it hands the core what happens, and does what it says."""

from typing import Protocol

from drystone.chain.bases import FLUSH_BLOCKS, SharedCoins
from drystone.chain.chainstate import ChainState
from drystone.chain.coins import MOST_READ
from drystone.chain.importing import take_in_unrecorded
from drystone.chain.store import BlockStore, CoinStore
from drystone.chain.tree import BlockNode
from drystone.consensus.params import Params
from drystone.consensus.pow import block_work
from drystone.core.chance import Stream
from drystone.core.errors import UserError
from drystone.core.samplers import unit_exponential
from drystone.core.time import SECOND_NS
from drystone.mempool.chainview import ChainView
from drystone.mempool.dump import Dump
from drystone.mempool.pool import Mempool
from drystone.network.failing_store import Died
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
from drystone.sim.streams import HostStreams, StreamNetwork
from drystone.sim.world import World


class Around(Protocol):
    """What a node sees of its network. `VirtualNetwork` is one."""

    params: Params
    sharing: Sharing
    world: World
    links: StreamNetwork[str, NetAddress]

    def told(self, name: str, news: News) -> None:
        """A node has announced something."""

    def changed(self) -> None:
        """A node has started, or has gone down."""

    def solved(self, offer: Offer) -> Block:
        """The block on offer, searched."""


class VirtualNode:
    """One node of a virtual network. It is made by `VirtualNetwork.add_node`."""

    def __init__(
        self,
        network: Around,
        name: str,
        address: NetAddress,
        *,
        blocks: BlockStore,
        coins: CoinStore,
        settings: Settings,
        script_pubkey: bytes,
    ) -> None:
        self.name = name
        self.address = address
        self.script_pubkey = script_pubkey
        self.is_up = False
        self.node: Node
        self.miner = VirtualMiner(network, self)
        self._network = network
        self._world = network.world
        self._blocks = blocks
        self._coins = coins
        self._settings = settings
        self._streams: HostStreams[str, NetAddress]
        self._saved = Dump()  # the mempool, over a stop in good order
        self._starts = 0
        self._alarm = self._world.alarm(self._wake)
        self._replies = 0
        self.answers: dict[int, Reply] = {}
        self.start()

    # ------------------------------------------------------------------ coming and going

    def start(self) -> None:
        """Begin on what the stores hold. If they fail once more, it is not up afterwards."""
        try:
            self._start()
        except Died:
            self._world.record(self.name, "dies while it starts")

    def stop(self) -> None:
        """End in good order: everything is kept, the mempool too."""
        self._saved = self.node.mempool.dump()
        try:
            self.chain.close()
        except Died:
            self._world.record(self.name, "dies while it stops")
            self._saved = Dump()
            self.crash()
            return
        self._go_down()
        self._streams.stop()

    def _start(self) -> None:
        world, start = self._world, self._starts
        self._starts += 1

        def stream(purpose: str) -> Stream:
            return world.stream("node", self.name, start, purpose)

        params, sharing = self._network.params, self._network.sharing
        chain = ChainState(
            params,
            self._blocks,
            self._coins,
            findings=sharing.findings,
            flush_blocks=FLUSH_BLOCKS,
            coins_read=0 if isinstance(self._coins, SharedCoins) else MOST_READ,
        )
        for _ in take_in_unrecorded(chain, now=self._world.clock().unix_s):
            pass  # a block that a crash had left half taken in
        mempool = Mempool(params, scripts=sharing.scripts)
        saved, self._saved = self._saved, Dump()
        mempool.restore(saved, ChainView.at_tip(chain), self._world.clock().unix_s)
        self.node = Node(chain, mempool, stream, self._settings, sharing.wire)
        self._streams = self._network.links.attach(self.name, self, self.address)
        self._streams.listen(self.address)
        self.is_up = True
        self._network.changed()
        self.handle(Wake())
        self.order_mining()

    def crash(self) -> None:
        """Lose everything that no store has acknowledged."""
        self._go_down()
        self._streams.crash()

    def _go_down(self) -> None:
        self.is_up = False
        self._network.changed()
        self._alarm.set(None)
        self.miner.offer(None)

    # ------------------------------------------------------------------ events and actions

    def handle(self, event: Event) -> None:
        """Hand the core an event, and do what it says."""
        if not self.is_up:
            return
        try:
            actions = self.node.handle(event, self._world.clock())
        except Died:
            self._world.record(self.name, "dies while it writes")
            self.crash()
            return
        send = self._streams.send
        for action in actions:
            if type(action) is Send:
                send(action.peer, action.data)
            else:
                self._perform(action)

    def _wake(self) -> None:
        self.handle(Wake())

    def _perform(self, action: Action) -> None:
        if isinstance(action, Announce):
            self._network.told(self.name, action.news)
        elif isinstance(action, WakeAt):
            self._alarm.set(action.mono_ns)
        elif isinstance(action, Mine):
            self.miner.offer(action.offer)
        elif isinstance(action, Close):
            self._streams.close(action.peer)
        elif isinstance(action, Dial):
            self._streams.dial(action.address)
        elif isinstance(action, Reply):
            self.answers[action.id] = action

    def order_mining(self) -> None:
        """Have the core offer blocks if anybody is to search them."""
        is_mining = self.miner.hashes_per_s > 0
        self.handle(Command(Mining(self.script_pubkey if is_mining else None)))

    def submit(self, item: Block | Transaction) -> Reply:
        """Hand it a block or transaction, as its user. Raises UserError if it is down."""
        self._replies += 1
        self.handle(Submit(item, self._replies))
        if not self.is_up:
            raise UserError(f"{self.name} is down: restart it first")
        return self.answers.pop(self._replies)

    # ------------------------------------------------------------------ a core.streams.StreamUser

    def connected(self, peer: int, *, inbound: bool, address: NetAddress) -> None:
        """There is a connection."""
        self.handle(Connected(peer, inbound, address))

    def received(self, peer: int, data: bytes) -> None:
        """Bytes came in."""
        self.handle(Received(peer, data))

    def closed(self, peer: int, reason: str) -> None:
        """A connection is over."""
        self.handle(Closed(peer, reason))

    def refused(self, address: NetAddress, reason: str) -> None:
        """What was dialled did not become a connection."""
        self.handle(Refused(address, reason))

    def paused(self, peer: int) -> None:
        """Much is on its way to a peer."""
        self.handle(Paused(peer))

    def resumed(self, peer: int) -> None:
        """It is less now."""
        self.handle(Resumed(peer))

    # ------------------------------------------------------------------ looking

    @property
    def chain(self) -> ChainState:
        """Its chain."""
        return self.node.chain

    @property
    def tip(self) -> BlockNode:
        """Its chain's last block."""
        return self.node.chain.tip

    def is_connected_to(self, address: NetAddress) -> bool:
        """Whether it has dialled somebody there, and they have shaken hands."""
        return self.node.is_connected_to(address)

    @property
    def hashes_per_s(self) -> int:
        """Its miner's rate."""
        return self.miner.hashes_per_s

    def __repr__(self) -> str:
        return f"<VirtualNode {self.name} at {self.tip.height}>"


class VirtualMiner:
    """Finds blocks as often as a hash rate would, and searches only those that it finds.

    A unit exponential says how much luck the next block takes. It is spent at hash rate / expected
    hashes of the block that is being searched, and what is left is carried over when rate or block
    change: mining has no memory, so this is what would happen, whatever the targets of the tips.
    """

    def __init__(self, network: Around, owner: VirtualNode) -> None:
        self.hashes_per_s = 0
        self._network = network
        self._world = network.world
        self._owner = owner
        self._dice = network.world.stream("node", owner.name, "mining")
        self._left = unit_exponential(self._dice)  # in units of 2^-64
        self._offer: Offer | None = None
        self._expected = 1
        self._since_ns = 0  # spent up to here
        self._alarm = self._world.alarm(self._find)
        self._is_paused = False

    def offer(self, offer: Offer | None) -> None:
        """This is to be searched from now on."""
        self._spend()
        self._offer = offer
        if offer is not None:
            self._expected = block_work(offer.bits)
        self._plan()

    def set_rate(self, hashes_per_s: int) -> None:
        """So many hashes per second from now on."""
        self._spend()
        self.hashes_per_s = hashes_per_s
        self._plan()

    def pause(self, *, is_paused: bool) -> None:
        """Rest, or go on."""
        self._spend()
        self._is_paused = is_paused
        self._plan()

    @property
    def _is_busy(self) -> bool:
        return self._offer is not None and self.hashes_per_s > 0 and not self._is_paused

    def _spend(self) -> None:
        now_ns = self._world.now_ns
        if self._is_busy:
            spent = (now_ns - self._since_ns) * self.hashes_per_s << 64
            self._left = max(0, self._left - spent // (self._expected * SECOND_NS))
        self._since_ns = now_ns

    def _plan(self) -> None:
        """Find the block when what is left will be spent."""
        if not self._is_busy:
            self._alarm.set(None)
            return
        wait_ns = -(-self._left * self._expected * SECOND_NS // (self.hashes_per_s << 64))
        self._alarm.set(self._world.now_ns + wait_ns)

    def _find(self) -> None:
        self._left = unit_exponential(self._dice)
        self._since_ns = self._world.now_ns
        offer = self._offer
        assert offer is not None
        self._plan()
        self._owner.handle(Found(self._network.solved(offer)))
