"""Rejections: the class says what to do about it, the reason says which rule is broken.

Reasons are the reference client's strings (of version 31), written where they are raised, so that
one search finds the rule in both code bases.
"""


class Rejected(Exception):
    """Something that the rules refuse.

    reason: the reference client's string. detail: our sentence, for people.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        self.detail = detail


class TxInvalid(Rejected):
    """A transaction that no block may ever have."""


class TxPremature(Rejected):
    """A transaction whose time has not come: lock time, sequence lock, coinbase maturity."""


class MissingInputs(Rejected):
    """A transaction that spends what is not there: spent already, or not made yet."""


class BlockInvalid(Rejected):
    """A block that stays invalid, and with it all that build on it."""


class BlockMutated(Rejected):
    """These bytes are bad, but the same header may have good ones: mark nothing as invalid."""


class BlockPremature(Rejected):
    """A block from the future: its time may yet come."""


class BlockOrphan(Rejected):
    """A block or header whose parent isn't known: ask for what lies between."""
