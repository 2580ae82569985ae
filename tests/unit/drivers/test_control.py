"""The control socket: what it answers, whom it lets in, and what hostile input does to it."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from drystone.core.errors import UserError
from drystone.drivers.control import MAX_CONNECTIONS, MAX_LINE_BYTES, ControlServer, ask


async def echo(request: Mapping[str, Any]) -> dict[str, Any]:
    match request:
        case {"verb": "refuse"}:
            raise UserError("no\nsuch thing")
        case {"verb": "late"}:
            raise TimeoutError
        case {"verb": "never"}:
            await asyncio.Event().wait()
    return {"said": "done", "result": dict(request)}


async def exchange(path: Path, *chunks: bytes) -> list[dict[str, Any]]:
    """Send bytes and no more; the replies until the other side closes."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    replies = []
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except ConnectionError:
        pass
    try:
        while line := await reader.readline():
            replies.append(json.loads(line))
    except ConnectionError:
        pass
    writer.close()
    return replies


def test_a_request_is_answered_and_a_refusal_is_a_mistake_of_the_users(tmp_path: Path) -> None:
    path = tmp_path / "net.sock"

    async def scenario() -> None:
        async with ControlServer(path, echo):
            reply = await asyncio.to_thread(ask, path, {"verb": "tips"})
            assert reply == {"said": "done", "result": {"verb": "tips"}}
            with pytest.raises(UserError, match=r"^no such thing$"):
                await asyncio.to_thread(ask, path, {"verb": "refuse"})
            with pytest.raises(UserError, match=r"^it took too long$"):
                await asyncio.to_thread(ask, path, {"verb": "late"})
        assert not path.exists()

    asyncio.run(scenario())


def test_several_requests_of_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    path = tmp_path / "net.sock"

    async def scenario() -> None:
        async with ControlServer(path, echo):
            lines = b"".join(b'{"n": %d}\n' % number for number in range(100))
            replies = await exchange(path, *(lines[at : at + 7] for at in range(0, len(lines), 7)))
            assert [reply["result"]["n"] for reply in replies] == list(range(100))

    asyncio.run(scenario())


def test_nobody_else_may_open_it(tmp_path: Path) -> None:
    path = tmp_path / "net.sock"

    async def scenario() -> None:
        mask = os.umask(0)
        try:
            async with ControlServer(path, echo):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
        finally:
            os.umask(mask)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"tips\n",
        b"[]\n",
        b'"tips"\n',
        b"null\n",
        b"\xff\xfe\x00\n",
        b"{" * 5_000 + b"\n",
        b"[" * 60_000 + b"\n",
        b"9" * 10_000 + b"\n",
    ],
    ids=lambda line: repr(line[:10]),
)
def test_what_is_no_request_gets_an_error_and_the_connection_stays(
    tmp_path: Path, line: bytes
) -> None:
    path = tmp_path / "net.sock"

    async def scenario() -> None:
        async with ControlServer(path, echo):
            bad, good = await exchange(path, line, b'{"verb": "tips"}\n')
            assert bad["ok"] is False and "a request looks like" in bad["error"]
            assert good["ok"] is True

    asyncio.run(scenario())


def test_a_line_without_end_is_cut_off_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "net.sock"

    async def scenario() -> None:
        async with ControlServer(path, echo):
            replies = await exchange(path, *[b"x" * 10_000] * (2 * MAX_LINE_BYTES // 10_000))
            assert [reply["ok"] for reply in replies] in ([False], [])  # it may be reset unread
            assert (await exchange(path, b"{}\n"))[0]["ok"] is True

    asyncio.run(scenario())


def test_a_half_line_and_a_client_that_leaves_hurt_nobody(tmp_path: Path) -> None:
    path = tmp_path / "net.sock"

    async def scenario() -> None:
        async with ControlServer(path, echo):
            assert await exchange(path, b'{"verb": "ti') == []
            _reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b'{"verb": "tips"}\n' * 1_000)
            writer.transport.abort()
            assert (await exchange(path, b"{}\n"))[0]["ok"] is True

    asyncio.run(scenario())


def test_too_many_connections_are_told_so_and_the_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "net.sock"

    async def scenario() -> None:
        async with ControlServer(path, echo):
            held = [await asyncio.open_unix_connection(str(path)) for _ in range(MAX_CONNECTIONS)]
            for reader, writer in held:
                writer.write(b"{}\n")
                assert json.loads(await reader.readline())["ok"] is True
            (reply,) = await exchange(path, b"{}\n")
            assert reply == {"ok": False, "error": "too many connections at once: try again later"}
            for _reader, writer in held:
                writer.close()
                await writer.wait_closed()
            await asyncio.sleep(0.05)
            assert (await exchange(path, b"{}\n"))[0]["ok"] is True

    asyncio.run(scenario())


def test_the_end_does_not_wait_for_what_never_ends(tmp_path: Path) -> None:
    path = tmp_path / "net.sock"

    async def scenario() -> None:
        async with asyncio.timeout(10), ControlServer(path, echo):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b'{"verb": "never"}\n')
            await asyncio.sleep(0.05)
        assert await reader.read() == b""
        writer.close()

    asyncio.run(scenario())


def test_the_socket_of_a_killed_process_is_replaced_and_that_of_a_living_one_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "net.sock"
    script = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]);"
        " s.listen(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert path.exists()

    async def scenario() -> None:
        async with ControlServer(path, echo):
            with pytest.raises(UserError, match="another network is steered at"):
                async with ControlServer(path, echo):
                    pass
            assert (await exchange(path, b"{}\n"))[0]["ok"] is True

    asyncio.run(scenario())


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.sock"
    path.write_text("mine")

    async def scenario() -> None:
        async with ControlServer(path, echo):
            pass

    with pytest.raises(UserError, match="is there, and no socket of drystone's"):
        asyncio.run(scenario())
    assert path.read_text() == "mine"


@pytest.mark.parametrize("where", ["missing/net.sock", "x" * 120 + ".sock"])
def test_a_place_that_can_not_be_had_is_told(tmp_path: Path, where: str) -> None:
    async def scenario() -> None:
        async with ControlServer(tmp_path / where, echo):
            pass

    with pytest.raises(UserError, match="control socket"):
        asyncio.run(scenario())


def test_nobody_there_is_a_mistake_with_a_way_out(tmp_path: Path) -> None:
    for path in (tmp_path / "none.sock", tmp_path / ("x" * 200)):
        with pytest.raises(UserError, match=r"no network answers at .*start one with"):
            ask(path, {"verb": "tips"})


@pytest.mark.parametrize(
    "answer", [b"hello\n", b"[]\n", b'{"ok": 3}\n', b"[" * 100_000 + b"\n", b"cut", b""]
)
def test_an_answer_that_is_none_of_ours_is_told(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "other.sock"

    async def scenario() -> None:
        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            writer.close()

        async with await asyncio.start_unix_server(serve, path=str(path)):
            with pytest.raises(UserError, match="no network"):
                await asyncio.to_thread(ask, path, {"verb": "tips"})

    asyncio.run(scenario())


def test_who_does_not_answer_is_not_waited_for_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "deaf.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        with pytest.raises(UserError, match=r"does not answer within 0.1 s"):
            ask(path, {"verb": "tips"}, limit_s=0.1)
