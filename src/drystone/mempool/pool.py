"""The mempool: one door for transactions, one for blocks, and what there is to see.

It holds no chain: each call is shown one. It opens nothing, asks no clock, and answers with values,
so what a caller does about a refusal is the caller's affair.
"""

from collections.abc import Iterable, Iterator, Sequence

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import TipChange
from drystone.consensus.coins import Coin
from drystone.consensus.errors import Rejected
from drystone.consensus.locktime import UNLOCKED, is_final, is_unlocked, sequence_lock
from drystone.consensus.params import Params
from drystone.consensus.verifier import INLINE, Verifier
from drystone.mempool.acceptance import Acceptance, Terms, TransactionFailed, Verdict
from drystone.mempool.chainview import ChainView
from drystone.mempool.cluster import Chunk, Cluster
from drystone.mempool.contents import Contents, Removal, Why
from drystone.mempool.dump import Dump, Saved
from drystone.mempool.entry import Entry
from drystone.mempool.errors import FeeTooLow, PackageRefused, PolicyRefused
from drystone.mempool.outcomes import (
    Accepted,
    Outcome,
    PackageOutcome,
    Present,
    Refused,
    Restored,
    accepted,
)
from drystone.mempool.package_attempt import PackageAttempt
from drystone.mempool.packages import check_child_with_parents, check_well_formed
from drystone.mempool.policy import Policy
from drystone.mempool.script_cache import ScriptCache
from drystone.primitives.block import Block
from drystone.primitives.hashes import Txid, Wtxid
from drystone.primitives.transaction import OutPoint, Transaction

DEFAULT = Policy()

_ALONE = Terms()
_FROM_A_BLOCK = Terms(bypasses_limits=True)
_TESTED_TOGETHER = Terms(may_replace=False, may_evict_sibling=False)


class Mempool:
    """Transactions that wait for a block, within a policy's limits. Core: CTxMemPool.

    verifier: who checks signatures. scripts: a cache to be used instead of one of its own; nodes of
    one process may share it, whatever their chains.
    """

    def __init__(
        self,
        params: Params,
        policy: Policy = DEFAULT,
        *,
        verifier: Verifier = INLINE,
        scripts: ScriptCache | None = None,
    ) -> None:
        self.params = params
        self.policy = policy
        self.scripts = ScriptCache(verifier) if scripts is None else scripts
        self.unbroadcast: dict[Txid, None] = {}  # ours, that no peer is known to have asked for
        self._contents = Contents(policy)

    # ------------------------------------------------------------------ looking

    def __len__(self) -> int:
        return len(self._contents)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._contents)

    def __contains__(self, txid: Txid) -> bool:
        return self._contents.get(txid) is not None

    def get(self, txid: Txid) -> Entry | None:
        """A transaction and what is known of it, by txid."""
        return self._contents.get(txid)

    def get_by_wtxid(self, wtxid: Wtxid) -> Entry | None:
        """The same by wtxid."""
        return self._contents.get_by_wtxid(wtxid)

    def spender(self, outpoint: OutPoint) -> Entry | None:
        """Who spends an output."""
        return self._contents.spender(outpoint)

    def coin(self, outpoint: OutPoint, view: ChainView) -> Coin | None:
        """A coin that is there once the mempool is mined, of the chain or of a transaction here."""
        if self._contents.spender(outpoint) is not None:
            return None
        if self._contents.get(outpoint.txid) is not None:
            return self._contents.coin(outpoint, view.next_height)
        return view.coins.get(outpoint)

    @property
    def usage_bytes(self) -> int:
        """How much memory it takes, by the reference client's measure."""
        return self._contents.usage_bytes

    @property
    def total_vsize(self) -> int:
        """Virtual bytes of all transactions."""
        return self._contents.total_vsize

    @property
    def total_fee(self) -> int:
        """Satoshis that all pay, prioritised or not."""
        return self._contents.total_fee

    @property
    def sequence(self) -> int:
        """A number that grows with each transaction that comes or goes."""
        return self._contents.sequence

    def minimum_rate(self, now: int) -> int:
        """Satoshis for 1,000 virtual bytes that a transaction must pay now. Core: mempoolminfee."""
        return max(self._contents.minimum_rate(now), self.policy.minrelaytxfee)

    def chunks(self) -> list[Chunk]:
        """All transactions as a miner would best take them: in chunks, the best fee rate first."""
        return self._contents.graph.chunks()

    def clusters(self) -> Iterator[Cluster]:
        """The clusters, in the order in which they came to be."""
        return iter(self._contents.graph)

    # ------------------------------------------------------------------ transactions

    def accept(
        self,
        tx: Transaction,
        view: ChainView,
        now: int,
        *,
        max_feerate: int | None = None,
    ) -> Outcome:
        """Let a transaction in, if it may. now: unix seconds.

        max_feerate: satoshis for 1,000 virtual bytes, above which the sender must have erred.
        Core: AcceptToMemoryPool.
        """
        terms = _ALONE if max_feerate is None else Terms(max_feerate=max_feerate)
        return self._accept(tx, view, now, terms)

    def _accept(
        self, tx: Transaction, view: ChainView, now: int, terms: Terms, entered: int | None = None
    ) -> Outcome:
        """entered: when it first came, if not now."""
        try:
            verdict = self._acceptance(view, now).check(tx, terms)
        except Rejected as error:
            return Refused(tx, error)
        if entered is not None:
            verdict.proposals[0].entry.time = entered
        removed = self._apply(verdict)
        removed += self._limit(now)
        if self._contents.get(tx.txid) is None:
            return Refused(tx, FeeTooLow("mempool full"), tuple(removed))
        return accepted(verdict.proposals[0].entry, tuple(removed))

    def test(
        self, tx: Transaction, view: ChainView, now: int, *, max_feerate: int | None = None
    ) -> Outcome:
        """What `accept` would say, but for "mempool full"; nothing changes."""
        try:
            verdict = self._acceptance(view, now).check(tx, Terms(max_feerate=max_feerate))
        except Rejected as error:
            return Refused(tx, error)
        return accepted(verdict.proposals[0].entry)

    def test_together(
        self, package: Sequence[Transaction], view: ChainView, now: int
    ) -> PackageOutcome:
        """What would be said of several, each paying for itself and replacing nobody.

        package: parents before children. Nothing changes. Core: ProcessNewPackage, testing.
        """
        try:
            check_well_formed(package)
            verdict = self._acceptance(view, now).check_together(package, _TESTED_TOGETHER)
        except TransactionFailed as failed:
            return _package_failed(failed)
        except Rejected as error:
            return PackageOutcome(error, {})
        return PackageOutcome(
            None, {p.entry.tx.wtxid: accepted(p.entry) for p in verdict.proposals}
        )

    def accept_package(
        self,
        package: Sequence[Transaction],
        view: ChainView,
        now: int,
        *,
        max_feerate: int | None = None,
    ) -> PackageOutcome:
        """Let in a child with parents of its, or a single one; the child's fee may pay for all.

        package: the child last. Each is tried by itself first, so that nobody is paid for who can
        pay; those left over are tried together. Core: AcceptPackage.
        """
        try:
            check_well_formed(package)
            if len(package) > 1:
                check_child_with_parents(package)
        except PackageRefused as error:
            return PackageOutcome(error, {})
        attempt = PackageAttempt(self._contents, self._acceptance(view, now), max_feerate)
        for tx in package:
            attempt.try_alone(tx, is_only=len(package) == 1)
        attempt.try_rest_together()
        removed = self._forgotten(attempt.removed) + self._limit(now)
        return self._concluded(package, attempt, tuple(removed))

    def _concluded(
        self, package: Sequence[Transaction], attempt: PackageAttempt, removed: tuple[Removal, ...]
    ) -> PackageOutcome:
        """What became of each, now that some may have been evicted again."""
        error = attempt.error
        outcomes: dict[Wtxid, Accepted | Refused | Present] = {}
        for tx in package:
            outcome = attempt.outcomes.get(tx.wtxid)
            if outcome is None:
                continue
            if not isinstance(outcome, Refused) and tx.txid not in self:
                error = PackageRefused("transaction failed")
                outcome = Refused(tx, PolicyRefused("mempool full"))
            outcomes[tx.wtxid] = outcome
        return PackageOutcome(error, outcomes, removed)

    def prioritise(self, txid: Txid, delta: int) -> None:
        """Treat a transaction as if it paid so many satoshis more, or less; deltas add up.

        It may come later. Core: PrioritiseTransaction.
        """
        self._contents.prioritise(txid, delta)

    @property
    def deltas(self) -> dict[Txid, int]:
        """What was added to fees, by txid."""
        return dict(self._contents.deltas)

    def remove(self, txid: Txid, why: Why = Why.CONFLICT) -> tuple[Removal, ...]:
        """Remove a transaction and all that spend its coins."""
        entry = self._contents.get(txid)
        if entry is None:
            return ()
        return tuple(self._forgotten(self._contents.remove_with_descendants([entry], why)))

    def limit(self, now: int) -> tuple[Removal, ...]:
        """Let go of what is too old, and of what pays worst if there is too much."""
        return tuple(self._limit(now))

    # ------------------------------------------------------------------ blocks

    def follow(
        self,
        view: ChainView,
        now: int,
        *,
        connected: Iterable[Block],
        unconfirmed: Sequence[Transaction] = (),
        is_reorg: bool = False,
    ) -> tuple[Removal, ...]:
        """The tip has moved: drop what is in blocks now, and take back what is in none any more.

        view: of the new tip. connected: the blocks that came, the tip's last. unconfirmed: as
        `chain.chainstate.TipChange` has it. is_reorg: whether any block went.
        """
        removed: list[Removal] = []
        for block in connected:
            removed += self._take_block(block, now)
        if is_reorg:
            removed += self._take_back(unconfirmed, view, now)
            removed += self._drop_early(view)
            removed += self._contents.limit(now)
        return tuple(self._forgotten(removed))

    def follow_chain(self, chain: ChainState, change: TipChange, now: int) -> tuple[Removal, ...]:
        """The same, for a chain whose tip has just moved. now: unix seconds."""
        nodes = change.connected if len(self) or self._contents.deltas else change.connected[-1:]
        return self.follow(
            ChainView.at_tip(chain),
            now,
            connected=(chain.block(node.hash) for node in nodes),
            unconfirmed=change.unconfirmed,
            is_reorg=bool(change.disconnected),
        )

    def _take_block(self, block: Block, now: int) -> list[Removal]:
        """Remove what a block has, and what is at odds with it. Core: removeForBlock."""
        contents = self._contents
        contents.minimum_fee.block_came(now)
        if not (len(contents) or contents.deltas):
            return []
        mined: list[Entry] = []
        conflicts: dict[Txid, Entry] = {}
        for tx in block.vtx:
            entry = contents.get(tx.txid)
            if entry is not None:
                mined.append(entry)
            else:
                for txin in tx.vin:
                    other = contents.spender(txin.prevout)
                    if other is not None:
                        conflicts[other.tx.txid] = other
            contents.deltas.pop(tx.txid, None)
        removed = contents.remove(mined, Why.BLOCK)
        if conflicts:
            for txid in conflicts:
                contents.deltas.pop(txid, None)
            removed += contents.remove_with_descendants(list(conflicts.values()), Why.CONFLICT)
        return removed

    def _take_back(
        self, unconfirmed: Sequence[Transaction], view: ChainView, now: int
    ) -> list[Removal]:
        """Let in what was in blocks; what isn't let in takes those along that spend it."""
        contents = self._contents
        removed: list[Removal] = []
        back: list[Txid] = []
        for tx in unconfirmed:
            try:
                verdict = self._acceptance(view, now).check(tx, _FROM_A_BLOCK)
            except Rejected:
                if tx.txid not in self:
                    children = contents.children_in_pool(tx)
                    removed += contents.remove_with_descendants(children, Why.REORG)
            else:
                removed += self._apply(verdict)
                back.append(tx.txid)
        entries = [entry for txid in back if (entry := contents.get(txid)) is not None]
        return removed + contents.rejoin(entries)

    def _drop_early(self, view: ChainView) -> list[Removal]:
        """Remove what may not be in the next block: the chain may be shorter, or its time earlier.

        Core: removeForReorg.
        """
        early = [entry for entry in self._contents if not self._is_due(entry, view)]
        return self._contents.remove_with_descendants(early, Why.REORG) if early else []

    def _is_due(self, entry: Entry, view: ChainView) -> bool:
        """Whether an entry may be in the next block, and its coins are there."""
        if not is_final(entry.tx, view.next_height, view.median_time_past):
            return False
        if entry.lock == UNLOCKED and not entry.spends_coinbase:
            return True
        spent: list[Coin] = []
        for txin in entry.tx.vin:
            coin = self._contents.coin(txin.prevout, view.next_height)
            coin = coin or view.coins.get(txin.prevout)
            if coin is None:
                return False  # of a coinbase whose block is gone
            if coin.is_coinbase and view.next_height - coin.height < self.params.coinbase_maturity:
                return False
            spent.append(coin)
        entry.lock = sequence_lock(entry.tx, spent, view.median_time_at)
        return is_unlocked(entry.lock, view.next_height, view.median_time_past)

    # ------------------------------------------------------------------ keeping

    def dump(self) -> Dump:
        """What is to be kept over a restart."""
        saved = [
            Saved(entry.tx, entry.time, entry.modified_fee - entry.fee)
            for chunk in self.chunks()
            for entry in chunk.entries
        ]
        deltas = [(txid, delta) for txid, delta in self.deltas.items() if txid not in self]
        return Dump(tuple(saved), tuple(deltas), tuple(self.unbroadcast))

    def restore(self, dump: Dump, view: ChainView, now: int) -> Restored:
        """Let in what was kept, with the times at which it first came. Core: LoadMempool."""
        accepted = failed = expired = already_there = 0
        for tx, time, fee_delta in dump.transactions:
            if fee_delta:
                self.prioritise(tx.txid, fee_delta)
            if time <= now - self.policy.expiry_s:
                expired += 1
                continue
            is_there = tx.txid in self
            outcome = self._accept(tx, view, now, _ALONE, entered=time)
            if isinstance(outcome, Accepted):
                accepted += 1
            elif is_there:
                already_there += 1
            else:
                failed += 1
        for txid, fee_delta in dump.deltas:
            self.prioritise(txid, fee_delta)
        self.unbroadcast.update(dict.fromkeys(t for t in dump.unbroadcast if t in self))
        return Restored(accepted, failed, expired, already_there, dump.trouble)

    # ------------------------------------------------------------------ helpers

    def _acceptance(self, view: ChainView, now: int) -> Acceptance:
        return Acceptance(self._contents, view, now, self.params, self.scripts)

    def _apply(self, verdict: Verdict) -> list[Removal]:
        return self._forgotten(self._contents.apply(verdict.plan, Why.REPLACED))

    def _limit(self, now: int) -> list[Removal]:
        return self._forgotten(self._contents.limit(now))

    def _forgotten(self, removed: list[Removal]) -> list[Removal]:
        if self.unbroadcast:
            for removal in removed:
                self.unbroadcast.pop(removal.tx.txid, None)
        return removed


def _package_failed(failed: TransactionFailed) -> PackageOutcome:
    outcomes: dict[Wtxid, Accepted | Refused | Present] = {
        failed.tx.wtxid: Refused(failed.tx, failed.error)
    }
    return PackageOutcome(PackageRefused(failed.reason), outcomes)
