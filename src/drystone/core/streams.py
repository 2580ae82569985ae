"""What a host has to do with connections, in real and in virtual time alike.

A world hands each host a `Streams`, to dial and send with, and tells it through its `StreamUser`
what happens. It never does so from within a call of the host's own.
"""

from collections.abc import Hashable
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

Address = TypeVar("Address", bound=Hashable)
Address_contra = TypeVar("Address_contra", contravariant=True)

DIAL_TIMEOUT_S: Final = 5  # Core: DEFAULT_CONNECT_TIMEOUT
HIGH_WATER_BYTES: Final = 1_000_000  # on their way to one peer: time to pause. Core: -maxsendbuffer
LOW_WATER_BYTES: Final = HIGH_WATER_BYTES // 2  # time to go on
MAX_QUEUED_BYTES: Final = 32_000_000  # too slow: the connection ends; eight of the largest blocks
CHUNK_BYTES: Final = 128  # what each send takes in memory besides its bytes, and counts for

# Reasons of an end. Whoever shows them shows these words.
CLOSED_HERE: Final = "closed"
CLOSED_THERE: Final = "closed by the other side"
RESET: Final = "reset by the other side"
LOST: Final = "lost: a packet did not get through"
CUT: Final = "cut off by a partition"
TOO_SLOW: Final = "too slow: it does not take what it is sent"
NOBODY: Final = "nobody listens there"
NO_ADDRESS: Final = "no such address"
TIMED_OUT: Final = "no answer in time"


class StreamUser(Protocol[Address_contra]):
    """Who is told of connections.

    peer: the number of one connection of this host, never used again. Each `connected` is followed
    by exactly one `closed`, whoever ends it, and by nothing after that.
    """

    def connected(self, peer: int, *, inbound: bool, address: Address_contra) -> None:
        """There is a connection. address: the one dialled; inbound, where it comes from."""

    def received(self, peer: int, data: bytes) -> None:
        """Bytes came in, in order, cut anyhow, never none."""

    def closed(self, peer: int, reason: str) -> None:
        """The connection is over; all that arrived before has been handed over."""

    def refused(self, address: Address_contra, reason: str) -> None:
        """What was dialled did not become a connection."""

    def paused(self, peer: int) -> None:
        """More than HIGH_WATER_BYTES are on their way to it: better send no more for now."""

    def resumed(self, peer: int) -> None:
        """After a pause, no more than LOW_WATER_BYTES are left."""


class Connection(NamedTuple, Generic[Address]):
    """What there is to say of one connection of a host.

    queued_bytes: sent and not yet out of our hands, CHUNK_BYTES for each send included.
    """

    peer: int
    address: Address
    inbound: bool
    since_ns: int  # monotonic
    sent_bytes: int
    received_bytes: int
    queued_bytes: int


class Streams(Protocol[Address]):
    """One host's connections. What it does to one that is over does nothing."""

    def listen(self, address: Address) -> Address:
        """Take connections at an address from now on; the address really taken."""

    def dial(self, address: Address) -> None:
        """Connect; `connected` or `refused` follows."""

    def send(self, peer: int, data: bytes) -> None:
        """Send bytes. If more than MAX_QUEUED_BYTES wait for the peer, the connection ends."""

    def close(self, peer: int) -> None:
        """End a connection. What was sent before still arrives; what comes in no longer does."""

    def connections(self) -> list[Connection[Address]]:
        """Those that are there, in order of their numbers."""
