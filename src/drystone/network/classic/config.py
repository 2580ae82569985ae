"""Where the nodes are: NODE_IP and NODE_PORTS, from the environment or a `.env` file."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from drystone.core.errors import UserError

DEFAULT_IP = "127.0.0.1"
DEFAULT_PORTS = (7000, 8000, 9000)
DOTENV = ".env"


@dataclass(frozen=True, slots=True)
class Places:
    """The address that all nodes share, and their ports in the order of broadcast."""

    ip_address: str = DEFAULT_IP
    ports: tuple[int, ...] = DEFAULT_PORTS

    def check_port(self, port: int) -> None:
        """Raises UserError unless the port is one of the nodes'."""
        if port not in self.ports:
            known = ", ".join(map(str, self.ports))
            raise UserError(
                f"port {port} is not among the nodes' ports ({known}); choose one of them,"
                " or name yours in NODE_PORTS"
            )


def read_places(folder: Path, environ: Mapping[str, str] = os.environ) -> Places:
    """What the environment says, else the nearest `.env` from the folder upward, else defaults.

    An empty value counts as unset: the tutorial's command writes `NODE_IP=` where there is no
    interface en0. Raises UserError.
    """
    settings = {**_read_dotenv(folder), **{k: v for k, v in environ.items() if v}}
    return Places(
        settings.get("NODE_IP", "").strip() or DEFAULT_IP,
        _parse_ports(settings.get("NODE_PORTS", "").strip()) or DEFAULT_PORTS,
    )


def _parse_ports(text: str) -> tuple[int, ...]:
    """Ports between commas; none for an empty text."""
    if not text:
        return ()
    hint = "give different ports from 1 to 65535, such as NODE_PORTS=7000,8000,9000"
    words = [word.strip() for word in text.strip("[]").split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) <= 5 for word in words):
        raise UserError(f"NODE_PORTS is {text!r}: {hint}")
    ports = tuple(map(int, words))
    if len(set(ports)) != len(ports) or not all(0 < p < 1 << 16 for p in ports):
        raise UserError(f"NODE_PORTS is {text!r}: {hint}")
    return ports


def _read_dotenv(folder: Path) -> dict[str, str]:
    """The settings in the nearest `.env`, from the folder upward; none if there is no such file."""
    path = next((p / DOTENV for p in (folder, *folder.parents) if _is_there(p / DOTENV)), None)
    if path is None:
        return {}
    try:
        if path.is_fifo():  # reading would wait for somebody to write
            raise UserError(f"can't read {path}: a pipe, not a file; mend it or take it away")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}; mend it or take it away") from None
    except UnicodeDecodeError:
        raise UserError(f"can't read {path}: not a text file; mend it or take it away") from None
    return _parse_dotenv(text, path)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder above us that we may not look into
        return False


def _parse_dotenv(text: str, path: Path) -> dict[str, str]:
    # Only who has a .env waits for the import.
    from dotenv import dotenv_values  # noqa: PLC0415

    complaints: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())

    # The parser tells of lines that it can't read in the log alone.
    logger = logging.getLogger("dotenv.main")
    handler, propagate = Collect(), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        values = dotenv_values(stream=StringIO(text))
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
    if complaints:
        raise UserError(f"can't read {path}: {complaints[0]}; mend it or take it away")
    return {key: value for key, value in values.items() if value}
