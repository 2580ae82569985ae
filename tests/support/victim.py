"""A live node in a process of its own, to be attacked: `python -m tests.support.victim`.

It says on its output what becomes of it, a line of JSON at a time, and takes orders on its input:

```
{"address": "127.0.0.1:34567"}                                    first of all
{"left": 40312, "reason": "ping timeout...", "misbehaved": false} a peer, by its port, is gone
{"refused": "bad-cb-amount"}                                      a block or transaction
{"height": 112, "rss_bytes": ..., "troubles": [], ...}            ten times a second

hashrate 8          how many hashes a second it does
connect 127.0.0.1:1 whom it is to dial
end
```
"""

import argparse
import asyncio
import json
import logging
import resource
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from drystone.consensus.chains import REGTEST
from drystone.core.time import Time
from drystone.drivers.sockets import SocketAddress
from drystone.network.live import AsyncNetwork
from drystone.network.live_node import LiveNode, net_address
from drystone.node.events import (
    Action,
    BlockRefused,
    Connect,
    Event,
    News,
    PeerLeft,
    TxRefused,
)
from drystone.primitives.hashes import display
from tests.support.siege import history

REPORT_S = 0.1
NAME = "victim"


def say(**what: object) -> None:
    """A line for whoever attacks us."""
    print(json.dumps(what), flush=True)


class Notes(logging.Handler):
    """Everything that must not happen: what is logged, and errors that nobody caught."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Something was logged."""
        self.lines.append(self.format(record))

    def uncaught(self, *what: Any) -> None:
        """An error outside of any task."""
        self.lines.append(repr(what))


class Victim:
    """The node and its reports."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.hashes_per_s = 0
        self.slowest_s = 0.0  # of all turns
        self._ports: dict[int, int] = {}

    async def run(self, hashes_per_s: int) -> None:
        """Until told to end."""
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: self.notes.lines.append(repr(context))
        )
        async with AsyncNetwork(params=REGTEST, watch=self._watch, trouble=self._trouble) as net:
            node = await net.add_node(NAME)
            self._note_ports(node)
            self._time_turns(node)
            for block in history():
                assert (await node.submit(block)).error is None
            self._set_hashrate(node, hashes_per_s)
            say(address=str(node.address))
            orders = asyncio.create_task(self._take_orders(node))
            while not orders.done():
                await asyncio.wait((orders,), timeout=REPORT_S)
                self._report(node)
            orders.result()

    def _note_ports(self, node: LiveNode) -> None:
        """Peers have numbers here, and ports there."""
        connected = node.connected

        def noting(peer: int, *, inbound: bool, address: SocketAddress) -> None:
            self._ports[peer] = address.port
            connected(peer, inbound=inbound, address=address)

        node.connected = noting  # type: ignore[method-assign]

    def _time_turns(self, node: LiveNode) -> None:
        """How long the longest turn takes: nobody else is heard meanwhile."""
        handle = node.node.handle

        def timed(event: Event, now: Time) -> list[Action]:
            began = time.perf_counter()
            actions = handle(event, now)
            self.slowest_s = max(self.slowest_s, time.perf_counter() - began)
            return actions

        node.node.handle = timed  # type: ignore[method-assign]

    def _set_hashrate(self, node: LiveNode, hashes_per_s: int) -> None:
        self.hashes_per_s = hashes_per_s
        node.set_hashrate(hashes_per_s)

    async def _take_orders(self, node: LiveNode) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        pipe, _ = await loop.connect_read_pipe(
            partial(asyncio.StreamReaderProtocol, reader), sys.stdin
        )
        while True:
            match (await reader.readline()).decode().split():
                case ["hashrate", rate]:
                    self._set_hashrate(node, int(rate))
                case ["connect", address]:
                    node.command(Connect(net_address(SocketAddress.from_text(address))))
                case _:  # to end, or whoever gives the orders is gone
                    break
        pipe.close()

    def _watch(self, _name: str, news: News, _now: Time) -> None:
        if isinstance(news, PeerLeft):
            port = self._ports.pop(news.peer, 0)
            say(left=port, reason=news.reason, misbehaved=news.misbehaved)
        elif isinstance(news, BlockRefused | TxRefused):
            say(refused=news.error.reason)

    def _trouble(self, line: str) -> None:
        say(trouble=line)

    def _report(self, node: LiveNode) -> None:
        core = node.node
        say(
            height=core.chain.height,
            tip=display(core.chain.tip.hash),
            hashes_per_s=self.hashes_per_s,
            rss_bytes=rss_bytes(),
            peers=len(core.peers),
            ready=sum(conn.is_ready for conn in core.peers.values()),
            headers=len(core.chain.tree.nodes),
            mempool=len(core.mempool),
            orphans=len(core.transactions.orphans),
            files=open_files(),
            tasks=len(asyncio.all_tasks()),
            threads=threading.active_count(),
            cpu_s=time.process_time(),
            slowest_s=round(self.slowest_s, 3),
            troubles=self.notes.lines,
        )


def rss_bytes() -> int:
    """How much memory this process has, now; where Linux is not, the most that it has had."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


def open_files() -> int:
    """How many files and sockets this process has, if that can be told."""
    try:
        return len(list(Path("/proc/self/fd").iterdir()))
    except OSError:
        return 0


def main() -> None:
    """Be there until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hashrate", type=int, default=0)
    parser.add_argument("--files", type=int, help="how many open files it may have")
    arguments = parser.parse_args()
    if arguments.files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (arguments.files, arguments.files))
    victim = Victim()
    logging.getLogger().addHandler(victim.notes)
    sys.unraisablehook = victim.notes.uncaught
    threading.excepthook = victim.notes.uncaught
    asyncio.run(victim.run(arguments.hashrate))


if __name__ == "__main__":
    main()
