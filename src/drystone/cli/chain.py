"""`drystone chain`: look into a chain that is kept in a directory, carry it elsewhere, mend it."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import click

from drystone.chain.chainstate import ChainState, TipChange
from drystone.chain.tips import chain_tips
from drystone.chain.tree import BlockNode
from drystone.cli.chain_options import datadir_option, expanded, kept_chain_option, kept_params
from drystone.cli.describe import (
    address_of,
    describe_block,
    describe_chain,
    describe_coins,
    describe_transaction,
    fee_of,
    spent_outputs,
)
from drystone.cli.main import HELP, LazyGroup
from drystone.cli.progress import heeding_ctrl_c, progress_bar
from drystone.cli.run import say
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.network.opening import opened_chain
from drystone.primitives.amount import COIN
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash, Txid, display, from_display
from drystone.primitives.transaction import Transaction

MOST_ROWS: Final = 20  # of transactions, in a table

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")


@click.group(
    cls=LazyGroup,
    lazy={
        "info": "drystone.cli.chain:info",
        "tips": "drystone.cli.chain:tips",
        "block": "drystone.cli.chain:block",
        "tx": "drystone.cli.chain:tx",
        "import": "drystone.cli.chain_files:import_",
        "export": "drystone.cli.chain_files:export",
        "verify": "drystone.cli.chain_files:verify",
        "reindex": "drystone.cli.chain_files:reindex",
        "invalidate": "drystone.cli.chain:invalidate",
        "reconsider": "drystone.cli.chain:reconsider",
        "precious": "drystone.cli.chain:precious",
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

    Only one process at a time can have a directory open.
    """  # noqa: D301  \b is click's sign


@contextmanager
def kept_chain(datadir: Path, chain_name: str | None) -> Iterator[ChainState]:
    """The chain that a command's options name, with a bar on the way if there is much to do."""
    datadir = expanded(datadir)
    params = kept_params(datadir, chain_name)
    with opened_with_bar(datadir, params, create=False) as opened:
        yield opened


@contextmanager
def opened_with_bar(datadir: Path, params: Params, **how: Any) -> Iterator[ChainState]:
    """`network.opening.opened_chain`, with a bar for what takes long."""
    with progress_bar("opening", None) as advance:

        def progress(what: str, done: int, total: int) -> None:
            advance(done, total=total, beside=what)

        opening = opened_chain(datadir, params, progress=progress, **how)
        opened = opening.__enter__()
    try:
        yield opened
    except BaseException:
        if not opening.__exit__(*sys.exc_info()):
            raise
    else:
        opening.__exit__(None, None, None)


@chain.command()
@datadir_option
@kept_chain_option
@click.option("--coins", is_flag=True, help="Count the coins, too, and take their digest.")
@json_option
def info(datadir: Path, chain_name: str | None, *, coins: bool, as_json: bool) -> None:
    """Tell what stands at the tip."""
    with kept_chain(datadir, chain_name) as opened:
        described = describe_chain(opened)
        if coins:
            described |= describe_coins(opened)
    if as_json:
        say(json.dumps(described))
        return
    rows = {
        "chain": described["chain"],
        "height": f"{described['blocks']:,}",
        "headers up to": f"{described['headers']:,}",
        "tip": described["bestblockhash"],
        "time": moment(described["time"]),
        "median time": moment(described["mediantime"]),
        "hashes per block": f"{described['hashes_per_block']:,}",
        "difficulty": f"{described['difficulty']:.8g}",
        "chainwork": described["chainwork"].lstrip("0") or "0",
    }
    if coins:
        rows |= {
            "coins": f"{described['txouts']:,}, of {amount(described['total_sat'])} in all",
            "coins digest": described["muhash"],
        }
    _print_pairs(rows)
    say("next: `drystone chain block HEIGHT` shows a block, `drystone chain tips` the branches")


@chain.command()
@datadir_option
@kept_chain_option
@json_option
def tips(datadir: Path, chain_name: str | None, *, as_json: bool) -> None:
    """List where branches end, as getchaintips does.

    active: the chain's tip. valid-fork: was the chain once. valid-headers: all blocks are there,
    but were never tried on the coins. headers-only: blocks are missing. invalid: breaks a rule.
    """
    with kept_chain(datadir, chain_name) as opened:
        found = [
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
    _print_table(
        ("height", "branch", "status", "hash"),
        (
            (f"{tip['height']:,}", str(tip["branchlen"]), str(tip["status"]), str(tip["hash"]))
            for tip in found
        ),
    )


@chain.command()
@click.argument("which", metavar="HASH|HEIGHT")
@datadir_option
@kept_chain_option
@click.option("--hex", "as_hex", is_flag=True, help="The block's bytes, in hex.")
@json_option
def block(
    which: str, datadir: Path, chain_name: str | None, *, as_hex: bool, as_json: bool
) -> None:
    """Show a block, by its height in the chain or its hash."""
    with kept_chain(datadir, chain_name) as opened:
        node = _node_of(opened, which)
        if as_hex:
            say(_with_data(opened, node).encode().hex())
        elif as_json:
            say(json.dumps(describe_block(opened, node)))
        else:
            _print_block(opened, node)


@chain.command()
@click.argument("txid")
@datadir_option
@kept_chain_option
@click.option("--hex", "as_hex", is_flag=True, help="The transaction's bytes, in hex.")
@json_option
def tx(txid: str, datadir: Path, chain_name: str | None, *, as_hex: bool, as_json: bool) -> None:
    """Find a transaction in the chain, by its txid.

    The blocks are searched from the tip down, since no index of transactions is kept.
    """
    wanted = Txid(_hash_of(txid, "a txid"))
    with kept_chain(datadir, chain_name) as opened:
        node, found = _find(opened, wanted)
        if as_hex:
            say(found.encode().hex())
            return
        holder = opened.block(node.hash)
        spent = spent_outputs(opened, holder, node)
        if as_json:
            where = {
                "blockhash": display(node.hash),
                "height": node.height,
                "confirmations": opened.height - node.height + 1,
                "hex": found.encode().hex(),
            }
            say(json.dumps(describe_transaction(opened, found, spent) | where))
            return
        fee = fee_of(found, spent)
        _print_pairs(
            {
                "txid": display(found.txid),
                "block": f"{node.height:,}  {display(node.hash)}",
                "confirmations": f"{opened.height - node.height + 1:,}",
                "size": f"{found.total_size:,} bytes, {found.vsize:,} virtual",
                "fee": "none: a coinbase" if fee is None else amount(fee),
            }
        )
        _print_table(("", "amount", "address", "outpoint"), _flows(opened, found, spent))


@chain.command()
@click.argument("block_hash", metavar="HASH")
@datadir_option
@kept_chain_option
def invalidate(block_hash: str, datadir: Path, chain_name: str | None) -> None:
    """Treat a block as invalid, and leave it for the best chain without it."""
    _by_hand(ChainState.invalidate, block_hash, datadir, chain_name)


@chain.command()
@click.argument("block_hash", metavar="HASH")
@datadir_option
@kept_chain_option
def reconsider(block_hash: str, datadir: Path, chain_name: str | None) -> None:
    """Forget what was found against a block, and all that build on it."""
    _by_hand(ChainState.reconsider, block_hash, datadir, chain_name)


@chain.command()
@click.argument("block_hash", metavar="HASH")
@datadir_option
@kept_chain_option
def precious(block_hash: str, datadir: Path, chain_name: str | None) -> None:
    """Prefer a block to others of as much work, as if it had come first."""
    _by_hand(ChainState.precious, block_hash, datadir, chain_name)


def _by_hand(
    act: Callable[[ChainState, BlockHash], TipChange | None],
    block_hash: str,
    datadir: Path,
    chain_name: str | None,
) -> None:
    with kept_chain(datadir, chain_name) as opened:
        node = _node_of(opened, block_hash)
        try:
            change = act(opened, node.hash)
        except ValueError as error:
            raise UserError(str(error)) from None
        if change is None:
            say(f"the tip stays at block {opened.height}, {display(opened.tip.hash)}")
        else:
            say(
                f"{len(change.disconnected)} blocks left, {len(change.connected)} taken: the tip is"
                f" block {opened.height}, {display(opened.tip.hash)}"
            )


def _node_of(opened: ChainState, which: str) -> BlockNode:
    """By height in the chain, or by hash. Raises UserError."""
    if which.isascii() and which.isdigit() and len(which) < 10:
        height = int(which)
        if height > opened.height:
            raise UserError(f"no block {height}: the chain ends at {opened.height}")
        return opened.at(height)
    node = opened.tree.get(BlockHash(_hash_of(which, "a height or a block's hash")))
    if node is None:
        raise UserError(f"no block {which} here: `drystone chain tips` lists where branches end")
    return node


def _hash_of(text: str, what: str) -> bytes:
    try:
        return from_display(text)
    except ValueError:
        raise UserError(f"{text!r} is not {what}: a hash has 64 hex digits") from None


def _with_data(opened: ChainState, node: BlockNode) -> Block:
    if not node.has_data:
        raise UserError(f"of block {display(node.hash)} only the header is here")
    return opened.block(node.hash)


def _find(opened: ChainState, txid: Txid) -> tuple[BlockNode, Transaction]:
    """Search the chain from the tip down. Raises UserError, or Abort at Ctrl-C."""
    total = opened.height + 1
    with progress_bar("searching", total) as advance, heeding_ctrl_c() as stop:
        for done, height in enumerate(range(opened.height, -1, -1)):
            if stop:
                raise click.Abort
            node = opened.at(height)
            for found in opened.stored_block(node.hash).vtx:
                if found.txid == txid:
                    return node, found
            advance(done)
    raise UserError(f"no transaction {display(txid)} in the chain's {total:,} blocks")


def _print_block(opened: ChainState, node: BlockNode) -> None:
    header = node.header
    status = (
        f"{opened.height - node.height + 1:,} confirmations"
        if opened.is_active(node)
        else f"not in the chain: {node.failure or 'builds on an invalid block'}"
        if node.is_failed
        else "not in the chain"
    )
    rows = {
        "block": f"{node.height:,}  {display(node.hash)}",
        "status": status,
        "builds on": display(header.prev_hash),
        "merkle root": display(header.merkle_root),
        "time": moment(header.time),
        "version": f"{header.version & 0xFFFFFFFF:08x}",
        "bits, nonce": f"{header.bits:08x}, {header.nonce}",
        "chainwork": f"{node.chainwork:x}",
    }
    if not node.has_data:
        _print_pairs(rows | {"transactions": "not here: only the header is"})
        return
    shown = opened.block(node.hash)
    spent = spent_outputs(opened, shown, node)
    rows["size"] = f"{shown.total_size:,} bytes, weight {shown.weight:,}"
    _print_pairs(rows)

    def row(found: Transaction) -> tuple[str, ...]:
        fee = fee_of(found, spent)
        value = sum(txout.value for txout in found.vout)
        ends = f"{len(found.vin)} > {len(found.vout)}"
        return display(found.txid), ends, amount(value), "" if fee is None else amount(fee)

    _print_table(("txid", "in > out", "amount", "fee"), map(row, shown.vtx[:MOST_ROWS]))
    if len(shown.vtx) > MOST_ROWS:
        say(f"and {len(shown.vtx) - MOST_ROWS:,} more: --json has them all")


def _flows(opened: ChainState, found: Transaction, spent: Any) -> Iterator[tuple[str, ...]]:
    """A row for each input and output."""
    for txin in found.vin:
        if found.is_coinbase:
            yield "from", "", "newly made", ""
            continue
        txout = spent.get(txin.prevout)
        value = "" if txout is None else amount(txout.value)
        yield "from", value, (txout and address_of(opened, txout)) or "", str(txin.prevout)
    for vout, txout in enumerate(found.vout):
        where = f"{display(found.txid)}:{vout}"
        yield "to", amount(txout.value), address_of(opened, txout) or "", where


def amount(satoshis: int) -> str:
    """In bitcoins, with all eight places."""
    whole, rest = divmod(satoshis, COIN)
    return f"{whole:,}.{rest:08}"


def moment(unix_s: int) -> str:
    """A time for people, in UTC."""
    import datetime  # noqa: PLC0415

    when = datetime.datetime.fromtimestamp(unix_s, datetime.UTC)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _print_pairs(rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    for key, value in rows.items():
        say(f"{key:{width}}  {value}")


def _print_table(headings: tuple[str, ...], rows: Any) -> None:
    # Rich takes a while to import, and --json can do without.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        justify: Literal["left", "right"] = "right" if heading in ("amount", "fee") else "left"
        table.add_column(heading, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*row)
    # Where nobody looks, lines are as long as they have to be.
    Console(width=None if sys.stdout.isatty() else 1000).print(table)
