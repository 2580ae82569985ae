"""What a mempool answers."""

from dataclasses import dataclass
from typing import NamedTuple

from drystone.consensus.errors import Rejected
from drystone.mempool.contents import Removal
from drystone.mempool.entry import Entry
from drystone.primitives.hashes import Wtxid
from drystone.primitives.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Accepted:
    """A transaction that was let in, or would have been.

    fee: satoshis. vsize: virtual bytes, adjusted to signature checks. paid_with: the wtxids of
    those whose fees were looked at together, and effective_fee and effective_vsize are theirs.
    """

    tx: Transaction
    fee: int
    vsize: int
    effective_fee: int
    effective_vsize: int
    paid_with: tuple[Wtxid, ...]
    removed: tuple[Removal, ...] = ()  # who went for it, or because there was too much


@dataclass(frozen=True, slots=True)
class Refused:
    """A transaction that was not let in, and why."""

    tx: Transaction
    error: Rejected
    removed: tuple[Removal, ...] = ()  # who went all the same, for being too old or paying worst

    @property
    def reason(self) -> str:
        """The reference client's string."""
        return self.error.reason


@dataclass(frozen=True, slots=True)
class Present:
    """A transaction of a package that is in the mempool already, maybe with another witness."""

    tx: Transaction  # as it is there
    fee: int
    vsize: int


Outcome = Accepted | Refused


class PackageOutcome(NamedTuple):
    """What became of transactions that came together.

    error: what is wrong with them as a package. outcomes: of each by wtxid, as far as they were
    looked at. removed: who went.
    """

    error: Rejected | None
    outcomes: dict[Wtxid, Accepted | Refused | Present]
    removed: tuple[Removal, ...] = ()


class Restored(NamedTuple):
    """How many of the transactions that were kept are back.

    trouble: what is wrong with the rest of what was kept, if anything is.
    """

    accepted: int
    failed: int
    expired: int
    already_there: int
    trouble: str | None


def accepted(entry: Entry, removed: tuple[Removal, ...] = ()) -> Accepted:
    """What is said of one that pays for itself."""
    tx, vsize = entry.tx, entry.vsize
    return Accepted(tx, entry.fee, vsize, entry.modified_fee, vsize, (tx.wtxid,), removed)
