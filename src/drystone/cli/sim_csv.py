"""The figures of simulations as CSV files, for whoever goes on with them. The same bytes each time.

`docs/scenarios.md` explains each column.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from drystone.core.errors import UserError
from drystone.core.time import MILLISECOND_NS, SECOND_NS
from drystone.network.measuring import SHARES, Figures
from drystone.primitives.hashes import display

COLUMNS: Final = {
    "blocks": (
        *("seed", "height", "hash", "prev_hash", "found_by", "found_s"),
        *("transactions", "is_stale"),
    ),
    "propagation": (
        *("seed", "height", "hash", "is_stale", "nodes"),
        *(f"after_{share}_ms" for share in (*SHARES, 100)),
    ),
    "reorgs": (
        *("seed", "time_s", "node", "depth", "old_height", "new_height"),
        *("old_tip", "new_tip"),
    ),
    "nodes": (
        *("seed", "node", "is_up", "hashes_per_s", "found", "stale", "height", "tip"),
        *("reorgs", "deepest_reorg", "mempool", "sent_messages", "sent_bytes"),
    ),
    "payments": (
        *("seed", "time_s", "from", "to", "amount_sat", "double_spend", "via", "txid"),
        *("height", "refusal"),
    ),
}


class CsvFolder:
    """Five files in a folder, which is made if it is missing. Files of before are replaced.

    Raises UserError if they can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = ExitStack()
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, columns in COLUMNS.items():
                path = self.folder / f"{name}.csv"
                file = self._files.enter_context(path.open("w", encoding="utf-8", newline=""))
                self._writers[name] = csv.writer(file, lineterminator="\n")
                self._writers[name].writerow(columns)
        except OSError as error:
            self._files.close()
            raise self._trouble(error) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._files.close()
        except OSError as trouble:
            raise self._trouble(trouble) from None

    def add(self, figures: Figures) -> None:
        """The rows of one run. Raises UserError."""
        try:
            for name, rows in rows_of(figures).items():
                self._writers[name].writerows(rows)
        except OSError as error:
            raise self._trouble(error) from None

    def _trouble(self, error: OSError) -> UserError:
        where = error.filename or self.folder
        return UserError(f"can't write {where}: {error.strerror}; name another folder with --csv")


def rows_of(figures: Figures) -> dict[str, Iterable[Sequence[object]]]:
    """Of each file, in the order of its columns."""
    return {
        "blocks": _blocks(figures),
        "propagation": _propagation(figures),
        "reorgs": _reorgs(figures),
        "nodes": _nodes(figures),
        "payments": _payments(figures),
    }


def _blocks(figures: Figures) -> Iterator[Sequence[object]]:
    for block in figures.blocks:
        yield (
            *(figures.seed, block.height, display(block.hash), display(block.prev_hash)),
            *(block.found_by, decimal(block.found_ns, SECOND_NS)),
            *(block.transactions, int(block.is_stale)),
        )


def _propagation(figures: Figures) -> Iterator[Sequence[object]]:
    for block in figures.blocks:
        yield (
            *(figures.seed, block.height, display(block.hash), int(block.is_stale), block.reached),
            *(decimal(after_ns, MILLISECOND_NS) for after_ns in block.after_ns.values()),
        )


def _reorgs(figures: Figures) -> Iterator[Sequence[object]]:
    for reorg in figures.reorgs:
        yield (
            *(figures.seed, decimal(reorg.at_ns, SECOND_NS), reorg.node, reorg.depth),
            *(reorg.old_height, reorg.new_height),
            *(display(reorg.old_tip), display(reorg.new_tip)),
        )


def _nodes(figures: Figures) -> Iterator[Sequence[object]]:
    for node in figures.nodes:
        yield (
            *(figures.seed, node.name, int(node.is_up), node.hashes_per_s, node.found, node.stale),
            *(node.height, display(node.tip), node.reorgs, node.deepest, node.mempool),
            *(node.sent_messages, node.sent_bytes),
        )


def _payments(figures: Figures) -> Iterator[Sequence[object]]:
    for paid in figures.payments:
        yield (
            *(figures.seed, decimal(paid.at_ns, SECOND_NS), paid.owner, paid.to, paid.amount),
            *("" if paid.race is None else paid.race, paid.via),
            *("" if paid.txid is None else display(paid.txid),),
            *("" if paid.height is None else paid.height, paid.refusal),
        )


def decimal(duration_ns: int | None, unit_ns: int) -> str:
    """A time in a unit of a thousand, a million... nanoseconds, exactly; nothing for None."""
    if duration_ns is None:
        return ""
    whole, rest = divmod(duration_ns, unit_ns)
    digits = str(unit_ns + rest)[1:].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
