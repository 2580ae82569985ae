"""Where the tutorial's network breaks for good: the 123rd block would outgrow the datagram."""

from tests.support.classic import FULL, PORTS, Cranked, chain_of, extended, told

from drystone.classic.events import Copied, Filled, Resent, Search, Send, Slept, Tried, WakeAt
from drystone.classic.node import State
from drystone.core.time import SECOND_NS

NOTICE = (
    "full: 122 blocks are 9150 bytes and one more would outgrow the datagram; mining stops,"
    " listening goes on, the chain is sent again every 10 turns"
)


def full_node() -> Cranked:
    """A node that has just mined the 122nd block."""
    node = Cranked(7000)
    node.begin()
    node.receive(chain_of(FULL - 1).data)
    node.wake()
    node.wake()
    node.find()
    assert len(node.node.chain.blocks) == FULL
    return node


def test_the_121st_block_is_mined_on_and_the_122nd_still_broadcast() -> None:
    node = Cranked(7000)
    node.begin()
    node.receive(chain_of(FULL - 1).data)
    node.wake()
    node.wake()
    assert node.wanted is not None
    actions = node.find()
    sent = [a for a in actions if isinstance(a, Send)]
    assert [a.port for a in sent] == [8000, 9000]
    assert all(len(a.data) == 9150 for a in sent)


def test_a_full_node_says_so_in_one_line_once() -> None:
    node = Cranked(7000)
    node.begin()
    node.receive(chain_of(FULL - 1).data)
    node.wake()
    node.wake()
    announced = told(node.find())
    for _ in range(50):
        announced += told(node.wake())
    filled = [a for a in announced if isinstance(a, Filled)]
    assert [a.notice for a in filled] == [NOTICE]
    assert "\n" not in NOTICE


def test_a_node_that_copies_a_full_chain_says_so_too_after_its_sleep() -> None:
    node = Cranked(8000)
    node.begin()
    assert [type(a) for a in told(node.receive(chain_of(FULL).data))] == [Copied, Slept]
    assert told(node.wake()) == [Filled(FULL, 9150)]


def test_a_full_node_mines_no_more() -> None:
    node = full_node()
    before = node.lines.copy()
    for _ in range(100):
        actions = node.wake()
        assert not [a for a in actions if isinstance(a, Search | Tried)]
        assert node.node.state is State.LISTENING
    assert node.lines == before


def test_a_full_chain_is_sent_again_every_10_turns() -> None:
    node = full_node()
    began_ns = node.now.mono_ns
    sent: list[tuple[int, int, bytes]] = []
    for _ in range(35):
        actions = node.wake()
        turn = (node.now.mono_ns - began_ns) // SECOND_NS
        sent += [(turn, a.port, a.data) for a in actions if isinstance(a, Send)]
        resent = [a for a in actions if isinstance(a, Resent)]
        assert len(resent) == (1 if turn % 10 == 0 else 0)
        assert [a for a in actions if isinstance(a, WakeAt)] == [
            WakeAt(node.now.mono_ns + SECOND_NS)
        ]
    chain = node.node.chain.data
    assert sent == [(turn, port, chain) for turn in (10, 20, 30) for port in PORTS[1:]]


def test_a_full_node_goes_on_listening_and_refuses_what_is_not_longer() -> None:
    node = full_node()
    for _ in range(3):
        node.receive(chain_of(5).data)
        node.receive(b"junk")
        node.receive(chain_of(FULL).data)
        node.wake()
    assert node.lines[-9:] == ["IGNORE blockchain..."] * 9
    assert len(node.node.chain.blocks) == FULL


def test_a_full_chain_gives_way_to_a_longer_one_of_lighter_blocks_and_counts_turns_anew() -> None:
    node = full_node()
    lighter = chain_of(FULL - 2)
    for timestamp in range(3):
        lighter = extended(lighter, timestamp=timestamp)
    assert len(lighter.blocks) == FULL + 1 and len(lighter.data) <= 9216
    for _ in range(9):
        node.wake()
    assert node.receive(lighter.data)[0] == Copied(lighter)
    node.wake()  # from its sleep
    turns = 1
    while not any(isinstance(a, Resent) for a in node.wake()):
        turns += 1
    assert turns == 10


def test_ignored_datagrams_put_off_neither_the_turns_nor_the_resending() -> None:
    node = full_node()
    resent = 0
    for _ in range(20):
        node.pass_time(0.9)
        node.receive(b"junk")
        resent += any(isinstance(a, Resent) for a in node.wake())
    assert resent == 2


def test_a_late_node_catches_up_from_what_is_sent_again() -> None:
    full, late = full_node(), Cranked(8000)
    late.begin()
    for _ in range(10):
        for action in full.wake():
            if isinstance(action, Send) and action.port == 8000:
                late.receive(action.data)
    assert late.node.chain == full.node.chain
    assert late.lines[0] == f"COPY block 121: {full.node.chain.tip_hash.hex()}!"
    late.wake()
    late.wake()
    assert late.wanted is None
