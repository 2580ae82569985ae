"""Whom a node asks for headers, and what it does with long chains that begin with little work."""

from tests.support.blocks import REGTEST, assembled
from tests.support.branches import Branches
from tests.support.node import Bench, Talker

from drystone.node.events import Command, Connect
from drystone.node.settings import Settings
from drystone.p2p.messages import AddrV2, GetHeaders, Headers, PeerAddress
from drystone.p2p.netaddress import NetAddress
from drystone.p2p.protocol import Services
from drystone.primitives.block import Block

LONG, LONGER = 2_200, 2_400


def long_branch(branches: Branches, count: int) -> list[Block]:
    """So many blocks on genesis, a second apart."""
    tip, grown = branches.genesis, []
    for _ in range(count):
        tip = branches.add(assembled(branches.draft(tip, interval_s=1), REGTEST))
        grown.append(tip)
    return grown


BRANCHES = Branches()
OURS = long_branch(BRANCHES, LONG)
THEIRS = long_branch(BRANCHES, LONGER)
THIRD = long_branch(BRANCHES, LONGER)


def serve(peer: Talker, blocks: list[Block]) -> int:
    """Answer getheaders from a branch until no more come; how many there were."""
    place = {block.hash: n + 1 for n, block in enumerate(blocks)}
    answered = 0
    while asked := peer.take(GetHeaders):
        (one,) = asked
        start = next((place[hash_] for hash_ in one.locator.hashes if hash_ in place), 0)
        peer.send(Headers(tuple([block.header for block in blocks[start : start + 2_000]])))
        answered += 1
        assert answered < 20
    return answered


def test_a_long_branch_that_begins_with_little_work_is_taken_once_it_has_shown_enough() -> None:
    bench = Bench(blocks=OURS)
    peer = bench.peer()
    peer.send(Headers(()))
    peer.take(GetHeaders)
    peer.send(Headers(tuple([block.header for block in THEIRS[:2_000]])))
    assert THEIRS[0].hash not in bench.chain.tree.nodes
    assert serve(peer, THEIRS) >= 3
    assert THEIRS[-1].hash in bench.chain.tree.nodes
    assert not peer.left()


def test_who_sends_another_chain_the_second_time_leaves_nothing_behind() -> None:
    bench = Bench(blocks=OURS)
    peer = bench.peer()
    peer.send(Headers(()))
    peer.take(GetHeaders)
    peer.send(Headers(tuple([block.header for block in THEIRS[:2_000]])))
    peer.take_one(GetHeaders)
    peer.send(Headers(tuple([block.header for block in THEIRS[2_000:]])))
    peer.take_one(GetHeaders)
    for block in (THEIRS, THIRD):
        peer.send(Headers(tuple([one.header for one in block[:2_000:2]][:1])))
    assert len(bench.chain.tree.nodes) <= 1 + LONG
    assert bench.chain.height == LONG


def test_while_far_behind_one_peer_is_asked_and_near_the_tip_every_one() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    behind = Bench(blocks=[block], unix_s=block.header.time + 30 * 24 * 3600)
    peers = [behind.peer() for _ in range(3)]
    assert [len(peer.take(GetHeaders)) for peer in peers] == [1, 0, 0]
    peers[0].hang_up()
    assert [len(peer.take(GetHeaders)) for peer in peers[1:]] == [1, 0]
    near = Bench(blocks=[block])
    assert [len(near.peer().take(GetHeaders)) for _ in range(3)] == [1, 1, 1]


def test_on_a_network_of_our_own_the_clock_says_nothing_about_being_behind() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    bench = Bench(
        blocks=[block], unix_s=block.header.time + 3 * 365 * 24 * 3600, settings=Settings()
    )
    assert [len(bench.peer().take(GetHeaders)) for _ in range(3)] == [1, 1, 1]
    watcher = bench.peer()
    watcher.send(Headers((block.header,)))
    watcher.forget()
    bench.submit(branches.on(block))
    assert watcher.heard  # it is told: this is no initial download


def seeking(blocks: list[Block]) -> tuple[Bench, Talker]:
    """A node that has chosen a peer by itself."""
    there = NetAddress.from_text("20.1.1.1:8333")
    bench = Bench(blocks=blocks, settings=Settings(is_local_network=False, seeks_peers=True))
    told = PeerAddress(bench.now.unix_s, int(Services.NETWORK | Services.WITNESS), there)
    bench.peer().send(AddrV2((told,)))
    bench.pass_(6)
    assert bench.dialled() == [there]
    return bench, bench.peer(inbound=False, address=there)


def test_a_chosen_peer_whose_chain_stays_worse_is_asked_once_more_and_then_left() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 3)
    bench, peer = seeking(grown)
    peer.send(Headers((grown[0].header,)))
    peer.forget()
    bench.pass_(19 * 60)
    assert not peer.left() and not peer.take(GetHeaders)
    bench.pass_(2 * 60)
    peer.take_one(GetHeaders)
    bench.pass_(3 * 60)
    assert peer.left().startswith("Outbound peer has old chain")


def test_a_named_peer_may_lag_behind_for_ever() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 3)
    bench = Bench(blocks=grown, settings=Settings())
    there = NetAddress.from_text("10.1.1.1:8333")
    bench.handle(Command(Connect(there)))
    peer = bench.peer(inbound=False, address=there)
    peer.send(Headers((grown[0].header,)))
    bench.pass_(3_600)
    assert not peer.left()
