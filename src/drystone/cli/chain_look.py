"""`drystone chain info`, `block`, `tx`: look into a chain that is kept in a directory."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from drystone.chain.chainstate import ChainState
from drystone.chain.tree import BlockNode
from drystone.cli.chain_options import (
    command_here,
    datadir_option,
    json_option,
    kept_chain_option,
)
from drystone.cli.describe import (
    address_of,
    describe_block,
    describe_chain,
    describe_coins,
    describe_transaction,
    fee_of,
    spent_outputs,
)
from drystone.cli.main import HELP
from drystone.cli.opening import kept_chain
from drystone.cli.progress import progress_bar
from drystone.cli.run import say
from drystone.cli.tables import amount, moment, print_pairs, print_table
from drystone.core.errors import UserError
from drystone.primitives.hashes import BlockHash, Txid, display, from_display
from drystone.primitives.transaction import OutPoint, Transaction, TxOut

MOST_ROWS: Final = 20  # of transactions, in a table


@click.command(context_settings=HELP)
@datadir_option
@kept_chain_option
@click.option("--coins", is_flag=True, help="Count the coins, too, and take their digest.")
@json_option
def info(datadir: Path, chain_name: str | None, *, coins: bool, as_json: bool) -> None:
    """Tell what stands at the tip.

    headers: how far the best branch of headers goes, whether its blocks are there or not. The
    digest of the coins is the muhash of the reference client's gettxoutsetinfo.
    """
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
        "headers": f"{described['headers']:,}",
        "tip": described["bestblockhash"],
        "time": moment(described["time"]),
        "median time": moment(described["mediantime"]),
        "hashes/block": f"{described['hashes_per_block']:,}",
        "difficulty": f"{described['difficulty']:.8g}",
        "chainwork": described["chainwork"].lstrip("0") or "0",
    }
    if coins:
        rows |= {
            "coins": f"{described['txouts']:,}, of {amount(described['total_sat'])} in all",
            "coins digest": described["muhash"],
        }
    print_pairs(rows)
    say(f"next: `{command_here('chain block', chain_name)}` shows the last block", err=True)


@click.command(context_settings=HELP)
@click.argument("which", metavar="[HASH|HEIGHT]", required=False)
@datadir_option
@kept_chain_option
@click.option("--hex", "as_hex", is_flag=True, help="The block's bytes, in hex.")
@json_option
def block(
    which: str | None, datadir: Path, chain_name: str | None, *, as_hex: bool, as_json: bool
) -> None:
    """Show a block, by its height in the chain or its hash; else the last.

    \b
        drystone chain block 1
        drystone chain block --json
    """  # noqa: D301  \b is click's sign
    with kept_chain(datadir, chain_name) as opened:
        node = opened.tip if which is None else node_of(opened, which)
        if as_hex:
            say(_bytes_of(opened, node).hex())
        elif as_json:
            say(json.dumps(describe_block(opened, node)))
        else:
            _print_block(opened, node)


@click.command(context_settings=HELP)
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
        spent = spent_outputs(opened, opened.block(node.hash), node)
        confirmations = opened.height - node.height + 1
        if as_json:
            where = {
                "blockhash": display(node.hash),
                "height": node.height,
                "confirmations": confirmations,
                "hex": found.encode().hex(),
            }
            say(json.dumps(describe_transaction(opened, found, spent) | where))
            return
        fee = fee_of(found, spent)
        print_pairs(
            {
                "txid": display(found.txid),
                "height": f"{node.height:,}",
                "block": display(node.hash),
                "confirmations": f"{confirmations:,}",
                "size": f"{found.total_size:,} bytes, {found.vsize:,} virtual",
                "fee": "none: a coinbase" if fee is None else amount(fee),
            }
        )
        print_table(("", "amount", "address", "outpoint"), _flows(opened, found, spent))


def node_of(opened: ChainState, which: str) -> BlockNode:
    """By height in the chain, or by hash. Raises UserError."""
    if which.isascii() and which.isdigit() and len(which) < 10:
        height = int(which)
        if height > opened.height:
            raise UserError(f"no block {height:,}: the chain ends at {opened.height:,}")
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


def _bytes_of(opened: ChainState, node: BlockNode) -> bytes:
    if not node.has_data:
        raise UserError(f"of block {display(node.hash)} only the header is here")
    return opened.block_bytes(node.hash)


def _find(opened: ChainState, txid: Txid) -> tuple[BlockNode, Transaction]:
    """Search the chain from the tip down. Raises UserError."""
    total = opened.height + 1
    with progress_bar("searching", total) as advance:
        for done, height in enumerate(range(opened.height, -1, -1)):
            node = opened.at(height)
            for found in opened.stored_block(node.hash).vtx:
                if found.txid == txid:
                    return node, found
            advance(done)
    raise UserError(f"no transaction {display(txid)} in the chain's {total:,} blocks")


def _print_block(opened: ChainState, node: BlockNode) -> None:
    header = node.header
    rows = {
        "height": f"{node.height:,}",
        "hash": display(node.hash),
        "status": _status(opened, node),
        "builds on": display(header.prev_hash),
        "merkle root": display(header.merkle_root),
        "time": moment(header.time),
        "version": f"{header.version & 0xFFFFFFFF:08x}",
        "bits, nonce": f"{header.bits:08x}, {header.nonce:,}",
        "chainwork": f"{node.chainwork:x}",
    }
    if not node.has_data:
        print_pairs(rows | {"transactions": "not here: only the header is"})
        return
    shown = opened.block(node.hash)
    rows["size"] = f"{shown.total_size:,} bytes, weight {shown.weight:,}"
    rows["transactions"] = f"{len(shown.vtx):,}"
    print_pairs(rows)
    spent = spent_outputs(opened, shown, node)

    def row(found: Transaction) -> tuple[str, ...]:
        fee = fee_of(found, spent)
        value = sum(txout.value for txout in found.vout)
        ends = f"{len(found.vin)} > {len(found.vout)}"
        return ends, amount(value), "" if fee is None else amount(fee), display(found.txid)

    print_table(("in > out", "amount", "fee", "txid"), map(row, shown.vtx[:MOST_ROWS]))
    if len(shown.vtx) > MOST_ROWS:
        say(f"and {len(shown.vtx) - MOST_ROWS:,} more: --json has them all")


def _status(opened: ChainState, node: BlockNode) -> str:
    if opened.is_active(node):
        confirmations = opened.height - node.height + 1
        return f"{confirmations:,} confirmation{'s' if confirmations != 1 else ''}"
    if node.failure is not None:
        return f"not in the chain: {node.failure}"
    return "not in the chain: builds on an invalid block" if node.is_failed else "not in the chain"


def _flows(
    opened: ChainState, found: Transaction, spent: Mapping[OutPoint, TxOut]
) -> Iterator[tuple[str, ...]]:
    """A row for each input and output."""
    for txin in found.vin:
        if found.is_coinbase:
            yield "from", "", "newly made", ""
            continue
        txout = spent.get(txin.prevout)
        value = "" if txout is None else amount(txout.value)
        yield "from", value, (txout and address_of(opened, txout)) or "", str(txin.prevout)
    for vout, txout in enumerate(found.vout):
        yield (
            "to",
            amount(txout.value),
            address_of(opened, txout) or "",
            f"{display(found.txid)}:{vout}",
        )
