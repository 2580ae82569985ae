"""A live network for programs that don't await: its event loop runs in one background thread.

```
with LiveNetwork(3) as network:
    network.mine("n0", 2)
    network.wait_until_synced()
```
"""

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

from drystone.consensus.chains import LOCAL
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.time import Time
from drystone.drivers.sockets import SocketAddress
from drystone.mining.accounts import FUNDED
from drystone.network.amounts import Amount, FeeRate
from drystone.network.branches import TreeBlock
from drystone.network.listening import Heard
from drystone.network.live import DEFAULT_LIMIT_S, LOOPBACK, NO_LINK, AsyncNetwork, Watch
from drystone.network.live_node import LiveNode
from drystone.network.payments import DoubleSpend
from drystone.network.payments import Event as PaymentEvent
from drystone.network.plan import DEFAULT_TOPOLOGY, Plan
from drystone.node.events import Reply
from drystone.node.settings import Settings
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint, Transaction
from drystone.wallet.accounts import Balance
from drystone.wallet.payment import Payment

P = ParamSpec("P")
T = TypeVar("T")

END_S: Final = 10.0  # that a network is given to end


class LiveNetwork:
    """An `AsyncNetwork` in a thread; the same verbs, which wait. See there for the arguments.

    It runs from the start; `close`, the end of a `with` block, or that of the program ends it.
    `watch` is called in its thread and must not use the network; nodes are there to be looked at.
    """

    def __init__(
        self,
        nodes: int = 0,
        *,
        params: Params = LOCAL,
        chain: str | None = None,
        hashes_per_s: int = 0,
        topology: str = DEFAULT_TOPOLOGY,
        link: LinkSettings = NO_LINK,
        datadir: Path | None = None,
        seed: int | None = None,
        settings: Settings | None = None,
        watch: Watch | None = None,
        trouble: Callable[[str], None] = lambda _line: None,
        plan: Plan | None = None,
    ) -> None:
        def make() -> AsyncNetwork:
            return AsyncNetwork(
                nodes,
                params=params,
                chain=chain,
                hashes_per_s=hashes_per_s,
                topology=topology,
                link=link,
                datadir=datadir,
                seed=seed,
                settings=settings,
                watch=watch,
                trouble=trouble,
                plan=plan,
            )

        self._loop = _LoopThread(make)
        self._end = weakref.finalize(self, self._loop.end)
        try:
            self._network = self._loop.begin()
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        """Stop all nodes, and the thread. Closing twice is fine. Raises what went wrong."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except Exception:
            if error is None:
                raise  # of two troubles the one in the block comes out: it knows of the other

    # ------------------------------------------------------------------ verbs

    def add_node(
        self,
        name: str | None = None,
        *,
        hashes_per_s: int = 0,
        listen: SocketAddress = LOOPBACK,
        settings: Settings | None = None,
    ) -> LiveNode:
        """A node that knows nobody yet."""
        return self._wait(
            self._network.add_node(
                name, hashes_per_s=hashes_per_s, listen=listen, settings=settings
            )
        )

    def connect(self, one: str, other: str) -> None:
        """Have one node dial another, and again whenever the connection is lost."""
        self._call(self._network.connect, one, other)

    def disconnect(self, one: str, other: str) -> None:
        """End all connections between two nodes."""
        self._call(self._network.disconnect, one, other)

    def partition(self, *groups: Iterable[str], silent: bool = False) -> None:
        """Cut the network: nodes reach those of their group only. Who is in none is in a last one.

        silent: connections stay, but nothing arrives.
        """
        self._call(self._network.partition, *groups, silent=silent)

    def heal(self) -> None:
        """Undo the cut."""
        self._call(self._network.heal)

    def set_link(self, one: str, other: str, settings: LinkSettings) -> None:
        """How the link between two nodes is, both ways."""
        self._call(self._network.set_link, one, other, settings)

    def mine(self, name: str, count: int = 1, *, to: str | None = None) -> list[BlockHash]:
        """Have a node find blocks now; their hashes. to: the account or address that they pay."""
        return self._wait(self._network.mine(name, count, to=to))

    def set_hashrate(self, name: str, hashes_per_s: int) -> None:
        """How many hashes a node does in a second from now on."""
        self._call(self._network.set_hashrate, name, hashes_per_s)

    def pause_mining(self) -> None:
        """Have all miners rest."""
        self._call(self._network.pause_mining)

    def resume_mining(self) -> None:
        """Have them go on."""
        self._call(self._network.resume_mining)

    @property
    def is_mining_paused(self) -> bool:
        """Whether all miners rest."""
        return self._network.is_mining_paused

    def submit(self, name: str, item: Block | Transaction) -> Reply:
        """Hand a node a block or transaction, as its user."""
        return self._wait(self._network.submit(name, item))

    def send(
        self,
        from_: str,
        to: str,
        amount: Amount,
        *,
        coins: Sequence[OutPoint | str] | None = None,
        via: str | None = None,
        fee_rate: FeeRate | None = None,
    ) -> Payment:
        """Pay from an account to another or to an address. See `AsyncNetwork.send`."""
        return self._wait(
            self._network.send(from_, to, amount, coins=coins, via=via, fee_rate=fee_rate)
        )

    def double_spend(
        self,
        from_: str,
        to: str,
        instead: str,
        amount: Amount,
        *,
        coins: Sequence[OutPoint | str] | None = None,
        via: Sequence[str] | None = None,
        fee_rate: FeeRate | None = None,
    ) -> DoubleSpend:
        """Pay the same coins to two. See `AsyncNetwork.double_spend`."""
        return self._wait(
            self._network.double_spend(
                from_, to, instead, amount, coins=coins, via=via, fee_rate=fee_rate
            )
        )

    def kill(self, name: str) -> None:
        """End a node as if its process were killed: what was not acknowledged is lost."""
        self._wait(self._network.kill(name))

    def stop(self, name: str) -> None:
        """End a node in good order."""
        self._wait(self._network.stop(name))

    def restart(self, name: str) -> None:
        """Have a node that was killed or stopped begin anew, on what it has kept."""
        self._wait(self._network.restart(name))

    def reorg(self, depth: int, *, on: str | None = None) -> tuple[BlockHash, BlockHash]:
        """Have all nodes but one give up so many blocks. The tips given up, and taken."""
        return self._wait(self._network.reorg(depth, on=on))

    def set_time(self, unix_s: int) -> None:
        """Set all nodes' clocks; time goes on from there."""
        self._call(self._network.set_time, unix_s)

    def advance(self, seconds: float) -> None:
        """Put all nodes' clocks forward."""
        self._call(self._network.advance, seconds)

    # ------------------------------------------------------------------ waiting

    def wait_until(self, reached: Callable[[], bool], *, limit_s: float = DEFAULT_LIMIT_S) -> None:
        """Wait until something is the case; it is asked in the network's thread.

        Raises TimeoutError.
        """
        self._wait(self._network.wait_until(reached, limit_s=limit_s))

    def wait_until_synced(
        self, names: Iterable[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
    ) -> BlockHash:
        """Wait until nodes are on one tip, all that are up by default; the tip.

        Raises TimeoutError.
        """
        return self._wait(self._network.wait_until_synced(names, limit_s=limit_s))

    def wait_for_height(
        self, height: int, names: Iterable[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
    ) -> None:
        """Wait until nodes' chains are as high, of all by default. Raises TimeoutError."""
        self._wait(self._network.wait_for_height(height, names, limit_s=limit_s))

    def wait_for_block(
        self,
        block: BlockHash,
        names: Iterable[str] | None = None,
        *,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        """Wait until nodes have a block in their chains. Raises TimeoutError."""
        self._wait(self._network.wait_for_block(block, names, limit_s=limit_s))

    def wait_for_reorg(
        self,
        lost: BlockHash,
        names: Iterable[str] | None = None,
        *,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        """Wait until no node has a block in its chain any more. Raises TimeoutError."""
        self._wait(self._network.wait_for_reorg(lost, names, limit_s=limit_s))

    def wait_for_transaction(
        self,
        tx: Transaction,
        names: Iterable[str] | None = None,
        *,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        """Wait until nodes have a transaction in the mempool. Raises TimeoutError."""
        self._wait(self._network.wait_for_transaction(tx, names, limit_s=limit_s))

    def wait_until_connected(self, *, limit_s: float = DEFAULT_LIMIT_S) -> None:
        """Wait until all connections that should be there are, where both nodes are up.

        Raises TimeoutError.
        """
        self._wait(self._network.wait_until_connected(limit_s=limit_s))

    def news(
        self, names: Iterable[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
    ) -> Iterator[Heard]:
        """What nodes announce from now on, all by default: one after another.

        Raises TimeoutError if nothing comes for so long.
        """
        news = self._call(self._network.news, names, limit_s=limit_s)

        def heard() -> Iterator[Heard]:
            while True:
                yield self._wait(news.__anext__())

        return heard()

    # ------------------------------------------------------------------ looking

    @property
    def params(self) -> Params:
        """The chain's."""
        return self._network.params

    @property
    def nodes(self) -> dict[str, LiveNode]:
        """All nodes, by name."""
        return self._network.nodes

    def clock(self) -> Time:
        """The present instant, by the network's clock."""
        return self._network.clock()

    def tips(self) -> dict[str, BlockHash]:
        """The tip of each node that is up."""
        return self._call(self._network.tips)

    def balance(self, account: str, *, at: str | None = None) -> Balance:
        """What an account has, as a node sees it. at: the node, by default as `send` has it."""
        return self._call(self._network.balance, account, at=at)

    def confirmations(self, payment: Payment, *, at: str | None = None) -> int:
        """How deep in a node's chain a payment is: 1 in its tip, 0 in no block of it."""
        return self._call(self._network.confirmations, payment, at=at)

    def winner(self, race: DoubleSpend, *, at: str | None = None) -> Payment | None:
        """Which of two payments is in a node's chain, if one is."""
        return self._call(self._network.winner, race, at=at)

    def payment_events(self) -> tuple[PaymentEvent, ...]:
        """What has been paid, and how double spends went: the latest."""
        return self._call(self._network.payment_events)

    def account_lines(self, names: Iterable[str] = FUNDED, *, at: str | None = None) -> list[str]:
        """Accounts for people: names, addresses, what they have, and that the keys are public."""
        return self._call(self._network.account_lines, names, at=at)

    def tree(self, name: str | None = None, *, blocks: int = 100) -> tuple[TreeBlock, ...]:
        """The blocks that a node knows of so many heights below its tip, parents first."""
        return self._call(self._network.tree, name, blocks=blocks)

    def connections(self) -> tuple[tuple[str, str], ...]:
        """Who is to dial whom."""
        return self._call(self._network.connections)

    def missing_connections(self) -> list[tuple[str, str]]:
        """Those that are not there now, where both nodes are up and no cut runs between them."""
        return self._call(self._network.missing_connections)

    def is_cut(self, one: str, other: str) -> bool:
        """Whether a partition runs between two nodes."""
        return self._call(self._network.is_cut, one, other)

    def __getitem__(self, name: str) -> LiveNode:
        return self._network[name]

    def __iter__(self) -> Iterator[LiveNode]:
        return iter(self._network)

    # ------------------------------------------------------------------ helpers

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async def call() -> T:
            return function(*args, **kwargs)

        return self._loop.run(call())


class _LoopThread:
    """A live network in an event loop in a daemon thread. Nothing here refers to who uses it."""

    def __init__(self, make: Callable[[], AsyncNetwork]) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._main_task: asyncio.Task[None] | None = None
        self._began: Future[AsyncNetwork] = Future()
        self._failure: BaseException | None = None
        self._lock = threading.RLock()  # the collector may call `end` while this thread holds it
        self._is_over = False
        self._waited_for: set[Future[Any]] = set()
        self._thread = threading.Thread(target=self._serve, name="network", daemon=True)

    def begin(self) -> AsyncNetwork:
        """The network, once it runs. Raises what kept it from that; then `end` is to be called."""
        self._thread.start()
        return self._began.result()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop, and wait for it; Ctrl-C gives it up. Raises UserError."""
        if threading.current_thread() is self._thread:
            work.close()
            raise UserError("the network can't be used from its own thread, as in `watch`")
        with self._lock:
            if self._is_over:
                work.close()
                raise self._closed()
            try:
                future = asyncio.run_coroutine_threadsafe(work, self._loop)
            except RuntimeError:  # the loop is closed, and the thread is about to say so
                work.close()
                raise self._closed() from self._failure
            self._waited_for.add(future)
        try:
            return future.result()
        except CancelledError:
            work.close()  # one that the loop has not even begun
            raise self._closed() from self._failure
        except BaseException:
            future.cancel()
            raise
        finally:
            with self._lock:
                self._waited_for.discard(future)

    def end(self) -> None:
        """Stop the network, then the thread. Raises what went wrong in it."""
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._finish)
        if threading.current_thread() is self._thread:
            return  # garbage is collected in any thread, this one too; it ends soon
        if self._thread.ident is None:
            self._loop.close()
            return
        with suppress(RuntimeError):  # interrupted while it started; it ends all the same
            self._thread.join(END_S)
        if self._thread.is_alive():
            raise TimeoutError(f"the network has not ended within {END_S:g} seconds")
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _closed(self) -> Exception:
        if self._failure is not None:
            return RuntimeError("the network has failed, and is closed")
        return UserError("the network is closed")

    # ------------------------------------------------------------------ in the thread

    def _serve(self) -> None:
        try:
            # At the end of a program no thread can be started to see worker threads off.
            with suppress(RuntimeError), asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        finally:
            with self._lock:
                self._is_over = True
                for future in self._waited_for:
                    future.cancel()

    async def _main(self) -> None:
        self._main_task = asyncio.current_task()
        try:
            async with self._make() as network:
                self._began.set_result(network)
                await self._stop.wait()
        except BaseException as error:  # noqa: BLE001  it goes to who uses the network
            if self._began.done():
                self._failure = error
            else:
                self._began.set_exception(error)

    def _finish(self) -> None:
        self._stop.set()
        if self._main_task is not None and not self._began.done():
            self._main_task.cancel()  # who wanted it did not wait
