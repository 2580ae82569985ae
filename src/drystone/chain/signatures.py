"""Whom a chain asks about signatures: someone who may still be busy while it goes on reading.

The coins of a block can be followed before its signatures are known to be good, and the next
block's, too. So a chain only starts the checks, and waits for the verdict before it commits.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from drystone.consensus.verifier import SignatureCheck, verify_one_by_one

Verdict = Callable[[], bool]
"""Waits, and tells whether all were valid."""


class Signatures(Protocol):
    """Checks signatures in batches, perhaps on other cores."""

    def start(self, checks: Sequence[SignatureCheck], /) -> Verdict:
        """Begin to check a batch, and return at once."""


class AtOnce:
    """Checks them in the calling thread, before it returns."""

    def start(self, checks: Sequence[SignatureCheck], /) -> Verdict:
        """The verdict is there already."""
        is_valid = verify_one_by_one(checks)
        return lambda: is_valid
