"""The tutorial's first node (its section "Basic nodes"): it tells the others how long it sleeps.

A message is 3 bytes: the sender's port (2, big-endian) and seconds (1).
"""

from collections.abc import Iterable
from typing import Protocol

from drystone.classic.events import (
    Action,
    Event,
    OtherSleeps,
    Received,
    Refused,
    SelfSleeps,
    Send,
    Time,
    WakeAt,
)
from drystone.classic.inbox import Inbox
from drystone.classic.node import LISTEN_NS

MESSAGE_BYTES = 3
LONGEST_SLEEP = 9


class Dice(Protocol):
    """Where the random seconds come from."""

    def below(self, bound: int) -> int:
        """An integer from 0 to bound - 1, each as likely."""


class Hello:
    """One basic node. The first event it wants is `Wake`.

    listen_ns: how long it listens before it speaks; it also is the length of a sleeping "second".
    """

    def __init__(
        self, port: int, ports: Iterable[int], dice: Dice, *, listen_ns: int = LISTEN_NS
    ) -> None:
        self.port = port
        self._others = tuple(p for p in ports if p != port)
        self._dice = dice
        self._listen_ns = listen_ns
        self._listening = False
        self._deadline_ns = 0
        self._inbox = Inbox()

    def handle(self, event: Event, now: Time) -> list[Action]:
        """Take one event and say what is to be done, in that order."""
        if isinstance(event, Received):
            if not self._listening:
                self._inbox.put(event.data)
                return []
            return self._hear(event.data, now)
        if now.mono_ns < self._deadline_ns:
            return [WakeAt(self._deadline_ns)]
        return self._speak(now) if self._listening else self._listen(now)

    def _listen(self, now: Time) -> list[Action]:
        self._listening = True
        self._deadline_ns = now.mono_ns + self._listen_ns
        actions: list[Action] = []
        while self._inbox:
            actions += self._hear(self._inbox.pop(), now)
        return [*actions, WakeAt(self._deadline_ns)]

    def _hear(self, data: bytes, now: Time) -> list[Action]:
        """Print another node's message. As in the tutorial, each starts the second again."""
        if len(data) != MESSAGE_BYTES:
            return [Refused(f"{len(data)} bytes, a message has {MESSAGE_BYTES}")]
        self._deadline_ns = now.mono_ns + self._listen_ns
        port, seconds = int.from_bytes(data[:2], "big"), data[2]
        return [OtherSleeps(port, seconds), WakeAt(self._deadline_ns)]

    def _speak(self, now: Time) -> list[Action]:
        seconds = 1 + self._dice.below(LONGEST_SLEEP)
        message = self.port.to_bytes(2, "big") + seconds.to_bytes(1, "big")
        self._listening = False
        self._deadline_ns = now.mono_ns + seconds * self._listen_ns
        sends = [Send(port, message) for port in self._others]
        return [*sends, SelfSleeps(self.port, seconds), WakeAt(self._deadline_ns)]
