"""Where a live node keeps what outlives its process: in memory, or in a directory."""

from pathlib import Path
from secrets import token_bytes
from typing import Final, Protocol

from drystone.chain.chainstate import ChainState
from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.chain.signatures import Signatures
from drystone.consensus.params import Params
from drystone.drivers.store.directory import ChainDirectory
from drystone.drivers.store.files import replace_file, told
from drystone.mempool.dump import KEY_BYTES, Dump, read_dump
from drystone.network.opening import chain_in

MEMPOOL_NAME: Final = "mempool.dat"  # in the folder of the chain, as the reference client has it
MOST_MEMPOOL_BYTES: Final = 1 << 30  # a longer file is something else


class Home(Protocol):
    """Is opened when a node starts; then closed, or left as a crash leaves it."""

    def open(self) -> tuple[ChainState, Dump]:
        """The chain as it was left, and the mempool. Raises StoreError."""

    def close(self, mempool: Dump) -> None:
        """Keep everything."""

    def crash(self) -> None:
        """Keep what was acknowledged, and not a byte more."""


class MemoryHome:
    """Lasts as long as the process."""

    def __init__(
        self, params: Params, blocks: MemoryBlocks, coins: MemoryCoins, signatures: Signatures
    ) -> None:
        self._params = params
        self._blocks = blocks
        self._coins = coins
        self._signatures = signatures
        self._mempool = Dump()
        self._chain: ChainState | None = None

    def open(self) -> tuple[ChainState, Dump]:
        """The chain as it was left, and the mempool."""
        mempool, self._mempool = self._mempool, Dump()
        self._chain = ChainState(
            self._params, self._blocks, self._coins, signatures=self._signatures
        )
        return self._chain, mempool

    def close(self, mempool: Dump) -> None:
        """Keep everything."""
        self._mempool = mempool
        if self._chain is not None:
            self._chain.close()
            self._chain = None

    def crash(self) -> None:
        """Keep what was acknowledged."""
        if self._chain is not None:
            self._chain.abandon()
            self._chain = None


class DirectoryHome:
    """A data directory of the node's own: see `drivers.store.directory`."""

    def __init__(self, datadir: Path, params: Params, signatures: Signatures) -> None:
        self._datadir = datadir
        self._params = params
        self._signatures = signatures
        self._directory: ChainDirectory | None = None
        self._chain: ChainState | None = None

    def open(self) -> tuple[ChainState, Dump]:
        """The chain as it was left, and the mempool. Raises StoreError."""
        directory = ChainDirectory.open(self._datadir, self._params)
        try:
            self._chain = chain_in(directory, self._params, signatures=self._signatures)
            self._directory = directory
            return self._chain, self._read_mempool(directory)
        except BaseException:
            self.crash()
            directory.close()
            raise

    def close(self, mempool: Dump) -> None:
        """Keep everything. Raises StoreError: then all but the mempool is kept as it was."""
        directory, chain = self._directory, self._chain
        self._directory = self._chain = None
        if directory is None or chain is None:
            return
        try:
            try:
                chain.close()
            finally:
                directory.close()
        finally:
            path = directory.folder / MEMPOOL_NAME
            with told("write", path):
                replace_file(path, mempool.encode(token_bytes(KEY_BYTES)))

    def crash(self) -> None:
        """Keep what was acknowledged."""
        directory, chain = self._directory, self._chain
        self._directory = self._chain = None
        if chain is not None:
            chain.abandon()
        if directory is not None:
            directory.close()

    def _read_mempool(self, directory: ChainDirectory) -> Dump:
        """What the file has; a damaged one is read as far as it goes, for the rest comes again."""
        path = directory.folder / MEMPOOL_NAME
        with told("read", path):
            try:
                with path.open("rb") as file:
                    return read_dump(file.read(MOST_MEMPOOL_BYTES))
            except FileNotFoundError:
                return Dump()
