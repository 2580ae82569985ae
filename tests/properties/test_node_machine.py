"""A node that is told anything: it stays up, keeps its chain, and remembers no more than it may.

Peers come and go; they send blocks that are good, bad, too early or of other branches, messages of
every kind about what there is and what there isn't, and bytes that are none.
"""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.branches import Branches, payment
from tests.support.messages import messages
from tests.support.node import Bench

from drystone.mempool.policy import Policy
from drystone.node.events import Closed, Paused, Resumed
from drystone.node.settings import Settings
from drystone.p2p.compact import compact_block
from drystone.p2p.messages import (
    BlockMessage,
    BlockTxn,
    GetBlocks,
    GetBlockTxn,
    GetData,
    GetHeaders,
    Headers,
    Inv,
    Inventory,
    Message,
    NotFound,
    Ping,
    SendCmpct,
    SendHeaders,
    TxMessage,
)
from drystone.primitives.block import Block, BlockLocator
from drystone.primitives.transaction import OutPoint

EXAMPLES = 150

BRANCHES = Branches()
COMMON = BRANCHES.grow(BRANCHES.genesis, 104)
PAYMENTS = [
    payment(OutPoint(block.coinbase.txid, 0), block.coinbase.vout[0].value // 2 - 5_000, outputs=2)
    for block in COMMON[:4]
]
CHILDREN = [
    payment(OutPoint(tx.txid, 0), tx.vout[0].value // 2 - 5_000, outputs=2) for tx in PAYMENTS
]
ONE = [BRANCHES.on(COMMON[-1], PAYMENTS[:2], fees=20_000)]
ONE += BRANCHES.grow(ONE[0], 5)
OTHER = BRANCHES.grow(COMMON[-1], 4)
OTHER.append(BRANCHES.on(OTHER[-1], [PAYMENTS[0], CHILDREN[0]], fees=20_000))
OTHER += BRANCHES.grow(OTHER[-1], 3)
TOO_MUCH = BRANCHES.on(ONE[2], fees=1)
ON_TOO_MUCH = BRANCHES.grow(TOO_MUCH, 2)
EARLY = BRANCHES.on(ONE[3], time=ONE[3].header.time + 100_000)
LAZY = replace(ONE[4], header=replace(ONE[4].header, nonce=ONE[4].header.nonce + 1))
MUTATED = replace(ONE[0], vtx=(*ONE[0].vtx, ONE[0].vtx[-1]))
BLOCKS = [*COMMON[-3:], *ONE, *OTHER, TOO_MUCH, *ON_TOO_MUCH, EARLY, LAZY, MUTATED]
TRANSACTIONS = [*PAYMENTS, *CHILDREN, ONE[1].coinbase]

blocks = st.sampled_from(BLOCKS)
branches = st.sampled_from([ONE, OTHER, [*ONE[:3], TOO_MUCH, *ON_TOO_MUCH]])
transactions = st.sampled_from(TRANSACTIONS)
hashes = st.one_of(
    blocks.map(lambda block: block.hash),
    transactions.map(lambda tx: tx.wtxid),
    st.binary(min_size=32, max_size=32),
)
inventory = st.builds(Inventory, st.sampled_from([1, 2, 3, 4, 5, 1 << 30 | 1, 1 << 30 | 2]), hashes)
inventories = st.lists(inventory, max_size=20).map(tuple)


def some_headers(branch: list[Block]) -> st.SearchStrategy[Headers]:
    """A piece of a branch."""
    ends = st.tuples(st.integers(0, len(branch)), st.integers(0, len(branch)))
    return ends.map(
        lambda two: Headers(tuple([block.header for block in branch[min(two) : max(two)]]))
    )


about_the_chain: st.SearchStrategy[Message] = st.one_of(
    blocks.map(BlockMessage),
    branches.flatmap(some_headers),
    blocks.map(lambda block: Headers((block.header,))),
    st.builds(compact_block, blocks, st.integers(0, 99)),
    st.builds(
        BlockTxn,
        blocks.map(lambda block: block.hash),
        st.lists(transactions, max_size=3).map(tuple),
    ),
    transactions.map(TxMessage),
    st.builds(Inv, inventories),
    st.builds(GetData, inventories),
    st.builds(NotFound, inventories),
    st.builds(GetHeaders, st.builds(BlockLocator, st.lists(hashes, max_size=3).map(tuple)), hashes),
    st.builds(GetBlocks, st.builds(BlockLocator, st.lists(hashes, max_size=3).map(tuple)), hashes),
    st.builds(GetBlockTxn, hashes, st.sampled_from([(), (0,), (0, 1, 2), (60_000,)])),
    st.builds(SendCmpct, st.booleans()),
    st.just(SendHeaders()),
    st.just(Ping(1)),
)

steps = st.one_of(
    st.tuples(st.just("say"), st.integers(0, 3), about_the_chain),
    st.tuples(st.just("say"), st.integers(0, 3), about_the_chain),
    st.tuples(st.just("say"), st.integers(0, 3), messages),
    st.tuples(
        st.just("spoil"),
        st.integers(0, 3),
        st.tuples(about_the_chain, st.integers(0, 100), st.binary()),
    ),
    st.tuples(st.just("noise"), st.integers(0, 3), st.binary(min_size=1)),
    st.tuples(st.just("pass"), st.sampled_from([0.0, 0.5, 3.0, 61.0, 700.0, 90_000.0]), st.none()),
    st.tuples(st.just("leave"), st.integers(0, 3), st.none()),
    st.tuples(st.just("pause"), st.integers(0, 3), st.none()),
    st.tuples(st.just("resume"), st.integers(0, 3), st.none()),
    st.tuples(st.just("submit"), st.none(), st.one_of(blocks, transactions)),
)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(script=st.lists(steps, max_size=60))
def test_a_node_survives_whatever_it_is_told(script: list[tuple]) -> None:  # type: ignore[type-arg]
    bench = Bench(
        blocks=COMMON,
        policy=Policy(acceptnonstdtxn=True),
        settings=Settings(max_connections=60),
        unix_s=OTHER[-1].header.time,
    )
    slots = [bench.peer(inbound=bool(n % 2)) for n in range(4)]
    node, chain = bench.node, bench.chain
    work = chain.tip.chainwork
    for kind, which, what in script:
        if kind == "pass":
            bench.pass_(which)
        elif kind == "submit":
            bench.submit(what)
        else:
            peer = slots[which]
            if peer.closed is not None:
                peer = slots[which] = bench.peer(inbound=bool(which % 2))
            if kind == "say":
                peer.send(what)
            elif kind == "spoil":
                message, cut, noise = what
                payload = message.encode()
                peer.send_payload(message.command, payload[: cut * len(payload) // 100] + noise)
            elif kind == "noise":
                peer.send_bytes(what)
            elif kind == "pause":
                bench.handle(Paused(peer.number))
            elif kind == "resume":
                bench.handle(Resumed(peer.number))
            else:
                peer.closed = "left"
                bench.handle(Closed(peer.number))
        assert chain.tip.chainwork >= work
        work = chain.tip.chainwork
        alive = {peer.number for peer in bench.peers.values() if peer.closed is None}
        assert set(node.peers) <= alive
        assert bench.wake_at is None or bench.wake_at >= bench.now_ns
    for number in list(node.peers):
        bench.handle(Closed(number))
    assert not node.peers
    assert not len(node.blocks.download) and not len(node.blocks.partial)
    assert not len(node.transactions.orphans)
    assert not chain.tip.is_failed
