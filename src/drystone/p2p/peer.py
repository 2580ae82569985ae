"""One connection as a state machine: bytes and time in, messages and bytes out.

Peers greet each other, agree on features, ping each other and mind their manners here; what a
message means is for whoever is given it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from drystone.core.chance import Dice
from drystone.core.memo import Memo
from drystone.core.time import SECOND_NS, Time
from drystone.p2p.framing import (
    ENTRY_BYTES,
    UNIQUE,
    Answer,
    Broken,
    Dropped,
    Frame,
    Transport,
)
from drystone.p2p.handshake import (
    HANDSHAKE,
    ConnectionKind,
    Local,
    Permissions,
    State,
    ignored,
    refusals,
)
from drystone.p2p.liveness import HANDSHAKE_TIMEOUT_NS, Liveness
from drystone.p2p.messages import (
    MESSAGES,
    Addr,
    AddrV2,
    FeeFilter,
    GetAddr,
    Inv,
    LocatorTooLong,
    Message,
    Oversized,
    Ping,
    Pong,
    SendAddrV2,
    SendCmpct,
    SendHeaders,
    Verack,
    Version,
    WtxidRelay,
)
from drystone.p2p.netaddress import NO_ADDRESS, NetAddress
from drystone.p2p.protocol import (
    ADDRV2_VERSION,
    BIP0031_VERSION,
    CMPCTBLOCKS_VERSION,
    MIN_PEER_PROTO_VERSION,
    PROTOCOL_VERSION,
    SHORT_IDS_BLOCKS_VERSION,
    WTXID_RELAY_VERSION,
    Services,
)
from drystone.p2p.results import Deliver, Disconnect, Ignored, Ready, Result, Send
from drystone.primitives.amount import MAX_MONEY
from drystone.primitives.codec import DecodeError, Reader
from drystone.primitives.hashes import display

ADDR_FETCH_TIMEOUT_NS: Final = 300 * SECOND_NS  # Core: 10 * AVG_ADDRESS_BROADCAST_INTERVAL

# An enum's member costs more to look up than a name.
_CLOSED: Final = State.CLOSED
_READY: Final = State.READY

_NAMED_SERVICES: Final = sum(Services)
OTHER: Final = "*other*"  # what is counted together: messages unknown or spoilt


MessageTable = Memo[tuple[str, bytes], Message]
"""Messages by command and payload."""

_NONE_KNOWN: Final[MessageTable] = Memo(0)


class Tally:
    """Bytes, added up."""

    __slots__ = ("total",)

    def __init__(self, total: int = 0) -> None:
        self.total = total


class Traffic:
    """What a connection has carried."""

    __slots__ = (
        "_received",
        "_sent",
        "bytes_received",
        "bytes_sent",
        "last_received_s",
        "last_sent_s",
    )

    def __init__(self) -> None:
        self.bytes_sent = 0
        self.bytes_received = 0
        self.last_sent_s = 0  # unix seconds; 0: never
        self.last_received_s = 0
        # By command; commands that we don't know are one, so that nobody can fill our memory.
        self._sent: dict[str, Tally] = {}
        self._received: dict[str, Tally] = {}

    @property
    def sent_per_message(self) -> dict[str, int]:
        """Bytes by command."""
        return {command: tally.total for command, tally in self._sent.items()}

    @property
    def received_per_message(self) -> dict[str, int]:
        """Bytes by command, or OTHER."""
        return {command: tally.total for command, tally in self._received.items()}

    def sent(self, command: str, size: int) -> None:
        """A message has gone out."""
        tally = self._sent.get(command)
        if tally is None:
            self._sent[command] = Tally(size)
        else:
            tally.total += size

    def received(self, command: str, size: int) -> None:
        """A message has come in. command: or OTHER."""
        tally = self._received.get(command)
        if tally is None:
            self._received[command] = Tally(size)
        else:
            tally.total += size


class Peer:
    """The other side of one connection. Core: CNode, and the part of Peer that is about manners.

    Every method that takes the time returns what is to be done, in that order. own_nonces: of the
    versions that we have sent and nobody has answered, over all connections of a node; a version
    that comes back with one of them is our own. handshake_timeout_ns: Core's -peertimeout, before
    which no time-out counts. known: messages that were read before, by other connections perhaps.
    """

    def __init__(
        self,
        kind: ConnectionKind,
        address: NetAddress,
        transport: Transport,
        local: Local,
        *,
        dice: Dice,
        own_nonces: set[int],
        now: Time,
        permissions: Permissions = Permissions.NONE,
        handshake_timeout_ns: int = HANDSHAKE_TIMEOUT_NS,
        known: MessageTable | None = None,
        wanted_services: Services = Services.NETWORK | Services.WITNESS,
    ) -> None:
        self.kind = kind
        self.address = address
        self.permissions = permissions
        self.state = State.AWAIT_VERSION
        self.connected = now
        self.traffic = Traffic()
        self._transport = transport
        self._known = _NONE_KNOWN if known is None else known
        self._local = local
        self._dice = dice
        self._own_nonces = own_nonces
        self._nonce = 0  # of the version that we sent
        self._wanted_services = wanted_services
        # Whether it may send us transactions. Core: not RejectIncomingTxs.
        may_relay = local.relays_transactions or Permissions.RELAY in permissions
        self.takes_transactions = may_relay and kind.relays_transactions
        self._our_services = local.services  # as this peer may use them
        if Permissions.BLOOMFILTER in permissions:
            self._our_services |= Services.BLOOM
        self._refusals = refusals(
            kind, self._our_services, permissions, takes_txs=self.takes_transactions
        )
        self._ignored = ignored(kind, self._our_services, permissions)
        self._unwanted = self._refusals.keys() | self._ignored.keys()
        is_short = kind is ConnectionKind.ADDR_FETCH
        self.liveness = Liveness(
            now.mono_ns, handshake_timeout_ns, ADDR_FETCH_TIMEOUT_NS if is_short else None
        )

        # What the other side has told of itself.
        self.version = Version(version=0)
        self.common_version = 0  # the lesser of ours and theirs
        self.time_offset_s = 0  # how far its clock is ahead of ours
        self.wtxid_relay = False  # BIP339
        self.wants_addrv2 = False  # BIP155
        self.prefers_headers = False  # BIP130
        self.provides_cmpctblocks = False  # BIP152
        self.wants_cmpctblocks = False  # high bandwidth: new blocks without being asked
        self.fee_filter = 0  # satoshis for 1,000 virtual bytes (BIP133)
        self.getaddr_sent = False
        self.getaddr_received = False

    # What happens.

    def start(self, now: Time) -> list[Result]:
        """The connection is there. Whoever dialled speaks first."""
        results: list[Result] = []
        opening = self._transport.opening(dialled=not self.kind.is_inbound)
        if opening:
            results.append(self._send_raw(opening, now))
        if not self.kind.is_inbound:
            results.append(self._send_version(now))
        return results

    def receive(self, data: bytes, now: Time) -> list[Result]:
        """Bytes have come, cut anyhow."""
        results: list[Result] = []
        if self.state is _CLOSED:
            return results
        traffic = self.traffic
        traffic.bytes_received += len(data)
        traffic.last_received_s = now.unix_s
        self.liveness.received_ns = now.mono_ns
        for found in self._transport.receive(data):
            if type(found) is Frame:
                self._take(found, now, results)
            elif isinstance(found, Dropped):
                traffic.received(OTHER, found.size_bytes)
                results.append(Ignored(OTHER, found.reason))
            elif isinstance(found, Broken):
                results.append(self._close(found.reason))
            elif isinstance(found, Answer):
                results.append(self._send_raw(found.data, now))
            if self.is_closed:
                break
        return results

    def wake(self, now: Time) -> list[Result]:
        """Time has passed. Waking too early does no harm."""
        if self.state is _CLOSED:
            return []
        overdue = self.liveness.overdue(now.mono_ns)
        if overdue is not None:
            return [self._close(overdue)]
        if self.liveness.is_ping_due(now.mono_ns):
            return [self._send_ping(now)]
        self.liveness.plan(now.mono_ns)
        return []

    def wake_at(self) -> int | None:
        """When to call `wake` next, in monotonic nanoseconds. It may have to be called again."""
        return None if self.state is _CLOSED else self.liveness.wake_at_ns

    def closed(self) -> None:
        """The connection is gone, whoever ended it."""
        self.state = _CLOSED
        self._own_nonces.discard(self._nonce)

    # What the node wants.

    def send(self, message: Message, now: Time) -> Send:
        """The bytes of a message."""
        return Send(self.frame(message.command, message.encode(), now))

    def frame(self, command: str, payload: bytes, now: Time) -> bytes:
        """The bytes of a message whose payload is at hand."""
        data = self._transport.frame(command, payload)
        size, traffic = len(data), self.traffic
        traffic.bytes_sent += size
        traffic.last_sent_s = now.unix_s
        traffic.sent(command, size)
        self.liveness.sent_ns = now.mono_ns
        return data

    def ping(self, now: Time) -> list[Result]:
        """Ask for a sign of life now, even if one is still to come."""
        return [self._send_ping(now)] if self.state is _READY else []

    def disconnect(self, reason: str) -> list[Result]:
        """End it, for no fault of the peer's."""
        return [] if self.state is _CLOSED else [self._close(reason)]

    def misbehaving(self, reason: str) -> list[Result]:
        """The peer has done what no honest peer does: disconnect, unless it may. Core: Misbehaving.

        Those that the user named or gave leave to stay.
        """
        if self.state is _CLOSED:
            return []
        if Permissions.NOBAN in self.permissions or self.kind is ConnectionKind.MANUAL:
            return [Ignored(OTHER, f"not punishing {self.kind.value} peer: {reason}")]
        return [self._close(reason, misbehaved=True)]

    # What others want to know.

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return self.state is _CLOSED

    @property
    def services(self) -> Services:
        """What the other side offers, as far as we know the services by name.

        Python keeps each value of a flag for ever: strangers must not choose of 2^64.
        """
        return Services(self.version.services & _NAMED_SERVICES)

    @property
    def can_serve_blocks(self) -> bool:
        """Whether it has blocks, the last ones at least. Core: CanServeBlocks."""
        return bool(self.version.services & (Services.NETWORK | Services.NETWORK_LIMITED))

    @property
    def is_limited(self) -> bool:
        """Whether it has the last blocks only (BIP159). Core: IsLimitedPeer."""
        return not self.version.services & Services.NETWORK and self.can_serve_blocks

    @property
    def is_preferred_download(self) -> bool:
        """Whether to ask it for blocks before others. Core: fPreferredDownload."""
        chosen = not self.kind.is_inbound or Permissions.NOBAN in self.permissions
        return chosen and self.kind is not ConnectionKind.ADDR_FETCH and self.can_serve_blocks

    @property
    def wants_transactions(self) -> bool:
        """Whether it wants to hear of transactions."""
        return self.kind.relays_transactions and self.version.relay

    @property
    def may_ask_transactions(self) -> bool:
        """Whether it is answered if it asks for some; a filter may yet have it hear of them."""
        wants = self.version.relay or Services.BLOOM in self._our_services
        return self.kind.relays_transactions and wants

    # Messages.

    def _take(self, frame: Frame, now: Time, results: list[Result]) -> None:
        command, size = frame.command, frame.size_bytes
        kind = MESSAGES.get(command)
        self.traffic.received(command if kind else OTHER, size)
        # Out of turn comes before malformed: what nobody asked for is not even read.
        if kind is None or self.state is not _READY or kind in self._unwanted:
            unwanted = self._out_of_place(command, kind)
            if unwanted is not None:
                results.append(unwanted)
                return
        assert kind is not None
        try:
            message = frame.message or self._read(kind, frame)
        except Oversized as error:
            results += self.misbehaving(str(error))
            return
        except LocatorTooLong as error:
            results.append(self._close(str(error)))
            return
        except DecodeError as error:
            results.append(Ignored(command, str(error)))
            return
        handler = _HANDLERS.get(kind)
        if handler is None:
            results.append(Deliver(message))
        else:
            handler(self, message, now, results)

    def _read(self, kind: type[Any], frame: Frame) -> Message:
        """Make a message of its bytes. Raises DecodeError."""
        command, payload = frame.command, frame.payload
        message = self._known.get((command, payload))
        if message is None:
            message = kind.decode(Reader(payload))
            if command not in UNIQUE:
                self._known.put((command, payload), message, len(payload) + ENTRY_BYTES)
        frame.message = message
        return message

    def _out_of_place(self, command: str, kind: type | None) -> Result | None:
        """What to do about a message that is not even to be read, if it is not."""
        why: str | None
        if self.state is not _READY:
            why = self._out_of_turn(command, kind)
        elif kind is None:
            why = f'Unknown command "{command}"'
        elif kind in self._refusals:
            return self._close(self._refusals[kind])
        else:
            why = self._ignored.get(kind)
        return None if why is None else Ignored(command, why)

    def _out_of_turn(self, command: str, kind: type | None) -> str | None:
        """Why a message is to be ignored during the handshake, if it is."""
        if kind and (self.state, kind) in HANDSHAKE:
            return None
        if self.state is State.AWAIT_VERSION:
            return f'non-version message before version handshake. Message "{command}"'
        if kind is Version:
            return "redundant version message"
        return f'Unsupported message "{command}" prior to verack'

    def _on_version(self, message: Version, now: Time, results: list[Result]) -> None:
        lacks = self._wanted_services & ~message.services
        if self.kind.expects_services and lacks:
            offered, wanted = message.services, int(self._wanted_services)
            reason = (
                "peer does not offer the expected services "
                f"({offered:08x} offered, {wanted:08x} expected)"
            )
            results.append(self._close(reason))
            return
        if message.version < MIN_PEER_PROTO_VERSION:
            results.append(self._close(f"peer using obsolete version {message.version}"))
            return
        if self.kind.is_inbound and message.nonce in self._own_nonces:
            results.append(self._close(f"connected to self at {self.address}"))
            return
        self.version = message
        self.common_version = min(message.version, PROTOCOL_VERSION)
        self.time_offset_s = max(message.time, 0) - now.unix_s
        self.state = HANDSHAKE[self.state, Version]
        if self.kind.is_inbound:
            results.append(self._send_version(now))
        results.append(Deliver(message))
        if self.kind is ConnectionKind.FEELER:
            results.append(self._close("feeler connection completed"))
            return
        results += [self.send(one, now) for one in self._answers_to_version()]

    def _answers_to_version(self) -> list[Message]:
        answers: list[Message] = []
        if self.common_version >= WTXID_RELAY_VERSION:
            answers.append(WtxidRelay())
        if self.common_version >= ADDRV2_VERSION:
            answers.append(SendAddrV2())
        answers.append(Verack())
        if not self.kind.is_inbound and self.kind.relays_addresses:
            self.getaddr_sent = True
            answers.append(GetAddr())
        return answers

    def _on_verack(self, _message: Verack, now: Time, results: list[Result]) -> None:
        self.state = HANDSHAKE[self.state, Verack]
        self.liveness.ready()
        self._own_nonces.discard(self._nonce)
        if self.common_version >= SHORT_IDS_BLOCKS_VERSION:
            results.append(self.send(SendCmpct(high_bandwidth=False), now))
        results.append(self._send_ping(now))
        results.append(Ready())

    def _on_wtxidrelay(self, _message: WtxidRelay, _now: Time, _results: list[Result]) -> None:
        self.wtxid_relay = self.common_version >= WTXID_RELAY_VERSION

    def _on_sendaddrv2(self, _message: SendAddrV2, _now: Time, _results: list[Result]) -> None:
        self.wants_addrv2 = True

    def _on_sendheaders(self, _message: SendHeaders, _now: Time, _results: list[Result]) -> None:
        self.prefers_headers = True

    def _on_sendcmpct(self, message: SendCmpct, _now: Time, _results: list[Result]) -> None:
        if message.version == CMPCTBLOCKS_VERSION:  # version 1 was without witnesses
            self.provides_cmpctblocks = True
            self.wants_cmpctblocks = message.high_bandwidth

    def _on_feefilter(self, message: FeeFilter, _now: Time, _results: list[Result]) -> None:
        if 0 <= message.fee_rate <= MAX_MONEY:
            self.fee_filter = message.fee_rate

    def _on_ping(self, message: Ping, now: Time, results: list[Result]) -> None:
        if self.common_version > BIP0031_VERSION:
            results.append(self.send(Pong(message.nonce), now))

    def _on_pong(self, message: Pong, now: Time, results: list[Result]) -> None:
        why = self.liveness.ponged(message.nonce, now.mono_ns)
        results.append(Deliver(message) if why is None else Ignored("pong", why))

    def _on_getaddr(self, message: GetAddr, _now: Time, results: list[Result]) -> None:
        if self.getaddr_received:
            results.append(Ignored("getaddr", 'Ignoring repeated "getaddr"'))
            return
        self.getaddr_received = True
        results.append(Deliver(message))

    def _on_addr(self, message: Addr | AddrV2, _now: Time, results: list[Result]) -> None:
        results.append(Deliver(message))
        # One address may be only its own, which peers tell at once.
        if self.kind is ConnectionKind.ADDR_FETCH and len(message.addresses) > 1:
            results.append(self._close("addrfetch connection completed"))

    def _on_inv(self, message: Inv, _now: Time, results: list[Result]) -> None:
        if not self.takes_transactions:
            for item in message.items:
                if item.is_tx:
                    shown = display(item.hash)
                    reason = f"transaction ({shown}) inv sent in violation of protocol"
                    results.append(self._close(reason))
                    return
        results.append(Deliver(message))

    # Helpers.

    def _send_raw(self, data: bytes, now: Time) -> Send:
        traffic = self.traffic
        traffic.bytes_sent += len(data)
        traffic.last_sent_s = now.unix_s
        self.liveness.sent_ns = now.mono_ns
        return Send(data)

    def _send_version(self, now: Time) -> Send:
        self._nonce = self._dice.below(1 << 64)
        if not self.kind.is_inbound:
            self._own_nonces.add(self._nonce)
        is_told = self.address.is_routable and self.address.fits_v1
        version = Version(
            services=int(self._our_services),
            time=now.unix_s,
            receiver_services=self.version.services,
            receiver=self.address if is_told else NO_ADDRESS,
            nonce=self._nonce,
            user_agent=self._local.user_agent,
            start_height=self._local.start_height,
            relay=self._local.relays_transactions and self.kind.relays_transactions,
        )
        return self.send(version, now)

    def _send_ping(self, now: Time) -> Send:
        if self.common_version <= BIP0031_VERSION:  # it would not answer
            self.liveness.pinged(0, now.mono_ns)
            return Send(self.frame(Ping.command, b"", now))
        nonce = 1 + self._dice.below((1 << 64) - 1)  # zero is for none
        self.liveness.pinged(nonce, now.mono_ns)
        return self.send(Ping(nonce), now)

    def _close(self, reason: str, *, misbehaved: bool = False) -> Disconnect:
        self.closed()
        return Disconnect(reason, misbehaved)


# Messages that are the peer's own affair; all others are delivered.
_HANDLERS: Final[Mapping[type, Callable[[Any, Any, Time, list[Result]], None]]] = {
    Version: Peer._on_version,
    Verack: Peer._on_verack,
    WtxidRelay: Peer._on_wtxidrelay,
    SendAddrV2: Peer._on_sendaddrv2,
    SendHeaders: Peer._on_sendheaders,
    SendCmpct: Peer._on_sendcmpct,
    FeeFilter: Peer._on_feefilter,
    Ping: Peer._on_ping,
    Pong: Peer._on_pong,
    GetAddr: Peer._on_getaddr,
    Addr: Peer._on_addr,
    AddrV2: Peer._on_addr,
    Inv: Peer._on_inv,
}
