"""The ready file: where a running network is found, there as long as everything listens.

```json
{"pid": 4711, "addresses": {"node0": "127.0.0.1:45301"}, "control": "/run/user/1000/net.sock"}
```

It appears whole, or not at all.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drystone.core.errors import UserError

MAX_BYTES: Final = 1_000_000  # some 20,000 nodes; what is longer is something else
_MAX_PID: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Ready:
    """Where things are, with the ports really taken.

    pid: of the process that runs them. addresses: by the names of nodes. control: the socket by
    which the network is steered, if it can be.
    """

    pid: int
    addresses: Mapping[str, str]
    control: Path | None = None

    def encode(self) -> bytes:
        """As JSON, in one line."""
        control = None if self.control is None else str(self.control)
        fields = {"pid": self.pid, "addresses": dict(self.addresses), "control": control}
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> "Ready":
        """From JSON. Raises ValueError."""
        try:
            fields = json.loads(data)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        match fields:
            case {
                "pid": int(pid),
                "addresses": dict(addresses),
                "control": str() | None as control,
            }:
                if 0 < pid < _MAX_PID and all(isinstance(a, str) for a in addresses.values()):
                    return cls(pid, addresses, None if control is None else Path(control))
        raise ValueError("not the fields of a ready file")


@contextmanager
def ready_file(path: Path, ready: Ready) -> Iterator[None]:
    """Say where things are until the end of the block.

    Raises UserError: the file can't be written, or is that of another process that still runs.
    """
    _publish(path, ready.encode())
    try:
        yield
    finally:
        with suppress(OSError, ValueError):  # somebody has removed or replaced it, or its folder
            if Ready.decode(path.read_bytes()) == ready:
                path.unlink()


def read_ready(path: Path) -> Ready:
    """What a running network says of itself.

    Raises UserError: there is none, it can't be read, or its process has gone.
    """
    with _told("read", path):
        try:
            ready = _read(path)
        except FileNotFoundError:
            raise UserError(
                f"no network is ready: there is no file {path}; start one, or name its own file"
            ) from None
        except ValueError:
            raise UserError(f"{path} is not a ready file of drystone's") from None
    if not _is_running(ready.pid):
        raise UserError(
            f"process {ready.pid}, which wrote {path}, has ended without removing it: start the"
            " network again"
        )
    return ready


def _publish(path: Path, data: bytes) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with _told("write", path):
        _refuse_to_replace(path)
        try:
            new.write_bytes(data)
            new.replace(path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise


def _refuse_to_replace(path: Path) -> None:
    """A file of somebody else's; what a killed process of ours left behind is no such thing."""
    try:
        other = _read(path)
    except FileNotFoundError:
        return
    except ValueError:
        raise UserError(
            f"{path} is there, and not a ready file of drystone's: choose another name"
        ) from None
    if other.pid != os.getpid() and _is_running(other.pid):
        raise UserError(
            f"{path} is that of process {other.pid}, which still runs: end it, or choose another"
        )


def _read(path: Path) -> Ready:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError("too long")
    return Ready.decode(data)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


@contextmanager
def _told(doing: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"can't {doing} the ready file {path}: {error.strerror or error}; choose another place"
            " for it"
        ) from None
