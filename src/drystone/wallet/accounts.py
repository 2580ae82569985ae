"""What accounts own, as one node sees it: its chain's coins, and what waits in its mempool.

```
scan                 all coins of the chain, once
accepted, removed    a transaction came into the mempool, or went
follow               the tip moved: some blocks went, some came
```

A payment that was made and hasn't been accepted yet is *in flight*. Its coins are reserved, so that
the next payment takes others:

```
make_payment -> reserve -> (the node) -> accepted: they are spent, change may be spent on
                                      -> release:  they are free again
```

The node's mempool has the last word on what waits: nothing here outlives it there.
"""

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from drystone.chain.chainstate import ChainState, TipChange
from drystone.chain.coins import outpoints_left_by
from drystone.consensus.coins import Coin
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.primitives.hashes import Txid, display
from drystone.primitives.transaction import OutPoint, Transaction, TxOut
from drystone.wallet.keys import KINDS, Key, Keys, keys_of
from drystone.wallet.owned import OwnedCoin


class Balance(NamedTuple):
    """Satoshis. Coins that a waiting transaction spends are in none of these."""

    confirmed: int  # in blocks, and the next block may spend them
    unconfirmed: int  # paid by transactions that wait
    immature: int  # of coinbases that are too young

    @property
    def total(self) -> int:
        """What there will be, if all goes as it looks."""
        return sum(self)


class Accounts:
    """The coins of some accounts at one node.

    names: of the accounts. It begins empty, at genesis: `scan` catches up with a chain.
    """

    def __init__(self, params: Params, names: Iterable[str]) -> None:
        self.params = params
        self.height = 0  # of the tip
        self._keys = {name: keys_of(name) for name in names}
        self._by_script = {
            key.script_pubkey: (name, key)
            for name, keys in self._keys.items()
            for key in map(keys.of_kind, KINDS)
        }
        self._coins: dict[OutPoint, OwnedCoin] = {}  # in blocks
        self._new: dict[OutPoint, OwnedCoin] = {}  # made by what waits
        self._waiting: dict[Txid, Transaction] = {}  # in order of acceptance
        self._spenders: dict[OutPoint, Txid] = {}  # among those that wait
        self._in_flight: dict[OutPoint, Transaction] = {}
        self._locked: dict[OutPoint, None] = {}

    # ------------------------------------------------------------------ looking

    @property
    def names(self) -> tuple[str, ...]:
        """Whose coins are followed."""
        return tuple(self._keys)

    def keys(self, name: str) -> Keys:
        """An account's keys. Raises UserError if it isn't followed."""
        keys = self._keys.get(name)
        if keys is None:
            raise UserError(f"there is no account {name!r} here: {', '.join(self._keys)}")
        return keys

    def coin(self, outpoint: OutPoint) -> OwnedCoin | None:
        """The coin there, in a block or waiting for one, even if a waiting transaction spends it."""
        return self._coins.get(outpoint) or self._new.get(outpoint)

    def coins(self, name: str) -> list[OwnedCoin]:
        """All coins of an account that nothing spends, oldest first, those that wait last."""
        self.keys(name)
        found = [coin for coin in self._all() if coin.owner == name]
        unspent = [coin for coin in found if coin.outpoint not in self._spenders]
        return sorted(unspent, key=_age)

    def spendable(self, name: str, *, own_change: bool = False) -> list[OwnedCoin]:
        """Those of them that a new payment may take, and the next block include.

        own_change: what waits, too, if it comes from the account alone, so that nobody else can
        make it void. Core: AvailableCoins.
        """
        return [
            coin
            for coin in self.coins(name)
            if (coin.height is not None or (own_change and coin.is_own_change))
            and self.why_not(coin) is None
            and coin.outpoint not in self._locked
        ]

    def why_not(self, coin: OwnedCoin) -> str | None:
        """What keeps a payment from spending a coin even if it is asked to, or None."""
        spender = self._spenders.get(coin.outpoint)
        if spender is not None:
            return f"{display(spender)} spends it"
        in_flight = self._in_flight.get(coin.outpoint)
        if in_flight is not None:
            return f"{display(in_flight.txid)} is about to spend it"
        if not coin.is_mature(self.height + 1, self.params):
            assert coin.height is not None
            at = coin.height + self.params.coinbase_maturity
            return f"it is a block's reward, and block {at} is the first that may spend it"
        return None

    def balance(self, name: str) -> Balance:
        """What an account has."""
        confirmed = unconfirmed = immature = 0
        for coin in self.coins(name):
            if coin.height is None:
                unconfirmed += coin.value
            elif coin.is_mature(self.height + 1, self.params):
                confirmed += coin.value
            else:
                immature += coin.value
        return Balance(confirmed, unconfirmed, immature)

    def spent_by(self, tx: Transaction) -> tuple[OwnedCoin | None, ...]:
        """For each input the coin that it spends, None if it is nobody's here."""
        return tuple(self.coin(txin.prevout) for txin in tx.vin)

    def _all(self) -> Iterator[OwnedCoin]:
        yield from self._coins.values()
        yield from self._new.values()

    # ------------------------------------------------------------------ what a user sets aside

    def lock(self, outpoint: OutPoint) -> None:
        """Keep a coin out of payments that don't ask for it by name. Core: lockunspent."""
        if self.coin(outpoint) is None:
            raise UserError(f"{outpoint} is no coin of {', '.join(self._keys)}")
        self._locked[outpoint] = None

    def unlock(self, outpoint: OutPoint) -> None:
        """Let payments take it again."""
        self._locked.pop(outpoint, None)

    # ------------------------------------------------------------------ payments in flight

    def reserve(self, tx: Transaction) -> None:
        """A payment is on its way: nothing else should spend its coins.

        Raises UserError if another one, or one that waits, spends any of them.
        """
        for coin in self.spent_by(tx):
            if coin is not None and self._other_spender(coin.outpoint, tx.txid):
                raise UserError(f"{coin.outpoint} can't be spent: {self.why_not(coin)}")
        self._in_flight.update((txin.prevout, tx) for txin in tx.vin)

    def release(self, tx: Transaction) -> None:
        """It was refused, or given up: its coins are free."""
        for txin in tx.vin:
            other = self._in_flight.get(txin.prevout)
            if other is not None and other.txid == tx.txid:
                del self._in_flight[txin.prevout]

    def _other_spender(self, outpoint: OutPoint, txid: Txid) -> bool:
        in_flight = self._in_flight.get(outpoint)
        spenders = {self._spenders.get(outpoint), in_flight.txid if in_flight else None}
        return bool(spenders - {None, txid})

    # ------------------------------------------------------------------ the mempool

    def accepted(self, tx: Transaction) -> None:
        """A transaction is in the node's mempool, after its parents there."""
        self.release(tx)
        if tx.txid in self._waiting:
            return
        for txin in tx.vin:
            replaced = self._spenders.get(txin.prevout)
            if replaced is not None:
                self._forget_with_descendants(replaced)
        spent = self.spent_by(tx)
        owners = {coin.owner if coin is not None else None for coin in spent}
        made = {
            coin.outpoint: coin._replace(is_own_change=owners == {coin.owner})
            for coin in self._made_by(tx, None)
        }
        if not made and owners == {None}:
            return  # it is none of our business
        self._waiting[tx.txid] = tx
        self._new.update(made)
        self._spenders.update((txin.prevout, tx.txid) for txin in tx.vin)

    def removed(self, tx: Transaction) -> None:
        """It has left the mempool; of its descendants, each that leaves is told, too."""
        self._forget(tx.txid)

    def _forget(self, txid: Txid) -> None:
        tx = self._waiting.pop(txid, None)
        if tx is None:
            return
        for vout in range(len(tx.vout)):
            self._new.pop(OutPoint(txid, vout), None)
        for txin in tx.vin:
            if self._spenders.get(txin.prevout) == txid:
                del self._spenders[txin.prevout]

    def _forget_with_descendants(self, txid: Txid) -> None:
        doomed = [txid]
        while doomed:
            tx = self._waiting.get(doomed.pop())
            if tx is not None:
                made = [OutPoint(tx.txid, vout) for vout in range(len(tx.vout))]
                doomed += [self._spenders[each] for each in made if each in self._spenders]
                self._forget(tx.txid)

    # ------------------------------------------------------------------ the chain

    def scan(self, chain: ChainState, waiting: Iterable[Transaction] = ()) -> None:
        """Begin anew with all coins of a chain. waiting: what is in the mempool, parents first."""
        for forgotten in (self._coins, self._new, self._waiting, self._spenders):
            forgotten.clear()
        self.height = chain.height
        for outpoint, coin in chain.coins.items():
            self._add(outpoint, coin)
        for tx in waiting:
            self.accepted(tx)

    def follow(self, chain: ChainState, change: TipChange, waiting: Container[Txid]) -> None:
        """The tip has moved, and the mempool has followed.

        waiting: the txids that are there now, as a Mempool is itself.
        """
        self.height = change.new.height
        for node in change.disconnected:
            for outpoint in outpoints_left_by(chain.block(node.hash)):
                self._coins.pop(outpoint, None)
            for outpoint, coin in chain.undo(node.hash).spent:
                self._add(outpoint, coin)
        for node in change.connected:
            for tx in chain.block(node.hash).vtx:
                self._mined(tx, node.height)
        for txid in [txid for txid in self._waiting if txid not in waiting]:
            self._forget(txid)
        for tx in change.unconfirmed:
            if tx.txid in waiting:
                self.accepted(tx)

    def _mined(self, tx: Transaction, height: int) -> None:
        """A block has a transaction."""
        for txin in tx.vin:
            self._coins.pop(txin.prevout, None)
            in_flight = self._in_flight.get(txin.prevout)
            if in_flight is not None:
                self.release(in_flight)  # it is mined, or it never will be
        for coin in self._made_by(tx, height):
            self._coins[coin.outpoint] = coin

    def _made_by(self, tx: Transaction, height: int | None) -> Iterator[OwnedCoin]:
        for vout, txout in enumerate(tx.vout):
            owner = self._by_script.get(txout.script_pubkey)
            if owner is not None:
                yield _owned(OutPoint(tx.txid, vout), txout, owner, height, tx.is_coinbase)

    def _add(self, outpoint: OutPoint, coin: Coin) -> None:
        owner = self._by_script.get(coin.output.script_pubkey)
        if owner is not None:
            self._coins[outpoint] = _owned(
                outpoint, coin.output, owner, coin.height, coin.is_coinbase
            )


def _owned(
    outpoint: OutPoint,
    txout: TxOut,
    owner: tuple[str, Key],
    height: int | None,
    is_coinbase: bool,  # noqa: FBT001
) -> OwnedCoin:
    return OwnedCoin(outpoint, txout, *owner, height, is_coinbase)


def _age(coin: OwnedCoin) -> tuple[bool, int, OutPoint]:
    return coin.height is None, coin.height or 0, coin.outpoint
