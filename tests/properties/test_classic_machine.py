"""A classic node meets every event in every state, in any order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.classic import FULL, PORTS, Cranked, chain_of, fork_of, with_other_reward

from drystone.classic.block import ClassicInvalid
from drystone.classic.chain import GENESIS_CHAIN, KnownBlocks, check_chain
from drystone.classic.events import (
    Action,
    Copied,
    Created,
    Filled,
    Ignored,
    Resent,
    Send,
    Slept,
    Wake,
    WakeAt,
)
from drystone.classic.inbox import BUFFER_BYTES
from drystone.classic.node import State
from drystone.core.time import SECOND_NS

TELLS_OF_CHAIN = (Copied, Created)


def datagrams() -> st.SearchStrategy[bytes]:
    """Junk, valid chains of two branches and their forks, twins, and damaged chains."""
    valid = st.one_of(
        st.builds(chain_of, st.integers(1, 8), branch=st.integers(0, 1)),
        st.builds(fork_of, st.integers(5, 8), at=st.integers(3, 4)),
    ).map(lambda chain: chain.data)
    twins = st.integers(2, 8).map(
        lambda n: chain_of(n - 1).data + with_other_reward(chain_of(n).blocks[-1])
    )
    cut = st.builds(lambda data, n: data[:-n], valid, st.integers(1, 80))
    longer = st.builds(lambda data, more: data + more, valid, st.binary(min_size=1, max_size=100))
    return st.one_of(valid, twins, cut, longer, st.binary(max_size=300), st.just(bytes(9217)))


class AnyNode(RuleBasedStateMachine):
    """A node at the tutorial's pace; what must hold of its answers is in `take` and below."""

    def __init__(self) -> None:
        super().__init__()
        self.node = Cranked(7000, unix_s=1_700_000_000)
        self.heights = [0]
        self.has_begun = False

    def take(self, actions: list[Action]) -> None:
        """What must hold of any answer."""
        if not actions:
            return
        node = self.node.node
        sends = [a for a in actions if isinstance(a, Send)]
        kinds = [type(a) for a in actions]
        if Created in kinds:
            # Broadcast to all others, in order, before the line; the chain as it was then.
            at = kinds.index(Created)
            created = actions[at]
            assert isinstance(created, Created)
            assert actions[:at] == [Send(p, created.chain.data) for p in PORTS[1:]]
            assert created.chain.blocks[-1] == created.block.encode()
        elif sends:
            assert Resent in kinds and node.chain.is_full
        for kind, action in zip(kinds, actions, strict=True):
            if isinstance(action, TELLS_OF_CHAIN):
                self.heights.append(action.chain.height)
            if kind is Copied:
                assert kinds[kinds.index(Copied) + 1] is Slept
        if Filled in kinds:
            assert node.chain.is_full
        # Whoever waits has asked to be woken; whoever searches has been given its search.
        if node.state is State.SEARCHING:
            assert self.node.wanted is not None
        else:
            assert WakeAt in kinds or kinds == [Ignored]
            assert self.node.wanted is None

    @initialize(nearly_full=st.sampled_from([None, None, None, FULL - 1, FULL]))
    def may_hold_a_long_chain(self, nearly_full: int | None) -> None:
        if nearly_full is not None:
            self.take(self.node.begin())
            self.take(self.node.receive(chain_of(nearly_full).data))
            self.has_begun = True

    @precondition(lambda self: not self.has_begun)
    @rule()
    def begin(self) -> None:
        self.has_begun = True
        self.take(self.node.begin())

    @rule(data=datagrams())
    def receive(self, data: bytes) -> None:
        self.take(self.node.receive(data))

    @rule(data=datagrams(), count=st.sampled_from([20, 400]))
    def flood(self, data: bytes, count: int) -> None:
        for _ in range(count):
            self.take(self.node.receive(data))

    @precondition(lambda self: self.node.wake_at_ns is not None)
    @rule()
    def wake(self) -> None:
        self.take(self.node.wake())

    @precondition(lambda self: self.has_begun)
    @rule(seconds=st.floats(0, 3))
    def wake_early_or_late(self, seconds: float) -> None:
        self.node.pass_time(seconds)
        state, deadline = self.node.node.state, self.node.node._deadline_ns
        actions = self.node.handle(Wake())
        self.take(actions)
        if state is State.SEARCHING:
            assert actions == []
        elif self.node.now.mono_ns < deadline:
            assert actions == [WakeAt(deadline)]

    @precondition(lambda self: self.node.wanted is not None)
    @rule()
    def find(self) -> None:
        before = self.node.node.chain.height
        self.take(self.node.find())
        assert self.node.node.chain.height > before

    @precondition(lambda self: self.node.wanted is not None)
    @rule()
    def find_nothing(self) -> None:
        wanted = self.node.wanted
        assert wanted is not None
        self.take(self.node.find_nothing())

    @invariant()
    def chains_only_grow(self) -> None:
        assert self.heights == sorted(set(self.heights))
        assert self.node.node.chain.height == self.heights[-1]

    @invariant()
    def the_chain_is_valid(self) -> None:
        chain = self.node.node.chain
        try:
            assert check_chain(chain.data, GENESIS_CHAIN, KnownBlocks()) == chain
        except ClassicInvalid as error:
            raise AssertionError("the node holds an invalid chain") from error

    @invariant()
    def what_waits_is_bounded(self) -> None:
        waiting = self.node.node._inbox._waiting
        assert sum(map(len, waiting)) <= BUFFER_BYTES and len(waiting) <= BUFFER_BYTES // 512
        if self.node.node.state is State.LISTENING:
            assert not waiting

    @invariant()
    def a_search_is_for_the_tip_at_hand(self) -> None:
        if (wanted := self.node.wanted) is not None:
            assert wanted.header.previous_hash == self.node.node.chain.tip_hash
            assert wanted.header.nonce % 1000 == 0
            assert wanted.count == 1000
            assert self.node.lines[-1] == f"TRY up to {wanted.header.nonce}..."
            assert not self.node.node.chain.is_full

    @invariant()
    def listening_lasts_a_second_at_most(self) -> None:
        if self.node.node.state is State.LISTENING:
            assert self.node.node._deadline_ns <= self.node.now.mono_ns + SECOND_NS
            assert self.node.wake_at_ns == self.node.node._deadline_ns


TestAnyNode = AnyNode.TestCase
TestAnyNode.settings = settings(max_examples=60, stateful_step_count=40)
