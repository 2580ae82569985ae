"""`drystone chain`: look into a chain that is kept in a directory, carry it elsewhere, mend it."""

import click

from drystone.cli.main import HELP, LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "info": ("drystone.cli.chain_look:info", "Tell what stands at the tip."),
        "block": ("drystone.cli.chain_look:block", "Show a block, by height or hash."),
        "tx": ("drystone.cli.chain_look:tx", "Find a transaction, by its txid."),
        "tips": ("drystone.cli.chain_branches:tips", "List where branches end."),
        "import": ("drystone.cli.chain_files:import_", "Take in blocks from files."),
        "export": ("drystone.cli.chain_files:export", "Write the chain's blocks to a file."),
        "verify": ("drystone.cli.chain_check:verify", "Check all that is kept, from genesis on."),
        "reindex": ("drystone.cli.chain_check:reindex", "Make all but the blocks anew."),
        "invalidate": ("drystone.cli.chain_branches:invalidate", "Leave a block for good."),
        "reconsider": ("drystone.cli.chain_branches:reconsider", "Take that back."),
        "precious": ("drystone.cli.chain_branches:precious", "Prefer a block to its equals."),
    },
    context_settings=HELP,
)
def chain() -> None:
    """Look into a chain that is kept in a directory, and work on it.

    `drystone mine` makes one:

    \b
        drystone mine --chain regtest --blocks 101 --datadir /tmp/stones
        drystone chain info --datadir /tmp/stones
        drystone chain block 101 --datadir /tmp/stones

    Only one process at a time can have a directory open. DRYSTONE_DATADIR saves typing --datadir.
    """  # noqa: D301  \b is click's sign
