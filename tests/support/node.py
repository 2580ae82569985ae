"""A node on a bench: the test is its clock, its network and all of its peers."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from drystone.chain.chainstate import ChainState
from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.consensus.params import Params
from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS, Time
from drystone.mempool.policy import Policy
from drystone.mempool.pool import Mempool
from drystone.node.events import (
    Action,
    Announce,
    Close,
    Closed,
    Connected,
    Dial,
    Event,
    News,
    Received,
    Reply,
    Send,
    Submit,
    Wake,
    WakeAt,
)
from drystone.node.node import Node
from drystone.node.settings import Settings, default_settings
from drystone.p2p.framing import Frame, V1Transport
from drystone.p2p.handshake import Permissions
from drystone.p2p.messages import (
    Message,
    Ping,
    Pong,
    SendAddrV2,
    SendCmpct,
    Verack,
    Version,
    WtxidRelay,
    decode_message,
)
from drystone.p2p.netaddress import NetAddress
from drystone.p2p.protocol import Services
from drystone.primitives.block import Block
from drystone.primitives.transaction import Transaction
from tests.support.blocks import REGTEST

Some = TypeVar("Some", bound=Message)
Told = TypeVar("Told", bound=News)

NETWORK_NODE = Services.NETWORK | Services.WITNESS


class Bench:
    """One node, and all that it has said and done."""

    def __init__(
        self,
        params: Params = REGTEST,
        *,
        blocks: Sequence[Block] = (),
        settings: Settings | None = None,
        unix_s: int | None = None,
        policy: Policy | None = None,
    ) -> None:
        chain = ChainState(params, MemoryBlocks(), MemoryCoins())
        last = blocks[-1] if blocks else params.genesis
        self.start_s = last.header.time + 60 if unix_s is None else unix_s
        self.now_ns = 0
        for block in blocks:
            assert chain.submit(block, now=self.start_s).error is None
        self.chain = chain
        self.mempool = Mempool(params, policy or Policy())
        self.node = Node(
            chain,
            self.mempool,
            lambda purpose: Stream(0, purpose),
            settings or default_settings(params),
        )
        self.peers: dict[int, Talker] = {}
        self.actions: list[Action] = []
        self.wake_at: int | None = None
        self.handle(Wake())

    @property
    def now(self) -> Time:
        """On the test's clock."""
        return Time(self.now_ns, self.start_s + self.now_ns // SECOND_NS)

    def handle(self, event: Event) -> list[Action]:
        """One turn of the node; what it sends is handed to its peers."""
        actions = self.node.handle(event, self.now)
        for action in actions:
            if isinstance(action, WakeAt):
                self.wake_at = action.mono_ns
            elif isinstance(action, Send):
                assert self.peers[action.peer].closed is None
                self.peers[action.peer].hear(action.data)
            elif isinstance(action, Close):
                self.peers[action.peer].closed = action.reason
        self.actions += actions
        return actions

    def pass_(self, seconds: float) -> None:
        """Let time pass, and wake the node whenever it wants to be woken. Pings are answered."""
        end_ns = self.now_ns + round(seconds * SECOND_NS)
        turns = 0
        while self.wake_at is not None and self.wake_at <= end_ns:
            self.now_ns = max(self.now_ns, self.wake_at)
            self.wake_at = None
            self.handle(Wake())
            for peer in self.peers.values():
                for ping in peer.take(Ping):
                    peer.send(Pong(ping.nonce))
            turns += 1
            assert turns < 10_000, "it does not rest"
        self.now_ns = end_ns

    def submit(self, item: Block | Transaction) -> Reply:
        """As the node's user."""
        actions = self.handle(Submit(item, 1))
        (reply,) = [action for action in actions if isinstance(action, Reply)]
        return reply

    def news(self, kind: type[Told]) -> list[Told]:
        """All of one kind that were told so far."""
        told = [action.news for action in self.actions if isinstance(action, Announce)]
        return [news for news in told if isinstance(news, kind)]

    def dialled(self) -> list[NetAddress]:
        """All addresses so far."""
        return [action.address for action in self.actions if isinstance(action, Dial)]

    def peer(self, **what: object) -> "Talker":
        """Somebody who dials the node, or is dialled, and shakes hands."""
        peer = Talker(self, len(self.peers) + 1, **what)  # type: ignore[arg-type]
        peer.shake_hands()
        return peer


class Talker:
    """A peer of a node under test. What it hears waits in `heard` until it is taken."""

    def __init__(
        self,
        bench: Bench,
        number: int,
        *,
        inbound: bool = True,
        address: NetAddress | None = None,
        services: int = NETWORK_NODE,
        wtxid_relay: bool = True,
        compact: bool = True,
        relay: bool = True,
        permissions: Permissions = Permissions.NONE,
        version: int = 70016,
    ) -> None:
        self.bench = bench
        self.number = number
        self.closed: str | None = None
        self.heard: list[Message] = []
        self._transport = V1Transport(bench.chain.params.magic)
        self._version = Version(
            version=version, services=int(services), nonce=number + 1000, relay=relay
        )
        self._wtxid_relay = wtxid_relay
        self._compact = compact
        bench.peers[number] = self
        if version < 70016:
            self._wtxid_relay = False
        address = address or NetAddress.from_text(f"10.9.{number >> 8}.{number & 255}:5000")
        bench.handle(Connected(number, inbound, address, permissions))

    def shake_hands(self) -> None:
        """The whole of it, pings included."""
        self.send(self._version)
        if self._wtxid_relay:
            self.send(WtxidRelay())
        self.send(SendAddrV2())
        self.send(Verack())
        if self._compact:
            self.send(SendCmpct(high_bandwidth=False))

    def shake_hands_plainly(self) -> None:
        """As old software does."""
        self.send(self._version)
        self.send(Verack())

    def send(self, *messages: Message) -> None:
        """Say something, all of it in one piece."""
        frames = [self._transport.frame(one.command, one.encode()) for one in messages]
        self.send_bytes(b"".join(frames))

    def send_payload(self, command: str, payload: bytes) -> None:
        """Say something that may be no message."""
        self.send_bytes(self._transport.frame(command, payload))

    def send_bytes(self, data: bytes) -> None:
        """Say anything."""
        if self.closed is None:
            self.bench.handle(Received(self.number, data))

    def hear(self, data: bytes) -> None:
        """Bytes from the node."""
        for frame in self._transport.receive(data):
            assert isinstance(frame, Frame)
            message = decode_message(frame.command, frame.payload)
            self.heard.append(message)

    def hang_up(self) -> None:
        """End the connection."""
        self.closed = "hung up"
        self.bench.handle(Closed(self.number))

    def left(self) -> str:
        """Why the node has ended the connection; nothing as long as it has not."""
        return self.closed or ""

    def take(self, kind: type[Some]) -> list[Some]:
        """All of one kind that was heard and not taken yet."""
        taken = [message for message in self.heard if isinstance(message, kind)]
        self.heard = [message for message in self.heard if not isinstance(message, kind)]
        return taken

    def take_one(self, kind: type[Some]) -> Some:
        """The only one of its kind."""
        (one,) = self.take(kind)
        return one

    def sync(self) -> None:
        """Wait until all that was said is wholly processed: a ping is answered after it."""
        self.heard = [m for m in self.heard if not isinstance(m, Pong)]
        self.send(Ping(77))
        assert self.closed is not None or Pong(77) in self.heard

    def forget(self) -> None:
        """All that was heard; pings are answered."""
        for ping in self.take(Ping):
            self.send(Pong(ping.nonce))
        self.heard.clear()

    def __iter__(self) -> Iterator[Message]:
        return iter(self.heard)
