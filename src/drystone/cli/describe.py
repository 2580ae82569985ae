"""A chain, its blocks and transactions, described for scripts: objects that JSON can show.

Keys are the reference client's where it has the same thing. Amounts are whole satoshis, in keys
that end in _sat: a JSON number with eight places is read as a binary fraction by most.
"""

from collections.abc import Mapping
from typing import Any, Final

from drystone.chain.chainstate import ChainState
from drystone.chain.coins_digest import coins_digest
from drystone.chain.tree import BlockNode
from drystone.consensus.pow import block_work, read_compact
from drystone.crypto.address import address_from_script
from drystone.primitives.block import Block
from drystone.primitives.hashes import display
from drystone.primitives.transaction import OutPoint, Transaction, TxOut

Described = dict[str, Any]

_DIFFICULTY_1_TARGET: Final = 0xFFFF << 208  # mainnet's first


def describe_chain(chain: ChainState) -> Described:
    """What stands at the tip. Core: getblockchaininfo."""
    tip = chain.tip
    return {
        "chain": chain.params.name,
        "blocks": tip.height,
        "headers": _best_header(chain).height,
        "bestblockhash": display(tip.hash),
        "bits": f"{tip.header.bits:08x}",
        "target": f"{read_compact(tip.header.bits).value:064x}",
        "difficulty": difficulty(tip.header.bits),
        "hashes_per_block": block_work(tip.header.bits),
        "time": tip.header.time,
        "mediantime": tip.median_time_past,
        "chainwork": f"{tip.chainwork:064x}",
    }


def _best_header(chain: ChainState) -> BlockNode:
    """The end of the best branch that isn't known to be invalid, whether its blocks are here."""
    best = chain.tip
    for leaf in chain.tree.leaves:
        node = leaf
        while node.is_failed and node.parent is not None:
            node = node.parent
        if node.chainwork > best.chainwork:
            best = node
    return best


def describe_coins(chain: ChainState) -> Described:
    """All coins at the tip, counted. Core: gettxoutsetinfo."""
    values = [coin.output.value for _outpoint, coin in chain.coins.items()]
    return {
        "txouts": len(values),
        "total_sat": sum(values),
        "muhash": display(coins_digest(chain.coins.items())),
    }


def describe_block(chain: ChainState, node: BlockNode) -> Described:
    """A block whose header is known, with its transactions if they are. Core: getblock."""
    header = node.header
    is_active = chain.is_active(node)
    above = chain.at(node.height + 1) if is_active and node.height < chain.height else None
    described: Described = {
        "hash": display(node.hash),
        "height": node.height,
        "confirmations": chain.height - node.height + 1 if is_active else -1,
        "version": header.version,
        "merkleroot": display(header.merkle_root),
        "time": header.time,
        "mediantime": node.median_time_past,
        "nonce": header.nonce,
        "bits": f"{header.bits:08x}",
        "difficulty": difficulty(header.bits),
        "chainwork": f"{node.chainwork:064x}",
        "nTx": node.tx_count,
        "previousblockhash": display(node.parent.hash) if node.parent else None,
        "nextblockhash": display(above.hash) if above else None,
        "failure": node.failure or ("bad-prevblk" if node.is_failed else None),
    }
    if node.has_data:
        block = chain.block(node.hash)
        spent = spent_outputs(chain, block, node)
        described |= {
            "size": block.total_size,
            "strippedsize": block.stripped_size,
            "weight": block.weight,
            "tx": [describe_transaction(chain, tx, spent) for tx in block.vtx],
        }
    return described


def describe_transaction(
    chain: ChainState, tx: Transaction, spent: Mapping[OutPoint, TxOut]
) -> Described:
    """A transaction. spent: what its block spends, as far as that is known."""
    return {
        "txid": display(tx.txid),
        "wtxid": display(tx.wtxid),
        "version": tx.version,
        "size": tx.total_size,
        "vsize": tx.vsize,
        "weight": tx.weight,
        "locktime": tx.lock_time,
        "fee_sat": fee_of(tx, spent),
        "vin": [
            {"coinbase": txin.script_sig.hex(), "sequence": txin.sequence}
            if tx.is_coinbase
            else {
                "txid": display(txin.prevout.txid),
                "vout": txin.prevout.vout,
                "scriptSig": txin.script_sig.hex(),
                "txinwitness": [element.hex() for element in txin.witness],
                "sequence": txin.sequence,
                "prevout": _describe_output(chain, spent.get(txin.prevout)),
            }
            for txin in tx.vin
        ],
        "vout": [
            {"n": n, **(_describe_output(chain, txout) or {})} for n, txout in enumerate(tx.vout)
        ],
    }


def spent_outputs(chain: ChainState, block: Block, node: BlockNode) -> Mapping[OutPoint, TxOut]:
    """What a block spends: older coins, by its undo data, and outputs of its own."""
    spent = {
        OutPoint(tx.txid, vout): txout for tx in block.vtx for vout, txout in enumerate(tx.vout)
    }
    if node.was_connected:
        spent |= {outpoint: coin.output for outpoint, coin in chain.undo(node.hash).spent}
    return spent


def fee_of(tx: Transaction, spent: Mapping[OutPoint, TxOut]) -> int | None:
    """What it leaves to the miner, if what it spends is known and it is no coinbase."""
    if tx.is_coinbase or any(txin.prevout not in spent for txin in tx.vin):
        return None
    value_in = sum(spent[txin.prevout].value for txin in tx.vin)
    return value_in - sum(txout.value for txout in tx.vout)


def difficulty(bits: int) -> float:
    """How much harder than mainnet's first blocks. Core: GetDifficulty."""
    return _DIFFICULTY_1_TARGET / read_compact(bits).value


def address_of(chain: ChainState, txout: TxOut) -> str | None:
    """Whom an output pays, if there is an address for it."""
    return address_from_script(txout.script_pubkey, chain.params.address)


def _describe_output(chain: ChainState, txout: TxOut | None) -> Described | None:
    if txout is None:
        return None
    return {
        "value_sat": txout.value,
        "scriptPubKey": txout.script_pubkey.hex(),
        "address": address_of(chain, txout),
    }
