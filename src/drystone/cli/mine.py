"""`drystone mine`: real blocks, on a chain that is kept in a directory."""

import json
import random
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import click

from drystone.chain.chainstate import ChainState
from drystone.chain.tree import BlockNode
from drystone.cli.chain_options import (
    command_here,
    datadir_option,
    expanded,
    fsync_option,
    mined_chain_option,
)
from drystone.cli.main import HELP, INTERRUPT_STATUS
from drystone.cli.opening import opened_with_bar
from drystone.cli.progress import heeding_ctrl_c, progress_bar
from drystone.cli.run import check_kernel, say, warn_if_slow
from drystone.cli.tables import span, tip_line
from drystone.consensus.chains import LOCAL
from drystone.consensus.params import Params
from drystone.consensus.pow import block_work
from drystone.core.errors import UserError
from drystone.crypto.address import AddressError, address_from_script, script_from_address
from drystone.drivers.miner import Miner
from drystone.drivers.store.blocks import Fsync
from drystone.mining.accounts import account
from drystone.mining.budget import Budget
from drystone.mining.rates import default_hashes_per_s
from drystone.network.chains import params_of
from drystone.network.mining import mine_blocks
from drystone.primitives.hashes import display

DEFAULT_ACCOUNT: Final = "alice"
SHOWN_HASH: Final = 16  # digits, in a line for each block


class _SystemDice:
    """Chance for the miner's pace."""

    def below(self, bound: int) -> int:
        return random.SystemRandom().randrange(bound)

    def happens(self, probability: float) -> bool:
        return random.SystemRandom().random() < probability


@click.command(context_settings=HELP)
@click.option("--blocks", type=click.IntRange(1), help="How many.  [default: until Ctrl-C]")
@click.option(
    "--address", help=f"Whom the rewards pay.  [default: {DEFAULT_ACCOUNT}, whose key is public]"
)
@click.option(
    "--hashrate",
    type=click.IntRange(1),
    metavar="H/S",
    help="Hashes per second at most.  [default: 6,554 on local, no limit elsewhere]",
)
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@datadir_option
@mined_chain_option
@fsync_option
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each block, a line each.")
def mine(
    blocks: int | None,
    address: str | None,
    hashrate: int | None,
    datadir: Path,
    chain_name: str | None,
    *,
    fsync: Fsync,
    threads: int,
    as_json: bool,
) -> None:
    """Mine blocks on the chain in a directory; begin one if there is none.

    \b
        drystone mine --chain regtest --blocks 1000 --datadir /tmp/stones
        drystone mine --datadir /tmp/stones

    The first takes a moment: on regtest every second hash is a block. The second mines on `local`,
    a chain of drystone's own, where the difficulty follows the hash rate by Bitcoin's rule, every
    20 blocks: at its default of 6,554 hashes per second, blocks come every 11 s or so.
    """  # noqa: D301  \b is click's sign
    params = params_of(chain_name or LOCAL.name)
    datadir = expanded(datadir)
    if params.signet_challenge is not None:
        raise UserError(
            f"blocks of {params.name} want signing by its keepers: mine on another chain"
        )
    script = _script_of(address, params)
    variant = check_kernel()
    if hashrate is None and params == LOCAL:
        hashrate = default_hashes_per_s(params)
    rate = "no limit" if hashrate is None else f"{hashrate:,} hashes/s"
    say(
        f"drystone mine: {params.name} in {datadir}, {rate}, by {variant}; Ctrl-C ends it", err=True
    )
    warn_if_slow()
    began = time.monotonic()
    with opened_with_bar(datadir, params, fsync=fsync) as opened:
        start = opened.height
        say(tip_line(opened), err=True)
        for line in _what_to_expect(opened, script, hashrate):
            say(line, err=True)
        with (
            heeding_ctrl_c() as stop,
            progress_bar("mining", blocks) as bar,
            Miner(Budget(hashrate, _SystemDice()), threads=threads) as miner,
        ):
            # Where a block takes a moment and a bar counts them, a line for each would drown it.
            has_lines = not params.no_retargeting or (blocks is None and not bar.is_shown)
            mined = mine_blocks(opened, script, miner, stop)
            for done, node in enumerate(islice(mined, blocks), start=1):
                bar(done, beside=f"block {node.height:,}")
                if as_json:
                    say(json.dumps(_described(node)))
                elif has_lines:
                    bar.say(_line(node))
        count = opened.height - start
        say(f"blocks mined: {count:,}, in {time.monotonic() - began:.1f} s", err=True)
        say(tip_line(opened), err=True)
    tells = command_here("chain info", chain_name or params.name)
    say(f"next: `{tells}` tells more", err=True)
    if stop and blocks is not None and count < blocks:
        raise SystemExit(INTERRUPT_STATUS)


def _script_of(address: str | None, params: Params) -> bytes:
    if address is None:
        return account(DEFAULT_ACCOUNT).script_pubkey
    try:
        return script_from_address(address, params.address)
    except AddressError as error:
        raise UserError(f"--address {address} is none of {params.name}: {error}") from None


def _what_to_expect(opened: ChainState, script: bytes, hashrate: int | None) -> Iterator[str]:
    """Whom it pays, how long a block takes, and what a rate does to that."""
    params = opened.params
    whom = address_from_script(script, params.address)
    is_known = script == account(DEFAULT_ACCOUNT).script_pubkey
    yield f"rewards go to {whom}" + (f" ({DEFAULT_ACCOUNT}, a known key)" if is_known else "")
    work = block_work(opened.tip.header.bits)
    seconds = "" if hashrate is None else f": {span(round(work / hashrate))} at this rate"
    yield f"a block takes {work:,} hashes on average{seconds}"
    if params.no_retargeting or (params == LOCAL and hashrate == default_hashes_per_s(params)):
        return
    yield (
        f"every {params.retarget_interval:,} blocks the difficulty moves, fourfold at most, until"
        f" that takes {params.pow_spacing_s} s"
    )


def _described(node: BlockNode) -> dict[str, object]:
    header = node.header
    return {
        "height": node.height,
        "hash": display(node.hash),
        "time": header.time,
        "bits": f"{header.bits:08x}",
        "hashes_per_block": block_work(header.bits),
    }


def _line(node: BlockNode) -> str:
    """A block, how long it took by its time, and what became of the difficulty."""
    below = node.parent
    assert below is not None
    work, before = block_work(node.header.bits), block_work(below.header.bits)
    line = (
        f"block {node.height:,}  {display(node.hash)[:SHOWN_HASH]}..."
        f"  after {span(node.header.time - below.header.time)}"
    )
    if work != before:
        line += f"  difficulty {before:,} -> {work:,}"
    return line
