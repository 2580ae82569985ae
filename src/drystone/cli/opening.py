"""Opening a chain for a command: a bar where that takes long, and what was mended is told."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from drystone.chain.chainstate import ChainState
from drystone.cli.chain_options import expanded, kept_params
from drystone.cli.progress import heeding_ctrl_c, progress_bar
from drystone.cli.run import say
from drystone.consensus.params import Params
from drystone.network.opening import opened_chain


@contextmanager
def kept_chain(datadir: Path, chain_name: str | None) -> Iterator[ChainState]:
    """The chain that a command's options name."""
    datadir = expanded(datadir)
    params = kept_params(datadir, chain_name)
    with opened_with_bar(datadir, params, create=False) as opened:
        yield opened


@contextmanager
def opened_with_bar(datadir: Path, params: Params, **how: Any) -> Iterator[ChainState]:
    """`network.opening.opened_chain`, with a bar for what takes long.

    Ctrl-C on the way ends it between two steps: raises Abort.
    """
    with ExitStack() as opening:
        notes: list[str] = []
        try:
            with heeding_ctrl_c() as stop, progress_bar("opening", None) as advance:

                def progress(what: str, done: int, total: int | None) -> None:
                    advance(done, total=total, beside=what)
                    if stop:
                        raise click.Abort

                opened = opening.enter_context(
                    opened_chain(datadir, params, progress=progress, note=notes.append, **how)
                )
                if stop:
                    raise click.Abort
        except click.Abort:
            say(
                "stopped while opening: nothing is lost, and the next command does what is left",
                err=True,
            )
            raise
        finally:
            for sentence in notes:
                say(f"note: {sentence}", err=True)
        yield opened
