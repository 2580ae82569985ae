"""What the user and the miner have a node do."""

from tests.support.branches import Branches, payment
from tests.support.node import Bench

from drystone.consensus.chains import LOCAL, REGTEST
from drystone.mempool.policy import Policy
from drystone.mining.search import solve
from drystone.node.events import (
    Command,
    Found,
    Invalidate,
    Mine,
    Mining,
    NewTip,
    Offer,
    Prefer,
    Reconsider,
    Reply,
)
from drystone.p2p.messages import Headers, SendHeaders
from drystone.primitives.transaction import OutPoint

ANYONE = b"\x51"


def offers(bench: Bench) -> list[Offer | None]:
    """All that the miner was told so far."""
    return [action.offer for action in bench.actions if isinstance(action, Mine)]


def test_the_miner_is_offered_a_block_on_each_new_tip_and_what_it_finds_is_announced() -> None:
    branches = Branches()
    (first,) = branches.grow(branches.genesis, 1)
    bench = Bench(blocks=[first])
    peer = bench.peer()
    peer.send(Headers((first.header,)), SendHeaders())
    assert offers(bench) == []
    bench.handle(Command(Mining(ANYONE), 5))
    assert Reply(5, None) in bench.actions
    (offer,) = offers(bench)
    assert offer is not None and offer.prev_hash == first.hash and offer.height == 2
    block = solve(offer.template(bench.now.unix_s))
    assert block is not None
    bench.handle(Found(block))
    assert bench.chain.tip.hash == block.hash
    assert peer.take(Headers)[-1].headers[0].hash == block.hash
    assert [one and one.prev_hash for one in offers(bench)] == [first.hash, block.hash]
    bench.handle(Command(Mining(None)))
    assert offers(bench)[-1] is None


def test_on_regtest_alone_a_block_without_witnesses_looks_as_before_segwit() -> None:
    for params, outputs in ((REGTEST, 1), (LOCAL, 2)):
        template = Bench(params).node.miner.template(ANYONE, 2_000_000_000)
        assert len(template.coinbase.outputs) == outputs


def test_transactions_that_come_lead_to_another_offer_but_not_each_of_them() -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 110)
    bench = Bench(blocks=grown, policy=Policy(acceptnonstdtxn=True))
    bench.handle(Command(Mining(ANYONE)))
    transactions = [
        payment(OutPoint(block.coinbase.txid, 0), block.coinbase.vout[0].value // 2 - n, outputs=2)
        for n, block in enumerate(grown[:8], start=5_000)
    ]
    for tx in transactions:
        assert bench.submit(tx).error is None
    assert len(offers(bench)) == 1
    bench.pass_(6)
    assert len(offers(bench)) == 2
    offer = offers(bench)[-1]
    assert offer is not None
    template = offer.template(bench.now.unix_s)
    assert {tx.txid for tx in template.transactions} == {tx.txid for tx in transactions}
    bench.pass_(100)
    assert len(offers(bench)) == 2


def test_a_found_block_that_comes_too_late_does_no_harm() -> None:
    branches = Branches()
    (first,) = branches.grow(branches.genesis, 1)
    bench = Bench(blocks=[first])
    bench.handle(Command(Mining(ANYONE)))
    (offer,) = offers(bench)
    assert offer is not None
    late = solve(offer.template(bench.now.unix_s))
    second = branches.on(first)
    bench.submit(second)
    assert late is not None
    bench.handle(Found(late))
    assert bench.chain.tip.hash == second.hash


def test_blocks_are_given_up_taken_back_and_preferred_by_order() -> None:
    branches = Branches()
    ours = branches.grow(branches.genesis, 2)
    theirs = branches.grow(branches.genesis, 2)
    bench = Bench(blocks=[*ours, *theirs])
    tips = []
    for order in (
        Prefer(theirs[1].hash),
        Invalidate(theirs[0].hash),
        Invalidate(ours[1].hash),
        Reconsider(ours[1].hash),
    ):
        bench.handle(Command(order, 1))
        tips.append(bench.chain.tip.hash)
    assert tips == [theirs[1].hash, ours[1].hash, ours[0].hash, ours[1].hash]
    assert len(bench.news(NewTip)) == 4
