"""A full node behind one door: `handle(event, now)` says what is to be done.

Follow a block: its bytes come in as `Received`, `p2p/peer.py` makes a message of them, `_deliver`
hands that to `blocks.py`, which asks `chain/chainstate.py`. If the tip has moved, mempool and miner
follow in `_follow`, and at the end of the turn the peers are told.

A turn is finished before the next one begins, and each peer's messages are taken in order: so when
a ping is answered, all that came before it is done, and all that this caused is on its way.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import TipChange
from drystone.core.chance import Stream
from drystone.core.time import Time, earliest
from drystone.mempool.pool import Mempool
from drystone.node.addresses import Addresses
from drystone.node.alarms import Alarms
from drystone.node.blocks import Blocks
from drystone.node.connection import CHUNK_BYTES, MAX_HELD_BYTES, NEVER_NS, Connection
from drystone.node.dialling import Dialling
from drystone.node.events import (
    Action,
    Close,
    Closed,
    Command,
    Connect,
    Connected,
    Dial,
    Disconnect,
    Event,
    Found,
    Invalidate,
    Mining,
    Paused,
    PeerReady,
    Prefer,
    Received,
    Reconsider,
    Refused,
    Reply,
    Resumed,
    Submit,
    Wake,
    WakeAt,
)
from drystone.node.headers import HeaderTip
from drystone.node.initial_download import InitialDownload
from drystone.node.miner import Miner
from drystone.node.serving import Serving
from drystone.node.settings import Settings, default_settings
from drystone.node.sharing import Wire
from drystone.node.transactions import Transactions
from drystone.node.turn import Turn
from drystone.p2p.framing import V1Transport
from drystone.p2p.handshake import ConnectionKind, Local
from drystone.p2p.messages import (
    Addr,
    AddrV2,
    BlockMessage,
    BlockTxn,
    CmpctBlock,
    GetAddr,
    GetBlocks,
    GetBlockTxn,
    GetData,
    GetHeaders,
    Headers,
    Inv,
    NotFound,
    Pong,
    TxMessage,
)
from drystone.p2p.messages import (
    Mempool as MempoolMessage,
)
from drystone.p2p.netaddress import NetAddress
from drystone.p2p.peer import Peer
from drystone.p2p.results import Deliver, Ready, Result
from drystone.p2p.results import Disconnect as Leave
from drystone.p2p.results import Send as Answer
from drystone.primitives.block import Block

Streams = Callable[[str], Stream]
"""This node's stream of chance for a purpose."""


def _is_dialled(conn: Connection, address: NetAddress) -> bool:
    return not conn.peer.kind.is_inbound and conn.peer.address == address


def _is_block(result: Result) -> bool:
    return type(result) is Deliver and type(result.message) is BlockMessage


# Alarms, besides those of one peer's, which are (purpose, peer).
_ALARM: Final = ("node", 0)
_SERVE: Final = "serve"
SETTLED_BYTES: Final = 10_000  # what it counts for to look at all that follows, for one pong
_LIVE: Final = "live"


class Node:
    """Joins chain, mempool, peers and miner. It opens nothing and asks no clock.

    chain, mempool: this node's alone. streams: of chance, by purpose. wire: what other nodes may
    share, as of `sharing.py`.
    """

    def __init__(
        self,
        chain: ChainState,
        mempool: Mempool,
        streams: Streams,
        settings: Settings | None = None,
        wire: Wire | None = None,
    ) -> None:
        self.chain = chain
        self.mempool = mempool
        chain.known_scripts = mempool.scripts.is_valid
        self.settings = settings or default_settings(chain.params)
        self._wire = wire or Wire(chain.params, 0)
        self.peers: dict[int, Connection] = {}
        self._dialling = Dialling(self.settings.last_retry_ns)
        self._own_nonces: set[int] = set()  # of versions; only ever asked for one
        self._alarms: Alarms[tuple[str, int]] = Alarms()
        self._wake_at: int | None = None
        self._peer_dice = streams("peers")
        nonces = streams("compact blocks")
        self._header_tip = HeaderTip(chain)
        initial_download = InitialDownload(chain, self.settings.max_tip_age_s)
        self.transactions = Transactions(
            chain,
            mempool,
            self.peers,
            streams("transactions"),
            initial_download=initial_download,
            is_welcome=self.settings.relays_transactions,
        )
        self._serving = Serving(
            chain, self.transactions, lambda: self._header_tip.best, nonces.word
        )
        self.blocks = Blocks(
            chain,
            self.peers,
            self.settings,
            serving=self._serving,
            header_tip=self._header_tip,
            initial_download=initial_download,
            transactions=self.transactions.for_compact_blocks,
            dice=streams("headers"),
            follow=self._follow,
        )
        self.addresses = Addresses(self.peers, streams("addresses"), self.settings)
        self.miner = Miner(chain, mempool, commits_always=self.settings.commits_always)
        self._alarms.set(_ALARM, 0)  # the first time that it is woken, it looks what there is to do

    def handle(self, event: Event, now: Time) -> list[Action]:
        """Take one event and say what is to be done, in that order."""
        turn = Turn(now)
        if type(event) is Received:  # as nearly everything is
            self._received(event, turn)
        elif type(event) is Wake:
            self._woken(turn)
        else:
            turn.is_settled = False
            _HANDLERS[type(event)](self, event, turn)
        if not turn.is_settled:
            self._settle(turn)
        if self._alarms.have_changed:
            self._plan_wake(turn)
        return turn.actions

    # ------------------------------------------------------------------ looking

    @property
    def inbound(self) -> int:
        """How many have dialled us and have shaken hands."""
        return sum(conn.is_ready and conn.peer.kind.is_inbound for conn in self.peers.values())

    def is_connected_to(self, address: NetAddress) -> bool:
        """Whether we have dialled somebody there, and have shaken hands."""
        return any(conn.is_ready and _is_dialled(conn, address) for conn in self.peers.values())

    # ------------------------------------------------------------------ peers come and go

    def _connected(self, event: Connected, turn: Turn) -> None:
        kind = ConnectionKind.INBOUND
        if event.inbound:
            if self.addresses.is_full and not self._made_room(turn):
                turn.actions.append(Close(event.peer, "all places are taken"))
                return
        else:
            kind = self.addresses.dialled(event.address) or ConnectionKind.MANUAL
            if self._dialling.was_given_up(event.address):
                turn.actions.append(Close(event.peer, "disconnected by the user"))
                return
            if any(_is_dialled(conn, event.address) for conn in self.peers.values()):
                turn.actions.append(Close(event.peer, "connected to that address already"))
                return
            self._dialling.connected(event.address)
        peer = Peer(
            kind,
            event.address,
            V1Transport(self.chain.params.magic, self._wire.frames),
            self._local(),
            dice=self._peer_dice,
            own_nonces=self._own_nonces,
            now=turn.now,
            permissions=event.permissions | self.settings.permissions,
            handshake_timeout_ns=self.settings.handshake_timeout_ns,
            known=self._wire.messages,
        )
        conn = self.peers[event.peer] = Connection(event.peer, peer, turn.now)
        turn.perform(conn, peer.start(turn.now))
        self._watch(conn)

    def _made_room(self, turn: Turn) -> bool:
        """Whether somebody else who dialled us had to go."""
        evicted = self.addresses.make_room()
        if evicted is not None:
            turn.disconnect(evicted, "evicted for another")
        return evicted is not None

    def _local(self) -> Local:
        settings = self.settings
        return Local(
            settings.services,
            settings.user_agent,
            self.chain.height,
            settings.relays_transactions,
        )

    def _refused(self, event: Refused, turn: Turn) -> None:
        if not any(_is_dialled(conn, event.address) for conn in self.peers.values()):
            self._dialling.lost(event.address, turn.now.mono_ns)
            self.addresses.refused(event.address)

    def _closed(self, event: Closed, turn: Turn) -> None:
        conn = self.peers.get(event.peer)
        if conn is not None:
            conn.peer.closed()
            turn.gone(conn, event.reason)

    def _ready(self, conn: Connection, turn: Turn) -> None:
        conn.is_ready = True
        turn.tell(PeerReady(conn.id))
        if not conn.peer.kind.is_inbound:
            self._dialling.ready(conn.peer.address)
        self.blocks.ready(conn)
        self.transactions.ready(conn, turn)
        self.addresses.ready(conn, turn)

    def _forget(self, conn: Connection, now: Time) -> None:
        """A connection is over; nothing of it is kept."""
        if self.peers.pop(conn.id, None) is None:
            return
        if not conn.peer.kind.is_inbound:
            self._dialling.lost(conn.peer.address, now.mono_ns)
        self.addresses.gone(conn, now)
        self._alarms.cancel((_LIVE, conn.id))
        self._alarms.cancel((_SERVE, conn.id))
        if conn.is_ready:
            self.blocks.gone(conn)
            self.transactions.gone(conn)

    # ------------------------------------------------------------------ peers speak

    def _received(self, event: Received, turn: Turn) -> None:
        conn = self.peers.get(event.peer)
        if conn is None:
            return
        if conn.unserved or conn.results or conn.unparsed or conn.is_paused:
            conn.unparsed.append(event.data)
            conn.held_bytes += len(event.data) + CHUNK_BYTES
        else:
            results = conn.peer.receive(event.data, turn.now)
            if len(results) == 1:  # one message, as it mostly is: there is no need to queue it
                self._take(conn, results[0], turn)
                if not conn.unserved:
                    if conn.peer.liveness.wake_at_ns < conn.watched_ns:
                        self._watch(conn)
                    return
            else:
                self._queue(conn, results, turn)
        self._work(conn, turn)
        if conn.held_bytes > MAX_HELD_BYTES:
            turn.disconnect(conn, "it sends too much while it is being served")

    def _work(self, conn: Connection, turn: Turn) -> None:
        """Take what a peer has said, in order, until something has to wait.

        Who doesn't read our answers is not listened to, so that nothing it says can make more.
        """
        while conn.is_waiting and not conn.is_gone and not conn.is_paused:
            if turn.is_long:
                self._alarms.set((_SERVE, conn.id), turn.now.mono_ns)
                break
            if conn.unserved:
                self._serving.serve(conn, turn)
            elif conn.results:
                self._take(conn, conn.results.popleft(), turn)
            else:
                data = conn.unparsed.popleft()
                conn.held_bytes -= len(data) + CHUNK_BYTES
                self._queue(conn, conn.peer.receive(data, turn.now), turn)
        if conn.peer.liveness.wake_at_ns < conn.watched_ns:
            self._watch(conn)

    def _queue(self, conn: Connection, results: list[Result], turn: Turn) -> None:
        """What a peer says; if it is much, some of it can be begun before its turn comes."""
        conn.results += results
        if len(results) > 1:
            delivered = [result.message for result in results if type(result) is Deliver]
            transactions = [message.tx for message in delivered if type(message) is TxMessage]
            self.transactions.foresee(conn, transactions, turn)

    def _take(self, conn: Connection, result: Result, turn: Turn) -> None:
        if type(result) is Deliver:
            handler = _MESSAGES.get(type(result.message))
            if handler is not None and not handler(self, conn, result.message, turn):
                turn.is_settled = False
        elif type(result) is Ready:
            turn.is_settled = False
            self._ready(conn, turn)
        elif type(result) is Answer:
            # A pong says that all before it is done, and that what this has caused is sent.
            if not turn.is_settled:
                self._settle(turn)
                turn.spent_bytes += SETTLED_BYTES
            if not conn.is_gone:
                turn.perform(conn, [result])
        else:
            turn.perform(conn, [result])
            if isinstance(result, Leave):
                conn.results.clear()

    def _watch(self, conn: Connection) -> None:
        """See to it that a peer's time-outs are not missed."""
        at_ns = conn.peer.wake_at()
        if at_ns is not None and at_ns < conn.watched_ns and not conn.is_gone:
            conn.watched_ns = at_ns
            self._alarms.set((_LIVE, conn.id), at_ns)

    def _paused(self, event: Paused, _turn: Turn) -> None:
        conn = self.peers.get(event.peer)
        if conn is not None:
            conn.is_paused = True

    def _resumed(self, event: Resumed, turn: Turn) -> None:
        conn = self.peers.get(event.peer)
        if conn is not None:
            conn.is_paused = False
            self._work(conn, turn)

    # Of messages. They return whether nothing follows from what came: no question, no news.

    def _on_inv(self, conn: Connection, message: Inv, turn: Turn) -> bool:
        blocks = [item.hash for item in message.items if item.is_block]
        if blocks:
            self.blocks.hear_of_block(conn, blocks, turn)
        if len(blocks) < len(message.items):
            self.transactions.hear_of(conn, message.items, turn)
        return False

    def _on_not_found(self, conn: Connection, message: NotFound, _turn: Turn) -> bool:
        self.transactions.not_found(conn, message)
        return False

    def _on_getheaders(self, conn: Connection, message: GetHeaders, turn: Turn) -> bool:
        self._serving.headers(conn, message, turn)
        return True

    def _on_getblocks(self, conn: Connection, message: GetBlocks, turn: Turn) -> bool:
        self._serving.hashes(conn, message, turn)
        return True

    def _on_getdata(self, conn: Connection, message: GetData, turn: Turn) -> bool:
        self._serving.take(conn, message, turn)
        return True

    def _on_getblocktxn(self, conn: Connection, message: GetBlockTxn, turn: Turn) -> bool:
        self._serving.missing_transactions(conn, message, turn)
        return True

    def _on_headers(self, conn: Connection, message: Headers, turn: Turn) -> bool:
        return self.blocks.take_headers(conn, message, turn)

    def _on_block(self, conn: Connection, message: BlockMessage, turn: Turn) -> bool:
        messages = [message]
        while conn.results and _is_block(conn.results[0]):
            messages.append(conn.results.popleft().message)  # type: ignore[union-attr,arg-type]
        self.blocks.take_blocks(conn, messages, turn)
        return False

    def _on_cmpctblock(self, conn: Connection, message: CmpctBlock, turn: Turn) -> bool:
        return self.blocks.take_compact(conn, message, turn)

    def _on_blocktxn(self, conn: Connection, message: BlockTxn, turn: Turn) -> bool:
        self.blocks.take_transactions(conn, message, turn)
        return False

    def _on_tx(self, conn: Connection, message: TxMessage, turn: Turn) -> bool:
        self.transactions.take(conn, message, turn)
        return False

    def _on_pong(self, conn: Connection, _message: Pong, turn: Turn) -> bool:
        return self.blocks.hear_pong(conn, turn)

    def _on_mempool(self, conn: Connection, _message: MempoolMessage, turn: Turn) -> bool:
        self.transactions.announce_all(conn, turn)
        return False

    def _on_addr(self, conn: Connection, message: Addr | AddrV2, turn: Turn) -> bool:
        self.addresses.hear(conn, message, turn)
        return False

    def _on_getaddr(self, conn: Connection, _message: GetAddr, turn: Turn) -> bool:
        self.addresses.answer(conn, turn)
        return False

    # ------------------------------------------------------------------ user and miner

    def _submit(self, event: Submit, turn: Turn) -> None:
        if isinstance(event.item, Block):
            error = self.blocks.submit(event.item, turn)
        else:
            error = self.transactions.submit(event.item, turn)
        if event.id is not None:
            turn.actions.append(Reply(event.id, error))

    def _found(self, event: Found, turn: Turn) -> None:
        self.blocks.submit(event.block, turn)

    def _command(self, event: Command, turn: Turn) -> None:
        match event.order:
            case Connect(address):
                self._dialling.want(address)
            case Disconnect(whom):
                self._part_with(whom, turn)
            case Mining(script_pubkey):
                self.miner.order(script_pubkey)
            case Invalidate() | Reconsider() | Prefer():
                self.blocks.move_by_hand(event.order, turn)
        if event.id is not None:
            turn.actions.append(Reply(event.id, None))

    def _part_with(self, whom: int | NetAddress, turn: Turn) -> None:
        if isinstance(whom, NetAddress):
            self._dialling.forget(whom)
        for conn in list(self.peers.values()):
            if whom in (conn.id, conn.peer.address):
                self._dialling.forget(conn.peer.address)
                turn.disconnect(conn, "disconnected by the user")

    def _follow(self, change: TipChange, turn: Turn) -> None:
        """The tip has moved: whoever builds on it comes along."""
        self.transactions.follow(change, turn)

    # ------------------------------------------------------------------ time

    def _woken(self, turn: Turn) -> None:
        self._wake_at = None
        while not turn.is_long and (due := self._alarms.take_due(turn.now.mono_ns)) is not None:
            purpose, id_ = due
            conn = self.peers.get(id_)
            if purpose == _LIVE and conn is not None:
                conn.watched_ns = NEVER_NS
                turn.perform(conn, conn.peer.wake(turn.now))
                self._watch(conn)
            elif purpose == _SERVE and conn is not None:
                self._work(conn, turn)
            elif due == _ALARM:
                turn.is_settled = False
        if not turn.is_settled:
            self.blocks.leave_the_slow(turn)

    def _settle(self, turn: Turn) -> None:
        """Say what follows from all that was done so far."""
        at_ns = self._follow_up(turn)
        dial_ns = self._dialling.due_at()
        if dial_ns is not None:
            if dial_ns <= turn.now.mono_ns:
                turn.actions += map(Dial, self._dialling.due(turn.now.mono_ns))
                dial_ns = self._dialling.due_at()
            at_ns = earliest(at_ns, dial_ns)
        if at_ns is None:
            self._alarms.cancel(_ALARM)
        else:
            self._alarms.set(_ALARM, max(turn.now.mono_ns, at_ns))
        turn.is_settled = True

    def _follow_up(self, turn: Turn) -> int | None:
        """What chain, mempool, miner and addresses have to say now, and when they'll have more."""
        while True:
            for conn in turn.left:
                self._forget(conn, turn.now)
            turn.left.clear()
            if self.transactions.has_changed:
                self.transactions.has_changed = False
                self.miner.mempool_changed()
            at_ns = earliest(
                self.blocks.conclude(turn),
                self.transactions.conclude(turn),
                self.miner.conclude(turn),
                self.addresses.conclude(turn),
            )
            if not turn.left:
                return at_ns

    def _plan_wake(self, turn: Turn) -> None:
        """Say when to be woken."""
        wake_at = self._alarms.earliest()
        if wake_at is not None and wake_at < turn.now.mono_ns:  # a long turn has left it over
            wake_at = turn.now.mono_ns
        if wake_at != self._wake_at:
            self._wake_at = wake_at
            turn.actions.append(WakeAt(wake_at))


_HANDLERS: Final[Mapping[type, Callable[[Any, Any, Turn], None]]] = {
    Connected: Node._connected,
    Closed: Node._closed,
    Refused: Node._refused,
    Paused: Node._paused,
    Resumed: Node._resumed,
    Submit: Node._submit,
    Found: Node._found,
    Command: Node._command,
}


# Whatever is not here is either the peer's own affair or of no interest.
_MESSAGES: Final[Mapping[type, Callable[[Any, Connection, Any, Turn], bool]]] = {
    Inv: Node._on_inv,
    NotFound: Node._on_not_found,
    GetHeaders: Node._on_getheaders,
    GetBlocks: Node._on_getblocks,
    GetData: Node._on_getdata,
    GetBlockTxn: Node._on_getblocktxn,
    Headers: Node._on_headers,
    BlockMessage: Node._on_block,
    CmpctBlock: Node._on_cmpctblock,
    BlockTxn: Node._on_blocktxn,
    TxMessage: Node._on_tx,
    MempoolMessage: Node._on_mempool,
    Pong: Node._on_pong,
    Addr: Node._on_addr,
    AddrV2: Node._on_addr,
    GetAddr: Node._on_getaddr,
}
