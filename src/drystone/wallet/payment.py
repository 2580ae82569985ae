"""A payment: the coins it takes, what it pays whom, what is left over, all signed.

```
make_payment        of an account to another, or to an address
conflicting         the same coins to somebody else: a double spend
```
"""

from collections.abc import Container, Sequence
from typing import Final, NamedTuple

from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.mempool.standardness import dust_threshold
from drystone.primitives.amount import MAX_MONEY
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from drystone.wallet.accounts import Accounts
from drystone.wallet.keys import keys_of, script_to
from drystone.wallet.owned import OwnedCoin
from drystone.wallet.selection import DUST_RATE, Selection, Terms, select, select_all
from drystone.wallet.signing import sign

VERSION: Final = 2  # BIP68 may be used
SEQUENCE: Final = 0xFFFFFFFD  # a payment may be replaced, and says so (BIP125)
DEFAULT_FEE_RATE: Final = 1_000  # satoshis for 1,000 virtual bytes: one each
MOST_FEE_RATE: Final = 10_000_000  # 0.1 bitcoin: more is a slip of the pen


class Payment(NamedTuple):
    """A signed transaction, and what it is meant to do. Amounts are satoshis."""

    tx: Transaction
    owner: str  # of all the coins that it spends, and of the change
    to: str  # an account's name, or an address
    amount: int
    fee: int
    change: int  # 0: there is none
    spent: tuple[OwnedCoin, ...]

    @property
    def txid(self) -> Txid:
        """The transaction's."""
        return self.tx.txid

    @property
    def coins(self) -> tuple[OutPoint, ...]:
        """Where the coins are that it spends."""
        return tuple(coin.outpoint for coin in self.spent)


def make_payment(
    accounts: Accounts,
    owner: str,
    to: str,
    amount: int,
    *,
    fee_rate: int = DEFAULT_FEE_RATE,
    coins: Sequence[OutPoint] | None = None,
    aside: Container[OutPoint] = (),
) -> Payment:
    """A payment of an account that keeps the rules of consensus and of relay.

    to: an account's name, or an address. amount: satoshis that it gets. fee_rate: satoshis for
    1,000 virtual bytes, paid on top. coins: to be spent, all of them and no others, even if a
    payment that waits spends them; None: coins in blocks, and only if those aren't enough change
    of the account's own that waits. aside: coins that are taken only if they are named.

    Raises UserError for what can't be.
    """
    keys = accounts.keys(owner)
    to_script = script_to(to, accounts.params)
    _check_amount(amount, to_script)
    _check_rate(fee_rate)
    terms = Terms((TxOut(amount, to_script),), fee_rate, keys.p2wpkh)
    if coins is None:
        selection = _selected(accounts, owner, terms, aside)
    else:
        named = [_coin(accounts, owner, outpoint) for outpoint in dict.fromkeys(coins)]
        selection = select_all(named, terms)
    if selection is None:
        raise UserError(_why_not_enough(accounts, owner, terms, coins, aside))
    tx = _signed(terms.outputs, owner, selection.change, selection.coins)
    return Payment(tx, owner, to, amount, selection.fee, selection.change, selection.coins)


def conflicting(payment: Payment, to: str, params: Params) -> Payment:
    """The same coins, amount and fee, but to somebody else: only one of the two can be mined.

    As neither pays more, neither replaces the other in a mempool: who came first stays.
    Raises UserError.
    """
    to_script = script_to(to, params)
    if to_script == script_to(payment.to, params):
        raise UserError(f"both would pay {to}: a double spend pays two, name another")
    _check_amount(payment.amount, to_script)
    outputs = (TxOut(payment.amount, to_script),)
    tx = _signed(outputs, payment.owner, payment.change, payment.spent)
    return payment._replace(tx=tx, to=to)


# ---------------------------------------------------------------------- coins


def _selected(
    accounts: Accounts, owner: str, terms: Terms, aside: Container[OutPoint]
) -> Selection | None:
    """Of coins in blocks, else with own change that waits. Core: AutomaticCoinSelection."""
    selection = select(accounts.spendable(owner, aside=aside), terms)
    return selection or select(accounts.spendable(owner, own_change=True, aside=aside), terms)


def _coin(accounts: Accounts, owner: str, outpoint: OutPoint) -> OwnedCoin:
    """A coin that was asked for by name. Raises UserError if it can't be spent."""
    coin = accounts.coin(outpoint)
    if coin is None or coin.owner != owner:
        raise UserError(f"{outpoint} is no coin of {owner}: it is spent, or another's")
    reason = accounts.why_not(coin)
    if reason is not None:
        raise UserError(f"{outpoint} can't be spent: {reason}")
    return coin


def _why_not_enough(
    accounts: Accounts,
    owner: str,
    terms: Terms,
    coins: Sequence[OutPoint] | None,
    aside: Container[OutPoint],
) -> str:
    wanted = f"too few for {terms.paid:,} and the fee"
    if coins is not None:
        value = sum(_coin(accounts, owner, outpoint).value for outpoint in dict.fromkeys(coins))
        return (
            f"the coins that were named have {value:,} satoshis, {wanted}: name more, or pay less"
        )
    spendable = accounts.spendable(owner, own_change=True, aside=aside)
    value = sum(coin.value for coin in spendable)
    immature = accounts.balance(owner).immature
    waiting = accounts.balance(owner).total - immature - value
    also = [f"{waiting:,} more wait for a block"] if waiting else []
    also += [f"{immature:,} more are rewards too young to spend"] if immature else []
    so = f" ({', '.join(also)})" if also else ""
    blocks = accounts.params.coinbase_maturity
    return (
        f"{owner} can spend {value:,} satoshis, {wanted}{so}: pay less, or mine a block to {owner},"
        f" whose reward can be spent {blocks} blocks later"
    )


# ---------------------------------------------------------------------- transactions


def _signed(
    outputs: Sequence[TxOut], owner: str, change: int, coins: Sequence[OwnedCoin]
) -> Transaction:
    """Inputs and outputs in BIP69's order, which says nothing of which is change; signed."""
    if change:
        outputs = [*outputs, TxOut(change, keys_of(owner).p2wpkh.script_pubkey)]
    coins = sorted(coins, key=lambda coin: (coin.outpoint.txid[::-1], coin.outpoint.vout))
    outputs = sorted(outputs, key=lambda txout: (txout.value, txout.script_pubkey))
    vin = tuple(TxIn(coin.outpoint, sequence=SEQUENCE) for coin in coins)
    tx = Transaction(VERSION, vin, tuple(outputs))
    keys = {coin.key.script_pubkey: coin.key for coin in coins}
    return sign(tx, [coin.output for coin in coins], keys)


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
            f"a fee rate is from 0 to {MOST_FEE_RATE // 1_000:,} satoshis for a virtual byte,"
            f" not {fee_rate / 1_000:,.6g}"
        )
