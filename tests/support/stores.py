"""Where chains are kept in tests: one kind of store after the other, each to be opened again."""

from collections.abc import Callable
from typing import Final, Protocol

from drystone.chain.chainstate import ChainState
from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.chain.store import BlockStore, CoinStore
from drystone.consensus.params import Params


class Shelf(Protocol):
    """A place where one chain is kept."""

    def stores(self) -> tuple[BlockStore, CoinStore]:
        """Open what is there. What was open before is closed, or its process has died."""

    def clear(self) -> None:
        """Let go of the place itself."""


class MemoryShelf:
    """Stores that outlive the chain on them."""

    def __init__(self) -> None:
        self.blocks = MemoryBlocks()
        self.coins = MemoryCoins()

    def stores(self) -> tuple[BlockStore, CoinStore]:
        """The same as before."""
        return self.blocks, self.coins

    def clear(self) -> None:
        """Nothing to do."""


SHELVES: Final[dict[str, Callable[[], Shelf]]] = {"memory": MemoryShelf}


def open_chain(params: Params, shelf: Shelf | None = None, **options: object) -> ChainState:
    """The chain that is kept there; by default a new one in memory."""
    blocks, coins = (shelf or MemoryShelf()).stores()
    return ChainState(params, blocks, coins, **options)  # type: ignore[arg-type]
