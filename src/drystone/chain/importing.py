"""Taking in blocks by the thousand, from files that may be in any order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from drystone.chain.blockfile import Record, Skipped
from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import Arrival
from drystone.consensus.errors import BlockInvalid, BlockOrphan, Rejected
from drystone.primitives.block import HEADER_BYTES, Block
from drystone.primitives.codec import DecodeError
from drystone.primitives.hashes import BlockHash, display, sha256d

BATCH_BLOCKS: Final = 128
BATCH_TRANSACTIONS: Final = 4_000
PASSED_OVER: Final = 1_000  # known blocks, after which a report is due
MOST_ORPHANS: Final = 10_000  # blocks that wait for their parents,
MOST_ORPHAN_BYTES: Final = 128 << 20  # of so many bytes
MOST_COMPLAINTS: Final = 1_000  # sentences kept; more are only counted


@dataclass(slots=True)
class ImportReport:
    """How far an import has come, in blocks.

    offset: in the file, up to which it was read. known: those that the chain had. orphans: those
    whose parents have not come. complaints: what was no block or a bad one, a sentence each.
    """

    offset: int = 0
    new: int = 0
    known: int = 0
    refused: int = 0
    orphans: int = 0
    transactions: int = 0  # in the new ones
    complaints: list[str] = field(default_factory=list)

    def complain(self, sentence: str) -> None:
        """Keep a sentence, if there aren't too many."""
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(sentence)


class Orphans:
    """Blocks that wait for their parents: all files of an import share them.

    most, most_bytes: there is no room for more. are_bad: blocks that were refused for good;
    whatever builds on them need not wait.
    """

    def __init__(self, most: int = MOST_ORPHANS, most_bytes: int = MOST_ORPHAN_BYTES) -> None:
        self.count = 0
        self.are_bad: set[BlockHash] = set()
        self._most = most
        self._most_bytes = most_bytes
        self._size = 0  # bytes
        self._by_parent: dict[BlockHash, list[Arrival]] = {}
        self._hashes: set[BlockHash] = set()

    def put(self, arrival: Arrival) -> bool:
        """Let a block wait, if there is room; one that waits already is not put twice."""
        block = arrival.block
        if block.hash in self._hashes:
            return True
        size = block.total_size
        if self.count >= self._most or self._size + size > self._most_bytes:
            return False
        self.count += 1
        self._size += size
        self._hashes.add(block.hash)
        self._by_parent.setdefault(block.header.prev_hash, []).append(arrival)
        return True

    def take(self, parent: BlockHash) -> list[Arrival]:
        """Those that waited for a block that has come now."""
        children = self._by_parent.pop(parent, [])
        self.count -= len(children)
        for arrival in children:
            self._size -= arrival.block.total_size
            self._hashes.remove(arrival.block.hash)
        return children


def import_blocks(
    chain: ChainState,
    records: Iterable[Record | Skipped],
    *,
    now: int,
    orphans: Orphans | None = None,
) -> Iterator[ImportReport]:
    """Submit all blocks of a file, in batches; the report, always the same object, after each.

    A block that comes before its parent waits for it. What the chain knows is passed over without
    being decoded, so that an import that was broken off is soon back where it ended.

    now: unix seconds. orphans: those of files before this one, and for those that come after.
    Raises StoreError.
    """
    report = ImportReport()
    arrivals = _arrivals(chain, records, report)
    yield from _take_in(chain, arrivals, report, now, Orphans() if orphans is None else orphans)


def take_in_unrecorded(chain: ChainState, *, now: int) -> Iterator[ImportReport]:
    """Submit what the chain's store has found whole in its files, but was never told of.

    That is a block or two after a crash, and all of them when a directory is reindexed.
    """
    report = ImportReport()
    yield from _take_in(chain, map(Arrival, chain.unrecorded), report, now, Orphans())
    chain.took_in_unrecorded()


def _arrivals(
    chain: ChainState, records: Iterable[Record | Skipped], report: ImportReport
) -> Iterator[Arrival | None]:
    """Decode what is new; None for what is passed over."""
    for record in records:
        where = f"at offset {record.offset}"
        if isinstance(record, Skipped):
            report.offset = record.offset + record.size_bytes
            report.complain(f"{where}: {record.size_bytes} bytes passed over, {record.why}")
            continue
        report.offset = record.offset + 8 + len(record.block)
        node = chain.tree.get(BlockHash(sha256d(record.block[:HEADER_BYTES])))
        if node is not None and node.has_data:
            report.known += 1
            yield None
            continue
        try:
            yield Arrival(Block.from_bytes(record.block), record.block)
        except DecodeError as error:
            report.refused += 1
            report.complain(f"{where}: no block, {error}")


def _take_in(
    chain: ChainState,
    arrivals: Iterator[Arrival | None],
    report: ImportReport,
    now: int,
    orphans: Orphans,
) -> Iterator[ImportReport]:
    batches = _ReadAhead(_batches(arrivals))
    while (batch := batches.take()) is not None:
        while batch:
            submission = chain.submit_all(batch, now=now, meanwhile=batches.read_on)
            followers: list[Arrival] = []
            for arrival, outcome in zip(batch, submission.outcomes, strict=True):
                block, error = arrival.block, outcome.error
                if isinstance(error, BlockOrphan):
                    if block.header.prev_hash in orphans.are_bad:
                        error = BlockInvalid("bad-prevblk", "builds on a block that is refused")
                    elif orphans.put(arrival):
                        continue
                if isinstance(error, BlockInvalid):
                    orphans.are_bad.add(block.hash)
                _book(report, block, outcome.is_new, error)
                if outcome.node is not None or isinstance(error, BlockInvalid):
                    followers += orphans.take(block.hash)
            batch = followers
        report.orphans = orphans.count
        yield report
    yield report  # what lay behind the last new block, too


class _ReadAhead:
    """Batches of which the next can be read before it is asked for."""

    def __init__(self, batches: Iterator[list[Arrival]]) -> None:
        self._batches = batches
        self._read: list[list[Arrival]] = []  # one at most

    def read_on(self) -> None:
        """Read the next, unless that is done."""
        if not self._read:
            self._read += islice(self._batches, 1)

    def take(self) -> list[Arrival] | None:
        """The next, or None if there is none."""
        self.read_on()
        return self._read.pop() if self._read else None


def _batches(arrivals: Iterator[Arrival | None]) -> Iterator[list[Arrival]]:
    """Cut into pieces that can be taken in at once; empty ones where much is passed over."""
    batch: list[Arrival] = []
    transactions = passed_over = 0
    for arrival in arrivals:
        if arrival is None:
            passed_over += 1
        else:
            batch.append(arrival)
            transactions += len(arrival.block.vtx)
        if (
            len(batch) >= BATCH_BLOCKS
            or transactions >= BATCH_TRANSACTIONS
            or passed_over >= PASSED_OVER
        ):
            yield batch
            batch, transactions, passed_over = [], 0, 0
    if batch:
        yield batch


def _book(report: ImportReport, block: Block, is_new: bool, error: Rejected | None) -> None:  # noqa: FBT001
    """Count a block by what became of it."""
    if error is not None:
        report.refused += 1
        report.complain(f"block {display(block.hash)}: {error}")
    elif is_new:
        report.new += 1
        report.transactions += len(block.vtx)
    else:
        report.known += 1
