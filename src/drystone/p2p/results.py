"""What a peer's machine wants done: the same few things, whatever happened."""

from typing import ClassVar

from drystone.core.record import Record
from drystone.p2p.messages import Message


class Deliver(Record):
    """A message for the node."""

    __slots__ = ("message",)
    __match_args__: ClassVar[tuple[str, ...]] = ("message",)

    def __init__(self, message: Message) -> None:
        self.message = message


class Send(Record):
    """Bytes for the other side."""

    __slots__ = ("data",)
    __match_args__: ClassVar[tuple[str, ...]] = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Ready(Record):
    """The handshake is over: from now on, anything may be sent."""

    __slots__ = ()


class Ignored(Record):
    """A message that changes nothing, and why. For the log."""

    __slots__ = ("command", "reason")
    __match_args__: ClassVar[tuple[str, ...]] = ("command", "reason")

    def __init__(self, command: str, reason: str) -> None:
        self.command = command
        self.reason = reason


class Disconnect(Record):
    """Close the connection. Nothing comes after it.

    misbehaved: and be slow to connect to that address again. Core: Discourage.
    """

    __slots__ = ("misbehaved", "reason")
    __match_args__: ClassVar[tuple[str, ...]] = ("reason", "misbehaved")

    def __init__(self, reason: str, misbehaved: bool = False) -> None:  # noqa: FBT001, FBT002
        self.reason = reason
        self.misbehaved = misbehaved


Result = Deliver | Send | Ready | Ignored | Disconnect
