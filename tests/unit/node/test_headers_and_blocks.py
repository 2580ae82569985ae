"""A node and what its peers tell of headers and blocks."""

from dataclasses import replace

from tests.support.blocks import assembled
from tests.support.branches import Branches
from tests.support.node import Bench, Talker

from drystone.node.events import BlockRefused, NewTip, Paused, PeerLeft, Resumed
from drystone.p2p.messages import (
    BlockMessage,
    GetBlocks,
    GetData,
    GetHeaders,
    Headers,
    Inv,
    Inventory,
    Ping,
    Pong,
    SendHeaders,
)
from drystone.p2p.protocol import MSG_BLOCK, MSG_WITNESS_BLOCK
from drystone.primitives.block import Block, BlockHeader, BlockLocator
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import TxOut


def headers_of(*blocks: Block) -> Headers:
    """Their headers, to be sent."""
    return Headers(tuple([block.header for block in blocks]))


def wanted(peer: Talker) -> list[bytes]:
    """The blocks that a peer has been asked for."""
    items = [item for message in peer.take(GetData) for item in message.items]
    assert all(item.type == MSG_WITNESS_BLOCK for item in items)
    return [item.hash for item in items]


def invalid(branches: Branches, parent: Block) -> Block:
    """A block that pays its miner too much."""
    draft = branches.draft(parent)
    coinbase = draft.coinbase
    value = coinbase.vout[0].value + 1
    coinbase = replace(coinbase, vout=(TxOut(value, coinbase.vout[0].script_pubkey),))
    return branches.add(assembled(replace(draft, vtx=(coinbase,)), branches.params))


# Synchronising.


def test_a_new_peer_is_asked_for_headers_from_below_the_best_one() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 3)
    peer = Bench(blocks=grown).peer()
    asked = peer.take_one(GetHeaders)
    assert asked.locator.hashes[0] == grown[1].hash
    assert asked.locator.hashes[-1] == branches.genesis.hash


def test_headers_are_answered_by_asking_for_their_blocks_oldest_first() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 5)
    bench = Bench()
    peer = bench.peer()
    peer.send(headers_of(*grown))
    assert wanted(peer) == [block.hash for block in grown]
    for block in grown:
        peer.send(BlockMessage(block))
    assert bench.chain.tip.hash == grown[-1].hash


def test_blocks_that_come_out_of_order_connect_once_they_can() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 5)
    bench = Bench()
    peer = bench.peer()
    peer.send(headers_of(*grown))
    for block in reversed(grown):
        assert bench.chain.height == 0
        peer.send(BlockMessage(block))
    assert bench.chain.tip.hash == grown[-1].hash
    assert len(bench.news(NewTip)) == 1


def test_no_more_than_sixteen_blocks_are_in_flight_from_one_peer_and_several_share_the_work() -> (
    None
):
    branches = Branches()
    grown = branches.grow(branches.genesis, 40)
    bench = Bench(unix_s=grown[-1].header.time)
    peers = [bench.peer() for _ in range(3)]
    for peer in peers:
        peer.send(headers_of(*grown))
    asked = [wanted(peer) for peer in peers]
    assert list(map(len, asked)) == [16, 16, 8]
    assert [hash_ for one in asked for hash_ in one] == [block.hash for block in grown]
    peers[0].send(BlockMessage(grown[0]))
    assert not wanted(peers[0])  # all are in flight
    by_hash = {block.hash: block for block in grown}
    for peer, hashes in zip(peers, asked, strict=True):
        for hash_ in hashes:
            peer.send(BlockMessage(by_hash[BlockHash(hash_)]))
    assert bench.chain.tip.hash == grown[-1].hash


def test_full_headers_are_followed_by_a_request_for_more() -> None:
    branches = Branches()
    headers: list[BlockHeader] = []
    tip = branches.genesis
    for _ in range(2_000):
        draft = branches.draft(tip, interval_s=1)
        tip = branches.add(assembled(draft, branches.params))
        headers.append(tip.header)
    bench = Bench(unix_s=tip.header.time)
    peer = bench.peer()
    peer.forget()
    peer.send(Headers(tuple(headers)))
    assert peer.take_one(GetHeaders).locator.hashes[0] == tip.hash
    peer.send(Headers(()))
    assert not peer.take(GetHeaders)


def test_what_a_lost_peer_was_asked_for_is_asked_of_another_at_once() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 3)
    bench = Bench()
    one, other = bench.peer(), bench.peer()
    one.send(headers_of(*grown))
    other.send(headers_of(*grown))
    assert len(wanted(one)) == 3 and not wanted(other)
    one.hang_up()
    assert wanted(other) == [block.hash for block in grown]


def test_a_peer_that_never_sends_a_block_is_left_and_another_asked() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    bench = Bench()
    one, other = bench.peer(compact=False), bench.peer(compact=False)
    one.send(headers_of(block))
    other.send(headers_of(block))
    assert wanted(one) and not wanted(other)
    bench.pass_(599)
    one.sync()
    other.sync()
    assert not one.left()
    bench.pass_(2)
    assert one.left().startswith("Timeout downloading block")
    assert wanted(other) == [block.hash]


def test_headers_that_do_not_connect_are_answered_by_a_getheaders() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 3)
    bench = Bench()
    peer = bench.peer()
    peer.send(Headers(()))  # the answer to the first request
    peer.forget()
    peer.send(headers_of(grown[2]))
    assert peer.take_one(GetHeaders).locator.hashes[0] == branches.genesis.hash
    peer.send(headers_of(*grown))
    assert wanted(peer) == [block.hash for block in grown]


def test_an_inv_of_an_unknown_block_is_answered_by_a_getheaders() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    peer = Bench().peer()
    peer.send(Headers(()))
    peer.forget()
    peer.send(Inv((Inventory(MSG_BLOCK, block.hash),)))
    peer.take_one(GetHeaders)
    peer.send(Inv((Inventory(MSG_BLOCK, block.hash),)))
    assert not peer.take(GetHeaders)  # one is under way


def test_a_peer_that_says_nothing_when_it_has_no_headers_is_asked_again_when_it_has() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    peer = Bench().peer(compact=False)
    peer.take_one(GetHeaders)  # older software does not answer that it has none
    peer.forget()
    peer.send(Inv((Inventory(MSG_BLOCK, block.hash),)))
    assert not peer.take(GetHeaders)
    ping = peer.take_one(Ping)
    peer.send(Inv((Inventory(MSG_BLOCK, block.hash),)))
    assert not peer.take(Ping)
    peer.send(Pong(ping.nonce))
    peer.take_one(GetHeaders)
    peer.send(headers_of(block))
    assert wanted(peer) == [block.hash]


def test_an_unsolicited_block_on_the_tip_is_taken() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    bench = Bench()
    bench.peer().send(BlockMessage(block))
    assert bench.chain.tip.hash == block.hash


def test_an_unsolicited_block_of_less_work_leaves_its_header_only() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 3)
    (side,) = branches.grow(branches.genesis, 1)
    bench = Bench(blocks=grown)
    peer = bench.peer()
    peer.send(BlockMessage(side))
    node = bench.chain.tree.get(side.hash)
    assert node is not None and not node.has_data
    assert not peer.left()


def test_a_better_branch_is_fetched_and_taken() -> None:
    branches = Branches()
    ours = branches.grow(branches.genesis, 2)
    theirs = branches.grow(branches.genesis, 3)
    bench = Bench(blocks=ours)
    peer = bench.peer()
    peer.send(headers_of(*theirs))
    assert wanted(peer) == [block.hash for block in theirs]
    for block in theirs:
        peer.send(BlockMessage(block))
    (told,) = bench.news(NewTip)
    assert told.is_reorg and len(told.change.disconnected) == 2
    assert bench.chain.tip.hash == theirs[-1].hash


def test_a_ping_is_answered_after_all_that_came_before_it_is_done() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 2)
    bench = Bench()
    peer, watcher = bench.peer(), bench.peer()
    watcher.send(Headers(()))
    peer.forget()
    peer.send(
        *map(BlockMessage, grown), GetHeaders(BlockLocator((branches.genesis.hash,))), Ping(5)
    )
    assert bench.chain.height == 2
    kinds = [type(message) for message in peer]
    assert kinds.index(Headers) < kinds.index(Pong)


def test_a_pong_comes_after_all_that_was_caused_by_what_came_before_the_ping() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 40)
    peer = Bench(unix_s=grown[-1].header.time).peer()  # too many to be fetched at once
    peer.forget()
    peer.send(headers_of(*grown), Ping(5))
    kinds = [type(message) for message in peer]
    assert kinds.index(GetData) < kinds.index(Pong)


def test_a_ping_after_a_large_getdata_is_answered_after_the_last_block() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 20)
    bench = Bench(blocks=grown)
    peer = bench.peer()
    peer.forget()
    items = tuple([Inventory(MSG_WITNESS_BLOCK, block.hash) for block in grown] * 200)
    peer.send(GetData(items), Ping(6))
    assert not peer.take(Pong)
    sent = len(peer.take(BlockMessage))
    assert 0 < sent < len(items)
    turns = 0
    while not any(isinstance(message, Pong) for message in peer):
        bench.pass_(0)
        turns += 1
        assert turns < 100
    assert len(peer.take(BlockMessage)) + sent == len(items)


# Serving.


def test_getheaders_is_answered_from_where_the_locator_leaves_the_chain() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 6)
    peer = Bench(blocks=grown).peer()
    unknown = BlockHash(bytes(31) + b"\7")
    peer.send(GetHeaders(BlockLocator((unknown, grown[2].hash, branches.genesis.hash))))
    assert peer.take_one(Headers) == headers_of(*grown[3:])
    peer.send(GetHeaders(BlockLocator((grown[0].hash,)), grown[2].hash))
    assert peer.take_one(Headers) == headers_of(*grown[1:3])
    peer.send(GetHeaders(BlockLocator((grown[5].hash,))))
    assert peer.take_one(Headers) == Headers(())
    peer.send(GetHeaders(BlockLocator(()), grown[4].hash))
    assert peer.take_one(Headers) == headers_of(grown[4])
    peer.send(GetHeaders(BlockLocator(()), unknown))
    assert not peer.take(Headers)


def test_getblocks_is_answered_by_five_hundred_hashes_and_the_last_leads_to_the_tip() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 510, interval_s=1)
    peer = Bench(blocks=grown).peer()
    peer.send(GetBlocks(BlockLocator((branches.genesis.hash,))))
    items = peer.take_one(Inv).items
    assert [item.hash for item in items] == [block.hash for block in grown[:500]]
    peer.send(GetData(items[-2:-1]))
    assert not peer.take(Inv)
    peer.send(GetData(items[-1:]))
    assert peer.take_one(Inv).items == (Inventory(MSG_BLOCK, grown[-1].hash),)


def test_blocks_are_sent_with_or_without_witnesses_as_asked() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    peer = Bench(blocks=[block]).peer()
    peer.send(GetData((Inventory(MSG_WITNESS_BLOCK, block.hash),)))
    assert peer.take_one(BlockMessage).block == block
    peer.send(GetData((Inventory(MSG_BLOCK, block.hash),)))
    stripped = peer.take_one(BlockMessage).block
    assert stripped.hash == block.hash and not stripped.coinbase.has_witness
    peer.send(GetData((Inventory(MSG_BLOCK, bytes(32)), Inventory(12345, block.hash))))
    peer.sync()
    assert not peer.take(BlockMessage)


def test_stale_blocks_are_sent_if_they_were_valid_once() -> None:
    branches = Branches()
    ours = branches.grow(branches.genesis, 1)
    better = branches.grow(branches.genesis, 2)
    bench = Bench(blocks=[*ours, *better])
    (never,) = branches.grow(branches.genesis, 1)
    bench.chain.submit(never, now=bench.start_s)
    peer = bench.peer()
    peer.send(GetData((Inventory(MSG_WITNESS_BLOCK, ours[0].hash),)))
    assert peer.take_one(BlockMessage).block == ours[0]
    peer.send(GetData((Inventory(MSG_WITNESS_BLOCK, never.hash),)))
    assert not peer.take(BlockMessage)


def test_a_peer_that_does_not_take_what_it_asked_for_is_served_no_further_until_it_does() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 3)
    bench = Bench(blocks=grown)
    peer = bench.peer()
    bench.handle(Paused(peer.number))
    peer.send(GetData(tuple([Inventory(MSG_WITNESS_BLOCK, block.hash) for block in grown])))
    peer.send(Ping(9))
    bench.pass_(1)
    assert not peer.take(BlockMessage) and Pong(9) not in peer.heard
    bench.handle(Resumed(peer.number))
    assert len(peer.take(BlockMessage)) == 3
    assert Pong(9) in peer.heard


# Announcing.


def ready(bench: Bench, *says: object) -> Talker:
    """A peer that knows the node's chain, and has said how it wants to be told."""
    peer = bench.peer()
    peer.send(Headers((bench.chain.tip.header,)), *says)  # type: ignore[arg-type]
    peer.forget()
    return peer


def test_each_peer_is_told_of_a_new_block_in_the_way_it_prefers() -> None:
    branches = Branches()
    first, second = branches.grow(branches.genesis, 2)
    bench = Bench(blocks=[first])
    by_inv, by_headers = ready(bench), ready(bench, SendHeaders())
    assert bench.submit(second).error is None
    assert by_inv.take_one(Inv).items == (Inventory(MSG_BLOCK, second.hash),)
    assert by_headers.take_one(Headers) == headers_of(second)
    assert not by_inv.take(Headers) and not by_headers.take(Inv)


def test_whoever_sent_a_block_is_not_told_of_it() -> None:
    branches = Branches()
    first, second = branches.grow(branches.genesis, 2)
    bench = Bench(blocks=[first])
    peer = ready(bench, SendHeaders())
    peer.send(headers_of(second))
    peer.send(BlockMessage(second))
    assert bench.chain.tip.hash == second.hash
    assert not peer.take(Headers) and not peer.take(Inv)


def test_a_peer_without_the_block_before_is_told_by_inv() -> None:
    branches = Branches()
    first, second = branches.grow(branches.genesis, 2)
    bench = Bench(blocks=[first])
    peer = bench.peer()
    peer.send(SendHeaders())
    peer.forget()
    bench.submit(second)
    assert peer.take_one(Inv).items == (Inventory(MSG_BLOCK, second.hash),)


def test_a_long_reorganisation_is_told_by_the_tip_alone() -> None:
    branches = Branches()
    ours = branches.grow(branches.genesis, 1)
    theirs = branches.grow(branches.genesis, 12)
    bench = Bench(blocks=ours, unix_s=theirs[-1].header.time)
    watcher, peer = ready(bench, SendHeaders()), bench.peer()
    peer.send(headers_of(*theirs))
    for block in reversed(theirs):
        peer.send(BlockMessage(block))
    assert bench.chain.tip.hash == theirs[-1].hash
    assert watcher.take_one(Inv).items == (Inventory(MSG_BLOCK, theirs[-1].hash),)


def test_a_peer_is_asked_to_announce_by_headers_once_it_is_known_to_have_the_chain() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    peer = Bench(blocks=[block]).peer()
    assert not peer.take(SendHeaders)
    peer.send(headers_of(block))
    peer.take_one(SendHeaders)
    peer.send(headers_of(block))
    assert not peer.take(SendHeaders)


def test_during_the_initial_download_nobody_is_told_of_blocks() -> None:
    branches = Branches()
    first, second, third = branches.grow(branches.genesis, 3)
    bench = Bench(blocks=[first], unix_s=third.header.time + 30 * 24 * 3600)
    watcher = ready(bench, SendHeaders())
    bench.submit(second)
    assert not watcher.take(Headers) and not watcher.take(Inv)


# Manners.


def test_an_invalid_block_is_marked_and_its_sender_left() -> None:
    branches = Branches()
    bad = invalid(branches, branches.genesis)
    bench = Bench()
    peer = bench.peer()
    peer.send(headers_of(bad))
    peer.send(BlockMessage(bad))
    assert peer.left() == "invalid block: bad-cb-amount"
    assert [told.error.reason for told in bench.news(BlockRefused)] == ["bad-cb-amount"]
    assert bench.news(PeerLeft)[-1].misbehaved
    assert bench.chain.height == 0


def test_who_dialled_us_may_repeat_the_header_of_an_invalid_block_and_whom_we_dialled_not() -> None:
    branches = Branches()
    bad = invalid(branches, branches.genesis)
    bench = Bench()
    bench.peer().send(BlockMessage(bad))
    inbound = bench.peer()
    inbound.send(headers_of(bad))
    assert not inbound.left()
    outbound = bench.peer(inbound=False)
    outbound.send(headers_of(bad))
    assert not outbound.left()  # the user named it
    branches.on(bad)
    on_bad = bench.peer()
    on_bad.send(headers_of(branches.on(bad)))
    assert on_bad.left() == "invalid header received: bad-prevblk"


def test_who_sent_the_invalid_block_below_is_left_and_not_who_sent_the_good_one_above() -> None:
    branches = Branches()
    ours = branches.grow(branches.genesis, 1)
    bad = invalid(branches, branches.genesis)
    above = branches.on(bad)
    bench = Bench(blocks=ours)
    culprit, innocent = bench.peer(), bench.peer()
    culprit.send(headers_of(bad, above))
    culprit.send(BlockMessage(bad))  # no more work than ours: not looked at closely
    assert not culprit.left()
    innocent.send(BlockMessage(above))
    assert bench.chain.tip.hash == ours[0].hash
    assert culprit.left() == "invalid block: bad-prevblk"
    assert not innocent.left()


def test_a_mutated_block_is_refused_and_the_good_one_may_still_come() -> None:
    branches = Branches()
    (block,) = branches.grow(branches.genesis, 1)
    coinbase = replace(block.coinbase, lock_time=1)
    bench = Bench()
    peer, other = bench.peer(), bench.peer()
    peer.send(BlockMessage(replace(block, vtx=(coinbase,))))
    assert peer.left() == "mutated block"
    other.send(BlockMessage(block))
    assert bench.chain.tip.hash == block.hash


def test_headers_without_work_or_order_end_the_connection() -> None:
    branches = Branches()
    one, two, three = branches.grow(branches.genesis, 3)
    header = one.header
    while int.from_bytes(header.hash, "little") >> 255 == 0:
        header = replace(header, nonce=header.nonce + 1)
    bench = Bench()
    lazy, confused = bench.peer(), bench.peer()
    lazy.send(Headers((header,)))
    assert lazy.left() == "header with invalid proof of work"
    confused.send(headers_of(one, three, two))
    assert confused.left() == "non-continuous headers sequence"


def test_a_block_from_nowhere_ends_the_connection() -> None:
    branches = Branches()
    _, orphan = branches.grow(branches.genesis, 2)
    peer = Bench().peer()
    peer.send(BlockMessage(orphan))
    assert peer.left() == "invalid header received: prev-blk-not-found"


def test_a_header_from_the_future_is_nobodys_fault() -> None:
    branches = Branches()
    bench = Bench()
    future = branches.on(branches.genesis, time=bench.start_s + 3 * 3600)
    peer = bench.peer()
    peer.send(headers_of(future))
    assert not peer.left() and future.hash not in bench.chain.tree.nodes
    bench.pass_(3600)
    peer.send(headers_of(future))
    assert future.hash in bench.chain.tree.nodes


def test_a_branch_of_little_work_is_not_worth_our_memory() -> None:
    branches = Branches()
    ours = branches.grow(branches.genesis, 150, interval_s=1)
    theirs = branches.grow(branches.genesis, 3)
    bench = Bench(blocks=ours)
    peer = bench.peer()
    peer.send(headers_of(*theirs))
    assert not peer.left()
    assert not any(block.hash in bench.chain.tree.nodes for block in theirs)
    peer.send(BlockMessage(theirs[0]))
    assert theirs[0].hash not in bench.chain.tree.nodes


def test_who_goes_on_asking_without_taking_what_it_is_sent_is_left() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 1)
    bench = Bench(blocks=grown)
    peer = bench.peer()
    bench.handle(Paused(peer.number))
    items = tuple([Inventory(MSG_WITNESS_BLOCK, grown[0].hash)] * 50_000)
    for _ in range(2):
        peer.send(GetData(items))
    assert not peer.left()  # it waits: what comes now is not even read
    assert sum(len(conn.unserved) for conn in bench.node.peers.values()) <= 50_000
    for _ in range(3):
        peer.send(GetData(items))
    assert peer.left() == "it sends too much while it is being served"
    assert not bench.node.peers


# Several blocks in one piece.


def test_blocks_that_come_in_one_piece_are_connected_in_one_step() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 5)
    bench = Bench()
    peer = bench.peer()
    peer.send(headers_of(*grown))
    peer.send(*map(BlockMessage, grown), Ping(7))
    (news,) = bench.news(NewTip)
    assert [node.hash for node in news.change.connected] == [block.hash for block in grown]
    assert peer.take_one(Pong).nonce == 7


def test_of_blocks_in_one_piece_those_below_an_invalid_one_are_kept() -> None:
    branches = Branches()
    good = branches.grow(branches.genesis, 3)
    bad = invalid(branches, good[-1])
    above = branches.grow(bad, 2)
    bench = Bench()
    peer = bench.peer()
    peer.send(headers_of(*good, bad, *above))
    peer.send(*map(BlockMessage, (*good, bad, *above)))
    assert peer.left() == "invalid block: bad-cb-amount"
    assert bench.chain.tip.hash == good[-1].hash
    assert bench.news(BlockRefused)[0].hash == bad.hash
    assert bench.submit(branches.grow(good[-1], 1)[0]).error is None


def test_of_blocks_in_one_piece_those_before_a_mutated_one_are_kept() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 3)
    mutated = replace(grown[1], vtx=(*grown[1].vtx, *grown[1].vtx))
    bench = Bench()
    peer = bench.peer()
    peer.send(headers_of(*grown))
    peer.send(BlockMessage(grown[0]), BlockMessage(mutated), BlockMessage(grown[2]))
    assert peer.left() == "mutated block"
    assert bench.chain.tip.hash == grown[0].hash
    assert not bench.chain.tree.nodes[grown[2].hash].has_data


def test_blocks_that_nobody_asked_for_are_taken_in_one_piece_as_one_by_one() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 4)
    bench = Bench()
    bench.peer().send(*map(BlockMessage, grown))
    assert bench.chain.tip.hash == grown[-1].hash
    assert len(bench.news(NewTip)) == 4


def test_asked_for_and_unasked_blocks_may_be_mixed() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 6)
    bench = Bench()
    peer = bench.peer()
    peer.send(headers_of(*grown[:2]))
    peer.send(*map(BlockMessage, grown))
    assert bench.chain.tip.hash == grown[-1].hash
