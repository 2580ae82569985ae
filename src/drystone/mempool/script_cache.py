"""Scripts that were found valid, so that nobody runs them twice."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from drystone.chain.signatures import Signatures
from drystone.consensus.script.errors import ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.verify import Spend, verify_scripts
from drystone.consensus.verifier import INLINE, Deferred, SignatureCheck, Verifier
from drystone.primitives.hashes import Wtxid
from drystone.primitives.transaction import Transaction, TxOut

MOST_REMEMBERED: Final = 100_000
CHECKED_TOGETHER: Final = 8  # signatures; if one is bad, all their scripts run once more


class ScriptCache:
    """Which transactions' scripts are valid, and under which flags. Core: ValidationCache.

    A wtxid stands for scripts and witnesses and, by the txids of what is spent, for the outputs.
    Flags only forbid: what is valid under some is valid under fewer. most: then the oldest is
    forgotten. signatures: who checks those that are foreseen; None: nothing is.
    """

    def __init__(
        self,
        verifier: Verifier = INLINE,
        most: int = MOST_REMEMBERED,
        signatures: Signatures | None = None,
    ) -> None:
        self._verifier = verifier
        self._most = most
        self._signatures = signatures
        # What is being checked, and by whom the verdict will be told.
        self._foreseen: dict[Wtxid, tuple[Flags, Callable[[], bool]]] = {}
        self._valid: dict[Wtxid, Flags] = {}

    def __len__(self) -> int:
        return len(self._valid)

    def is_valid(self, wtxid: Wtxid, flags: Flags) -> bool:
        """Whether the scripts are known to be valid under these flags."""
        known = self._valid.get(wtxid)
        return known is not None and flags in known

    def verify(self, tx: Transaction, spent_outputs: Sequence[TxOut], flags: Flags) -> None:
        """Run a transaction's scripts, unless they are known to be valid. Raises ScriptInvalid."""
        wtxid = tx.wtxid
        known = self._valid.get(wtxid)
        if known is not None and flags in known:
            return
        foreseen = self._foreseen.pop(wtxid, None)
        if foreseen is None or flags not in foreseen[0] or not foreseen[1]():
            verify_scripts(tx, spent_outputs, flags, self._verifier)
        if known is None and len(self._valid) >= self._most:
            del self._valid[next(iter(self._valid))]
        self._valid[wtxid] = flags if known is None else known | flags

    @property
    def foresees(self) -> bool:
        """Whether there is any use in `foresee`."""
        return self._signatures is not None

    def foresee(self, spends: Iterable[Spend], flags: Flags) -> None:
        """Run the scripts of transactions that will soon be verified, all but their signatures.

        Those are checked meanwhile, on other cores. What was foreseen before and not verified by
        now is forgotten.
        """
        self._foreseen.clear()
        if self._signatures is None:
            return
        checks: list[SignatureCheck] = []
        together: list[Wtxid] = []
        for spend in spends:
            deferred = Deferred()
            try:
                verify_scripts(*spend, flags, self._verifier, deferred)
            except ScriptInvalid:  # it will be found again, if nothing else is
                continue
            checks += deferred.checks
            together.append(spend.tx.wtxid)
            if len(checks) >= CHECKED_TOGETHER:
                self._start(checks, together, flags)
                checks, together = [], []
        self._start(checks, together, flags)

    def _start(self, checks: list[SignatureCheck], wtxids: list[Wtxid], flags: Flags) -> None:
        assert self._signatures is not None
        if wtxids:
            verdict = self._signatures.start(checks)
            self._foreseen.update(dict.fromkeys(wtxids, (flags, verdict)))
