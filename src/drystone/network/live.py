"""Full nodes for real, in one process: the same cores on the system's clock, over TCP.

```
async with AsyncNetwork(3, hashes_per_s=6_554) as network:      a ring of n0, n1, n2 on `local`
    network.partition(["n0"], ["n1", "n2"])
    await network.mine("n1", 2)
    network.heal()
    await network.wait_until_synced()
```

What takes a while is to be awaited; what only has to be said is not.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from secrets import randbits
from types import TracebackType
from typing import Final, Self

from drystone.chain.store import StoreError
from drystone.consensus.chains import LOCAL
from drystone.consensus.params import Params
from drystone.consensus.pow import block_work
from drystone.core.chance import Stream
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.time import SECOND_NS, Time
from drystone.drivers.clock import SettableClock, system_clock
from drystone.drivers.mining_thread import MiningThread
from drystone.drivers.sockets import SocketAddress, raise_open_files_limit
from drystone.drivers.tcp import TcpNetwork
from drystone.drivers.verifier import SignatureQueue
from drystone.mining.accounts import FUNDED, account
from drystone.network.amounts import Amount, FeeRate
from drystone.network.chains import params_of
from drystone.network.collector import calm_collector
from drystone.network.homes import DirectoryHome, Home, MemoryHome
from drystone.network.listening import Heard, Listener, Listeners
from drystone.network.live_node import LiveNode, net_address
from drystone.network.members import Members, check_count, check_hashrate, check_seconds
from drystone.network.payments import DoubleSpend, Payments
from drystone.network.payments import Event as PaymentEvent
from drystone.network.plan import DEFAULT_TOPOLOGY, Plan, plan_from_options
from drystone.network.virtual import MOST_EXPECTED_HASHES, opening_stores
from drystone.node.events import Connect, Disconnect, News, Reply
from drystone.node.settings import Settings, default_settings
from drystone.node.sharing import Sharing
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint, Transaction
from drystone.wallet.accounts import Balance
from drystone.wallet.keys import script_to
from drystone.wallet.payment import Payment

LOOPBACK: Final = SocketAddress("127.0.0.1", 0)  # at a port that the system chooses
DEFAULT_LIMIT_S: Final = 60.0
SOCKETS_PER_NODE: Final = 16  # that are asked for: a listener, and both ends of its connections
NO_LINK: Final = LinkSettings()  # as good as the machine's own

Watch = Callable[[str, News, Time], None]
"""Is told what a node announces, and when."""


def _nobody(_line: str) -> None:
    pass


class AsyncNetwork(Members[LiveNode]):
    """Full nodes over TCP on this machine. Use it in `async with`: at the end all are stopped.

    nodes: how many to begin with, n0, n1... chain: a name such as regtest, or a chain file, in
    place of params. hashes_per_s: of all of them together; 0, as by default: blocks are only mined
    by `mine`. topology: who is connected to whom. datadir: each node keeps its state there, in a
    folder of its name; None: in memory. seed: of all chance but what the machine adds; None:
    another each time. watch: is told what nodes announce. trouble: is given a line when a node or a
    socket can't go on.
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
        trouble: Callable[[str], None] = _nobody,
        plan: Plan | None = None,
    ) -> None:
        super().__init__()
        if chain is not None:
            params = params_of(chain)
        if plan is None and nodes:
            plan = plan_from_options(
                nodes,
                params=params,
                topology_name=topology,
                hashes_per_s=hashes_per_s,
                link=link,
                seed=seed or 0,
            )
        self.params = params if plan is None else plan.params
        self._listeners = Listeners()
        self._signatures = SignatureQueue()
        self.sharing = Sharing(self.params, self._signatures)  # a block is checked once for all
        self.clock = SettableClock(system_clock)
        self.payments = Payments(self.params, self.nodes, self.clock)
        self.watch = watch
        self._plan = plan
        self._seed = randbits(64) if seed is None else seed
        self._datadir = datadir
        self._settings = settings or default_settings(self.params)
        self._trouble = trouble
        self._tcp = TcpNetwork(plan.link if plan else link, seed=self._seed, trouble=trouble)
        self._mining = MiningThread()
        self._collector = calm_collector()
        self._tasks = asyncio.TaskGroup()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._is_paused = False

    async def __aenter__(self) -> Self:
        await self._tcp.__aenter__()
        await self._tasks.__aenter__()
        self._collector.__enter__()
        try:
            if self._plan is not None:
                await self._begin(self._plan)
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
        for task in self._running.values():
            task.cancel()
        is_cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        try:
            try:
                # It is to learn of a cancellation, which it may have asked for itself because a
                # node failed. Any other error comes out as it is.
                known = (kind, error, trace) if is_cancelled else (None, None, None)
                await self._tasks.__aexit__(*known)
            finally:
                for node in self.nodes.values():
                    node.end()
        except BaseException as ended:
            await self._tcp.__aexit__(type(ended), ended, ended.__traceback__)
            raise
        else:
            await self._tcp.__aexit__(None, None, None)
        finally:
            self._signatures.close()
            self._mining.close()
            self._collector.__exit__(None, None, None)

    async def _begin(self, plan: Plan) -> None:
        """Start all nodes, and wait until they have shaken hands."""
        warning = raise_open_files_limit(SOCKETS_PER_NODE * len(plan.nodes))
        if warning is not None:
            self._trouble(warning)
        for node in plan.nodes:
            await self.add_node(
                node.name,
                hashes_per_s=node.hashes_per_s,
                listen=LOOPBACK._replace(port=node.port or 0),
            )
        for link in plan.links:
            self.set_link(link.one, link.other, link.settings)
        for one, other in plan.connections:
            self.connect(one, other)
        await self.wait_until_connected()

    # ------------------------------------------------------------------ verbs

    async def add_node(
        self,
        name: str | None = None,
        *,
        hashes_per_s: int = 0,
        listen: SocketAddress = LOOPBACK,
        home: Home | None = None,
        settings: Settings | None = None,
    ) -> LiveNode:
        """A node that knows nobody yet; a chain's history it has.

        home: what it begins with, and where it keeps it. Raises UserError.
        """
        name = self._new_name(name)
        node = LiveNode(
            self._tcp,
            name,
            home or self._home(name),
            listen=listen,
            streams=partial(Stream, self._seed, "node", name),
            settings=settings or self._settings.named(name),
            sharing=self.sharing,
            script_pubkey=account(name).script_pubkey,
            told=partial(self._news, name),
            failed=partial(self._failed, name),
            mining=self._mining,
            clock=self.clock,
        )
        node.set_hashrate(hashes_per_s)
        node.pause_mining(is_paused=self._is_paused)
        self.nodes[name] = node
        try:
            self._start(node)
        except BaseException:
            del self.nodes[name]
            raise
        return node

    def connect(self, one: str, other: str) -> None:
        """Have one node dial another, and again whenever the connection is lost.

        other: a node's name, or the address of a foreign one: "127.0.0.1:18444".
        """
        self[one]  # a foreign node can't be told to dial
        self._check_connection(one, other)
        self._dial(one, other)
        self._connections[one, other] = None

    def disconnect(self, one: str, other: str) -> None:
        """End all connections between two nodes."""
        self._check_pair(one, other)
        for here, there in ((one, other), (other, one)):
            self._connections.pop((here, there), None)
            if here in self.nodes and self[here].is_up:
                self[here].command(Disconnect(net_address(self._address_of(there))))

    def partition(self, *groups: Iterable[str], silent: bool = False) -> None:
        """Cut the network: nodes reach those of their group only. Who is in none is in a last one.

        silent: connections stay, but nothing arrives.
        """
        groups = self._checked_groups(groups)
        self._tcp.partition(*groups, silent=silent)

    def heal(self) -> None:
        """Undo the cut."""
        self._tcp.heal()

    def set_link(self, one: str, other: str, settings: LinkSettings) -> None:
        """How the link between two nodes is, both ways."""
        self._check_pair(one, other)
        self._tcp.set_link(one, other, settings)
        self._tcp.set_link(other, one, settings)

    async def mine(self, name: str, count: int = 1, *, to: str | None = None) -> list[BlockHash]:
        """Have a node find blocks now; their hashes. to: the account or address that they pay.

        Where difficulty follows the clock, all nodes' clocks move on by the chain's spacing with
        each. Raises UserError if a block is refused, or takes too long to find.
        """
        check_count(count)
        node, found = self._one_up(name), []
        script_pubkey = None if to is None else script_to(to, self.params)
        for _ in range(count):
            if not self.params.pow_assumed:
                self._check_effort(node)
            block = await node.find_block(script_pubkey)
            reply = await node.submit(block)
            if reply.error is not None:
                raise UserError(f"the mined block is refused: {reply.error}")
            found.append(block.hash)
            if not self.params.no_retargeting:
                self.clock.shift_unix(self.params.pow_spacing_s)
        return found

    def _check_effort(self, node: LiveNode) -> None:
        template = node.node.miner.template(node.script_pubkey, self.clock().unix_s)
        if block_work(template.bits) > MOST_EXPECTED_HASHES:
            raise UserError(
                f"a block of {self.params.name} takes more than {MOST_EXPECTED_HASHES} hashes by"
                " now: have the nodes mine by their hash rate, and wait"
            )

    def set_hashrate(self, name: str, hashes_per_s: int) -> None:
        """How many hashes a node does in a second from now on."""
        check_hashrate(hashes_per_s)
        self[name].set_hashrate(hashes_per_s)

    def pause_mining(self) -> None:
        """Have all miners rest."""
        self._pause(is_paused=True)

    def resume_mining(self) -> None:
        """Have them go on."""
        self._pause(is_paused=False)

    @property
    def is_mining_paused(self) -> bool:
        """Whether all miners rest."""
        return self._is_paused

    def _pause(self, *, is_paused: bool) -> None:
        self._is_paused = is_paused
        for node in self.nodes.values():
            node.pause_mining(is_paused=is_paused)

    async def submit(self, name: str, item: Block | Transaction) -> Reply:
        """Hand a node a block or transaction, as its user."""
        return await self._one_up(name).submit(item)

    async def send(
        self,
        from_: str,
        to: str,
        amount: Amount,
        *,
        coins: Sequence[OutPoint | str] | None = None,
        via: str | None = None,
        fee_rate: FeeRate | None = None,
    ) -> Payment:
        """Pay from an account, whoever has that name, to another or to an address.

        amount: an int is satoshis, text is bitcoins, as "1.5", unless it says "2000 sat". coins: to
        be spent, all of these; a payment that spends them and waits is replaced if this one pays
        enough more. None: chosen among those that are free. via: the node that is told; None: the
        one of the account's name, else the first that runs. fee_rate: satoshis for a virtual byte.

        Raises UserError if the account has too little, or the node refuses it.
        """
        attempt = self.payments.sending(from_, to, amount, coins=coins, via=via, fee_rate=fee_rate)
        with self.payments.on_their_way(attempt):
            replies = await asyncio.gather(
                *(self.submit(name, paid.tx) for name, paid in attempt.handed)
            )
        return self.payments.sent(attempt, replies)

    async def double_spend(
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
        """Pay the same coins to two, through a node each: the one wins that is mined first.

        instead: whom the second payment pays. via: the two nodes; None: the first and the last that
        run. The rest is as of `send`. `winner` says which one a node's chain has.
        """
        attempt = self.payments.double_spending(
            from_, to, instead, amount, coins=coins, via=via, fee_rate=fee_rate
        )
        with self.payments.on_their_way(attempt):
            replies = await asyncio.gather(
                *(self.submit(name, paid.tx) for name, paid in attempt.handed)
            )
        return self.payments.raced(attempt, replies)

    async def kill(self, name: str) -> None:
        """End a node as if its process were killed: what was not acknowledged is lost."""
        node = self._one_up(name)
        node.kill()
        await self._end(name)

    async def stop(self, name: str) -> None:
        """End a node in good order."""
        self._one_up(name)
        await self._end(name)

    async def restart(self, name: str) -> None:
        """Have a node that was killed or stopped begin anew, on what it has kept."""
        node = self[name]
        if node.is_up:
            await self.stop(name)
        self._start(node)
        for one, other in self._connections:
            if name in (one, other) and one in self.nodes and self[one].is_up:
                self._dial(one, other)

    async def reorg(self, depth: int, *, on: str | None = None) -> tuple[BlockHash, BlockHash]:
        """Have all nodes but one give up so many blocks. The tips given up, and taken.

        One node is cut off; the others' side mines the blocks, and it mines more work; then the cut
        heals. on: who is cut off; the last node by default.
        """
        apart, others = self._sides_for_reorg(depth, on)
        was_paused = self._is_paused
        self.pause_mining()
        try:
            await self.wait_until_synced()
            self.partition([apart], others)
            await self.mine(others[0], depth)
            await self.wait_until_synced(others)
            lost = self[others[0]].tip
            while self[apart].tip.chainwork <= lost.chainwork:
                await self.mine(apart)
            taken = self[apart].tip
            self.heal()
            await self.wait_until_synced()
        except BaseException:
            self.heal()
            raise
        finally:
            self._pause(is_paused=was_paused)
        return lost.hash, taken.hash

    def set_time(self, unix_s: int) -> None:
        """Set all nodes' clocks; time goes on from there.

        Timers follow a jump forward, so that whatever would be due is due, and never go back.
        """
        self.clock.set_unix(unix_s)
        for node in self.nodes.values():
            node.clock_changed()

    def advance(self, seconds: float) -> None:
        """Put all nodes' clocks forward."""
        check_seconds(seconds)
        self.clock.advance(round(seconds * SECOND_NS))
        for node in self.nodes.values():
            node.clock_changed()

    # ------------------------------------------------------------------ waiting

    async def wait_until(
        self, reached: Callable[[], bool], *, limit_s: float = DEFAULT_LIMIT_S
    ) -> None:
        """Wait until something is the case, looking whenever a node has news.

        Raises TimeoutError.
        """
        try:
            async with asyncio.timeout(limit_s):
                while not reached():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"it has not come to pass within {limit_s:g} seconds") from None

    async def wait_until_synced(
        self, names: Iterable[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
    ) -> BlockHash:
        """Wait until nodes are on one tip, all that are up by default; the tip.

        Raises TimeoutError.
        """
        with self._telling_where():
            await self.wait_until(self._are_synced(names), limit_s=limit_s)
        return self._common_tip(names)

    async def wait_for_height(
        self, height: int, names: Iterable[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
    ) -> None:
        """Wait until nodes' chains are as high, of all by default. Raises TimeoutError."""
        with self._telling_where():
            await self.wait_until(self._are_as_high(height, names), limit_s=limit_s)

    async def wait_for_block(
        self,
        block: BlockHash,
        names: Iterable[str] | None = None,
        *,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        """Wait until nodes have a block in their chains. Raises TimeoutError."""
        with self._telling_where():
            await self.wait_until(self._have_block(block, names), limit_s=limit_s)

    async def wait_for_reorg(
        self,
        lost: BlockHash,
        names: Iterable[str] | None = None,
        *,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        """Wait until no node has a block in its chain any more. Raises TimeoutError."""
        with self._telling_where():
            await self.wait_until(self._have_given_up(lost, names), limit_s=limit_s)

    async def wait_for_transaction(
        self,
        tx: Transaction,
        names: Iterable[str] | None = None,
        *,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        """Wait until nodes have a transaction in the mempool. Raises TimeoutError."""
        with self._telling_where():
            await self.wait_until(self._have_transaction(tx, names), limit_s=limit_s)

    async def wait_until_connected(self, *, limit_s: float = DEFAULT_LIMIT_S) -> None:
        """Wait until all connections that should be there are, where both nodes are up.

        Raises TimeoutError.
        """
        await self.wait_until(self._are_connected(), limit_s=limit_s)

    def news(
        self, names: Iterable[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
    ) -> "NewsOfNodes":
        """What nodes announce from now on, all by default: one after another.

        Raises TimeoutError if nothing comes for so long.
        """
        known = names if names is None else [self[name].name for name in names]
        return NewsOfNodes(self, self._listeners.add(known), limit_s)

    # ------------------------------------------------------------------ looking

    def balance(self, account: str, *, at: str | None = None) -> Balance:
        """What an account has, as a node sees it. at: the node, by default as `send` has it."""
        return self.payments.balance(account, at)

    def confirmations(self, payment: Payment, *, at: str | None = None) -> int:
        """How deep in a node's chain a payment is: 1 in its tip, 0 in no block of it."""
        return self.payments.confirmations(payment, at)

    def winner(self, race: DoubleSpend, *, at: str | None = None) -> Payment | None:
        """Which of two payments is in a node's chain, if one is."""
        return self.payments.winner(race, at)

    def payment_events(self) -> tuple[PaymentEvent, ...]:
        """What has been paid, and how double spends went: the latest."""
        return tuple(self.payments.events)

    def account_lines(self, names: Iterable[str] = FUNDED, *, at: str | None = None) -> list[str]:
        """Accounts for people: names, addresses, what they have, and that the keys are public."""
        return self.payments.lines(names, at)

    def missing_connections(self) -> list[tuple[str, str]]:
        """Those that are not there now, where both nodes are up and no cut runs between them."""
        wanted = [pair for pair in self._connections if self._can_connect(*pair)]
        diallers = Counter(other for _, other in wanted)
        return [
            (one, other)
            for one, other in wanted
            if not self._has_dialled(one, other)
            or (other in self.nodes and self[other].inbound < diallers[other])
        ]

    def is_cut(self, one: str, other: str) -> bool:
        """Whether a partition runs between two nodes."""
        return self._tcp.is_cut(one, other)

    # ------------------------------------------------------------------ helpers

    def _home(self, name: str) -> Home:
        if self._datadir is not None:
            return DirectoryHome(self._datadir / name, self.params, self._signatures)
        return MemoryHome(self.params, *opening_stores(self.params), self._signatures)

    def _start(self, node: LiveNode) -> None:
        node.start()
        behind_s = node.tip.header.time - self.clock().unix_s
        if behind_s > 0:  # blocks were mined at once the last time, and moved the clock
            self.clock.shift_unix(behind_s)
        self._running[node.name] = self._tasks.create_task(node.run())

    async def _end(self, name: str) -> None:
        task = self._running.pop(name)
        task.cancel()
        await asyncio.wait((task,))
        self[name].end()
        self._changed.set()

    def _dial(self, one: str, other: str) -> None:
        self[one].command(Connect(net_address(self._address_of(other))))

    def _address_of(self, name: str) -> SocketAddress:
        if name not in self.nodes and ":" in name:
            return SocketAddress.from_text(name)
        return self[name].address

    def _check_member(self, name: str) -> None:
        self._address_of(name)  # a foreign node's has no name

    def _is_missing(self, one: str, other: str) -> bool:
        return self._can_connect(one, other) and not self._has_dialled(one, other)

    def _has_dialled(self, one: str, other: str) -> bool:
        return self[one].is_connected_to(self._address_of(other))

    def _can_connect(self, one: str, other: str) -> bool:
        if other not in self.nodes:  # a foreign one
            return self[one].is_up
        return self[one].is_up and self[other].is_up and not self.is_cut(one, other)

    def _news(self, name: str, news: News) -> None:
        self._changed.set()
        self.payments.observe(name, news)
        self._listeners.tell(name, news, self.clock())
        if self.watch is not None:
            self.watch(name, news, self.clock())

    def _failed(self, name: str, error: StoreError) -> None:
        self._changed.set()
        self._trouble(f"{name} stops: {error}")


class NewsOfNodes:
    """An asynchronous iterator over what nodes announce. It is made by `AsyncNetwork.news`."""

    def __init__(self, network: AsyncNetwork, listener: Listener, limit_s: float) -> None:
        self._network = network
        self._listener = listener
        self._limit_s = limit_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Heard:
        await self._network.wait_until(lambda: bool(self._listener), limit_s=self._limit_s)
        return self._listener.next()
