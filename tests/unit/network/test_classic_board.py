"""The model behind the live view: who did what, which chain is best, which blocks lost."""

import pytest
from tests.support.classic import PORTS, chain_of, with_other_reward

from drystone.classic.block import Block
from drystone.classic.chain import Chain
from drystone.classic.events import (
    Announcement,
    Copied,
    Created,
    Filled,
    Ignored,
    OtherSleeps,
    Resent,
    Slept,
    Tried,
)
from drystone.classic.node import Node
from drystone.core.time import SECOND_NS, Time
from drystone.network.classic.board import EVENTS, STALE, Board


class Hall:
    """A board and its three nodes; the test says what they hold and announce."""

    def __init__(self) -> None:
        self.nodes = {port: Node(port, PORTS) for port in PORTS}
        self.board = Board(self.nodes.values())
        self.now = Time(5 * SECOND_NS, 1_700_000_000)

    def pass_time(self, seconds: float) -> None:
        self.now = Time(self.now.mono_ns + round(seconds * SECOND_NS), self.now.unix_s)

    def tell(self, port: int, told: Announcement) -> None:
        self.board.observe(port, told, self.now)

    def create(self, port: int, chain: Chain) -> None:
        self.nodes[port].chain = chain
        self.tell(port, Created(Block.decode(chain.blocks[-1]), chain))

    def copy(self, port: int, chain: Chain) -> None:
        self.nodes[port].chain = chain
        self.tell(port, Copied(chain))

    def agreed(self) -> bool:
        return self.board.agreed

    def lines(self) -> list[str]:
        return [event.line for event in self.board.events]


@pytest.fixture
def hall() -> Hall:
    return Hall()


def test_what_each_node_did_is_counted(hall: Hall) -> None:
    hall.create(7000, chain_of(2))
    hall.copy(8000, chain_of(2))
    hall.copy(8000, chain_of(3))
    for reason in ("bad-pow", "not-longer", "bad-pow"):
        hall.tell(9000, Ignored(reason, "why"))
    tallies = hall.board.tallies
    counts = {p: (t.created, t.copied, t.ignored) for p, t in tallies.items()}
    assert counts == {7000: (1, 0, 0), 8000: (0, 2, 0), 9000: (0, 0, 3)}
    assert tallies[9000].ignored_why == {"bad-pow": 2, "not-longer": 1}


def test_the_hash_rate_is_that_of_the_last_ten_seconds(hall: Hall) -> None:
    assert hall.board.hash_rate(7000, hall.now) == 0
    hall.tell(7000, Tried(0, 1000))
    hall.tell(8000, Tried(0, 5))
    assert hall.board.hash_rate(7000, hall.now) == 0  # the turn is under way
    hall.tell(7000, Tried(1000, 1000))
    assert hall.board.hash_rate(7000, hall.now) == 1000  # within the first second: of a second
    hall.pass_time(4)
    hall.tell(7000, Tried(2000, 1000))
    assert hall.board.hash_rate(7000, hall.now) == 500
    hall.pass_time(6)
    assert hall.board.hash_rate(7000, hall.now) == 200
    hall.pass_time(0.001)
    assert hall.board.hash_rate(7000, hall.now) == 100
    hall.pass_time(100)
    assert hall.board.hash_rate(7000, hall.now) == 0
    assert hall.board.tallies[7000].hashes == 2000
    assert hall.board.hash_rate(8000, hall.now) == 0


def test_a_turn_that_found_its_block_counts_only_what_it_tried(hall: Hall) -> None:
    hall.tell(7000, Tried(0, 50_000))
    hall.tell(7000, Tried(50_000, 50_000))
    hall.create(7000, chain_of(2))  # found by nonce 58,768
    assert hall.board.tallies[7000].hashes == 58_769
    assert hall.board.hash_rate(7000, hall.now) == 58_769
    hall.tell(7000, Tried(0, 10))
    assert hall.board.tallies[7000].hashes == 58_769
    hall.tell(7000, Ignored("bad-pow", "why"))
    assert hall.board.tallies[7000].hashes == 58_779


def test_a_turn_under_way_counts_nothing_and_is_counted_once_when_it_ends(hall: Hall) -> None:
    hall.tell(7000, Tried(0, 1 << 32))
    hall.pass_time(3)
    hall.board.note_trouble(7000, "a datagram could not be sent", hall.now)
    hall.tell(8000, Tried(0, 5))
    hall.tell(8000, Tried(5, 5))
    counts = {port: tally.hashes for port, tally in hall.board.tallies.items()}
    assert counts == {7000: 0, 8000: 5, 9000: 0}
    hall.tell(7000, Ignored("bad-pow", "why"))
    hall.tell(7000, Ignored("bad-pow", "why"))
    hall.copy(7000, chain_of(2))
    assert hall.board.tallies[7000].hashes == 1 << 32


def test_the_latest_events_are_kept_with_the_time_since_the_first(hall: Hall) -> None:
    hall.tell(7000, Tried(0, 1000))
    hall.pass_time(1.5)
    hall.create(7000, chain_of(2))
    hall.tell(8000, Ignored("bad-pow", "block 3: hash ff"))
    hall.tell(9000, Filled(122, 9150))
    hall.board.note_trouble(9000, "a datagram could not be sent", hall.now)
    assert [(e.after_s, e.port) for e in hall.board.events] == [
        (1.5, 7000),
        (1.5, 8000),
        (1.5, 9000),
        (1.5, 9000),
    ]
    lines = hall.lines()
    assert lines[0] == f"CREATE block 1: {chain_of(2).tip_hash.hex()}!"
    assert lines[1] == "ignored: bad-pow (block 3: hash ff)"
    assert lines[2].startswith("full: 122 blocks")
    assert lines[3] == "a datagram could not be sent"


def test_turns_sleeps_and_resendings_are_too_many_for_the_list(hall: Hall) -> None:
    hall.tell(7000, Tried(0, 1000))
    hall.tell(7000, Slept(2))
    hall.tell(7000, Resent(chain_of(2)))
    hall.tell(7000, OtherSleeps(8000, 3))
    assert hall.lines() == []


def test_the_list_of_events_is_bounded(hall: Hall) -> None:
    for n in range(EVENTS + 50):
        hall.tell(7000, Ignored(f"reason-{n}", "why"))
    assert len(hall.lines()) == EVENTS
    assert hall.lines()[-1] == f"ignored: reason-{EVENTS + 49} (why)"


def test_the_same_refusal_again_is_counted_and_not_listed(hall: Hall) -> None:
    for n in range(1000):
        hall.tell(7000, Ignored("bad-pow", str(n)))
        hall.pass_time(0.5)
    hall.tell(7000, Ignored("not-longer", "why"))
    hall.tell(7000, Ignored("bad-pow", "again"))
    assert [(e.after_s, e.line, e.times) for e in hall.board.events] == [
        (499.5, "ignored: bad-pow (999)", 1000),
        (500.0, "ignored: not-longer (why)", 1),
        (500.0, "ignored: bad-pow (again)", 1),
    ]
    assert hall.board.tallies[7000].ignored_why == {"bad-pow": 1001, "not-longer": 1}


def test_a_flood_that_hits_the_nodes_by_turns_is_one_event_of_each(hall: Hall) -> None:
    hall.create(7000, chain_of(2))
    for n in range(50):
        for port in PORTS:
            hall.tell(port, Ignored("bad-pow", str(n)))
    hall.board.note_trouble(8000, "a datagram could not be sent", hall.now)
    hall.board.note_trouble(8000, "a datagram could not be sent", hall.now)
    assert [(e.port, e.line, e.times) for e in hall.board.events] == [
        (7000, f"CREATE block 1: {chain_of(2).tip_hash.hex()}!", 1),
        (7000, "ignored: bad-pow (49)", 50),
        (8000, "ignored: bad-pow (49)", 50),
        (9000, "ignored: bad-pow (49)", 50),
        (8000, "a datagram could not be sent", 2),
    ]


def test_the_best_chain_is_the_longest_and_of_equals_the_one_most_nodes_hold(hall: Hall) -> None:
    assert hall.board.best == chain_of(1) and hall.agreed()
    hall.copy(8000, chain_of(3))
    assert hall.board.best == chain_of(3) and not hall.agreed()
    hall.copy(7000, chain_of(3, branch=1))
    hall.copy(9000, chain_of(3, branch=1))
    assert hall.board.best == chain_of(3, branch=1) and not hall.agreed()
    hall.copy(8000, chain_of(4))
    assert hall.board.best == chain_of(4)
    for port in PORTS:
        hall.copy(port, chain_of(4))
    assert hall.agreed()


def test_a_block_that_lost_its_race_is_stale_and_one_that_won_is_not(hall: Hall) -> None:
    hall.create(7000, chain_of(2))
    assert hall.board.stale == []
    hall.create(8000, chain_of(2, branch=1))
    hall.copy(9000, chain_of(2, branch=1))
    (lost,) = hall.board.stale
    assert (lost.height, lost.block, lost.is_twin) == (
        1,
        Block.decode(chain_of(2).blocks[1]),
        False,
    )
    hall.create(7000, chain_of(3))  # and now the other has lost
    (lost,) = hall.board.stale
    assert lost.block == Block.decode(chain_of(2, branch=1).blocks[1])


def test_twins_are_told_apart_and_the_one_that_lost_is_a_stale_twin(hall: Hall) -> None:
    won = chain_of(2)
    twin = Chain((won.blocks[0], with_other_reward(won.blocks[1], 8000)), won.tip_hash)
    hall.create(7000, won)
    hall.create(8000, twin)
    hall.copy(9000, won)
    assert not hall.agreed()  # all tips have one hash, and yet
    assert hall.board.best == won
    (lost,) = hall.board.stale
    assert lost.is_twin and lost.height == 1
    assert lost.block.miner == 8000 and lost.block.hash == won.tip_hash
    hall.copy(8000, chain_of(3))
    hall.copy(9000, chain_of(3))
    hall.copy(7000, chain_of(3))
    assert hall.agreed()
    assert [block.is_twin for block in hall.board.stale] == [True]


def test_a_reward_that_was_rewritten_makes_a_stale_twin_of_the_miners_block(hall: Hall) -> None:
    honest = chain_of(3)
    hall.create(7000, chain_of(2))
    stolen = Chain(
        (honest.blocks[0], with_other_reward(honest.blocks[1]), honest.blocks[2]), honest.tip_hash
    )
    for port in PORTS:
        hall.copy(port, stolen)
    (lost,) = hall.board.stale
    assert lost.is_twin and lost.block.miner == 7000


def test_stale_blocks_come_oldest_first_and_are_bounded(hall: Hall) -> None:
    tip = chain_of(2)
    for port in range(STALE + 20):
        raw = with_other_reward(tip.blocks[1], port)
        hall.tell(7000, Created(Block.decode(raw), Chain((tip.blocks[0], raw), tip.tip_hash)))
    miners = [lost.block.miner for lost in hall.board.stale]
    assert miners == list(range(20, STALE + 20))


def test_a_block_created_twice_is_one_block(hall: Hall) -> None:
    hall.create(7000, chain_of(2))
    hall.create(7000, chain_of(2))
    hall.nodes[7000].chain = chain_of(1)
    assert len(hall.board.stale) == 1
