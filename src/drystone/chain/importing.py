"""Taking in blocks by the thousand, from files that may be in any order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from drystone.chain.blockfile import Record, Skipped
from drystone.chain.chainstate import Arrival, ChainState
from drystone.consensus.errors import BlockOrphan, Rejected
from drystone.primitives.block import HEADER_BYTES, Block
from drystone.primitives.codec import DecodeError
from drystone.primitives.hashes import BlockHash, display, sha256d

BATCH_BLOCKS: Final = 128
BATCH_TRANSACTIONS: Final = 4_000
MOST_ORPHANS: Final = 10_000  # blocks that wait for their parents
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


def import_blocks(
    chain: ChainState, records: Iterable[Record | Skipped], *, now: int
) -> Iterator[ImportReport]:
    """Submit all blocks of a file, in batches; the report, always the same object, after each.

    A block that comes before its parent waits for it. What the chain knows is passed over without
    being decoded, so that an import that was broken off is soon back where it ended.

    now: unix seconds. Raises StoreError.
    """
    report = ImportReport()
    yield from _take_in(chain, _arrivals(chain, records, report), report, now)


def take_in_unrecorded(chain: ChainState, *, now: int) -> Iterator[ImportReport]:
    """Submit what the chain's store has found whole in its files, but was never told of.

    That is a block or two after a crash, and all of them when a directory is reindexed.
    """
    report = ImportReport()
    yield from _take_in(chain, map(Arrival, chain.unrecorded), report, now)


def _arrivals(
    chain: ChainState, records: Iterable[Record | Skipped], report: ImportReport
) -> Iterator[Arrival]:
    """Decode what is new."""
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
            continue
        try:
            yield Arrival(Block.from_bytes(record.block), record.block)
        except DecodeError as error:
            report.refused += 1
            report.complain(f"{where}: no block, {error}")


def _take_in(
    chain: ChainState, arrivals: Iterator[Arrival], report: ImportReport, now: int
) -> Iterator[ImportReport]:
    orphans = _Orphans()
    batches = _batches(arrivals)
    upcoming: list[Arrival] = []

    def read_on() -> None:
        upcoming.extend(next(batches, ()))

    read_on()
    while upcoming:
        batch, upcoming[:] = upcoming.copy(), []
        meanwhile = read_on
        while batch:
            submission = chain.submit_all(batch, now=now, meanwhile=meanwhile)
            meanwhile = _nothing
            followers: list[Arrival] = []
            for arrival, outcome in zip(batch, submission.outcomes, strict=True):
                if isinstance(outcome.error, BlockOrphan) and orphans.put(arrival):
                    continue
                _book(report, arrival.block, outcome.is_new, outcome.error)
                if outcome.node is not None:
                    followers += orphans.take(outcome.node.hash)
            batch = followers
        if not upcoming:
            read_on()
        report.orphans = orphans.count
        yield report
    yield report  # what lay behind the last new block, too


def _nothing() -> None:
    pass


def _batches(arrivals: Iterator[Arrival]) -> Iterator[list[Arrival]]:
    batch: list[Arrival] = []
    transactions = 0
    for arrival in arrivals:
        batch.append(arrival)
        transactions += len(arrival.block.vtx)
        if len(batch) >= BATCH_BLOCKS or transactions >= BATCH_TRANSACTIONS:
            yield batch
            batch, transactions = [], 0
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


class _Orphans:
    """Blocks that wait for their parents, up to so many."""

    def __init__(self) -> None:
        self.count = 0
        self._by_parent: dict[BlockHash, list[Arrival]] = {}

    def put(self, arrival: Arrival) -> bool:
        """Let a block wait, if there is room."""
        if self.count >= MOST_ORPHANS:
            return False
        self.count += 1
        self._by_parent.setdefault(arrival.block.header.prev_hash, []).append(arrival)
        return True

    def take(self, parent: BlockHash) -> list[Arrival]:
        """Those that waited for a block that has come now."""
        children = self._by_parent.pop(parent, [])
        self.count -= len(children)
        return children
