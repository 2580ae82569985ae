"""The coins of a chain: a cache over what is stored, and changes that are tried on it first."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from drystone.chain.store import BlockUndo, CoinStore
from drystone.consensus.coins import Coin, CoinsView
from drystone.consensus.connect import BlockChange
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.script import is_unspendable
from drystone.primitives.transaction import OutPoint


class CoinsChange:
    """What some blocks, disconnected and connected one after the other, do to coins below.

    The coins below stay as they are. created: coins that are there now. spent: where coins were
    below that are no more. An outpoint may be in both: then another coin is there than before.
    """

    def __init__(self, below: CoinsView) -> None:
        self._below = below
        self.created: dict[OutPoint, Coin] = {}
        self.spent: set[OutPoint] = set()

    def get(self, outpoint: OutPoint, /) -> Coin | None:
        """The coin there by now, or None."""
        coin = self.created.get(outpoint)
        if coin is not None or outpoint in self.spent:
            return coin
        return self._below.get(outpoint)

    def connect(self, change: BlockChange) -> None:
        """Do what connecting a block does. Core: UpdateCoins."""
        self._take(change.spent)
        self.created.update(change.created)

    def disconnect(self, block: Block, undo: BlockUndo) -> None:
        """Undo what connecting a block did. Core: DisconnectBlock."""
        self._take(outpoints_left_by(block))
        self.created.update(undo.spent)

    def _take(self, outpoints: Iterable[OutPoint]) -> None:
        for outpoint in outpoints:
            if self.created.pop(outpoint, None) is None:
                self.spent.add(outpoint)


def outpoints_left_by(block: Block) -> list[OutPoint]:
    """Where a block leaves coins that it made: all but those that it spends itself."""
    inner = {txin.prevout for tx in block.vtx for txin in tx.vin}
    return [
        outpoint
        for tx in block.vtx
        for vout, txout in enumerate(tx.vout)
        if (outpoint := OutPoint(tx.txid, vout)) not in inner
        and not is_unspendable(txout.script_pubkey)
    ]


MOST_READ: Final = 200_000


class CoinsCache:
    """The coins at the chain's tip: those in a store, and what has changed since it was written.

    Most coins are spent soon after they were made; those never reach the store. Core:
    CCoinsViewCache.

    fresh: coins that are not in the store. gone: outpoints of coins that are, and are no more.
    Both wait for `flush`. most_read: so many coins read from the store are kept at hand; 0 for one
    that has them in memory anyway.
    """

    def __init__(self, store: CoinStore, most_read: int = MOST_READ) -> None:
        self._store = store
        self._most_read = most_read
        self._fresh: dict[OutPoint, Coin] = {}
        self._gone: set[OutPoint] = set()
        self._read: dict[OutPoint, Coin] = {}

    @property
    def unwritten(self) -> int:
        """How many changes wait for `flush`."""
        return len(self._fresh) + len(self._gone)

    def get(self, outpoint: OutPoint, /) -> Coin | None:
        """The coin there, or None."""
        coin = self._fresh.get(outpoint) or self._read.get(outpoint)
        if coin is not None:
            return coin
        if outpoint in self._gone:
            return None
        coin = self._store.get(outpoint)
        if coin is not None:
            self._keep_read(outpoint, coin)
        return coin

    def apply(self, change: CoinsChange) -> None:
        """Make a change that was tried come true."""
        for outpoint in change.spent:
            if self._fresh.pop(outpoint, None) is None:
                self._gone.add(outpoint)
                self._read.pop(outpoint, None)
        self._fresh.update(change.created)

    def flush(self, tip: BlockHash) -> None:
        """Write the store: it then has the coins as this block left them."""
        self._store.write(self._gone, self._fresh.items(), tip)
        for outpoint, coin in self._fresh.items():
            self._keep_read(outpoint, coin)
        self._fresh.clear()
        self._gone.clear()

    def items(self) -> Iterator[tuple[OutPoint, Coin]]:
        """All coins, in any order."""
        for outpoint, coin in self._store.items():
            if outpoint not in self._gone and outpoint not in self._fresh:
                yield outpoint, coin
        yield from self._fresh.items()

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def _keep_read(self, outpoint: OutPoint, coin: Coin) -> None:
        if len(self._read) >= self._most_read:
            if not self._most_read:
                return
            self._drop(max(1, self._most_read // 8))
        self._read[outpoint] = coin

    def _drop(self, count: int) -> None:
        """Let go of the coins that were read first: the likeliest to be of no use any more."""
        for outpoint in list(islice(self._read, count)):
            del self._read[outpoint]
