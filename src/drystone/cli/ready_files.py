"""Where running networks say how they are found, and how a command finds the one that is meant.

A folder has a ready file for each: `up.json`, `node-7000.json`, and beside it the socket by which
the network is steered. It is `drystone` in XDG_RUNTIME_DIR, else `~/.drystone/run`.
"""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Final, NamedTuple

import click

from drystone.core.errors import UserError
from drystone.drivers.ready import Ready, read_ready

MAIN: Final = "up"
VARIABLE: Final = "DRYSTONE_READY"
_SUFFIX: Final = ".json"
_SOCKET: Final = ".sock"
_PROBE_S: Final = 1.0


class Meeting(NamedTuple):
    """Where a network says that it is ready, and where it is steered."""

    ready: Path
    control: Path
    name: str | None = None  # by which `--ready` finds it in the folder; None: by its path
    is_main: bool = False  # and without --ready if nothing else runs

    def command(self, verb: str) -> str:
        """What to type to steer it."""
        option = "" if self.is_main else f"--ready {quote(self.name or str(self.ready))} "
        return f"`drystone net {option}{verb}`"


def run_folder() -> Path:
    """The folder of ready files, made if need be, for this user alone. Raises UserError."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    try:
        folder = Path(runtime) / "drystone" if runtime else Path.home() / ".drystone" / "run"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "no home directory"
        raise UserError(
            f"no folder for the ready file: {reason}; name a file with --ready"
        ) from None
    return folder


def meeting_at(ready: Path) -> Meeting:
    """The socket is beside the file."""
    return Meeting(ready, ready.with_suffix(_SOCKET))


def usual_meeting(name: str) -> Meeting:
    """Of a network that is begun now, under a name that no running one has. Raises UserError."""
    folder = run_folder()
    others = running(folder)  # takes away what killed processes have left
    if (folder / f"{name}{_SUFFIX}").exists():
        name = f"{name}-{os.getpid()}"
    meeting = meeting_at(folder / f"{name}{_SUFFIX}")
    return meeting._replace(name=name, is_main=name == MAIN and not others)


def find_control(ready: str | None) -> Path:
    """The socket of the network that is meant. ready: a file, or the name of one in the folder.

    Raises UserError: there is none, or several and it isn't said which.
    """
    if ready is not None:
        return _control_of(read_ready(_path_of(ready)), ready)
    found = running(run_folder())
    if not found:
        raise UserError(
            "no network runs here: start one with `drystone up`, or name its ready file (--ready)"
        )
    if len(found) > 1:
        raise UserError(f"several networks run here: say which, as --ready {' or '.join(found)}")
    ((name, ready_one),) = found.items()
    return _control_of(ready_one, name)


def _path_of(ready: str) -> Path:
    path = Path(ready)
    if path.suffix or len(path.parts) != 1:
        return path
    return run_folder() / f"{ready}{_SUFFIX}"


def _control_of(ready: Ready, name: str) -> Path:
    if ready.control is None:
        raise UserError(f"the network of {name} can't be steered: it has no control socket")
    return ready.control


def running(folder: Path) -> dict[str, Ready]:
    """The networks that answer, by name. Files of those that are gone are taken away."""
    found = {}
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            ready = read_ready(path)
        except UserError:
            _tidy(path)
            continue
        if ready.control is None or _answers(ready.control):
            found[path.stem] = ready
    return found


def _tidy(path: Path) -> None:
    with suppress(OSError, ValueError):
        Ready.decode(path.read_bytes())  # nothing else is ours to take away
        path.unlink()
        path.with_suffix(_SOCKET).unlink()


def _answers(control: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(control))
        except OSError:
            return False
    return True


ready_option = click.option(
    "--ready",
    metavar="FILE",
    envvar=VARIABLE,
    help="The ready file of the network that is meant, or its name, such as node-7000.  [default:"
    " the one that runs]",
)


def published_option(name: str) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """Of a command that runs a network. name: of the file by default."""
    return click.option(
        "--ready",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"The file that says where the network is found.  [default: {name} in"
        " $XDG_RUNTIME_DIR/drystone, else in ~/.drystone/run]",
    )
