"""A node's choices that last as long as it runs."""

from dataclasses import dataclass, replace
from typing import Final, Self

from drystone.consensus.params import Params
from drystone.node.dialling import LAST_RETRY_NS
from drystone.p2p.handshake import Permissions
from drystone.p2p.liveness import HANDSHAKE_TIMEOUT_NS
from drystone.p2p.protocol import Services

USER_AGENT: Final = b"/drystone:0.1.0/"
MAX_TIP_AGE_S: Final = 24 * 3600  # Core: DEFAULT_MAX_TIP_AGE
REFERENCE_CHAINS: Final = ("mainnet", "testnet4", "signet", "regtest")


@dataclass(frozen=True, slots=True)
class Settings:
    """What may differ from node to node.

    max_tip_age_s: a tip that is older means that the chain is still being downloaded; None: the
    clock says nothing about that, as on networks of our own, which may rest for weeks.
    max_inbound: connections that others may dial. seeks_peers: whether to dial addresses that
    others tell; a network on a desk is connected by hand. is_local_network: addresses that nobody
    outside could reach are as good as any. commits_always: whether blocks without witnesses commit
    to that, as the reference client's do (BIP141 leaves it open).
    """

    user_agent: bytes = USER_AGENT
    services: Services = Services.NETWORK | Services.WITNESS | Services.NETWORK_LIMITED
    relays_transactions: bool = True  # Core: not -blocksonly
    max_tip_age_s: int | None = None
    max_connections: int = 125
    seeks_peers: bool = False
    is_local_network: bool = True
    handshake_timeout_ns: int = HANDSHAKE_TIMEOUT_NS
    commits_always: bool = True
    permissions: Permissions = Permissions.NONE  # of all peers, besides their own
    last_retry_ns: int = LAST_RETRY_NS  # the longest wait before a lost connection is dialled again

    def named(self, name: str) -> Self:
        """With a name in the user agent (BIP14), so that others can tell who dials them."""
        return replace(
            self, user_agent=USER_AGENT.replace(b":0.1.0", b":0.1.0(%b)" % name.encode())
        )


def default_settings(params: Params) -> Settings:
    """What suits a chain: those of the reference client are clocked as it clocks them."""
    if params.name in REFERENCE_CHAINS:
        is_public = params.name != "regtest"
        return Settings(
            max_tip_age_s=MAX_TIP_AGE_S,
            seeks_peers=is_public,
            is_local_network=not is_public,
            # Where other software than ours is met that votes on segwit before it knows witnesses.
            commits_always=is_public,
        )
    return Settings()
