"""Opening a chain that is kept in a directory, with all that belongs to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from drystone.chain.chainstate import ChainState
from drystone.chain.importing import ImportReport, take_in_unrecorded
from drystone.chain.outcomes import Arrival
from drystone.chain.signatures import Signatures
from drystone.chain.tree import BlockNode
from drystone.consensus.chains import LOCAL
from drystone.consensus.params import Params
from drystone.drivers.clock import system_clock
from drystone.drivers.history import local_history
from drystone.drivers.store.blocks import Fsync
from drystone.drivers.store.directory import ChainDirectory
from drystone.drivers.verifier import SignatureQueue
from drystone.network.collector import calm_collector

Progress = Callable[[str, int, int | None], None]
"""Is told what is being done, and how many blocks of how many are, if that is known.

Whatever it raises ends the opening; nothing is lost by that.
"""


def _no_progress(_what: str, _done: int, _total: int | None) -> None:
    pass


def _no_note(_sentence: str) -> None:
    pass


def _never(_node: BlockNode) -> bool:
    return False


@contextmanager
def opened_chain(
    datadir: Path,
    params: Params,
    *,
    create: bool = True,
    reindex: bool = False,
    fsync: Fsync = "flush",
    are_scripts_assumed: Callable[[BlockNode], bool] = _never,
    progress: Progress = _no_progress,
    note: Callable[[str], None] = _no_note,
) -> Iterator[ChainState]:
    """The chain in a directory, brought up to date; it is closed at the end.

    create: begin a new one if there is none. reindex: make all but the blocks' data anew. fsync:
    as of ChainDirectory. note: is told what was found amiss and mended, a sentence at a time. A new
    `local` chain begins with its history.

    Raises StoreError.
    """
    directory = ChainDirectory.open(datadir, params, create=create, reindex=reindex, fsync=fsync)
    try:
        with SignatureQueue() as signatures, calm_collector():
            chain = chain_in(
                directory,
                params,
                signatures=signatures,
                are_scripts_assumed=are_scripts_assumed,
                progress=progress,
                note=note,
            )
            try:
                yield chain
            finally:
                chain.close()
    finally:
        directory.close()


def chain_in(
    directory: ChainDirectory,
    params: Params,
    *,
    signatures: Signatures,
    are_scripts_assumed: Callable[[BlockNode], bool] = _never,
    progress: Progress = _no_progress,
    note: Callable[[str], None] = _no_note,
) -> ChainState:
    """The chain in an open directory, brought up to date; arguments as of `opened_chain`.

    Raises StoreError; the directory is the caller's to close.
    """
    chain = ChainState(
        params,
        directory.blocks,
        directory.coins,
        signatures=signatures,
        are_scripts_assumed=are_scripts_assumed,
        progress=lambda done, total: progress("bringing the coins up to date", done, total),
    )
    try:
        _bring_up_to_date(chain, progress, note)
        for sentence in directory.notes:
            note(sentence)
    except BaseException:
        chain.close()
        raise
    return chain


def _bring_up_to_date(chain: ChainState, progress: Progress, note: Callable[[str], None]) -> None:
    now = system_clock().unix_s
    report = ImportReport()
    for report in take_in_unrecorded(chain, now=now):
        progress("taking in blocks", report.new, None)
    for sentence in report.complaints:
        note(sentence)
    if report.orphans:
        note(f"{report.orphans:,} blocks are left aside, since blocks below them are missing")
    if chain.params == LOCAL and chain.height == 0:
        chain.submit_all(map(Arrival, local_history()), now=now)
