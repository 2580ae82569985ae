"""A user's mistake is one line that says what is wrong and how to mend it, and status 2."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import run_main
from tests.support.processes import PATIENCE_S, command, environment, free_udp_ports

LOOPBACK = "127.0.0.1"


def complaint(*arguments: str | int, cwd: Path, **environ: str) -> str:
    """The one line that a mistaken command prints."""
    outcome = run_main(*arguments, cwd=cwd, **environ)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.endswith("\n")
    line = outcome.err.removesuffix("\n")
    assert line and "\n" not in line and "Traceback" not in line
    return line


@pytest.mark.parametrize("arguments", [("classic", "node"), ("classic", "hello")])
def test_a_port_in_use(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, 0))
        port = taken.getsockname()[1]
        line = complaint(*arguments, port, cwd=tmp_path, NODE_PORTS=f"{port},1")
    assert line == (
        f"drystone: can't listen on UDP 127.0.0.1:{port}: the port is in use; end the program"
        " that has it, or choose other ports"
    )


@pytest.mark.parametrize("arguments", [("classic", "up"), ("classic", "up", "--plain")])
def test_one_port_in_use_of_three_and_the_others_are_given_back(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ports = free_udp_ports(3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, ports[2]))
        line = complaint(*arguments, cwd=tmp_path, NODE_PORTS=",".join(map(str, ports)))
        assert f"127.0.0.1:{ports[2]}: the port is in use" in line
        for port in ports[:2]:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((LOOPBACK, port))


@pytest.mark.parametrize("command_name", ["node", "hello"])
def test_a_port_that_is_not_among_the_nodes_ports(tmp_path: Path, command_name: str) -> None:
    assert complaint("classic", command_name, 7001, cwd=tmp_path) == (
        "drystone: port 7001 is not among the nodes' ports (7000, 8000, 9000); choose one of them,"
        " or name yours in NODE_PORTS"
    )


@pytest.mark.parametrize(
    "arguments", [("classic", "node", 7000), ("classic", "hello", 7000), ("classic", "up")]
)
def test_an_address_that_is_not_of_this_machine(
    tmp_path: Path, arguments: tuple[str | int, ...]
) -> None:
    line = complaint(*arguments, cwd=tmp_path, NODE_IP="192.0.2.1")
    assert line.startswith("drystone: can't listen on UDP 192.0.2.1:7000: the address is not of")


@pytest.mark.parametrize(
    "arguments", [("classic", "node", 7000), ("classic", "hello", 7000), ("classic", "up")]
)
def test_an_unreadable_dotenv(tmp_path: Path, arguments: tuple[str | int, ...]) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"NODE_IP=\xff\n")
    assert complaint(*arguments, cwd=tmp_path).startswith(f"drystone: can't read {dotenv}: ")
    dotenv.write_text("NODE_IP='127.0.0.1\n", encoding="utf-8")
    assert complaint(*arguments, cwd=tmp_path).startswith(f"drystone: can't read {dotenv}: ")
    dotenv.unlink()
    dotenv.mkdir()
    assert complaint(*arguments, cwd=tmp_path).startswith(f"drystone: can't read {dotenv}: ")


@pytest.mark.parametrize("address", ["255.255.255.255", "224.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("name", ["node", "hello", "up"])
def test_an_address_that_is_no_machines(tmp_path: Path, name: str, address: str) -> None:
    (port,) = free_udp_ports(1)
    arguments = (name,) if name == "up" else (name, port)
    line = complaint("classic", *arguments, cwd=tmp_path, NODE_IP=address, NODE_PORTS=str(port))
    assert line == (
        f"drystone: can't listen on UDP {address}:{port}: not the address of one machine;"
        " 127.0.0.1 always is"
    )


def test_a_dotenv_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    ended = subprocess.run(
        command("node"),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"drystone: can't read {tmp_path / '.env'}: a pipe, not a file; mend it or take it away\n"
    )


def test_bad_ports_in_the_environment_and_in_a_dotenv(tmp_path: Path) -> None:
    line = complaint("node", cwd=tmp_path, NODE_PORTS="7000,seven")
    assert line.startswith("drystone: NODE_PORTS is '7000,seven': give different ports from 1 to")
    (tmp_path / ".env").write_text("NODE_PORTS=0\n", encoding="utf-8")
    assert complaint("node", cwd=tmp_path).startswith("drystone: NODE_PORTS is '0': ")


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "1e9", "soon", ""])
@pytest.mark.parametrize("arguments", [("node", 7000), ("hello", 7000), ("up",)])
def test_a_listening_time_that_is_none(
    tmp_path: Path, arguments: tuple[str | int, ...], value: str
) -> None:
    line = complaint("classic", *arguments, f"--listen={value}", cwd=tmp_path)
    assert line.startswith(f"drystone classic {arguments[0]}: Invalid value for '--listen': ")
    assert line.endswith(f" See `drystone classic {arguments[0]} --help`.")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "nan", "many", str((1 << 32) + 1)])
@pytest.mark.parametrize("arguments", [("node", 7000), ("up",)])
def test_a_number_of_nonces_that_is_none(
    tmp_path: Path, arguments: tuple[str | int, ...], value: str
) -> None:
    line = complaint("classic", *arguments, f"--nonces={value}", cwd=tmp_path)
    assert line.startswith(f"drystone classic {arguments[0]}: Invalid value for '--nonces': ")


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "7000.0", ""])
def test_a_port_that_is_none(tmp_path: Path, port: str) -> None:
    line = complaint("classic", "node", "--", port, cwd=tmp_path)
    assert line.startswith("drystone classic node: Invalid value for 'PORT': ")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("classic", "node"), "drystone classic node: Missing argument 'PORT'."),
        (("classic", "nod"), "drystone classic: No such command 'nod'."),
        (("nothing",), "drystone: No such command 'nothing'."),
        (("--nothing",), "drystone: No such option"),
        (("classic", "node", 7000, 8000), "drystone classic node: Got unexpected extra argument"),
        (("up", "7000"), "drystone up: Got unexpected extra argument"),
        (("up", "--plan"), "drystone up: No such option"),
        (("up", "--nodes"), "drystone: Option '--nodes' requires an argument"),
    ],
)
def test_a_command_line_that_makes_no_sense(
    tmp_path: Path, arguments: tuple[str | int, ...], wanted: str
) -> None:
    line = complaint(*arguments, cwd=tmp_path)
    assert line.startswith(wanted)
    assert line.endswith(" --help`.")


@pytest.mark.parametrize(
    "arguments", [("classic", "node", 7000), ("classic", "up"), ("up",), ("bench", "hash")]
)
def test_a_kernel_variant_that_there_is_not(
    tmp_path: Path, arguments: tuple[str | int, ...]
) -> None:
    line = complaint(*arguments, cwd=tmp_path, DRYSTONE_KERNEL="abacus")
    assert line.startswith("drystone: no kernel variant 'abacus' (DRYSTONE_KERNEL) here; ")


def test_a_mistake_is_one_line_and_status_2_in_a_process_of_its_own(tmp_path: Path) -> None:
    ended = subprocess.run(
        command("classic", "node", 7001),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("drystone: port 7001 is not among the nodes' ports")
    assert ended.stderr.count("\n") == 1


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = (
        "import os, sys; os.rmdir(os.getcwd());"
        " sys.argv = ['drystone', 'classic', 'node', '7000'];"
        " from drystone.cli.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=gone,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "drystone: the current folder is gone; change into one that exists\n"


@pytest.mark.parametrize("arguments", [("--help",), ("classic",), ("up", "--help"), ("--version",)])
def test_a_full_disk_under_the_output(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=PATIENCE_S,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr == "drystone: can't write the output: No space left on device\n"
