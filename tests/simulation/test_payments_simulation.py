"""Accounts that pay each other while the network is cut, healed, reorganised and killed.

What each node's accounts are thought to have is compared with its coins, after every step.
"""

from collections import Counter
from collections.abc import Callable

import pytest

from drystone.consensus.chains import LOCAL
from drystone.consensus.subsidy import block_subsidy
from drystone.core.chance import Stream
from drystone.core.errors import UserError
from drystone.mining.accounts import FUNDED
from drystone.network.payments import DoubleSpend, Settled, parents_first
from drystone.network.virtual import VirtualNetwork
from drystone.network.virtual_node import VirtualNode
from drystone.primitives.hashes import Txid
from drystone.wallet.accounts import Accounts
from drystone.wallet.payment import Payment

NODES = 4
STEPS = 40
SEEDS = 20


class Play:
    """One run, as a seed has it."""

    def __init__(self, seed: int) -> None:
        self.network = VirtualNetwork(NODES, seed=seed)
        self.names = list(self.network.nodes)
        self.payments: list[Payment] = []
        self.races: list[DoubleSpend] = []
        self.seen: Counter[str] = Counter()
        self._chance = Stream(seed, "payments")
        for name in self.names:  # from now on, all are followed
            self.network.balance("alice", at=name)
            for other in self.names:
                self.network.balance(other, at=name)

    def run(self) -> None:
        for _ in range(STEPS):
            self.step()
            for node in self.network:
                if node.is_up:
                    check_accounts(self.network, node)
        self.network.heal()
        for name in self.names:
            if not self.network[name].is_up:
                self.network.restart(name)
        self.network.settle(limit_s=1_200)

    def _one(self, names: list[str]) -> str:
        return names[self._chance.below(len(names))]

    def step(self) -> None:
        network, chance = self.network, self._chance
        up = [node.name for node in network if node.is_up]
        match chance.below(17):
            case 0 | 1 | 2 | 3 | 4:
                self._try("sent", lambda: self.payments.append(self._send(up)))
            case 5 | 6 if len(up) > 1:
                self._try("raced", lambda: self.races.append(self._double_spend(up)))
            case 7 | 16 if self.payments:
                self._try("replaced", lambda: self.payments.append(self._replace(up)))
            case 8 | 9 | 10:
                network.mine(self._one(up), 1 + chance.below(2))
            case 11:
                network.partition([name for name in self.names if chance.below(2)])
            case 12 | 13:
                network.heal()
            case 14 if len(up) > 2:
                network.kill(self._one(up))
            case 15:
                for name in self.names:
                    if name not in up:
                        network.restart(name)
            case _:
                pass
        network.run_for(chance.below(8_000) / 1_000)

    def _try(self, what: str, pay: Callable[[], None]) -> None:
        try:
            pay()
            self.seen[what] += 1
        except UserError:
            self.seen[f"not {what}"] += 1

    def _amount(self) -> int:
        return 1_000 + self._chance.below(60 * 10**8)

    def _send(self, up: list[str]) -> Payment:
        owner, to = self._one([*FUNDED]), self._one([*FUNDED, *self.names])
        return self.network.send(owner, to, self._amount(), via=self._one(up))

    def _double_spend(self, up: list[str]) -> DoubleSpend:
        """Often with a cut between the two, and both sides mine."""
        first = self._one(up)
        second = self._one([name for name in up if name != first])
        is_cut = self._chance.below(2) == 0
        if is_cut:
            self.network.partition([first])
        race = self.network.double_spend(
            self._one([*FUNDED]), "n0", "n1", self._amount(), via=[first, second]
        )
        if is_cut:
            self.network.mine(first)
            self.network.mine(second, 2)
        return race

    def _replace(self, up: list[str]) -> Payment:
        old = self.payments[-1]
        return self.network.send(
            old.owner, "n3", 5_000, coins=old.coins, via=self._one(up), fee_rate=20
        )


def check_accounts(network: VirtualNetwork, node: VirtualNode) -> None:
    """What is known of a node's accounts is what looking anew finds."""
    known = network.payments._accounts(node, "alice")
    anew = Accounts(LOCAL, known.names)
    anew.scan(node.chain, parents_first(node.node.mempool))
    for name in known.names:
        assert known.coins(name) == anew.coins(name)
        assert known.spendable(name, own_change=True) == anew.spendable(name, own_change=True)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_happens_accounts_have_what_the_chain_says(seed: int) -> None:
    play = Play(seed)
    play.run()
    network = play.network
    heights = range(1, network["n0"].tip.height + 1)
    minted = sum(block_subsidy(height, LOCAL.halving_interval) for height in heights)
    for node in network:
        accounts = network.payments._accounts(node, "alice")
        assert sum(coin.value for coin in accounts._coins.values()) == minted
    for race in play.races:
        winners = {network.winner(race, at=name) for name in play.names}
        assert len(winners) == 1
        assert not all(network.confirmations(payment) for payment in race.payments)


def test_much_of_what_can_happen_does() -> None:
    """Or the test above would prove little."""
    seen: Counter[str] = Counter()
    for seed in range(4):
        play = Play(seed)
        play.run()
        seen += play.seen
        last: dict[tuple[str, Txid], Txid] = {}
        for event in play.network.payment_events():
            if isinstance(event, Settled) and event.payment is not None:
                race, winner = (event.name, event.race.first.txid), event.payment.txid
                seen["decided the other way"] += last.get(race, winner) != winner
                last[race] = winner
    wanted = ("sent", "raced", "replaced", "not replaced", "decided the other way")
    assert all(seen[what] >= 3 for what in wanted), seen
