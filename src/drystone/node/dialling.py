"""Connections that the user wants: dialled, and dialled again when they are lost."""

from typing import Final

from drystone.core.time import SECOND_NS
from drystone.p2p.netaddress import NetAddress

FIRST_RETRY_NS: Final = SECOND_NS
LAST_RETRY_NS: Final = 60 * SECOND_NS  # Core: dials added nodes again every minute


class _Wanted:
    __slots__ = ("dial_at_ns", "is_busy", "is_connected", "wait_ns")

    def __init__(self) -> None:
        self.is_busy = False  # being dialled, or connected
        self.is_connected = False
        self.dial_at_ns = 0
        self.wait_ns = FIRST_RETRY_NS  # after the next failure; doubles with each


class Dialling:
    """Which addresses to dial, and when."""

    def __init__(self, last_retry_ns: int = LAST_RETRY_NS) -> None:
        self._last_retry_ns = last_retry_ns
        self._wanted: dict[NetAddress, _Wanted] = {}
        self._given_up: dict[NetAddress, None] = {}  # while they were being dialled
        self._idle: dict[NetAddress, _Wanted] = {}  # of these, those that are not busy

    def want(self, address: NetAddress) -> None:
        """Dial it as soon as may be, and again whenever the connection is lost."""
        self._given_up.pop(address, None)
        wanted = self._wanted.setdefault(address, _Wanted())
        if not wanted.is_busy:
            self._idle[address] = wanted
        wanted.dial_at_ns = 0
        wanted.wait_ns = FIRST_RETRY_NS

    def forget(self, address: NetAddress) -> None:
        """Dial it no more. A connection that is just being made is not wanted either."""
        wanted = self._wanted.pop(address, None)
        self._idle.pop(address, None)
        if wanted is not None and wanted.is_busy and not wanted.is_connected:
            self._given_up[address] = None

    def was_given_up(self, address: NetAddress) -> bool:
        """Whether the connection that has just been made there is not wanted any more."""
        if address not in self._given_up:
            return False
        del self._given_up[address]
        return True

    def connected(self, address: NetAddress) -> None:
        """Somebody answers there."""
        if address in self._wanted:
            self._wanted[address].is_busy = True
            self._wanted[address].is_connected = True
            self._idle.pop(address, None)

    def ready(self, address: NetAddress) -> None:
        """A node answers there, so that the next failure is the first."""
        if address in self._wanted:
            self._wanted[address].wait_ns = FIRST_RETRY_NS

    def lost(self, address: NetAddress, now_ns: int) -> None:
        """The connection, or the hope of one, is over."""
        self._given_up.pop(address, None)
        wanted = self._wanted.get(address)
        if wanted is not None:
            wanted.is_busy = wanted.is_connected = False
            self._idle[address] = wanted
            wanted.dial_at_ns = now_ns + wanted.wait_ns
            wanted.wait_ns = min(2 * wanted.wait_ns, self._last_retry_ns)

    def due(self, now_ns: int) -> list[NetAddress]:
        """The addresses to dial now; that they are being dialled is noted."""
        due = [
            address
            for address, wanted in self._wanted.items()
            if not wanted.is_busy and wanted.dial_at_ns <= now_ns
        ]
        for address in due:
            self._idle.pop(address).is_busy = True
        return due

    def due_at(self) -> int | None:
        """When something is to be dialled next."""
        if not self._idle:
            return None
        return min([wanted.dial_at_ns for wanted in self._idle.values()])
