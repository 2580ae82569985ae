"""Bytes from and for peers: the event and the action that there are of most."""

from typing import ClassVar

from drystone.core.record import Record


class Received(Record):
    """Bytes came in, cut anyhow."""

    __slots__ = ("data", "peer")
    __match_args__: ClassVar[tuple[str, ...]] = ("peer", "data")

    def __init__(self, peer: int, data: bytes) -> None:
        self.peer = peer
        self.data = data


class Send(Record):
    """Bytes for a peer."""

    __slots__ = ("data", "peer")
    __match_args__: ClassVar[tuple[str, ...]] = ("peer", "data")

    def __init__(self, peer: int, data: bytes) -> None:
        self.peer = peer
        self.data = data
