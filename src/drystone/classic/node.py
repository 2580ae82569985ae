"""The tutorial's mining node as a state machine: listen, search, sleep, by turns.

```
            a second passes              not found
  listening ---------------> searching ------------+
   ^  ^  |                       | found: append, broadcast
   |  |  | longer chain: copy    v                 |
   |  |  +------> sleeping     (CREATE)            |
   |  +--------------+            |                |
   +------------------------------+----------------+
```
"""

from collections.abc import Iterable
from dataclasses import replace
from enum import Enum

from drystone.classic.block import ClassicInvalid, Header, reward_block
from drystone.classic.chain import GENESIS_CHAIN, Chain, KnownBlocks, check_chain
from drystone.classic.events import (
    Action,
    Copied,
    Created,
    Event,
    Filled,
    Ignored,
    Received,
    Resent,
    Search,
    Searched,
    Send,
    Slept,
    Time,
    Tried,
    Wake,
    WakeAt,
)
from drystone.classic.inbox import Inbox

LISTEN_NS = 1_000_000_000
NONCES_PER_TURN = 1000
RESEND_TURNS = 10


class State(Enum):
    """Where a node is in its turn."""

    LISTENING = "listening"
    SEARCHING = "mining"
    SLEEPING = "sleeping"


class Node:
    """One mining node. `handle` is its only door; the first event it wants is `Wake`.

    port: its own. ports: of all nodes, in the order of broadcast. listen_ns: how long a turn
    listens; it also is the length of SLEEP's "second". nonces: tried in a turn.
    """

    def __init__(
        self,
        port: int,
        ports: Iterable[int],
        *,
        listen_ns: int = LISTEN_NS,
        nonces: int = NONCES_PER_TURN,
    ) -> None:
        self.port = port
        self.chain: Chain = GENESIS_CHAIN
        self.state = State.SLEEPING
        self._others = tuple(p for p in ports if p != port)
        self._listen_ns = listen_ns
        self._nonces = nonces
        self._deadline_ns = 0  # of the listening or sleeping that is under way
        self._attempt: Header | None = None  # None: begin anew on the tip at the next turn
        self._inbox = Inbox()
        self._known = KnownBlocks()
        self._idle_turns = 0  # since a full chain was last sent
        self._told_full = False

    def handle(self, event: Event, now: Time) -> list[Action]:
        """Take one event and say what is to be done, in that order."""
        match event:
            case Received(data):
                if self.state is not State.LISTENING:
                    self._inbox.put(data)
                    return []
                return self._consider(data, now)
            case Wake():
                return self._wake(now)
            case Searched(nonce):
                return self._searched(nonce, now)

    def _wake(self, now: Time) -> list[Action]:
        if self.state is State.SEARCHING:
            return []
        if now.mono_ns < self._deadline_ns:
            return [WakeAt(self._deadline_ns)]
        if self.state is State.SLEEPING:
            return self._listen(now)
        return self._end_of_listening(now)

    def _listen(self, now: Time) -> list[Action]:
        """Enter a turn: first hear what has waited, then listen until the second is over.

        The second starts here and no datagram extends it. The tutorial starts it again at each
        one, so that junk every 0.9 s stops its mining for good.
        """
        self.state = State.LISTENING
        self._deadline_ns = now.mono_ns + self._listen_ns
        if self._attempt is None:
            self._attempt = Header(self.chain.tip_hash, timestamp=now.unix_s, nonce=0)
        actions: list[Action] = []
        if self.chain.is_full and not self._told_full:
            self._told_full = True
            actions.append(Filled(len(self.chain.blocks), len(self.chain.data)))
        while self._inbox and self.state is State.LISTENING:
            actions += self._consider(self._inbox.pop(), now)
        if self.state is State.LISTENING:
            actions.append(WakeAt(self._deadline_ns))
        return actions

    def _consider(self, data: bytes, now: Time) -> list[Action]:
        """Replace our chain by a longer valid one, and sleep; ignore anything else."""
        try:
            chain = check_chain(data, self.chain, self._known)
            if len(chain.blocks) <= len(self.chain.blocks):
                raise ClassicInvalid(
                    "not-longer", f"{len(chain.blocks)} blocks, we have {len(self.chain.blocks)}"
                )
        except ClassicInvalid as error:
            return [Ignored(error.reason, error.detail)]
        self._adopt(chain)
        seconds = (self.port + len(chain.blocks)) % 3 + 1
        self.state = State.SLEEPING
        self._deadline_ns = now.mono_ns + seconds * self._listen_ns
        return [Copied(chain), Slept(seconds), WakeAt(self._deadline_ns)]

    def _end_of_listening(self, now: Time) -> list[Action]:
        if self.chain.is_full:
            return self._idle_turn(now)
        assert self._attempt is not None
        self.state = State.SEARCHING
        return [
            Tried(self._attempt.nonce, self._nonces),
            Search(self._attempt, self._nonces),
        ]

    def _idle_turn(self, now: Time) -> list[Action]:
        """With a full chain there is nothing to mine: say it again for those who come late."""
        actions: list[Action] = []
        self._idle_turns += 1
        if self._idle_turns == RESEND_TURNS:
            self._idle_turns = 0
            actions += [*self._broadcast(), Resent(self.chain)]
        return actions + self._listen(now)

    def _searched(self, nonce: int | None, now: Time) -> list[Action]:
        assert self.state is State.SEARCHING and self._attempt is not None
        if nonce is None:
            self._attempt = replace(self._attempt, nonce=self._attempt.nonce + self._nonces)
            return self._listen(now)
        block = reward_block(replace(self._attempt, nonce=nonce), self.port)
        self._known.hash_of(block.encode())  # checked like anyone else's, and remembered
        self._adopt(self.chain.extended(block))
        return [*self._broadcast(), Created(block, self.chain), *self._listen(now)]

    def _adopt(self, chain: Chain) -> None:
        self.chain = chain
        self._attempt = None
        self._idle_turns = 0

    def _broadcast(self) -> list[Action]:
        return [Send(port, self.chain.data) for port in self._others]
