"""`drystone chain tips`, `invalidate`, `reconsider`, `precious`: branches, and which one counts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import TipChange
from drystone.chain.tips import chain_tips
from drystone.chain.tree import BlockNode
from drystone.cli.chain_look import node_of
from drystone.cli.chain_options import datadir_option, json_option, kept_chain_option
from drystone.cli.main import HELP
from drystone.cli.opening import kept_chain
from drystone.cli.run import say
from drystone.cli.tables import print_table, tip_line
from drystone.core.errors import UserError
from drystone.primitives.hashes import BlockHash, display


@click.command(context_settings=HELP)
@datadir_option
@kept_chain_option
@json_option
def tips(datadir: Path, chain_name: str | None, *, as_json: bool) -> None:
    """List where branches end, as getchaintips does.

    \b
    active         the chain's own tip
    valid-fork     was the chain once
    valid-headers  all its blocks are there, but were never tried on the coins
    headers-only   blocks are missing
    invalid        it, or a block below it, breaks a rule, or was invalidated by hand

    branch is how many blocks there are from the chain to the tip.
    """  # noqa: D301  \b is click's sign
    with kept_chain(datadir, chain_name) as opened:
        found: list[dict[str, Any]] = [
            {
                "height": tip.height,
                "hash": display(tip.hash),
                "branchlen": tip.branch_length,
                "status": str(tip.status),
            }
            for tip in chain_tips(opened)
        ]
    if as_json:
        say(json.dumps(found))
        return
    print_table(
        ("height", "branch", "status", "hash"),
        (
            (f"{tip['height']:,}", f"{tip['branchlen']:,}", tip["status"], tip["hash"])
            for tip in found
        ),
    )


@click.command(context_settings=HELP)
@click.argument("which", metavar="HASH|HEIGHT")
@datadir_option
@kept_chain_option
def invalidate(which: str, datadir: Path, chain_name: str | None) -> None:
    """Treat a block as invalid, and leave it for the best chain without it.

    It stays like that until `drystone chain reconsider HASH` takes it back.
    """
    _by_hand(ChainState.invalidate, which, datadir, chain_name)


@click.command(context_settings=HELP)
@click.argument("which", metavar="HASH|HEIGHT")
@datadir_option
@kept_chain_option
def reconsider(which: str, datadir: Path, chain_name: str | None) -> None:
    """Forget what was found against a block, those below it, and those that build on it.

    If that makes a better chain, it is taken; a rule that is broken will be found again.
    """
    _by_hand(ChainState.reconsider, which, datadir, chain_name)


@click.command(context_settings=HELP)
@click.argument("which", metavar="HASH|HEIGHT")
@datadir_option
@kept_chain_option
def precious(which: str, datadir: Path, chain_name: str | None) -> None:
    """Prefer a block to others of as much work, as if it had come first.

    Else the first that came stays the tip, until another has more work.
    """
    _by_hand(ChainState.precious, which, datadir, chain_name)


def _by_hand(
    act: Callable[[ChainState, BlockHash], TipChange | None],
    which: str,
    datadir: Path,
    chain_name: str | None,
) -> None:
    with kept_chain(datadir, chain_name) as opened:
        node = node_of(opened, which)
        try:
            change = act(opened, node.hash)
        except ValueError as error:
            raise UserError(str(error)) from None
        if change is None:
            say("the chain stays as it was" + _why(node, opened))
        else:
            say(f"blocks left: {len(change.disconnected):,}, taken: {len(change.connected):,}")
        say(tip_line(opened))


def _why(node: BlockNode, chain: ChainState) -> str:
    """Why a block that was asked for is not in the chain, if it isn't."""
    if chain.is_active(node):
        return ""
    if node.is_failed:
        return ": the block, or one below it, is invalid; see `drystone chain reconsider --help`"
    if node.chainwork < chain.tip.chainwork:
        return ": the tip has more work than the block"
    return ""
