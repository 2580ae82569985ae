"""A mempool's life by chance: coins, transactions, packages, blocks, reorganisations, time.

python -m tests.support.mempool_play 17 400      # seed 17, 400 steps: prints a hash of it all
"""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from typing import Final

from drystone.consensus.coins import Coin
from drystone.core.chance import Stream
from drystone.mempool.contents import Removal, Why
from drystone.mempool.outcomes import Accepted, Refused
from drystone.mempool.policy import Policy
from drystone.mempool.pool import Mempool
from drystone.primitives.block import Block
from drystone.primitives.hashes import Txid
from drystone.primitives.script import op_return
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.support.mempool import HEIGHT, Owned, Place, block_of, check_pool, gone
from tests.support.spending import anyone_lock

ANYONE = anyone_lock()
USAGE_BYTES: Final = 20_000  # some twenty transactions


@dataclass(frozen=True)
class Tiny(Policy):
    """Limits that are soon reached."""

    @property
    def max_usage_bytes(self) -> int:
        return USAGE_BYTES


POLICY = Tiny(acceptnonstdtxn=True, limitclustercount=8, limitclustersize=2, mempoolexpiry=3)


@dataclass
class Mined:
    """A block, and what taking it back puts back."""

    transactions: Sequence[Transaction]
    spent: dict[OutPoint, Coin]


class Play:
    """A mempool, and beside it the transactions that must be in it, by what it said itself."""

    def __init__(self, seed: int) -> None:
        self.chance = Stream(seed, "mempool")
        self.place = Place(POLICY)
        self.expected: dict[Txid, Transaction] = {}
        self.blocks: list[Mined] = []
        self.trace = sha256()
        self.seen: dict[str, int] = {}
        self.before: list[tuple[int, int]] = []
        for _ in range(12):
            self.place.fund(ANYONE, 100_000)

    # ------------------------------------------------------------------ steps

    def step(self) -> None:
        """Something happens, and all that must hold does."""
        roll = self.chance.below(100)
        for bound, act in (
            (62, self.send),
            (74, self.send_package),
            (79, self.prioritise),
            (87, self.mine_best),
            (90, self.mine_rival),
            (95, self.take_back),
            (97, self.wait),
            (100, self.fund),
        ):
            if roll < bound:
                self.note(act())
                break
        check_pool(self.place)
        assert self.place.txids() == set(self.expected)

    def send(self) -> str:
        """One transaction, of coins that others may spend already."""
        tx = self.transaction(self.coins(1 + self.chance.below(3)))
        self.before = diagram_of(self.place.pool)
        return self.came(tx)

    def came(self, tx: Transaction) -> str:
        tested = self.place.test(tx)
        at_odds = self.at_odds_with(tx)
        outcome = self.place.accept(tx)
        self.forget(outcome.removed)
        if isinstance(outcome, Accepted):
            assert isinstance(tested, Accepted)
            self.expected[tx.txid] = tx
            went = gone(outcome.removed)
            replaced = {txid for txid, why in went.items() if why is Why.REPLACED}
            assert at_odds <= replaced
            assert replaced == at_odds or tx.version == 3, "only TRUC siblings go besides"
            whys = set(went.values())
            if whys == {Why.REPLACED}:
                assert is_better(diagram_of(self.place.pool), self.before)
                return "replaced"
            return "accepted"
        if outcome.reason != "mempool full":
            assert isinstance(tested, Refused) and tested.reason == outcome.reason
        return outcome.reason

    def at_odds_with(self, tx: Transaction) -> set[Txid]:
        """Who spends the same coins, and who spends theirs: found by asking everybody."""
        spent = {txin.prevout for txin in tx.vin}
        found: set[Txid] = set()
        while more := {
            txid
            for txid, other in self.expected.items()
            if txid not in found
            and any(i.prevout in spent or i.prevout.txid in found for i in other.vin)
        }:
            found |= more
        return found

    def send_package(self) -> str:
        """A parent that pays little or nothing, and its child."""
        parent = self.transaction(self.coins(1), fee=self.chance.below(2) * self.chance.below(60))
        more = self.coins(1) if not self.chance.below(3) else []
        child = self.transaction([coin_of(parent, 0), *more], version=parent.version)
        self.before = diagram_of(self.place.pool)
        outcome = self.place.package(parent, child)
        for result in outcome.outcomes.values():
            if isinstance(result, Accepted) or result.tx.txid in self.place.pool:
                self.expected[result.tx.txid] = result.tx
        self.forget(outcome.removed)
        if outcome.error is None and set(gone(outcome.removed).values()) == {Why.REPLACED}:
            assert is_better(diagram_of(self.place.pool), self.before)
            return "package replaced"
        return "package " + (outcome.error.reason if outcome.error else "accepted")

    def prioritise(self) -> str:
        entries = list(self.place.pool)
        if not entries:
            return "nothing to prioritise"
        entry = entries[self.chance.below(len(entries))]
        self.place.pool.prioritise(entry.tx.txid, self.chance.below(400) - 100)
        return "prioritised"

    def mine_best(self) -> str:
        """A block of the best chunks."""
        chunks = self.place.pool.chunks()[: self.chance.below(6)]
        return self.mine([entry.tx for chunk in chunks for entry in chunk.entries])

    def mine_rival(self) -> str:
        """A block that spends what others here spend."""
        rival = self.transaction(self.coins(1, only_chain=True))
        if rival.txid in self.place.pool:
            return "no rival"
        return "rival " + self.mine([rival])

    def mine(self, transactions: Sequence[Transaction]) -> str:
        spent = {
            txin.prevout: self.place.coins[txin.prevout]
            for tx in transactions
            for txin in tx.vin
            if txin.prevout in self.place.coins
        }
        self.blocks.append(Mined(transactions, spent))
        self.forget(self.place.mine(*transactions))
        return f"mined {len(transactions)}"

    def take_back(self) -> str:
        """The last blocks are no more; a block without their transactions may have come instead."""
        if not self.blocks:
            return "no block"
        place, unconfirmed = self.place, list[Transaction]()
        for _ in range(1 + self.chance.below(min(3, len(self.blocks)))):
            mined = self.blocks.pop()
            place.height -= 1
            for tx in mined.transactions:
                for vout in range(len(tx.vout)):
                    place.coins.pop(OutPoint(tx.txid, vout), None)
            place.coins.update(mined.spent)
            unconfirmed[:0] = mined.transactions
        connected: list[Block] = []
        if unconfirmed and not self.chance.below(3):
            rival = self.transaction(self.coins(1, only_chain=True))
            self.blocks.append(
                Mined([rival], {i.prevout: place.coins[i.prevout] for i in rival.vin})
            )
            place.height += 1
            for txin in rival.vin:
                del place.coins[txin.prevout]
            place.coins[OutPoint(rival.txid, 0)] = Coin(
                rival.vout[0], place.height, is_coinbase=False
            )
            connected.append(block_of(rival))
            unconfirmed = [tx for tx in unconfirmed if tx.txid != rival.txid]
        removed = place.pool.follow(
            place.view, place.now, connected=connected, unconfirmed=unconfirmed, is_reorg=True
        )
        for tx in unconfirmed:
            if tx.txid in place.pool:
                self.expected[tx.txid] = tx
        self.forget(removed)
        return f"took back {len(unconfirmed)}"

    def wait(self) -> str:
        self.place.now += self.chance.below(7_200)
        self.forget(self.place.pool.limit(self.place.now))
        return "waited"

    def fund(self) -> str:
        self.place.fund(ANYONE, 100_000, is_coinbase=not self.chance.below(4), height=HEIGHT - 99)
        return "funded"

    # ------------------------------------------------------------------ helpers

    def transaction(
        self, coins: Sequence[Owned], *, fee: int | None = None, version: int | None = None
    ) -> Transaction:
        """Spends these."""
        if version is None:
            version = 3 if not self.chance.below(5) else 2
        if fee is None:
            fee = 10 + self.chance.below(500)
        left = sum(each.coin.output.value for each in coins) - fee
        count = 1 + self.chance.below(3)
        vout = [TxOut(left // count, ANYONE.script_pubkey) for _ in range(count)]
        vout.append(TxOut(0, op_return(bytes(20 + self.chance.below(150)))))
        vin = tuple(
            TxIn(each.outpoint, sequence=self.chance.below(2) and 0xFFFFFFFD) for each in coins
        )
        lock_time = self.place.height - self.chance.below(3)
        return Transaction(version, vin, tuple(vout), lock_time)

    def coins(self, count: int, *, only_chain: bool = False) -> list[Owned]:
        """Different ones, of the chain or of the mempool, spent or not."""
        known = [
            Owned(outpoint, coin, ANYONE)
            for outpoint, coin in self.place.coins.items()
            if coin.output.value > 2_000 and coin.height <= self.place.height
        ]
        if not only_chain:
            known += [
                coin_of(entry.tx, vout)
                for entry in self.place.pool
                for vout in range(len(entry.tx.vout) - 1)
                if entry.tx.vout[vout].value > 2_000
            ]
        found: dict[OutPoint, Owned] = {}
        for _ in range(count):
            coin = known[self.chance.below(len(known))]
            found[coin.outpoint] = coin
        return list(found.values())

    def forget(self, removed: Sequence[Removal]) -> None:
        for removal in removed:
            self.expected.pop(removal.tx.txid, None)

    def note(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1
        state = b"".join(e.tx.wtxid for chunk in self.place.pool.chunks() for e in chunk.entries)
        rate = self.place.pool.minimum_rate(self.place.now)
        self.trace.update(f"{what} {rate} {self.place.pool.sequence}".encode() + state)


def coin_of(tx: Transaction, vout: int) -> Owned:
    return Owned(OutPoint(tx.txid, vout), Coin(tx.vout[vout], HEIGHT, is_coinbase=False), ANYONE)


def diagram_of(pool: Mempool) -> list[tuple[int, int]]:
    """Weight and fees after each chunk of all."""
    points = [(0, 0)]
    for chunk in pool.chunks():
        points.append((points[-1][0] + chunk.weight, points[-1][1] + chunk.fee))
    return points


def is_better(new: Sequence[tuple[int, int]], old: Sequence[tuple[int, int]]) -> bool:
    """Higher somewhere and lower nowhere, by asking at every corner."""

    def height(points: Sequence[tuple[int, int]], weight: int) -> Fraction:
        for (left, low), (right, high) in itertools.pairwise(points):
            if weight <= right:
                return low + Fraction(high - low, right - left) * (weight - left)
        return Fraction(points[-1][1])

    ahead = [height(new, w) - height(old, w) for w in sorted({w for w, _ in (*new, *old)})]
    return min(ahead) >= 0 and max(ahead) > 0


def played(seed: int, steps: int) -> Play:
    play = Play(seed)
    for _ in range(steps):
        play.step()
    return play


if __name__ == "__main__":
    done = played(int(sys.argv[1]), int(sys.argv[2]))
    print(done.trace.hexdigest())
    print(dict(sorted(done.seen.items(), key=lambda item: -item[1])), file=sys.stderr)
