"""`drystone chain verify`, `reindex`: what is kept, block by block from genesis on."""

import json
from pathlib import Path
from typing import Final

import click

from drystone.chain.verifying import VerifyReport, verify_chain
from drystone.cli.chain_options import (
    command_here,
    datadir_option,
    expanded,
    json_option,
    kept_chain_option,
    kept_params,
)
from drystone.cli.main import HELP, INTERRUPT_STATUS
from drystone.cli.opening import opened_with_bar
from drystone.cli.progress import heeding_ctrl_c, progress_bar
from drystone.cli.run import say
from drystone.cli.tables import tip_line
from drystone.drivers.clock import system_clock
from drystone.drivers.verifier import SignatureQueue
from drystone.primitives.hashes import display

FAILED_STATUS: Final = 1


@click.command(context_settings=HELP)
@datadir_option
@kept_chain_option
@json_option
def verify(datadir: Path, chain_name: str | None, *, as_json: bool) -> None:
    """Check everything that is kept, from genesis on, as if it had never been looked at.

    Every block of the chain goes through all rules once more, signatures too; stored coins and
    undo data are compared with what comes out of it. Nothing is changed, but for what opening any
    chain mends after a crash. Ends with status 1 if anything is wrong.
    """
    datadir = expanded(datadir)
    params = kept_params(datadir, chain_name)
    say(f"drystone chain verify: {params.name} in {datadir}; Ctrl-C ends it", err=True)
    with opened_with_bar(datadir, params, create=False) as opened:
        report = VerifyReport(total=opened.height)
        with (
            SignatureQueue() as signatures,
            heeding_ctrl_c() as stop,
            progress_bar("verifying", opened.height) as advance,
        ):
            for report in verify_chain(opened, now=system_clock().unix_s, signatures=signatures):
                advance(report.done, beside=f"{report.coins:,} coins" if report.coins else "")
                if stop:
                    break
    digest = None if report.digest is None else display(report.digest)
    is_over = not stop or digest is not None or bool(report.problems)
    if as_json:
        found = {
            "blocks": report.done,
            "of": report.total,
            "transactions": report.transactions,
            "side_blocks": report.side_blocks,
            "coins": report.coins,
            "muhash": digest,
            "problems": report.problems,
            "complete": is_over,
        }
        say(json.dumps(found))
    else:
        for problem in report.problems:
            say(problem)
        verdict = "stopped before the end" if not is_over else "all is well"
        say(
            f"verified: {report.done:,} of {report.total:,} blocks, {report.transactions:,}"
            f" transactions, {report.coins:,} coins"
        )
        say(f"problems: {len(report.problems):,}, see above" if report.problems else verdict)
        if digest:
            say(f"coins digest  {digest}")
    if report.problems:
        way_out = command_here("chain reindex", chain_name)
        say(f"next: `{way_out}` makes all but the blocks anew", err=True)
        raise SystemExit(FAILED_STATUS)
    if not is_over:
        raise SystemExit(INTERRUPT_STATUS)


@click.command(context_settings=HELP)
@datadir_option
@kept_chain_option
def reindex(datadir: Path, chain_name: str | None) -> None:
    """Make everything but the blocks anew: index, undo data and coins.

    For a directory that is damaged. Every rule is checked again. What was marked by hand as
    invalid is forgotten. If it is broken off, the next command on the directory begins it again.
    """
    datadir = expanded(datadir)
    params = kept_params(datadir, chain_name)
    say(f"drystone chain reindex: {params.name} in {datadir}; Ctrl-C ends it", err=True)
    with opened_with_bar(datadir, params, create=False, reindex=True) as opened:
        say(tip_line(opened))
    say(f"next: `{command_here('chain info', chain_name)}` tells more", err=True)
