"""How long it takes to let a transaction into the mempool, signature apart.

    python tests/benchmarks/bench_mempool.py [--transactions 4000] [--rounds 5]

Time is this process's own, so that others may have the machine meanwhile. Of each figure it is the
least of the rounds' that counts: whatever disturbs makes it longer. The everyday transaction spends
one P2WPKH coin and pays two keys. `with signature` has libsecp256k1 look; otherwise the verifier
says yes to everything.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import process_time
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.spending import p2wpkh_lock, spend

from drystone.consensus.chains import REGTEST
from drystone.consensus.coins import Coin
from drystone.consensus.verifier import INLINE, Verifier
from drystone.mempool.chainview import ChainView
from drystone.mempool.outcomes import Accepted
from drystone.mempool.policy import Policy
from drystone.mempool.pool import Mempool
from drystone.primitives.block import Block
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxOut

NOW = 1_600_000_000
VALUE = 100_000_000  # satoshis
PAID = 50_000
FEE = 1_000
SECRET = sha256(b"mempool benchmark").digest()


class Credulous:
    """A verifier that says yes."""

    def ecdsa(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        return True

    def schnorr(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        return True


class Case(NamedTuple):
    """Transactions to be let in, the coins that there are, and the policy to do it by."""

    name: str
    transactions: Sequence[Transaction]
    coins: dict[OutPoint, Coin]
    policy: Policy
    verifier: Verifier


def funded(count: int) -> dict[OutPoint, Coin]:
    """Coins of one key."""
    script = p2wpkh_lock(SECRET).script_pubkey
    return {
        OutPoint(Txid(n.to_bytes(32, "big")), 0): Coin(TxOut(VALUE, script), 1, is_coinbase=False)
        for n in range(1, count + 1)
    }


def payment(outpoint: OutPoint, coin: Coin, fee: int = FEE) -> Transaction:
    """One input, a payment and its change."""
    lock = p2wpkh_lock(SECRET)
    change = TxOut(coin.output.value - PAID - fee, lock.script_pubkey)
    outputs = [change, TxOut(PAID, lock.script_pubkey)]
    return spend([(outpoint, coin)], [lock], outputs)


def chained(coins: dict[OutPoint, Coin], length: int) -> list[Transaction]:
    """From each coin a chain of payments, each spending the change of the one before."""
    made = []
    for outpoint, coin in coins.items():
        at, spent = outpoint, coin
        for _ in range(length):
            tx = payment(at, spent)
            made.append(tx)
            at, spent = OutPoint(tx.txid, 0), Coin(tx.vout[0], 1, is_coinbase=False)
    return made


def cases(count: int) -> list[Case]:
    """What is measured."""
    coins = funded(count)
    plain = [payment(outpoint, coin) for outpoint, coin in coins.items()]
    rising = [payment(at, coin, FEE + n) for n, (at, coin) in enumerate(coins.items())]
    few = dict(list(coins.items())[: count // 25])
    return [
        Case("one input, two outputs", plain, coins, Policy(), Credulous()),
        Case("the same, with signature", plain, coins, Policy(), INLINE),
        Case("chains of 25", chained(few, 25), coins, Policy(), Credulous()),
        Case(
            "a full mempool, the worst evicted",
            rising,
            coins,
            Policy(limitclustersize=20, maxmempool=1),
            Credulous(),
        ),
    ]


def seconds(case: Case) -> float:
    """This process's time for all of them, in a new mempool."""
    pool = Mempool(REGTEST, case.policy, verifier=case.verifier)
    view = ChainView(case.coins, 200, NOW, lambda _: NOW)
    fresh = [Transaction.from_bytes(tx.encode()) for tx in case.transactions]
    started = process_time()
    outcomes = [pool.accept(tx, view, NOW) for tx in fresh]
    took = process_time() - started
    assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes[-1]
    return took


class Filled:
    """A mempool of chains of five, and the block that would take all of it."""

    def __init__(self, count: int) -> None:
        self.coins = funded(count // 5)
        self.transactions = chained(self.coins, 5)
        self.view = ChainView(self.coins, 200, NOW, lambda _: NOW)
        self.block = Block(REGTEST.genesis.header, tuple(self.transactions))

    def pool(self) -> Mempool:
        """Filled anew."""
        pool = Mempool(REGTEST, verifier=Credulous())
        for tx in self.transactions:
            pool.accept(tx, self.view, NOW)
        assert len(pool) == len(self.transactions)
        return pool

    def template_seconds(self) -> float:
        """The time to put all chunks in order, as for a block template."""
        pool = self.pool()
        started = process_time()
        assert len(pool.chunks()) <= len(self.transactions)
        return process_time() - started

    def block_seconds(self) -> float:
        """The time to drop what a block has."""
        pool = self.pool()
        started = process_time()
        pool.follow(self.view, NOW, connected=[self.block])
        assert not len(pool)
        return process_time() - started

    def back_seconds(self) -> float:
        """The time to take it all back, scripts known."""
        pool = self.pool()
        pool.follow(self.view, NOW, connected=[self.block])
        started = process_time()
        pool.follow(self.view, NOW, connected=(), unconfirmed=self.transactions, is_reorg=True)
        assert len(pool) == len(self.transactions)
        return process_time() - started


def least(measure: Callable[[], float], rounds: int) -> float:
    """Of so many rounds."""
    return min(measure() for _ in range(rounds))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--transactions", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{'a transaction into the mempool':36} {'us':>8} {'per s':>8}")
    for case in cases(options.transactions):
        took = least(partial(seconds, case), options.rounds)
        each = took / len(case.transactions)
        print(f"{case.name:36} {each * 1e6:8.1f} {1 / each:8.0f}")
    filled = Filled(options.transactions)
    for name, measure in (
        ("in order for a template, each of all", filled.template_seconds),
        ("in a block, each of all", filled.block_seconds),
        ("back out of a block, each of all", filled.back_seconds),
    ):
        each = least(measure, options.rounds) / len(filled.transactions)
        print(f"{name:36} {each * 1e6:8.1f} {1 / each:8.0f}")


if __name__ == "__main__":
    main()
