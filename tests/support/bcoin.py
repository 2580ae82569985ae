"""bcoin, a full node of other people's in JavaScript, as a process beside a test.

`make interop` installs it, into build/bcoin. tests/interop/bcoin_node.js is the process: it takes
orders and tells what happens in lines of JSON, and ends with its input, so that it outlives nobody.
"""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from drystone.chain.chainstate import ChainState
from drystone.consensus.chains import REGTEST
from drystone.drivers.sockets import SocketAddress
from drystone.network.live import AsyncNetwork
from drystone.node.connection import Connection
from drystone.node.events import Disconnect, News
from drystone.primitives.hashes import BlockHash, display
from drystone.primitives.transaction import Transaction

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "build/bcoin"
DRIVER: Final = ROOT / "tests/interop/bcoin_node.js"
PATIENCE_S: Final = 60.0  # for what takes a second or two on a quiet machine
SIGNALLED: Final = 432  # bcoin's first blocks on regtest, by whose votes it activates segwit (BIP9)
LINE_BYTES: Final = 1 << 22  # at most; the hashes of a few thousand blocks are one line


def missing() -> str | None:
    """What keeps bcoin from running here, if anything does, and how to mend it."""
    if shutil.which("node") is None:
        return "bcoin needs Node.js: install nodejs and npm, then `make interop`"
    if not (FOLDER / "installed").exists():
        return "bcoin is not installed: `make interop` installs it"
    return None


Told = TypeVar("Told", bound=News)


class Bcoin:
    """A bcoin node on regtest, in memory. Use it in `async with`: at the end it is killed.

    address: where it listens. height, tip: of its chain. mempool: the ids of transactions that it
    let in, as shown. events: all that it told, in order.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._asked = 0
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self.events: list[dict[str, Any]] = []
        self.address = SocketAddress("127.0.0.1", 0)
        self.height = 0
        self.tip = BlockHash(bytes(32))
        self.mempool: set[str] = set()

    @classmethod
    async def start(cls) -> "Bcoin":
        """A new one, on its genesis."""
        node = shutil.which("node")
        assert node is not None
        process = await asyncio.create_subprocess_exec(
            node,
            str(DRIVER),
            str(FOLDER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
        )
        return cls(process)

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read())
        try:
            await self.until(lambda: self.address.port, why="it is ready")
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        assert self._reader is not None
        await self._reader

    # What it is asked.

    async def call(self, method: str, *params: Any) -> Any:
        """The answer of a method of its RPC, or of the driver's. Raises RuntimeError."""
        assert self._process.stdin is not None
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        order = {"id": self._asked, "method": method, "params": params}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    async def mine(self, count: int = 1) -> BlockHash:
        """Have it find blocks; the last one's hash."""
        hashes = await self.call("generate", count)
        return hash_of(hashes[-1])

    async def dial(self, address: SocketAddress) -> None:
        """Have it dial, once."""
        await self.call("addnode", str(address), "onetry")

    async def end(self) -> int:
        """Take its input away, as happens when its starter dies; its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.wait()

    # What it tells.

    async def until(
        self, reached: Callable[[], object], *, why: str, limit_s: float = PATIENCE_S
    ) -> None:
        """Wait until something holds; it is asked after each line. Raises AssertionError."""
        try:
            async with asyncio.timeout(limit_s):
                while not reached():
                    assert self._reader is None or not self._reader.done(), f"bcoin ended: {why}"
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"bcoin is too late: {why}\n{self.events[-10:]}") from None

    def count(self, event: str) -> int:
        """How many events of a kind there were."""
        return sum(one["event"] == event for one in self.events)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                self._take(json.loads(line))
                self._changed.set()
        finally:
            for answer in self._answers.values():
                answer.cancel()
            self._changed.set()

    def _take(self, told: dict[str, Any]) -> None:
        if "id" in told:
            answer = self._answers.pop(told["id"])
            if "error" in told:
                answer.set_exception(RuntimeError(told["error"]))
            else:
                answer.set_result(told.get("result"))
            return
        self.events.append(told)
        if told["event"] == "ready":
            self.address = SocketAddress("127.0.0.1", told["port"])
        elif told["event"] == "tip":
            self.height, self.tip = told["height"], hash_of(told["hash"])
        elif told["event"] == "tx":
            self.mempool.add(told["txid"])


class Pair:
    """A node of ours and a bcoin node, each alone until one dials the other.

    Use it in `async with`. news: what ours has announced so far.
    """

    def __init__(self) -> None:
        self.news: list[News] = []
        self._network = AsyncNetwork(
            params=REGTEST, watch=lambda _, news, __: self.news.append(news)
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._network)
            self.bcoin = await stack.enter_async_context(await Bcoin.start())
            self.ours = await self._network.add_node()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    # Connections.

    async def dial(self) -> None:
        """Ours dials bcoin, again and again until it is told to stop."""
        before = self.bcoin.count("open")
        self._network.connect(self.ours.name, str(self.bcoin.address))
        await self.open(before)

    async def open(self, before: int) -> None:
        """There have been more connections than before, and both sides have shaken hands."""
        await self.bcoin.until(lambda: self.bcoin.count("open") > before, why="a connection")
        await self._network.wait_until(lambda: any(one.is_ready for one in self.peers))

    async def be_dialled(self) -> None:
        """bcoin dials ours, once."""
        before = self.bcoin.count("open")
        await self.bcoin.dial(self.ours.address)
        await self.open(before)

    async def cut(self) -> None:
        """End all connections, for good."""
        closed = self.bcoin.count("open")
        self._network.disconnect(self.ours.name, str(self.bcoin.address))
        for conn in list(self.peers):
            await self.ours.order(Disconnect(conn.id))
        await self.bcoin.until(lambda: self.bcoin.count("close") == closed, why="the cut")

    @property
    def peers(self) -> Iterable[Connection]:
        """Of ours."""
        return self.ours.node.peers.values()

    # Blocks and transactions.

    @property
    def chain(self) -> ChainState:
        """Of ours."""
        return self.ours.node.chain

    async def mine(self, count: int = 1) -> BlockHash:
        """Have ours find blocks; the last one's hash."""
        return (await self._network.mine(self.ours.name, count))[-1]

    async def agree(self, tip: BlockHash) -> None:
        """Wait until both are on a tip."""
        await self._network.wait_until(lambda: self.chain.tip.hash == tip)
        await self.bcoin.until(lambda: self.bcoin.tip == tip, why=f"{display(tip)} becomes its tip")

    async def share(self, tx: Transaction) -> None:
        """Wait until both have a transaction in their mempools."""
        await self._network.wait_until(lambda: tx.txid in self.ours.node.mempool)
        shown = display(tx.txid)
        await self.bcoin.until(lambda: shown in self.bcoin.mempool, why=f"{shown} in its mempool")

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something is the case with ours."""
        await self._network.wait_until(reached)

    def told(self, kind: type[Told]) -> list[Told]:
        """All news of one kind."""
        return [one for one in self.news if isinstance(one, kind)]


def hash_of(shown: str) -> BlockHash:
    """A hash from the hexadecimal that people read."""
    return BlockHash(bytes.fromhex(shown)[::-1])
