"""What a node relays and keeps, beyond what is valid: its own choice, in figures."""

from dataclasses import dataclass, fields
from typing import Final

from drystone.core.errors import UserError
from drystone.primitives.transaction import WITNESS_SCALE_FACTOR

MAX_CLUSTER_COUNT: Final = 64  # Core: MAX_CLUSTER_COUNT_LIMIT
USAGE_PER_CLUSTER_BYTE: Final = 40  # so much room, at least, for each byte that a cluster may have


@dataclass(frozen=True, slots=True)
class Policy:
    """The figures, named as the reference client's options, with its defaults (of version 31).

    Rates are satoshis for 1,000 virtual bytes. Core: MemPoolOptions.
    Raises UserError for figures that can't be.
    """

    acceptnonstdtxn: bool = False
    minrelaytxfee: int = 100
    incrementalrelayfee: int = 100  # what replacing and evicting must be worth
    dustrelayfee: int = 3_000  # at which spending an output must not cost more than it is worth
    bytespersigop: int = 20
    datacarrier: bool = True
    datacarriersize: int = 100_000  # bytes of scripts, all data outputs of a transaction together
    permitbaremultisig: bool = True
    limitclustercount: int = MAX_CLUSTER_COUNT
    limitclustersize: int = 101  # thousands of virtual bytes
    maxmempool: int = 300  # millions of bytes of memory
    mempoolexpiry: int = 336  # hours

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise UserError(f"{field.name} must not be negative")
        if not 1 <= self.limitclustercount <= MAX_CLUSTER_COUNT:
            raise UserError(f"limitclustercount must be from 1 to {MAX_CLUSTER_COUNT}")
        if self.limitclustersize < 1:
            raise UserError("limitclustersize must be at least 1")
        least = -(-self.limitclustersize * USAGE_PER_CLUSTER_BYTE // 1_000)
        if 0 < self.maxmempool < least:
            raise UserError(f"maxmempool must be at least {least} MB")

    @property
    def max_datacarrier_bytes(self) -> int:
        """How many bytes of data output scripts a transaction may have."""
        return self.datacarriersize if self.datacarrier else 0

    @property
    def max_cluster_weight(self) -> int:
        """How much a cluster may weigh, signature checks taken into account."""
        return self.limitclustersize * 1_000 * WITNESS_SCALE_FACTOR

    @property
    def max_usage_bytes(self) -> int:
        """How much memory the mempool may take."""
        return self.maxmempool * 1_000_000

    @property
    def expiry_s(self) -> int:
        """How long a transaction may wait, in seconds."""
        return self.mempoolexpiry * 3_600


def fee_at(rate: int, vsize: int) -> int:
    """What so many virtual bytes cost at a rate per 1,000, rounded up. Core: CFeeRate::GetFee."""
    return -(-rate * vsize // 1_000)


def rate_of(fee: int, vsize: int) -> int:
    """The rate per 1,000 virtual bytes, rounded down. Core: CFeeRate::GetFeePerK."""
    return fee * 1_000 // vsize


def adjusted_weight(weight: int, sigop_cost: int, bytespersigop: int) -> int:
    """The weight, or more for a transaction with many signature checks.

    A block's limit of checks must not be used up by transactions that pay for little weight.
    Core: GetSigOpsAdjustedWeight.
    """
    return max(weight, sigop_cost * bytespersigop)


def vsize_of(weight: int) -> int:
    """Virtual bytes, rounded up."""
    return -(-weight // WITNESS_SCALE_FACTOR)
