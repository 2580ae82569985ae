"""`drystone chain import`, `export`, `verify`, `reindex`: a whole chain, block by block."""

import json
import time
from pathlib import Path
from typing import BinaryIO, Final

import click

from drystone.chain.blockfile import Record, Skipped, frame, read_records, xor_key
from drystone.chain.chainstate import ChainState
from drystone.chain.importing import ImportReport, import_blocks
from drystone.chain.tree import BlockNode
from drystone.chain.verifying import VerifyReport, verify_chain
from drystone.cli.chain import json_option, kept_chain, opened_with_bar
from drystone.cli.chain_options import (
    chain_option,
    datadir_option,
    expanded,
    kept_chain_option,
    kept_params,
    params_of,
)
from drystone.cli.progress import Stop, heeding_ctrl_c, progress_bar
from drystone.cli.run import say
from drystone.consensus.chains import LOCAL
from drystone.core.errors import UserError
from drystone.drivers.clock import system_clock
from drystone.drivers.verifier import SignatureQueue
from drystone.primitives.block import HEADER_BYTES
from drystone.primitives.hashes import BlockHash, display, from_display, sha256d

XOR_FILE: Final = "xor.dat"
MOST_COMPLAINTS: Final = 10  # told one by one
INTERRUPTED_STATUS: Final = 130
FAILED_STATUS: Final = 1


@click.command("import")
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@datadir_option
@chain_option
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
    assume_valid: str | None,
    *,
    as_json: bool,
) -> None:
    """Take in blocks from files framed as the reference client's blk*.dat are.

    Every rule is checked. What the chain has is passed over, so that an import that was broken off
    goes on when it is started again. Blocks may be in any order. Where an xor.dat lies beside a
    file, as in the client's own folder of blocks, the file is read through it.
    """
    params = params_of(chain_name or LOCAL.name)
    datadir = expanded(datadir)
    is_assumed = _Assumed(assume_valid)
    say(f"drystone chain import: {params.name} in {datadir}; Ctrl-C ends it", err=True)
    began = time.monotonic()
    reports: list[ImportReport] = []
    with opened_with_bar(datadir, params, are_scripts_assumed=is_assumed) as opened:
        is_assumed.chain = opened
        with heeding_ctrl_c() as stop:
            for path in files:
                reports.append(_import(opened, path, stop))
                _complain(path, reports[-1])
                if stop:
                    break
        height, tip = opened.height, display(opened.tip.hash)
    _sum_up(reports, height, tip, time.monotonic() - began, is_over=not stop, as_json=as_json)
    if stop:
        raise SystemExit(INTERRUPTED_STATUS)
    if any(report.refused for report in reports):
        raise SystemExit(FAILED_STATUS)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@datadir_option
@kept_chain_option
@click.option(
    "--from", "first", type=click.IntRange(0), default=0, help="The first block's height."
)
@click.option("--to", "last", type=click.IntRange(0), help="The last one's.  [default: the tip]")
def export(file: Path, datadir: Path, chain_name: str | None, first: int, last: int | None) -> None:
    """Write the chain's blocks to a file, framed as the reference client's blk*.dat are.

    If the file has some of them, from the first on, only the others are written; so an export that
    was broken off goes on, and one of last week grows.
    """
    with kept_chain(datadir, chain_name) as opened:
        last = opened.height if last is None else last
        if not first <= last <= opened.height:
            raise UserError(f"no blocks {first} to {last}: the chain ends at {opened.height}")
        say(f"drystone chain export: blocks {first} to {last} to {file}; Ctrl-C ends it", err=True)
        with heeding_ctrl_c() as stop, progress_bar("exporting", last + 1 - first) as advance:
            try:
                with file.open("r+b" if file.exists() else "x+b") as stream:
                    there = _already_there(opened, stream, file, first, last)
                    for height in range(first + there, last + 1):
                        if stop:
                            break
                        encoded = opened.block_bytes(opened.at(height).hash)
                        stream.write(frame(encoded, opened.params.magic))
                        advance(height + 1 - first)
            except OSError as error:
                raise UserError(
                    f"can't write {file}: {error.strerror}; mend that and start again, it goes on"
                ) from None
        if stop:
            say(f"stopped before block {height}: start again, and it goes on")
            raise SystemExit(INTERRUPTED_STATUS)
        say(f"{last + 1 - first:,} blocks in {file}, {there:,} of them there before")
    say(f"next: `drystone chain import {file}` takes them in elsewhere", err=True)


@click.command()
@datadir_option
@kept_chain_option
@json_option
def verify(datadir: Path, chain_name: str | None, *, as_json: bool) -> None:
    """Check everything that is kept, from genesis on, as if it had never been looked at.

    Every block of the chain goes through all rules once more, signatures too; stored coins and
    undo data are compared with what comes out of it. Ends with status 1 if anything is wrong.
    """
    with kept_chain(datadir, chain_name) as opened:
        say(f"drystone chain verify: {opened.height:,} blocks; Ctrl-C ends it", err=True)
        report = VerifyReport(total=opened.height)
        with (
            SignatureQueue() as signatures,
            heeding_ctrl_c() as stop,
            progress_bar("verifying", opened.height) as advance,
        ):
            for report in verify_chain(opened, now=_now(), signatures=signatures):
                advance(report.done, total=report.total)
                if stop:
                    break
    digest = None if report.digest is None else display(report.digest)
    if as_json:
        found = {
            "blocks": report.done,
            "of": report.total,
            "transactions": report.transactions,
            "side_blocks": report.side_blocks,
            "muhash": digest,
            "problems": report.problems,
        }
        say(json.dumps(found))
    else:
        for problem in report.problems:
            say(problem)
        say(
            f"{report.done:,} of {report.total:,} blocks and {report.transactions:,} transactions"
            f" verified: {'problems, see above' if report.problems else 'all is well'}"
            + (f"; coins digest {digest}" if digest else "")
        )
    if report.problems:
        say("way out: `drystone chain reindex` makes all but the blocks anew", err=True)
        raise SystemExit(FAILED_STATUS)
    if stop:
        raise SystemExit(INTERRUPTED_STATUS)


@click.command()
@datadir_option
@kept_chain_option
def reindex(datadir: Path, chain_name: str | None) -> None:
    """Make everything but the blocks anew: index, undo data and coins.

    For a directory that is damaged. Every rule is checked again. What was marked by hand as
    invalid is forgotten. If it is broken off, opening the directory goes on with it.
    """
    datadir = expanded(datadir)
    params = kept_params(datadir, chain_name)
    say(f"drystone chain reindex: {params.name} in {datadir}", err=True)
    with opened_with_bar(datadir, params, create=False, reindex=True) as opened:
        say(f"reindexed: the tip is block {opened.height}, {display(opened.tip.hash)}")


class _Assumed:
    """Which blocks' scripts are taken to be valid: all, or a block's and those below it."""

    def __init__(self, assume_valid: str | None) -> None:
        self.chain: ChainState | None = None
        self._all = assume_valid == "all"
        self._hash: BlockHash | None = None
        if assume_valid is not None and not self._all:
            try:
                self._hash = BlockHash(from_display(assume_valid))
            except ValueError:
                raise UserError(
                    f"--assume-valid {assume_valid}: give a block's hash of 64 hex digits, or all"
                ) from None

    def __call__(self, node: BlockNode) -> bool:
        if self._all or self._hash is None or self.chain is None:
            return self._all
        above = self.chain.tree.get(self._hash)
        return above is not None and above.descends_from(node)


def _import(opened: ChainState, path: Path, stop: Stop) -> ImportReport:
    """Import a file, with a bar that goes by its bytes, as far as the user lets it."""
    last = ImportReport()
    try:
        size = path.stat().st_size
        with path.open("rb") as stream, progress_bar(path.name, size, "bytes") as advance:
            records = read_records(stream, opened.params.magic, key=_key_beside(path))
            for report in import_blocks(opened, records, now=_now()):
                last = report
                advance(report.offset, beside=f"block {opened.height:,}")
                if stop:
                    break
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}") from None
    return last


def _key_beside(path: Path) -> bytes:
    beside = path.with_name(XOR_FILE)
    return xor_key(beside.read_bytes()) if beside.is_file() else b""


def _complain(path: Path, report: ImportReport) -> None:
    """What was no block, or a bad one: to standard error."""
    for sentence in report.complaints[:MOST_COMPLAINTS]:
        say(f"{path.name} {sentence}", err=True)
    if len(report.complaints) > MOST_COMPLAINTS:
        say(
            f"{path.name}: and {len(report.complaints) - MOST_COMPLAINTS} more like these", err=True
        )
    if report.offset and not (report.new or report.known or report.orphans):
        say(
            f"{path.name} has no block of this chain: another --chain? If the file is the reference"
            f" client's own, copy {XOR_FILE} from its folder along with it",
            err=True,
        )


def _sum_up(
    reports: list[ImportReport],
    height: int,
    tip: str,
    seconds: float,
    *,
    is_over: bool,
    as_json: bool,
) -> None:
    new = sum(report.new for report in reports)
    transactions = sum(report.transactions for report in reports)
    known = sum(report.known for report in reports)
    refused = sum(report.refused for report in reports)
    orphans = sum(report.orphans for report in reports)
    if as_json:
        found = {
            "new": new,
            "known": known,
            "refused": refused,
            "orphans": orphans,
            "transactions": transactions,
            "seconds": round(seconds, 3),
            "blocks": height,
            "bestblockhash": tip,
            "complete": is_over,
        }
        say(json.dumps(found))
        return
    say(
        f"{new:,} blocks taken in, with {transactions:,} transactions, in {seconds:.1f} s;"
        f" {known:,} were known, {refused:,} refused, {orphans:,} without their parents"
    )
    say(f"the tip is block {height:,}, {tip}")
    if is_over:
        say("next: `drystone chain info` tells more", err=True)
    else:
        say("stopped: start it again, and it goes on", err=True)


def _already_there(opened: ChainState, stream: BinaryIO, file: Path, first: int, last: int) -> int:
    """How many of the blocks a file begins with; the stream then stands behind them, at its end.

    A record that was cut is cut off. Raises UserError if anything else is in the file.
    """
    there = end = 0
    for record in read_records(stream, opened.params.magic):
        height = first + there
        if isinstance(record, Skipped) and record.why == "a record that was cut":
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


def _now() -> int:
    return system_clock().unix_s
