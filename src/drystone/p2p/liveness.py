"""Whether the other side is still there: pings, answers, and patience that ends (BIP31)."""

from typing import Final

from drystone.core.time import SECOND_NS

HANDSHAKE_TIMEOUT_NS: Final = 60 * SECOND_NS  # Core: DEFAULT_PEER_CONNECT_TIMEOUT
PING_INTERVAL_NS: Final = 120 * SECOND_NS
TIMEOUT_INTERVAL_NS: Final = 20 * 60 * SECOND_NS  # without a pong, or without anything at all


class Liveness:
    """One connection's timers, in monotonic nanoseconds.

    timeout_ns: for the handshake, and before which no other time-out counts. Core: -peertimeout.
    lasts_ns: when the connection ends in any case, once the handshake is over.
    """

    __slots__ = (
        "_connected_ns",
        "_is_ready",
        "_lasts_ns",
        "_nonce",
        "_patient_until_ns",
        "_pinged_ns",
        "min_ping_ns",
        "ping_ns",
        "received_ns",
        "sent_ns",
        "wake_at_ns",
    )

    def __init__(self, connected_ns: int, timeout_ns: int, lasts_ns: int | None = None) -> None:
        self._connected_ns = connected_ns
        self._patient_until_ns = connected_ns + timeout_ns
        self._lasts_ns = None if lasts_ns is None else connected_ns + lasts_ns
        self._is_ready = False
        self._nonce = 0  # of the ping that is not answered yet; 0: none is out
        self._pinged_ns = 0
        self.sent_ns: int | None = None  # when something last was, by either side
        self.received_ns: int | None = None
        self.ping_ns: int | None = None  # how long the last answer took
        self.min_ping_ns: int | None = None
        self.wake_at_ns = self._patient_until_ns  # when something may be due; bytes may delay it

    def ready(self) -> None:
        """The handshake is over."""
        self._is_ready = True

    def pinged(self, nonce: int, now_ns: int) -> None:
        """A ping goes out. nonce: 0 if no answer will come."""
        self._nonce = nonce
        self._pinged_ns = now_ns
        self.plan(now_ns)

    def ponged(self, nonce: int | None, now_ns: int) -> str | None:
        """An answer came; why it is none, if so."""
        if not self._nonce:
            return "Unsolicited pong without ping"
        if nonce == self._nonce:
            self.ping_ns = now_ns - self._pinged_ns
            self.min_ping_ns = min(self.ping_ns, self.min_ping_ns or self.ping_ns)
        elif nonce:
            return "Nonce mismatch"  # pings may overlap
        # Without a nonce, or with zero, it is a mistake of the other side's: wait no longer.
        self._nonce = 0
        self.plan(now_ns)
        return None

    def ping_wait_ns(self, now_ns: int) -> int | None:
        """How long a ping has been waiting for its answer."""
        return now_ns - self._pinged_ns if self._nonce else None

    def is_ping_due(self, now_ns: int) -> bool:
        """Whether it is time for the next."""
        return self._is_ready and not self._nonce and now_ns >= self._pinged_ns + PING_INTERVAL_NS

    def overdue(self, now_ns: int) -> str | None:
        """What we have waited for too long. The reasons are the reference client's."""
        if now_ns >= self._patient_until_ns:
            if self.received_ns is None or self.sent_ns is None:
                return self._never()
            silent_ns = now_ns - self.received_ns
            if silent_ns >= TIMEOUT_INTERVAL_NS:
                return f"socket receive timeout: {silent_ns // SECOND_NS}s"
            if not self._is_ready:
                return "version handshake timeout"
            if self._nonce and now_ns >= self._pinged_ns + TIMEOUT_INTERVAL_NS:
                waited_us = (now_ns - self._pinged_ns) // 1000
                return f"ping timeout: {waited_us // 10**6}.{waited_us % 10**6:06}s"
        if self._is_ready and self._lasts_ns is not None and now_ns >= self._lasts_ns:
            return "addrfetch connection timeout"
        return None

    def _never(self) -> str:
        waited_s = (self._patient_until_ns - self._connected_ns) // SECOND_NS
        never = [
            what
            for when, what in (
                (self.received_ns, "never received from peer"),
                (self.sent_ns, "never sent to peer"),
            )
            if when is None
        ]
        return f"socket no message in first {waited_s} seconds, {', '.join(never)}"

    def plan(self, now_ns: int) -> None:
        """Find the next time at which something may be due."""
        if not self._is_ready:
            self.wake_at_ns = self._patient_until_ns
            return
        received_ns = now_ns if self.received_ns is None else self.received_ns
        at_ns = received_ns + TIMEOUT_INTERVAL_NS
        if self._nonce:
            at_ns = min(at_ns, self._pinged_ns + TIMEOUT_INTERVAL_NS)
            at_ns = max(at_ns, self._patient_until_ns)
        else:
            at_ns = min(at_ns, self._pinged_ns + PING_INTERVAL_NS)
        if self._lasts_ns is not None:
            at_ns = min(at_ns, self._lasts_ns)
        self.wake_at_ns = max(now_ns, at_ns)
