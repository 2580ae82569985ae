"""One TCP connection: bytes out of the socket into the core's inbox, and out of the core into it.

Whoever floods us is read no further than a bounded inbox holds, and whoever doesn't read loses
the connection.
"""

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, cast

from drystone.core.link import Direction
from drystone.core.streams import (
    CHUNK_BYTES,
    CLOSED_HERE,
    CLOSED_THERE,
    LOST,
    LOW_WATER_BYTES,
    RESET,
    TOO_SLOW,
    Connection,
)
from drystone.drivers.delay import DelayLine, Item
from drystone.drivers.sockets import SocketAddress

if TYPE_CHECKING:
    from drystone.drivers.tcp import TcpStreams

READ_BYTES: Final = 1 << 18  # at most at a time
INBOX_BYTES: Final = 1_000_000  # of one connection; beyond that it is not read
HOST_INBOX_BYTES: Final = 16_000_000  # of all connections of a host together
LINGER_S: Final = 10  # for what was sent last, and for the other side's end
LINGER_BYTES: Final = 5_000_000  # that may still come in meanwhile, to nowhere
_READ_BYTES_WHEN_FULL: Final = 1 << 10  # a read can't be of nothing
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class TcpConnection(asyncio.BufferedProtocol):
    """One of a host's connections, known to it from `connection_made` until its end.

    other: the name of the host at the other end, or where it is if it is not of this process.
    buffer: what is read into; it can be shared, since it is emptied at once.
    """

    def __init__(
        self,
        host: "TcpStreams",
        other: Hashable,
        address: SocketAddress,
        direction: Direction,
        buffer: memoryview,
        *,
        inbound: bool,
        held: bool,
    ) -> None:
        self.host = host
        self.other = other
        self.address = address
        self.inbound = inbound
        self.peer = 0
        self.is_open = False
        self.line = DelayLine(direction, self._arrive)
        self._loop = asyncio.get_running_loop()
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._since_ns = 0
        self._sent_bytes = 0
        self._received_bytes = 0
        self._untaken_bytes = 0  # handed over, and not yet through the core
        self._unwanted_bytes = 0  # read after the end
        self._is_reading = True
        self._backlog: deque[bytes] = deque()  # what the transport doesn't take yet
        self._backlog_bytes = 0
        self._is_full = False  # the transport
        self._is_held = held
        self._is_paused = False  # the core was told to pause
        self._is_leaving = False  # nothing more to be said, once the backlog is through
        self._has_ended_there = False  # nothing more will be read
        self._lingering: asyncio.TimerHandle | None = None

    # What the host does.

    def send(self, data: bytes) -> None:
        """Give bytes to the socket, or keep them until it takes them."""
        if self._transport is None or self._transport.is_closing():
            return  # it is over, though not all that came in has arrived
        self._sent_bytes += len(data)
        if not self._backlog and not self._is_full and not self._is_held:
            self._transport.write(data)
            if not self._is_full:
                return
        else:
            self._backlog.append(data)
            self._backlog_bytes += len(data) + CHUNK_BYTES
        queued_bytes = self.queued_bytes()
        if queued_bytes > self.host.max_queued_bytes:
            self.abort(TOO_SLOW)
        elif queued_bytes > self.host.high_water_bytes and not self._is_paused:
            self._is_paused = True
            self._loop.call_soon(self._tell_paused)

    def taken(self, size_bytes: int) -> None:
        """The core is through with so much of what it was handed: see `TcpStreams.taken`."""
        self._untaken_bytes -= size_bytes
        self.mind_inbox()

    def close(self) -> None:
        """Say no more and listen no more. What was sent still arrives."""
        if self.is_open:
            self._forget(CLOSED_HERE)
            self._is_leaving = True
            self._empty_backlog()
            # Read on, to nowhere: were bytes left unread, the system would throw away ours.
            self.mind_inbox()
            self._linger()

    def abort(self, reason: str) -> None:
        """End it at once; the other side is told by a reset."""
        self._forget(reason)
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def hold(self) -> None:
        """A silent partition: let nothing through, either way."""
        self._is_held = True
        self.line.hold()
        self.mind_inbox()
        self._stop_lingering()

    def release(self) -> None:
        """It has healed."""
        if self._is_held:
            self._is_held = False
            self.line.release()
            self._empty_backlog()
            self.mind_inbox()
            if self._is_leaving:
                self._linger()

    def queued_bytes(self) -> int:
        """Sent, and still in our hands."""
        unwritten = self._transport.get_write_buffer_size() if self._transport else 0
        return self._backlog_bytes + unwritten

    def statistics(self) -> Connection[SocketAddress]:
        """What there is to say of it."""
        return Connection(
            self.peer,
            self.address,
            self.inbound,
            self._since_ns,
            self._sent_bytes,
            self._received_bytes,
            self.queued_bytes(),
        )

    # What the event loop does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a connection."""
        # Not by isinstance: the event loop's own class derives from it only in later versions.
        self._transport = cast("asyncio.Transport", transport)
        self._since_ns = time.monotonic_ns()
        if self._is_held:
            self.line.hold()
        self.is_open = True
        self.host.opened(self)
        self.mind_inbox()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Where to read into."""
        return self._buffer[:_READ_BYTES_WHEN_FULL] if self.host.is_full else self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came in."""
        if self.is_open:
            self._received_bytes += nbytes
            self.line.put(bytes(self._buffer[:nbytes]))
            self.mind_inbox()
            return
        self._unwanted_bytes += nbytes
        if self._unwanted_bytes > LINGER_BYTES:  # it has other things to do than to hear us out
            self.abort(CLOSED_HERE)

    def eof_received(self) -> bool:
        """The other side has said all. True keeps the connection until what it said has arrived."""
        self._has_ended_there = True
        if self.is_open:
            self.line.put(CLOSED_THERE)
        return self.is_open

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone; what came before may still be under way."""
        self._transport = None
        self._stop_lingering()
        if self.is_open:
            self.line.put(LOST if isinstance(exc, TimeoutError) else RESET if exc else CLOSED_THERE)
        self.host.lost(self)

    def pause_writing(self) -> None:
        """The transport has enough."""
        self._is_full = True

    def resume_writing(self) -> None:
        """It takes more."""
        self._is_full = False
        self._empty_backlog()

    # Inwards.

    def _arrive(self, item: Item) -> None:
        if not self.is_open:
            return
        if isinstance(item, bytes):
            self._untaken_bytes += len(item) + CHUNK_BYTES
            self.host.received(self, item)
        elif item == CLOSED_THERE:
            self._forget(item, at_once=True)
            if self._transport is not None:
                self._transport.close()
                self._linger()
        else:
            self._forget(item, at_once=True)
            self.abort(item)

    def mind_inbox(self) -> None:
        """Read on, or no further."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        inbox_bytes = self._untaken_bytes + self.line.waiting_bytes
        if self._is_held:
            may_read = False
        elif not self.is_open:
            may_read = True
        elif self._is_reading:
            may_read = inbox_bytes <= INBOX_BYTES and not self.host.is_full
        else:
            may_read = inbox_bytes <= INBOX_BYTES // 2 and not self.host.is_full
        if may_read == self._is_reading:
            return
        self._is_reading = may_read
        if may_read:
            transport.resume_reading()
        else:
            transport.pause_reading()
            if self.host.is_full:
                self.host.waits_for_room(self)

    # Outwards.

    def _empty_backlog(self) -> None:
        if self._transport is None or self._is_held:
            return
        while self._backlog and not self._is_full:
            batch = []
            size = 0
            while self._backlog and size < READ_BYTES:
                data = self._backlog.popleft()
                batch.append(data)
                size += len(data)
            self._backlog_bytes -= size + CHUNK_BYTES * len(batch)
            self._transport.write(b"".join(batch))
        if self._is_paused and self.queued_bytes() <= LOW_WATER_BYTES:
            self._is_paused = False
            if self.is_open:
                self._loop.call_soon(self._tell_resumed)
        if self._is_leaving and not self._backlog and not self._transport.is_closing():
            if self._has_ended_there:
                self._transport.close()
                return
            try:
                self._transport.write_eof()
            except OSError:  # reset by the other side, and we have not read so yet
                self._transport.abort()

    def _tell_paused(self) -> None:
        if self._is_paused and self.is_open:
            self.host.user.paused(self.peer)

    def _tell_resumed(self) -> None:
        if not self._is_paused and self.is_open:
            self.host.user.resumed(self.peer)

    # The end.

    def _forget(self, reason: str, *, at_once: bool = False) -> None:
        """It is over for the core. at_once: we are not within a call of the core's."""
        if self.is_open:
            self.is_open = False
            self.line.drop()
            self.host.ended(self)
            if at_once:
                self.host.tell_closed(self, reason)
            else:
                self._loop.call_soon(self.host.tell_closed, self, reason)

    def _linger(self) -> None:
        """Give the last bytes time; not while they are held."""
        if not self._is_held and self._transport is not None and self._lingering is None:
            self._lingering = self._loop.call_later(LINGER_S, self.abort, CLOSED_HERE)
            self.host.lingers(self)

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
