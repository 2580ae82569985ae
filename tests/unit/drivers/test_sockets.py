"""Addresses of sockets, and how many the system gives us."""

import resource
import socket
from collections.abc import Iterator

import pytest

from drystone.core.errors import UserError
from drystone.drivers.sockets import SocketAddress, raise_open_files_limit


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7000", SocketAddress("127.0.0.1", 7000)),
        ("[::1]:0", SocketAddress("::1", 0)),
        ("[0:0::1]:65535", SocketAddress("::1", 65535)),
        ("::1:8333", SocketAddress("::1", 8333)),
    ],
)
def test_an_address_is_read_from_its_text_and_shown_as_it_is_read(
    text: str, address: SocketAddress
) -> None:
    assert SocketAddress.from_text(text) == address
    assert SocketAddress.from_text(str(address)) == address
    assert address.family == (socket.AF_INET6 if ":" in address.host else socket.AF_INET)


@pytest.mark.parametrize(
    "text",
    ["", "7000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "a:1", "1.2.3.4:²"],
)
def test_what_is_no_address_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as refused:
        SocketAddress.from_text(text)
    assert str(refused.value) == f"{text!r} is no address: it takes the form 127.0.0.1:7000"


@pytest.fixture
def limits() -> Iterator[list[tuple[int, int]]]:
    """What this process may open, put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield [before]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_on_open_files_is_raised_as_far_as_is_needed(
    limits: list[tuple[int, int]],
) -> None:
    _, hard = limits[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert raise_open_files_limit(100) is None
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (256, hard)
    assert raise_open_files_limit(300) is None
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (364, hard)


def test_a_limit_that_is_too_low_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    # A hard limit that is lowered stays so: the system is played here.
    limit = [100, 400]

    def set_limit(_: int, to: tuple[int, int]) -> None:
        limit[:] = to

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limit))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    assert raise_open_files_limit(1000) == (
        "this machine lets us open 400 files, for 336 connections of 1000; raise the limit"
        " (ulimit -Hn) for more"
    )
    assert limit == [400, 400]
    assert raise_open_files_limit(336) is None


def test_a_system_that_does_not_raise_the_limit_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: int, _to: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    line = raise_open_files_limit(1000)
    assert line is not None and line.startswith("this machine lets us open 256 files, for 192 ")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert raise_open_files_limit(10**6) is None
