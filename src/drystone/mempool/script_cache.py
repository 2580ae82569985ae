"""Scripts that were found valid, so that nobody runs them twice."""

from collections.abc import Sequence
from typing import Final

from drystone.consensus.script.flags import Flags
from drystone.consensus.script.verify import verify_scripts
from drystone.consensus.verifier import INLINE, Verifier
from drystone.primitives.hashes import Wtxid
from drystone.primitives.transaction import Transaction, TxOut

MOST_REMEMBERED: Final = 100_000


class ScriptCache:
    """Which transactions' scripts are valid, and under which flags. Core: ValidationCache.

    A wtxid stands for scripts and witnesses and, by the txids of what is spent, for the outputs.
    Flags only forbid: what is valid under some is valid under fewer. most: then the oldest is
    forgotten.
    """

    def __init__(self, verifier: Verifier = INLINE, most: int = MOST_REMEMBERED) -> None:
        self._verifier = verifier
        self._most = most
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
        verify_scripts(tx, spent_outputs, flags, self._verifier)
        if known is None and len(self._valid) >= self._most:
            del self._valid[next(iter(self._valid))]
        self._valid[wtxid] = flags if known is None else known | flags
