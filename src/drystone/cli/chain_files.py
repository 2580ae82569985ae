"""`drystone chain import`, `export`: blocks in files, framed as the reference client's are."""

import json
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

import click

from drystone.chain.blockfile import CUT, Record, Skipped, frame, read_records, xor_key, xored
from drystone.chain.chainstate import ChainState
from drystone.chain.importing import ImportReport, Orphans, import_blocks
from drystone.chain.tree import BlockNode
from drystone.cli.chain_options import (
    command_here,
    datadir_option,
    expanded,
    fsync_option,
    imported_chain_option,
    json_option,
    kept_chain_option,
    kept_params,
)
from drystone.cli.main import HELP, INTERRUPT_STATUS
from drystone.cli.opening import opened_with_bar
from drystone.cli.progress import Stop, heeding_ctrl_c, progress_bar
from drystone.cli.run import say
from drystone.cli.tables import tip_line
from drystone.consensus.chains import CHAINS
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.drivers.clock import system_clock
from drystone.drivers.store.blocks import Fsync
from drystone.network.chains import params_of
from drystone.primitives.block import HEADER_BYTES
from drystone.primitives.hashes import BlockHash, display, from_display, sha256d

XOR_FILE: Final = "xor.dat"
MOST_COMPLAINTS: Final = 10  # told one by one
FAILED_STATUS: Final = 1
STANDARD_INPUT: Final = Path("/dev/stdin")
STANDARD_OUTPUT: Final = Path("/dev/stdout")

_DASH: Final = Path("-")
_MAGIC_BYTES: Final = 4
PATIENCE_S: Final = 0.1  # between two looks at whether to stop


@click.command("import", context_settings=HELP)
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
)
@datadir_option
@imported_chain_option
@fsync_option
@click.option(
    "--assume-valid",
    metavar="HASH|all",
    help="Take the scripts of this block and all below it, or of all blocks, to be valid.",
)
@json_option
def import_(
    files: tuple[Path, ...],
    datadir: Path,
    chain_name: str | None,
    fsync: Fsync,
    assume_valid: str | None,
    *,
    as_json: bool,
) -> None:
    """Take in blocks from files framed as the reference client's blk*.dat are.

    Every rule is checked. What the chain has is passed over, so that an import that was broken off
    goes on when it is started again. Blocks may be in any order, and files too. Where an xor.dat
    lies beside a file, as in the client's own folder of blocks, the file is read through it.

    \b
        drystone chain export blocks.dat
        drystone chain import blocks.dat --datadir /tmp/elsewhere

    Ends with status 1 if a block was refused, or left over because blocks below it are missing.
    """  # noqa: D301  \b is click's sign
    paths = [STANDARD_INPUT if file == _DASH else file for file in files]
    params = _chain_of(paths, chain_name)
    datadir = expanded(datadir)
    say(f"drystone chain import: {params.name} in {datadir}; Ctrl-C ends it", err=True)
    is_assumed = _Assumed(assume_valid, paths, params.magic)
    began = time.monotonic()
    reports: list[ImportReport] = []
    orphans = Orphans()
    with opened_with_bar(datadir, params, fsync=fsync, are_scripts_assumed=is_assumed) as opened:
        is_assumed.look_at(opened)
        with heeding_ctrl_c() as stop:
            for path in paths:
                if stop:
                    break
                reports.append(_import(opened, path, orphans, stop))
                _complain(path, reports[-1], is_over=not stop)
        seconds = time.monotonic() - began
        total = _total(reports, orphans)
        if as_json:
            say(json.dumps(_described(opened, total, seconds, is_over=not stop)))
        else:
            say(
                f"blocks taken in: {total.new:,}, with {total.transactions:,} transactions, in"
                f" {seconds:.1f} s\n"
                f"known: {total.known:,}, refused: {total.refused:,}, without those below:"
                f" {total.orphans:,}"
            )
            say(tip_line(opened))
    if stop:
        say("stopped: start it again, and it goes on", err=True)
        raise SystemExit(INTERRUPT_STATUS)
    if total.orphans:
        say("next: import once more, with the files that have the blocks below those", err=True)
    else:
        say(f"next: `{command_here('chain info', chain_name or params.name)}` tells more", err=True)
    if total.refused or total.orphans or any(map(_is_strange, reports)):
        raise SystemExit(FAILED_STATUS)


@click.command(context_settings=HELP)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@datadir_option
@kept_chain_option
@click.option(
    "--from", "first", type=click.IntRange(0), default=0, help="The first block's height."
)
@click.option("--to", "last", type=click.IntRange(0), help="The last one's.  [default: the tip]")
def export(file: Path, datadir: Path, chain_name: str | None, first: int, last: int | None) -> None:
    """Write the chain's blocks to a file, framed as the reference client's blk*.dat are.

    If the file has some of them, from the first on, only the others are written; so an export that
    was broken off goes on, and one of last week grows. A dash is standard output:

    \b
        drystone chain export - | gzip > blocks.dat.gz
    """  # noqa: D301  \b is click's sign
    path = STANDARD_OUTPUT if file == _DASH else file
    datadir = expanded(datadir)
    params = kept_params(datadir, chain_name)
    say(f"drystone chain export: {params.name} in {datadir} to {file}; Ctrl-C ends it", err=True)
    with opened_with_bar(datadir, params, create=False) as opened:
        last = opened.height if last is None else last
        if not first <= last <= opened.height:
            raise UserError(f"no blocks {first} to {last}: the chain ends at {opened.height}")
        count = last + 1 - first
        with heeding_ctrl_c() as stop, progress_bar("exporting", count) as advance, _told(path):
            stream, there = _opened_for_export(opened, path, first, last)
            with stream:
                done = there
                while done < count and not stop:
                    encoded = opened.block_bytes(opened.at(first + done).hash)
                    stream.write(frame(encoded, opened.params.magic))
                    done += 1
                    advance(done)
    say(f"blocks written: {done - there:,}; there before: {there:,}", err=True)
    if done < count:
        say(f"stopped before block {first + done:,}: start it again, and it goes on", err=True)
        raise SystemExit(INTERRUPT_STATUS)
    if path.is_file():
        say(f"next: `drystone chain import {file} --datadir DIR` takes them in elsewhere", err=True)


class _Assumed:
    """Which blocks' scripts are taken to be valid: all, or a block's and those below it.

    A block comes long after those below it, so the files' headers are read first.
    """

    def __init__(self, assume_valid: str | None, paths: list[Path], magic: bytes) -> None:
        self._all = assume_valid == "all"
        self._hashes: set[BlockHash] = set()  # in the files, from the block down
        self._base: BlockHash | None = None  # the first that is not in them
        self._chain: ChainState | None = None
        if assume_valid is None or self._all:
            return
        try:
            self._base = BlockHash(from_display(assume_valid))
        except ValueError:
            raise UserError(
                f"--assume-valid {assume_valid}: give a block's hash of 64 hex digits, or all"
            ) from None
        below: dict[BlockHash, BlockHash] = {}
        for path in paths:
            below.update(_headers_in(path, magic))
        while self._base in below:
            self._hashes.add(self._base)
            self._base = below.pop(self._base)

    def look_at(self, chain: ChainState) -> None:
        """The chain that the blocks go to. Raises UserError if nobody knows the block."""
        self._chain = chain
        if self._base is not None and not self._hashes and chain.tree.get(self._base) is None:
            raise UserError(
                f"--assume-valid {display(self._base)}: no such block, here or in the files"
            )

    def __call__(self, node: BlockNode) -> bool:
        if self._all or node.hash in self._hashes:
            return True
        if self._base is None or self._chain is None:
            return False
        above = self._chain.tree.get(self._base)
        return above is not None and above.descends_from(node)


def _headers_in(path: Path, magic: bytes) -> Iterator[tuple[BlockHash, BlockHash]]:
    """Each block of a file, and the one below it."""
    if not path.is_file():
        raise UserError(f"{path} is a pipe: --assume-valid with a hash wants files")
    with _told(path, doing="read"), path.open("rb") as stream:
        for record in read_records(stream, magic, key=_key_beside(path)):
            if isinstance(record, Record):
                header = record.block[:HEADER_BYTES]
                yield BlockHash(sha256d(header)), BlockHash(header[4:36])


def _chain_of(paths: list[Path], chain_name: str | None) -> Params:
    """The chain that is named, or else that the first file is of.

    Raises UserError if it is none, or if a file is plainly of another, or can't be read at all.
    """
    chosen = None if chain_name is None else params_of(chain_name)
    known = {params.magic: params for params in CHAINS.values()}
    for path in paths:
        begins_with = _first_bytes(path)
        params = known.get(begins_with)
        if chosen is None and not path.is_file():
            raise UserError(f"{path} is a pipe: name the chain with --chain")
        if chosen is None and not begins_with:
            raise UserError(f"{path} is empty: name another file, or its chain with --chain")
        if chosen is None and params is None:
            raise UserError(
                f"{path} begins with no known chain's magic: name its chain with --chain, and copy"
                f" {XOR_FILE} along with it if the folder that it is from has one"
            )
        chosen = chosen or params
        assert chosen is not None
        if params is not None and params.magic != chosen.magic:
            raise UserError(f"{path} is of {params.name}, not of {chosen.name}: choose one --chain")
    assert chosen is not None
    return chosen


def _first_bytes(path: Path) -> bytes:
    """Where the first record's magic should be; nothing of a pipe, which can be read only once."""
    if not path.is_file():
        return b""
    with _told(path, doing="read"), path.open("rb") as stream:
        return xored(stream.read(_MAGIC_BYTES), _key_beside(path))


def _import(opened: ChainState, path: Path, orphans: Orphans, stop: Stop) -> ImportReport:
    """Import a file, with a bar that goes by its bytes, as far as the user lets it."""
    last = ImportReport()
    with _told(path, doing="read"), path.open("rb", buffering=0) as stream:
        size = path.stat().st_size if path.is_file() else None
        with progress_bar(path.name, size, "bytes") as advance:
            source = _Unless(stop, stream)
            records = read_records(source, opened.params.magic, key=_key_beside(path))
            for report in import_blocks(
                opened, records, now=system_clock().unix_s, orphans=orphans
            ):
                last = report
                advance(report.offset, beside=f"block {opened.height:,}")
                if stop:
                    break
    return last


class _Unless:
    """A file that ends when the user has had enough, be it a pipe that nothing comes from."""

    def __init__(self, stop: Stop, stream: FileIO) -> None:
        self._stop = stop
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        """What is there, at most so many bytes."""
        while not self._stop:
            if select.select([self._stream], [], [], PATIENCE_S)[0]:
                return self._stream.read(size) or b""
        return b""


def _key_beside(path: Path) -> bytes:
    beside = path.with_name(XOR_FILE)
    return xor_key(beside.read_bytes()) if beside.is_file() else b""


@contextmanager
def _told(path: Path, *, doing: str = "write") -> Iterator[None]:
    """One line for what the system refuses of a file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        again = "; start again once that is mended, and it goes on" if doing == "write" else ""
        raise UserError(f"can't {doing} {path}: {error.strerror or error}{again}") from None


def _complain(path: Path, report: ImportReport, *, is_over: bool) -> None:
    """What was no block, or a bad one: to standard error."""
    complaints = report.complaints
    if not is_over and complaints and complaints[-1].endswith(CUT):
        complaints = complaints[:-1]  # it was us who cut it
    for sentence in complaints[:MOST_COMPLAINTS]:
        say(f"{path.name} {sentence}", err=True)
    if len(complaints) > MOST_COMPLAINTS:
        say(f"{path.name}: and {len(complaints) - MOST_COMPLAINTS:,} more like these", err=True)
    if is_over and _is_strange(report):
        say(
            f"{path.name} has no block of this chain. If it is the reference client's own, copy"
            f" {XOR_FILE} from its folder along with it; or choose another --chain",
            err=True,
        )


def _is_strange(report: ImportReport) -> bool:
    """Whether a file had no block of the chain in it."""
    return not (report.new or report.known or report.orphans or report.refused)


def _total(reports: list[ImportReport], orphans: Orphans) -> ImportReport:
    return ImportReport(
        new=sum(report.new for report in reports),
        known=sum(report.known for report in reports),
        refused=sum(report.refused for report in reports),
        orphans=orphans.count,
        transactions=sum(report.transactions for report in reports),
    )


def _described(
    opened: ChainState, total: ImportReport, seconds: float, *, is_over: bool
) -> dict[str, object]:
    return {
        "chain": opened.params.name,
        "new": total.new,
        "known": total.known,
        "refused": total.refused,
        "orphans": total.orphans,
        "transactions": total.transactions,
        "seconds": round(seconds, 3),
        "blocks": opened.height,
        "bestblockhash": display(opened.tip.hash),
        "complete": is_over,
    }


def _opened_for_export(
    opened: ChainState, path: Path, first: int, last: int
) -> tuple[BinaryIO, int]:
    """The file, to go on writing at; and how many of the blocks it has. Raises UserError."""
    if path.exists() and not path.is_file():  # a pipe, or a device
        return path.open("wb"), 0
    stream = path.open("r+b" if path.exists() else "x+b")
    try:
        return stream, _already_there(opened, stream, path, first, last)
    except BaseException:
        stream.close()
        raise


def _already_there(opened: ChainState, stream: BinaryIO, file: Path, first: int, last: int) -> int:
    """How many of the blocks a file begins with; the stream then stands behind them, at its end.

    A record that was cut is cut off. Raises UserError if anything else is in the file.
    """
    there = end = 0
    for record in read_records(stream, opened.params.magic):
        height = first + there
        if isinstance(record, Skipped) and record.why == CUT:
            break
        is_next = (
            isinstance(record, Record)
            and height <= last
            and sha256d(record.block[:HEADER_BYTES]) == opened.at(height).hash
            and len(record.block) == len(opened.block_bytes(opened.at(height).hash))
        )
        if not is_next:
            raise UserError(
                f"{file} holds something else than blocks {first} to {last} of this chain:"
                " choose another name, or remove it"
            )
        there += 1
        assert isinstance(record, Record)
        end = record.offset + len(frame(record.block, opened.params.magic))
    stream.seek(end)
    stream.truncate()
    return there
