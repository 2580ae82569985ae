"""What a network is to be like before it begins: a value that both worlds can be built from.

It comes from the options of a command (`plan_from_options`) or from a file (`plan_file.py`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drystone.consensus.chains import LOCAL
from drystone.consensus.params import Params
from drystone.consensus.pow import block_work
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.time import MILLISECOND_NS
from drystone.mining.accounts import FUNDED
from drystone.mining.rates import default_hashes_per_s, shares
from drystone.network.topologies import Pair, topology

MOST_NODES: Final = 10_000
DEFAULT_TOPOLOGY: Final = "ring"
DEFAULT_LINK: Final = LinkSettings(latency_ns=MILLISECOND_NS)
NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}"
A_NAME: Final = "a name of up to 32 letters, digits, dots, dashes and underscores"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node. port: where it listens, live; None: wherever there is room."""

    name: str
    hashes_per_s: int = 0
    port: int | None = None


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """The link between two nodes, the same both ways."""

    one: str
    other: str
    settings: LinkSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """A network: nodes in order, who dials whom, the link of all pairs and of some, names of
    accounts, and the seed of all chance.

    Raises UserError if it doesn't fit together.
    """

    nodes: tuple[NodePlan, ...]
    params: Params = LOCAL
    connections: tuple[Pair, ...] = ()
    link: LinkSettings = DEFAULT_LINK
    links: tuple[LinkPlan, ...] = ()
    accounts: tuple[str, ...] = FUNDED
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.nodes) > MOST_NODES:
            raise UserError(f"{len(self.nodes):,} nodes are too many: at most {MOST_NODES:,}")
        known: set[str] = set()
        ports: dict[int, str] = {}
        for node in self.nodes:
            if not re.fullmatch(NAME_PATTERN, node.name):
                raise UserError(f"{node.name!r} can't name a node: take {A_NAME}")
            if node.name in known:
                raise UserError(f"two nodes are named {node.name}: rename one")
            known.add(node.name)
            if node.port is not None and ports.setdefault(node.port, node.name) != node.name:
                raise UserError(
                    f"{ports[node.port]} and {node.name} can't both listen on port {node.port}"
                )
        for pair in (*self.connections, *((link.one, link.other) for link in self.links)):
            check_pair(pair, known)

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' names, in order."""
        return tuple(node.name for node in self.nodes)

    @property
    def hashes_per_s(self) -> int:
        """Of all nodes together."""
        return sum(node.hashes_per_s for node in self.nodes)


def plan_from_options(
    nodes: int = 3,
    *,
    names: Sequence[str] | None = None,
    params: Params = LOCAL,
    topology_name: str = DEFAULT_TOPOLOGY,
    hashes_per_s: int | None = None,
    first_port: int | None = None,
    link: LinkSettings = DEFAULT_LINK,
    seed: int = 0,
) -> Plan:
    """So many nodes, n0, n1... unless names are given, that share a hash rate.

    hashes_per_s: of all together; None: the chain's usual one. first_port: the nodes listen there
    and on the ports above; None: wherever there is room.

    Raises UserError.
    """
    names = usual_names(nodes) if names is None else names
    if not names:
        raise UserError("a network has one node at least")
    rate = usual_hashes_per_s(params) if hashes_per_s is None else hashes_per_s
    if first_port is not None and first_port + len(names) > 1 << 16:
        raise UserError(f"from port {first_port} on, there is no room for {len(names)} ports")
    return Plan(
        nodes=tuple(
            NodePlan(name, part, None if first_port is None else first_port + number)
            for number, (name, part) in enumerate(zip(names, shares(rate, len(names)), strict=True))
        ),
        params=params,
        connections=topology(topology_name, names, seed),
        link=link,
        seed=seed,
    )


def usual_names(count: int) -> list[str]:
    """n0, n1... Raises UserError if they are too many."""
    if not 0 <= count <= MOST_NODES:
        raise UserError(f"{count:,} nodes: a network has 1 to {MOST_NODES:,}")
    return [f"n{number}" for number in range(count)]


def usual_hashes_per_s(params: Params) -> int:
    """What all nodes of a chain do together if nobody says otherwise.

    None where even one hash per second would find blocks much faster than the chain wants them, as
    on regtest: such chains are mined by hand.
    """
    work = block_work(params.genesis.header.bits)
    return 0 if 2 * work < params.pow_spacing_s else default_hashes_per_s(params)


def check_pair(pair: Pair, known: set[str]) -> None:
    """Raises UserError unless it joins two nodes that there are."""
    one, other = pair
    for name in pair:
        if name not in known:
            raise UserError(f"there is no node {name} to connect: {shown_names(known)}")
    if one == other:
        raise UserError(f"{one} can't be connected to itself: name another node")


def shown_names(names: Sequence[str] | set[str]) -> str:
    """There are these, or the first of them."""
    ordered = sorted(names)
    some = ", ".join(ordered[:8])
    return f"there are {some}" + (f" and {len(ordered) - 8} more" if len(ordered) > 8 else "")
