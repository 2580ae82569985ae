"""A node and compact blocks: announced by it, put together by it (BIP152)."""

from dataclasses import replace

from tests.support.branches import Branches, payment
from tests.support.node import Bench, Talker
from tests.support.records import changed

from drystone.mempool.policy import Policy
from drystone.p2p.compact import compact_block, requested_transactions
from drystone.p2p.messages import (
    BlockMessage,
    BlockTxn,
    CmpctBlock,
    GetBlockTxn,
    GetData,
    GetHeaders,
    Headers,
    Inventory,
    PrefilledTransaction,
    SendCmpct,
)
from drystone.p2p.protocol import MSG_CMPCT_BLOCK, MSG_WITNESS_BLOCK
from drystone.primitives.block import Block
from drystone.primitives.transaction import OutPoint, Transaction


class Scene:
    """A chain with coins to spend, a block on it with three payments, and a node without it."""

    def __init__(self) -> None:
        branches = self.branches = Branches()
        grown = branches.grow(branches.genesis, 110)
        self.tip = grown[-1]
        self.payments = [
            payment(OutPoint(block.coinbase.txid, 0), half, outputs=2)
            for block in grown[:3]
            if (half := block.coinbase.vout[0].value // 2 - 5_000)
        ]
        self.block = branches.on(self.tip, self.payments, fees=30_000)
        self.bench = Bench(blocks=grown, policy=Policy(acceptnonstdtxn=True))

    def peer(self, *, high_bandwidth: bool = False, knows: bool = True) -> Talker:
        """One that has the chain up to the tip."""
        peer = self.bench.peer()
        if high_bandwidth:
            peer.send(SendCmpct(high_bandwidth=True))
        if knows:
            peer.send(Headers((self.tip.header,)))
        peer.forget()
        return peer

    def pay(self, *transactions: Transaction) -> None:
        """Put transactions into the node's mempool."""
        for tx in transactions:
            assert self.bench.submit(tx).error is None

    @property
    def has_block(self) -> bool:
        """Whether the node has taken the block."""
        return self.bench.chain.tip.hash == self.block.hash


def test_a_new_block_goes_at_once_to_those_who_want_compact_ones() -> None:
    scene = Scene()
    fast, slow = scene.peer(high_bandwidth=True), scene.peer()
    scene.bench.submit(scene.block)
    message = fast.take_one(CmpctBlock)
    assert message.header == scene.block.header
    assert len(message.short_ids) == 3 and message.prefilled[0].tx == scene.block.coinbase
    assert not slow.take(CmpctBlock)
    fast.send(GetBlockTxn(scene.block.hash, (1, 3)))
    assert fast.take_one(BlockTxn).transactions == (scene.payments[0], scene.payments[2])
    fast.send(GetBlockTxn(scene.block.hash, (4,)))
    assert fast.closed == "getblocktxn with out-of-bounds tx indices"


def test_an_old_block_is_sent_whole_when_a_compact_one_or_parts_are_asked_for() -> None:
    scene = Scene()
    peer = scene.peer()
    old = scene.bench.chain.at(100).hash
    peer.send(GetData((Inventory(MSG_CMPCT_BLOCK, old),)))
    assert peer.take_one(BlockMessage).block.hash == old
    peer.send(GetBlockTxn(scene.bench.chain.at(99).hash, (0,)))
    assert peer.take_one(BlockMessage).block.hash == scene.bench.chain.at(99).hash
    peer.send(GetData((Inventory(MSG_CMPCT_BLOCK, scene.tip.hash),)))
    assert peer.take_one(CmpctBlock).header == scene.tip.header


def test_a_block_whose_transactions_are_all_here_needs_no_further_word() -> None:
    scene = Scene()
    peer = scene.peer()
    scene.pay(*scene.payments)
    peer.send(compact_block(scene.block, 1))
    assert scene.has_block
    assert not peer.take(GetBlockTxn) and not peer.take(GetData)
    assert len(scene.bench.mempool) == 0


def test_what_is_missing_is_asked_for_and_nothing_else() -> None:
    scene = Scene()
    peer = scene.peer()
    scene.pay(scene.payments[1])
    peer.send(compact_block(scene.block, 1))
    asked = peer.take_one(GetBlockTxn)
    assert asked.indexes == (1, 3)
    peer.send(requested_transactions(scene.block, asked))
    assert scene.has_block


def test_too_few_transactions_end_the_connection() -> None:
    scene = Scene()
    peer = scene.peer()
    peer.send(compact_block(scene.block, 1))
    peer.send(BlockTxn(scene.block.hash, tuple(scene.payments[:2])))
    assert peer.closed == "invalid compact block/non-matching block transactions"


def test_wrong_transactions_lead_to_asking_for_the_whole_block() -> None:
    scene = Scene()
    peer = scene.peer()
    peer.send(compact_block(scene.block, 1))
    peer.take_one(GetBlockTxn)
    peer.send(BlockTxn(scene.block.hash, (*scene.payments[:2], scene.payments[0])))
    assert peer.closed is None
    assert peer.take_one(GetData).items == (Inventory(MSG_WITNESS_BLOCK, scene.block.hash),)
    peer.send(BlockMessage(scene.block))
    assert scene.has_block


def test_a_compact_block_that_is_sent_again_and_again_costs_nothing_more() -> None:
    scene = Scene()
    peer = scene.peer()
    peer.send(*[compact_block(scene.block, nonce) for nonce in range(20)])
    asked = peer.take_one(GetBlockTxn)
    peer.send(requested_transactions(scene.block, asked))
    assert scene.has_block


def test_a_new_block_announced_by_its_header_is_asked_for_as_a_compact_one() -> None:
    scene = Scene()
    peer = scene.peer()
    scene.pay(*scene.payments)
    peer.send(Headers((scene.block.header,)))
    assert peer.take_one(GetData).items == (Inventory(MSG_CMPCT_BLOCK, scene.block.hash),)
    peer.send(compact_block(scene.block, 7))
    assert scene.has_block


def test_three_peers_may_send_one_block_in_short_and_the_fourth_is_not_asked() -> None:
    scene = Scene()
    peers = [scene.peer() for _ in range(4)]
    for peer in peers:
        peer.send(compact_block(scene.block, 1))
    assert [len(peer.take(GetBlockTxn)) for peer in peers] == [1, 1, 1, 0]
    peers[2].send(BlockTxn(scene.block.hash, tuple(scene.payments)))
    assert scene.has_block
    assert not len(scene.bench.node.blocks.partial) and not len(scene.bench.node.blocks.download)
    peers[0].send(BlockTxn(scene.block.hash, tuple(scene.payments)))
    assert peers[0].closed is None


def test_a_compact_block_on_an_unknown_one_is_answered_by_a_getheaders() -> None:
    scene = Scene()
    peer = scene.peer()
    above = scene.branches.on(scene.block)
    peer.send(compact_block(above, 1))
    peer.take_one(GetHeaders)
    assert peer.closed is None


def test_an_invalid_block_in_short_is_forgiven_and_a_header_without_work_is_not() -> None:
    scene = Scene()
    peer, lazy = scene.peer(), scene.peer()
    bad = scene.branches.on(scene.tip, fees=1)
    peer.send(compact_block(bad, 1))
    assert scene.bench.chain.tree.nodes[bad.hash].is_failed
    assert peer.closed is None
    message = compact_block(scene.block, 1)
    header = message.header
    while int.from_bytes(header.hash, "little") >> 255 == 0:
        header = replace(header, nonce=header.nonce + 1)
    lazy.send(changed(message, header=header))
    assert lazy.closed == "invalid header received: high-hash"


def test_a_compact_block_of_nonsense_ends_the_connection() -> None:
    scene = Scene()
    peer = scene.peer()
    message = compact_block(scene.block, 1)
    beyond = PrefilledTransaction(60_000, scene.block.coinbase)
    peer.send(changed(message, prefilled=(beyond,)))
    assert peer.closed == "invalid compact block"
    assert not len(scene.bench.node.blocks.partial) and not len(scene.bench.node.blocks.download)


def first_with(scene: Scene, peer: Talker, parent: Block) -> Block:
    """A peer is the first to send a new block."""
    block = scene.branches.on(parent)
    peer.send(BlockMessage(block))
    assert scene.bench.chain.tip.hash == block.hash
    return block


def test_the_last_three_peers_with_new_blocks_are_asked_to_send_them_unasked() -> None:
    scene = Scene()
    peers = [scene.peer() for _ in range(4)]
    tip = scene.tip
    for peer in peers:
        tip = first_with(scene, peer, tip)
    assert [one.high_bandwidth for one in peers[0].take(SendCmpct)] == [True, False]
    for peer in peers[1:]:
        assert peer.take_one(SendCmpct).high_bandwidth
    first_with(scene, peers[3], tip)
    assert not peers[3].take(SendCmpct)


def test_of_those_asked_to_one_that_we_dialled_stays() -> None:
    scene = Scene()
    outbound = scene.bench.peer(inbound=False)
    outbound.forget()
    peers = [outbound, *(scene.peer() for _ in range(3))]
    tip = scene.tip
    for peer in peers:
        tip = first_with(scene, peer, tip)
    assert outbound.take_one(SendCmpct).high_bandwidth
    assert [one.high_bandwidth for one in peers[1].take(SendCmpct)] == [True, False]
