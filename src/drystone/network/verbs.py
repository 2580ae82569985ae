"""What can be done to a network, each as a value: a scenario's happenings are made of these."""

from dataclasses import dataclass
from typing import Protocol

from drystone.core.link import LinkSettings
from drystone.network.payments import DoubleSpend
from drystone.network.virtual import VirtualNetwork
from drystone.wallet.payment import Payment


class Verb(Protocol):
    """One thing to do. Raises UserError, or TimeoutError where it waits for what does not come."""

    def perform(self, network: VirtualNetwork) -> Payment | DoubleSpend | None:
        """Do it; what was paid by it."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Cut the network; nodes in no group are in a last one. is_silent: connections stay."""

    groups: tuple[tuple[str, ...], ...]
    is_silent: bool = False

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.partition(*self.groups, silent=self.is_silent)


@dataclass(frozen=True, slots=True)
class Heal:
    """Undo the cut."""

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.heal()


@dataclass(frozen=True, slots=True)
class Mine:
    """Have a node find blocks now."""

    node: str
    count: int = 1

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.mine(self.node, self.count)


@dataclass(frozen=True, slots=True)
class SetHashrate:
    """Have a node do so many hashes in a second from now on."""

    node: str
    hashes_per_s: int

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.set_hashrate(self.node, self.hashes_per_s)


@dataclass(frozen=True, slots=True)
class PauseMining:
    """Have all miners rest."""

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.pause_mining()


@dataclass(frozen=True, slots=True)
class ResumeMining:
    """Have them go on."""

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.resume_mining()


@dataclass(frozen=True, slots=True)
class SetLink:
    """Give the link between two nodes its properties, both ways."""

    one: str
    other: str
    settings: LinkSettings

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.set_link(self.one, self.other, self.settings)


@dataclass(frozen=True, slots=True)
class Join:
    """Have one node dial another."""

    one: str
    other: str

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.connect(self.one, self.other)


@dataclass(frozen=True, slots=True)
class Part:
    """End the connections of two nodes."""

    one: str
    other: str

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.disconnect(self.one, self.other)


@dataclass(frozen=True, slots=True)
class AddNode:
    """A new node, and whom it dials."""

    name: str
    hashes_per_s: int
    peers: tuple[str, ...]

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.add_node(self.name, hashes_per_s=self.hashes_per_s)
        for peer in self.peers:
            network.connect(self.name, peer)


@dataclass(frozen=True, slots=True)
class Kill:
    """Have a node crash."""

    node: str

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.kill(self.node)


@dataclass(frozen=True, slots=True)
class Restart:
    """Have it come back."""

    node: str

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.restart(self.node)


@dataclass(frozen=True, slots=True)
class Reorg:
    """Have all nodes but one give up so many blocks. on: that one; None: the last."""

    depth: int
    on: str | None = None

    def perform(self, network: VirtualNetwork) -> None:
        """Do it."""
        network.reorg(self.depth, on=self.on)


@dataclass(frozen=True, slots=True)
class Send:
    """A payment between accounts. amount: satoshis. fee_rate: satoshis for a virtual byte."""

    owner: str
    to: str
    amount: int
    via: str | None = None
    fee_rate: float | None = None

    def perform(self, network: VirtualNetwork) -> Payment:
        """Do it."""
        return network.send(self.owner, self.to, self.amount, via=self.via, fee_rate=self.fee_rate)


@dataclass(frozen=True, slots=True)
class SpendTwice:
    """Two payments of the same coins, through two nodes. instead: whom the second one pays."""

    owner: str
    to: str
    instead: str
    amount: int
    via: tuple[str, str] | None = None
    fee_rate: float | None = None

    def perform(self, network: VirtualNetwork) -> DoubleSpend:
        """Do it."""
        return network.double_spend(
            self.owner,
            self.to,
            self.instead,
            self.amount,
            via=self.via,
            fee_rate=self.fee_rate,
        )
