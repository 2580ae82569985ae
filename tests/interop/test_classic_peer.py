"""Our node and a hand-written peer understand each other byte for byte."""

import ast
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.interop import tutorial_peer as tutorial
from tests.interop.tutorial_peer import GENESIS, Peer
from tests.support.processes import LOOPBACK, PATIENCE_S, Drystone, free_udp_ports, wait_until

MINES_NEVER = ("--listen", "0.05", "--nonces", "1")
MINES_FAST = ("--listen", "0.05", "--nonces", "20000")
FIRST_HASH = "000071e6ff5b358e57339b42d45b20acc0f112c218fa435b3ffa8f239b777347"


def first_chain(port: int) -> bytes:
    """Genesis and the issue's first block."""
    return tutorial.mine(GENESIS, 1_634_700_600, port)


def start(tmp_path: Path, ports: tuple[int, ...], *options: str) -> Drystone:
    return Drystone("classic", "node", ports[0], *options, cwd=tmp_path, ports=ports)


def listens(process: Drystone) -> None:
    """Wait until the node is there; its first line says so, and its socket is bound by then."""
    wait_until(lambda: process.err, process, why="listening")


def received(peer: Peer, process: Drystone) -> bytes:
    try:
        return peer.receive(PATIENCE_S)
    except TimeoutError:
        raise AssertionError(f"nothing was broadcast\n{process.output()}") from None


def test_the_peer_has_no_code_of_ours() -> None:
    source = Path(tutorial.__file__).read_text(encoding="utf-8")
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else name.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported <= sys.stdlib_module_names


def test_the_peer_knows_the_issues_vectors() -> None:
    assert tutorial.block_hash(GENESIS).hex() == (
        "00001ff58495c3dc2a1aaa69ebca4e9b3e05e63e5a319fb73bcdccbcdbba1e72"
    )
    chain = first_chain(8000)
    assert tutorial.block_hash(tutorial.check(chain)[1]).hex() == FIRST_HASH
    assert chain[75:][38:70] == (58_768).to_bytes(32, "big")


def test_our_node_copies_a_chain_that_the_peer_has_mined(tmp_path: Path) -> None:
    ports = free_udp_ports(2)
    with Peer(LOOPBACK, ports[1]) as peer, start(tmp_path, ports, *MINES_NEVER) as process:
        listens(process)
        chain = first_chain(peer.port)
        peer.send(ports[0], chain)
        copy = f"COPY block 1: {FIRST_HASH}!"
        wait_until(lambda: copy in process.out, process, why=copy)
        chain = tutorial.mine(chain, int(time.time()), peer.port)
        peer.send(ports[0], chain)
        copy_2 = f"COPY block 2: {tutorial.block_hash(tutorial.split(chain)[2]).hex()}!"
        wait_until(lambda: copy_2 in process.out, process, why=copy_2)
        at = process.out.index(copy_2)
        wait_until(lambda: len(process.out) > at + 2, process, why="a turn after the sleep")
        assert process.out[process.out.index(copy) + 1] == (
            f"SLEEP for {(ports[0] + 2) % 3 + 1} seconds..."
        )
        assert process.out[at + 1] == f"SLEEP for {(ports[0] + 3) % 3 + 1} seconds..."
        assert process.out[at + 2] == "TRY up to 0..."
        assert process.end() == 0
        assert process.err[-1].startswith("ended at block 2: ")


def test_our_node_mines_and_the_peer_validates_every_byte(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    began = int(time.time())
    with (
        Peer(LOOPBACK, ports[1]) as peer,
        Peer(LOOPBACK, ports[2]) as other,
        start(tmp_path, ports, *MINES_FAST) as process,
    ):
        chain = GENESIS
        for height in (1, 2, 3):
            longer = received(peer, process)
            assert received(other, process) == longer
            assert longer.startswith(chain) and len(longer) == len(chain) + 75
            chain = longer
            block = tutorial.check(chain)[height]
            assert tutorial.transactions_of(block) == [(0, ports[0])]
            assert began <= tutorial.timestamp_of(block) <= int(time.time())
            line = f"CREATE block {height}: {tutorial.block_hash(block).hex()}!"
            wait_until(lambda: line in process.out, process, why=line)  # noqa: B023


def test_each_builds_on_the_others_blocks(tmp_path: Path) -> None:
    ports = free_udp_ports(2)
    calmly = ("--listen", "0.05", "--nonces", "5000")
    with Peer(LOOPBACK, ports[1]) as peer, start(tmp_path, ports, *calmly) as process:
        listens(process)
        for _ in range(20):  # the node may be ahead of us: then it ignores ours, and we go on
            chain = tutorial.mine(received(peer, process), int(time.time()), peer.port)
            peer.send(ports[0], chain)
            tip = tutorial.block_hash(tutorial.split(chain)[-1]).hex()
            longer = received(peer, process)
            miners = [tutorial.transactions_of(block)[0][1] for block in tutorial.check(longer)]
            if longer.startswith(chain):
                assert any(line.endswith(f": {tip}!") for line in process.out)
                break
        else:
            pytest.fail(f"our node never built on the peer's block\n{process.output()}")
        assert miners[-2:] == [peer.port, ports[0]]


def hostile_datagrams(good: bytes) -> dict[str, bytes]:
    """By the reason for which each must be refused. good: a chain of three blocks."""
    blocks = tutorial.split(good)
    worthless = bytearray(blocks[1])
    worthless[40] ^= 1
    junk = b"".join(tutorial.sha256d(bytes([n % 256, n // 256])) for n in range(288))
    return {
        "empty-datagram": b"",
        "empty-block": b"\0",
        "truncated-block": good[:-1],
        "trailing-bytes": good + b"\7",
        "bad-tx-count": good[:-5] + b"\2" + good[-4:],
        "foreign-genesis": good[75:],
        "bad-pow": blocks[0] + bytes(worthless) + blocks[2],
        "bad-prevhash": blocks[0] + blocks[2] + blocks[1],
        "not-longer": blocks[0] + blocks[1],
        "": junk,
        "datagram-too-large": good * 50,
    }


def ignored(lines: list[str]) -> int:
    """How many datagrams were ignored, by either output."""
    return sum(line.startswith(("IGNORE blockchain...", "ignored: ")) for line in lines)


def test_hostile_datagrams_change_nothing(tmp_path: Path) -> None:
    ports = free_udp_ports(2)
    with Peer(LOOPBACK, ports[1]) as peer, start(tmp_path, ports, *MINES_NEVER) as process:
        listens(process)
        first = first_chain(peer.port)
        good = tutorial.mine(first, 1_700_000_000, peer.port)
        peer.send(ports[0], first)
        wait_until(lambda: any("COPY" in line for line in process.out), process, why="a copy")
        hostile = hostile_datagrams(good)
        assert len(hostile[""]) == 9216
        for count, (reason, data) in enumerate(hostile.items(), start=1):
            peer.send(ports[0], data)
            for lines in (process.out, process.err):
                wait_until(
                    lambda: ignored(lines) == count,  # noqa: B023
                    process,
                    why=f"ignoring {reason}",
                )
            assert process.err[-1].startswith(f"ignored: {reason}")
        assert sum("COPY" in line for line in process.out) == 1
        # It mines on where it was, and still takes what is good.
        tries = len(process.out)
        wait_until(
            lambda: any(line.startswith("TRY") for line in process.out[tries:]),
            process,
            why="another turn",
        )
        peer.send(ports[0], good)
        wait_until(
            lambda: any("COPY block 2: " in line for line in process.out), process, why="a copy"
        )
        assert process.end() == 0


def test_a_flood_does_not_stop_mining(tmp_path: Path) -> None:
    ports = free_udp_ports(2)
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            for _ in range(20):
                peer.send(ports[0], b"junk")
            stop.wait(0.001)

    with Peer(LOOPBACK, ports[1]) as peer, start(tmp_path, ports, *MINES_NEVER) as process:
        listens(process)
        flooding = threading.Thread(target=flood)
        flooding.start()
        try:
            wait_until(
                lambda: process.out.count("IGNORE blockchain...") > 200, process, why="the flood"
            )
            turns = sum(line.startswith("TRY") for line in process.out)
            wait_until(
                lambda: sum(line.startswith("TRY") for line in process.out) > turns + 5,
                process,
                why="turns in the flood",
            )
            chain = first_chain(peer.port)
            copied = False
            while not copied:  # in a flood some are lost
                peer.send(ports[0], chain)
                stop.wait(0.02)
                copied = f"COPY block 1: {FIRST_HASH}!" in process.out
        finally:
            stop.set()
            flooding.join()
        assert process.end() == 0


def test_the_basic_node_speaks_and_hears_three_bytes(tmp_path: Path) -> None:
    ports = free_udp_ports(2)
    with (
        Peer(LOOPBACK, ports[1]) as peer,
        Drystone(
            "classic", "hello", ports[0], "--listen", "0.05", cwd=tmp_path, ports=ports
        ) as process,
    ):
        message = received(peer, process)
        assert len(message) == 3 and int.from_bytes(message[:2], "big") == ports[0]
        assert 1 <= message[2] <= 9
        said = f"SELF {ports[0]} sleep for {message[2]} seconds..."
        wait_until(lambda: process.out, process, why=said)
        assert process.out == [said]
        peer.send(ports[0], b"\0")
        peer.send(ports[0], peer.port.to_bytes(2, "big") + b"\5")
        heard = f"OTHER {peer.port} sleep for 5 seconds..."
        wait_until(lambda: heard in process.out, process, why=heard)
        wait_until(
            lambda: "ignored: 1 bytes, a message has 3" in process.err, process, why="a refusal"
        )
        assert process.end() == 0
