"""The live network's own part: sockets, searches in threads, nodes started apart."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import cast
from unittest.mock import patch

import pytest
from tests.support.classic import FULL, chain_of
from tests.support.processes import LOOPBACK, PATIENCE_S, free_udp_ports

from drystone.classic.block import Header
from drystone.classic.events import Announcement, Copied, Created, Ignored, Tried
from drystone.classic.node import Node, State
from drystone.core.time import SECOND_NS, Time
from drystone.drivers.udp import bind_udp
from drystone.kernel import Cancel
from drystone.network.classic.config import Places
from drystone.network.classic.live import LiveNode, run_nodes


class Stand:
    """Some live nodes, and a socket beside them that is no node's."""

    def __init__(self, count: int = 1, *, listen_s: float = 0.01, nonces: int = 1) -> None:
        ports = free_udp_ports(count)
        self.places = Places(LOOPBACK, ports)
        self.told: list[tuple[int, Announcement]] = []
        self.troubles: list[str] = []
        self._changed = asyncio.Event()
        self.cores = [
            Node(port, ports, listen_ns=round(listen_s * SECOND_NS), nonces=nonces)
            for port in ports
        ]
        self.nodes = [
            LiveNode(core, core.port, self.places, self._observe, self._trouble)
            for core in self.cores
        ]

    def _observe(self, port: int, told: Announcement, now: Time) -> None:
        self.told.append((port, told))
        self._changed.set()

    def _trouble(self, port: int, line: str, now: Time) -> None:
        self.troubles.append(line)
        self._changed.set()

    def all_told(self, kind: type[Announcement]) -> list[tuple[int, Announcement]]:
        return [(port, told) for port, told in self.told if isinstance(told, kind)]

    async def until(self, reached: Callable[[], object]) -> None:
        while not reached():
            self._changed.clear()
            await self._changed.wait()

    def send(self, data: bytes, *, to: int = 0) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(data, (LOOPBACK, self.places.ports[to]))

    @asynccontextmanager
    async def running(self, *, apart_s: float = 0) -> AsyncIterator[None]:
        async with asyncio.timeout(PATIENCE_S):
            serving = asyncio.create_task(run_nodes(self.nodes, apart_s=apart_s))
            try:
                yield
            finally:
                serving.cancel()
                with suppress(asyncio.CancelledError):
                    await serving


def play(scene: Coroutine[None, None, None]) -> None:
    asyncio.run(scene)


def test_a_live_node_hears_tries_and_tells() -> None:
    async def scene() -> None:
        stand = Stand()
        async with stand.running():
            await stand.until(lambda: stand.all_told(Tried))
            stand.send(chain_of(3).data)
            await stand.until(lambda: stand.all_told(Copied))
            stand.send(b"")
            await stand.until(lambda: stand.all_told(Ignored))
        assert stand.cores[0].chain == chain_of(3)

    play(scene())


def test_a_full_datagram_comes_through_and_a_longer_one_is_known_as_such() -> None:
    async def scene() -> None:
        stand = Stand()
        async with stand.running():
            stand.send(chain_of(FULL).data)
            await stand.until(lambda: stand.all_told(Copied))
            stand.send(bytes(20_000))
            await stand.until(lambda: stand.all_told(Ignored))
        ((_, ignored),) = stand.all_told(Ignored)
        assert isinstance(ignored, Ignored) and ignored.reason == "datagram-too-large"

    play(scene())


def test_live_nodes_mine_for_each_other() -> None:
    async def scene() -> None:
        stand = Stand(3, nonces=20_000)
        async with stand.running():
            await stand.until(lambda: stand.all_told(Created) and stand.all_told(Copied))
        assert stand.troubles == []

    play(scene())


def test_what_comes_before_a_node_begins_waits_for_it() -> None:
    async def scene() -> None:
        stand = Stand(2)
        stand.send(chain_of(2).data, to=1)
        async with stand.running(apart_s=0.1):
            await stand.until(lambda: stand.all_told(Copied))
        assert stand.all_told(Copied)[0][0] == stand.places.ports[1]

    play(scene())


def test_nodes_begin_so_many_seconds_apart() -> None:
    delays: list[float] = []
    closed: list[int] = []

    class Waiting:
        def __init__(self, number: int) -> None:
            self.number = number

        async def run(self, delay_s: float) -> None:
            delays.append(delay_s)

        def close(self) -> None:
            closed.append(self.number)

    nodes = cast("list[LiveNode]", [Waiting(n) for n in range(3)])
    asyncio.run(run_nodes(nodes, apart_s=1.5))
    assert delays == [0, 1.5, 3.0]
    assert closed == [0, 1, 2]


def test_ending_gives_every_port_back_even_of_a_node_that_has_not_begun() -> None:
    async def scene() -> None:
        stand = Stand(3)
        async with stand.running(apart_s=3600):
            await stand.until(lambda: stand.all_told(Tried))
        assert [core.state for core in stand.cores[1:]] == [State.SLEEPING] * 2
        for port in stand.places.ports:
            bind_udp(LOOPBACK, port).close()

    play(scene())


def test_a_node_that_is_closed_before_it_ran_gives_its_port_back() -> None:
    stand = Stand(2)
    for node in stand.nodes:
        node.close()
        node.close()
    for port in stand.places.ports:
        bind_udp(LOOPBACK, port).close()


def test_ending_tells_a_search_under_way_to_end() -> None:
    begun, ended = threading.Event(), threading.Event()

    def search(header: Header, count: int, *, cancel: Cancel) -> None:
        begun.set()
        for _ in range(10_000):  # it must end, even when the test fails
            if cancel.is_set():  # as the kernel looks, between some thousand hashes
                ended.set()
                break
            time.sleep(0.001)

    async def scene() -> None:
        stand = Stand()
        async with stand.running():
            await stand.until(lambda: stand.all_told(Tried))
            assert await asyncio.to_thread(begun.wait, PATIENCE_S)

    with patch("drystone.network.classic.live.search", search):
        play(scene())  # the event loop waits for its threads
    assert ended.is_set()


def test_a_search_that_fails_ends_the_node_with_its_error() -> None:
    def search(header: Header, count: int, *, cancel: Cancel) -> None:
        raise RuntimeError("no such kernel")

    async def scene() -> None:
        await asyncio.wait_for(run_nodes(Stand().nodes, apart_s=0), PATIENCE_S)

    with (
        patch("drystone.network.classic.live.search", search),
        pytest.raises(BaseExceptionGroup) as failed,
    ):
        play(scene())
    error: BaseException = failed.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert str(error) == "no such kernel"


def test_what_cannot_be_sent_is_trouble_and_no_error() -> None:
    async def scene() -> None:
        stand = Stand()
        async with stand.running():
            await stand.until(lambda: stand.all_told(Tried))
            stand.nodes[0].send(stand.places.ports[0], bytes(70_000))
            await stand.until(lambda: stand.troubles)
            told = len(stand.told)
            await stand.until(lambda: len(stand.told) > told)

    play(scene())
