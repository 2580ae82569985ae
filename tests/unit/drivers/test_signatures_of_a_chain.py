"""A chain and its signature queue: many blocks under way at once, and always the right verdict."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.support.blocks import REGTEST
from tests.support.branches import Branches
from tests.support.spending import (
    SECRETS,
    Lock,
    anyone_lock,
    p2tr_key_lock,
    p2wpkh_lock,
    spend,
)
from tests.support.stores import open_chain

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import Arrival
from drystone.chain.signatures import AtOnce, Signatures, Verdict
from drystone.consensus.coins import Coin
from drystone.consensus.verifier import Algorithm, SignatureCheck, verify_one_by_one
from drystone.core.chance import Stream
from drystone.crypto.secp256k1 import public_key, sign_ecdsa
from drystone.drivers.verifier import SignatureQueue
from drystone.primitives.block import Block
from drystone.primitives.transaction import OutPoint, Transaction, TxOut

NOW = REGTEST.genesis.header.time + 10_000_000


def check(number: int) -> SignatureCheck:
    """A valid one. Bad ones differ in their digest."""
    secret = (number + 1).to_bytes(32, "big")
    digest = number.to_bytes(32, "big")
    return SignatureCheck(Algorithm.ECDSA, public_key(secret), digest, sign_ecdsa(secret, digest))


GOOD = [check(number) for number in range(64)]
BAD = GOOD[0]._replace(digest=b"\xee" * 32)


@pytest.fixture(params=[1, 2, 4])
def queue(request: pytest.FixtureRequest) -> Iterator[SignatureQueue]:
    with SignatureQueue(request.param) as made:
        yield made


def batches(count: int, seed: int) -> list[tuple[list[SignatureCheck], bool]]:
    """Of 0 to 150 checks, every third with a bad one somewhere."""
    chance = Stream(seed, "batches of signatures")
    made = []
    for _ in range(count):
        checks = [GOOD[chance.below(len(GOOD))] for _ in range(chance.below(150))]
        if is_bad := chance.below(3) == 0:
            checks.insert(chance.below(len(checks) + 1), BAD)
        made.append((checks, not is_bad))
    return made


def test_many_batches_at_once_each_have_their_own_verdict(queue: SignatureQueue) -> None:
    started = [(queue.start(checks), is_valid) for checks, is_valid in batches(60, seed=1)]
    for verdict, is_valid in reversed(started):  # in another order than they were begun
        assert verdict() is is_valid
    for verdict, is_valid in started:  # and asking again is fine
        assert verdict() is is_valid


def test_verdicts_that_nobody_asks_for_hold_nobody_up(queue: SignatureQueue) -> None:
    for checks, _ in batches(20, seed=2):
        queue.start(checks)
    assert queue.start(GOOD)()
    assert not queue.start([*GOOD, BAD])()


def test_several_chains_may_share_a_queue(queue: SignatureQueue) -> None:
    def ask(seed: int) -> bool:
        return all(queue.start(checks)() is is_valid for checks, is_valid in batches(20, seed=seed))

    queue.start(GOOD)()  # the threads are there before the askers are
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(ask, range(3))) == [True] * 3


def test_a_verdict_is_given_after_the_queue_was_closed(queue: SignatureQueue) -> None:
    good, bad = queue.start(GOOD * 3), queue.start([*GOOD * 3, BAD])
    queue.close()
    assert good() and not bad()
    assert queue.start(GOOD)()  # and it begins again
    names = [thread.name for thread in threading.enumerate()]
    assert sum(name.startswith("signatures") for name in names) == queue._count


# Blocks whose signatures are good or bad, as a chain asks about them.

LOCKS = [p2wpkh_lock(), p2tr_key_lock(), p2wpkh_lock(SECRETS[1])]
FALSE = (
    "block-script-verify-flag-failed (Script evaluated without error but finished with a "
    "false/empty top stack element)"
)
BRANCHES = Branches()
BASE = BRANCHES.grow(BRANCHES.genesis, 101)


def paying_on(tx: Transaction, height: int, locks: Sequence[Lock]) -> Transaction:
    """Spends what a transaction at a height paid, and pays to one lock of each kind."""
    coins = [
        (OutPoint(tx.txid, n), Coin(tx.vout[n], height, tx.is_coinbase)) for n in range(len(locks))
    ]
    value = sum(coin.output.value for _, coin in coins) // len(LOCKS) - 10
    return spend(coins, locks, [TxOut(value, lock.script_pubkey) for lock in LOCKS])


def forged(tx: Transaction) -> Transaction:
    """The first signature is for something else. The txid stays."""
    signature, key = tx.vin[0].witness
    other = sign_ecdsa(SECRETS[0], b"\7" * 32) + signature[-1:]
    return replace(tx, vin=(replace(tx.vin[0], witness=(other, key)), *tx.vin[1:]))


def signed_blocks(count: int, *, forged_at: set[int], greedy_at: set[int]) -> list[Block]:
    """Blocks with real signatures, each paying on from the one below; some are bad.

    Those that claim a satoshi too much are found out at once, those with a forged signature later.
    """
    tx = paying_on(BASE[0].coinbase, 1, [anyone_lock()])
    blocks = [BRANCHES.on(BASE[-1], [tx])]
    for nth in range(1, count):
        tx = paying_on(tx, BRANCHES.height(blocks[-1]), LOCKS)
        sent = forged(tx) if nth in forged_at else tx
        fees = 33 if nth in greedy_at else 30  # the transaction leaves 30 to 32
        blocks.append(BRANCHES.on(blocks[-1], [sent], fees=fees))
    return blocks


def submitted(
    signatures: Signatures, blocks: Sequence[Block]
) -> tuple[ChainState, list[str | None]]:
    """A chain to which these came at once, and why each was refused."""
    chain = open_chain(REGTEST, signatures=signatures)
    chain.submit_all(map(Arrival, BASE), now=NOW)
    submission = chain.submit_all(map(Arrival, blocks), now=NOW)
    reasons = [one.error.reason if one.error else None for one in submission.outcomes]
    return chain, reasons


@pytest.mark.parametrize(
    ("forged_at", "greedy_at"),
    [
        (set(), set()),
        ({25}, set()),
        ({3, 4, 30}, set()),
        ({10}, {11}),  # found later, but it is the lower one
        ({10}, {29}),
        ({29}, {10}),
        ({39}, {39}),  # in one block the amount comes first
    ],
)
def test_the_lowest_bad_block_is_found_whichever_is_found_out_first(
    queue: SignatureQueue, forged_at: set[int], greedy_at: set[int]
) -> None:
    blocks = signed_blocks(40, forged_at=forged_at, greedy_at=greedy_at)
    lowest = min(forged_at | greedy_at, default=40)
    reasons: list[str | None] = [None] * lowest
    if lowest < 40:
        reasons.append("bad-cb-amount" if lowest in greedy_at else FALSE)
        reasons += ["bad-prevblk"] * (39 - lowest)
    for signatures in (queue, AtOnce()):
        chain, told = submitted(signatures, blocks)
        assert told == reasons
        assert chain.tip.hash == blocks[lowest - 1].hash


def test_every_signature_is_asked_about_once_and_none_where_scripts_are_assumed() -> None:
    asked: list[SignatureCheck] = []

    class Listening(AtOnce):
        def start(self, checks: Sequence[SignatureCheck], /) -> Verdict:
            asked.extend(checks)
            return super().start(checks)

    blocks = signed_blocks(5, forged_at=set(), greedy_at=set())
    chain, _ = submitted(Listening(), blocks)
    assert len(asked) == len(set(asked)) == 4 * len(LOCKS)
    assert verify_one_by_one(asked)
    chain.invalidate(blocks[0].hash)
    chain.reconsider(blocks[0].hash)  # all of it is connected again, and was valid once
    assert chain.tip.hash == blocks[-1].hash
    assert len(asked) == 4 * len(LOCKS)
    bad = signed_blocks(5, forged_at={2}, greedy_at=set())
    trusting = open_chain(REGTEST, are_scripts_assumed=lambda node: node.height <= 104)
    trusting.submit_all(map(Arrival, [*BASE, *bad]), now=NOW)
    assert trusting.tip.hash == bad[-1].hash
