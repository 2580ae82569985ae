"""Every state of a connection meets every message, any bytes and any time."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.messages import messages
from tests.support.peers import LOCAL, VERSION, Talk, after, peer_of

from drystone.core.time import SECOND_NS
from drystone.p2p.handshake import ConnectionKind, Local, Permissions, State
from drystone.p2p.messages import Message, Verack, Version
from drystone.p2p.protocol import Services
from drystone.p2p.results import Deliver, Ready, Result

kinds = st.sampled_from(ConnectionKind)
permissions = st.sampled_from(list(Permissions))
locals_ = st.builds(
    lambda bloom, txs: Local(
        LOCAL.services | (Services.BLOOM if bloom else Services.NONE), b"/x/", 0, txs
    ),
    st.booleans(),
    st.booleans(),
)
steps = st.one_of(
    messages,
    st.sampled_from([VERSION, Verack()]),
    st.floats(0, 700),
    st.tuples(
        st.sampled_from(["version", "inv", "addr", "headers", "ping"]), st.binary(max_size=9)
    ),
)


@given(kinds, permissions, locals_, st.sampled_from(list(State)), st.lists(steps, max_size=12))
def test_every_state_meets_every_message(
    kind: ConnectionKind,
    permissions: Permissions,
    local: Local,
    state: State,
    steps: list[Any],
) -> None:
    talk = Talk(peer_of(kind, local, permissions=permissions)).start()
    if state is not State.AWAIT_VERSION:
        talk.say(VERSION)
    if state is State.READY:
        talk.say(Verack())
    if state is State.CLOSED:
        talk.take(talk.peer.disconnect("enough"))
    seconds = 0.0
    was_ready = talk.peer.state is State.READY
    for step in steps:
        before = talk.peer.state
        if isinstance(step, float):
            seconds += step
            results = talk.wait_until(seconds)
        elif isinstance(step, tuple):
            results = talk.say_raw(*step)
        else:
            results = talk.say(step)
        check(talk, before, results)
        assert sum(isinstance(one, Ready) for one in results) <= (not was_ready)
        was_ready = was_ready or talk.peer.state is State.READY


def check(talk: Talk, before: State, results: list[Result]) -> None:
    peer = talk.peer
    if before is State.CLOSED:
        assert results == [] and peer.state is State.CLOSED
    order = list(State)
    assert order.index(peer.state) >= order.index(before)
    at = peer.wake_at()
    assert (at is None) is peer.is_closed
    assert at is None or at > talk.now.mono_ns - 1
    assert at is None or at <= talk.now.mono_ns + 1200 * SECOND_NS
    for result in results:
        if isinstance(result, Deliver) and not isinstance(result.message, Version):
            assert before is State.READY
    assert sum(peer.traffic.sent_per_message.values()) == peer.traffic.bytes_sent
    assert talk.now.mono_ns >= after(0).mono_ns


@given(kinds, st.lists(messages, max_size=5), st.lists(st.integers(0, 50), max_size=40))
def test_it_does_not_matter_how_the_bytes_were_cut(
    kind: ConnectionKind, sent: list[Message], cuts: list[int]
) -> None:
    whole, cut = Talk(peer_of(kind)).start(), Talk(peer_of(kind)).start()
    said: list[Message] = [VERSION, Verack(), *sent]
    frames = [whole.transport.frame(one.command, one.encode()) for one in said]
    stream = b"".join(frames)
    expected = whole.take(whole.peer.receive(stream, whole.now))
    results = []
    for size in cuts:
        results += cut.take(cut.peer.receive(stream[:size], cut.now))
        stream = stream[size:]
    results += cut.take(cut.peer.receive(stream, cut.now))
    assert results == expected
    assert cut.peer.wake_at() == whole.peer.wake_at()
