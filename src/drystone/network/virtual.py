"""A network of full nodes in virtual time: the same nodes as live, minutes in milliseconds.

```
network = VirtualNetwork(3, seed=7)         a ring of n0, n1, n2 on `local`, its history there
network.partition(["n0"], ["n1", "n2"])
network.mine("n0", 1)
network.mine("n1", 2)
network.heal()
network.wait_until_synced()                 n0 has given way: a reorganisation
```

Everything is a function of the arguments and of what is called: `world.trace` has a line for each
thing that happened, and its digest is the same in every run.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Final

from drystone.chain.bases import SharedCoins
from drystone.chain.chainstate import ChainState
from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.chain.outcomes import Arrival
from drystone.chain.store import BlockStore, CoinStore
from drystone.consensus.chains import LOCAL
from drystone.consensus.params import Params
from drystone.consensus.pow import block_work
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.time import SECOND_NS, Time
from drystone.drivers.history import local_history
from drystone.mining.accounts import FUNDED, account
from drystone.mining.rates import default_hashes_per_s, shares
from drystone.mining.search import solve
from drystone.network.amounts import Amount, FeeRate
from drystone.network.chains import params_of
from drystone.network.collector import calm_collector
from drystone.network.listening import Heard, Listeners
from drystone.network.members import Members, check_count, check_hashrate, check_seconds
from drystone.network.payments import DoubleSpend, Payments
from drystone.network.payments import Event as PaymentEvent
from drystone.network.plan import DEFAULT_TOPOLOGY, Plan, plan_from_options
from drystone.network.virtual_node import VirtualNode
from drystone.node.events import (
    BlockRefused,
    Command,
    Connect,
    Disconnect,
    Found,
    News,
    NewTip,
    Offer,
    PeerLeft,
    Reply,
    TxAccepted,
    TxRefused,
    TxRemoved,
)
from drystone.node.settings import Settings, default_settings
from drystone.node.sharing import Sharing
from drystone.p2p.netaddress import NetAddress, Network
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash, display
from drystone.primitives.transaction import OutPoint, Transaction
from drystone.sim.streams import DEFAULT_LINK, StreamNetwork
from drystone.sim.world import UNIX_START, World
from drystone.wallet.accounts import Balance
from drystone.wallet.keys import script_to
from drystone.wallet.payment import Payment

MOST_EXPECTED_HASHES: Final = 1 << 20  # up to which the winner's nonce is really searched
DEFAULT_LIMIT_S: Final = 3_600.0  # virtual seconds that a wait may take

Watch = Callable[[str, News, Time], None]
"""Is told what a node announces, and when."""

Stores = tuple[BlockStore, CoinStore]
"""Where a node keeps its chain."""


class VirtualNetwork(Members[VirtualNode]):
    """Full nodes on simulated links. Names, in order: n0, n1... unless others are given.

    nodes: how many to begin with. chain: a name such as regtest, or a chain file, in place of
    params. hashes_per_s: of all of them together; 0, as by default: blocks are only mined by
    `mine`. topology: who is connected to whom. seed: of all chance. watch: is told what nodes
    announce. stores: where a node of some name keeps its chain, if not in memory. plan: in place
    of nodes, chain, rates, topology, link and seed. warm_up_s: for handshakes, if there are nodes.
    sharing: whether what one node has read or checked is known to the others, which changes nothing
    but the time it takes.
    """

    def __init__(
        self,
        nodes: int = 0,
        *,
        params: Params = LOCAL,
        chain: str | None = None,
        seed: int = 0,
        hashes_per_s: int = 0,
        topology: str = DEFAULT_TOPOLOGY,
        link: LinkSettings = DEFAULT_LINK,
        settings: Settings | None = None,
        watch: Watch | None = None,
        keep_trace: bool = False,
        stores: Callable[[str], Stores] | None = None,
        plan: Plan | None = None,
        warm_up_s: float = 1,
        sharing: bool = True,
    ) -> None:
        super().__init__()
        params = params if chain is None else params_of(chain)
        if plan is None and nodes:
            plan = plan_from_options(
                nodes,
                params=params,
                topology_name=topology,
                hashes_per_s=hashes_per_s,
                link=link,
                seed=seed,
            )
        if plan is not None:
            params, seed, link = plan.params, plan.seed, plan.link
        self.params = params
        self.sharing = Sharing(params) if sharing else Sharing.none(params)
        self.world = World(seed, keep_trace=keep_trace, unix_start=unix_start(params))
        self.links: StreamNetwork[str, NetAddress] = StreamNetwork(self.world, link)
        self._listeners = Listeners()
        self.payments = Payments(params, self.nodes, self.clock, tell=self._tell_payment)
        self.watch = watch
        self._stores = stores or (lambda _name: self._opening_stores())
        self._settings = settings or default_settings(params)
        self._is_paused = False
        self._changes = 0  # of what a wait may be for: news, starts and ends
        if plan is not None:
            self._build(plan)
            self.run_for(warm_up_s)

    def _build(self, plan: Plan) -> None:
        for node in plan.nodes:
            self.add_node(node.name, hashes_per_s=node.hashes_per_s)
        for link in plan.links:
            self.set_link(link.one, link.other, link.settings)
        for one, other in plan.connections:
            self.connect(one, other)

    def clock(self) -> Time:
        """The present instant. Unix time begins where the chain's history ends."""
        return self.world.clock()

    # ------------------------------------------------------------------ verbs

    def add_node(
        self, name: str | None = None, *, hashes_per_s: int = 0, settings: Settings | None = None
    ) -> VirtualNode:
        """A node that knows nobody yet; a chain's history it has."""
        name = self._new_name(name)
        blocks, coins = self._stores(name)
        number = len(self.nodes) + 1
        address = NetAddress(Network.IPV4, bytes((10, *number.to_bytes(3))), self.params.port)
        node = VirtualNode(
            self,
            name,
            address,
            blocks=blocks,
            coins=coins,
            settings=settings or self._settings,
            script_pubkey=account(name).script_pubkey,
        )
        self.nodes[name] = node
        node.miner.pause(is_paused=self._is_paused)
        if hashes_per_s:
            self.set_hashrate(name, hashes_per_s)
        return node

    def connect(self, one: str, other: str) -> None:
        """Have one node dial another, and again whenever the connection is lost."""
        self._check_connection(one, other)
        self._connections[one, other] = None
        self[one].handle(Command(Connect(self[other].address)))

    def disconnect(self, one: str, other: str) -> None:
        """End all connections between two nodes."""
        self._check_pair(one, other)
        for here, there in ((one, other), (other, one)):
            self._connections.pop((here, there), None)
            self[here].handle(Command(Disconnect(self[there].address)))

    def partition(self, *groups: Iterable[str], silent: bool = False) -> None:
        """Cut the network: nodes reach those of their group only. Who is in none is in a last one.

        silent: connections stay, but nothing arrives.
        """
        groups = self._checked_groups(groups)
        self.world.record("network", f"partition {groups} {silent}")
        self.links.partition(*groups, silent=silent)

    def heal(self) -> None:
        """Undo the cut."""
        self.world.record("network", "heal")
        self.links.heal()

    def set_link(self, one: str, other: str, settings: LinkSettings) -> None:
        """How the link between two nodes is, both ways."""
        self._check_pair(one, other)
        self.links.set_link(one, other, settings)
        self.links.set_link(other, one, settings)

    def mine(self, name: str, count: int = 1, *, to: str | None = None) -> list[BlockHash]:
        """Have a node find blocks now; their hashes. to: the account or address that they pay.

        Where difficulty follows the clock, the clock moves on by the chain's spacing with each.
        """
        check_count(count)
        node, found = self._one_up(name), []
        script_pubkey = node.script_pubkey if to is None else script_to(to, self.params)
        for _ in range(count):
            block = self.solved(self._offer_of(node, script_pubkey))
            node.handle(Found(block))
            found.append(block.hash)
            if not self.params.no_retargeting:
                self.run_for(self.params.pow_spacing_s)
        return found

    def _offer_of(self, node: VirtualNode, script_pubkey: bytes) -> Offer:
        tip = node.tip
        return Offer(
            tip.hash,
            tip.height + 1,
            tip.header.bits,
            lambda now_s: node.node.miner.template(script_pubkey, now_s),
        )

    def set_hashrate(self, name: str, hashes_per_s: int) -> None:
        """How many hashes a node does in a second from now on."""
        check_hashrate(hashes_per_s)
        node = self[name]
        was_mining = node.miner.hashes_per_s > 0
        node.miner.set_rate(hashes_per_s)
        if was_mining != (hashes_per_s > 0):
            node.order_mining()

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
            node.miner.pause(is_paused=is_paused)

    def submit(self, name: str, item: Block | Transaction) -> Reply:
        """Hand a node a block or transaction, as its user."""
        return self._one_up(name).submit(item)

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
        """Pay from an account, whoever has that name, to another or to an address.

        amount: an int is satoshis, text is bitcoins, as "1.5", unless it says "2000 sat". coins: to
        be spent, all of these; a payment that spends them and waits is replaced if this one pays
        enough more. None: chosen among those that are free. via: the node that is told; None: the
        one of the account's name, else the first that runs. fee_rate: satoshis for a virtual byte.

        Raises UserError if the account has too little, or the node refuses it.
        """
        attempt = self.payments.sending(from_, to, amount, coins=coins, via=via, fee_rate=fee_rate)
        with self.payments.on_their_way(attempt):
            replies = [self.submit(name, paid.tx) for name, paid in attempt.handed]
        return self.payments.sent(attempt, replies)

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
        """Pay the same coins to two, through a node each: the one wins that is mined first.

        instead: whom the second payment pays. via: the two nodes; None: the first and the last that
        run. The rest is as of `send`. `winner` says which one a node's chain has.
        """
        attempt = self.payments.double_spending(
            from_, to, instead, amount, coins=coins, via=via, fee_rate=fee_rate
        )
        with self.payments.on_their_way(attempt):
            replies = [self.submit(name, paid.tx) for name, paid in attempt.handed]
        return self.payments.raced(attempt, replies)

    def kill(self, name: str) -> None:
        """Have a node crash: what was not acknowledged is lost."""
        self._one_up(name)
        self.world.record(name, "is killed")
        self[name].crash()

    def stop(self, name: str) -> None:
        """End a node in good order."""
        self._one_up(name)
        self.world.record(name, "is stopped")
        self[name].stop()

    def restart(self, name: str) -> None:
        """Have a node that was killed or stopped begin anew, on what it has kept."""
        if self[name].is_up:
            self.stop(name)
        self.world.record(name, "restarts")
        self[name].start()
        for one, other in self._connections:
            if one == name:
                self[one].handle(Command(Connect(self[other].address)))

    def reorg(self, depth: int, *, on: str | None = None) -> tuple[BlockHash, BlockHash]:
        """Have all nodes but one give up so many blocks. The tips given up, and taken.

        One node is cut off; the others' side mines the blocks, and it mines more work; then the cut
        heals. on: who is cut off; the last node by default.
        """
        apart, others = self._sides_for_reorg(depth, on)
        was_paused = self._is_paused
        self.pause_mining()
        try:
            self.wait_until_synced()
            self.partition([apart], others)
            self.mine(others[0], depth)
            self.wait_until_synced(others)
            lost = self[others[0]].tip
            while self[apart].tip.chainwork <= lost.chainwork:
                self.mine(apart)
            taken = self[apart].tip
            self.heal()
            self.wait_until_synced()
        except BaseException:
            self.heal()
            raise
        finally:
            self._pause(is_paused=was_paused)
        return lost.hash, taken.hash

    def set_time(self, unix_s: int) -> None:
        """Set the clock. What lies between is lived through; back, only unix time is set."""
        ahead_s = unix_s - self.clock().unix_s
        if ahead_s > 0:
            self.run_for(ahead_s)
        else:
            self.world.shift_unix(ahead_s)

    def advance(self, seconds: float) -> None:
        """Put the clock forward; the same as `run_for`."""
        check_seconds(seconds)
        self.run_for(seconds)

    # ------------------------------------------------------------------ waiting

    def run_for(self, seconds: float) -> None:
        """Let virtual seconds pass."""
        with calm_collector():
            self.world.run_for(round(seconds * SECOND_NS))

    def run_until(self, reached: Callable[[], bool], *, limit_s: float = DEFAULT_LIMIT_S) -> None:
        """Run until something is the case. Raises TimeoutError."""
        with calm_collector():
            self.world.run_until(reached, limit_ns=round(limit_s * SECOND_NS))

    def _await(self, reached: Callable[[], bool], limit_s: float) -> None:
        """Run until nodes are as they should be. It looks only when that may have changed."""
        looked_at = -1

        def is_reached() -> bool:
            nonlocal looked_at
            if looked_at == self._changes:
                return False
            looked_at = self._changes
            return reached()

        self.run_until(is_reached, limit_s=limit_s)

    def wait_until_synced(
        self, names: Iterable[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
    ) -> BlockHash:
        """Run until nodes are on one tip, all that are up by default; the tip.

        Raises TimeoutError.
        """
        with self._telling_where():
            self._await(self._are_synced(names), limit_s)
        return self._common_tip(names)

    def wait_until(self, reached: Callable[[], bool], *, limit_s: float = DEFAULT_LIMIT_S) -> None:
        """The same as `run_until`, by the name that it has in all networks. Raises TimeoutError."""
        self.run_until(reached, limit_s=limit_s)

    def wait_for_height(
        self, height: int, names: Iterable[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
    ) -> None:
        """Run until nodes' chains are as high, of all by default. Raises TimeoutError."""
        with self._telling_where():
            self._await(self._are_as_high(height, names), limit_s)

    def wait_for_block(
        self,
        block: BlockHash,
        names: Iterable[str] | None = None,
        *,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        """Run until nodes have a block in their chains. Raises TimeoutError."""
        with self._telling_where():
            self._await(self._have_block(block, names), limit_s)

    def wait_for_reorg(
        self,
        lost: BlockHash,
        names: Iterable[str] | None = None,
        *,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        """Run until no node has a block in its chain any more. Raises TimeoutError."""
        with self._telling_where():
            self._await(self._have_given_up(lost, names), limit_s)

    def wait_for_transaction(
        self,
        tx: Transaction,
        names: Iterable[str] | None = None,
        *,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        """Run until nodes have a transaction in the mempool. Raises TimeoutError."""
        with self._telling_where():
            self._await(self._have_transaction(tx, names), limit_s)

    def wait_until_connected(self, *, limit_s: float = DEFAULT_LIMIT_S) -> None:
        """Run until all connections that should be there are, where both nodes are up.

        Raises TimeoutError.
        """
        self._await(self._are_connected(), limit_s)

    def news(
        self, names: Iterable[str] | None = None, *, limit_s: float = DEFAULT_LIMIT_S
    ) -> Iterator[Heard]:
        """What nodes announce from now on, all by default: one after another, as time goes on.

        Raises TimeoutError if nothing comes for so long.
        """
        listener = self._listeners.add(names if names is None else [self[n].name for n in names])

        def heard() -> Iterator[Heard]:
            while True:
                self.run_until(lambda: bool(listener), limit_s=limit_s)
                yield listener.next()

        return heard()

    def settle(self, *, limit_s: float = DEFAULT_LIMIT_S) -> BlockHash:
        """Have all miners rest until the nodes agree, and mine one block if two are as good."""
        self.pause_mining()
        try:
            return self.wait_until_synced(limit_s=limit_s / 2)
        except TimeoutError:
            best = max(self._up(), key=lambda node: node.tip.chainwork)
            self.mine(best.name)
            return self.wait_until_synced(limit_s=limit_s / 2)
        finally:
            self.resume_mining()

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

    def is_cut(self, one: str, other: str) -> bool:
        """Whether a partition runs between two nodes."""
        return self.links.is_cut(one, other)

    def _is_missing(self, one: str, other: str) -> bool:
        return (
            self[one].is_up
            and self[other].is_up
            and not self.is_cut(one, other)
            and not self[one].is_connected_to(self[other].address)
        )

    # ------------------------------------------------------------------ for the nodes

    def _opening_stores(self) -> Stores:
        blocks, coins = opening_stores(self.params)
        if self.sharing.coins is None:
            return blocks, coins
        return blocks, SharedCoins(self.sharing.coins, coins)

    def solved(self, offer: Offer) -> Block:
        """The block on offer, really searched. Raises UserError if that would take too long."""
        template = offer.template(self.clock().unix_s)
        if searched_hashes(template.bits, self.params) > MOST_EXPECTED_HASHES:
            raise UserError(
                f"a block of {self.params.name} takes more than {MOST_EXPECTED_HASHES} hashes by"
                ' now: give the nodes a lower hash rate, or take a chain with pow = "assumed"'
            )
        block = solve(template)
        assert block is not None
        return block

    def told(self, name: str, news: News) -> None:
        """A node has announced something."""
        self._changes += 1
        line = _line_of(news)
        if line is not None:
            self.world.record(name, line)
        self.payments.observe(name, news)
        if self._listeners:
            self._listeners.tell(name, news, self.clock())
        if self.watch is not None:
            self.watch(name, news, self.clock())

    def changed(self) -> None:
        """A node has started, or has gone down."""
        self._changes += 1

    def _tell_payment(self, event: PaymentEvent) -> None:
        self.world.record("network", event.line)


def agree(nodes: Iterable[VirtualNode]) -> bool:
    """Whether all nodes that are up have one tip."""
    return len({node.tip.hash for node in nodes if node.is_up}) <= 1


def searched_hashes(bits: int, params: Params) -> int:
    """How many hashes it takes on average to solve a block; one where work is assumed."""
    return 1 if params.pow_assumed else block_work(bits)


def unix_start(params: Params) -> int:
    """Virtual unix time begins here: one spacing after the history, or else always the same."""
    if params == LOCAL:
        return local_history()[-1].header.time + params.pow_spacing_s
    return max(UNIX_START, params.genesis.header.time + params.pow_spacing_s)


def opening_stores(params: Params) -> tuple[MemoryBlocks, MemoryCoins]:
    """Stores of a new node: empty, or with the history of `local`, which is connected once."""
    if params != LOCAL:
        return MemoryBlocks(), MemoryCoins()
    blocks, coins = _local_stores()
    return MemoryBlocks(blocks), coins.copy()


@cache
def _local_stores() -> tuple[MemoryBlocks, MemoryCoins]:
    blocks, coins = MemoryBlocks(), MemoryCoins()
    chain = ChainState(LOCAL, blocks, coins)
    history = local_history()
    chain.submit_all(map(Arrival, history), now=history[-1].header.time)
    chain.flush()
    return blocks, coins


def default_rates(params: Params, nodes: int) -> list[int]:
    """The hash rate at which blocks come as often as the chain aims at, shared out."""
    return shares(default_hashes_per_s(params), nodes)


def _line_of(news: News) -> str | None:
    """What is told, for the trace; None for what follows from what came in."""
    line: str | None = None
    match news:
        case NewTip(change):
            line = f"tip {change.new.height} {display(change.new.hash)} -{len(change.disconnected)}"
        case BlockRefused(block_hash, error):
            line = f"refuses block {display(block_hash)} {error.reason}"
        case TxAccepted(tx):
            line = f"accepts tx {display(tx.wtxid)}"
        case TxRemoved(tx, why):
            line = f"drops tx {display(tx.wtxid)} {why}"
        case TxRefused(tx, error):
            line = f"refuses tx {display(tx.wtxid)} {error.reason}"
        case PeerLeft(peer, reason, _):
            line = f"peer {peer} left: {reason}"
    return line
