"""What a block must be, in itself and on top of the headers below it.

`check_block` and `contextual_check_block` are the tables of contents, in the reference client's
order: the first broken rule is the one reported. What needs coins is in `connect`.
"""

from typing import Final

from drystone.consensus.errors import BlockInvalid, BlockMutated, Rejected, TxInvalid
from drystone.consensus.header import check_header
from drystone.consensus.limits import MAX_BLOCK_SIGOPS_COST, MAX_BLOCK_WEIGHT
from drystone.consensus.locktime import is_final
from drystone.consensus.params import Params
from drystone.consensus.signet import check_signet_solution
from drystone.consensus.transaction import check_transaction, legacy_sigops
from drystone.consensus.witness_commitment import check_witnesses
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import display
from drystone.primitives.script import push_int
from drystone.primitives.transaction import WITNESS_SCALE_FACTOR, Transaction

INNER_NODE_BYTES: Final = 64  # two hashes side by side


def check_block(block: Block, params: Params) -> None:
    """All that can be said of a block without its chain. Core: CheckBlock.

    Witnesses are not looked at: only a block's height tells whether it may have them.

    Raises BlockInvalid, or BlockMutated if the header may yet have a good block.
    """
    check_header(block.header, params)
    check_signet_solution(block, params)
    root, mutated = block.merkle_root()
    check_merkle_root(block.header, root)
    check_not_mutated(mutated=mutated)
    # Whatever could be wrong with bytes that aren't the block's own has been said by now. From
    # here on, an error condemns the block.
    check_block_size(block)
    check_first_is_coinbase(block)
    check_one_coinbase(block)
    check_transactions(block)
    check_legacy_sigops(block)


def contextual_check_block(
    block: Block, *, height: int, previous_median_time: int, params: Params
) -> None:
    """All that can be said of a block on top of its headers. Core: ContextualCheckBlock.

    block: passes `check_block`. height: its own. previous_median_time: median time past of the
    previous block; not asked for before BIP113 is active.

    Raises BlockInvalid, or BlockMutated if the header may yet have a good block.
    """
    if height >= params.csv_height:
        check_transactions_final(block, height, previous_median_time)  # BIP113
    else:
        check_transactions_final(block, height, block.header.time)
    if height >= params.bip34_height:
        check_coinbase_height(block, height)
    check_witnesses(block, expect_commitment=height >= params.segwit_height)
    # After the witnesses have been found right: more of them would weigh more.
    check_block_weight(block)


def is_block_mutated(block: Block, *, expect_commitment: bool) -> bool:
    """Whether these bytes can't be the block that the header stands for. Core: IsBlockMutated.

    Whoever sends them is at fault, and nothing is known of the block. expect_commitment: whether
    witnesses are active (BIP141).
    """
    root, mutated = block.merkle_root()
    if root != block.header.merkle_root or mutated:
        return True
    if not block.vtx or not block.coinbase.is_coinbase:
        # Two hashes of an inner node pass for a transaction of 64 bytes.
        return any(tx.stripped_size == INNER_NODE_BYTES for tx in block.vtx)
    try:
        check_witnesses(block, expect_commitment=expect_commitment)
    except BlockMutated:
        return True
    return False


def check_merkle_root(header: BlockHeader, root: bytes) -> None:
    """The header commits to these transactions. Core: CheckMerkleRoot.

    root: over their txids. Raises BlockMutated("bad-txnmrklroot").
    """
    if root != header.merkle_root:
        raise BlockMutated("bad-txnmrklroot")


def check_not_mutated(*, mutated: bool) -> None:
    """The transactions are not another block's with some repeated at the end.

    CVE-2012-2459: such a list has the same merkle root, so that whoever marked it as invalid
    would refuse the good one too. mutated: as `Block.merkle_root` tells. Core: CheckMerkleRoot.
    Raises BlockMutated("bad-txns-duplicate").
    """
    if mutated:
        raise BlockMutated("bad-txns-duplicate")


def check_block_size(block: Block) -> None:
    """There are transactions, and without witnesses they fit (BIP141).

    The number of transactions is compared first, as if each had one byte: it is known without
    serialising anything. Core: CheckBlock. Raises BlockInvalid("bad-blk-length").
    """
    if not block.vtx:
        raise BlockInvalid("bad-blk-length", "no transactions")
    if len(block.vtx) * WITNESS_SCALE_FACTOR > MAX_BLOCK_WEIGHT:
        raise BlockInvalid("bad-blk-length", f"{len(block.vtx)} transactions")
    if block.stripped_size * WITNESS_SCALE_FACTOR > MAX_BLOCK_WEIGHT:
        raise BlockInvalid("bad-blk-length", f"{block.stripped_size} bytes without witnesses")


def check_first_is_coinbase(block: Block) -> None:
    """The first transaction is a coinbase. Core: CheckBlock.

    Raises BlockInvalid("bad-cb-missing").
    """
    if not block.coinbase.is_coinbase:
        raise BlockInvalid("bad-cb-missing")


def check_one_coinbase(block: Block) -> None:
    """No other transaction is a coinbase. Core: CheckBlock.

    Raises BlockInvalid("bad-cb-multiple").
    """
    if any(tx.is_coinbase for tx in block.vtx[1:]):
        raise BlockInvalid("bad-cb-multiple")


def check_transactions(block: Block) -> None:
    """Each transaction passes `check_transaction`. Raises BlockInvalid with its reason."""
    for tx in block.vtx:
        try:
            check_transaction(tx)
        except TxInvalid as broken:
            raise block_invalid(broken, tx) from None


def block_invalid(broken: Rejected, tx: Transaction) -> BlockInvalid:
    """The same reason, now for a block: whatever a transaction breaks, its block has broken."""
    where = f"in transaction {display(tx.txid)}"
    return BlockInvalid(broken.reason, f"{broken.detail} {where}" if broken.detail else where)


def check_legacy_sigops(block: Block) -> None:
    """Signature checks in all scripts as they stand here are few enough.

    Those in redeem and witness scripts, which only the coins tell of, are counted by `connect`.
    Core: GetLegacySigOpCount. Raises BlockInvalid("bad-blk-sigops").
    """
    cost = WITNESS_SCALE_FACTOR * sum(map(legacy_sigops, block.vtx))
    if cost > MAX_BLOCK_SIGOPS_COST:
        raise BlockInvalid("bad-blk-sigops", f"a cost of {cost}")


def check_transactions_final(block: Block, height: int, time: int) -> None:
    """Each transaction's lock time is over, by height or by time (BIP113).

    Core: ContextualCheckBlock. Raises BlockInvalid("bad-txns-nonfinal").
    """
    for tx in block.vtx:
        if not is_final(tx, height, time):
            raise BlockInvalid("bad-txns-nonfinal", f"lock time {tx.lock_time}")


def check_coinbase_height(block: Block, height: int) -> None:
    """The coinbase script starts by pushing the block's own height (BIP34).

    So no two coinbases are the same. Core: ContextualCheckBlock.
    Raises BlockInvalid("bad-cb-height").
    """
    if not block.coinbase.vin[0].script_sig.startswith(push_int(height)):
        raise BlockInvalid("bad-cb-height", f"expected height {height}")


def check_block_weight(block: Block) -> None:
    """With witnesses, a block weighs at most 4,000,000 units (BIP141).

    Core: ContextualCheckBlock. Raises BlockInvalid("bad-blk-weight").
    """
    if block.weight > MAX_BLOCK_WEIGHT:
        raise BlockInvalid("bad-blk-weight", f"{block.weight} weight units")
