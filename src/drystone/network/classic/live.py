"""The tutorial's network for real: cores on the system's clock, datagrams over UDP."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial

from drystone.classic.chain import MAX_DATAGRAM_BYTES
from drystone.classic.events import (
    Action,
    Announcement,
    Event,
    Received,
    Search,
    Searched,
    Wake,
)
from drystone.classic.pow import search
from drystone.core.host import Core
from drystone.core.time import Time
from drystone.drivers.clock import system_clock
from drystone.drivers.host import LiveHost
from drystone.drivers.udp import UdpEndpoint, bind_udp
from drystone.kernel import Cancel
from drystone.network.classic.config import Places
from drystone.network.classic.seat import Observe, perform

Trouble = Callable[[int, str, Time], None]  # (port, what went wrong in sending, when)


class LiveNode:
    """One core with its socket, in the event loop.

    The socket is bound at once, so that a port in use is told before anything runs.
    """

    def __init__(
        self,
        core: Core[Event, Action],
        port: int,
        places: Places,
        observe: Observe,
        trouble: Trouble,
    ) -> None:
        self._port = port
        self._observe = observe
        self._trouble = trouble
        self._socket: socket.socket = bind_udp(places.ip_address, port)
        self._endpoint: UdpEndpoint | None = None
        self._host: LiveHost[Event, Action] = LiveHost(core, partial(perform, self), wake=Wake())
        self._searches: asyncio.Queue[Search] = asyncio.Queue()

    async def run(self, delay_s: float = 0) -> None:
        """Serve the node until cancelled; datagrams that come before the delay is over wait."""
        try:
            self._endpoint = await UdpEndpoint.open(
                self._socket,
                lambda data: self._host.offer(Received(data)),
                lambda line: self._trouble(self._port, line, system_clock()),
                max_bytes=MAX_DATAGRAM_BYTES,
            )
            await asyncio.sleep(delay_s)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._serve_searches())
                tasks.create_task(self._host.run())
        finally:
            self.close()

    def close(self) -> None:
        """Give the port back."""
        if self._endpoint is not None:
            self._endpoint.close()
        self._socket.close()

    def send(self, port: int, data: bytes) -> None:
        """Send a datagram to the node at a port."""
        assert self._endpoint is not None
        self._endpoint.send(port, data)

    def wake_at(self, mono_ns: int) -> None:
        """Hand the core `Wake` then."""
        self._host.wake_at(mono_ns)

    def search(self, wanted: Search) -> None:
        """Hand the core `Searched` when the search, in a thread of its own, has ended."""
        self._searches.put_nowait(wanted)

    def tell(self, told: Announcement) -> None:
        """Pass it on."""
        self._observe(self._port, told, system_clock())

    async def _serve_searches(self) -> None:
        while True:
            wanted = await self._searches.get()
            cancel = Cancel()
            try:
                nonce = await asyncio.to_thread(search, wanted.header, wanted.count, cancel=cancel)
            finally:
                cancel.set()  # a thread can't be cancelled, but it can be told to end
            await self._host.post(Searched(nonce))


async def run_nodes(nodes: Sequence[LiveNode], *, apart_s: float) -> None:
    """Serve nodes until cancelled, started some seconds apart."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for index, node in enumerate(nodes):
                tasks.create_task(node.run(index * apart_s))
    finally:
        for node in nodes:  # also those whose task was cancelled before it began
            node.close()
