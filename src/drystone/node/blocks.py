"""Blocks between peers and the chain: headers first, then the blocks, then whoever wants to know.

```
inv, headers, compact block   somebody has more than we know   -> getheaders, getdata, getblocktxn
block, blocktxn               the block itself                 -> chain.submit
a new tip                     by peer, user or miner           -> announcements to all peers
```

What a peer has done wrong is looked up in `is_punished`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import Arrival, Submission, TipChange
from drystone.chain.tree import BlockNode
from drystone.consensus.errors import (
    BlockInvalid,
    BlockMutated,
    BlockOrphan,
    Rejected,
)
from drystone.consensus.pow import block_work
from drystone.core.chance import Dice
from drystone.core.time import SECOND_NS, earliest
from drystone.node.announcing import Announcing
from drystone.node.connection import Connection
from drystone.node.events import BlockRefused, Invalidate, NewTip, Prefer, Reconsider
from drystone.node.headers import (
    HeaderTip,
    check_headers,
    claimed_work,
    work_threshold,
)
from drystone.node.initial_download import InitialDownload
from drystone.node.partial import PartialBlocks, Transactions
from drystone.node.serving import Serving
from drystone.node.settings import Settings
from drystone.node.turn import Turn
from drystone.p2p.compact import CompactBlockFailed, CompactBlockInvalid, PartialBlock
from drystone.p2p.download import (
    MAX_BLOCKS_IN_TRANSIT_PER_PEER,
    MAX_CMPCTBLOCKS_INFLIGHT_PER_BLOCK,
    BlockDownload,
    Overdue,
)
from drystone.p2p.handshake import ConnectionKind, Permissions
from drystone.p2p.headers import ChainSync, HeadersSync
from drystone.p2p.messages import (
    BlockMessage,
    BlockTxn,
    CmpctBlock,
    GetData,
    GetHeaders,
    Headers,
    Inventory,
    SendCmpct,
    SendHeaders,
)
from drystone.p2p.presync import HeadersPresync
from drystone.p2p.protocol import (
    MAX_HEADERS_RESULTS,
    MSG_CMPCT_BLOCK,
    MSG_WITNESS_BLOCK,
    SENDHEADERS_VERSION,
    Services,
)
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import Transaction

LEAST_PATIENCE_NS: Final = 60 * SECOND_NS  # for a block, on chains where they are found faster
MIN_BLOCKS_TO_KEEP: Final = 288  # a block so far ahead of the tip must be asked for
MAX_HIGH_BANDWIDTH_PEERS: Final = 3  # that send us new blocks without being asked (BIP152)
MAX_COMPACT_AHEAD: Final = 2  # blocks above the tip that are worth putting together
MAX_SOURCES: Final = 4_096  # blocks of which we remember who sent them

_CHOSEN: Final = (ConnectionKind.OUTBOUND_FULL_RELAY, ConnectionKind.BLOCK_RELAY_ONLY)

Follow = Callable[[TipChange, Turn], None]


def is_punished(error: Rejected, *, was_compact: bool, is_inbound: bool) -> bool:
    """Whether an honest peer could not have sent this block or header.

    Core: MaybePunishNodeForBlock.

    was_compact: nobody can check a compact block before passing it on, so most is forgiven.
    """
    if was_compact:
        return isinstance(error, BlockInvalid) and error.reason.startswith(_WRONG_HEADERS)
    if isinstance(error, BlockInvalid):
        # Known to be invalid: we may have told it so, in vain, if it dialled us.
        return error.reason != "duplicate-invalid" or not is_inbound
    return isinstance(error, BlockMutated | BlockOrphan)


_WRONG_HEADERS: Final = (
    "high-hash",
    "bad-diffbits",
    "time-too-old",
    "time-timewarp-attack",
    "bad-version",
    "bad-prevblk",
)


class Blocks:
    """The chain among peers. Core: the part of PeerManagerImpl that is about blocks.

    peers: all connections, by number. transactions: all that might be in a compact block. follow:
    is told when the tip has moved, before any peer is.
    """

    def __init__(
        self,
        chain: ChainState,
        peers: Mapping[int, Connection],
        settings: Settings,
        *,
        serving: Serving,
        header_tip: HeaderTip,
        initial_download: InitialDownload,
        transactions: Transactions,
        dice: Dice,
        follow: Follow,
    ) -> None:
        self._chain = chain
        self._peers = peers
        self._settings = settings
        self._follow = follow
        self._dice = dice
        self._transactions = transactions
        params = chain.params
        self.download = BlockDownload(
            chain.tree,
            spacing_ns=max(params.pow_spacing_s * SECOND_NS, LEAST_PATIENCE_NS),
            minimum_chainwork=params.minimum_chainwork,
            segwit_height=params.segwit_height,
        )
        self.header_tip = header_tip
        self._initial_download = initial_download
        self._headers = HeadersSync()
        self._chain_sync = ChainSync()
        self._presync: dict[int, HeadersPresync] = {}
        self._announcing = Announcing(chain, self.download, serving)
        self.partial = PartialBlocks()
        self._sources: dict[BlockHash, int] = {}  # who sent a block that isn't connected yet
        self._high_bandwidth: list[int] = []  # the latest last
        self._news: dict[int, None] = {}  # peers that there may be something to say to...
        self._is_news_for_all = False  # ...or all of them
        self._unstarted: dict[int, None] = {}  # who has not been asked for all its headers

    # ------------------------------------------------------------------ peers

    def ready(self, conn: Connection) -> None:
        """The handshake is over: the peer may be asked what it has."""
        peer = conn.peer
        self.download.connected(
            conn.id,
            is_limited=peer.is_limited,
            has_witnesses=bool(peer.services & Services.WITNESS),
        )
        if peer.can_serve_blocks:
            self._headers.connected(
                conn.id,
                is_preferred=peer.is_preferred_download,
                may_stay=Permissions.NOBAN in peer.permissions,
            )
        conn.is_chosen = peer.kind in _CHOSEN
        if conn.is_chosen:
            is_full_relay = peer.kind is ConnectionKind.OUTBOUND_FULL_RELAY
            self._chain_sync.connected(conn.id, is_full_relay=is_full_relay)
        conn.serves_blocks = peer.can_serve_blocks
        self._unstarted[conn.id] = None
        self._news[conn.id] = None

    def gone(self, conn: Connection) -> None:
        """A connection is over."""
        self.download.disconnected(conn.id)
        self._headers.disconnected(conn.id)
        self._chain_sync.disconnected(conn.id)
        self._presync.pop(conn.id, None)
        self._unstarted.pop(conn.id, None)
        self._news.pop(conn.id, None)
        self.partial.forget_peer(conn.id)
        if conn.id in self._high_bandwidth:
            self._high_bandwidth.remove(conn.id)
        self._is_news_for_all = True  # others may be asked for what it was

    # ------------------------------------------------------------------ headers

    def _start_headers(self, conn: Connection, turn: Turn) -> None:
        """Ask a peer for all its headers, unless another one is being asked for all of these."""
        best, now = self.header_tip.best, turn.now
        spacing_s = self._chain.params.pow_spacing_s
        if self._headers.starts(
            conn.id,
            now.mono_ns,
            is_recent=self._is_recent(best, turn),
            is_idle=not len(self.download),
            behind=max(0, now.unix_s - best.header.time) // spacing_s,
        ):
            # From the one before the best, so that the answer tells whether it has at least that.
            turn.send(conn, GetHeaders(self._chain.locator(best.parent or best)))
            del self._unstarted[conn.id]

    def _is_recent(self, node: BlockNode, turn: Turn) -> bool:
        age_s = self._settings.max_tip_age_s
        return age_s is None or node.header.time > turn.now.unix_s - age_s

    def _ask_headers(self, conn: Connection, start: BlockNode, turn: Turn) -> None:
        """Ask what follows a header; if an answer is still to come, see to it that it does."""
        if self._headers.ask(conn.id, turn.now.mono_ns):
            turn.send(conn, GetHeaders(self._chain.locator(start)))
        elif self._headers.doubts(conn.id):
            turn.perform(conn, conn.peer.ping(turn.now))

    def hear_pong(self, conn: Connection, turn: Turn) -> bool:
        """A peer is done with all that it was asked before the ping. Whether nothing follows."""
        if not self._headers.ponged(conn.id):
            return True
        self._ask_headers(conn, self.header_tip.best, turn)
        return False

    def hear_of_block(self, conn: Connection, hashes: Iterable[bytes], turn: Turn) -> None:
        """An inv of blocks: of the last one that we don't know, ask for the headers."""
        unknown: BlockHash | None = None
        for hash_ in hashes:
            block_hash = BlockHash(hash_)
            self.download.announced(conn.id, block_hash)
            node = self._chain.tree.get(block_hash)
            is_here = node is not None and node.has_data
            if not is_here and not self.download.asked(block_hash):
                unknown = block_hash
        if unknown is not None and self._headers.follows(conn.id, unknown):
            self._ask_headers(conn, self.header_tip.best, turn)
        self._news[conn.id] = None

    def take_headers(self, conn: Connection, message: Headers, turn: Turn) -> bool:
        """Headers: an answer, or the announcement of a block. Whether nothing follows."""
        headers = message.headers
        if len(headers) == 1 and conn.id not in self._presync:
            node = self._chain.tree.get(headers[0].hash)
            if node is not None and self._chain.is_active(node):  # most are announced by many
                self._headers.answered(conn.id)
                return self._hear_again(conn, node, turn)
        self._take_headers(conn, headers, turn)
        return False

    def _take_headers(self, conn: Connection, headers: Sequence[BlockHeader], turn: Turn) -> None:
        """Core: ProcessHeadersMessage."""
        if not headers:
            self._headers.answered(conn.id)
            return
        wrong = check_headers(headers, self._chain)
        if wrong is not None:
            turn.misbehaving(conn, wrong)
            return
        is_full = len(headers) == MAX_HEADERS_RESULTS
        if conn.id in self._presync:
            self._headers.answered(conn.id)
            accepted = self._go_on(conn, headers, turn)
            if accepted is not None:
                if accepted:
                    self._take_good(conn, accepted, turn, is_full=False)
                return
        parent = self._chain.tree.get(headers[0].prev_hash)
        if parent is None:
            # Perhaps we have missed the one before: it will come with the answer.
            self._ask_headers(conn, self.header_tip.best, turn)
            self.download.announced(conn.id, headers[-1].hash)
            return
        self._headers.answered(conn.id)
        if self._is_worth_memory(headers, parent):
            self._take_good(conn, headers, turn, is_full=is_full)
        elif is_full:  # it may yet become worth it
            self._presync[conn.id] = HeadersPresync(
                parent,
                work_threshold(self._chain),
                params=self._chain.params,
                dice=self._dice,
                now_s=turn.now.unix_s,
            )
            self._go_on(conn, headers, turn)

    def _go_on(
        self, conn: Connection, headers: Sequence[BlockHeader], turn: Turn
    ) -> list[BlockHeader] | None:
        """Headers of a chain that has yet to show its work; those that have, None if it is none."""
        presync = self._presync[conn.id]
        step = presync.take(headers, is_full=len(headers) == MAX_HEADERS_RESULTS)
        if not step.ask_more:
            del self._presync[conn.id]
        elif self._headers.ask(conn.id, turn.now.mono_ns):
            turn.send(conn, GetHeaders(presync.locator()))
        return step.accepted if step.is_good else None

    def _take_good(
        self, conn: Connection, headers: Sequence[BlockHeader], turn: Turn, *, is_full: bool
    ) -> None:
        """Headers that are worth their memory. is_full: there may be more."""
        last = self._accept_headers(conn, headers, turn)
        if last is None:
            return
        if is_full:
            self._ask_headers(conn, last, turn)
        if self._hear_of(conn, last, turn, is_full=is_full):
            self._fetch_directly(conn, last, turn)

    def _hear_of(self, conn: Connection, node: BlockNode, turn: Turn, *, is_full: bool) -> bool:
        """A peer has a block. Whether it may stay, that is, has as much work as a peer must."""
        best = self.download.has(conn.id, node)
        if conn.is_chosen:
            self._chain_sync.has_headers(conn.id, best, self._chain.tip)
            is_useless = not is_full and best.chainwork < self._chain.params.minimum_chainwork
            if is_useless and self._initial_download.is_on(turn.now):
                turn.disconnect(conn, "outbound peer headers chain has insufficient work")
                return False
        self._news[conn.id] = None
        return True

    def _hear_again(self, conn: Connection, node: BlockNode, turn: Turn) -> bool:
        """A peer has a block of our chain. Whether nothing follows: we have what anybody has."""
        if (
            self.header_tip.best is self._chain.tip
            and conn.has_sent_sendheaders
            and not conn.is_chosen
            and conn.id not in self._unstarted
        ):
            self.download.has(conn.id, node)
            return True
        self._hear_of(conn, node, turn, is_full=False)
        return False

    def _is_worth_memory(self, headers: Sequence[BlockHeader], parent: BlockNode) -> bool:
        last = self._chain.tree.get(headers[-1].hash)
        if last is not None and self.header_tip.covers(last):
            return True
        return parent.chainwork + claimed_work(headers) >= work_threshold(self._chain)

    def _accept_headers(
        self,
        conn: Connection,
        headers: Sequence[BlockHeader],
        turn: Turn,
        *,
        was_compact: bool = False,
    ) -> BlockNode | None:
        """Take headers into the tree; the last one's node, or None if one is refused."""
        try:
            nodes = self._chain.submit_headers(headers, now=turn.now.unix_s)
        except Rejected as error:
            self.header_tip.consider(*self._chain.tree.leaves)
            self._punish(conn, error, turn, "invalid header received", was_compact=was_compact)
            return None
        self.header_tip.consider(nodes[-1])
        return nodes[-1]

    def _punish(
        self, conn: Connection, error: Rejected, turn: Turn, what: str, *, was_compact: bool = False
    ) -> None:
        is_inbound = conn.peer.kind.is_inbound
        if is_punished(error, was_compact=was_compact, is_inbound=is_inbound):
            turn.misbehaving(conn, f"{what}: {error.reason}")

    # ------------------------------------------------------------------ asking for blocks

    def _fetch_directly(self, conn: Connection, last: BlockNode, turn: Turn) -> None:
        """Headers have come near the tip: ask for their blocks at once."""
        if not self._can_fetch_directly(turn):
            return
        now_ns = turn.now.mono_ns
        nodes = self.download.direct_blocks(conn.id, last, self._chain, now_ns)
        if not nodes:
            return
        is_next = len(nodes) == 1 and nodes[0].parent is self._chain.tip
        if is_next and conn.peer.provides_cmpctblocks and len(self.download) == 1:
            turn.send(conn, GetData((Inventory(MSG_CMPCT_BLOCK, nodes[0].hash),)))
        else:
            self._ask(conn, nodes, turn)

    def _can_fetch_directly(self, turn: Turn) -> bool:
        """Whether the tip is recent, so that a block is wanted at once. Core: CanDirectFetch."""
        if self._settings.max_tip_age_s is None:
            return True
        spacing_s = self._chain.params.pow_spacing_s
        return self._chain.tip.header.time > turn.now.unix_s - 20 * spacing_s

    def _ask(self, conn: Connection, nodes: Iterable[BlockNode], turn: Turn) -> None:
        items = tuple([Inventory(MSG_WITNESS_BLOCK, node.hash) for node in nodes])
        turn.send(conn, GetData(items))

    # ------------------------------------------------------------------ blocks

    def take_blocks(self, conn: Connection, messages: Iterable[BlockMessage], turn: Turn) -> None:
        """Blocks have come, asked for or not.

        Those asked for are taken in together as far as they follow one another here, so that the
        signatures of one can be checked while the next one is being read.
        """
        together: list[BlockMessage] = []
        for message in messages:
            was_asked = conn.id in self.download.asked(message.block.header.hash)
            if not was_asked:  # what is to be done about it may depend on those before
                self._take_from(conn, together, turn)
                together = []
            if conn.is_gone:
                break
            if self._is_welcome(conn, message, turn, was_asked=was_asked):
                together.append(message)
        self._take_from(conn, together, turn)
        self._news[conn.id] = None

    def _is_welcome(
        self, conn: Connection, message: BlockMessage, turn: Turn, *, was_asked: bool
    ) -> bool:
        """Whether to take in a block, as far as can be said without its chain."""
        block = message.block
        block_hash = block.hash
        parent = self._chain.tree.get(block.header.prev_hash)
        if parent is not None and self._chain.is_mutated(
            block, expect_commitment=parent.height + 1 >= self._chain.params.segwit_height
        ):
            self.download.received(block_hash, turn.now.mono_ns, conn.id)
            turn.misbehaving(conn, "mutated block")
            return False
        self.download.received(block_hash, turn.now.mono_ns, conn.id)
        if was_asked or self._is_wanted(block.header, parent):
            return True
        if parent is None or self._is_worth_memory((block.header,), parent):
            self._accept_headers(conn, [block.header], turn)
        return False

    def _is_wanted(self, header: BlockHeader, parent: BlockNode | None) -> bool:
        """Whether a block that nobody asked for is taken all the same. Core: AcceptBlock."""
        if parent is None:
            return False
        tip = self._chain.tip
        work = parent.chainwork + block_work(header.bits)
        return (
            work >= tip.chainwork
            and work >= self._chain.params.minimum_chainwork
            and parent.height + 1 <= tip.height + MIN_BLOCKS_TO_KEEP
        )

    def _take_from(
        self,
        conn: Connection,
        messages: Sequence[BlockMessage],
        turn: Turn,
        *,
        was_compact: bool = False,
    ) -> None:
        if not messages:
            return
        for message in messages:
            self._sources[message.block.header.hash] = conn.id
            if len(self._sources) > MAX_SOURCES:
                del self._sources[next(iter(self._sources))]
        arrivals = [Arrival(message.block, message.encoded) for message in messages]
        submission = self._submit(arrivals, turn)
        for arrival, outcome in zip(arrivals, submission.outcomes, strict=True):
            block_hash = arrival.block.header.hash
            if outcome.is_new:
                conn.last_block_s = turn.now.unix_s
                self.download.received(block_hash, turn.now.mono_ns)
                self.partial.forget_block(block_hash)
            if outcome.error is not None:
                self._punish_source(
                    conn, outcome.error, outcome.node, turn, was_compact=was_compact
                )
            elif outcome.is_new and self._chain.tip is outcome.node:
                self._prefer(conn, turn)

    def submit(self, block: Block, turn: Turn) -> Rejected | None:
        """A block of the user's or the miner's: the same door as a peer's."""
        error = self._submit([Arrival(block)], turn).error
        self.download.received(block.hash, turn.now.mono_ns)
        self.partial.forget_block(block.hash)
        return error

    def _submit(self, arrivals: Sequence[Arrival], turn: Turn) -> Submission:
        submission = self._chain.submit_all(arrivals, now=turn.now.unix_s)
        for arrival, outcome in zip(arrivals, submission.outcomes, strict=True):
            if outcome.node is not None:
                self.header_tip.consider(outcome.node)
            if outcome.error is not None:
                turn.tell(BlockRefused(arrival.block.header.hash, outcome.error))
        if submission.change is not None:
            self._tip_moved(submission.change, turn)
        return submission

    def _punish_source(
        self,
        conn: Connection,
        error: Rejected,
        node: BlockNode | None,
        turn: Turn,
        *,
        was_compact: bool,
    ) -> None:
        """Punish who sent what is wrong: it may be a block below, of somebody else's."""
        culprit: Connection | None = conn
        while node is not None and node.is_failed and node.failure is None:
            node = node.parent
        if node is not None and node.hash in self._sources:
            culprit = self._peers.get(self._sources[node.hash])
        if culprit is not None:
            self._punish(culprit, error, turn, "invalid block", was_compact=was_compact)

    # ------------------------------------------------------------------ compact blocks

    def take_compact(self, conn: Connection, message: CmpctBlock, turn: Turn) -> bool:
        """A block in short (BIP152). Whether nothing follows."""
        node = self._chain.tree.get(message.header.hash)
        if node is not None and node is self._chain.tip:  # most come from many
            return self._hear_again(conn, node, turn)
        self._take_compact(conn, message, turn)
        return False

    def _take_compact(self, conn: Connection, message: CmpctBlock, turn: Turn) -> None:
        chain, header = self._chain, message.header
        parent = chain.tree.get(header.prev_hash)
        if parent is None:
            self._ask_headers(conn, self.header_tip.best, turn)
            return
        if parent.chainwork + block_work(header.bits) < work_threshold(chain):
            return
        node = chain.tree.get(header.hash)
        if node is None or not chain.is_active(node):
            node = self._accept_headers(conn, [header], turn, was_compact=True)
            if node is None:
                return
        self.download.has(conn.id, node)
        self._news[conn.id] = None
        if node.has_data or self.partial.has_begun(conn.id, node.hash):
            return
        was_asked = conn.id in self.download.asked(node.hash)
        is_best = node.chainwork > chain.tip.chainwork
        if is_best and node.height <= chain.height + MAX_COMPACT_AHEAD:
            if was_asked or self._may_begin(conn, node, turn):
                self.download.requested(conn.id, node, turn.now.mono_ns)
                self._begin_partial(conn, message, node, turn)
        elif was_asked:  # the chain is elsewhere by now, so that little of it is at hand
            self._ask(conn, [node], turn)
        elif is_best:
            self._fetch_directly(conn, node, turn)

    def _may_begin(self, conn: Connection, node: BlockNode, turn: Turn) -> bool:
        """Whether to put together a block that came without being asked for."""
        askers = self.download.asked(node.hash)
        in_flight = len(self.download.in_flight(conn.id))
        return (
            (bool(askers) or self._can_fetch_directly(turn))
            and len(askers) < MAX_CMPCTBLOCKS_INFLIGHT_PER_BLOCK
            and in_flight < MAX_BLOCKS_IN_TRANSIT_PER_PEER
        )

    def _begin_partial(
        self, conn: Connection, message: CmpctBlock, node: BlockNode, turn: Turn
    ) -> None:
        self.partial.take(conn.id, node.hash)
        try:
            partial = self.partial.begin(conn.id, message, self._transactions)
        except CompactBlockInvalid as error:
            self.download.received(node.hash, turn.now.mono_ns, conn.id)
            turn.misbehaving(conn, str(error))
            return
        except CompactBlockFailed:
            self._ask(conn, [node], turn)
            return
        if partial.is_complete:
            self._complete(conn, partial, (), turn)
        else:
            turn.send(conn, partial.request())

    def take_transactions(self, conn: Connection, message: BlockTxn, turn: Turn) -> None:
        """What was missing from a compact block. Core: ProcessCompactBlockTxns."""
        if conn.id not in self.download.asked(message.block_hash):
            return
        partial = self.partial.take(conn.id, message.block_hash)
        if partial is not None:
            self._complete(conn, partial, message.transactions, turn)

    def _complete(
        self,
        conn: Connection,
        partial: PartialBlock,
        transactions: tuple[Transaction, ...],
        turn: Turn,
    ) -> None:
        block_hash = partial.header.hash
        self.partial.take(conn.id, block_hash)
        node = self._chain.tree.get(block_hash)
        assert node is not None
        try:
            block = partial.completed(
                transactions,
                expect_commitment=node.height >= self._chain.params.segwit_height,
                is_mutated=self._chain.is_mutated,
            )
        except CompactBlockInvalid as error:
            self.download.received(block_hash, turn.now.mono_ns, conn.id)
            turn.misbehaving(conn, str(error))
            return
        except CompactBlockFailed:
            self._ask(conn, [node], turn)  # still in flight, now as a whole
            return
        self.download.received(block_hash, turn.now.mono_ns, conn.id)
        self._take_from(conn, [BlockMessage(block)], turn, was_compact=True)
        self._news[conn.id] = None

    def _prefer(self, conn: Connection, turn: Turn) -> None:
        """A peer was the first with a new block: let it send the next ones without being asked.

        Core: MaybeSetPeerAsAnnouncingHeaderAndIDs.
        """
        chosen = self._high_bandwidth
        if (
            not conn.peer.provides_cmpctblocks
            or len(self.download)
            or self._initial_download.is_on(turn.now)
        ):
            return
        if conn.id in chosen:
            chosen.remove(conn.id)
            chosen.append(conn.id)
            return
        if len(chosen) >= MAX_HIGH_BANDWIDTH_PEERS:
            self._make_room(conn, turn)
        turn.send(conn, SendCmpct(high_bandwidth=True))
        conn.is_high_bandwidth = True
        chosen.append(conn.id)

    def _make_room(self, newcomer: Connection, turn: Turn) -> None:
        """The oldest goes; but of those that we dialled ourselves, one stays."""
        chosen = self._high_bandwidth
        outbound = [id_ for id_ in chosen if not self._peers[id_].peer.kind.is_inbound]
        if newcomer.peer.kind.is_inbound and len(outbound) == 1 and chosen[0] == outbound[0]:
            chosen[0], chosen[1] = chosen[1], chosen[0]
        oldest = self._peers[chosen.pop(0)]
        oldest.is_high_bandwidth = False
        turn.send(oldest, SendCmpct(high_bandwidth=False))

    # ------------------------------------------------------------------ a new tip

    def _tip_moved(self, change: TipChange, turn: Turn) -> None:
        self._is_news_for_all = True
        self.download.block_connected()
        for node in change.connected:
            self._sources.pop(node.hash, None)
        turn.tell(NewTip(change))
        self._follow(change, turn)
        if self._initial_download.is_on(turn.now):
            return
        for conn in self._peers.values():
            if conn.is_ready:
                self._announcing.queue(conn, change)

    def move_by_hand(self, order: Invalidate | Reconsider | Prefer, turn: Turn) -> None:
        """The user knows better which chain it should be."""
        chain = self._chain
        match order:
            case Invalidate(block_hash):
                change = chain.invalidate(block_hash)
            case Reconsider(block_hash):
                change = chain.reconsider(block_hash)
            case Prefer(block_hash):
                change = chain.precious(block_hash)
        self.header_tip.consider(*chain.tree.leaves)
        if change is not None:
            self._tip_moved(change, turn)
        self._is_news_for_all = True

    # ------------------------------------------------------------------ at the end of each turn

    def conclude(self, turn: Turn) -> int | None:
        """Announce and ask, now that all is said; when to come back in any case."""
        if self._news or self._is_news_for_all:
            for id_ in self._take_news():
                conn = self._peers.get(id_)
                if conn is not None and conn.is_ready and not conn.is_gone:
                    self._conclude_with(conn, turn)
        if not (self.download.busy or self._headers.timed or self._chain_sync.peers):
            return None
        return earliest(self.download.due_at(), self._headers.due_at(), self._chain_sync.due_at())

    def _conclude_with(self, conn: Connection, turn: Turn) -> None:
        if conn.blocks_to_announce:
            self._announcing.announce(conn, turn)
        if not conn.has_sent_sendheaders:
            self._maybe_prefer_headers(conn, turn)
        if conn.serves_blocks:
            if conn.id in self._unstarted:
                self._start_headers(conn, turn)
            nodes = self.download.next_blocks(conn.id, self._chain, turn.now.mono_ns)
            if nodes:
                self._ask(conn, nodes, turn)
        if conn.is_chosen:
            self._consider(conn, turn)

    def _take_news(self) -> list[int]:
        """Whom there may be something to say to: whoever spoke, or all if that concerns all.

        As long as blocks are missing that nobody was asked for, it does.
        """
        best, tip = self.header_tip.best, self._chain.tip
        if best is not tip and best.height - tip.height > len(self.download):
            self._is_news_for_all = True
        ids = list(self._peers if self._is_news_for_all else self._news)
        self._news.clear()
        self._is_news_for_all = False
        return ids

    def _consider(self, conn: Connection, turn: Turn) -> None:
        """Whether a peer that we chose lags behind for too long."""
        best, tip = self.download.best_known(conn.id), self._chain.tip
        verdict = self._chain_sync.consider(conn.id, best, tip, turn.now.mono_ns)
        if isinstance(verdict, Overdue):
            turn.disconnect(conn, verdict.reason)
        elif verdict is not None:
            self._ask_headers(conn, verdict.node, turn)

    def _maybe_prefer_headers(self, conn: Connection, turn: Turn) -> None:
        """Once a peer is known to be on a chain of enough work, ask to be told by headers."""
        if conn.peer.common_version < SENDHEADERS_VERSION:
            return
        best = self.download.best_known(conn.id)
        if best is not None and best.chainwork > self._chain.params.minimum_chainwork:
            turn.send(conn, SendHeaders())
            conn.has_sent_sendheaders = True

    def leave_the_slow(self, turn: Turn) -> None:
        """Disconnect those who have had time enough, for a block or all their headers."""
        now_ns = turn.now.mono_ns
        late: list[Overdue] = []
        due_ns = self.download.due_at()
        if due_ns is not None and due_ns <= now_ns:
            late += self.download.overdue(now_ns)
        is_recent = self._is_recent(self.header_tip.best, turn)
        late += self._headers.overdue(now_ns, is_recent=is_recent)
        for one in late:
            conn = self._peers.get(one.peer)
            if conn is not None:
                turn.disconnect(conn, one.reason)
        lagging_ns = self._chain_sync.due_at()
        if late or (lagging_ns is not None and lagging_ns <= now_ns):
            self._is_news_for_all = True
            self._unstarted.update(dict.fromkeys(self._peers))
