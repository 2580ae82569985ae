"""The tutorial's mining node, line by line and turn by turn."""

import pytest
from tests.support.classic import (
    FIRST_NONCE,
    FIRST_TIMESTAMP,
    PORTS,
    Cranked,
    chain_of,
    counting_hashes,
    fork_of,
    told,
    with_other_reward,
)

from drystone.classic.block import Block, Header, Transaction
from drystone.classic.chain import GENESIS_CHAIN
from drystone.classic.events import (
    Copied,
    Created,
    Ignored,
    Search,
    Searched,
    Send,
    Slept,
    Tried,
    Wake,
    WakeAt,
)
from drystone.classic.inbox import BUFFER_BYTES
from drystone.classic.node import LISTEN_NS, NONCES_PER_TURN, State
from drystone.core.time import SECOND_NS

FIRST = "block 1: 000071e6ff5b358e57339b42d45b20acc0f112c218fa435b3ffa8f239b777347!"


# One turn after the other.


def test_the_tutorials_pace_is_a_second_and_a_thousand_nonces() -> None:
    assert LISTEN_NS == SECOND_NS and NONCES_PER_TURN == 1000


def test_a_node_begins_by_listening_for_one_second_and_says_nothing() -> None:
    node = Cranked()
    assert node.begin() == [WakeAt(SECOND_NS)]
    assert node.node.state is State.LISTENING
    assert node.node.chain == GENESIS_CHAIN


def test_when_the_second_has_passed_it_tries_the_first_thousand_nonces() -> None:
    node = Cranked()
    node.begin()
    assert node.wake() == [
        Tried(0, 1000),
        Search(Header(GENESIS_CHAIN.tip_hash, FIRST_TIMESTAMP, 0), 1000),
    ]
    assert node.lines == ["TRY up to 0..."]
    assert node.node.state is State.SEARCHING


def test_every_turn_in_vain_is_followed_by_a_second_of_listening_and_the_next_thousand() -> None:
    node = Cranked().to_search()
    for turn in range(1, 5):
        assert node.find_nothing() == [WakeAt(node.now.mono_ns + SECOND_NS)]
        assert node.node.state is State.LISTENING
        node.wake()
        assert node.lines[-1] == f"TRY up to {turn * 1000}..."
        assert node.wanted is not None
        # The header stays as it was when the attempt began, though seconds have passed.
        assert node.wanted.header == Header(GENESIS_CHAIN.tip_hash, FIRST_TIMESTAMP, turn * 1000)


def test_the_issues_first_block_is_mined_in_59_turns() -> None:
    node = Cranked().to_search()
    while (wanted := node.wanted) is not None and wanted.header.nonce < 58_000:
        node.find_nothing()
        node.wake()
    node.handle(Searched(FIRST_NONCE))
    assert node.lines == [
        *(f"TRY up to {nonce}..." for nonce in range(0, 59_000, 1000)),
        f"CREATE {FIRST}",
    ]
    assert node.node.chain == chain_of(2)


def test_nonces_per_turn_are_those_asked_for() -> None:
    node = Cranked(nonces=7).to_search()
    for _ in range(2):
        node.find_nothing()
        node.wake()
    assert node.lines == ["TRY up to 0...", "TRY up to 7...", "TRY up to 14..."]
    assert node.wanted is not None and node.wanted.count == 7


# CREATE.


@pytest.mark.parametrize("port", PORTS)
def test_a_found_block_goes_to_all_others_in_order_before_the_line_is_printed(port: int) -> None:
    node = Cranked(port).to_search()
    actions = node.find()
    block = Block(Header(GENESIS_CHAIN.tip_hash, FIRST_TIMESTAMP, FIRST_NONCE), ())
    block = Block(block.header, (Transaction(0, port),))
    chain = GENESIS_CHAIN.extended(block)
    others = [p for p in PORTS if p != port]
    assert actions == [
        *(Send(other, chain.data) for other in others),
        Created(block, chain),
        WakeAt(node.now.mono_ns + SECOND_NS),
    ]
    assert node.lines[-1] == f"CREATE {FIRST}"
    assert node.node.chain == chain


def test_a_node_alone_mines_for_itself() -> None:
    node = Cranked(7000, ports=(7000,)).to_search()
    assert not [a for a in node.find() if isinstance(a, Send)]
    assert node.node.chain.height == 1


def test_after_create_the_next_attempt_has_the_new_tip_the_present_time_and_nonce_0() -> None:
    node = Cranked().to_search()
    node.find_nothing()
    node.wake()
    node.pass_time(100)
    node.find()
    created_at = node.now.unix_s
    assert created_at == FIRST_TIMESTAMP + 102
    node.wake()
    assert node.lines[-1] == "TRY up to 0..."
    assert node.wanted is not None
    assert node.wanted.header == Header(node.node.chain.tip_hash, created_at, 0)


def test_a_node_does_not_sleep_after_create() -> None:
    node = Cranked().to_search()
    node.find()
    assert node.node.state is State.LISTENING
    assert not any("SLEEP" in line for line in node.lines)


# COPY.


def test_a_longer_valid_chain_is_copied_and_then_the_node_sleeps() -> None:
    node = Cranked(7000)
    node.begin()
    node.pass_time(0.25)
    chain = chain_of(3)
    assert node.receive(chain.data) == [
        Copied(chain),
        Slept((7000 + 3) % 3 + 1),
        WakeAt(SECOND_NS // 4 + 2 * SECOND_NS),
    ]
    assert node.lines == [f"COPY block 2: {chain.tip_hash.hex()}!", "SLEEP for 2 seconds..."]
    assert node.node.state is State.SLEEPING
    assert node.node.chain == chain


@pytest.mark.parametrize("port", [7000, 7001, 7002, 8000, 9000, 65_535])
@pytest.mark.parametrize("blocks", [2, 3, 4])
def test_the_sleep_is_port_plus_number_of_blocks_modulo_3_plus_1(port: int, blocks: int) -> None:
    node = Cranked(port, ports=(port, 1))
    node.begin()
    node.receive(chain_of(blocks).data)
    seconds = (port + blocks) % 3 + 1
    assert node.lines[-1] == f"SLEEP for {seconds} seconds..."
    assert node.wake_at_ns == seconds * SECOND_NS


def test_a_shorter_listening_time_scales_the_sleep_and_not_what_is_printed() -> None:
    node = Cranked(7000, listen_ns=SECOND_NS // 5)
    node.begin()
    node.receive(chain_of(3).data)
    assert node.lines[-1] == "SLEEP for 2 seconds..."
    assert node.wake_at_ns == 2 * SECOND_NS // 5


def test_after_copy_the_next_attempt_has_the_time_after_the_sleep_and_nonce_0() -> None:
    node = Cranked(7000).to_search()
    node.find_nothing()
    node.receive(chain_of(3).data)
    slept_from = node.now.unix_s
    assert node.wake() == [WakeAt(node.now.mono_ns + SECOND_NS)]  # from sleeping to listening
    woken_at = node.now.unix_s
    assert woken_at == slept_from + 2
    node.wake()
    assert node.lines[-1] == "TRY up to 0..."
    assert node.wanted is not None
    assert node.wanted.header == Header(chain_of(3).tip_hash, woken_at, 0)


def test_a_copied_chain_is_not_broadcast_again() -> None:
    node = Cranked()
    node.begin()
    assert not [a for a in node.receive(chain_of(3).data) if isinstance(a, Send)]


def test_the_next_block_is_built_on_the_copied_chain() -> None:
    node = Cranked(8000)
    node.begin()
    node.receive(chain_of(3).data)
    node.wake()
    node.wake()
    node.find()
    assert node.node.chain.blocks[:3] == chain_of(3).blocks
    assert node.lines[-1] == f"CREATE block 3: {node.node.chain.tip_hash.hex()}!"


# IGNORE.


def refused_datagrams() -> dict[str, bytes]:
    """One for each reason, as they strike a node that has `chain_of(2)`."""
    longer = chain_of(3).data
    return {
        "empty-datagram": b"",
        "empty-block": b"\0" * 100,
        "truncated-block": longer[:-1],
        "trailing-bytes": longer + b"\1",
        "bad-tx-count": longer[:-5] + b"\2" + longer[-4:],
        "bad-block-size": b"\x4c" + longer[1:],
        "foreign-genesis": longer[75:],
        "bad-prevhash": chain_of(2).data + chain_of(4).blocks[-1],
        "bad-pow": longer[:-7] + b"\xff" + longer[-6:],
        "bad-version": chain_of(2).data + b"\x4b\1" + longer[-73:],
        "datagram-too-large": bytes(9217),
        "not-longer": chain_of(2).data,
    }


REASONS = (
    *("empty-datagram", "empty-block", "truncated-block", "trailing-bytes", "bad-tx-count"),
    *("bad-block-size", "foreign-genesis", "bad-prevhash", "bad-pow", "bad-version"),
    *("datagram-too-large", "not-longer"),
)


@pytest.mark.parametrize("reason", REASONS)
def test_a_refused_datagram_prints_ignore_says_why_and_changes_nothing(reason: str) -> None:
    node = Cranked()
    node.begin()
    node.receive(chain_of(2).data)
    node.wake()
    node.lines.clear()
    before = node.node.chain, node.node.state, node.wake_at_ns
    (ignored,) = node.receive(refused_datagrams()[reason])
    assert isinstance(ignored, Ignored)
    assert ignored.reason == reason
    assert ignored.notice == f"ignored: {reason} ({ignored.detail})"
    assert node.lines == ["IGNORE blockchain..."]
    assert (node.node.chain, node.node.state, node.wake_at_ns) == before
    # And then it goes on as if nothing had been.
    node.wake()
    assert node.lines[-1] == "TRY up to 0..."


def test_a_chain_of_equal_length_is_ignored_even_our_own_and_even_a_twin() -> None:
    node = Cranked()
    node.begin()
    node.receive(chain_of(3).data)
    node.wake()
    twin = chain_of(2).data + with_other_reward(chain_of(3).blocks[-1])
    for data in (chain_of(3).data, chain_of(3, branch=1).data, twin):
        (ignored,) = node.receive(data)
        assert isinstance(ignored, Ignored)
        assert (ignored.reason, ignored.detail) == ("not-longer", "3 blocks, we have 3")
    assert node.node.chain == chain_of(3)


def test_a_longer_chain_that_shares_nothing_but_genesis_replaces_ours() -> None:
    node = Cranked()
    node.begin()
    node.receive(chain_of(3).data)
    node.wake()
    node.receive(chain_of(4, branch=1).data)
    assert node.node.chain == chain_of(4, branch=1)


def test_a_longer_chain_over_a_stolen_reward_is_copied_with_its_bytes() -> None:
    node = Cranked()
    node.begin()
    node.receive(chain_of(3).data)
    node.wake()
    stolen = b"".join(
        [
            *chain_of(2).blocks,
            with_other_reward(chain_of(3).blocks[-1]),
            chain_of(4).blocks[-1],
        ]
    )
    node.receive(stolen)
    assert node.node.chain.data == stolen


def test_ignored_datagrams_do_not_reset_the_attempt() -> None:
    node = Cranked().to_search()
    node.find_nothing()
    node.receive(b"junk")
    node.wake()
    assert node.lines[-1] == "TRY up to 1000..."


# While it sleeps or searches nothing is read.


def test_while_it_searches_datagrams_wait_and_are_heard_when_it_listens_again() -> None:
    node = Cranked(7000).to_search()
    assert node.receive(b"") == []
    assert node.receive(chain_of(3).data) == []
    assert node.node.chain == GENESIS_CHAIN
    node.lines.clear()
    node.find_nothing()
    assert node.lines == [
        "IGNORE blockchain...",
        f"COPY block 2: {chain_of(3).tip_hash.hex()}!",
        "SLEEP for 2 seconds...",
    ]


def test_while_it_sleeps_datagrams_wait_in_order() -> None:
    node = Cranked(7000)
    node.begin()
    node.receive(chain_of(2).data)
    assert node.lines[-1] == "SLEEP for 1 seconds..."
    node.lines.clear()
    for data in (chain_of(3).data, b"junk", chain_of(4).data, chain_of(4).data):
        assert node.receive(data) == []
    node.wake()
    copy_3 = [f"COPY block 2: {chain_of(3).tip_hash.hex()}!", "SLEEP for 2 seconds..."]
    copy_4 = [f"COPY block 3: {chain_of(4).tip_hash.hex()}!", "SLEEP for 3 seconds..."]
    assert node.lines == copy_3  # and again it sleeps, so the others wait on
    node.wake()
    assert node.lines == [*copy_3, "IGNORE blockchain...", *copy_4]
    node.wake()
    assert node.lines == [*copy_3, "IGNORE blockchain...", *copy_4, "IGNORE blockchain..."]
    assert node.node.state is State.LISTENING


def test_a_block_found_while_a_longer_chain_waits_is_broadcast_and_then_given_up() -> None:
    node = Cranked(7000).to_search()
    node.receive(chain_of(3).data)
    actions = node.find()
    assert [type(a) for a in actions] == [Send, Send, Created, Copied, Slept, WakeAt]
    assert node.node.chain == chain_of(3)


def test_a_node_that_has_not_begun_keeps_what_comes() -> None:
    node = Cranked()
    assert node.receive(chain_of(2).data) == []
    node.begin()
    assert node.node.chain == chain_of(2)


@pytest.mark.parametrize("size_bytes", [0, 100, 9216])
def test_waiting_datagrams_are_bounded_as_in_a_sockets_buffer(size_bytes: int) -> None:
    node = Cranked().to_search()
    for _ in range(5000):
        node.receive(bytes(size_bytes))
    node.lines.clear()
    node.find_nothing()
    ignored = len(node.lines)
    assert set(node.lines) == {"IGNORE blockchain..."}
    assert 20 <= ignored <= 300 and ignored * size_bytes <= BUFFER_BYTES


# A flood does not stop mining.


def test_junk_every_nine_tenths_of_a_second_does_not_put_mining_off() -> None:
    node = Cranked()
    node.begin()
    for _ in range(10):
        node.pass_time(0.9)
        node.receive(b"junk")
        assert node.wake_at_ns is not None and node.wake_at_ns % SECOND_NS == 0
        node.wake()
        assert node.wanted is not None
        node.find_nothing()
    assert node.lines.count("IGNORE blockchain...") == 10
    assert [line for line in node.lines if line != "IGNORE blockchain..."] == [
        f"TRY up to {nonce}..." for nonce in range(0, 10_000, 1000)
    ]


def test_the_second_starts_on_entering_the_turn_and_no_ignored_datagram_extends_it() -> None:
    node = Cranked()
    node.begin()
    for _ in range(999):
        node.pass_time(0.001)
        node.receive(b"junk")
        assert node.handle(Wake()) == [WakeAt(SECOND_NS)]  # too early
    node.pass_time(0.001)
    assert [type(a) for a in node.handle(Wake())] == [Tried, Search]


def test_a_flood_while_it_searches_costs_no_listening_time() -> None:
    node = Cranked().to_search()
    for _ in range(1000):
        node.receive(b"junk")
    node.find_nothing()
    assert node.wake_at_ns == node.now.mono_ns + SECOND_NS


# Wake-ups that are none.


def test_a_wake_up_before_its_time_changes_nothing() -> None:
    node = Cranked(7000)
    node.begin()
    node.pass_time(0.5)
    assert node.handle(Wake()) == [WakeAt(SECOND_NS)]
    node.receive(chain_of(2).data)
    node.pass_time(0.999)
    assert node.handle(Wake()) == [WakeAt(3 * SECOND_NS // 2)]
    assert node.node.state is State.SLEEPING


def test_a_wake_up_during_the_search_changes_nothing() -> None:
    node = Cranked().to_search()
    node.pass_time(50)
    assert node.handle(Wake()) == []
    assert node.node.state is State.SEARCHING


# What is known is not checked again.


def test_a_node_hashes_each_block_once_however_often_it_comes() -> None:
    node = Cranked()
    node.begin()
    with counting_hashes() as hashed:
        for length in range(2, 21):
            for _ in range(3):
                node.receive(chain_of(length).data)
            node.wake()  # from sleep; the other two are ignored now
        assert len(hashed) == 19
        node.receive(fork_of(15, at=5).data)
        assert len(hashed) == 19 + 10
        for _ in range(5):
            node.receive(fork_of(16, at=5).data)
        assert len(hashed) == 19 + 11
        node.wake()
        node.find()
        assert len(hashed) == 19 + 12
        assert told(node.receive(node.node.chain.data))
        assert len(hashed) == 19 + 12
