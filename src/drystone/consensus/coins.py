"""Coins: outputs that nothing has spent yet, and the views that rules look them up in."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from drystone.primitives.script import is_unspendable
from drystone.primitives.transaction import OutPoint, Transaction, TxOut


class Coin(NamedTuple):
    """An output that may be spent, and what its spending depends on. Core: Coin.

    A NamedTuple and no dataclass, since every output of every block becomes one: it is made in a
    third of the time.
    """

    output: TxOut
    height: int  # of the block that made it
    is_coinbase: bool  # whether that block's coinbase did: then it must mature


class CoinsView(Protocol):
    """Where rules look for coins. Any mapping from OutPoint to Coin is one. Core: CCoinsView."""

    def get(self, outpoint: OutPoint, /) -> Coin | None:
        """The coin there, or None if it was spent or never was."""


class CoinsOverlay:
    """A view as a block's transactions change it one after the other; the one below stays as it is.

    height: the block's. Whoever has a block and "the coins that it spends", as undo data tell them,
    may list coins below that the block itself makes. They count from where it makes them, not
    before and not twice; so of those below, only coins of lower blocks are seen.

    created: coins that are not below. spent: coins that are, and are no more. A coin both made and
    spent here is in neither. Core: CCoinsViewCache.
    """

    def __init__(self, below: CoinsView, height: int) -> None:
        self._below = below
        self._height = height
        self.created: dict[OutPoint, Coin] = {}
        self.spent: dict[OutPoint, Coin] = {}

    def get(self, outpoint: OutPoint, /) -> Coin | None:
        """The coin there by now, or None."""
        coin = self.created.get(outpoint)
        if coin is not None or outpoint in self.spent:
            return coin
        coin = self._below.get(outpoint)
        return coin if coin is not None and coin.height < self._height else None

    def apply(self, tx: Transaction, spent: Sequence[Coin]) -> None:
        """Take the coins that a transaction spends, put those that it makes. Core: UpdateCoins.

        spent: what `get` finds for its inputs, in order; nothing for a coinbase.
        """
        created, height, is_coinbase = self.created, self._height, tx.is_coinbase
        if not is_coinbase:
            for txin, coin in zip(tx.vin, spent, strict=True):
                if created.pop(txin.prevout, None) is None:
                    self.spent[txin.prevout] = coin
        for vout, txout in enumerate(tx.vout):
            if not is_unspendable(txout.script_pubkey):
                created[OutPoint(tx.txid, vout)] = Coin(txout, height, is_coinbase)

    def overwrite(self, tx: Transaction) -> None:
        """Take whatever coins are where a transaction is about to put its own.

        Only two coinbases, from before BIP30, ever had to.
        """
        for vout in range(len(tx.vout)):
            outpoint = OutPoint(tx.txid, vout)
            coin = self.get(outpoint)
            if coin is not None:
                self.spent[outpoint] = coin
