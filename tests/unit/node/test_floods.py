"""Peers that ask for much with few bytes, or say much: what a node does in one turn, and keeps."""

from functools import cache
from itertools import pairwise
from random import Random

from tests.support.blocks import REGTEST
from tests.support.branches import Branches
from tests.support.node import Bench

from drystone.node.connection import MAX_HELD_BYTES
from drystone.node.events import Action, Paused, Received, Resumed, Send, Wake
from drystone.node.turn import LONG_BYTES
from drystone.p2p.framing import V1Transport
from drystone.p2p.messages import (
    BlockMessage,
    GetBlockTxn,
    GetData,
    GetHeaders,
    Headers,
    Inv,
    Inventory,
    Message,
    Ping,
    Pong,
)
from drystone.p2p.protocol import MSG_WITNESS_BLOCK, Services
from drystone.primitives.block import Block, BlockLocator

FROM_GENESIS = GetHeaders(BlockLocator((REGTEST.genesis_hash,)))


@cache
def grown() -> tuple[Branches, list[Block]]:
    branches = Branches()
    return branches, branches.grow(branches.genesis, 2_000, interval_s=1)


def framed(*messages: Message) -> bytes:
    transport = V1Transport(REGTEST.magic)
    return b"".join(transport.frame(one.command, one.encode()) for one in messages)


def sent_bytes(actions: list[Action]) -> int:
    return sum(len(action.data) for action in actions if isinstance(action, Send))


def turns_until_quiet(bench: Bench) -> list[list[Action]]:
    """Wake the node as long as it wants to be woken now; what it did in each turn."""
    turns = []
    while bench.wake_at is not None and bench.wake_at <= bench.now_ns:
        bench.wake_at = None
        turns.append(bench.handle(Wake()))
    return turns


def test_a_few_bytes_do_not_ask_for_all_memory_at_once() -> None:
    bench = Bench(blocks=grown()[1])
    peer = bench.peer()
    data = framed(*[FROM_GENESIS] * 50, Ping(5))  # 162 kB of headers each, 8 MB in all
    turns = [bench.handle(Received(peer.number, data)), *turns_until_quiet(bench)]
    assert len(turns) >= 4
    assert all(sent_bytes(actions) < LONG_BYTES + 200_000 for actions in turns)
    assert len(peer.take(Headers)) == 50  # nothing is lost
    assert peer.heard[-1] == Pong(5)  # and all comes in order
    assert not peer.left()


def test_pings_between_other_messages_do_not_make_a_turn_endless() -> None:
    bench = Bench()
    peer = bench.peer()
    peer.forget()
    unknown = Inv((Inventory(MSG_WITNESS_BLOCK, bytes(32)),))
    pairs = [message for n in range(1_000) for message in (unknown, Ping(n))]
    bench.handle(Received(peer.number, framed(*pairs)))
    assert 100 <= len(peer.heard) <= 400
    turns_until_quiet(bench)
    assert [pong.nonce for pong in peer.take(Pong)] == list(range(1_000))


def test_peers_that_ask_for_much_are_served_by_turns() -> None:
    bench = Bench(blocks=grown()[1])
    greedy, modest = bench.peer(), bench.peer()
    greedy.send(*[FROM_GENESIS] * 60)
    modest.send(*[FROM_GENESIS] * 60)
    served = []
    for actions in turns_until_quiet(bench):
        to = {action.peer for action in actions if isinstance(action, Send)}
        served.append(to)
        assert sent_bytes(actions) < 2 * LONG_BYTES
    assert {greedy.number} in served and {modest.number} in served
    alternating = [one != other for one, other in pairwise(served)]
    assert sum(alternating) >= len(alternating) - 2


def test_the_blocks_that_answers_are_taken_from_count_as_work() -> None:
    branches, blocks = grown()
    big = branches.on(
        blocks[-1], coinbase=branches.coinbase(2_001, script_pubkey=b"\x6a" + bytes(600_000))
    )
    bench = Bench(blocks=[*blocks, big])
    peer = bench.peer()
    data = framed(*[GetBlockTxn(big.hash, ())] * 40)
    turns = [bench.handle(Received(peer.number, data)), *turns_until_quiet(bench)]
    assert len(turns) >= 10  # each had to read that block a few times, not forty


def test_who_does_not_read_is_not_listened_to() -> None:
    branches = Branches()
    bench = Bench(blocks=branches.grow(branches.genesis, 1))
    peer = bench.peer()
    peer.forget()
    bench.handle(Paused(peer.number))
    for _ in range(100):
        peer.send(Ping(7), FROM_GENESIS)
    assert not peer.heard
    bench.pass_(1)
    assert not peer.heard
    bench.handle(Resumed(peer.number))
    assert len(peer.take(Pong)) == 100


def test_time_outs_that_passed_meanwhile_are_due_at_once() -> None:
    bench = Bench()
    peer = bench.peer()
    bench.handle(Paused(peer.number))
    bench.pass_(700)
    bench.handle(Resumed(peer.number))
    assert bench.wake_at is not None and bench.wake_at >= bench.now_ns
    bench.pass_(600)
    assert not peer.left()


def test_who_goes_on_talking_without_reading_is_left() -> None:
    bench = Bench()
    peer = bench.peer()
    bench.handle(Paused(peer.number))
    while not peer.left():
        peer.send_bytes(bytes(100_000))
        assert sum(conn.held_bytes for conn in bench.node.peers.values()) <= MAX_HELD_BYTES
    assert peer.left() == "it sends too much while it is being served"


def test_many_small_pieces_count_for_the_memory_that_they_take() -> None:
    bench = Bench()
    peer = bench.peer()
    bench.handle(Paused(peer.number))
    pieces = 0
    while not peer.left():
        peer.send_bytes(b"x")
        pieces += 1
    assert pieces < 50_000


def test_a_peer_that_asks_for_blocks_is_served_no_more_than_a_turn_at_a_time() -> None:
    branches, blocks = grown()
    big = branches.on(
        blocks[-1], coinbase=branches.coinbase(2_001, script_pubkey=b"\x6a" + bytes(600_000))
    )
    bench = Bench(blocks=[*blocks, big])
    peers = [bench.peer() for _ in range(3)]
    for peer in peers:
        peer.send(GetData((Inventory(MSG_WITNESS_BLOCK, big.hash),) * 10))
    turns = turns_until_quiet(bench)
    assert all(sent_bytes(actions) < LONG_BYTES + 700_000 for actions in turns)
    assert all(len(peer.take(BlockMessage)) == 10 for peer in peers)


def test_services_that_strangers_choose_leave_nothing_behind() -> None:
    bench = Bench()
    dice = Random(1)
    for _ in range(300):
        bench.peer(services=dice.getrandbits(64) | 1).hang_up()
    kept = Services._value2member_map_  # where Python keeps each value of a flag
    assert len(kept) <= 2 ** len(Services)  # at most all that we have names for
