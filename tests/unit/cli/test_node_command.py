"""`drystone node`: nodes in terminals of their own that find each other."""

import json
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

from tests.support.cli import run_main
from tests.support.processes import LOOPBACK, Drystone, wait_until
from tests.support.steering import events, net, net_json, runtime, wait_for_event, wait_for_height

from drystone.drivers.ready import read_ready

BY_HAND = ("--chain", "regtest", "--json")


def free_tcp_ports(count: int) -> tuple[int, ...]:
    """So many different ports that nobody has: all bound at once, then given back."""
    with ExitStack() as bound:
        ports = []
        for _ in range(count):
            sock = bound.enter_context(socket.socket())
            sock.bind((LOOPBACK, 0))
            ports.append(int(sock.getsockname()[1]))
        return tuple(sorted(ports))


def node(folder: Path, ports: tuple[int, ...] | None, *arguments: str | int) -> Drystone:
    return Drystone("node", *arguments, cwd=folder, ports=ports, env=runtime(folder))


def has_peers(folder: Path, port: int, count: int) -> bool:
    (row,) = net_json(folder, "--ready", f"node-{port}", "status")["nodes"]
    return bool(row["peers"] == count)


def test_three_nodes_find_each_other_whichever_comes_first_and_follow_one_chain(
    tmp_path: Path,
) -> None:
    ports = free_tcp_ports(3)
    low, middle, high = ports
    with (
        node(tmp_path, ports, "--port", high, *BY_HAND) as third,
        node(tmp_path, ports, "--port", middle, *BY_HAND) as second,
    ):
        wait_for_event(third, "ready")
        wait_for_event(second, "ready")
        wait_until(lambda: events(third, "peer"), third, why="the first two meet")
        with node(tmp_path, ports, "--port", low, *BY_HAND) as first:
            wait_for_event(first, "peer", 2)
            for number, port in enumerate(ports, start=1):
                assert net(tmp_path, "--ready", f"node-{port}", "mine", port).status == 0
                for process in (first, second, third):
                    tip = wait_for_event(process, "tip", number)
                    assert (tip["height"], tip["miner"]) == (number, str(port))
            assert has_peers(tmp_path, low, 2) and has_peers(tmp_path, middle, 2)
            outcome = net(tmp_path, "tips")
            assert outcome.status == 2 and "several networks run here" in outcome.err
            assert [process.end() for process in (first, second, third)] == [0, 0, 0]


def test_a_dotenv_says_who_is_there(tmp_path: Path) -> None:
    low, high = free_tcp_ports(2)
    (tmp_path / ".env").write_text(f"NODE_IP={LOOPBACK}\nNODE_PORTS={low},{high}\n")
    with (
        node(tmp_path, None, "--port", low, *BY_HAND) as one,
        node(tmp_path, None, "--port", high, *BY_HAND) as other,
    ):
        assert wait_for_event(one, "peer")["name"].startswith(f"{high} at ")
        assert wait_for_event(other, "peer")["name"] == f"{LOOPBACK}:{low}"
        assert one.end() == other.end() == 0


def test_any_port_is_published_and_others_connect_to_it(tmp_path: Path) -> None:
    ready = tmp_path / "first.json"
    with node(tmp_path, None, *BY_HAND, "--ready", str(ready)) as first:
        wait_for_event(first, "ready")
        (address,) = read_ready(ready).addresses.values()
        with node(tmp_path, None, *BY_HAND, "--connect", address) as second:
            assert wait_for_event(second, "peer")["name"] == address
            name = f"node-{wait_for_event(second, 'ready')['nodes'].popitem()[1].split(':')[1]}"
            (miner,) = net_json(tmp_path, "--ready", name, "tips")["tips"]
            net(tmp_path, "--ready", name, "mine", miner, 3)
            wait_for_height(first, 3)
            assert second.end() == 0
        assert first.end() == 0


def test_a_node_is_cut_off_and_healed_by_its_own_socket(tmp_path: Path) -> None:
    ports = low, high = free_tcp_ports(2)
    with (
        node(tmp_path, ports, "--port", low, *BY_HAND) as one,
        node(tmp_path, ports, "--port", high, *BY_HAND) as other,
    ):
        wait_for_event(one, "peer")
        wait_for_event(other, "peer")
        net(tmp_path, "--ready", f"node-{high}", "partition", high)
        wait_for_event(one, "peer-left")
        net(tmp_path, "--ready", f"node-{low}", "mine", low)
        kept = net_json(tmp_path, "--ready", f"node-{high}", "mine", high, 2)["hashes"]
        net(tmp_path, "--ready", f"node-{high}", "heal")
        reorg = wait_for_event(one, "reorg")
        assert (reorg["hash"], reorg["disconnected"]) == (kept[-1], 1)
        assert one.end() == other.end() == 0


def test_blocks_are_kept_in_a_folder_and_mined_at_a_rate(tmp_path: Path) -> None:
    (port,) = free_tcp_ports(1)
    arguments = ("--port", port, "--chain", "regtest", "--datadir", tmp_path / "kept")
    words = [str(word) for word in arguments]
    with node(tmp_path, None, *words, "--hashrate", 200) as process:
        wait_until(
            lambda: any(f"of {port}" in line for line in process.out), process, why="a block"
        )
        assert process.end() == 0
    assert (tmp_path / "kept" / str(port)).is_dir()
    with node(tmp_path, None, *words, "--json") as process:
        wait_for_event(process, "ready")
        assert process.end() == 0
        assert events(process, "ended")[0]["height"] >= 1


def test_lines_for_people_say_where_it_listens_whom_it_dials_and_what_to_type(
    tmp_path: Path,
) -> None:
    ports = low, high = free_tcp_ports(2)
    with node(tmp_path, ports, "--port", high) as process:
        wait_until(lambda: any("steer it" in line for line in process.err), process, why="hints")
        assert process.err[0] == (
            f"drystone node: a full node of local over TCP, in memory, dialling {LOOPBACK}:{low};"
            " Ctrl-C ends it"
        )
        text = "\n".join(process.err)
        assert f"listening: {high} {LOOPBACK}:{high}" in text
        assert "20 s at 3,277 hashes/s" in text  # half of the chain's usual rate
        assert f"`drystone net --ready node-{high} status`" in text
        assert process.end() == 0


def complaint(folder: Path, *arguments: str | int, **environ: str) -> str:
    outcome = run_main(*arguments, cwd=folder, **{**runtime(folder), **environ})
    assert outcome.status == 2 and "Traceback" not in outcome.err
    return outcome.err.rstrip("\n").rpartition("\n")[2]


def test_a_port_that_is_taken_is_told_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments in (("node", "--port", port), ("up", "--nodes", 1, "--port", port)):
            assert complaint(tmp_path, *arguments) == (
                f"drystone: can't listen on TCP {LOOPBACK}:{port}: the port is in use; end the"
                " program that has it, or choose other ports"
            )


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"NODE_IP=\xff\n")
    assert complaint(tmp_path, "node").startswith(f"drystone: can't read {dotenv}: ")
    dotenv.unlink()
    assert "is no address" in complaint(tmp_path, "node", "--connect", "nowhere")
    assert "the address is not of this machine" in complaint(tmp_path, "node", NODE_IP="192.0.2.1")
    for chain in ("mainnet", "signet"):
        assert f"nobody can mine {chain} on this machine" in complaint(
            tmp_path, "node", "--chain", chain
        )
        assert f"nobody can mine {chain}" in complaint(tmp_path, "up", "--chain", chain)
    assert "no chain 'nix'" in complaint(tmp_path, "up", "--chain", "nix")
    assert "no topology 'cube'" in complaint(tmp_path, "up", "--topology", "cube")
    assert "leave out --nodes" in complaint(tmp_path, "up", "--topology", "x.toml", "--nodes", 2)
    (tmp_path / "x.toml").write_text("nodes = [")
    assert "x.toml" in complaint(tmp_path, "up", "--topology", "x.toml")
    (tmp_path / "file").write_text("")
    assert "datadir" in complaint(tmp_path, "up", "--datadir", "file")
    assert "kernel variant" in complaint(tmp_path, "node", DRYSTONE_KERNEL="abacus")


def test_a_ready_file_of_a_killed_process_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "drystone"
    folder.mkdir()
    gone = subprocess.Popen(["true"])
    gone.wait()
    stale = {"pid": gone.pid, "addresses": {}, "control": str(folder / "up.sock")}
    (folder / "up.json").write_text(json.dumps(stale))
    (folder / "other.json").write_text("[]")
    assert "no network runs here" in net(tmp_path, "tips").err
    assert [path.name for path in folder.iterdir()] == ["other.json"]


def test_mistakes_of_net_are_told_whether_a_network_runs_or_not(tmp_path: Path) -> None:
    assert "Missing argument 'NODE'" in complaint(tmp_path, "net", "mine")
    assert "'x' is no whole number" in complaint(tmp_path, "net", "mine", "n0", "x")
    assert "No such command 'explode'" in complaint(tmp_path, "net", "explode")
    assert "no network is ready: there is no file" in complaint(
        tmp_path, "net", "--ready", "node-7000", "tips"
    )
    assert "no network runs here" in complaint(tmp_path, "net", "tips")
