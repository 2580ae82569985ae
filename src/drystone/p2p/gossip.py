"""Passing on addresses of nodes: what is believed of them, who hears of them, and how fast.

A node that comes up tells its peers its own address; each passes it on to two others, and so the
network learns of it. Peers may tell us of one address in ten seconds, and of a thousand when we
asked: somebody who floods us with addresses is heard at that pace.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from drystone.core.chance import Dice
from drystone.core.time import SECOND_NS, Time
from drystone.p2p.messages.addresses import PeerAddress
from drystone.p2p.netaddress import NetAddress
from drystone.p2p.protocol import MAX_ADDR_TO_SEND, Services
from drystone.p2p.recent import Recent

NS_PER_ADDRESS: Final = 10 * SECOND_NS  # Core: MAX_ADDR_RATE_PER_SECOND
MAX_ADDR_PROCESSING_TOKEN_BUCKET: Final = MAX_ADDR_TO_SEND
AVG_ADDRESS_BROADCAST_INTERVAL_NS: Final = 30 * SECOND_NS
AVG_LOCAL_ADDRESS_BROADCAST_INTERVAL_NS: Final = 24 * 3600 * SECOND_NS
ROTATE_ADDR_RELAY_DEST_INTERVAL_S: Final = 24 * 3600
TIME_PENALTY_S: Final = 2 * 3600  # on what peers tell us
KNOWN_ADDRESSES: Final = 2_500  # that we remember of what a peer has heard

_FIRST_PLAUSIBLE_S: Final = 100_000_000
_FEW: Final = 10  # addresses in a message that may be news; more are an answer
_USEFUL: Final = Services.NETWORK | Services.NETWORK_LIMITED

Draw = Callable[[int], int]  # an exponentially distributed time of that mean, in nanoseconds


class Heard(NamedTuple):
    """What is left of a message of addresses."""

    believed: list[PeerAddress]  # for the address manager
    rate_limited: int  # how many were too many


class _Listener:
    __slots__ = (
        "asked",
        "due_ns",
        "fits_v2",
        "known",
        "self_due_ns",
        "to_send",
        "token_ns",
        "tokens_at_ns",
        "unlimited",
    )

    def __init__(self, *, fits_v2: bool, unlimited: bool, now_ns: int) -> None:
        self.fits_v2 = fits_v2
        self.unlimited = unlimited
        self.asked = False  # and not answered in full. Core: m_getaddr_sent
        self.token_ns = NS_PER_ADDRESS  # time that has been saved for addresses to come
        self.tokens_at_ns = now_ns
        self.known: Recent[NetAddress] = Recent(KNOWN_ADDRESSES)
        self.to_send: dict[NetAddress, PeerAddress] = {}
        self.due_ns = now_ns  # not before then may more be sent
        self.self_due_ns: int | None = None  # when it is told our own address next


class AddressGossip:
    """Which addresses go where.

    key: secret bytes, which choose who hears of what. draw: for the times at which they are sent.
    """

    def __init__(self, key: bytes, dice: Dice, draw: Draw) -> None:
        self._key = key
        self._dice = dice
        self._draw = draw
        self._listeners: dict[int, _Listener] = {}
        self._waiting: dict[int, _Listener] = {}  # those who are to be sent something

    def connected(
        self,
        peer: int,
        *,
        fits_v2: bool,
        now: Time,
        unlimited: bool = False,
        tell_self: bool = True,
    ) -> None:
        """A peer that takes part. fits_v2: it takes addrv2. unlimited: no pace holds for it.

        tell_self: our own address, at once and then once a day.
        """
        listener = _Listener(fits_v2=fits_v2, unlimited=unlimited, now_ns=now.mono_ns)
        listener.self_due_ns = now.mono_ns if tell_self else None
        self._listeners[peer] = listener

    def disconnected(self, peer: int) -> None:
        """It is gone."""
        self._listeners.pop(peer, None)
        self._waiting.pop(peer, None)

    def asked(self, peer: int) -> None:
        """We have sent a getaddr: it may tell us a thousand more at once."""
        listener = self._listeners[peer]
        listener.asked = True
        listener.token_ns += MAX_ADDR_TO_SEND * NS_PER_ADDRESS

    # Hearing.

    def heard(self, peer: int, told: Iterable[PeerAddress], now: Time) -> Heard:
        """A peer has told us of nodes. What is new and of few is passed on."""
        listener = self._listeners[peer]
        addresses = list(told)
        self._save_tokens(listener, now.mono_ns)
        believed: list[PeerAddress] = []
        limited = 0
        for one in self._shuffled(addresses):
            if listener.token_ns < NS_PER_ADDRESS:
                if not listener.unlimited:
                    limited += 1
                    continue
            else:
                listener.token_ns -= NS_PER_ADDRESS
            if not one.services & _USEFUL:
                continue
            time = one.time
            if time <= _FIRST_PLAUSIBLE_S or time > now.unix_s + 600:
                time = now.unix_s - 5 * 24 * 3600
            one = one._replace(time=time)  # noqa: PLW2901
            listener.known.add(one.address)
            is_news = time > now.unix_s - 600 and not listener.asked and len(addresses) <= _FEW
            if is_news and one.address.is_routable:
                self._pass_on(peer, one, now)
            believed.append(one)
        if len(addresses) < MAX_ADDR_TO_SEND:
            listener.asked = False
        return Heard(believed, limited)

    def _save_tokens(self, listener: _Listener, now_ns: int) -> None:
        most_ns = MAX_ADDR_PROCESSING_TOKEN_BUCKET * NS_PER_ADDRESS
        if listener.token_ns < most_ns:
            saved = max(now_ns - listener.tokens_at_ns, 0)
            listener.token_ns = min(listener.token_ns + saved, most_ns)
        listener.tokens_at_ns = now_ns

    def _shuffled(self, addresses: list[PeerAddress]) -> list[PeerAddress]:
        """In an order that the sender can't choose."""
        for n in range(len(addresses) - 1, 0, -1):
            other = self._dice.below(n + 1)
            addresses[n], addresses[other] = addresses[other], addresses[n]
        return addresses

    def _pass_on(self, source: int, one: PeerAddress, now: Time) -> None:
        """To two peers, the same for a day whoever tells us: nobody gets through by telling twice.

        Core: RelayAddress.
        """
        packed = self._packed(one.address)
        offset = int.from_bytes(sha256(self._key + packed).digest()[:8], "little")
        day = (now.unix_s + offset) // ROTATE_ADDR_RELAY_DEST_INTERVAL_S
        seed = self._key + packed + day.to_bytes(16, "little")
        ranked = sorted(
            (peer for peer in self._listeners if peer != source),
            key=lambda peer: sha256(seed + peer.to_bytes(8, "little")).digest(),
        )
        for peer in ranked[:2]:
            self.tell(peer, one)

    @staticmethod
    def _packed(address: NetAddress) -> bytes:
        return bytes((address.network,)) + address.address + address.port.to_bytes(2, "big")

    # Telling.

    def tell(self, peer: int, one: PeerAddress) -> None:
        """Let a peer hear of a node, in due time. Core: PushAddress."""
        listener = self._listeners[peer]
        fits = listener.fits_v2 or one.address.fits_v1
        if not fits or not one.address.is_valid or one.address in listener.known:
            return
        if len(listener.to_send) >= MAX_ADDR_TO_SEND:
            # One of those that wait makes way, so that nobody can tell what else was told us.
            victim = list(listener.to_send)[self._dice.below(len(listener.to_send))]
            del listener.to_send[victim]
        listener.to_send[one.address] = one
        self._waiting[peer] = listener

    def answer(self, peer: int, addresses: Iterable[PeerAddress]) -> None:
        """A peer has sent a getaddr: this, and nothing else that waits."""
        self._listeners[peer].to_send.clear()
        self._waiting.pop(peer, None)
        for one in addresses:
            self.tell(peer, one)

    def due(self, now: Time, own: PeerAddress | None = None) -> dict[int, list[PeerAddress]]:
        """What to send each peer now. own: our address, if others can reach us there."""
        sent: dict[int, list[PeerAddress]] = {}
        for peer, listener in self._listeners.items():
            if own is not None:
                self._tell_self(peer, listener, own, now.mono_ns)
            if not listener.to_send or now.mono_ns < listener.due_ns:
                continue
            listener.due_ns = now.mono_ns + self._draw(AVG_ADDRESS_BROADCAST_INTERVAL_NS)
            unknown = [
                one for one in listener.to_send.values() if one.address not in listener.known
            ]
            listener.to_send.clear()
            del self._waiting[peer]
            for one in unknown:
                listener.known.add(one.address)
            if unknown:
                sent[peer] = unknown
        return sent

    def _tell_self(self, peer: int, listener: _Listener, own: PeerAddress, now_ns: int) -> None:
        if listener.self_due_ns is None or now_ns < listener.self_due_ns:
            return
        listener.known.clear()  # or it would be taken for known
        self.tell(peer, own)
        delay = self._draw(AVG_LOCAL_ADDRESS_BROADCAST_INTERVAL_NS)
        listener.self_due_ns = now_ns + delay

    def due_at(self, *, has_own: bool = False) -> int | None:
        """When something is to be sent next. has_own: whether we tell our own address."""
        if not self._waiting and not has_own:
            return None
        times = [one.due_ns for one in self._waiting.values()]
        if has_own:
            times += [
                one.self_due_ns for one in self._listeners.values() if one.self_due_ns is not None
            ]
        return min(times, default=None)
