"""What a board makes of the news of a network, here one in virtual time."""

import json

from tests.support.node_faults import payment

from drystone.consensus.chains import REGTEST
from drystone.core.time import Time
from drystone.mining.accounts import account
from drystone.network.board import Board, LinkState
from drystone.network.helm import (
    difficulty_line,
    labels_of,
    links_line,
    ruler,
    status_lines,
    tree_lines,
)
from drystone.network.virtual import VirtualNetwork
from drystone.node.events import News, Overheard, PeerLeft


def board_of(network: VirtualNetwork) -> Board:
    board = Board(
        network.params,
        network.nodes,
        network.clock,
        hashes_per_s=lambda name: network[name].miner.hashes_per_s,
        is_up=lambda name: network[name].is_up,
        is_cut=network.is_cut,
        connections=network.connections,
    )

    def watch(name: str, news: News, now: Time) -> None:
        board.observe(name, news, now)

    network.watch = watch
    for name in network.nodes:
        board.joined(name)
    return board


def ring_with_board(nodes: int = 3) -> tuple[VirtualNetwork, Board]:
    network = VirtualNetwork(nodes, params=REGTEST, seed=1)
    return network, board_of(network)


def lines_of(board: Board) -> list[str]:
    return [" ".join((*happened.names, happened.line)) for happened in board.events]


def test_a_block_is_its_miners_and_one_event_for_all_nodes() -> None:
    network, board = ring_with_board()
    network.mine("n1", 1)
    network.wait_until_synced()
    (line,) = lines_of(board)
    assert line.startswith("n1 ") and "block 1 " in line and line.endswith(" of n1")
    assert set(board.events[0].names) == {"n0", "n1", "n2"}
    assert [board.row(name).mined for name in network.nodes] == [0, 1, 0]
    assert (board.agreed, board.best.height, board.stale) == (True, 1, 0)


def test_a_fork_has_two_lanes_with_those_who_hold_them_until_one_gives_way() -> None:
    network, board = ring_with_board()
    network.partition(["n0"], ["n1", "n2"])
    network.mine("n0", 1)
    network.mine("n1", 2)
    network.wait_until_synced(["n1", "n2"])
    assert (board.agreed, board.stale) == (False, 1)
    assert tree_lines(board, 5) == [" 0", " ·  1  1   n1 n2", " ╰─ 0      n0"]
    states = {(link.one, link.other): link.state for link in board.links()}
    assert states == {
        ("n0", "n1"): LinkState.CUT,
        ("n1", "n2"): LinkState.UP,
        ("n0", "n2"): LinkState.CUT,
    }
    network.heal()
    network.wait_until_synced()
    assert (board.agreed, board.stale) == (True, 1)
    assert tree_lines(board, 5)[1].endswith("  n0 n1 n2")
    assert [board.row(name).reorgs for name in network.nodes] == [1, 0, 0]
    assert board.tallies["n0"].deepest == 1
    assert any(line.startswith("n0 REORG at 0: 1 block gives way to 2") for line in lines_of(board))
    network.run_for(10)
    assert {link.state for link in board.links()} == {LinkState.UP}


def test_blocks_that_were_there_before_are_nobodys() -> None:
    network = VirtualNetwork(2, seed=3)
    board = board_of(network)
    network.mine("n1", 1)
    network.wait_until_synced()
    assert board.base == 119
    assert tree_lines(board, 3)[1] == " ·  ·  1   n0 n1"


def test_a_killed_node_has_no_peers_and_its_links_are_down() -> None:
    network, board = ring_with_board()
    network.kill("n2")
    network.run_for(5)
    row = board.row("n2")
    assert (row.is_up, row.peers, row.hashes_per_s) == (False, 0, 0)
    assert links_line(board) == "links n0-n1 up, n1-n2 down, n0-n2 down"
    assert "n2" not in board.tips
    assert any(line.startswith("n2  10.0.0.3:18444  killed at 0") for line in status_lines(board))


def test_a_node_of_another_process_is_known_by_its_account() -> None:
    network = VirtualNetwork(1, params=REGTEST, seed=1)
    board = board_of(network)
    board.know("8000")
    stranger = VirtualNetwork(0, params=REGTEST, seed=2)
    stranger.add_node("8000")
    (known,) = stranger.mine("8000", 1)
    network.submit("n0", stranger["8000"].chain.block(known))
    assert board.miner_of(known) == "8000"
    stranger.add_node("9000")
    (unknown,) = stranger.mine("9000", 1)
    network.submit("n0", stranger["9000"].chain.block(unknown))
    assert board.miner_of(unknown) is None


def test_the_same_again_is_counted_and_what_is_overheard_is_not_listed() -> None:
    network, board = ring_with_board()
    for _ in range(3):
        board.observe("n0", PeerLeft(77, "no such thing"), network.clock())
        board.observe("n0", Overheard(1, "tx", "why"), network.clock())
    assert [(h.line, h.times) for h in board.events] == [("has lost peer 77: no such thing", 3)]


def test_a_double_spend_is_followed_to_the_block_that_decides_it() -> None:
    network = VirtualNetwork(3, seed=5)
    board = board_of(network)
    one = payment(1, account("dave").script_pubkey)
    other = payment(1, account("erin").script_pubkey)
    board.follow_race({one.txid: "dave", other.txid: "erin"})
    (race,) = board.races
    network.partition(["n0"], ["n1", "n2"])
    assert network.submit("n0", one).error is None
    assert network.submit("n1", other).error is None
    network.run_for(30)
    standings = {each.name: (each.label, each.height) for each in board.standings(race)}
    assert standings == {"n0": ("dave", None), "n1": ("erin", None), "n2": ("erin", None)}
    network.mine("n0", 1)
    assert {e.name: e.height for e in board.standings(race)} == {"n0": 120, "n1": None, "n2": None}
    network.mine("n1", 2)
    network.heal()
    network.wait_until_synced()
    assert {(e.label, e.height) for e in board.standings(race)} == {("erin", 120)}


def test_difficulty_and_pace_are_told_in_a_line() -> None:
    network = VirtualNetwork(2, seed=2)
    board = board_of(network)
    for name in network.nodes:
        network.set_hashrate(name, 3_277)
    assert difficulty_line(board) == (
        "a block takes 65,537 hashes on average: 10 s at 6,554 hashes/s; the difficulty changes at"
        " 120"
    )
    board.is_paused = True
    assert "all miners rest" in difficulty_line(board)
    network, board = ring_with_board()
    assert difficulty_line(board) == (
        "a block takes 2 hashes on average, and nobody mines by hash rate"
    )


def test_all_of_it_can_be_shown_as_json() -> None:
    network, board = ring_with_board()
    network.mine("n0", 2)
    network.wait_until_synced()
    fields = json.loads(json.dumps(board.described()))
    assert (fields["chain"], fields["height"], fields["agreed"]) == ("regtest", 2, True)
    assert [node["name"] for node in fields["nodes"]] == ["n0", "n1", "n2"]
    assert fields["nodes"][0]["tip"] == fields["tip"]
    assert fields["links"][0] == {"one": "n0", "other": "n1", "state": "up"}


def test_a_board_without_nodes_has_something_to_say() -> None:
    network = VirtualNetwork(0, params=REGTEST)
    board = board_of(network)
    assert board.best.height == 0 and board.agreed
    assert json.dumps(board.described())
    assert status_lines(board)[0].startswith("chain regtest at block 0 ")
    assert tree_lines(board, 5) == [""]


def test_labels_are_numbers_where_names_are_and_letters_elsewhere() -> None:
    assert labels_of({"n0": 0, "n12": 0}) == {"n0": "0", "n12": "12"}
    assert labels_of({"n0": 0, "dave": 0}) == {"n0": "A", "dave": "B"}
    assert labels_of({"n0": 0, "n100": 0}) == {"n0": "A", "n100": "B"}


def test_a_ruler_has_every_fifth_height_above_its_column() -> None:
    assert ruler(3, 8) == "       5              10"
    assert ruler(99_998, 8).index("100000") == 7
