"""A mempool beside a chain of nothing but coins, and transactions that are really signed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from drystone.consensus.chains import REGTEST
from drystone.consensus.coins import Coin
from drystone.mempool.chainview import ChainView
from drystone.mempool.cluster import Cluster
from drystone.mempool.contents import Removal, Why
from drystone.mempool.entry import Entry
from drystone.mempool.outcomes import Accepted, Outcome, PackageOutcome, Refused
from drystone.mempool.policy import Policy
from drystone.mempool.pool import Mempool
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import NULL_HASH, BlockHash, Txid, Wtxid, display
from drystone.primitives.script import op_return
from drystone.primitives.transaction import OutPoint, Transaction, TxOut
from tests.support.spending import Lock, p2wpkh_lock, spend

NOW = 1_600_000_000
HEIGHT = 200
VALUE = 1_000_000  # satoshis of each coin

LOCK = p2wpkh_lock()


class Owned(NamedTuple):
    """A coin and the way to spend it."""

    outpoint: OutPoint
    coin: Coin
    lock: Lock = LOCK


@dataclass
class Place:
    """A chain's coins, a mempool, and a clock. The time past is an hour behind the clock."""

    policy: Policy = field(default_factory=Policy)
    coins: dict[OutPoint, Coin] = field(default_factory=dict)
    height: int = HEIGHT
    now: int = NOW

    def __post_init__(self) -> None:
        self.pool = Mempool(REGTEST, self.policy)
        self.made = 0

    @property
    def view(self) -> ChainView:
        """Blocks come ten minutes apart."""
        past = NOW - 3_600 + 600 * (self.height - HEIGHT)
        return ChainView(
            self.coins, self.height, past, lambda height: past - 600 * (self.height - height)
        )

    # ------------------------------------------------------------------ making

    def fund(
        self,
        lock: Lock = LOCK,
        value: int = VALUE,
        *,
        height: int = 100,
        is_coinbase: bool = False,
    ) -> Owned:
        """A coin in the chain."""
        self.made += 1
        outpoint = OutPoint(Txid(self.made.to_bytes(32, "big")), 0)
        self.coins[outpoint] = Coin(TxOut(value, lock.script_pubkey), height, is_coinbase)
        return Owned(outpoint, self.coins[outpoint], lock)

    def pay(
        self,
        *coins: Owned,
        fee: int = 1_000,
        outputs: Sequence[TxOut] = (),
        count: int = 1,
        padding: int = 0,
        version: int = 2,
        sequence: int = 0xFFFFFFFD,
        lock_time: int = 0,
    ) -> Transaction:
        """Spends these coins, or a new one, to so many equal outputs besides those given.

        padding: bytes of data in one more output.
        """
        spent = coins or (self.fund(),)
        left = sum(each.coin.output.value for each in spent) - fee
        left -= sum(txout.value for txout in outputs)
        change = [TxOut(left // count, LOCK.script_pubkey) for _ in range(count)]
        if count:
            change[0] = TxOut(left - left // count * (count - 1), LOCK.script_pubkey)
        data = [TxOut(0, op_return(bytes(padding)))] if padding else []
        return spend(
            [(each.outpoint, each.coin) for each in spent],
            [each.lock for each in spent],
            [*change, *outputs, *data],
            sequence=sequence,
            lock_time=lock_time,
            version=version,
        )

    def chain_of(
        self, length: int, *, fee: int = 1_000, start: Owned | None = None
    ) -> list[Transaction]:
        """Transactions that each spend the one before."""
        made = [self.pay(start) if start else self.pay(fee=fee)]
        while len(made) < length:
            made.append(self.pay(owned(made[-1]), fee=fee))
        return made

    # ------------------------------------------------------------------ doing

    def accept(self, tx: Transaction) -> Outcome:
        return self.pool.accept(tx, self.view, self.now)

    def test(self, tx: Transaction) -> Outcome:
        return self.pool.test(tx, self.view, self.now)

    def package(self, *package: Transaction) -> PackageOutcome:
        return self.pool.accept_package(package, self.view, self.now)

    def let_in(self, *transactions: Transaction) -> tuple[Transaction, ...]:
        """They must be accepted."""
        for tx in transactions:
            outcome = self.accept(tx)
            assert isinstance(outcome, Accepted), outcome
        return transactions

    def mine(self, *transactions: Transaction, seconds: int = 600) -> tuple[Removal, ...]:
        """A block of these, whatever the rules say."""
        self.height += 1
        self.now += seconds
        for tx in transactions:
            for txin in tx.vin:
                self.coins.pop(txin.prevout, None)
            for vout, txout in enumerate(tx.vout):
                self.coins[OutPoint(tx.txid, vout)] = Coin(txout, self.height, is_coinbase=False)
        return self.pool.follow(self.view, self.now, connected=[block_of(*transactions)])

    # ------------------------------------------------------------------ asking

    def why_not(self, tx: Transaction) -> str | None:
        """The reason for which a transaction would be refused, if it would."""
        outcome = self.test(tx)
        return outcome.reason if isinstance(outcome, Refused) else None

    def txids(self) -> set[Txid]:
        return {entry.tx.txid for entry in self.pool}


def owned(tx: Transaction, vout: int = 0, lock: Lock = LOCK) -> Owned:
    """An output, to be spent before it is in a block."""
    return Owned(OutPoint(tx.txid, vout), Coin(tx.vout[vout], HEIGHT + 1, is_coinbase=False), lock)


def block_of(*transactions: Transaction) -> Block:
    """A block as far as a mempool looks at it."""
    header = BlockHeader(4, BlockHash(NULL_HASH), NULL_HASH, 0, 0, 0)
    return Block(header, transactions)


def gone(removed: Sequence[Removal]) -> dict[Txid, Why]:
    """Who went, and why."""
    return {removal.tx.txid: removal.why for removal in removed}


def reasons(outcome: PackageOutcome) -> dict[Wtxid, str]:
    """Of those refused."""
    return {w: o.reason for w, o in outcome.outcomes.items() if isinstance(o, Refused)}


def check_pool(place: Place) -> None:
    """All that must hold of a mempool at any time, worked out anew from its transactions."""
    pool = place.pool
    entries = {entry.tx.txid: entry for entry in pool}
    spent: dict[OutPoint, Txid] = {}
    for txid, entry in entries.items():
        assert pool.get(txid) is entry and pool.get_by_wtxid(entry.tx.wtxid) is entry
        for txin in entry.tx.vin:
            assert txin.prevout not in spent, "spent twice"
            spent[txin.prevout] = txid
            assert pool.spender(txin.prevout) is entry
            is_there = txin.prevout in place.coins or (
                txin.prevout.txid in entries
                and txin.prevout.vout < len(entries[txin.prevout.txid].tx.vout)
            )
            assert is_there, f"no coin at {txin.prevout}"
        parents = {i.prevout.txid for i in entry.tx.vin if i.prevout.txid in entries}
        assert set(entry.parents) == parents
        for parent in parents:
            assert entries[parent].children[txid] is entry
        assert all(child in entries for child in entry.children)
        assert entry.modified_fee == entry.fee + pool.deltas.get(txid, 0)
    assert pool.usage_bytes == sum(entry.usage_bytes for entry in entries.values())
    assert pool.total_fee == sum(entry.fee for entry in entries.values())
    assert pool.total_vsize == sum(entry.vsize for entry in entries.values())
    assert pool.usage_bytes <= place.policy.max_usage_bytes
    check_clusters(pool, entries, place.policy)
    check_order(pool, entries)


def check_clusters(pool: Mempool, entries: dict[Txid, Entry], policy: Policy) -> None:
    """Clusters are what hangs together, no more and no less, and none is too large."""
    seen: set[Txid] = set()
    clusters: list[Cluster] = list(pool.clusters())
    for cluster in clusters:
        members = {entry.tx.txid for entry in cluster.entries}
        assert members == connected(entries[next(iter(members))])
        assert not members & seen
        seen |= members
        assert all(entries[txid].cluster is cluster for txid in members)
        assert len(members) <= policy.limitclustercount
        assert cluster.weight == sum(entries[txid].weight for txid in members)
        assert cluster.weight <= policy.max_cluster_weight
    assert seen == set(entries)


def connected(entry: Entry) -> set[Txid]:
    """All that hang together with it."""
    found, stack = {entry.tx.txid}, [entry]
    while stack:
        at = stack.pop()
        for txid, other in (*at.parents.items(), *at.children.items()):
            if txid not in found:
                found.add(txid)
                stack.append(other)
    return found


def check_order(pool: Mempool, entries: dict[Txid, Entry]) -> None:
    """Chunks have everything once, no child before its parents, and never a better rate later."""
    done: set[Txid] = set()
    best: tuple[int, int] | None = None
    for chunk in pool.chunks():
        assert chunk.fee == sum(entry.modified_fee for entry in chunk.entries)
        assert chunk.weight == sum(entry.weight for entry in chunk.entries)
        if best is not None:
            assert chunk.fee * best[1] <= best[0] * chunk.weight, "a better chunk comes later"
        best = chunk.fee, chunk.weight
        for entry in chunk.entries:
            assert set(entry.parents) <= done, f"{display(entry.tx.txid)} before its parents"
            assert entry.tx.txid not in done
            done.add(entry.tx.txid)
    assert done == set(entries)
