"""What connecting a block does to the coins, if it may: computed whole, changing nothing.

`verify_block` is all of a block's rules. `connect_block` has those that need coins, and is their
table of contents in the reference client's order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drystone.consensus.block import block_invalid, check_block, contextual_check_block
from drystone.consensus.coins import Coin, CoinsOverlay, CoinsView
from drystone.consensus.deployments import script_flags
from drystone.consensus.errors import BlockInvalid, MissingInputs, TxInvalid, TxPremature
from drystone.consensus.limits import MAX_BLOCK_SIGOPS_COST
from drystone.consensus.locktime import (
    MedianTimeAt,
    SequenceLock,
    is_unlocked,
    sequence_lock,
)
from drystone.consensus.params import BlockAt, Params
from drystone.consensus.script.errors import ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.verify import Spend, verify_batch_of_scripts
from drystone.consensus.subsidy import block_subsidy
from drystone.consensus.transaction import check_tx_inputs, sigop_cost
from drystone.consensus.verifier import BatchVerifier, verify_one_by_one
from drystone.primitives.amount import is_money
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash, Wtxid
from drystone.primitives.transaction import OutPoint, Transaction

Known = Callable[[Wtxid, Flags], bool]
"""Whether a transaction's scripts are known to be valid under some flags."""

BIP34_IMPLIES_BIP30_LIMIT: Final = 1_983_702  # a height


@dataclass(frozen=True, slots=True)
class BlockChange:
    """What a block does to the coins.

    Connecting takes `spent` away, then puts `created` there; disconnecting takes `created` away,
    then puts `spent` back. A coin that the block both makes and spends is in neither.
    """

    created: Mapping[OutPoint, Coin]
    spent: Mapping[OutPoint, Coin]
    inputs: tuple[tuple[Coin, ...], ...]  # what each spends, of each transaction but the coinbase
    fees: int  # satoshis
    sigop_cost: int  # BIP141


def verify_block(
    block: Block,
    coins: CoinsView,
    *,
    height: int,
    median_time_at: MedianTimeAt,
    params: Params,
    bip34_ancestor: BlockHash | None = None,
    are_valid: BatchVerifier = verify_one_by_one,
) -> BlockChange:
    """The rules of a block, and the change that it makes; arguments as of `connect_block`.

    What its header owes to the headers below (bits, times, version) and to the clock is not looked
    at here: that is `contextual_check_header`.

    Raises BlockInvalid or BlockMutated.
    """
    check_block(block, params)
    is_bip113_active = height >= max(1, params.csv_height)  # genesis has nothing below it
    previous_median_time = median_time_at(height - 1) if is_bip113_active else 0
    contextual_check_block(
        block, height=height, previous_median_time=previous_median_time, params=params
    )
    return connect_block(
        block,
        coins,
        height=height,
        median_time_at=median_time_at,
        params=params,
        bip34_ancestor=bip34_ancestor,
        are_valid=are_valid,
    )


def connect_block(
    block: Block,
    coins: CoinsView,
    *,
    height: int,
    median_time_at: MedianTimeAt,
    params: Params,
    bip34_ancestor: BlockHash | None = None,
    are_valid: BatchVerifier | None = verify_one_by_one,
    coinbases_differ: bool = False,
    known: Known | None = None,
) -> BlockChange:
    """The rules of a block that need coins, and the change that it makes. Core: ConnectBlock.

    block: passes `check_block` and `contextual_check_block`. coins: as the previous block left
    them; any that this block makes may be listed, too, and are passed over. height: the block's
    own. median_time_at: the median time past at a height below: of the previous block from BIP113
    on, and of the block below a coin's where the coin is locked by time.
    bip34_ancestor: the hash of the block below at `params.bip34_height`; None if there is none
    yet, or to have BIP30 checked even where BIP34 makes sure of it. are_valid: whom to ask about
    all signatures that can wait, at the end; None to assume that all scripts are valid.
    coinbases_differ: the caller knows that every coinbase below but genesis' begins with its
    height, and this one, too. Then a transaction that comes again breaks other rules as well, and
    BIP30 is looked at only once one is found to be broken, to report the first. known: of which
    transactions the scripts need not run again, since they were found valid in the mempool.

    Scripts come last, so that all of a block's can be checked at once. The reference client, too,
    hears of a bad script from another thread, after everything else has been found right.

    Raises BlockInvalid with the first broken rule.
    """
    if block.hash == params.genesis_hash:
        return BlockChange({}, {}, (), 0, 0)  # Core quirk: the first coinbase can't be spent
    view = CoinsOverlay(coins, height)
    is_in_doubt = is_bip30_in_doubt(height, bip34_ancestor, params)
    if BlockAt(height, block.hash) in params.bip30_repeats:
        view.overwrite(block.coinbase)
        is_in_doubt = False
    if is_in_doubt and not coinbases_differ:
        check_overwrites_nothing(block, view)
    try:
        return _connect_on(
            view, block, height, median_time_at, params=params, are_valid=are_valid, known=known
        )
    except BlockInvalid:
        if is_in_doubt and coinbases_differ:
            check_overwrites_nothing(block, CoinsOverlay(coins, height))
        raise


def _connect_on(
    view: CoinsOverlay,
    block: Block,
    height: int,
    median_time_at: MedianTimeAt,
    *,
    params: Params,
    are_valid: BatchVerifier | None,
    known: Known | None,
) -> BlockChange:
    """The rules that need coins, but for BIP30."""
    is_bip68_active = height >= params.csv_height
    previous_median_time = median_time_at(height - 1) if is_bip68_active else 0
    flags = script_flags(params, height, block.hash)
    inputs: list[tuple[Coin, ...]] = []
    fees = cost = 0
    for tx in block.vtx:
        spent: tuple[Coin, ...] = ()
        if not tx.is_coinbase:
            spent, fee = _check_tx_inputs(tx, view, height, params)
            inputs.append(spent)
            fees += fee
            check_fees_so_far(fees)
            if is_bip68_active:
                lock = sequence_lock(tx, spent, median_time_at)
                check_sequence_lock(lock, height, previous_median_time)
        cost += sigop_cost(tx, spent, flags)
        check_sigop_cost(cost)
        view.apply(tx, spent)
    check_coinbase_value(block.coinbase, block_subsidy(height, params.halving_interval) + fees)
    if are_valid is not None:
        check_scripts(block.vtx[1:], inputs, flags, are_valid, known)
    return BlockChange(view.created, view.spent, tuple(inputs), fees, cost)


def is_bip30_in_doubt(height: int, bip34_ancestor: BlockHash | None, params: Params) -> bool:
    """Whether a coinbase could recur for all that is known, so that coins might be overwritten.

    From BIP34 on, coinbases begin with their height, so none recurs: but for those that began with
    a height yet to come while that was still allowed, and were checked by hand for the one chain
    that has `params.bip34_hash`. The first that could matter is for block 1,983,702.
    """
    if height >= BIP34_IMPLIES_BIP30_LIMIT or params.bip34_hash is None:
        return True
    return bip34_ancestor != params.bip34_hash


def check_overwrites_nothing(block: Block, coins: CoinsView) -> None:
    """No transaction makes a coin where an older one is that nobody has spent yet (BIP30).

    CVE-2012-1909: the same coinbase once more, and what is built on it, would take the older
    coins away from their owner. Core: ConnectBlock. Raises BlockInvalid("bad-txns-BIP30").
    """
    for tx in block.vtx:
        for vout in range(len(tx.vout)):
            outpoint = OutPoint(tx.txid, vout)
            if coins.get(outpoint) is not None:
                raise BlockInvalid("bad-txns-BIP30", f"there is a coin at {outpoint}")


def _check_tx_inputs(
    tx: Transaction, coins: CoinsView, height: int, params: Params
) -> tuple[tuple[Coin, ...], int]:
    """What `check_tx_inputs` finds: for a block, being premature or early is as bad as invalid."""
    try:
        return check_tx_inputs(tx, coins, height, params.coinbase_maturity)
    except (MissingInputs, TxPremature, TxInvalid) as broken:
        raise block_invalid(broken, tx) from None


def check_fees_so_far(fees: int) -> None:
    """The block's fees so far are in the range of money. Core: ConnectBlock.

    Raises BlockInvalid("bad-txns-accumulated-fee-outofrange").
    """
    if not is_money(fees):
        raise BlockInvalid("bad-txns-accumulated-fee-outofrange", f"{fees} satoshis")


def check_sequence_lock(lock: SequenceLock, height: int, previous_median_time: int) -> None:
    """The coins have the age that the inputs' sequence numbers ask for (BIP68).

    Core: SequenceLocks. Raises BlockInvalid("bad-txns-nonfinal").
    """
    if not is_unlocked(lock, height, previous_median_time):
        raise BlockInvalid("bad-txns-nonfinal", f"locked up to {lock}")


def check_sigop_cost(cost: int) -> None:
    """Signature checks so far, witness scripts' too, are few enough (BIP141).

    Core: ConnectBlock. Raises BlockInvalid("bad-blk-sigops").
    """
    if cost > MAX_BLOCK_SIGOPS_COST:
        raise BlockInvalid("bad-blk-sigops", f"a cost of {cost}")


def check_coinbase_value(coinbase: Transaction, reward: int) -> None:
    """The coinbase takes at most the subsidy and the fees. Core: ConnectBlock.

    It may take less: then coins are lost for ever. Raises BlockInvalid("bad-cb-amount").
    """
    value = sum(txout.value for txout in coinbase.vout)
    if value > reward:
        raise BlockInvalid("bad-cb-amount", f"{value} satoshis, at most {reward}")


def check_scripts(
    transactions: Sequence[Transaction],
    inputs: Sequence[Sequence[Coin]],
    flags: Flags,
    are_valid: BatchVerifier,
    known: Known | None = None,
) -> None:
    """Every input may spend its coin. Core: CheckInputScripts.

    are_valid: as of `verify_batch_of_scripts`. known: as of `connect_block`.
    Raises BlockInvalid("block-script-verify-flag-failed (...)") with the script error's sentence.
    """
    spends = [
        Spend(tx, [coin.output for coin in spent])
        for tx, spent in zip(transactions, inputs, strict=True)
        if known is None or not known(tx.wtxid, flags)
    ]
    try:
        verify_batch_of_scripts(spends, flags, are_valid)
    except ScriptInvalid as broken:
        raise BlockInvalid(
            f"block-script-verify-flag-failed ({broken.error.value})", str(broken)
        ) from None
