"""`drystone up` as a process of its own, in a terminal and without one, and `drystone net`."""

import json
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.support.cli import run_main
from tests.support.processes import Drystone, command, environment, wait_until
from tests.support.steering import events, net, net_json, runtime, wait_for_event
from tests.support.terminal import Terminal

CTRL_C = b"\x03"
# On regtest every second hash is a block: at these rates, one every two seconds or so.
MINING = ("--chain", "regtest", "--hashrate", 1)
BY_HAND = ("--chain", "regtest")


def up(folder: Path, *arguments: str | int) -> Drystone:
    return Drystone("up", *arguments, cwd=folder, env=runtime(folder))


def terminal_of(folder: Path, *arguments: str | int, rows: int = 40) -> Terminal:
    return Terminal("up", *arguments, cwd=folder, ports=(1,), rows=rows, env=runtime(folder))


def test_keys_cut_mine_heal_and_end_the_network(tmp_path: Path) -> None:
    with terminal_of(tmp_path, *BY_HAND) as terminal:
        terminal.wait_until(lambda text: "links  n0 ── n1   n1 ── n2   n0 ── n2" in text, why="up")
        assert "drystone up: 3 full nodes of regtest over TCP, in memory" in terminal.text
        terminal.wait_until(lambda text: "everybody knows these accounts' keys" in text, why="keys")
        terminal.wait_until(lambda text: "q quit ─" in text, why="the foot of the frame")
        assert terminal.cursor_is_hidden()
        terminal.press(b"p")
        terminal.wait_until(lambda text: "n0 ─✂─ n1   n1 ── n2   n0 ─✂─ n2" in text, why="the cut")
        terminal.press(b"m2mm")
        terminal.wait_until(
            lambda text: (
                re.search(r"blocks  ·  2  2   n1 n2", text) and re.search(r"╰─ 0      n0", text)
            ),
            why="two branches",
        )
        terminal.press(b":send alice\r")
        terminal.wait_until(lambda text: "usage: send FROM TO AMOUNT" in text, why="a complaint")
        terminal.press(b"h")
        terminal.wait_until(lambda text: "all agree, 1 stale" in text, why="agreement")
        terminal.wait_until(
            lambda text: "REORG at 0: 1 block gives way to 2" in text, why="a reorg"
        )
        terminal.press(b"?")
        terminal.wait_until(lambda text: "partition: cut between" in text, why="help")
        terminal.press(b"q")
        assert terminal.wait() == 0
        assert not terminal.cursor_is_hidden()
        assert "Traceback" not in terminal.raw
        after = terminal.text[terminal.text.index("ended after") :].splitlines()
        assert re.match(r"ended after \d+ s at block 2 \(.*\): all agree, 1 stale block", after[0])
        assert [line.split()[0] for line in after[1:4]] == ["n0", "n1", "n2"]
        assert after[4].startswith("next: `drystone node --port 7000`")


def test_ctrl_c_ends_the_view_with_a_summary_and_impatience_costs_nothing(tmp_path: Path) -> None:
    with terminal_of(tmp_path, "--hashrate", 100_000) as terminal:
        terminal.wait_until(lambda text: "mined reorgs" in text, why="a frame")
        terminal.wait_until(lambda text: re.search(r"block 121 ", text), why="blocks of local")
        terminal.press(CTRL_C * 4)
        assert terminal.wait() == 0
        assert "ended after" in terminal.text and "^C" not in terminal.raw
        assert terminal.text.count("hashes/s mined reorgs") == 1  # the last frame stays, once
    assert not list(tmp_path.glob("drystone/*"))


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (8, 3)])
def test_narrow_and_short_terminals_are_fine(tmp_path: Path, columns: int, rows: int) -> None:
    with Terminal(
        "up", *MINING, cwd=tmp_path, ports=(1,), columns=columns, rows=rows, env=runtime(tmp_path)
    ) as terminal:
        terminal.wait_until(lambda _: terminal.raw.count("╭") > 5, why="some frames")
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.raw


def test_another_terminal_steers_it_and_json_has_it_all(tmp_path: Path) -> None:
    with up(tmp_path, *BY_HAND, "--json") as process:
        ready = wait_for_event(process, "ready")
        assert list(ready["nodes"]) == ["n0", "n1", "n2"] and ready["chain"] == "regtest"
        control = Path(ready["control"])
        assert stat.S_IMODE(control.stat().st_mode) == 0o600
        assert json.loads(Path(ready["ready"]).read_text())["addresses"] == ready["nodes"]
        assert net(tmp_path, "partition", "n0").out == "cut: n0 | n1 n2\n"
        lost = net_json(tmp_path, "mine", "n0")["hashes"]
        kept = net_json(tmp_path, "mine", "n1", 2)["hashes"]
        net(tmp_path, "wait", "n1", "n2")
        assert net_json(tmp_path, "tips")["agreed"] is False
        assert "─ 0" in net(tmp_path, "tree").out
        assert net(tmp_path, "heal").status == 0
        assert net_json(tmp_path, "wait")["tips"]["n0"]["hash"] == kept[-1]
        reorg = wait_for_event(process, "reorg")
        assert (reorg["node"], reorg["disconnected"], reorg["hash"]) == ("n0", 1, kept[-1])
        assert net_json(tmp_path, "reorg", 2)["lost"] not in (lost[0], kept[-1])
        assert {order["verb"] for order in events(process, "order")} == {
            "partition",
            "mine",
            "heal",
            "reorg",
        }
        assert process.end() == 0
        ended = events(process, "ended")[0]
        assert ended["agreed"] is True and ended["height"] == 5
        assert all(json.loads(line) for line in process.out)
    assert not control.exists()
    outcome = net(tmp_path, "tips")
    assert (
        outcome.status == 2 and "no network runs here: start one with `drystone up`" in outcome.err
    )


def test_it_says_at_once_what_it_does_where_it_listens_and_what_to_type_next(
    tmp_path: Path,
) -> None:
    with up(tmp_path, "--hashrate", 300_000) as process:
        wait_until(lambda: any("steer it" in line for line in process.err), process, why="hints")
        assert process.err[0] == (
            "drystone up: 3 full nodes of local over TCP, in memory; Ctrl-C ends it"
        )
        text = "\n".join(process.err)
        assert re.search(r"listening: n0 127\.0\.0\.1:\d+, n1 127\.0\.0\.1:\d+, n2 ", text)
        assert re.search(r"alice +dry1q\w+ +[\d,]+ BTC", text)
        assert "everybody knows these accounts' keys: never pay them anything of worth" in text
        assert "`drystone net status`" in text
        wait_until(
            lambda: any("block 120 " in line for line in process.out), process, why="a block"
        )
        assert re.match(r" +\d+\.\d s  n\d  ", process.out[0])
        assert process.end() == 0
        assert any(line.startswith("ended after ") for line in process.err)


def test_nodes_with_a_data_directory_go_on_after_a_kill(tmp_path: Path) -> None:
    arguments = (*BY_HAND, "--datadir", str(tmp_path / "kept"), "--json")
    with up(tmp_path, *arguments) as process:
        wait_for_event(process, "ready")
        tip = net_json(tmp_path, "mine", "n0", 5)["hashes"][-1]
        net(tmp_path, "wait")
        process.interrupt(signal.SIGKILL)
        process.wait()
    assert (tmp_path / "drystone" / "up.json").exists()
    with up(tmp_path, *arguments) as process:
        assert wait_for_event(process, "ready")["ready"].endswith("/up.json")
        tips = net_json(tmp_path, "tips")["tips"]
        assert {one["hash"] for one in tips.values()} == {tip}
        assert process.end() == 0


def test_two_networks_at_once_are_told_apart(tmp_path: Path) -> None:
    with up(tmp_path, *BY_HAND, "--json") as one, up(tmp_path, *BY_HAND, "--json") as other:
        names = [Path(wait_for_event(process, "ready")["ready"]).stem for process in (one, other)]
        outcome = net(tmp_path, "tips")
        assert outcome.status == 2
        assert "several networks run here: say which, as --ready " in outcome.err
        for process, name in zip((one, other), names, strict=True):
            assert net(tmp_path, "--ready", name, "mine", "n0").status == 0
            wait_for_event(process, "order")
        assert one.end() == other.end() == 0


def test_a_ready_file_of_ones_own(tmp_path: Path) -> None:
    ready = tmp_path / "my network.json"
    with up(tmp_path, *BY_HAND, "--json", "--ready", str(ready)) as process:
        wait_for_event(process, "ready")
        assert net(tmp_path, "--ready", str(ready), "heal").status == 0
        second = up(tmp_path, *BY_HAND, "--ready", str(ready))
        with second:
            assert second.wait() == 2
            assert len(second.err) == 2  # what it does, and why not
            assert "another network is steered at" in second.err[1]
        assert process.end() == 0
    assert not ready.exists()


def test_without_a_place_for_the_ready_file_it_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "drystone").write_text("in the way")
    with up(tmp_path, *BY_HAND) as process:
        wait_until(
            lambda: any("no other terminal can steer this network" in line for line in process.err),
            process,
            why="a complaint",
        )
        assert process.end() == 0


def test_hostile_input_to_the_socket_does_not_hurt_the_network(tmp_path: Path) -> None:
    with up(tmp_path, *BY_HAND, "--json") as process:
        control = wait_for_event(process, "ready")["control"]
        for line in (b"\x00" * 100 + b"\n", b"[" * 50_000 + b"\n", b"x" * 1_000_000, b""):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(control)
                try:
                    sock.sendall(line)
                    sock.settimeout(5)
                    if line.endswith(b"\n"):
                        assert b'"ok": false' in sock.recv(1_000)
                except ConnectionError:
                    pass
        assert net(tmp_path, "mine", "n0").status == 0
        assert process.end() == 0


def test_seeds_nodes_and_topologies_are_chosen(tmp_path: Path) -> None:
    with up(tmp_path, *BY_HAND, "--nodes", 6, "--topology", "star", "--json") as process:
        wait_for_event(process, "ready")
        links = net_json(tmp_path, "status")["links"]
        assert [(link["one"], link["other"], link["state"]) for link in links] == [
            ("n0", f"n{number}", "up") for number in range(1, 6)
        ]
        assert process.end() == 0


def test_a_network_file_says_it_all(tmp_path: Path) -> None:
    file = tmp_path / "network.toml"
    file.write_text('chain = "regtest"\n[[node]]\nname = "north"\n[[node]]\nname = "south"\n')
    with up(tmp_path, "--topology", str(file), "--json") as process:
        assert list(wait_for_event(process, "ready")["nodes"]) == ["north", "south"]
        assert process.end() == 0


def test_it_is_ready_soon(tmp_path: Path) -> None:
    with up(tmp_path, "--json") as process:
        wait_for_event(process, "ready")
        assert process.first_line_s is not None and process.first_line_s < 30  # far beyond; no hang
        began = time.monotonic()
        assert process.end() == 0
        assert time.monotonic() - began < 30


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    line = " ".join(command("up", *BY_HAND, "--plain", "--hashrate", "20"))
    ended = subprocess.run(
        ["bash", "-c", f"{line} | head -n 3; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=environment(None, **runtime(tmp_path)),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.glob("drystone/*"))


def test_a_data_directory_in_use_is_told(tmp_path: Path) -> None:
    arguments = (*BY_HAND, "--nodes", 1, "--datadir", str(tmp_path / "kept"))
    with up(tmp_path, *arguments, "--json") as process:
        wait_for_event(process, "ready")
        with up(tmp_path, *arguments) as second:
            assert second.wait() == 2
            assert len(second.err) == 2 and str(tmp_path / "kept") in second.err[1]
        assert process.end() == 0


def announce_only(work: Coroutine[None, None, None], *, announce: Callable[[], None]) -> None:
    announce()
    work.close()


@pytest.mark.parametrize("arguments", [("up",), ("node",)])
@pytest.mark.parametrize("native", [True, False])
def test_mining_without_a_compiler_is_said_once_with_the_way_out(
    tmp_path: Path, arguments: tuple[str, ...], *, native: bool
) -> None:
    with (
        patch("drystone.cli.run.native_available", lambda: native),
        patch("drystone.cli.hosting.run_until_interrupted", announce_only),
    ):
        outcome = run_main(*arguments, cwd=tmp_path, **runtime(tmp_path))
    assert outcome.status == 0
    assert outcome.err.count("install a C compiler") == (not native)
