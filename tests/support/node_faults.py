"""A network of full nodes in virtual time with everything that can go wrong, as a seed has it.

Run by itself it prints the trace: `python -m tests.support.node_faults SEED NODES`.
"""

import sys
from collections.abc import Callable
from functools import partial

from drystone.chain.coins_digest import coins_digest
from drystone.consensus.coins import Coin
from drystone.consensus.subsidy import block_subsidy
from drystone.core.chance import Stream
from drystone.core.link import LinkSettings
from drystone.core.time import MILLISECOND_NS
from drystone.drivers.history import local_history
from drystone.mining.accounts import FUNDED, account
from drystone.mining.rates import default_hashes_per_s, shares
from drystone.network.virtual import VirtualNetwork, VirtualNode
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint, Transaction, TxOut
from tests.support.spending import p2wpkh_lock, spend

FAULTY_S = 60  # some six blocks
CUTS = 2
CRASHES = 2
PAYMENTS = 6
FEE = 1_000


class FaultyNodes:
    """Nodes that mine and pay, links that delay and lose, cuts that come and go, crashes.

    After every event it is checked that no node has given up its tip for one of less work.
    """

    def __init__(self, seed: int, nodes: int, *, keep_trace: bool = False) -> None:
        self.seed = seed
        self._chance = Stream(seed, "faults", nodes)
        network = self.network = VirtualNetwork(0, seed=seed, keep_trace=keep_trace)
        rates = shares(default_hashes_per_s(network.params), nodes)
        for rate in rates:
            network.add_node(hashes_per_s=rate)
        self.names = list(network.nodes)
        self.payments: list[Transaction] = []
        self._connect()
        self._set_links()
        self._plan()
        self.reorganised = 0
        self._tips: dict[str, tuple[int, BlockHash]] = {}
        network.world.invariants.append(self._check_tips)

    def _connect(self) -> None:
        """Each but the first dials one of those before it, and sometimes one more."""
        for number, name in enumerate(self.names[1:], start=1):
            first = self._chance.below(number)
            self.network.connect(name, self.names[first])
            second = self._chance.below(len(self.names))
            if second not in (first, number):
                self.network.connect(name, self.names[second])

    def _set_links(self) -> None:
        for one in self.names:
            for other in self.names:
                if one < other:
                    self.network.set_link(one, other, self._drawn_link())

    def _drawn_link(self) -> LinkSettings:
        chance = self._chance
        return LinkSettings(
            latency_ns=(1 + chance.below(200)) * MILLISECOND_NS,
            jitter_ns=chance.below(300) * MILLISECOND_NS,
            bandwidth_bytes_per_s=None if chance.below(2) else 20_000 + chance.below(100_000),
            loss=chance.below(20) / 100,
        )

    def _plan(self) -> None:
        network, chance = self.network, self._chance
        for _ in range(CUTS):
            begin = chance.below(FAULTY_S * 1000)
            some = [name for name in self.names if chance.below(2)]
            is_silent = chance.below(3) == 0
            self._at(begin, self._cut(some, is_silent=is_silent))
            self._at(begin + chance.below(20_000), network.heal)
        for _ in range(CRASHES):
            begin = chance.below(FAULTY_S * 1000)
            name = self.names[chance.below(len(self.names))]
            self._at(begin, partial(self._kill, name))
            self._at(begin + 1 + chance.below(10_000), partial(self._restart, name))
        for number in range(PAYMENTS):
            self._plan_a_payment(number)

    def _plan_a_payment(self, number: int) -> None:
        """One coin of the history; sometimes a second payment of the same one, to another."""
        chance = self._chance
        paid = payment(1 + number, account("dave").script_pubkey)
        self.payments.append(paid)
        time_ms = 20_000 + chance.below(FAULTY_S * 1000 - 20_000)
        where = self.names[chance.below(len(self.names))]
        self._at(time_ms, partial(self._pay, where, paid))
        if chance.below(3):
            return
        again = payment(1 + number, account("erin").script_pubkey)
        where = self.names[chance.below(len(self.names))]
        self._at(time_ms + chance.below(2_000), partial(self._pay, where, again))

    def _pay(self, name: str, tx: Transaction) -> None:
        if self.network[name].is_up:
            self.network.submit(name, tx)

    def _cut(self, some: list[str], *, is_silent: bool) -> Callable[[], None]:
        return lambda: self.network.partition(some, silent=is_silent)

    def _at(self, time_ms: int, callback: Callable[[], object]) -> None:
        def call() -> None:
            callback()

        self.network.world.at(time_ms * MILLISECOND_NS, call)

    def _kill(self, name: str) -> None:
        if self.network[name].is_up:
            self.network.kill(name)

    def _restart(self, name: str) -> None:
        if not self.network[name].is_up:
            self.network.restart(name)

    def run(self) -> None:
        """All of it, then quiet, until all agree."""
        network = self.network
        network.run_for(FAULTY_S)
        network.heal()
        for name in self.names:
            self._restart(name)
        for one in self.names:
            for other in self.names:
                network.set_link(one, other, LinkSettings(latency_ns=5 * MILLISECOND_NS))
        network.settle(limit_s=1_200)
        self.check_coins()

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

    @property
    def confirmed(self) -> int:
        """How many of the payments are in the chain."""
        coins = next(iter(self.network)).chain.coins
        return sum(coins.get(OutPoint(tx.txid, 0)) is not None for tx in self.payments)

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
            assert tip.chainwork > before[0], f"{node.name} gave up work: {node}"
            self.reorganised += tip.header.prev_hash != before[1]
        self._tips[node.name] = tip.chainwork, tip.hash


def payment(height: int, script_pubkey: bytes) -> Transaction:
    """Spends the reward of a block of the history, but for a fee."""
    coinbase = local_history()[height - 1].coinbase
    owner = account(FUNDED[(height - 1) % len(FUNDED)])
    coin = OutPoint(coinbase.txid, 0), Coin(coinbase.vout[0], height, is_coinbase=True)
    value = coinbase.vout[0].value - FEE
    return spend([coin], [p2wpkh_lock(owner.secret)], [TxOut(value, script_pubkey)])


if __name__ == "__main__":
    faulty = FaultyNodes(int(sys.argv[1]), int(sys.argv[2]), keep_trace=True)
    faulty.run()
    print("\n".join(faulty.network.world.trace.lines))
    print(faulty.network.world.trace.digest())
