"""Whom to ask for headers, how often, and how long a peer may lag behind.

While the chain is far behind, one peer at a time is asked for all its headers; near the tip, every
one is. A peer that we dialled and whose chain stays worse than ours gets a last question, and is
left if that does not help: it may be the only one who does not know.
"""

from typing import Final, NamedTuple

from drystone.chain.tree import BlockNode
from drystone.core.time import SECOND_NS
from drystone.p2p.download import Overdue
from drystone.primitives.hashes import BlockHash, display

HEADERS_RESPONSE_TIME_NS: Final = 120 * SECOND_NS  # until a getheaders may be sent again
HEADERS_DOWNLOAD_TIMEOUT_BASE_NS: Final = 15 * 60 * SECOND_NS
HEADERS_DOWNLOAD_TIMEOUT_PER_HEADER_NS: Final = 1_000_000
CHAIN_SYNC_TIMEOUT_NS: Final = 20 * 60 * SECOND_NS
MAX_OUTBOUND_PEERS_TO_PROTECT_FROM_DISCONNECT: Final = 4


class _Peer:
    __slots__ = (
        "asked_ns",
        "deadline_ns",
        "followed_inv",
        "has_started",
        "is_doubted",
        "is_preferred",
        "may_stay",
    )

    def __init__(self, *, is_preferred: bool, may_stay: bool) -> None:
        self.is_preferred = is_preferred
        self.may_stay = may_stay
        self.asked_ns: int | None = None  # when, if it has not answered yet
        self.is_doubted = False  # whether an answer will come: a ping follows the question
        self.has_started = False  # to give us all its headers. Core: fSyncStarted
        self.deadline_ns = 0  # for all of them, if there is one
        self.followed_inv = False


class HeadersSync:
    """Questions for headers, over all peers. Time is monotonic nanoseconds."""

    def __init__(self) -> None:
        self._peers: dict[int, _Peer] = {}
        self.timed: dict[int, _Peer] = {}  # those with a deadline
        self._last_followed: BlockHash | None = None

    def connected(self, peer: int, *, is_preferred: bool, may_stay: bool = False) -> None:
        """A peer that has blocks. is_preferred: we chose it. may_stay: even if it is slow."""
        self._peers[peer] = _Peer(is_preferred=is_preferred, may_stay=may_stay)

    def disconnected(self, peer: int) -> None:
        """Another may be asked instead."""
        self._peers.pop(peer, None)
        self.timed.pop(peer, None)

    @property
    def _started(self) -> int:
        return sum([one.has_started for one in self._peers.values()])

    @property
    def _preferred(self) -> int:
        return sum([one.is_preferred for one in self._peers.values()])

    # Asking.

    def ask(self, peer: int, now_ns: int) -> bool:
        """Whether a getheaders may be sent; that it is sent is noted. Core: MaybeSendGetHeaders."""
        one = self._peers.get(peer)
        if one is None:
            return False
        if one.asked_ns is not None and now_ns - one.asked_ns <= HEADERS_RESPONSE_TIME_NS:
            return False
        one.asked_ns = now_ns
        one.is_doubted = False
        return True

    def answered(self, peer: int) -> None:
        """Headers have come that may be the answer: none at all, or some that we can place."""
        one = self._peers.get(peer)
        if one is not None:
            one.asked_ns = None
            one.is_doubted = False

    def doubts(self, peer: int) -> bool:
        """Whether to ping a peer that may not answer our question; that it is pinged is noted.

        Some say nothing if they have nothing to tell. But all answer in order: once the pong is
        here, the headers are, or will never be.
        """
        one = self._peers.get(peer)
        if one is None or one.asked_ns is None or one.is_doubted:
            return False
        one.is_doubted = True
        return True

    def ponged(self, peer: int) -> bool:
        """A peer has answered a ping; whether it has passed over our question by that."""
        one = self._peers.get(peer)
        if one is None or not one.is_doubted:
            return False
        self.answered(peer)
        return True

    def starts(
        self, peer: int, now_ns: int, *, is_recent: bool, is_idle: bool, behind: int
    ) -> bool:
        """Whether to ask a peer for all its headers now; that it is asked is noted.

        is_recent: the best header is of the last day. is_idle: no block is in flight. behind: how
        many headers are missing, by the time.
        """
        one = self._peers.get(peer)
        if one is None or one.has_started:
            return False
        suits = one.is_preferred or self._preferred == 0 or is_idle
        if not is_recent and (self._started or not suits):
            return False
        if not self.ask(peer, now_ns):
            return False
        one.has_started = True
        per_header_ns = HEADERS_DOWNLOAD_TIMEOUT_PER_HEADER_NS * max(behind, 0)
        one.deadline_ns = now_ns + HEADERS_DOWNLOAD_TIMEOUT_BASE_NS + per_header_ns
        self.timed[peer] = one
        return True

    def follows(self, peer: int, block_hash: BlockHash) -> bool:
        """Whether to ask a peer for headers that announces a block by its hash alone.

        While one peer is giving us its headers, each new block brings in one more to ask: the
        first may be dead.
        """
        one = self._peers.get(peer)
        if one is None:
            return False
        if one.has_started:
            return True
        if one.followed_inv or block_hash == self._last_followed:
            return False
        one.followed_inv = True
        self._last_followed = block_hash
        return True

    # Time.

    def overdue(self, now_ns: int, *, is_recent: bool) -> list[Overdue]:
        """The peers that have had time enough to give us all their headers."""
        late = []
        for peer, one in list(self.timed.items()):
            if is_recent:  # all is well, for good
                del self.timed[peer]
            elif now_ns >= one.deadline_ns and self._could_others(one):
                if one.may_stay:
                    one.has_started = False
                    del self.timed[peer]
                else:
                    late.append(Overdue(peer, "Timeout downloading headers"))
        return late

    def _could_others(self, one: _Peer) -> bool:
        return self._started == 1 and self._preferred - one.is_preferred >= 1

    def due_at(self) -> int | None:
        """When the first peer will be overdue; never, where no other could be asked."""
        if not self.timed or self._started != 1:
            return None
        deadlines = [one.deadline_ns for one in self.timed.values() if self._could_others(one)]
        return min(deadlines, default=None)


class AskFrom(NamedTuple):
    """The last question to a peer that lags behind: headers from this block on."""

    node: BlockNode


class _Lagging:
    __slots__ = ("deadline_ns", "has_asked", "is_protected", "may_be_protected", "work_header")

    def __init__(self, *, may_be_protected: bool) -> None:
        self.may_be_protected = may_be_protected
        self.is_protected = False
        self.deadline_ns: int | None = None  # None: it keeps up
        self.work_header: BlockNode | None = None  # our tip at the time: the peer is to reach it
        self.has_asked = False


class ChainSync:
    """How far peers that we dialled lag behind. Core: ChainSyncTimeoutState, ConsiderEviction.

    Four of those who relay everything are protected once they have had a chain as good as ours:
    otherwise, somebody who shows us a better one could make us leave all others.
    """

    def __init__(self) -> None:
        self.peers: dict[int, _Lagging] = {}

    def connected(self, peer: int, *, is_full_relay: bool) -> None:
        """A peer that we dialled, other than by the user's wish."""
        self.peers[peer] = _Lagging(may_be_protected=is_full_relay)

    def disconnected(self, peer: int) -> None:
        """It is gone."""
        self.peers.pop(peer, None)

    def is_protected(self, peer: int) -> bool:
        """Whether it will not be left for lagging behind."""
        one = self.peers.get(peer)
        return one is not None and one.is_protected

    def has_headers(self, peer: int, best_known: BlockNode, tip: BlockNode) -> None:
        """Headers of its have come; who has as much work as we have may be protected."""
        one = self.peers.get(peer)
        if one is None or not one.may_be_protected or best_known.chainwork < tip.chainwork:
            return
        protected = sum([other.is_protected for other in self.peers.values()])
        if protected < MAX_OUTBOUND_PEERS_TO_PROTECT_FROM_DISCONNECT:
            one.is_protected = True

    def consider(
        self, peer: int, best_known: BlockNode | None, tip: BlockNode, now_ns: int
    ) -> AskFrom | Overdue | None:
        """What to do about a peer whose headers we have begun to get, now or when time has passed.

        To be called after each change of the tip or of the peer's best block, and when due.
        """
        one = self.peers.get(peer)
        if one is None or one.is_protected:
            return None
        work = -1 if best_known is None else best_known.chainwork
        if work >= tip.chainwork:
            one.deadline_ns = one.work_header = None
            one.has_asked = False
            return None
        has_caught_up = one.work_header is not None and work >= one.work_header.chainwork
        if one.deadline_ns is None or has_caught_up:  # with what was our tip: now for the new one
            one.deadline_ns = now_ns + CHAIN_SYNC_TIMEOUT_NS
            one.work_header = tip
            one.has_asked = False
            return None
        if now_ns < one.deadline_ns:
            return None
        if one.has_asked:
            shown = "<none>" if best_known is None else display(best_known.hash)
            return Overdue(peer, f"Outbound peer has old chain, best known block = {shown}")
        one.has_asked = True
        one.deadline_ns = now_ns + HEADERS_RESPONSE_TIME_NS
        assert one.work_header is not None
        return AskFrom(one.work_header.parent or one.work_header)

    def due_at(self) -> int | None:
        """When to consider the next peer."""
        if not self.peers:
            return None
        deadlines = [
            one.deadline_ns
            for one in self.peers.values()
            if one.deadline_ns is not None and not one.is_protected
        ]
        return min(deadlines, default=None)
