"""Datagrams over real UDP: sockets bound or refused in one line, datagrams carried whole."""

import asyncio
import errno
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from drystone.core.errors import UserError
from drystone.drivers.udp import UdpEndpoint, bind_udp

LOOPBACK = "127.0.0.1"
PATIENCE_S = 20.0


def refusal(ip_address: str, port: int) -> str:
    with pytest.raises(UserError) as refused:
        bind_udp(ip_address, port)
    line = str(refused.value)
    assert "\n" not in line
    return line


# Binding.


def test_a_bound_socket_has_the_address_asked_for_and_never_blocks() -> None:
    with bind_udp(LOOPBACK, 0) as sock:
        assert sock.getsockname()[0] == LOOPBACK
        assert not sock.getblocking()


def test_a_port_in_use_is_refused_with_the_way_out() -> None:
    with bind_udp(LOOPBACK, 0) as sock:
        port = sock.getsockname()[1]
        assert refusal(LOOPBACK, port) == (
            f"can't listen on UDP 127.0.0.1:{port}: the port is in use; end the program that has"
            " it, or choose other ports"
        )
    bind_udp(LOOPBACK, port).close()  # and free again


def test_an_address_of_another_machine_is_refused() -> None:
    # 192.0.2.0/24 is set aside for documentation: no machine has it.
    assert "192.0.2.1:7000: the address is not of this machine" in refusal("192.0.2.1", 7000)


# None of these is looked up: a test must not wait for a name server.
@pytest.mark.parametrize("name", ["::1", "a" * 64 + ".org", "1.2\0.3", "\udcff"])
def test_what_is_no_ipv4_address_is_refused(name: str) -> None:
    assert refusal(name, 7000).endswith("no such IPv4 address")


def test_a_name_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self: socket.socket, address: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket.socket, "bind", bind)
    assert refusal("nowhere", 7000) == "can't listen on UDP nowhere:7000: no such IPv4 address"


def test_a_port_of_the_systems_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)  # who runs tests as root may bind it
    assert refusal(LOOPBACK, 80).endswith(
        "ports below 1024 are for the system; choose a higher one"
    )


def test_more_sockets_than_the_system_allows_are_refused() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(UserError) as refused:
            bind_udp(LOOPBACK, 7000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert str(refused.value).endswith(":7000: too many open files; raise the limit (ulimit -n)")


# Carrying.


class Mailbox:
    """Notes what an endpoint is given, and lets a test wait for it."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.troubles: list[str] = []
        self._changed = asyncio.Event()

    def receive(self, data: bytes) -> None:
        self.data.append(data)
        self._changed.set()

    def trouble(self, line: str) -> None:
        self.troubles.append(line)
        self._changed.set()

    async def until(self, reached: Callable[["Mailbox"], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not reached(self):
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def endpoint(
    mailbox: Mailbox, *, max_bytes: int = 100, ip_address: str = LOOPBACK
) -> AsyncIterator[tuple[UdpEndpoint, int]]:
    sock = bind_udp(ip_address, 0)
    port = sock.getsockname()[1]
    opened = await UdpEndpoint.open(sock, mailbox.receive, mailbox.trouble, max_bytes=max_bytes)
    try:
        yield opened, port
    finally:
        opened.close()
        await asyncio.sleep(0)  # the event loop closes the socket at its next turn


def test_datagrams_go_from_port_to_port_whole_in_order_and_even_when_empty() -> None:
    async def main() -> list[bytes]:
        here, there = Mailbox(), Mailbox()
        async with endpoint(here) as (sender, _), endpoint(there) as (_, port):
            for data in (b"one", b"t" * 100, b"three"):
                sender.send(port, data)
            await there.until(lambda m: len(m.data) == 3)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
                plain.sendto(b"", (LOOPBACK, port))
            await there.until(lambda m: len(m.data) == 4)
            return there.data

    assert asyncio.run(main()) == [b"one", b"t" * 100, b"three", b""]


@pytest.mark.parametrize("size_bytes", [100, 101, 9216, 60_000])
def test_a_datagram_that_is_too_long_is_cut_one_byte_after_the_limit(size_bytes: int) -> None:
    async def main() -> bytes:
        mailbox = Mailbox()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            async with endpoint(mailbox, max_bytes=100) as (_, port):
                plain.sendto(bytes(range(256)) * 250, (LOOPBACK, port))  # 64,000
                plain.sendto(bytes(size_bytes), (LOOPBACK, port))
                await mailbox.until(lambda m: len(m.data) == 2)
                return mailbox.data[1]

    assert asyncio.run(main()) == bytes(min(size_bytes, 101))


def test_what_cannot_be_sent_is_told_once_for_each_kind_and_sending_goes_on() -> None:
    async def main() -> tuple[list[str], list[bytes]]:
        here, there = Mailbox(), Mailbox()
        async with endpoint(here) as (sender, _), endpoint(there) as (_, port):
            for _ in range(5):
                sender.send(port, bytes(70_000))  # no datagram is so long
            sender.send(port, b"short")
            await there.until(lambda m: bool(m.data))
            await here.until(lambda m: bool(m.troubles))
            return here.troubles, there.data

    troubles, arrived = asyncio.run(main())
    assert troubles == [f"a datagram could not be sent: [Errno {errno.EMSGSIZE}] Message too long"]
    assert arrived == [b"short"]


def test_a_datagram_to_a_port_where_nobody_listens_is_no_trouble() -> None:
    async def main() -> list[str]:
        here = Mailbox()
        with bind_udp(LOOPBACK, 0) as gone:
            port = gone.getsockname()[1]
        async with endpoint(here) as (sender, own_port):
            for _ in range(3):
                sender.send(port, b"anyone?")
                sender.send(own_port, b"me")
            await here.until(lambda m: len(m.data) == 3)
        return here.troubles

    assert asyncio.run(main()) == []


def test_closing_gives_the_port_back_and_can_be_done_twice() -> None:
    async def main() -> int:
        async with endpoint(Mailbox()) as (opened, port):
            opened.close()
            opened.close()
        return port

    bind_udp(LOOPBACK, asyncio.run(main())).close()
