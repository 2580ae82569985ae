"""Payments between accounts, and a second one that spends the same coins."""

from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

from drystone.core.errors import UserError
from drystone.mempool.standardness import dust_threshold
from drystone.primitives.amount import MAX_MONEY
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from drystone.wallet.accounts import Accounts
from drystone.wallet.keys import Kind
from drystone.wallet.owned import OwnedCoin
from drystone.wallet.selection import DUST_RATE, Selection, Terms, select, select_all
from drystone.wallet.signing import sign
from drystone.wallet.sizes import predicted_vsize

VERSION: Final = 2  # BIP68 may be used
SEQUENCE: Final = 0xFFFFFFFD  # lock times count, and a payment may be replaced (BIP125)
DEFAULT_FEE_RATE: Final = 1_000  # satoshis for 1,000 virtual bytes: one each
MOST_FEE_RATE: Final = 10_000_000  # 0.1 bitcoin: more is a slip of the pen

T = TypeVar("T")


class Dice(Protocol):
    """What shuffling asks of chance: a `core.chance.Stream` has it."""

    def below(self, bound: int) -> int:
        """An integer from 0 to bound - 1, each as likely."""


def make_payment(
    accounts: Accounts,
    name: str,
    to_script: bytes,
    amount: int,
    *,
    fee_rate: int = DEFAULT_FEE_RATE,
    coins: Sequence[OutPoint] | None = None,
    change: Kind = Kind.P2WPKH,
    dice: Dice | None = None,
    discourages_fee_sniping: bool = False,
) -> Transaction:
    """A signed transaction of an account, verified by consensus and by standard policy.

    amount: satoshis that to_script gets. fee_rate: satoshis for 1,000 virtual bytes, paid on top.
    coins: to be spent, all of them and no others; None: `selection` takes coins in blocks, and only
    if those aren't enough change of the account's own that waits. change: the kind of key that gets
    what is left over.

    dice: shuffle inputs and outputs, so that nobody can tell which is change; None: in BIP69's
    order. discourages_fee_sniping: it can't be mined in a block at the tip's height, so that nobody
    gains by mining that block again for the sake of this fee.

    Nothing is reserved: `Accounts.reserve` does that. Raises UserError for what can't be.
    """
    keys = accounts.keys(name)
    _check_amount(amount, to_script)
    _check_rate(fee_rate)
    terms = Terms((TxOut(amount, to_script),), fee_rate, keys.of_kind(change))
    if coins is None:
        selection = _selected(accounts, name, terms)
    else:
        selection = select_all([_coin(accounts, name, outpoint) for outpoint in coins], terms)
    if selection is None:
        raise UserError(_why_not_enough(accounts, name, terms, coins))
    outputs = list(terms.outputs)
    if selection.change:
        outputs.append(TxOut(selection.change, terms.change_to.script_pubkey))
    lock_time = accounts.height if discourages_fee_sniping else 0
    return _signed(selection.coins, outputs, lock_time, dice)


def double_spend_of(
    accounts: Accounts,
    tx: Transaction,
    *,
    fee: int | None = None,
    to: Kind = Kind.P2WPKH,
) -> Transaction:
    """A signed transaction that spends the same coins and pays them back to their owner.

    At most one of the two can ever be mined. The coins are those inputs of tx that belong to one
    account: that of the first input that belongs to any. fee: satoshis. None: as much as tx pays,
    so that neither replaces the other in a mempool, and who came first stays; to replace it, pay
    more (BIP125). to: the kind of key that is paid.

    Raises UserError if no input is an account's, or if the fee leaves too little.
    """
    spent = accounts.spent_by(tx)
    ours = next((coin for coin in spent if coin is not None), None)
    if ours is None:
        raise UserError("none of the inputs spends a coin of an account here, or they are spent")
    coins = [coin for coin in spent if coin is not None and coin.owner == ours.owner]
    if fee is None:
        fee = _fee_of(tx, spent)
    key = accounts.keys(ours.owner).of_kind(to)
    value = sum(coin.value for coin in coins)
    left = value - fee
    least = dust_threshold(key.script_pubkey, DUST_RATE)
    if fee < 0 or left < least:
        raise UserError(
            f"the fee must be from 0 to {value - least:,} satoshis, not {fee:,}:"
            f" its coins are worth {value:,}"
        )
    conflict = _signed(coins, [TxOut(left, key.script_pubkey)], 0, None)
    if conflict.txid == tx.txid:
        raise UserError("that is the same transaction again: ask for another fee or kind of key")
    return conflict


def fee_rate_of_sizes(fee: int, kinds: Sequence[Kind], scripts: Sequence[bytes]) -> int:
    """The rate per 1,000 virtual bytes that a fee comes to, rounded down."""
    return fee * 1_000 // predicted_vsize(kinds, scripts)


# ---------------------------------------------------------------------- coins


def _selected(accounts: Accounts, name: str, terms: Terms) -> Selection | None:
    """Of coins in blocks, else with own change that waits. Core: AutomaticCoinSelection."""
    selection = select(accounts.spendable(name), terms)
    return selection or select(accounts.spendable(name, own_change=True), terms)


def _coin(accounts: Accounts, name: str, outpoint: OutPoint) -> OwnedCoin:
    """A coin that was asked for by name. Raises UserError if it can't be spent."""
    coin = accounts.coin(outpoint)
    if coin is None or coin.owner != name:
        raise UserError(f"{outpoint} is no coin of {name}: it is spent, or another's")
    reason = accounts.why_not(coin)
    if reason is not None:
        raise UserError(f"{outpoint} can't be spent: {reason}")
    return coin


def _why_not_enough(
    accounts: Accounts, name: str, terms: Terms, coins: Sequence[OutPoint] | None
) -> str:
    if coins is not None:
        value = sum(_coin(accounts, name, outpoint).value for outpoint in coins)
        which = f"the {len(coins)} coins that were named have {value:,} satoshis"
        return f"{which}, too few for {terms.paid:,} and the fee: name more, or pay less"
    value = sum(coin.value for coin in accounts.spendable(name, own_change=True))
    balance = accounts.balance(name)
    sentence = f"{name} can spend {value:,} satoshis, too few for {terms.paid:,} and the fee"
    if balance.total > value:
        sentence += f" ({balance.total - value:,} more are not to be spent yet)"
    return f"{sentence}: pay less, or mine to {name}"


# ---------------------------------------------------------------------- transactions


def _signed(
    coins: Sequence[OwnedCoin], outputs: list[TxOut], lock_time: int, dice: Dice | None
) -> Transaction:
    """Inputs and outputs in order, and signed."""
    if dice is None:
        coins = sorted(coins, key=lambda coin: (coin.outpoint.txid[::-1], coin.outpoint.vout))
        outputs = sorted(outputs, key=lambda txout: (txout.value, txout.script_pubkey))
    else:
        coins, outputs = _shuffled(coins, dice), _shuffled(outputs, dice)
    vin = tuple(TxIn(coin.outpoint, sequence=SEQUENCE) for coin in coins)
    tx = Transaction(VERSION, vin, tuple(outputs), lock_time)
    keys = {coin.key.script_pubkey: coin.key for coin in coins}
    return sign(tx, [coin.output for coin in coins], keys)


def _shuffled(things: Sequence[T], dice: Dice) -> list[T]:
    """In any order, each as likely (Fisher and Yates)."""
    shuffled = list(things)
    for last in range(len(shuffled) - 1, 0, -1):
        other = dice.below(last + 1)
        shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
    return shuffled


def _fee_of(tx: Transaction, spent: Sequence[OwnedCoin | None]) -> int:
    known = [coin.value for coin in spent if coin is not None]
    if len(known) < len(spent):
        raise UserError("some inputs spend coins of others, so its fee is unknown: say what to pay")
    return sum(known) - sum(txout.value for txout in tx.vout)


# ---------------------------------------------------------------------- what can't be


def _check_amount(amount: int, to_script: bytes) -> None:
    if not 0 < amount <= MAX_MONEY:
        raise UserError(f"an amount is from 1 to {MAX_MONEY:,} satoshis, not {amount:,}")
    least = dust_threshold(to_script, DUST_RATE)
    if amount < least:
        raise UserError(f"{amount} satoshis are dust, which no node relays: pay at least {least}")


def _check_rate(fee_rate: int) -> None:
    if not 0 <= fee_rate <= MOST_FEE_RATE:
        raise UserError(
            f"a fee rate is from 0 to {MOST_FEE_RATE:,} satoshis for 1,000 virtual bytes,"
            f" not {fee_rate:,}"
        )
