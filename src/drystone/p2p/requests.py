"""Who is asked for which announced transaction, and when somebody else is.

Each announcement by a peer goes its way:

```
delayed --(its time comes)--> candidate --(nobody better)--> requested --(answer, 60 s)--> completed
```

At most one peer at a time is asked for a transaction. Peers that we chose ourselves come first,
others wait a little, so that nobody can keep a transaction from us by announcing it and never
sending it. When all announcements of a transaction are completed, it is forgotten.
"""

from collections.abc import Callable
from enum import Enum
from hashlib import sha256
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from drystone.core.time import SECOND_NS

MAX_PEER_TX_ANNOUNCEMENTS: Final = 5_000  # remembered of one peer
MAX_PEER_TX_REQUEST_IN_FLIGHT: Final = 100  # from which on a peer counts as overloaded
NONPREF_PEER_TX_DELAY_NS: Final = 2 * SECOND_NS  # for those who dialled us
TXID_RELAY_DELAY_NS: Final = 2 * SECOND_NS  # for txids, as long as others announce by wtxid
OVERLOADED_PEER_TX_DELAY_NS: Final = 2 * SECOND_NS
GETDATA_TX_INTERVAL_NS: Final = 60 * SECOND_NS  # until another peer is asked

_FEWEST_TO_REBUILD: Final = 1_000


class GenTxid(NamedTuple):
    """The name by which a transaction was announced. Core: GenTxid."""

    hash: bytes
    is_wtxid: bool


class _State(Enum):
    DELAYED = 1
    CANDIDATE = 2
    BEST = 3  # the candidate to be asked next
    REQUESTED = 4
    COMPLETED = 5


_SELECTED: Final = (_State.BEST, _State.REQUESTED)


class _Announcement:
    __slots__ = ("name", "peer", "sequence", "state", "time_ns")

    def __init__(self, name: GenTxid, peer: int, sequence: int, time_ns: int) -> None:
        self.name = name
        self.peer = peer
        self.sequence = sequence  # in which order they came
        self.state = _State.DELAYED
        self.time_ns = time_ns  # when it may be requested, later when the request expires


class _Peer:
    __slots__ = ("announced", "best", "in_flight", "is_preferred", "may_flood", "wtxid_relay")

    def __init__(self, *, is_preferred: bool, wtxid_relay: bool, may_flood: bool) -> None:
        self.is_preferred = is_preferred
        self.wtxid_relay = wtxid_relay
        self.may_flood = may_flood
        self.announced: dict[bytes, _Announcement] = {}
        self.best: dict[bytes, _Announcement] = {}  # those of them to be requested now
        self.in_flight = 0


class TxRequests:
    """What to ask whom for. Core: TxRequestTracker, with the delays of TxDownloadManager.

    key: secret bytes, which decide among peers that are equally good. Time is monotonic.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._peers: dict[int, _Peer] = {}
        self._announcements: dict[bytes, dict[int, _Announcement]] = {}  # by hash, then peer
        self._heap: list[tuple[int, int, _Announcement]] = []  # what waits for a time
        self._waiting = 0  # of these, how many still do
        self._best = 0  # how many are to be requested now
        self._sequence = 0
        self._wtxid_peers = 0

    # Peers come and go.

    def connected(
        self, peer: int, *, is_preferred: bool, wtxid_relay: bool, may_flood: bool = False
    ) -> None:
        """may_flood: has the permission to relay, so that no limit holds."""
        self._peers[peer] = _Peer(
            is_preferred=is_preferred, wtxid_relay=wtxid_relay, may_flood=may_flood
        )
        self._wtxid_peers += wtxid_relay

    def disconnected(self, peer: int) -> None:
        """Its announcements are void; others are asked for what it was asked for."""
        gone = self._peers.get(peer)
        if gone is None:
            return
        for announcement in list(gone.announced.values()):
            self._complete(announcement)
            of_hash = self._announcements.get(announcement.name.hash)
            if of_hash is not None:  # others have announced it, too
                self._remove(announcement, of_hash)
        del self._peers[peer]
        self._wtxid_peers -= gone.wtxid_relay

    # What is said.

    def announced(self, peer: int, name: GenTxid, *, now_ns: int) -> None:
        """A peer has a transaction that we have not."""
        who = self._peers.get(peer)
        if who is None or name.hash in who.announced:
            return
        if not who.may_flood and len(who.announced) >= MAX_PEER_TX_ANNOUNCEMENTS:
            return
        self._sequence += 1
        announcement = _Announcement(name, peer, self._sequence, now_ns + self._delay_ns(who, name))
        who.announced[name.hash] = announcement
        self._announcements.setdefault(name.hash, {})[peer] = announcement
        self._wait(announcement)

    def _delay_ns(self, who: _Peer, name: GenTxid) -> int:
        delay = 0 if who.is_preferred else NONPREF_PEER_TX_DELAY_NS
        if not name.is_wtxid and self._wtxid_peers:
            delay += TXID_RELAY_DELAY_NS
        if not who.may_flood and who.in_flight >= MAX_PEER_TX_REQUEST_IN_FLIGHT:
            delay += OVERLOADED_PEER_TX_DELAY_NS
        return delay

    def answered(self, peer: int, hash_: bytes) -> None:
        """A peer has sent what it was asked for, or that it has it not."""
        announcement = self._announcements.get(hash_, {}).get(peer)
        if announcement is not None:
            self._complete(announcement)

    def forget(self, hash_: bytes) -> None:
        """The transaction is here, or wanted no more. Core: ForgetTxHash."""
        of_hash = self._announcements.get(hash_)
        if of_hash is not None:
            for announcement in list(of_hash.values()):
                self._remove(announcement, of_hash)

    # What is to be done.

    def due(
        self, now_ns: int, is_known: Callable[[GenTxid], bool] = lambda _: False
    ) -> dict[int, list[GenTxid]]:
        """What to ask each peer for now, in the order of announcement; that it is asked is noted.

        is_known: what we have already, and so forget here.
        """
        self._advance(now_ns)
        requests: dict[int, list[GenTxid]] = {}
        for peer, who in self._peers.items():
            if not who.best:
                continue
            for one in sorted(who.best.values(), key=lambda best: best.sequence):
                if is_known(one.name):
                    self.forget(one.name.hash)
                    continue
                self._set_state(one, _State.REQUESTED)
                one.time_ns = now_ns + GETDATA_TX_INTERVAL_NS
                self._wait(one)
                requests.setdefault(peer, []).append(one.name)
        return requests

    def due_at(self) -> int | None:
        """When something is due next, in nanoseconds: 0 for at once, None for never."""
        if self._best:
            return 0
        while self._heap and not _is_waiting(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def count(self, peer: int) -> int:
        """How many announcements of a peer are remembered."""
        who = self._peers.get(peer)
        return len(who.announced) if who else 0

    def in_flight(self, peer: int) -> int:
        """How many of them it has been asked for."""
        who = self._peers.get(peer)
        return who.in_flight if who else 0

    def __len__(self) -> int:
        return sum(map(len, self._announcements.values()))

    def _advance(self, now_ns: int) -> None:
        """All whose time has come."""
        while self._heap and self._heap[0][0] <= now_ns:
            entry = heappop(self._heap)
            if not _is_waiting(entry):
                continue
            self._waiting -= 1
            announcement = entry[2]
            if announcement.state is _State.REQUESTED:
                self._complete(announcement, popped=True)
            else:
                self._set_state(announcement, _State.CANDIDATE)
                self._choose(self._announcements[announcement.name.hash])

    # From state to state.

    def _set_state(self, one: _Announcement, state: _State) -> None:
        who = self._peers[one.peer]
        if one.state is _State.BEST:
            del who.best[one.name.hash]
            self._best -= 1
        who.in_flight += (state is _State.REQUESTED) - (one.state is _State.REQUESTED)
        one.state = state
        if state is _State.BEST:
            who.best[one.name.hash] = one
            self._best += 1

    def _choose(self, of_hash: dict[int, _Announcement]) -> None:
        """The best candidate is asked next, unless one is being asked."""
        best: _Announcement | None = None
        for one in of_hash.values():
            if one.state is _State.REQUESTED:
                return
            if one.state in (_State.CANDIDATE, _State.BEST) and (
                best is None or self._priority(one) > self._priority(best)
            ):
                best = one
        for one in of_hash.values():
            if one.state is _State.BEST and one is not best:
                self._set_state(one, _State.CANDIDATE)
        if best is not None and best.state is not _State.BEST:
            self._set_state(best, _State.BEST)

    def _priority(self, one: _Announcement) -> tuple[bool, bytes]:
        """Nobody can know beforehand whom of several peers we will ask."""
        chance = sha256(self._key + one.name.hash + one.peer.to_bytes(8, "little")).digest()
        return self._peers[one.peer].is_preferred, chance

    def _complete(self, one: _Announcement, *, popped: bool = False) -> None:
        """No more is to come of it; forget the transaction if that holds for all."""
        if one.state is _State.COMPLETED:
            return
        if _waits(one.state) and not popped:
            self._waiting -= 1
        was_selected = one.state in _SELECTED
        self._set_state(one, _State.COMPLETED)
        of_hash = self._announcements[one.name.hash]
        if all(other.state is _State.COMPLETED for other in of_hash.values()):
            for other in list(of_hash.values()):
                self._remove(other, of_hash)
        elif was_selected:
            self._choose(of_hash)

    def _remove(self, one: _Announcement, of_hash: dict[int, _Announcement]) -> None:
        if _waits(one.state):
            self._waiting -= 1
        self._set_state(one, _State.COMPLETED)
        del self._peers[one.peer].announced[one.name.hash]
        del of_hash[one.peer]
        if not of_hash:
            del self._announcements[one.name.hash]

    def _wait(self, one: _Announcement) -> None:
        """Note its time; what waits no more is swept out once it is most."""
        heappush(self._heap, (one.time_ns, one.sequence, one))
        self._waiting += 1
        if len(self._heap) > max(2 * self._waiting, _FEWEST_TO_REBUILD):
            self._heap = [entry for entry in self._heap if _is_waiting(entry)]
            heapify(self._heap)


def _waits(state: _State) -> bool:
    return state is _State.DELAYED or state is _State.REQUESTED


def _is_waiting(entry: tuple[int, int, _Announcement]) -> bool:
    time_ns, _, announcement = entry
    return announcement.time_ns == time_ns and _waits(announcement.state)
