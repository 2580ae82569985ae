"""What a peer's machine wants done: the same few things, whatever happened."""

from dataclasses import dataclass
from typing import NamedTuple

from drystone.p2p.messages import Message

# The first two are NamedTuples, since every message makes one: that takes half the time.


class Deliver(NamedTuple):
    """A message for the node."""

    message: Message


class Send(NamedTuple):
    """Bytes for the other side."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """The handshake is over: from now on, anything may be sent."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that changes nothing, and why. For the log."""

    command: str
    reason: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection. Nothing comes after it."""

    reason: str
    misbehaved: bool = False  # and be slow to connect to that address again. Core: Discourage


Result = Deliver | Send | Ready | Ignored | Disconnect
