"""What accounts own, as one node sees it: its chain's coins, and what waits in its mempool.

```
scan                 all coins of the chain, once
accepted, removed    a transaction came into the mempool, or went
follow               the tip moved: some blocks went, some came
```

The node's mempool has the last word on what waits: nothing here outlives it there.
"""

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple, Protocol

from drystone.chain.chainstate import ChainState
from drystone.chain.coins import outpoints_left_by
from drystone.chain.outcomes import TipChange
from drystone.consensus.coins import Coin
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxOut
from drystone.wallet.keys import KINDS, Key, Keys, keys_of
from drystone.wallet.owned import OwnedCoin


class Waiting(Protocol):
    """Tells what is in a mempool."""

    def __contains__(self, txid: Txid, /) -> bool:
        """Whether this waits."""


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
        """The coin there, in a block or waiting for one, even if what waits spends it."""
        return self._coins.get(outpoint) or self._new.get(outpoint)

    def coins(self, name: str) -> list[OwnedCoin]:
        """All coins of an account that nothing spends, oldest first, those that wait last."""
        self.keys(name)
        found = [coin for coin in self._all() if coin.owner == name]
        unspent = [coin for coin in found if coin.outpoint not in self._spenders]
        return sorted(unspent, key=_age)

    def spendable(
        self, name: str, *, own_change: bool = False, aside: Container[OutPoint] = ()
    ) -> list[OwnedCoin]:
        """Those of them that a new payment may take, and the next block include.

        own_change: what waits, too, if it comes from the account alone, so that nobody else can
        make it void. aside: coins that are left alone. Core: AvailableCoins.
        """
        return [
            coin
            for coin in self.coins(name)
            if (coin.height is not None or (own_change and self._is_own_change(coin)))
            and coin.is_mature(self.height + 1, self.params)
            and coin.outpoint not in aside
        ]

    def _is_own_change(self, coin: OwnedCoin) -> bool:
        """Whether all that waits and that a coin rests on spends its owner's coins alone."""
        looked_at: dict[Txid, None] = {}
        to_look_at = [coin.outpoint.txid]
        while to_look_at:
            txid = to_look_at.pop()
            if txid in looked_at:
                continue
            looked_at[txid] = None
            for spent in self.spent_by(self._waiting[txid]):
                if spent is None or spent.owner != coin.owner:
                    return False
                if spent.height is None:
                    to_look_at.append(spent.outpoint.txid)
        return True

    def why_not(self, coin: OwnedCoin) -> str | None:
        """What keeps a payment that asks for a coin from spending it, or None.

        That another one waits which spends it does not: who pays more may replace it (BIP125).
        """
        if coin.is_mature(self.height + 1, self.params):
            return None
        assert coin.height is not None
        at = coin.height + self.params.coinbase_maturity
        return f"it is a block's reward, and block {at} is the first that may spend it"

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

    # ------------------------------------------------------------------ the mempool

    def accepted(self, tx: Transaction) -> None:
        """A transaction is in the node's mempool, after its parents there."""
        if tx.txid in self._waiting:
            return
        for txin in tx.vin:
            replaced = self._spenders.get(txin.prevout)
            if replaced is not None:
                self._forget_with_descendants(replaced)
        spent = self.spent_by(tx)
        made = {coin.outpoint: coin for coin in self._made_by(tx, None)}
        if not made and all(coin is None for coin in spent):
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

    def follow(self, chain: ChainState, change: TipChange, waiting: Waiting) -> None:
        """The tip has moved, and the mempool has followed.

        waiting: what is there now, as a Mempool is itself.
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
