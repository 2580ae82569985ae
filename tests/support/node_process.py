"""A live node in a process of its own, to be killed: `python -m tests.support.node_process`.

It prints its address and height as JSON once it listens, and a line for each new tip; it takes
orders on its input, a line each:

```
connect 127.0.0.1:34567     whom to dial
mine 3                      that many blocks, at once
end
```
"""

import asyncio
import json
import sys
from pathlib import Path

from drystone.consensus.chains import REGTEST
from drystone.core.time import Time
from drystone.drivers.sockets import SocketAddress
from drystone.network import AsyncNetwork
from drystone.node.events import News, NewTip
from drystone.primitives.hashes import display


def say(**what: object) -> None:
    """A line for whoever started us."""
    print(json.dumps(what), flush=True)


def watch(_name: str, news: News, _now: Time) -> None:
    """Tell of each new tip."""
    if isinstance(news, NewTip):
        say(height=news.change.new.height, tip=display(news.change.new.hash))


async def serve(name: str, datadir: Path, port: int) -> None:
    """One node, until it is told to end."""
    async with AsyncNetwork(params=REGTEST, datadir=datadir, watch=watch) as network:
        node = await network.add_node(name, listen=SocketAddress("127.0.0.1", port))
        say(address=str(node.address), height=node.tip.height, tip=display(node.tip.hash))
        while (line := await asyncio.to_thread(sys.stdin.readline)) not in ("", "end\n"):
            verb, argument = line.split()
            if verb == "connect":
                network.connect(name, argument)
            else:
                await network.mine(name, int(argument))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
