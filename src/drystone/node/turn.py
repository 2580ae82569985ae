"""One event being handled: the time it came at, and what is to be done so far, in order."""

from typing import Final

from drystone.core.time import Time
from drystone.node.connection import Connection
from drystone.node.events import Action, Announce, Close, News, Overheard, PeerLeft, Send
from drystone.p2p import results
from drystone.p2p.handshake import State
from drystone.p2p.messages import Message

_CLOSED: Final = State.CLOSED

LONG_BYTES: Final = 2_000_000  # read or sent for one peer, before others have their turn


class Turn:
    """Collects actions. What is said to a peer that is closed goes nowhere."""

    __slots__ = ("actions", "is_settled", "left", "now", "spent_bytes")

    def __init__(self, now: Time) -> None:
        self.now = now
        self.actions: list[Action] = []
        self.left: list[Connection] = []  # peers that this turn has disconnected
        self.is_settled = True  # all that follows from what came is said already
        self.spent_bytes = 0  # sent to peers, or gone through for them

    @property
    def is_long(self) -> bool:
        """Whether enough was done for one peer: what it asked for next waits for a turn to come.

        A few bytes can ask for megabytes, so what comes in is no measure of what is to be done.
        """
        return self.spent_bytes >= LONG_BYTES

    def send(self, to: Connection, message: Message) -> None:
        """Say something to a peer."""
        if not to.peer.is_closed:
            self._send(to, to.peer.frame(message.command, message.encode(), self.now))

    def send_payload(self, to: Connection, command: str, payload: bytes) -> None:
        """The same, of a message whose bytes are at hand."""
        peer = to.peer
        if peer.state is not _CLOSED:
            data = peer.frame(command, payload, self.now)
            self.actions.append(Send(to.id, data))
            self.spent_bytes += len(data)

    def _send(self, to: Connection, data: bytes) -> None:
        self.actions.append(Send(to.id, data))
        self.spent_bytes += len(data)

    def tell(self, news: News) -> None:
        """Something has happened."""
        self.actions.append(Announce(news))

    def disconnect(self, peer: Connection, reason: str) -> None:
        """End a connection, for no fault of the peer's."""
        self.perform(peer, peer.peer.disconnect(reason))

    def misbehaving(self, peer: Connection, reason: str) -> None:
        """A peer has done what no honest one does. It goes, unless it may. Core: Misbehaving."""
        self.perform(peer, peer.peer.misbehaving(reason))

    def perform(self, peer: Connection, wanted: list[results.Result]) -> None:
        """What the peer's machine wants done, but for what it delivers."""
        for result in wanted:
            if isinstance(result, results.Send):
                self._send(peer, result.data)
            elif isinstance(result, results.Disconnect):
                self.actions.append(Close(peer.id, result.reason))
                self.gone(peer, result.reason, misbehaved=result.misbehaved)
            elif isinstance(result, results.Ignored):
                self.tell(Overheard(peer.id, result.command, result.reason))

    def gone(self, peer: Connection, reason: str, *, misbehaved: bool = False) -> None:
        """A connection is over."""
        if not peer.is_gone:
            peer.is_gone = True
            self.is_settled = False
            self.tell(PeerLeft(peer.id, reason, misbehaved))
            self.left.append(peer)
