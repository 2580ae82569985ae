"""Real chains and a hand-cranked node, for tests of the tutorial's network."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from unittest.mock import patch

from drystone.classic.block import (
    EMPTY_BLOCK_BYTES,
    GENESIS,
    Block,
    Header,
    Transaction,
    reward_block,
)
from drystone.classic.chain import GENESIS_CHAIN, Chain
from drystone.classic.events import (
    Action,
    Announcement,
    Event,
    Received,
    Search,
    Searched,
    Send,
    Wake,
    WakeAt,
    line_of,
)
from drystone.classic.node import Node
from drystone.classic.pow import search
from drystone.core.time import SECOND_NS, Time
from drystone.primitives.hashes import sha256d

PORTS = (7000, 8000, 9000)
FULL = 122  # reward blocks that fill one datagram
FIRST_TIMESTAMP = GENESIS.header.timestamp + 600  # the vector's: solved by nonce 58,768
FIRST_NONCE = 58_768


@lru_cache(maxsize=1 << 12)
def solve(previous_hash: bytes, timestamp: int, start: int = 0) -> Header:
    """A header with work on the block with that hash: the first nonce from start that has it."""
    attempt = Header(previous_hash, timestamp, start)
    nonce = search(attempt, 1 << 22)  # not to find one has a chance of e^-64
    assert nonce is not None
    return Header(previous_hash, timestamp, nonce)


def extended(chain: Chain, *transactions: Transaction, timestamp: int) -> Chain:
    """The chain with one more block, really mined, that has just these transactions."""
    return chain.extended(Block(solve(chain.tip_hash, timestamp), transactions))


@cache
def chain_of(blocks: int, *, branch: int = 0) -> Chain:
    """A valid chain of so many blocks with genesis, the same in every run.

    Branches share genesis and nothing else. Branch 0 has the issue's vector as its first block.
    """
    if blocks == 1:
        return GENESIS_CHAIN
    before = chain_of(blocks - 1, branch=branch)
    timestamp = FIRST_TIMESTAMP + 600 * (blocks - 2) + branch
    return before.extended(reward_block(solve(before.tip_hash, timestamp), PORTS[branch % 3]))


def fork_of(blocks: int, *, at: int, branch: int = 1) -> Chain:
    """A chain of so many blocks that shares the first `at` with `chain_of`."""
    chain = chain_of(at)
    while len(chain.blocks) < blocks:
        timestamp = FIRST_TIMESTAMP + 600 * (len(chain.blocks) - 1) + branch
        header = solve(chain.tip_hash, timestamp)
        chain = chain.extended(reward_block(header, PORTS[branch % 3]))
    return chain


def with_other_reward(raw: bytes, port: int = 4242) -> bytes:
    """A block's twin: the same header, so the same hash and work, and another receiver."""
    assert len(raw) == EMPTY_BLOCK_BYTES + 4
    return raw[:-2] + port.to_bytes(2, "big")


@contextmanager
def counting_hashes() -> Iterator[list[bytes]]:
    """Every header that chain checking hashes while this lasts."""
    hashed: list[bytes] = []

    def counted(data: bytes) -> bytes:
        hashed.append(data)
        return sha256d(data)

    with patch("drystone.classic.chain.sha256d", counted):
        yield hashed


class Cranked:
    """A node whose clock stands still until the test moves it.

    The node's wake-ups are noted in `wake_at_ns`, its open search in `wanted`; nothing happens
    by itself. `lines` has everything that it has printed so far.
    """

    def __init__(
        self,
        port: int = 7000,
        *,
        ports: tuple[int, ...] = PORTS,
        listen_ns: int = SECOND_NS,
        nonces: int = 1000,
        unix_s: int = FIRST_TIMESTAMP,
    ) -> None:
        self.node = Node(port, ports, listen_ns=listen_ns, nonces=nonces)
        self._unix_start = unix_s
        self.now = Time(0, unix_s)
        self.lines: list[str] = []
        self.wake_at_ns: int | None = None
        self.wanted: Search | None = None

    def handle(self, event: Event) -> list[Action]:
        """Hand the node an event, note what it asks for, and return all that it answers."""
        if isinstance(event, Searched):
            self.wanted = None
        actions = self.node.handle(event, self.now)
        for action in actions:
            match action:
                case WakeAt(mono_ns):
                    self.wake_at_ns = mono_ns
                case Search():
                    assert self.wanted is None
                    self.wanted = action
                case Send():
                    pass
                case told:
                    if line := line_of(told):
                        self.lines.append(line)
        return actions

    def begin(self) -> list[Action]:
        """The first event."""
        return self.handle(Wake())

    def receive(self, data: bytes) -> list[Action]:
        """A datagram comes in."""
        return self.handle(Received(data))

    def pass_time(self, seconds: float) -> None:
        """Move both clocks; nobody is woken."""
        mono_ns = self.now.mono_ns + round(seconds * SECOND_NS)
        self.now = Time(mono_ns, self._unix_start + mono_ns // SECOND_NS)

    def wake(self) -> list[Action]:
        """Move the clocks to the wake-up that the node asked for, and wake it."""
        assert self.wake_at_ns is not None
        self.pass_time((self.wake_at_ns - self.now.mono_ns) / SECOND_NS)
        self.wake_at_ns = None
        return self.handle(Wake())

    def find(self) -> list[Action]:
        """Answer the open search with the first solution from its start, however far away."""
        assert self.wanted is not None
        header = self.wanted.header
        return self.handle(
            Searched(solve(header.previous_hash, header.timestamp, header.nonce).nonce)
        )

    def find_nothing(self) -> list[Action]:
        """Answer the open search in vain."""
        assert self.wanted is not None
        return self.handle(Searched(None))

    def to_search(self) -> "Cranked":
        """Begin and let the first second pass: now it searches."""
        self.begin()
        self.wake()
        assert self.wanted is not None
        return self


def told(actions: list[Action]) -> list[Announcement]:
    """The announcements among the actions."""
    return [a for a in actions if not isinstance(a, Send | WakeAt | Search)]
