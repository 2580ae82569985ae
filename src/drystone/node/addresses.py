"""Addresses of other nodes: heard of, passed on, dialled; and who may stay when places are few."""

from collections.abc import Mapping
from typing import Final

from drystone.core.chance import Stream
from drystone.core.samplers import exponential_ns
from drystone.core.time import SECOND_NS, Time, earliest
from drystone.node.connection import Connection
from drystone.node.events import Dial
from drystone.node.settings import Settings
from drystone.node.turn import Turn
from drystone.p2p.addrman import KEY_BYTES, AddrMan
from drystone.p2p.eviction import Candidate, Slots, keyed_group, select_to_evict
from drystone.p2p.gossip import TIME_PENALTY_S, AddressGossip
from drystone.p2p.handshake import ConnectionKind, Permissions
from drystone.p2p.messages import Addr, AddrV2, PeerAddress
from drystone.p2p.netaddress import NetAddress
from drystone.p2p.protocol import MAX_ADDR_TO_SEND, MAX_PCT_ADDR_TO_SEND, Services

DIAL_INTERVAL_NS: Final = SECOND_NS // 2  # from one that is dialled to the next
PAUSE_NS: Final = 5 * SECOND_NS  # when there is nobody to dial, or no place left
RETRY_S: Final = 10 * 60  # before the same address is dialled again
MOST_LOOKS: Final = 100  # at addresses, for one to dial


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
        self._gossip = AddressGossip(key, stream, lambda mean: exponential_ns(stream, mean))
        self._listening: dict[int, None] = {}  # peers that take part in it
        self._dialling: dict[NetAddress, ConnectionKind] = {}
        self._dial_ns = 0

    # ------------------------------------------------------------------ peers

    def ready(self, conn: Connection, turn: Turn) -> None:
        """The handshake is over."""
        peer, now_s = conn.peer, turn.now.unix_s
        if not peer.kind.is_inbound:
            told = PeerAddress(now_s, peer.version.services, peer.address)
            self.known.add([told], peer.address, now_s=now_s)
            self.known.set_services(peer.address, peer.version.services)
            self.known.good(peer.address, now_s=now_s)
        if peer.kind.relays_addresses:
            self._listening[conn.id] = None
            self._gossip.connected(
                conn.id,
                fits_v2=peer.wants_addrv2,
                now=turn.now,
                unlimited=Permissions.ADDR in peer.permissions,
                tell_self=False,
            )
            if peer.getaddr_sent:
                self._gossip.asked(conn.id)

    def gone(self, conn: Connection, now: Time) -> None:
        """A connection is over."""
        self._listening.pop(conn.id, None)
        self._gossip.disconnected(conn.id)
        if not conn.peer.kind.is_inbound:
            if conn.is_ready:
                self.known.connected(conn.peer.address, now_s=now.unix_s)
            self._dialling.pop(conn.peer.address, None)

    # ------------------------------------------------------------------ gossip

    def hear(self, conn: Connection, message: Addr | AddrV2, turn: Turn) -> None:
        """A peer tells of addresses."""
        if conn.id in self._listening:
            now = turn.now
            heard = self._gossip.heard(conn.id, message.addresses, now)
            self.known.add(
                heard.believed, conn.peer.address, now_s=now.unix_s, penalty_s=TIME_PENALTY_S
            )

    def answer(self, conn: Connection, turn: Turn) -> None:
        """A peer asks for addresses."""
        if conn.id in self._listening:
            is_free = Permissions.ADDR in conn.peer.permissions
            chosen = self.known.get_addr(
                now_s=turn.now.unix_s,
                max_addresses=MAX_ADDR_TO_SEND,
                max_pct=0 if is_free else MAX_PCT_ADDR_TO_SEND,
            )
            self._gossip.answer(conn.id, chosen)

    # ------------------------------------------------------------------ at the end of each turn

    def conclude(self, turn: Turn) -> int | None:
        """Pass on what is due, and find whom to dial; when something will be due."""
        now_ns = turn.now.mono_ns
        dial_ns: int | None = None
        if self._settings.seeks_peers:
            if now_ns >= self._dial_ns:
                has_found = self._seek(turn)
                self._dial_ns = now_ns + (DIAL_INTERVAL_NS if has_found else PAUSE_NS)
            dial_ns = self._dial_ns
        due_ns = self._gossip.due_at()
        if due_ns is not None and due_ns <= now_ns:
            for id_, told in self._gossip.due(turn.now).items():
                conn, addresses = self._peers[id_], tuple(told)
                wants_v2 = conn.peer.wants_addrv2
                turn.send(conn, AddrV2(addresses) if wants_v2 else Addr(addresses))
            due_ns = self._gossip.due_at()
        return due_ns if dial_ns is None else earliest(dial_ns, due_ns)

    # ------------------------------------------------------------------ places

    def make_room(self) -> Connection | None:
        """Who is to go, now that one more has dialled us. None: the newcomer itself.

        To be asked only if `is_full`. Core: AttemptToEvictConnection.
        """
        chosen = select_to_evict(
            [self._candidate(conn) for conn in self._peers.values() if not conn.is_gone]
        )
        return None if chosen is None else self._peers[chosen]

    def _seek(self, turn: Turn) -> bool:
        """Dial somebody if there are places left, not two of one group; whether there was one.

        Full-relay connections first, then those for blocks alone. Core: ThreadOpenConnections.
        """
        kinds = [conn.peer.kind for conn in self._peers.values()] + list(self._dialling.values())
        wanted = (ConnectionKind.OUTBOUND_FULL_RELAY, ConnectionKind.BLOCK_RELAY_ONLY)
        free = [kind for kind in wanted if kinds.count(kind) < self._slots.of(kind)]
        if not free:
            return False
        outbound = [c.peer.address for c in self._peers.values() if not c.peer.kind.is_inbound]
        groups = {address.group() for address in (*outbound, *self._dialling)}
        now_s = turn.now.unix_s
        for _ in range(MOST_LOOKS):
            entry = self.known.select(now_s=now_s)
            if entry is None:
                return False
            is_recent = now_s - entry.last_try < RETRY_S
            has_all = Services.WITNESS & entry.services and Services.NETWORK & entry.services
            if entry.address.group() in groups or is_recent or not has_all:
                continue
            self._dialling[entry.address] = free[0]
            self.known.attempt(entry.address, now_s=now_s)
            turn.actions.append(Dial(entry.address))
            return True
        return False

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
