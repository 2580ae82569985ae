"""Why a transaction is not let in, where consensus has no word for it.

The class says what to do with the transaction; the reason is the reference client's string, of
version 31. Core: TxValidationResult. `consensus/errors.py` has the others: TxInvalid, TxPremature
and MissingInputs.
"""

from drystone.consensus.errors import Rejected


class TxNonstandard(Rejected):
    """Valid, perhaps, but not of a kind that this node relays. Core: TX_NOT_STANDARD."""


class InputsNonstandard(TxNonstandard):
    """So is every transaction with its txid, whatever the witness. Core: TX_INPUTS_NOT_STANDARD."""


class WitnessMutated(TxNonstandard):
    """The witness is odd, another might not be: remember its wtxid only.

    Core: TX_WITNESS_MUTATED.
    """


class WitnessStripped(TxNonstandard):
    """The witness is missing: with it, all may be well, so remember nothing.

    Core: TX_WITNESS_STRIPPED.
    """


class TxKnown(Rejected):
    """It is in the mempool or in the chain already. Core: TX_CONFLICT."""


class PolicyRefused(Rejected):
    """It doesn't go with what is in the mempool: limits, replacement. Core: TX_MEMPOOL_POLICY."""


class FeeTooLow(Rejected):
    """It pays too little by itself; with a child that pays, it may come.

    Core: TX_RECONSIDERABLE.
    """


class PackageRefused(Rejected):
    """A package as a whole: its shape, or what it would do. Core: PCKG_POLICY, PCKG_TX."""
