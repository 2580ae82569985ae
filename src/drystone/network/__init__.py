"""What a user holds: a whole network, live or in virtual time.

```
from drystone.network import AsyncNetwork, Network

Network(nodes=3)                in virtual time
Network(nodes=3, live=True)     over TCP, in a thread of its own
AsyncNetwork(3)                 over TCP, in a running event loop
```
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    from drystone.network.live import AsyncNetwork
    from drystone.network.threaded import LiveNetwork
    from drystone.network.virtual import VirtualNetwork

__all__ = ["AsyncNetwork", "LiveNetwork", "Network", "VirtualNetwork"]

_HOMES = {"AsyncNetwork": "live", "LiveNetwork": "threaded", "VirtualNetwork": "virtual"}


@overload
def Network(
    nodes: int = 0, *, live: Literal[False] = False, **options: Any
) -> "VirtualNetwork": ...
@overload
def Network(nodes: int = 0, *, live: Literal[True], **options: Any) -> "LiveNetwork": ...
def Network(  # noqa: N802
    nodes: int = 0, *, live: bool = False, **options: Any
) -> "VirtualNetwork | LiveNetwork":
    """A network of so many nodes: in virtual time, or live. options: see the class of each."""
    name = "LiveNetwork" if live else "VirtualNetwork"
    network: VirtualNetwork | LiveNetwork = __getattr__(name)(nodes, **options)
    return network


def __getattr__(name: str) -> Any:
    """Import what is asked for, and not before: commands that need none start fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
