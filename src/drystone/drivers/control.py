"""A Unix socket by which a running network is steered: one JSON line per request and reply.

```
-> {"verb": "mine", "node": "n0", "count": 2}
<- {"ok": true, "said": "n0 has mined blocks 120, 121", "result": {...}}
<- {"ok": false, "error": "there is no node n9: there are n0, n1, n2"}
```

Only the user who started the network can open the socket: its mode is 0600. Whatever comes in,
the worst that can come of it is a line that says what is wrong.
"""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from drystone.core.errors import UserError

MAX_LINE_BYTES: Final = 1 << 16  # of a request
MAX_REPLY_BYTES: Final = 1 << 26
MAX_CONNECTIONS: Final = 32
IDLE_S: Final = 60.0  # then who has connected, and asks nothing, is asked to leave
_MODE: Final = 0o600
_MAX_PATH_BYTES: Final = 100  # systems differ: 104 to 108

Reply = Mapping[str, Any]
Handle = Callable[[Mapping[str, Any]], Awaitable[Reply]]
"""Carries out a request. What it raises as UserError or TimeoutError is told."""


class ControlServer:
    """Serves requests at a path, in the order in which each connection makes them.

    Use it in `async with`; at the end the socket is gone, and what is being handled is cancelled.

    Raises UserError: the path is taken, too long, or can't be had.
    """

    def __init__(self, path: Path, handle: Handle) -> None:
        self.path = path
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        sock = _bind(self.path)
        try:
            self._server = await asyncio.start_unix_server(
                self._accepted, sock=sock, limit=MAX_LINE_BYTES
            )
        except BaseException:
            sock.close()
            _unlink(self.path)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        _unlink(self.path)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if len(self._tasks) > MAX_CONNECTIONS:
                await _send(writer, _refusal("too many connections at once: try again later"))
            else:
                await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # it is gone, or we are
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    line = await reader.readuntil(b"\n")
            except (asyncio.IncompleteReadError, TimeoutError):
                return
            except asyncio.LimitOverrunError:
                too_long = f"a request has {MAX_LINE_BYTES:,} bytes at most, and ends its line"
                await _send(writer, _refusal(too_long))
                return
            await _send(writer, await self._reply(line))

    async def _reply(self, line: bytes) -> Reply:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _refusal('not JSON: a request looks like {"verb": "tips"}')
        if not isinstance(request, dict):
            return _refusal('not an object: a request looks like {"verb": "tips"}')
        try:
            return {"ok": True, **await self._handle(request)}
        except UserError as error:
            return _refusal(str(error))
        except TimeoutError as error:
            return _refusal(str(error) or "it took too long")


def _refusal(error: str) -> Reply:
    return {"ok": False, "error": " ".join(error.split())}


async def _send(writer: asyncio.StreamWriter, reply: Reply) -> None:
    writer.write(json.dumps(reply).encode() + b"\n")
    await writer.drain()


def _bind(path: Path) -> socket.socket:
    """A listening socket there, for this user alone. Raises UserError."""
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise UserError(f"the control socket's path is too long: {path}; choose a shorter folder")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_stale(path):
            path.unlink()
        mask = os.umask(0o777 & ~_MODE)  # the mode is right from the first moment
        try:
            sock.bind(str(path))
        finally:
            os.umask(mask)
        sock.listen(MAX_CONNECTIONS)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise UserError(f"can't make the control socket {path}: {error.strerror}") from None
    except BaseException:
        sock.close()
        raise
    return sock


def _is_stale(path: Path) -> bool:
    """Whether a killed process has left its socket there. Raises UserError if somebody has it."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise UserError(f"{path} is there, and no socket of drystone's: choose another place")
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:  # it takes its time, so it is there
            pass
    raise UserError(f"another network is steered at {path}: end it, or choose another place")


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def ask(path: Path, request: Mapping[str, Any], *, limit_s: float | None = None) -> dict[str, Any]:
    """Send a request and wait for what comes of it; the reply, without `ok`.

    Raises UserError: it is refused, or there is nobody.
    """
    gone = f"no network answers at {path}: it has ended, perhaps; start one with `drystone up`"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(limit_s)
        try:
            sock.connect(str(path))
            sock.sendall(json.dumps(request).encode() + b"\n")
            line = _read_line(sock)
        except TimeoutError:
            raise UserError(f"the network at {path} does not answer within {limit_s:g} s") from None
        except OSError:
            raise UserError(gone) from None
    if not line.endswith(b"\n"):
        raise UserError(gone)
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(f"what answers at {path} is no network of drystone's") from None
    match reply:
        case {"ok": True}:
            return {key: value for key, value in reply.items() if key != "ok"}
        case {"ok": False, "error": str(error)}:
            raise UserError(error)
    raise UserError(f"what answers at {path} is no network of drystone's")


def _read_line(sock: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n") and len(data) <= MAX_REPLY_BYTES:
        more = sock.recv(1 << 16)
        if not more:
            break
        data += more
    return bytes(data)
