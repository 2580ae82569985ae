"""A network of full nodes in virtual time with everything that can go wrong, as a seed has it.

Run by itself it prints the trace: `python -m tests.support.node_faults SEED NODES [KIND]`.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from drystone.chain.coins_digest import coins_digest
from drystone.consensus.coins import Coin
from drystone.consensus.subsidy import block_subsidy
from drystone.core.chance import Stream
from drystone.core.link import LinkSettings
from drystone.core.time import MILLISECOND_NS, SECOND_NS
from drystone.drivers.history import local_history
from drystone.mining.accounts import FUNDED, account
from drystone.mining.rates import default_hashes_per_s, shares
from drystone.network.failing_store import Died, FailingBlocks, FailingCoins, Fuse
from drystone.network.virtual import Stores, VirtualNetwork, opening_stores
from drystone.network.virtual_node import VirtualNode
from drystone.node.events import News, NewTip
from drystone.primitives.hashes import BlockHash, display
from drystone.primitives.transaction import OutPoint, Transaction, TxOut
from tests.support.node_memory import held_by, left_over
from tests.support.spending import p2wpkh_lock, spend

FEE: Final = 1_000
QUIET_S: Final = 600  # within which all that there is to do is done
MOST_ON_A_LINK_BYTES: Final = 1_000_000
SECOND_MS: Final = 1_000


@dataclass(frozen=True)
class Faults:
    """How much goes wrong, and for how long. On average, half of all crashes tear a write."""

    faulty_s: int = 60  # some six blocks
    cuts: int = 2
    crashes: int = 2
    flushes: int = 2  # of coins, which a crash may tear
    new_links: int = 2  # links that change while bytes are on their way
    ends: int = 1  # of connections, which are made again later
    payments: int = 6
    latency_ms: int = 200  # at most; and once more half of that as jitter
    loss_percent: int = 20  # at most
    cut_s: int = 20  # at most
    down_s: int = 10  # at most


KINDS: Final = {
    "usual": Faults(),
    "long": Faults(
        faulty_s=600, cuts=12, crashes=12, flushes=12, new_links=20, ends=12, payments=15
    ),
    "rough": Faults(
        faulty_s=300,
        cuts=20,
        crashes=30,
        flushes=20,
        new_links=60,
        ends=40,
        payments=15,
        latency_ms=2_000,
        loss_percent=40,
        cut_s=60,
        down_s=60,
    ),
    "apart": Faults(faulty_s=600, cuts=4, crashes=6, payments=15, latency_ms=5_000, cut_s=400),
}


class FaultyNodes:
    """Nodes that mine and pay, links that delay and lose, cuts that come and go, crashes.

    After every event it is checked that no node has given up its tip for one of less work; every
    second, that nothing in memory has grown beyond its limit; whenever a node comes back, that its
    tip is one that it had acknowledged. After all, that the nodes have the same coins, that these
    are as much as was minted, and that nothing is left to do.
    """

    def __init__(
        self,
        seed: int,
        nodes: int,
        *,
        faults: Faults = Faults(),
        keep_trace: bool = False,
        sharing: bool = True,
    ) -> None:
        self.seed = seed
        self.faults = faults
        self.payments: list[Transaction] = []
        self.transactions = 0
        self.blocks: set[BlockHash] = set()  # that were in anybody's chain, besides the history
        self.reorganised = self.restarts = self.torn = self.checks = 0
        self._chance = Stream(seed, "faults", nodes)
        self._fuses: dict[str, Fuse] = {}
        self._stores: dict[str, FailingBlocks] = {}
        self._tips: dict[str, tuple[int, BlockHash]] = {}
        network = self.network = VirtualNetwork(
            0,
            seed=seed,
            keep_trace=keep_trace,
            stores=self._failing_stores,
            watch=self._watch,
            sharing=sharing,
        )
        for rate in shares(default_hashes_per_s(network.params), nodes):
            network.add_node(hashes_per_s=rate)
        self.names = list(network.nodes)
        self._connect()
        self._set_links()
        self._plan()
        network.world.invariants.append(self._check_tips)

    def _failing_stores(self, name: str) -> Stores:
        blocks, coins = opening_stores(self.network.params)
        fuse = self._fuses[name] = Fuse()
        dice = self.network.world.stream("node", name, "stores")
        failing = self._stores[name] = FailingBlocks(blocks, fuse, dice)
        return failing, FailingCoins(coins, fuse, dice)

    def _connect(self) -> None:
        """Each but the first dials one of those before it, and sometimes one more."""
        for number, name in enumerate(self.names[1:], start=1):
            first = self._chance.below(number)
            self.network.connect(name, self.names[first])
            second = self._chance.below(len(self.names))
            if second not in (first, number):
                self.network.connect(name, self.names[second])
        self._connections = self.network.connections()

    def _set_links(self) -> None:
        for one in self.names:
            for other in self.names:
                if one < other:
                    self.network.set_link(one, other, self._drawn_link())

    def _drawn_link(self) -> LinkSettings:
        chance, faults = self._chance, self.faults
        return LinkSettings(
            latency_ns=(1 + chance.below(faults.latency_ms)) * MILLISECOND_NS,
            jitter_ns=chance.below(faults.latency_ms * 3 // 2) * MILLISECOND_NS,
            bandwidth_bytes_per_s=None if chance.below(2) else 20_000 + chance.below(100_000),
            loss=chance.below(faults.loss_percent) / 100,
        )

    # ------------------------------------------------------------------ what goes wrong

    def _plan(self) -> None:
        network, chance, faults = self.network, self._chance, self.faults
        for _ in range(faults.cuts):
            begin = self._some_time()
            some = [name for name in self.names if chance.below(2)]
            is_silent = chance.below(3) == 0
            self._at(begin, self._cut(some, is_silent=is_silent))
            self._at(begin + chance.below(faults.cut_s * SECOND_MS), network.heal)
        for _ in range(faults.crashes):
            self._plan_a_crash()
        for _ in range(faults.flushes):
            self._at(self._some_time(), partial(self._flush, self._somebody()))
        for _ in range(faults.new_links if len(self.names) > 1 else 0):
            one, other = self._somebody(), self._somebody()
            if one != other:
                link = self._drawn_link()
                self._at(self._some_time(), partial(network.set_link, one, other, link))
        for _ in range(faults.ends):
            one, other = self._connections[chance.below(len(self._connections))]
            begin = self._some_time()
            self._at(begin, partial(network.disconnect, one, other))
            self._at(begin + chance.below(10_000), partial(network.connect, one, other))
        for number in range(faults.payments):
            self._plan_a_payment(number)
        for second in range(faults.faulty_s):
            self._at(second * SECOND_MS, self.check_memory)

    def _some_time(self) -> int:
        return self._chance.below(self.faults.faulty_s * SECOND_MS)

    def _somebody(self) -> str:
        return self.names[self._chance.below(len(self.names))]

    def _plan_a_crash(self) -> None:
        """At once; or in one of the next writes, those of the restart perhaps among them."""
        chance, begin, name = self._chance, self._some_time(), self._somebody()
        down_ms = 1 + chance.below(self.faults.down_s * SECOND_MS)
        if chance.below(2):
            self._at(begin, partial(self._kill, name))
        else:
            self._at(begin, partial(self._light, name, chance.below(12)))
        if chance.below(3) == 0:
            self._at(begin + down_ms, partial(self._kill, name))
            self._at(begin + down_ms, partial(self._light, name, chance.below(3)))
            self._at(begin + down_ms, partial(self._restart, name))
            down_ms += chance.below(5_000)
        self._at(begin + down_ms, partial(self._restart, name))

    def _plan_a_payment(self, number: int) -> None:
        """One coin of the history; sometimes a second payment of the same one, to another, or one
        of what it pays.
        """
        chance, where = self._chance, self._somebody()
        paid = payment(1 + number, account("dave").script_pubkey)
        self.payments.append(paid)
        early_ms = 20_000  # when the first of these coins are mature
        time_ms = early_ms + chance.below(self.faults.faulty_s * SECOND_MS - early_ms)
        self._at(time_ms, partial(self._pay, where, paid))
        match chance.below(3):
            case 0:
                again = payment(1 + number, account("erin").script_pubkey)
                self._at(time_ms + chance.below(2_000), partial(self._pay, self._somebody(), again))
            case 1:
                onward = payment_of(paid)
                self._at(time_ms + chance.below(3_000), partial(self._pay, where, onward))

    def _pay(self, name: str, tx: Transaction) -> None:
        if self.network[name].is_up:
            self.transactions += 1
            self.network.submit(name, tx)

    def _cut(self, some: list[str], *, is_silent: bool) -> Callable[[], None]:
        return lambda: self.network.partition(some, silent=is_silent)

    def _at(self, time_ms: int, callback: Callable[[], object]) -> None:
        def call() -> None:
            callback()

        self.network.world.at(time_ms * MILLISECOND_NS, call)

    def _kill(self, name: str) -> None:
        if self.network[name].is_up and self._is_faulty:
            self.network.kill(name)

    def _light(self, name: str, writes: int) -> None:
        if self._is_faulty:
            self._fuses[name].light(writes)

    @property
    def _is_faulty(self) -> bool:
        return self.network.world.now_ns < self.faults.faulty_s * SECOND_NS

    def _flush(self, name: str) -> None:
        """Have a node write its coins, which it would do after 2,000 blocks otherwise."""
        node = self.network[name]
        if node.is_up:
            try:
                node.chain.flush()
            except Died:
                self.network.world.record(name, "dies while it flushes")
                node.crash()

    def _restart(self, name: str) -> None:
        """Have it come back if it is down. Its tip is one that it had acknowledged."""
        node, store = self.network[name], self._stores[name]
        if node.is_up:
            return
        possible = store.possible_tips
        self.restarts += 1
        self.torn += len(possible) > 1
        self.network.restart(name)
        assert store.opened_tip in possible, f"{name} came back with a tip of its own"
        self._fuses[name].put_out()
        self._check_tip(node)

    # ------------------------------------------------------------------ the whole run

    def run(self) -> None:
        """All of it, then quiet, until all agree."""
        network = self.network
        network.run_for(self.faults.faulty_s)
        network.heal()
        for name in self.names:
            self._fuses[name].put_out()
            self._restart(name)
        for one in self.names:
            for other in self.names:
                network.set_link(one, other, LinkSettings(latency_ns=5 * MILLISECOND_NS))
        network.settle(limit_s=1_200)
        self.check_coins()
        network.pause_mining()
        self.check_memory()
        self.check_quiet()

    # ------------------------------------------------------------------ what must hold

    def check_coins(self) -> None:
        """All have the same coins, and together they are worth what miners were allowed."""
        nodes = list(self.network)
        params = self.network.params
        heights = range(1, nodes[0].tip.height + 1)
        minted = sum(block_subsidy(height, params.halving_interval) for height in heights)
        digests = set()
        for node in nodes:
            coins = list(node.chain.coins.items())
            assert sum(coin.output.value for _, coin in coins) == minted
            digests.add(coins_digest(iter(coins)))
        assert len(digests) == 1

    def check_memory(self) -> None:
        """No node and no link holds more than there is a reason for."""
        self.checks += 1
        links, nodes = self.network.links, self.network.nodes.values()
        most = {"transactions": 2 * self.transactions, "blocks": len(self.blocks)}
        for node in nodes:
            for held in held_by(node.node, **most) if node.is_up else ():
                assert held.amount <= held.most, f"{node.name} holds {held}"
        for host in links._hosts.values():
            for end in host.ends():
                assert end._queued_bytes <= MOST_ON_A_LINK_BYTES, f"on the way: {end.line}"
        waiting = self.network.world.waiting
        assert waiting <= 2_000 + 300 * len(nodes), f"{waiting} things are to happen"

    def check_quiet(self) -> None:
        """After a while in which nothing new happens, nothing is left to do, or on its way."""
        end_ns = self.network.world.now_ns + QUIET_S * SECOND_NS
        while left := self._left():
            assert self.network.world.now_ns < end_ns, f"still there: {left}"
            self.network.run_for(20)

    def _left(self) -> list[str]:
        left = [f"{what} of {node.name}" for node in self.network for what in left_over(node.node)]
        hosts = self.network.links._hosts.values()
        return left + [end.line for host in hosts for end in host.ends() if end._queued_bytes]

    @property
    def confirmed(self) -> int:
        """How many of the payments are in the chain."""
        chain = next(iter(self.network)).chain
        heights = range(len(local_history()) + 1, chain.height + 1)
        blocks = [chain.block(chain.at(height).hash) for height in heights]
        txids = {tx.txid for block in blocks for tx in block.vtx}
        return sum(tx.txid in txids for tx in self.payments)

    def _watch(self, _name: str, news: News, _now: object) -> None:
        if isinstance(news, NewTip):
            self.blocks.update(node.hash for node in news.change.connected)

    def _check_tips(self) -> None:
        for node in self.network.nodes.values():
            self._check_tip(node)

    def _check_tip(self, node: VirtualNode) -> None:
        if not node.is_up:
            return
        tip = node.tip
        before = self._tips.get(node.name)
        if before is not None and before[1] == tip.hash:
            return
        if before is not None:
            assert tip.chainwork > before[0], f"{node.name} gave up work: {display(before[1])}"
            self.reorganised += tip.header.prev_hash != before[1]
        self._tips[node.name] = tip.chainwork, tip.hash


def payment(height: int, script_pubkey: bytes) -> Transaction:
    """Spends the reward of a block of the history, but for a fee."""
    coinbase = local_history()[height - 1].coinbase
    owner = account(FUNDED[(height - 1) % len(FUNDED)])
    coin = OutPoint(coinbase.txid, 0), Coin(coinbase.vout[0], height, is_coinbase=True)
    value = coinbase.vout[0].value - FEE
    return spend([coin], [p2wpkh_lock(owner.secret)], [TxOut(value, script_pubkey)])


def payment_of(paid: Transaction) -> Transaction:
    """Spends what a payment to dave has made, before it is in any block."""
    output = paid.vout[0]
    coin = OutPoint(paid.txid, 0), Coin(output, 0, is_coinbase=False)
    onward = TxOut(output.value - FEE, account("frank").script_pubkey)
    return spend([coin], [p2wpkh_lock(account("dave").secret)], [onward])


if __name__ == "__main__":
    kind = sys.argv[3] if len(sys.argv) > 3 else "usual"
    faulty = FaultyNodes(int(sys.argv[1]), int(sys.argv[2]), faults=KINDS[kind], keep_trace=True)
    try:
        faulty.run()
    finally:
        print("\n".join(faulty.network.world.trace.lines))
        print(faulty.network.world.trace.digest())
