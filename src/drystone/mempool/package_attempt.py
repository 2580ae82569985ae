"""A package on its way into a mempool: each transaction alone first, then those left together."""

from drystone.consensus.errors import MissingInputs, Rejected
from drystone.mempool.acceptance import Acceptance, Terms, TransactionFailed
from drystone.mempool.contents import Contents, Removal, Why
from drystone.mempool.errors import FeeTooLow, PackageRefused
from drystone.mempool.outcomes import Accepted, Present, Refused, accepted
from drystone.primitives.hashes import Wtxid
from drystone.primitives.transaction import Transaction


class PackageAttempt:
    """A package that is being let in, as far as it may. Core: AcceptPackage."""

    def __init__(self, contents: Contents, acceptance: Acceptance, max_feerate: int | None) -> None:
        self._contents = contents
        self._acceptance = acceptance
        self._max_feerate = max_feerate
        self._rest: list[Transaction] = []
        self._is_hopeless = False
        self.error: Rejected | None = None
        self.outcomes: dict[Wtxid, Accepted | Refused | Present] = {}
        self.removed: list[Removal] = []

    def try_alone(self, tx: Transaction, *, is_only: bool) -> None:
        """See whether one gets in by itself, or is there already."""
        known = self._contents.get(tx.txid)
        if known is not None:
            self.outcomes[tx.wtxid] = Present(known.tx, known.fee, known.vsize)
            return
        try:
            verdict = self._acceptance.check(tx, Terms(max_feerate=self._max_feerate))
        except Rejected as error:
            self.outcomes[tx.wtxid] = Refused(tx, error)
            if is_only or not isinstance(error, FeeTooLow | MissingInputs):
                # Only fees are looked at otherwise in company.
                self._is_hopeless = True
                self.error = PackageRefused("transaction failed")
            else:
                self._rest.append(tx)
        else:
            self.removed += self._contents.apply(verdict.plan, Why.REPLACED)
            self.outcomes[tx.wtxid] = accepted(verdict.proposals[0].entry)

    def try_rest_together(self) -> None:
        """See whether those that didn't get in do so together."""
        if self._is_hopeless or not self._rest:
            return
        if len(self._rest) == 1:
            self._retry(self._rest[0])
            return
        terms = Terms(may_evict_sibling=False, pays_together=True, max_feerate=self._max_feerate)
        try:
            verdict = self._acceptance.check_together(self._rest, terms)
        except TransactionFailed as failed:
            self.error = PackageRefused(failed.reason)
            self.outcomes[failed.tx.wtxid] = Refused(failed.tx, failed.error)
            return
        except Rejected as error:
            self.error = error
            return
        self.removed += self._contents.apply(verdict.plan, Why.REPLACED)
        entries = [proposal.entry for proposal in verdict.proposals]
        fee = sum(entry.modified_fee for entry in entries)
        vsize = sum(entry.vsize for entry in entries)
        wtxids = tuple(entry.tx.wtxid for entry in entries)
        for entry in entries:
            self.outcomes[entry.tx.wtxid] = Accepted(
                entry.tx, entry.fee, entry.vsize, fee, vsize, wtxids
            )

    def _retry(self, tx: Transaction) -> None:
        """The last one left is tried alone again: its parents may be in by now."""
        del self.outcomes[tx.wtxid]
        self.try_alone(tx, is_only=True)
