"""Telling peers of transactions: a few at a time, now and then, lest they learn whose they are.

Each peer has a queue. It is emptied at random times, for all peers that dialled us at the same, so
that who connects often learns no more than who connects once.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from drystone.core.time import SECOND_NS
from drystone.p2p.recent import Recent
from drystone.p2p.requests import GenTxid

INBOUND_INVENTORY_BROADCAST_INTERVAL_NS: Final = 5 * SECOND_NS  # on average
OUTBOUND_INVENTORY_BROADCAST_INTERVAL_NS: Final = 2 * SECOND_NS
INVENTORY_BROADCAST_TARGET: Final = 7 * 5  # at a time; 7 a second are more than the chain takes
INVENTORY_BROADCAST_MAX: Final = 1000
MAX_QUEUED: Final = 50_000  # announcements for one peer; ours, since a queue is memory
KNOWN_TRANSACTIONS: Final = 2_500  # that we remember of what a peer has heard

Draw = Callable[[int], int]  # an exponentially distributed time of that mean, in nanoseconds
Choose = Callable[[int, Sequence[bytes]], Iterable[bytes]]


class _Listener:
    __slots__ = ("at_once", "due_ns", "is_inbound", "known", "queue", "wtxid_relay")

    def __init__(self, *, is_inbound: bool, wtxid_relay: bool, at_once: bool) -> None:
        self.is_inbound = is_inbound
        self.wtxid_relay = wtxid_relay
        self.at_once = at_once
        self.queue: dict[bytes, None] = {}
        self.due_ns = 0  # when the queue is emptied, if there is anything in it
        self.known: Recent[bytes] = Recent(KNOWN_TRANSACTIONS)


class TxRelay:
    """What each peer is still to hear of. Core: Peer::TxRelay. Time is monotonic nanoseconds.

    An empty queue has no timer: as long as nobody knows when the next one fires, an exponential
    delay from now on is the same as one that has been running for a while.
    """

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._listeners: dict[int, _Listener] = {}
        self._waiting: dict[int, _Listener] = {}  # those whose queue is not empty
        self._inbound_due_ns = 0  # one time for all who dialled us

    def connected(
        self, peer: int, *, is_inbound: bool, wtxid_relay: bool, at_once: bool = False
    ) -> None:
        """A peer that wants to hear of transactions. at_once: it may know when we heard of them."""
        self._listeners[peer] = _Listener(
            is_inbound=is_inbound, wtxid_relay=wtxid_relay, at_once=at_once
        )

    def disconnected(self, peer: int) -> None:
        """It is gone."""
        self._listeners.pop(peer, None)
        self._waiting.pop(peer, None)

    def knows(self, peer: int, hash_: bytes) -> None:
        """A peer has told us of a transaction: it need not hear of it."""
        listener = self._listeners.get(peer)
        if listener is not None:
            listener.known.add(hash_)
            if hash_ in listener.queue:
                del listener.queue[hash_]
                if not listener.queue:
                    del self._waiting[peer]

    def announce(self, txid: bytes, wtxid: bytes, now_ns: int) -> None:
        """A transaction is in our pool: all are to hear of it who don't know it."""
        for peer in self._listeners:
            self.announce_to(peer, txid, wtxid, now_ns)

    def announce_to(self, peer: int, txid: bytes, wtxid: bytes, now_ns: int) -> None:
        """The same, to one peer."""
        listener = self._listeners[peer]
        hash_ = wtxid if listener.wtxid_relay else txid
        if hash_ in listener.known or len(listener.queue) >= MAX_QUEUED:
            return
        if not listener.queue:
            listener.due_ns = self._next_ns(listener, now_ns)
            self._waiting[peer] = listener
        listener.queue[hash_] = None

    def _next_ns(self, listener: _Listener, now_ns: int) -> int:
        if listener.at_once:
            return now_ns
        if not listener.is_inbound:
            return now_ns + self._draw(OUTBOUND_INVENTORY_BROADCAST_INTERVAL_NS)
        if self._inbound_due_ns <= now_ns:
            delay = self._draw(INBOUND_INVENTORY_BROADCAST_INTERVAL_NS)
            self._inbound_due_ns = now_ns + delay
        return self._inbound_due_ns

    def due(self, now_ns: int, choose: Choose) -> dict[int, list[GenTxid]]:
        """What to tell each peer now.

        choose: from a peer and all that it is to hear of, those that are still in the pool and pay
        what the peer wants, the best and the parents first. Those left out are forgotten; those
        that are too many for one time wait for the next.
        """
        told: dict[int, list[GenTxid]] = {}
        for peer, listener in self._listeners.items():
            if not listener.queue or listener.due_ns > now_ns:
                continue
            chosen = list(choose(peer, tuple(listener.queue)))
            most = _most_at_a_time(len(listener.queue))
            listener.queue = dict.fromkeys(chosen[most:])
            for hash_ in chosen[:most]:
                listener.known.add(hash_)
            if listener.queue:
                # A time of its own from now on, or the common one after this.
                listener.due_ns = self._next_ns(listener, now_ns)
            else:
                del self._waiting[peer]
            if chosen:
                told[peer] = [GenTxid(hash_, listener.wtxid_relay) for hash_ in chosen[:most]]
        return told

    def due_at(self) -> int | None:
        """When the next queue is to be emptied."""
        if not self._waiting:
            return None
        return min([listener.due_ns for listener in self._waiting.values()])

    def queued(self, peer: int) -> int:
        """How many announcements wait for a peer."""
        listener = self._listeners.get(peer)
        return len(listener.queue) if listener else 0


def _most_at_a_time(queued: int) -> int:
    """More if the queue is long, lest it grow for ever."""
    return min(INVENTORY_BROADCAST_TARGET + queued // 1000 * 5, INVENTORY_BROADCAST_MAX)
