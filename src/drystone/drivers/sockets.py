"""Where sockets are, and what goes wrong with them, in words that say what to do."""

import errno
import resource
import socket
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from typing import Final, NamedTuple, Self

from drystone.core.errors import UserError

OUT_OF_FILES: Final = frozenset((errno.EMFILE, errno.ENFILE))

_REASONS = {
    errno.EADDRINUSE: "the port is in use; end the program that has it, or choose other ports",
    errno.EADDRNOTAVAIL: "the address is not of this machine; see `ip addr` for those that are",
    errno.EACCES: "ports below 1024 are for the system; choose a higher one",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this machine; end some program",
}
_SPARE_FILES = 64  # for what is no connection: standard streams, the store, the event loop


class SocketAddress(NamedTuple):
    """An IP address, as digits, and a port."""

    host: str
    port: int

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From `127.0.0.1:7000` or `[::1]:7000`. Raises UserError."""
        host, _, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        try:
            if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
                raise ValueError(port)
            return cls(str(ip_address(host)), int(port))
        except ValueError:
            raise UserError(f"{text!r} is no address: it takes the form 127.0.0.1:7000") from None

    @property
    def family(self) -> socket.AddressFamily:
        """IPv4 or IPv6."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def bind_tcp(address: SocketAddress, backlog: int) -> socket.socket:
    """A non-blocking socket that listens. Port 0: the system chooses one.

    Raises UserError with the reason and the way out.
    """
    with ExitStack() as undo:
        try:
            sock = undo.enter_context(socket.socket(address.family, socket.SOCK_STREAM))
            # So that a node can come back at once; who listens still has the port to himself.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if address.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen(backlog)
        except OSError as error:
            raise UserError(f"can't listen on TCP {address}: {reason_of(error)}") from None
        except (OverflowError, TypeError, ValueError):  # a port beyond 65535, a zero byte
            raise UserError(f"can't listen on TCP {address}: no such address") from None
        sock.setblocking(False)
        undo.pop_all()
        return sock


def reason_of(error: OSError) -> str:
    """Why a socket could not be had, and the way out."""
    if isinstance(error, socket.gaierror):
        return "no such address"
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def raise_open_files_limit(sockets: int) -> str | None:
    """Ask the system for leave to open so many sockets and some files.

    None if it grants it, else one line that says how many it will be.
    """
    wanted = sockets + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    granted = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < granted:
        with suppress(OSError, ValueError):  # macOS has a limit beneath its limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    return (
        f"this machine lets us open {soft} files, for {max(0, soft - _SPARE_FILES)} connections"
        f" of {sockets}; raise the limit (ulimit -Hn) for more"
    )
