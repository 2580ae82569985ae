"""Where chains are kept in tests: one kind of store after the other, each to be opened again."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from drystone.chain.chainstate import ChainState
from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.chain.store import BlockStore, CoinStore
from drystone.consensus.params import Params
from drystone.drivers.store.directory import ChainDirectory


class Shelf(Protocol):
    """A place where one chain is kept."""

    def stores(self, params: Params) -> tuple[BlockStore, CoinStore]:
        """Open what is there. What was open before is closed, or is as if its process had died."""

    def clear(self) -> None:
        """Let go of the place itself."""


class MemoryShelf:
    """Stores that outlive the chain on them."""

    def __init__(self) -> None:
        self.blocks = MemoryBlocks()
        self.coins = MemoryCoins()

    def stores(self, params: Params) -> tuple[BlockStore, CoinStore]:
        """The same as before."""
        return self.blocks, self.coins

    def clear(self) -> None:
        """Nothing to do."""


class DiskShelf:
    """A directory of its own. Nothing waits for the disk: no test cuts the power."""

    def __init__(self) -> None:
        self._datadir = Path(tempfile.mkdtemp(prefix="drystone-test-"))
        self._open: ChainDirectory | None = None

    def stores(self, params: Params) -> tuple[BlockStore, CoinStore]:
        """Of the directory. Whoever had it before keeps none of it."""
        if self._open is not None:
            self._open.close()
        self._open = ChainDirectory.open(self._datadir, params)
        return self._open.blocks, self._open.coins

    def clear(self) -> None:
        """Remove the directory."""
        if self._open is not None:
            self._open.close()
        shutil.rmtree(self._datadir)


SHELVES: Final[dict[str, Callable[[], Shelf]]] = {"memory": MemoryShelf, "disk": DiskShelf}


def open_chain(params: Params, shelf: Shelf | None = None, **options: object) -> ChainState:
    """The chain that is kept there; by default a new one in memory."""
    blocks, coins = (shelf or MemoryShelf()).stores(params)
    return ChainState(params, blocks, coins, **options)  # type: ignore[arg-type]
