"""Datagrams over real UDP."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import IPv4Address
from typing import cast

from drystone.core.errors import UserError
from drystone.drivers.sockets import reason_of

_BROADCAST = IPv4Address("255.255.255.255")


def bind_udp(ip_address: str, port: int) -> socket.socket:
    """A non-blocking UDP socket bound to an IPv4 address (or name) and port.

    Raises UserError with the reason and the way out.
    """
    with ExitStack() as undo:
        try:
            sock = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind((ip_address, port))
        except OSError as error:
            no_name = isinstance(error, socket.gaierror)
            why = "no such IPv4 address" if no_name else reason_of(error)
            raise UserError(f"can't listen on UDP {ip_address}:{port}: {why}") from None
        except (TypeError, ValueError):  # what no name can have: a zero byte, a label of over 63
            raise UserError(f"can't listen on UDP {ip_address!r}: no such IPv4 address") from None
        bound = IPv4Address(sock.getsockname()[0])
        if bound.is_multicast or bound.is_unspecified or bound == _BROADCAST:
            raise UserError(
                f"can't listen on UDP {ip_address}:{port}: not the address of one machine;"
                " 127.0.0.1 always is"
            )
        sock.setblocking(False)
        undo.pop_all()
        return sock


class UdpEndpoint(asyncio.DatagramProtocol):
    """One bound socket in the event loop.

    receive: is given each datagram, cut after max_bytes + 1 so that it can tell one that is too
    long. trouble: is given a line for each kind of error in sending, once; the network may come
    back, so sending goes on.
    """

    def __init__(
        self,
        receive: Callable[[bytes], object],
        trouble: Callable[[str], None],
        *,
        ip_address: str,
        max_bytes: int,
    ) -> None:
        self._receive = receive
        self._trouble = trouble
        self._ip_address = ip_address
        self._max_bytes = max_bytes
        self._transport: asyncio.DatagramTransport | None = None
        self._told: set[str] = set()

    @classmethod
    async def open(
        cls,
        sock: socket.socket,
        receive: Callable[[bytes], object],
        trouble: Callable[[str], None],
        *,
        max_bytes: int,
    ) -> "UdpEndpoint":
        """Serve a socket from `bind_udp`; the endpoint owns it from here on."""
        ip_address = sock.getsockname()[0]
        loop = asyncio.get_running_loop()
        _, endpoint = await loop.create_datagram_endpoint(
            lambda: cls(receive, trouble, ip_address=ip_address, max_bytes=max_bytes), sock=sock
        )
        return endpoint

    def send(self, port: int, data: bytes) -> None:
        """Send a datagram to another port of the same address."""
        assert self._transport is not None
        self._transport.sendto(data, (self._ip_address, port))

    def close(self) -> None:
        """Give the port back."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop has taken the socket."""
        # Not by isinstance: the event loop's own class derives from it only in later versions.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        """A datagram came in, from whomever."""
        self._receive(data[: self._max_bytes + 1])

    def error_received(self, exc: Exception) -> None:
        """A datagram could not be sent."""
        line = f"a datagram could not be sent: {exc}"
        if line not in self._told:
            self._told.add(line)
            self._trouble(line)
