"""Streams of messages that were tampered with, into a node: it is told anything, and cut anyhow."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.blocks import REGTEST
from tests.support.branches import Branches
from tests.support.messages import messages
from tests.support.node import Bench, Talker

from drystone.node.events import Send
from drystone.p2p.framing import V1Transport
from drystone.p2p.messages import BlockMessage, GetHeaders, Headers, Message, Ping
from drystone.primitives.block import BlockLocator

BRANCHES = Branches()
CHAIN = BRANCHES.grow(BRANCHES.genesis, 3)
NEXT = BRANCHES.grow(CHAIN[-1], 2)

known: st.SearchStrategy[Message] = st.sampled_from(
    [
        *map(BlockMessage, (*CHAIN, *NEXT)),
        Headers(tuple([block.header for block in NEXT])),
        GetHeaders(BlockLocator((REGTEST.genesis_hash,))),
        Ping(1),
    ]
)


def framed(message: Message) -> bytes:
    return V1Transport(REGTEST.magic).frame(message.command, message.encode())


@st.composite
def tampered(draw: st.DrawFn) -> bytes:
    """A frame, whole or cut or with other bytes in it; its checksum is right unless spoilt."""
    message = draw(st.one_of(messages, known))
    payload = bytearray(message.encode())
    for at, value in draw(
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3)
    ):
        if payload:
            payload[at % len(payload)] = value
    keep = draw(st.one_of(st.none(), st.integers(0, 100)))
    more = draw(st.binary(max_size=20))
    data = V1Transport(REGTEST.magic).frame(message.command, bytes(payload[:keep]) + more)
    if draw(st.integers(0, 19)) == 0:
        spoilt = bytearray(data)
        spoilt[draw(st.integers(0, len(data) - 1))] ^= 1 + draw(st.integers(0, 254))
        return bytes(spoilt)
    return data


def a_bench() -> tuple[Bench, Talker]:
    bench = Bench(blocks=CHAIN)
    return bench, bench.peer()


def said_after(frames: list[bytes], cuts: list[int]) -> tuple[list[bytes], bool, bytes]:
    """What a node says to a peer that sends this, whether it ends it, and its tip."""
    bench, peer = a_bench()
    begun = len(bench.actions)
    stream = b"".join(frames)
    at = 0
    for cut in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        if cut > at:
            peer.send_bytes(stream[at:cut])
        at = cut
    bench.pass_(0)
    said = [action.data for action in bench.actions[begun:] if isinstance(action, Send)]
    # Of two reasons to end it that come in one piece, the stream's comes first.
    return said, bool(peer.left()), bench.chain.tip.hash


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(frames=st.lists(tampered(), max_size=12))
def test_the_same_stream_has_the_same_answers(frames: list[bytes]) -> None:
    assert said_after(frames, []) == said_after(frames, [])


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(frames=st.lists(tampered(), max_size=8), cuts=st.lists(st.integers(0, 10_000), max_size=20))
def test_how_a_stream_is_cut_changes_neither_the_end_nor_the_chain(
    frames: list[bytes], cuts: list[int]
) -> None:
    whole, cut = said_after(frames, []), said_after(frames, cuts)
    assert whole[1:] == cut[1:]
