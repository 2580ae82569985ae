"""What a transaction must be, in itself and given the coins that it spends.

`check_transaction` and `check_tx_inputs` are the tables of contents, in the reference client's
order: the first broken rule is the one reported.
"""

from collections.abc import Sequence

from drystone.consensus.coins import Coin, CoinsView
from drystone.consensus.errors import MissingInputs, TxInvalid, TxPremature
from drystone.consensus.limits import (
    MAX_BLOCK_WEIGHT,
    MAX_COINBASE_SCRIPT_BYTES,
    MIN_COINBASE_SCRIPT_BYTES,
)
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.sigops import (
    count_sigops,
    is_one_push_of_a_program,
    p2sh_sigops,
    witness_sigops,
)
from drystone.primitives.amount import MAX_MONEY, is_money
from drystone.primitives.transaction import WITNESS_SCALE_FACTOR, Transaction, TxOut


def check_transaction(tx: Transaction) -> None:
    """All that can be said without knowing anything else. Core: CheckTransaction.

    Raises TxInvalid with the first broken rule.
    """
    check_has_inputs(tx)
    check_has_outputs(tx)
    check_stripped_size(tx)
    check_output_values(tx)
    check_inputs_differ(tx)
    if tx.is_coinbase:
        check_coinbase_script_size(tx)
    else:
        check_inputs_spend_something(tx)


def check_has_inputs(tx: Transaction) -> None:
    """A transaction has at least one input. Core: CheckTransaction.

    Raises TxInvalid("bad-txns-vin-empty").
    """
    if not tx.vin:
        raise TxInvalid("bad-txns-vin-empty")


def check_has_outputs(tx: Transaction) -> None:
    """A transaction has at least one output. Core: CheckTransaction.

    Raises TxInvalid("bad-txns-vout-empty").
    """
    if not tx.vout:
        raise TxInvalid("bad-txns-vout-empty")


def check_stripped_size(tx: Transaction) -> None:
    """Without its witness, it would fit into a block (BIP141). Core: CheckTransaction.

    The witness doesn't count here, since nothing has yet been said of its being the right one.
    Raises TxInvalid("bad-txns-oversize").
    """
    if tx.stripped_size * WITNESS_SCALE_FACTOR > MAX_BLOCK_WEIGHT:
        raise TxInvalid("bad-txns-oversize", f"{tx.stripped_size} bytes")


def check_output_values(tx: Transaction) -> None:
    """No output, and no sum of outputs from the first on, is outside the range of money.

    CVE-2010-5139: two outputs of 92 billion bitcoins once added up to a negative sum, in block
    74638. Core: CheckTransaction. Raises what the three rules below raise.
    """
    total = 0
    for txout in tx.vout:
        total += txout.value
        if not 0 <= txout.value <= MAX_MONEY or total > MAX_MONEY:  # one comparison for most
            check_value_not_negative(txout)
            check_value_not_too_large(txout)
            check_total_not_too_large(total)


def check_value_not_negative(txout: TxOut) -> None:
    """An amount is zero or more. Core: CheckTransaction.

    Raises TxInvalid("bad-txns-vout-negative").
    """
    if txout.value < 0:
        raise TxInvalid("bad-txns-vout-negative", f"{txout.value} satoshis")


def check_value_not_too_large(txout: TxOut) -> None:
    """An amount is at most 21 million bitcoins. Core: CheckTransaction.

    Raises TxInvalid("bad-txns-vout-toolarge").
    """
    if txout.value > MAX_MONEY:
        raise TxInvalid("bad-txns-vout-toolarge", f"{txout.value} satoshis")


def check_total_not_too_large(total: int) -> None:
    """All amounts together are at most 21 million bitcoins (CVE-2010-5139).

    Core: CheckTransaction. Raises TxInvalid("bad-txns-txouttotal-toolarge").
    """
    if not is_money(total):
        raise TxInvalid("bad-txns-txouttotal-toolarge", f"{total} satoshis")


def check_inputs_differ(tx: Transaction) -> None:
    """No two inputs spend the same output. Core: CheckTransaction.

    CVE-2018-17144: without this, one coin is spent twice. Each input by itself finds its coin,
    and the coin is only taken away once. Raises TxInvalid("bad-txns-inputs-duplicate").
    """
    if len(tx.vin) > 1 and len({txin.prevout for txin in tx.vin}) < len(tx.vin):
        raise TxInvalid("bad-txns-inputs-duplicate")


def check_coinbase_script_size(tx: Transaction) -> None:
    """A coinbase's script has 2 to 100 bytes. Core: CheckTransaction.

    Raises TxInvalid("bad-cb-length").
    """
    size = len(tx.vin[0].script_sig)
    if not MIN_COINBASE_SCRIPT_BYTES <= size <= MAX_COINBASE_SCRIPT_BYTES:
        raise TxInvalid("bad-cb-length", f"{size} bytes")


def check_inputs_spend_something(tx: Transaction) -> None:
    """Each input of any other transaction spends an output. Core: CheckTransaction.

    Raises TxInvalid("bad-txns-prevout-null").
    """
    if any(txin.prevout.is_null for txin in tx.vin):
        raise TxInvalid("bad-txns-prevout-null")


def check_tx_inputs(
    tx: Transaction, coins: CoinsView, height: int, coinbase_maturity: int
) -> tuple[tuple[Coin, ...], int]:
    """The coins that its inputs spend, in order, and the fee that it leaves.

    tx: passes `check_transaction`, and is no coinbase. height: of the block that it is to be in.
    Scripts are not looked at. Core: CheckTxInputs.

    Raises MissingInputs, TxPremature or TxInvalid with the first broken rule.
    """
    spent = find_inputs(tx, coins)
    value_in = 0
    for coin in spent:
        if coin.is_coinbase:
            check_maturity(coin, height, coinbase_maturity)
        value_in += coin.output.value
        check_input_values(coin, value_in)
    value_out = sum(txout.value for txout in tx.vout)
    check_spends_no_more_than_it_has(value_in, value_out)
    fee = value_in - value_out
    check_fee(fee)
    return spent, fee


def find_inputs(tx: Transaction, coins: CoinsView) -> tuple[Coin, ...]:
    """Every input spends a coin that is there. Core: HaveInputs.

    Raises MissingInputs("bad-txns-inputs-missingorspent").
    """
    spent = []
    for txin in tx.vin:
        coin = coins.get(txin.prevout)
        if coin is None:
            raise MissingInputs("bad-txns-inputs-missingorspent", f"no coin at {txin.prevout}")
        spent.append(coin)
    return tuple(spent)


def check_maturity(coin: Coin, height: int, coinbase_maturity: int) -> None:
    """A coinbase's outputs are spent no sooner than so many blocks later.

    A reorganisation must not take the ground away from under everything built on them.
    Core: CheckTxInputs. Raises TxPremature("bad-txns-premature-spend-of-coinbase").
    """
    depth = height - coin.height
    if coin.is_coinbase and depth < coinbase_maturity:
        raise TxPremature("bad-txns-premature-spend-of-coinbase", f"at depth {depth}")


def check_input_values(coin: Coin, value_in: int) -> None:
    """Each coin, and the sum of coins so far, is in the range of money.

    A chain that keeps the rules has no other coins. Core: CheckTxInputs.
    Raises TxInvalid("bad-txns-inputvalues-outofrange").
    """
    if not is_money(coin.output.value) or not is_money(value_in):
        raise TxInvalid("bad-txns-inputvalues-outofrange", f"{value_in} satoshis so far")


def check_spends_no_more_than_it_has(value_in: int, value_out: int) -> None:
    """Outputs are worth at most what the inputs are. Core: CheckTxInputs.

    Raises TxInvalid("bad-txns-in-belowout").
    """
    if value_in < value_out:
        raise TxInvalid("bad-txns-in-belowout", f"{value_in} satoshis in, {value_out} out")


def check_fee(fee: int) -> None:
    """What is left as a fee is in the range of money. Core: CheckTxInputs.

    Nothing that passes all rules above can break this one; Core asks all the same.
    Raises TxInvalid("bad-txns-fee-outofrange").
    """
    if not is_money(fee):
        raise TxInvalid("bad-txns-fee-outofrange", f"{fee} satoshis")


def legacy_sigops(tx: Transaction) -> int:
    """Signature checks in the scripts that stand in the transaction, revealed ones not counted.

    Core: GetLegacySigOpCount.
    """
    count = 0
    for txin in tx.vin:
        if txin.script_sig:
            count += count_sigops(txin.script_sig, accurate=False)
    for txout in tx.vout:
        if not is_one_push_of_a_program(txout.script_pubkey):  # most are, and cost nothing
            count += count_sigops(txout.script_pubkey, accurate=False)
    return count


def sigop_cost(tx: Transaction, spent: Sequence[Coin], flags: Flags) -> int:
    """What its signature checks take of a block's limit: those in witnesses cost 1, others 4.

    spent: what its inputs spend, in order; nothing for a coinbase (BIP141). Core:
    GetTransactionSigOpCost.
    """
    cost = WITNESS_SCALE_FACTOR * legacy_sigops(tx)
    if not spent:
        return cost
    has_p2sh = Flags.P2SH in flags
    for txin, coin in zip(tx.vin, spent, strict=True):
        script_pubkey = coin.output.script_pubkey
        if has_p2sh and txin.script_sig:
            cost += WITNESS_SCALE_FACTOR * p2sh_sigops(txin.script_sig, script_pubkey)
        cost += witness_sigops(txin.script_sig, script_pubkey, txin.witness, flags)
    return cost
