"""Real processes over real UDP on loopback: three terminals' worth, and `up` in one."""

import re
import time
from contextlib import ExitStack
from pathlib import Path

from tests.interop import tutorial_peer as tutorial
from tests.interop.tutorial_peer import Peer
from tests.support.processes import LOOPBACK, Drystone, free_udp_ports, wait_until

TIP = re.compile(r"(CREATE|COPY) block (\d+): ([0-9a-f]{64})!")
QUICK = ("--listen", "0.05", "--nonces", "8000")

# A node's latest tip: how it got it, its height, its hash.
Tip = tuple[str, int, str]


def tip_of(lines: list[str]) -> Tip | None:
    """The latest that a node's lines tell."""
    for line in reversed(lines):
        if match := TIP.fullmatch(line):
            return match[1], int(match[2]), match[3]
    return None


def converged(nodes: list[list[str]], *, height: int) -> bool:
    """Whether all hold one chain: one created its tip, and the others copied it from that one.

    Equal hashes alone would not do: twins share theirs. A hash that just one node has created is
    one chain's, byte for byte.
    """
    tips = [tip for lines in nodes if (tip := tip_of(lines)) is not None]
    if len(tips) < len(nodes) or len({tip[1:] for tip in tips}) != 1 or tips[0][1] < height:
        return False
    created = f"CREATE block {tips[0][1]}: {tips[0][2]}!"
    return sorted(tip[0] for tip in tips) == ["COPY"] * (len(nodes) - 1) + ["CREATE"] and (
        sum(created in lines for lines in nodes) == 1
    )


def test_three_processes_mine_broadcast_and_converge(tmp_path: Path) -> None:
    *ports, watching = free_udp_ports(4)
    places = (*ports, watching)
    with ExitStack() as running:
        peer = running.enter_context(Peer(LOOPBACK, watching))
        nodes = [
            running.enter_context(
                Drystone("classic", "node", port, *QUICK, cwd=tmp_path, ports=places)
            )
            for port in ports
        ]
        wait_until(
            lambda: converged([node.out for node in nodes], height=4), *nodes, why="convergence"
        )
        for node in nodes:
            node.interrupt()
        assert [node.wait() for node in nodes] == [0, 0, 0]
        # All that was broadcast is the tutorial's, byte for byte, and what was printed is true.
        created = {line for node in nodes for line in node.out if line.startswith("CREATE")}
        heard = set()
        for _ in created:
            blocks = tutorial.check(peer.receive(10))
            heard.add(f"CREATE block {len(blocks) - 1}: {tutorial.block_hash(blocks[-1]).hex()}!")
            miners = [tutorial.transactions_of(block)[0][1] for block in blocks[1:]]
            assert set(miners) <= set(ports)
        assert heard <= created


def test_a_node_that_comes_late_catches_up(tmp_path: Path) -> None:
    ports = free_udp_ports(2)
    with Drystone("classic", "node", ports[0], *QUICK, cwd=tmp_path, ports=ports) as early:
        wait_until(lambda: (tip_of(early.out) or ("", 0, ""))[1] >= 3, early, why="three blocks")
        hardly = ("--listen", "0.05", "--nonces", "1")  # so it finds nothing before it hears
        with Drystone("classic", "node", ports[1], *hardly, cwd=tmp_path, ports=ports) as late:
            wait_until(
                lambda: converged([early.out, late.out], height=4), early, late, why="convergence"
            )
            first = next(line for line in late.out if TIP.fullmatch(line))
            match = TIP.fullmatch(first)
            assert match is not None and match[1] == "COPY" and int(match[2]) >= 4
            assert (early.end(), late.end()) == (0, 0)


def test_up_mines_several_blocks_converges_and_ends_cleanly(tmp_path: Path) -> None:
    ports = free_udp_ports(3)

    def lines_of(port: int) -> list[str]:
        start = f"{port} "
        return [line.removeprefix(start) for line in process.out if line.startswith(start)]

    with Drystone("classic", "up", "--plain", *QUICK, cwd=tmp_path, ports=ports) as process:
        wait_until(
            lambda: converged([lines_of(port) for port in ports], height=5),
            process,
            why="convergence",
        )
        began = time.monotonic()
        assert process.end() == 0
        assert time.monotonic() - began < 15
        summary = next(line for line in process.err if line.startswith("ended after "))
        assert re.search(r"at block ([5-9]|\d\d+) \(", summary)
        assert "Traceback" not in process.output() and "Warning" not in process.output()
