"""Networks in virtual time as a plan has them."""

from drystone.network.plan import Plan
from drystone.network.virtual import VirtualNetwork, Watch


def virtual_network(
    plan: Plan, *, watch: Watch | None = None, keep_trace: bool = False
) -> VirtualNetwork:
    """The network of a plan at its first instant: everybody has begun to dial."""
    network = VirtualNetwork(
        0,
        params=plan.params,
        seed=plan.seed,
        link=plan.link,
        watch=watch,
        keep_trace=keep_trace,
    )
    for node in plan.nodes:
        network.add_node(node.name, hashes_per_s=node.hashes_per_s)
    for link in plan.links:
        network.set_link(link.one, link.other, link.settings)
    for one, other in plan.connections:
        network.connect(one, other)
    return network
