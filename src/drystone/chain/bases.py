"""Coins that many nodes of one process hold together.

```
base at tip A        base at tip B        one dictionary each, for all nodes that wrote there
   |      |             |
 node   node          node                what each has changed since: `chain.coins.CoinsCache`
```
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from drystone.chain.memory import MemoryCoins
from drystone.consensus.coins import Coin
from drystone.core.memo import Memo
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint

MOST_COINS: Final = 1_000_000  # in all bases that are remembered
FLUSH_BLOCKS: Final = 20  # after which a node had better write, to let go of its own


class CoinBases:
    """Coins by the block that left them so. What a block leaves depends on nothing else."""

    def __init__(self, most_coins: int = MOST_COINS) -> None:
        self._bases: Memo[BlockHash, Mapping[OutPoint, Coin]] = Memo(most_coins)

    def at(self, tip: BlockHash) -> Mapping[OutPoint, Coin] | None:
        """The coins there, or None if nobody has written them of late."""
        return self._bases.get(tip)

    def put(self, tip: BlockHash, coins: Mapping[OutPoint, Coin]) -> None:
        """Let others hold them, too. They must not change any more."""
        self._bases.put(tip, coins, max(1, len(coins)))


class SharedCoins:
    """A CoinStore that holds what others hold, wherever they have written at the same tip."""

    def __init__(self, bases: CoinBases, start: MemoryCoins) -> None:
        self._bases = bases
        self._tip = start.tip
        self._coins: Mapping[OutPoint, Coin] = {}
        if start.tip is not None:
            self._coins = bases.at(start.tip) or dict(start.items())
            bases.put(start.tip, self._coins)

    @property
    def tip(self) -> BlockHash | None:
        """The block that left the coins so."""
        return self._tip

    def get(self, outpoint: OutPoint, /) -> Coin | None:
        """The coin there, or None."""
        return self._coins.get(outpoint)

    def write(
        self,
        spent: Iterable[OutPoint],
        created: Iterable[tuple[OutPoint, Coin]],
        tip: BlockHash,
    ) -> None:
        """Take coins away, then put others there: as they are at the tip, for whoever is there."""
        base = self._bases.at(tip)
        if base is None:
            coins = dict(self._coins)
            for outpoint in spent:
                coins.pop(outpoint, None)
            coins.update(created)
            self._bases.put(tip, coins)
            base = coins
        self._coins, self._tip = base, tip

    def items(self) -> Iterator[tuple[OutPoint, Coin]]:
        """All coins, in any order."""
        return iter(self._coins.items())

    def close(self) -> None:
        """Nothing to do."""
