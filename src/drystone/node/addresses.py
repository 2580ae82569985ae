"""Addresses of other nodes: heard of, passed on, dialled; and who may stay when places are few."""

from collections.abc import Iterable, Mapping
from typing import Final

from drystone.core.chance import Stream
from drystone.core.samplers import exponential_ns
from drystone.core.time import SECOND_NS, Time
from drystone.crypto.siphash import siphash
from drystone.node.connection import Connection
from drystone.node.events import Dial
from drystone.node.recent import Recent
from drystone.node.settings import Settings
from drystone.node.turn import Turn
from drystone.p2p.addrman import KEY_BYTES, AddrMan
from drystone.p2p.eviction import Candidate, Slots, keyed_group, select_to_evict
from drystone.p2p.handshake import ConnectionKind, Permissions
from drystone.p2p.messages import Addr, AddrV2, PeerAddress
from drystone.p2p.netaddress import NetAddress
from drystone.p2p.protocol import MAX_ADDR_TO_SEND, MAX_PCT_ADDR_TO_SEND, Services

ADDRESSES_PER_SECOND_INVERSE: Final = 10  # one in so many seconds. Core: MAX_ADDR_RATE_PER_SECOND
MOST_TOKENS: Final = 1_000  # Core: MAX_ADDR_PROCESSING_TOKEN_BUCKET
BROADCAST_INTERVAL_NS: Final = 30 * SECOND_NS  # Core: AVG_ADDRESS_BROADCAST_INTERVAL
ROTATION_S: Final = 24 * 3600  # after so long an address is passed on to other peers
PENALTY_S: Final = 2 * 3600  # off the times that others tell
FRESH_S: Final = 10 * 60  # an address seen so lately is passed on
FEW: Final = 10  # addresses in a message that may be passed on; more is an answer
MOST_KNOWN: Final = 5_000
DIAL_INTERVAL_NS: Final = SECOND_NS // 2  # between two looks at whom to dial
RETRY_S: Final = 10 * 60  # before the same address is dialled again
MOST_LOOKS: Final = 100  # at addresses, for one to dial


class AddressPeer:
    """What a peer and we have told each other of addresses."""

    __slots__ = ("known", "next_ns", "to_send", "tokens_ns", "updated_ns")

    def __init__(self, now_ns: int, *, asked: bool) -> None:
        self.known = Recent(MOST_KNOWN)
        self.to_send: list[PeerAddress] = []
        self.next_ns: int | None = None
        # Addresses that it may tell, as the time in which they would be earned.
        one_ns = ADDRESSES_PER_SECOND_INVERSE * SECOND_NS
        self.tokens_ns = one_ns * (1 + (MAX_ADDR_TO_SEND if asked else 0))
        self.updated_ns = now_ns

    def may_tell(self, now_ns: int) -> bool:
        """Whether one more address of its counts; then it has one less to tell."""
        one_ns = ADDRESSES_PER_SECOND_INVERSE * SECOND_NS
        if self.tokens_ns < MOST_TOKENS * one_ns:
            earned_ns = now_ns - self.updated_ns
            self.tokens_ns = min(self.tokens_ns + earned_ns, MOST_TOKENS * one_ns)
        self.updated_ns = now_ns
        if self.tokens_ns < one_ns:
            return False
        self.tokens_ns -= one_ns
        return True


class Addresses:
    """Address gossip, and connections that nobody asked for by name.

    Core: the parts of PeerManagerImpl and CConnman about addresses. peers: all connections.
    """

    def __init__(self, peers: Mapping[int, Connection], stream: Stream, settings: Settings) -> None:
        self._peers = peers
        self._dice = stream
        self._settings = settings
        self._slots = Slots(settings.max_connections)
        key = b"".join([stream.word().to_bytes(8, "little") for _ in range(KEY_BYTES // 8)])
        self._key = key
        self.known = AddrMan(key, stream, routable_only=not settings.is_local_network)
        self._k0, self._k1 = stream.word(), stream.word()
        self._gossip: dict[int, AddressPeer] = {}
        self._dialling: dict[NetAddress, ConnectionKind] = {}
        self._dial_ns = 0

    # ------------------------------------------------------------------ peers

    def ready(self, conn: Connection, turn: Turn) -> None:
        """The handshake is over."""
        peer, now_s = conn.peer, turn.now.unix_s
        if not peer.kind.is_inbound:
            told = PeerAddress(now_s, int(peer.services), peer.address)
            self.known.add([told], peer.address, now_s=now_s)
            self.known.set_services(peer.address, int(peer.services))
            self.known.good(peer.address, now_s=now_s)
        if peer.kind.relays_addresses:
            gossip = AddressPeer(turn.now.mono_ns, asked=peer.getaddr_sent)
            self._gossip[conn.id] = gossip

    def gone(self, conn: Connection, now: Time) -> None:
        """A connection is over."""
        self._gossip.pop(conn.id, None)
        if not conn.peer.kind.is_inbound:
            if conn.is_ready:
                self.known.connected(conn.peer.address, now_s=now.unix_s)
            self._dialling.pop(conn.peer.address, None)

    # ------------------------------------------------------------------ gossip

    def hear(self, conn: Connection, message: Addr | AddrV2, turn: Turn) -> None:
        """A peer tells of addresses."""
        gossip = self._gossip.get(conn.id)
        if gossip is None:
            return
        now, believed = turn.now, []
        is_free = Permissions.ADDR in conn.peer.permissions
        is_answer = len(message.addresses) > FEW or conn.peer.getaddr_sent
        for told in message.addresses:
            if not (gossip.may_tell(now.mono_ns) or is_free):
                continue
            if not told.services & Services.NETWORK and not (
                told.services & Services.NETWORK_LIMITED
            ):
                continue
            time = told.time
            if time <= 100_000_000 or time > now.unix_s + FRESH_S:
                time = now.unix_s - 5 * 24 * 3600
            gossip.known.add(_name(told.address))
            checked = told._replace(time=time)
            believed.append(checked)
            if time > now.unix_s - FRESH_S and not is_answer:
                self._pass_on(conn, checked, turn)
        self.known.add(believed, conn.peer.address, now_s=now.unix_s, penalty_s=PENALTY_S)
        if len(message.addresses) < MAX_ADDR_TO_SEND:
            conn.peer.getaddr_sent = False

    def _pass_on(self, source: Connection, told: PeerAddress, turn: Turn) -> None:
        """To two peers, or one if we can't reach it ourselves; the same ones all day.

        So nobody learns from repeated telling who our peers are. Core: RelayAddress.
        """
        address = told.address
        is_good = address.is_valid if self._settings.is_local_network else address.is_routable
        if not is_good:
            return
        day = (turn.now.unix_s + siphash(self._k0, self._k1, _name(address))) // ROTATION_S
        scores = sorted(
            (siphash(self._k0 ^ day, self._k1 ^ id_, _name(address)), id_)
            for id_ in self._gossip
            if id_ != source.id
        )
        for _, id_ in scores[-2:]:
            self._queue(id_, told)

    def _queue(self, id_: int, told: PeerAddress) -> None:
        gossip, peer = self._gossip[id_], self._peers[id_].peer
        name = _name(told.address)
        if name in gossip.known or not (peer.wants_addrv2 or told.address.fits_v1):
            return
        if len(gossip.to_send) >= MAX_ADDR_TO_SEND:
            gossip.to_send[self._dice.below(len(gossip.to_send))] = told
        else:
            gossip.to_send.append(told)

    def answer(self, conn: Connection, turn: Turn) -> None:
        """A peer asks for addresses."""
        chosen = self.known.get_addr(
            now_s=turn.now.unix_s,
            max_addresses=MAX_ADDR_TO_SEND,
            max_pct=0 if Permissions.ADDR in conn.peer.permissions else MAX_PCT_ADDR_TO_SEND,
        )
        gossip = self._gossip.get(conn.id)
        if gossip is not None and chosen:
            gossip.to_send.clear()
            self._tell(conn, gossip, chosen, turn)

    def _tell(
        self, conn: Connection, gossip: AddressPeer, told: Iterable[PeerAddress], turn: Turn
    ) -> None:
        wants_v2 = conn.peer.wants_addrv2
        fitting = tuple([one for one in told if wants_v2 or one.address.fits_v1])
        for one in fitting:
            gossip.known.add(_name(one.address))
        if fitting:
            turn.send(conn, AddrV2(fitting) if wants_v2 else Addr(fitting))

    # ------------------------------------------------------------------ at the end of each turn

    def conclude(self, turn: Turn) -> int | None:
        """Pass on what is due, and find whom to dial; when something will be due."""
        now_ns = turn.now.mono_ns
        times: list[int] = []
        if self._settings.seeks_peers:
            if now_ns >= self._dial_ns:
                self._dial_ns = now_ns + DIAL_INTERVAL_NS
                self._seek(turn)
            times.append(self._dial_ns)
        for id_, gossip in self._gossip.items():
            if not gossip.to_send:
                continue
            if gossip.next_ns is None:
                gossip.next_ns = now_ns + exponential_ns(self._dice, BROADCAST_INTERVAL_NS)
            if gossip.next_ns <= now_ns:
                gossip.next_ns = None
                waiting, gossip.to_send = gossip.to_send, []
                self._tell(self._peers[id_], gossip, waiting, turn)
            else:
                times.append(gossip.next_ns)
        return min(times, default=None)

    # ------------------------------------------------------------------ places

    def make_room(self) -> Connection | None:
        """Who is to go, now that one more has dialled us. None: the newcomer itself.

        To be asked only if `is_full`. Core: AttemptToEvictConnection.
        """
        chosen = select_to_evict(
            [self._candidate(conn) for conn in self._peers.values() if not conn.is_gone]
        )
        return None if chosen is None else self._peers[chosen]

    def _seek(self, turn: Turn) -> None:
        """Dial somebody if there are places left, not two of one group.

        Full-relay connections first, then those for blocks alone. Core: ThreadOpenConnections.
        """
        kinds = [conn.peer.kind for conn in self._peers.values()] + list(self._dialling.values())
        wanted = (ConnectionKind.OUTBOUND_FULL_RELAY, ConnectionKind.BLOCK_RELAY_ONLY)
        free = [kind for kind in wanted if kinds.count(kind) < self._slots.of(kind)]
        if not free:
            return
        outbound = [c.peer.address for c in self._peers.values() if not c.peer.kind.is_inbound]
        groups = {address.group() for address in (*outbound, *self._dialling)}
        now_s = turn.now.unix_s
        for _ in range(MOST_LOOKS):
            entry = self.known.select(now_s=now_s)
            if entry is None:
                return
            is_recent = now_s - entry.last_try < RETRY_S
            has_all = Services.WITNESS & entry.services and Services.NETWORK & entry.services
            if entry.address.group() in groups or is_recent or not has_all:
                continue
            self._dialling[entry.address] = free[0]
            self.known.attempt(entry.address, now_s=now_s)
            turn.actions.append(Dial(entry.address))
            return

    def dialled(self, address: NetAddress) -> ConnectionKind | None:
        """For what we dialled an address; None if it was not we here."""
        return self._dialling.get(address)

    def refused(self, address: NetAddress) -> None:
        """Nobody answers there."""
        self._dialling.pop(address, None)

    @property
    def is_full(self) -> bool:
        """Whether as many have dialled us as may."""
        inbound = [conn for conn in self._peers.values() if conn.peer.kind.is_inbound]
        return len(inbound) >= self._slots.inbound

    def _candidate(self, conn: Connection) -> Candidate:
        peer = conn.peer
        relevant = Services.NETWORK | Services.WITNESS
        return Candidate(
            id=conn.id,
            connected=conn.opened.unix_s,
            group=keyed_group(self._key, peer.address),
            min_ping_ns=peer.liveness.min_ping_ns,
            last_block=conn.last_block_s,
            last_tx=conn.last_tx_s,
            relevant_services=peer.services & relevant == relevant,
            relays_transactions=peer.wants_transactions,
            is_local=peer.address.is_local,
            network=peer.address.network,
            noban=Permissions.NOBAN in peer.permissions,
            kind=peer.kind,
        )


def _name(address: NetAddress) -> bytes:
    return b"%d/%s/%d" % (address.network, address.address, address.port)
