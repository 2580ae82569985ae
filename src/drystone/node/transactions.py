"""Transactions between peers and the mempool.

```
inv            a peer has one that we lack     -> remembered; asked for when its time has come
tx             the transaction                 -> mempool, or orphanage, or forgotten
accepted       by peer, user or reorganisation -> announced to each peer at a moment of chance
getdata        a peer wants it                 -> sent, if the peer can know that we have it
```
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import TipChange
from drystone.consensus.errors import MissingInputs, Rejected
from drystone.consensus.script.flags import STANDARD
from drystone.consensus.script.verify import Spend
from drystone.core.chance import Stream
from drystone.core.samplers import exponential_ns
from drystone.core.time import SECOND_NS, earliest
from drystone.mempool.chainview import ChainView
from drystone.mempool.contents import Removal
from drystone.mempool.entry import Entry, ancestors
from drystone.mempool.errors import FeeTooLow, InputsNonstandard, WitnessStripped
from drystone.mempool.orphans import Orphanage
from drystone.mempool.outcomes import Accepted, Refused
from drystone.mempool.policy import rate_of
from drystone.mempool.pool import Mempool
from drystone.node.connection import Connection
from drystone.node.events import TxAccepted, TxRefused, TxRemoved
from drystone.node.fee_filter import NOTHING, FeeFilter, rounded
from drystone.node.initial_download import InitialDownload
from drystone.node.turn import Turn
from drystone.p2p.handshake import Permissions
from drystone.p2p.messages import FeeFilter as FeeFilterMessage
from drystone.p2p.messages import GetData, Inv, Inventory, NotFound, TxMessage
from drystone.p2p.protocol import (
    FEEFILTER_VERSION,
    MAX_GETDATA_SZ,
    MSG_TX,
    MSG_WITNESS_TX,
    MSG_WTX,
)
from drystone.p2p.recent import Recent
from drystone.p2p.relay import TxRelay
from drystone.p2p.requests import GenTxid, TxRequests
from drystone.primitives.hashes import Txid, Wtxid
from drystone.primitives.transaction import OutPoint, Transaction

REJECTS: Final = 120_000
CONFIRMED: Final = 48_000
MAX_ORPHAN_PARENTS: Final = 24  # unknown ones, beyond which an orphan is not worth asking
FEWEST_FORESEEN: Final = 8  # transactions that come together, for which it is worth while
ORPHANS_AT_ONCE: Final = 100  # reconsidered in a turn: many may wait for one parent
REBROADCAST_NS: Final = 600 * SECOND_NS  # what is ours and nobody has asked for yet


class TxPeer:
    """What we have told a peer. Core: Peer::TxRelay, but for its queue."""

    __slots__ = ("announced_up_to", "fee_filter")

    def __init__(self, sequence: int) -> None:
        self.announced_up_to = sequence  # of the mempool: what came later it can't know of
        self.fee_filter = FeeFilter()


class Transactions:
    """Transaction relay over all peers. Core: the part of PeerManagerImpl, and TxDownloadManager.

    peers: all connections. is_welcome: whether any are taken. Core: not -blocksonly.
    """

    def __init__(
        self,
        chain: ChainState,
        mempool: Mempool,
        peers: Mapping[int, Connection],
        stream: Stream,
        *,
        initial_download: InitialDownload,
        is_welcome: bool = True,
    ) -> None:
        self._chain = chain
        self.mempool = mempool
        self._peers = peers
        self._dice = stream
        self._initial_download = initial_download
        self._is_welcome = is_welcome
        key = b"".join([stream.word().to_bytes(8, "little") for _ in range(4)])
        self._requests = TxRequests(key)
        self.orphans = Orphanage()
        self._relays: dict[int, TxPeer] = {}
        self._relay = TxRelay(lambda mean_ns: exponential_ns(stream, mean_ns))
        self._rejects: Recent[bytes] = Recent(
            REJECTS
        )  # by wtxid, and by txid where the witness is not to blame
        self._reconsiderable: Recent[bytes] = Recent(REJECTS)  # paid too little, alone
        self._confirmed: Recent[bytes] = Recent(CONFIRMED)
        self._last_block: dict[bytes, Transaction] = {}  # of the tip, by txid and wtxid
        self._has_wanted_nothing = False  # some peers were told so
        self._rebroadcast_ns: int | None = None
        self._due_ns: int | None = None  # when something is to be done next...
        self._is_due_known = True  # ...or it is to be found out
        self._fee_filters_ns: int | None = None  # when to look whether peers are to hear of fees
        self._has_orphans_to_do = False  # their parents have come
        self.has_changed = False  # the mempool, since the miner last looked

    # ------------------------------------------------------------------ peers

    def ready(self, conn: Connection, turn: Turn) -> None:
        """The handshake is over."""
        self._is_due_known = False
        if not conn.peer.kind.relays_transactions:
            return
        relay = self._relays[conn.id] = TxPeer(self.mempool.sequence)
        if conn.peer.wants_transactions:
            self._relay.connected(
                conn.id,
                is_inbound=conn.peer.kind.is_inbound,
                wtxid_relay=conn.peer.wtxid_relay,
                at_once=Permissions.NOBAN in conn.peer.permissions,
            )
        self._requests.connected(
            conn.id,
            is_preferred=conn.peer.is_preferred_download,
            wtxid_relay=conn.peer.wtxid_relay,
            may_flood=Permissions.RELAY in conn.peer.permissions,
        )
        self._tell_fee_filter(conn, relay, self._wanted_rate(turn), turn)

    def gone(self, conn: Connection) -> None:
        """A connection is over."""
        self._is_due_known = False
        self._relay.disconnected(conn.id)
        if self._relays.pop(conn.id, None) is not None:
            self._requests.disconnected(conn.id)
            self.orphans.forget_peer(conn.id)

    # ------------------------------------------------------------------ what peers say

    def hear_of(self, conn: Connection, items: Iterable[Inventory], turn: Turn) -> None:
        """An inv of transactions."""
        self._is_due_known = False
        if conn.id not in self._relays or not self._is_welcome:
            return
        wanted_type = MSG_WTX if conn.peer.wtxid_relay else MSG_TX
        is_downloading = self._initial_download.is_on(turn.now)
        for item in items:
            if item.type != wanted_type:
                continue
            self._relay.knows(conn.id, item.hash)
            if is_downloading:
                continue
            name = GenTxid(item.hash, is_wtxid=item.type == MSG_WTX)
            if name.is_wtxid and self.orphans.get(Wtxid(name.hash)) is not None:
                self._hear_of_orphan(conn, Wtxid(name.hash), turn)
            elif not self._is_known(name):
                self._requests.announced(conn.id, name, now_ns=turn.now.mono_ns)

    def _hear_of_orphan(self, conn: Connection, wtxid: Wtxid, turn: Turn) -> None:
        """One more peer has an orphan, and so perhaps its parents."""
        tx = self.orphans.get(wtxid)
        if tx is not None and self.orphans.add_announcer(wtxid, conn.id):
            self._ask_for_parents(conn, self._unknown_parents(tx), turn)

    def foresee(self, conn: Connection, transactions: Sequence[Transaction], turn: Turn) -> None:
        """These are about to be taken: have their signatures checked on other cores meanwhile."""
        scripts = self.mempool.scripts
        if not scripts.foresees or conn.id not in self._relays:
            return
        if len(transactions) < FEWEST_FORESEEN or self._initial_download.is_on(turn.now):
            return
        view = ChainView.at_tip(self._chain)
        spends = (self._spend(tx, view) for tx in transactions)
        scripts.foresee((spend for spend in spends if spend is not None), STANDARD)

    def _spend(self, tx: Transaction, view: ChainView) -> Spend | None:
        """What a transaction spends, if it is all there and the transaction is new."""
        if self._is_known(GenTxid(tx.wtxid, is_wtxid=True)):
            return None
        outputs = []
        for txin in tx.vin:
            coin = self.mempool.coin(txin.prevout, view)
            if coin is None:
                return None
            outputs.append(coin.output)
        return Spend(tx, outputs)

    def take(self, conn: Connection, message: TxMessage, turn: Turn) -> None:
        """A transaction has come."""
        self._is_due_known = False
        tx = message.tx
        if conn.id not in self._relays:
            return
        self._relay.knows(conn.id, tx.wtxid if conn.peer.wtxid_relay else tx.txid)
        if self._initial_download.is_on(turn.now):
            return
        self._requests.answered(conn.id, tx.txid)
        self._requests.answered(conn.id, tx.wtxid)
        if self._is_known(GenTxid(tx.wtxid, is_wtxid=True), with_reconsiderable=False):
            if Permissions.FORCERELAY in conn.peer.permissions and tx.txid in self.mempool:
                self._announce(tx, turn)
            return
        if tx.wtxid in self._reconsiderable:
            self._try_package(conn, tx, turn)
            return
        self._try(conn, tx, turn)

    def not_found(self, conn: Connection, message: NotFound) -> None:
        """A peer has not what it was asked for: ask the next one."""
        self._is_due_known = False
        for item in message.items:
            if item.is_tx:
                self._requests.answered(conn.id, item.hash)

    # ------------------------------------------------------------------ into the mempool

    def submit(self, tx: Transaction, turn: Turn) -> Rejected | None:
        """A transaction of the user's."""
        self._is_due_known = False
        outcome = self.mempool.accept(tx, ChainView.at_tip(self._chain), turn.now.unix_s)
        if isinstance(outcome, Refused):
            self._tell_removed(outcome.removed, turn)
            turn.tell(TxRefused(tx, outcome.error))
            return outcome.error
        self.mempool.unbroadcast[tx.txid] = None
        if self._rebroadcast_ns is None:
            self._rebroadcast_ns = turn.now.mono_ns + REBROADCAST_NS
        self._accepted(tx, outcome.removed, turn)
        self._reconsider_orphans(turn)
        return None

    def _try(self, conn: Connection, tx: Transaction, turn: Turn) -> None:
        outcome = self.mempool.accept(tx, ChainView.at_tip(self._chain), turn.now.unix_s)
        if isinstance(outcome, Accepted):
            conn.last_tx_s = turn.now.unix_s
            self._accepted(tx, outcome.removed, turn)
            self._reconsider_orphans(turn)
            return
        self._tell_removed(outcome.removed, turn)
        if isinstance(outcome.error, MissingInputs):
            self._set_aside(conn, tx, turn)
            return
        self._refused(tx, outcome.error, turn)
        if isinstance(outcome.error, FeeTooLow):
            self._try_package(conn, tx, turn)

    def _accepted(self, tx: Transaction, removed: Sequence[Removal], turn: Turn) -> None:
        self._requests.forget(tx.txid)
        self._requests.forget(tx.wtxid)
        self.orphans.remove(tx.wtxid)
        self.orphans.parent_came(tx, self._dice)
        self._tell_removed(removed, turn)
        turn.tell(TxAccepted(tx))
        self.has_changed = True
        self._announce(tx, turn)

    def _refused(self, tx: Transaction, error: Rejected, turn: Turn) -> None:
        """Remember what was refused, by as much of it as is to blame. Core: MempoolRejectedTx."""
        turn.tell(TxRefused(tx, error))
        self.orphans.remove(tx.wtxid)
        if isinstance(error, FeeTooLow):
            self._reconsiderable.add(tx.wtxid)
        elif not isinstance(error, WitnessStripped):
            self._rejects.add(tx.wtxid)
            if isinstance(error, InputsNonstandard) or not tx.has_witness:
                self._rejects.add(tx.txid)
                self._requests.forget(tx.txid)
        if not isinstance(error, WitnessStripped):
            self._requests.forget(tx.wtxid)

    def _set_aside(self, conn: Connection, tx: Transaction, turn: Turn) -> None:
        """Its parents are missing: keep it and ask for them, unless one was refused."""
        parents = self._unknown_parents(tx)
        is_hopeless = any(parent in self._rejects for parent in _parents(tx))
        if is_hopeless or len(parents) > MAX_ORPHAN_PARENTS:
            self._rejects.add(tx.wtxid)
            self._rejects.add(tx.txid)
            self._requests.forget(tx.txid)
            self._requests.forget(tx.wtxid)
            turn.tell(TxRefused(tx, MissingInputs("bad-txns-inputs-missingorspent")))
            return
        for parent in parents:
            self._relay.knows(conn.id, parent)
        self.orphans.add(tx, conn.id)
        self._requests.forget(tx.txid)
        self._requests.forget(tx.wtxid)
        self._ask_for_parents(conn, parents, turn)

    def _unknown_parents(self, tx: Transaction) -> list[Txid]:
        return [
            parent
            for parent in _parents(tx)
            if not self._is_known(GenTxid(parent, is_wtxid=False), with_reconsiderable=False)
        ]

    def _ask_for_parents(self, conn: Connection, parents: Iterable[Txid], turn: Turn) -> None:
        for parent in parents:
            name = GenTxid(parent, is_wtxid=False)
            self._requests.announced(conn.id, name, now_ns=turn.now.mono_ns)

    def _try_package(self, conn: Connection, parent: Transaction, turn: Turn) -> None:
        """One that pays too little may have a child that pays for both. Core: Find1P1CPackage."""
        for child in self.orphans.children_of(parent, conn.id):
            if child.wtxid in self._rejects or child.wtxid in self._reconsiderable:
                continue
            view, now = ChainView.at_tip(self._chain), turn.now.unix_s
            result = self.mempool.accept_package([parent, child], view, now)
            self._tell_removed(result.removed, turn)
            for tx in (parent, child):
                outcome = result.outcomes.get(tx.wtxid)
                if isinstance(outcome, Accepted):
                    self._accepted(tx, outcome.removed, turn)
                elif isinstance(outcome, Refused) and not isinstance(outcome.error, MissingInputs):
                    self._refused(tx, outcome.error, turn)
            self._reconsider_orphans(turn)
            return

    def _reconsider_orphans(self, turn: Turn) -> None:
        """Those whose parents have come, one of each peer's after the other.

        Each that is let in may bring others; what is too much now has its turn later.
        """
        done, has_more = 0, True
        while has_more and done < ORPHANS_AT_ONCE:
            has_more = False
            for id_, conn in self._peers.items():
                tx = self.orphans.take_work(id_)
                if tx is None:
                    continue
                has_more = True
                done += 1
                outcome = self.mempool.accept(tx, ChainView.at_tip(self._chain), turn.now.unix_s)
                if isinstance(outcome, Accepted):
                    conn.last_tx_s = turn.now.unix_s
                    self._accepted(tx, outcome.removed, turn)
                elif not isinstance(outcome.error, MissingInputs):
                    self._tell_removed(outcome.removed, turn)
                    self._refused(tx, outcome.error, turn)
        self._has_orphans_to_do = has_more
        self._is_due_known = False

    def _is_known(self, name: GenTxid, *, with_reconsiderable: bool = True) -> bool:
        """Whether there is no need to ask for a transaction. Core: AlreadyHaveTx."""
        hash_ = name.hash
        if hash_ in self._rejects or hash_ in self._confirmed:
            return True
        if with_reconsiderable and hash_ in self._reconsiderable:
            return True
        if name.is_wtxid:
            in_pool = self.mempool.get_by_wtxid(Wtxid(hash_)) is not None
            return in_pool or Wtxid(hash_) in self.orphans
        return Txid(hash_) in self.mempool

    def _is_here(self, name: GenTxid) -> bool:
        """The same when its turn has come; what paid too little alone may be wanted by a child."""
        return self._is_known(name, with_reconsiderable=False)

    # ------------------------------------------------------------------ blocks

    def follow(self, change: TipChange, turn: Turn) -> None:
        """The tip has moved."""
        self._is_due_known = False
        if change.disconnected:
            self._confirmed.clear()
        if self._has_wanted_nothing and not self._initial_download.is_on(turn.now):
            self._has_wanted_nothing = False
            self._fee_filters_ns = turn.now.mono_ns  # the download is over: tell all
        # What was refused may be right now: coins have come, lock times have passed.
        self._rejects.clear()
        self._reconsiderable.clear()
        before = self.mempool.sequence
        removed = self.mempool.follow_chain(self._chain, change, turn.now.unix_s)
        self._tell_removed(removed, turn)
        for tx in change.unconfirmed:
            if tx.txid in self.mempool:
                turn.tell(TxAccepted(tx))
                self._announce(tx, turn)
        self.has_changed = self.has_changed or self.mempool.sequence != before
        if self._initial_download.is_on(turn.now):
            return
        for node in change.connected:
            block = self._chain.block(node.hash)
            self.orphans.block_came(block)
            for tx in block.vtx:
                self._confirmed.add(tx.txid)
                self._confirmed.add(tx.wtxid)
                self._requests.forget(tx.txid)
                self._requests.forget(tx.wtxid)
                if len(self.orphans):
                    self.orphans.parent_came(tx, self._dice)
        tip = self._chain.block(self._chain.tip.hash)
        self._last_block = {name: tx for tx in tip.vtx for name in (tx.txid, tx.wtxid)}
        if len(self.orphans):
            self._reconsider_orphans(turn)

    def _tell_removed(self, removed: Iterable[Removal], turn: Turn) -> None:
        for removal in removed:
            self.has_changed = True
            turn.tell(TxRemoved(removal.tx, removal.why.value))

    # ------------------------------------------------------------------ announcing

    def _announce(self, tx: Transaction, turn: Turn) -> None:
        """To all who don't know it, when their time comes."""
        self._relay.announce(tx.txid, tx.wtxid, turn.now.mono_ns)

    def conclude(self, turn: Turn) -> int | None:
        """Ask and announce what is due; when something will be."""
        if self._has_orphans_to_do:
            self._reconsider_orphans(turn)
        now_ns, due_ns = turn.now.mono_ns, self._due_ns
        if not self._is_due_known:
            due_ns = self._due_at()
        if due_ns is None or due_ns > now_ns:
            return due_ns
        self._ask(turn)
        self._rebroadcast(turn)
        if self._fee_filters_ns is not None and self._fee_filters_ns <= now_ns:
            self._tell_fee_filters(turn)
        self._tell_announcements(turn)
        return self._due_at()

    def _due_at(self) -> int | None:
        self._is_due_known = True
        self._due_ns = earliest(
            self._requests.due_at(),
            self._relay.due_at(),
            self._rebroadcast_ns,
            self._fee_filters_ns,
            0 if self._has_orphans_to_do or self.has_changed else None,  # now
        )
        return self._due_ns

    def _ask(self, turn: Turn) -> None:
        due = self._requests.due(turn.now.mono_ns, self._is_here)
        for id_, names in due.items():
            for at in range(0, len(names), MAX_GETDATA_SZ):
                items = [
                    Inventory(MSG_WTX if name.is_wtxid else MSG_WITNESS_TX, name.hash)
                    for name in names[at : at + MAX_GETDATA_SZ]
                ]
                turn.send(self._peers[id_], GetData(tuple(items)))

    def _tell_announcements(self, turn: Turn) -> None:
        due_ns = self._relay.due_at()
        if due_ns is None or due_ns > turn.now.mono_ns:
            return
        for id_, names in self._relay.due(turn.now.mono_ns, self._choose).items():
            items = [Inventory(MSG_WTX if name.is_wtxid else MSG_TX, name.hash) for name in names]
            turn.send(self._peers[id_], Inv(tuple(items)))
            self._relays[id_].announced_up_to = self.mempool.sequence

    def _choose(self, id_: int, hashes: Sequence[bytes]) -> Iterable[bytes]:
        """Parents first, then the best; what pays too little for the peer is left out."""
        peer = self._peers[id_].peer
        chosen: list[tuple[int, int, int, bytes]] = []
        for hash_ in hashes:
            entry = self._entry(hash_, is_wtxid=peer.wtxid_relay)
            if entry is None:  # it may be in a block by now
                continue
            rate = rate_of(entry.fee, entry.vsize)
            if rate >= peer.fee_filter:
                chosen.append((len(ancestors(entry)), -rate, entry.sequence, hash_))
        return [one[3] for one in sorted(chosen)]

    def _entry(self, hash_: bytes, *, is_wtxid: bool) -> Entry | None:
        if is_wtxid:
            return self.mempool.get_by_wtxid(Wtxid(hash_))
        return self.mempool.get(Txid(hash_))

    def _rebroadcast(self, turn: Turn) -> None:
        """Announce again what is ours and nobody seems to have heard of."""
        now_ns = turn.now.mono_ns
        if self._rebroadcast_ns is None or now_ns < self._rebroadcast_ns:
            return
        for txid in list(self.mempool.unbroadcast):
            entry = self.mempool.get(txid)
            if entry is None:
                del self.mempool.unbroadcast[txid]
            else:
                self._announce(entry.tx, turn)
        self._rebroadcast_ns = now_ns + REBROADCAST_NS if self.mempool.unbroadcast else None

    # ------------------------------------------------------------------ serving

    def find(self, conn: Connection, item: Inventory) -> Transaction | None:
        """A transaction that a peer asks for, if it can know of it. Core: FindTxForGetData."""
        relay = self._relays.get(conn.id)
        if relay is None:
            return None
        entry = self._entry(item.hash, is_wtxid=item.type == MSG_WTX)
        if entry is not None and entry.sequence < relay.announced_up_to:
            self.mempool.unbroadcast.pop(entry.tx.txid, None)
            return entry.tx
        return self._last_block.get(item.hash)

    def announce_all(self, conn: Connection, turn: Turn) -> None:
        """Answer a mempool message (BIP35), when the peer's time comes."""
        self._is_due_known = False
        if conn.id in self._relays and conn.peer.wants_transactions:
            for entry in self.mempool:
                tx = entry.tx
                self._relay.announce_to(conn.id, tx.txid, tx.wtxid, turn.now.mono_ns)

    # ------------------------------------------------------------------ fees

    def _tell_fee_filters(self, turn: Turn) -> None:
        """Tell peers what transactions must pay, each at its time, if that has changed."""
        self._fee_filters_ns = None
        rate = self._wanted_rate(turn)
        for id_, relay in self._relays.items():
            self._tell_fee_filter(self._peers[id_], relay, rate, turn)

    def _wanted_rate(self, turn: Turn) -> int:
        """What transactions must pay to be of use to us."""
        rate = self.mempool.minimum_rate(turn.now.unix_s)
        if self._initial_download.is_on(turn.now):
            self._has_wanted_nothing = True
            return NOTHING
        return rate

    def _tell_fee_filter(self, conn: Connection, relay: TxPeer, rate: int, turn: Turn) -> None:
        peer, fees = conn.peer, relay.fee_filter
        if peer.common_version < FEEFILTER_VERSION or Permissions.FORCERELAY in peer.permissions:
            return
        if not self._is_welcome:  # none is, and the peer knows
            return
        if rate != NOTHING and fees.sent == NOTHING:
            fees.next_ns = turn.now.mono_ns  # it is over
        if fees.is_due(rate, turn.now.mono_ns, self._dice):
            least = self.mempool.policy.minrelaytxfee
            if rate not in (NOTHING, least):
                rate = max(rounded(rate, self._dice), least)
            if rate != fees.sent:
                turn.send(conn, FeeFilterMessage(rate))
                fees.sent = rate
        if self._fee_filters_ns is None or fees.next_ns < self._fee_filters_ns:
            self._fee_filters_ns = fees.next_ns

    def for_compact_blocks(self) -> Iterable[Transaction]:
        """All that might be in a block."""
        return [entry.tx for entry in self.mempool] + list(self.orphans)


def _parents(tx: Transaction) -> list[Txid]:
    return list(dict.fromkeys([_txid(txin.prevout) for txin in tx.vin]))


def _txid(outpoint: OutPoint) -> Txid:
    return outpoint.txid
