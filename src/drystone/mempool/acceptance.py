"""Whether a transaction, or several that come together, may come into a mempool.

`Acceptance.check` and `check_together` are the tables of contents, in the reference client's order:
the first broken rule is the one reported. What is cheap comes first, scripts come last. Nothing
changes here; what is found is a plan, for `pool.py` to carry out or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from drystone.consensus.coins import Coin
from drystone.consensus.errors import MissingInputs, Rejected
from drystone.consensus.locktime import sequence_lock
from drystone.consensus.params import Params
from drystone.consensus.script.errors import ScriptInvalid
from drystone.consensus.script.flags import STANDARD
from drystone.consensus.transaction import check_transaction, check_tx_inputs, sigop_cost
from drystone.mempool.chainview import ChainView
from drystone.mempool.contents import Contents
from drystone.mempool.entry import Entry, descendants
from drystone.mempool.ephemeral import UnspentDust, check_dust_is_spent, check_dust_pays_nothing
from drystone.mempool.errors import (
    FeeTooLow,
    PackageRefused,
    TxKnown,
    TxNonstandard,
    WitnessStripped,
)
from drystone.mempool.graph import Plan
from drystone.mempool.packages import is_child_with_parents
from drystone.mempool.policy import adjusted_weight
from drystone.mempool.prechecks import (
    check_fee_rate,
    check_final,
    check_max_feerate,
    check_no_coinbase,
    check_sequence_lock,
    check_unknown,
    find_conflicts,
)
from drystone.mempool.replacement import (
    check_cluster_limits,
    check_replacement_count,
    check_replacement_improves,
    check_replacement_pays,
    check_spends_no_conflict,
    clusters_in_conflict,
    is_improvement,
    what_is_unpaid,
)
from drystone.mempool.script_cache import ScriptCache
from drystone.mempool.standardness import (
    check_inputs_standard,
    check_not_tiny,
    check_sigop_cost,
    check_standard,
    check_witness_standard,
    spends_witness_program,
)
from drystone.mempool.truc import Member, check_package_truc, check_truc, too_many_children
from drystone.primitives.hashes import Txid, display
from drystone.primitives.transaction import OutPoint, Transaction

MOST_OUTPUTS_LOOKED_UP = 16  # to see whether a transaction is in the chain already


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms transactions come. Core: ATMPArgs.

    bypasses_limits: it was in a block; only what no block may have, or what is not standard, is
    refused. may_replace: what is at odds with others in the mempool may take their place.
    may_evict_sibling: of TRUC transactions. pays_together: fees count for all together.
    max_feerate: satoshis for 1,000 virtual bytes, above which the sender must have erred.
    """

    bypasses_limits: bool = False
    may_replace: bool = True
    may_evict_sibling: bool = True
    pays_together: bool = False
    max_feerate: int | None = None


class Proposal(NamedTuple):
    """A transaction that might come in. Core: Workspace.

    conflicts: whom it would replace. parents: those in the mempool.
    """

    entry: Entry
    spent: tuple[Coin, ...]
    parents: Sequence[Entry]
    conflicts: Sequence[Entry]
    evicts_sibling: bool


class Verdict(NamedTuple):
    """What letting transactions in would do."""

    proposals: Sequence[Proposal]
    plan: Plan


class TransactionFailed(Exception):
    """One of several that come together is refused."""

    def __init__(
        self, tx: Transaction, error: Rejected, reason: str = "transaction failed"
    ) -> None:
        super().__init__(tx, error)
        self.tx = tx
        self.error = error
        self.reason = reason


class Acceptance:
    """The rules of one mempool, for one chain's tip, at one time. Core: MemPoolAccept."""

    def __init__(
        self,
        contents: Contents,
        view: ChainView,
        now: int,
        params: Params,
        scripts: ScriptCache,
    ) -> None:
        self._contents = contents
        self._view = view
        self._now = now
        self._maturity = params.coinbase_maturity
        self._scripts = scripts

    # ------------------------------------------------------------------ one

    def check(self, tx: Transaction, terms: Terms) -> Verdict:
        """All rules for a transaction that comes alone. Core: AcceptSingleTransaction.

        Raises Rejected, of a class that says what to do.
        """
        contents = self._contents
        policy = contents.policy
        proposal = self._propose(tx, terms, {})
        entry, conflicts = proposal.entry, proposal.conflicts
        if conflicts:
            plan = self._plan_replacement(proposal)
        else:
            plan = contents.graph.plan((entry,))
            check_cluster_limits(plan, policy)
        if conflicts:
            check_spends_no_conflict(entry, conflicts)
        check_max_feerate(entry, terms.max_feerate)
        if not terms.bypasses_limits and not policy.acceptnonstdtxn and entry.parents:
            check_dust_is_spent((tx,), self._in_pool, policy)
        self._check_scripts(proposal)
        return Verdict((proposal,), plan)

    def _plan_replacement(self, proposal: Proposal) -> Plan:
        """The rules for taking others' place. Core: ReplacementChecks."""
        entry, conflicts, evicts_sibling = (
            proposal.entry,
            proposal.conflicts,
            proposal.evicts_sibling,
        )
        policy = self._contents.policy
        check_replacement_count(entry, conflicts, evicts_sibling=evicts_sibling)
        replaced = list(descendants(*conflicts).values())
        check_replacement_pays(entry, replaced, policy, evicts_sibling=evicts_sibling)
        plan = self._contents.graph.plan((entry,), replaced)
        check_cluster_limits(plan, policy)
        check_replacement_improves(plan)
        return plan

    # ------------------------------------------------------------------ several

    def check_together(self, package: Sequence[Transaction], terms: Terms) -> Verdict:
        """All rules for transactions that come together. Core: AcceptMultipleTransactions.

        package: well-formed, and none of them in the mempool.
        Raises TransactionFailed for one of them, PolicyRefused or PackageRefused for all.
        """
        contents = self._contents
        policy = contents.policy
        proposals: list[Proposal] = []
        together: dict[Txid, Entry] = {}
        for tx in package:
            try:
                proposal = self._propose(tx, terms, together)
                check_max_feerate(proposal.entry, terms.max_feerate)
            except Rejected as error:
                raise TransactionFailed(tx, error) from None
            proposals.append(proposal)
            together[tx.txid] = proposal.entry
        check_package_truc([Member(p.entry.tx, p.entry.vsize, p.parents) for p in proposals])
        if terms.pays_together:
            self._check_package_fee(proposals)
        if any(proposal.conflicts for proposal in proposals):
            plan = self._plan_package_replacement(proposals)
        else:
            plan = contents.graph.plan([proposal.entry for proposal in proposals])
            check_cluster_limits(plan, policy)
        if not policy.acceptnonstdtxn:
            try:
                check_dust_is_spent(package, self._in_pool, policy)
            except UnspentDust as error:
                raise TransactionFailed(error.tx, error, "unspent-dust") from None
        for proposal in proposals:
            try:
                self._check_scripts(proposal)
            except Rejected as error:
                raise TransactionFailed(proposal.entry.tx, error) from None
        return Verdict(proposals, plan)

    def _check_package_fee(self, proposals: Sequence[Proposal]) -> None:
        fees = sum(proposal.entry.modified_fee for proposal in proposals)
        vsize = sum(proposal.entry.vsize for proposal in proposals)
        try:
            self._check_fee(fees, vsize)
        except FeeTooLow as error:
            raise TransactionFailed(proposals[-1].entry.tx, error) from None

    def _plan_package_replacement(self, proposals: Sequence[Proposal]) -> Plan:
        """The rules for a parent and its child to take others' place. Core: PackageRBFChecks.

        Raises PackageRefused("package RBF failed: ...") or PolicyRefused("too-large-cluster").
        """
        entries = [proposal.entry for proposal in proposals]
        if len(entries) != 2 or not is_child_with_parents([entry.tx for entry in entries]):
            raise _replacement_failed("package must be 1-parent-1-child")
        if any(proposal.parents for proposal in proposals):
            raise _replacement_failed("new transaction cannot have mempool ancestors")
        conflicts = list(dict.fromkeys([c for p in proposals for c in p.conflicts]))
        parent, child = entries
        policy = self._contents.policy
        wrong = clusters_in_conflict(child.tx.txid, conflicts)
        if wrong is not None:
            raise _replacement_failed("too many potential replacements", wrong)
        replaced = list(descendants(*conflicts).values())
        replaced_fees = sum(entry.modified_fee for entry in replaced)
        fees, vsize = parent.modified_fee + child.modified_fee, parent.vsize + child.vsize
        wrong = what_is_unpaid(child.tx.txid, replaced_fees, fees, vsize, policy)
        if wrong is not None:
            raise _replacement_failed("insufficient anti-DoS fees", wrong)
        if fees * parent.vsize <= parent.modified_fee * vsize:
            raise _replacement_failed(
                "package feerate is less than or equal to parent feerate",
                f"{fees} sat for {vsize} vB, {parent.modified_fee} for {parent.vsize}",
            )
        plan = self._contents.graph.plan(entries, replaced)
        check_cluster_limits(plan, policy)
        if not is_improvement(plan):
            raise _replacement_failed("insufficient feerate: does not improve feerate diagram")
        return plan

    # ------------------------------------------------------------------ before scripts

    def _propose(self, tx: Transaction, terms: Terms, together: dict[Txid, Entry]) -> Proposal:
        """The cheap rules, one transaction by itself. Core: PreChecks.

        together: those that come with it, before it.
        """
        contents, view = self._contents, self._view
        policy = contents.policy
        is_standard_only = not policy.acceptnonstdtxn
        check_transaction(tx)
        check_no_coinbase(tx)
        if is_standard_only:
            check_standard(tx, policy)
        check_not_tiny(tx)
        check_final(tx, view)
        check_unknown(tx, contents)
        conflicts = find_conflicts(tx, contents, may_replace=terms.may_replace)
        spent, parents, inside = self._find_coins(tx, together)
        lock = sequence_lock(tx, spent, view.median_time_at)
        check_sequence_lock(lock, view)
        found = dict(zip([txin.prevout for txin in tx.vin], spent, strict=True))
        _, fee = check_tx_inputs(tx, found, view.height + 1, self._maturity)
        if is_standard_only:
            check_inputs_standard(tx, spent)
            if tx.has_witness:
                check_witness_standard(tx, spent)
        cost = sigop_cost(tx, spent, STANDARD)
        entry = Entry(
            tx,
            fee=fee,
            modified_fee=fee + contents.deltas.get(tx.txid, 0),
            weight=adjusted_weight(tx.weight, cost, policy.bytespersigop),
            sigop_cost=cost,
            time=self._now,
            height=view.height,
            lock=lock,
            spends_coinbase=any(coin.is_coinbase for coin in spent),
            sequence=0 if terms.bypasses_limits else contents.sequence,
        )
        entry.parents = {parent.tx.txid: parent for parent in (*parents, *inside)}
        if is_standard_only:
            check_dust_pays_nothing(tx, fee, entry.modified_fee, policy)
        check_sigop_cost(cost)
        evicts_sibling = False
        if not terms.bypasses_limits:
            if not terms.pays_together:
                self._check_fee(entry.modified_fee, entry.vsize)
            sibling = check_truc(tx, entry.vsize, parents, {c.tx.txid for c in conflicts})
            if sibling is not None:
                if not terms.may_evict_sibling:
                    raise too_many_children(parents[0].tx)
                conflicts.append(sibling)
                evicts_sibling = True
        return Proposal(entry, spent, parents, conflicts, evicts_sibling)

    def _find_coins(
        self, tx: Transaction, together: dict[Txid, Entry]
    ) -> tuple[tuple[Coin, ...], list[Entry], list[Entry]]:
        """What it spends, whose coins in the mempool these are, and whose among those together.

        Raises MissingInputs("bad-txns-inputs-missingorspent") or TxKnown("txn-already-known").
        """
        contents, coins, height = self._contents, self._view.coins, self._view.height + 1
        spent: list[Coin] = []
        parents: dict[Txid, Entry] = {}
        inside: dict[Txid, Entry] = {}
        for txin in tx.vin:
            txid, vout = txin.prevout
            home = parents
            maker = contents.get(txid)
            if maker is None and together:
                home = inside
                maker = together.get(txid)
            if maker is None:
                coin = coins.get(txin.prevout)
            elif vout < len(maker.tx.vout):
                coin = Coin(maker.tx.vout[vout], height, is_coinbase=False)
                home[txid] = maker
            else:
                coin = None
            if coin is None:
                self._check_not_in_chain(tx)
                raise MissingInputs("bad-txns-inputs-missingorspent", f"no coin at {txin.prevout}")
            spent.append(coin)
        return tuple(spent), list(parents.values()), list(inside.values())

    def _check_not_in_chain(self, tx: Transaction) -> None:
        """Its inputs aren't missing because it is in a block: then its outputs would be there.

        Unless they are spent: nobody keeps a list. Core: PreChecks.
        Raises TxKnown("txn-already-known").
        """
        for vout in range(min(len(tx.vout), MOST_OUTPUTS_LOOKED_UP)):
            if self._view.coins.get(OutPoint(tx.txid, vout)) is not None:
                raise TxKnown("txn-already-known")

    def _check_fee(self, fee: int, vsize: int) -> None:
        check_fee_rate(fee, vsize, self._contents.minimum_rate(self._now), self._contents.policy)

    # ------------------------------------------------------------------ scripts

    def _check_scripts(self, proposal: Proposal) -> None:
        """Every input may spend its coin, by rules that are stricter than consensus.

        Core: PolicyScriptChecks. Raises TxNonstandard("mempool-script-verify-flag-failed (...)")
        with the script error's sentence; WitnessStripped where that may be all that is wrong.
        """
        tx, spent = proposal.entry.tx, proposal.spent
        try:
            self._scripts.verify(tx, [coin.output for coin in spent], STANDARD)
        except ScriptInvalid as invalid:
            index = invalid.input_index or 0
            reason = f"mempool-script-verify-flag-failed ({invalid.error.value})"
            detail = (
                f"input {index} of {display(tx.txid)} (wtxid {display(tx.wtxid)}), "
                f"spending {tx.vin[index].prevout}"
            )
            if not tx.has_witness and spends_witness_program(tx, spent):
                raise WitnessStripped(reason, detail) from None
            raise TxNonstandard(reason, detail) from None

    def _in_pool(self, txid: Txid) -> Transaction | None:
        entry = self._contents.get(txid)
        return None if entry is None else entry.tx


def _replacement_failed(why: str, detail: str = "") -> PackageRefused:
    return PackageRefused(f"package RBF failed: {why}", detail)
