"""Commands that run until Ctrl-C: what they print where, and how they end."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.processes import (
    PATIENCE_S,
    Drystone,
    command,
    environment,
    free_udp_ports,
    wait_until,
)

TUTORIAL_LINE = re.compile(
    r"TRY up to \d+\.\.\.|(CREATE|COPY) block \d+: 0000[0-9a-f]{60}!|SLEEP for [123] seconds\.\.\."
    r"|IGNORE blockchain\.\.\."
)
SOON_S = 15.0  # a second on a quiet machine; generous, since this one may be busy
QUICK = ("--listen", "0.02", "--nonces", "5000")


def node(tmp_path: Path, *options: str | int, ports: int = 2) -> Drystone:
    chosen = free_udp_ports(ports)
    return Drystone("classic", "node", chosen[0], *options, cwd=tmp_path, ports=chosen)


def has_blocks(process: Drystone, height: int) -> bool:
    return any(f"CREATE block {height}: " in line for line in process.out)


def quiet_err(process: Drystone) -> None:
    """Nothing on standard error looks like something that broke."""
    text = "\n".join(process.err)
    assert "Traceback" not in text and "Warning" not in text and "Exception" not in text, text


# What is said, and where.


def test_a_node_says_at_once_what_it_does_and_what_to_do_next(tmp_path: Path) -> None:
    with node(tmp_path, "--listen", 3600, ports=3) as process:
        wait_until(lambda: len(process.err) >= 2, process, why="what it does")
        assert process.first_line_s is not None and process.first_line_s < SOON_S
        assert re.fullmatch(
            r"drystone classic node: listening on UDP 127\.0\.0\.1:\d+, telling ports \d+, \d+",
            process.err[0],
        )
        assert "Ctrl-C" in process.err[1] and "drystone classic node" in process.err[1]
        assert process.out == []


@pytest.mark.parametrize("arguments", [("classic", "up", "--plain"), ("classic", "up")])
def test_a_network_says_at_once_what_it_does(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ports = free_udp_ports(3)
    with Drystone(*arguments, "--listen", "3600", cwd=tmp_path, ports=ports) as process:
        wait_until(lambda: len(process.err) >= 2, process, why="what it does")
        assert process.first_line_s is not None and process.first_line_s < SOON_S
        listed = ", ".join(map(str, ports))
        assert process.err[0] == f"drystone: 3 classic nodes on UDP 127.0.0.1, ports {listed}"
        assert "Ctrl-C ends it" in process.err[1]
        assert process.out == []


def test_a_hello_node_says_at_once_what_it_does(tmp_path: Path) -> None:
    ports = free_udp_ports(2)
    with Drystone(
        "classic", "hello", ports[0], "--listen", 3600, cwd=tmp_path, ports=ports
    ) as process:
        wait_until(lambda: len(process.err) >= 2, process, why="what it does")
        assert process.first_line_s is not None and process.first_line_s < SOON_S
        assert process.err[0] == (
            f"drystone classic hello: listening on UDP 127.0.0.1:{ports[0]},"
            f" telling port {ports[1]}"
        )
        assert process.end() == 0
        quiet_err(process)


@pytest.mark.parametrize("name", ["node", "hello"])
def test_a_node_alone_tells_nobody(tmp_path: Path, name: str) -> None:
    (port,) = ports = free_udp_ports(1)
    with Drystone("classic", name, port, "--listen", 3600, cwd=tmp_path, ports=ports) as process:
        wait_until(lambda: len(process.err) >= 2, process, why="what it does")
        assert process.err[:2] == [
            f"drystone classic {name}: listening on UDP 127.0.0.1:{port}, telling nobody",
            "next: Ctrl-C ends this one",
        ]


def test_a_network_of_one_node_has_one_port(tmp_path: Path) -> None:
    (port,) = ports = free_udp_ports(1)
    with Drystone(
        "classic", "up", "--plain", "--listen", 3600, cwd=tmp_path, ports=ports
    ) as process:
        wait_until(lambda: process.err, process, why="what it does")
        assert process.err[0] == f"drystone: 1 classic node on UDP 127.0.0.1, port {port}"


def test_a_node_prints_the_tutorials_lines_and_no_others_each_as_it_happens(
    tmp_path: Path,
) -> None:
    with node(tmp_path, *QUICK) as process:
        wait_until(lambda: has_blocks(process, 2), process, why="two blocks")
        assert process.end() == 0
        assert all(TUTORIAL_LINE.fullmatch(line) for line in process.out), process.output()
        assert process.out[0] == "TRY up to 0..."
        quiet_err(process)


def test_tries_count_up_by_the_nonces_of_a_turn_and_begin_anew_after_a_block(
    tmp_path: Path,
) -> None:
    with node(tmp_path, *QUICK) as process:
        wait_until(lambda: has_blocks(process, 3), process, why="three blocks")
        process.end()
    expected, height = 0, 1
    for line in process.out:
        if line.startswith("TRY"):
            assert line == f"TRY up to {expected}..."
            expected += 5000
        else:
            assert line.startswith(f"CREATE block {height}: ")
            expected, height = 0, height + 1


def test_a_network_prints_each_line_after_its_nodes_port(tmp_path: Path) -> None:
    ports = free_udp_ports(3)
    with Drystone("classic", "up", "--plain", *QUICK, cwd=tmp_path, ports=ports) as process:
        wait_until(
            lambda: {line.split()[0] for line in process.out} == set(map(str, ports)),
            process,
            why="a line of each node",
        )
        wait_until(
            lambda: all(any(f" {w} " in line for line in process.out) for w in ("CREATE", "COPY")),
            process,
            why="a block created and one copied",
        )
        assert process.end() == 0
        for line in process.out:
            port, _, rest = line.partition(" ")
            assert int(port) in ports and TUTORIAL_LINE.fullmatch(rest), line
        quiet_err(process)


def test_where_nodes_are_may_come_from_a_dotenv_in_a_folder_above(tmp_path: Path) -> None:
    ports = free_udp_ports(2)
    (tmp_path / ".env").write_text(
        f"NODE_IP=127.0.0.1\nNODE_PORTS={ports[1]},{ports[0]}\n", encoding="utf-8"
    )
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    with Drystone("classic", "node", ports[0], "--listen", 3600, cwd=below) as process:
        wait_until(lambda: process.err, process, why="its place")
        assert process.err[0].endswith(f"127.0.0.1:{ports[0]}, telling port {ports[1]}")


def test_two_hello_nodes_hear_each_other(tmp_path: Path) -> None:
    ports = free_udp_ports(2)
    one, other = (
        Drystone("classic", "hello", port, "--listen", "0.03", cwd=tmp_path, ports=ports)
        for port in ports
    )
    with one, other:
        for process, port, friend in [(one, ports[0], ports[1]), (other, ports[1], ports[0])]:
            for start in (f"SELF {port} ", f"OTHER {friend} "):
                wait_until(
                    lambda: any(line.startswith(start) for line in process.out),  # noqa: B023
                    one,
                    other,
                    why=f"a line {start}",
                )
        assert (one.end(), other.end()) == (0, 0)
        for process in (one, other):
            assert all(
                re.fullmatch(r"(SELF|OTHER) \d+ sleep for [1-9] seconds\.\.\.", line)
                for line in process.out
            )
            quiet_err(process)


# How it ends.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_node_ends_cleanly_and_says_where_it_stood(
    tmp_path: Path, number: signal.Signals
) -> None:
    with node(tmp_path, *QUICK) as process:
        wait_until(lambda: has_blocks(process, 1), process, why="a block")
        process.interrupt(number)
        assert process.wait() == 0
        last = [line for line in process.out if line.startswith("CREATE")][-1]
        height, _, tip = last.removeprefix("CREATE block ").removesuffix("!").partition(": ")
        assert process.err[-1] == f"ended at block {height}: {tip}"
        quiet_err(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_network_ends_cleanly_with_a_summary(tmp_path: Path, number: signal.Signals) -> None:
    ports = free_udp_ports(3)
    with Drystone("classic", "up", "--plain", *QUICK, cwd=tmp_path, ports=ports) as process:
        wait_until(
            lambda: any(" COPY " in line for line in process.out), process, why="a copied block"
        )
        process.interrupt(number)
        assert process.wait() == 0
        at = next(n for n, line in enumerate(process.err) if line.startswith("ended after "))
        assert re.match(
            r"ended after \d+ s at block \d+ \(0000[0-9a-f]{12}\.\.\.\): ", process.err[at]
        )
        *rows, after = process.err[at + 1 :]
        assert after == (
            f"next: `drystone classic node {ports[0]}` runs one of them in a terminal of its own;"
            " `drystone --help` shows the rest"
        )
        assert [row.split(":")[0].strip() for row in rows] == [str(port) for port in ports]
        for port, row in zip(ports, rows, strict=True):
            for word, did in (("CREATE", "created"), ("COPY", "copied"), ("IGNORE", "ignored")):
                times = sum(line.startswith(f"{port} {word} ") for line in process.out)
                assert f" {did} {times}" in row
        quiet_err(process)


@pytest.mark.parametrize(
    ("first", "second", "pause_s"),
    [
        (signal.SIGINT, signal.SIGINT, 0.0),
        (signal.SIGINT, signal.SIGTERM, 0.01),
        (signal.SIGTERM, signal.SIGINT, 0.02),
        (signal.SIGINT, signal.SIGINT, 0.04),
        (signal.SIGTERM, signal.SIGTERM, 0.08),
    ],
)
def test_impatience_costs_neither_the_summary_nor_the_status(
    tmp_path: Path, first: signal.Signals, second: signal.Signals, pause_s: float
) -> None:
    ports = free_udp_ports(3)
    with Drystone("classic", "up", "--plain", *QUICK, cwd=tmp_path, ports=ports) as process:
        wait_until(lambda: process.out, process, why="a line")
        process.interrupt(first)
        time.sleep(pause_s)  # what is tested: a second signal at any moment of the ending
        process.interrupt(second)
        assert process.wait() == 0
        assert any(line.startswith("ended after ") for line in process.err)
        assert len(process.err[-2].split(",")) >= 4
        assert process.err[-1].startswith("next: ")
        quiet_err(process)


def test_a_search_under_way_does_not_delay_the_end(tmp_path: Path) -> None:
    with node(tmp_path, "--listen", "0.02", "--nonces", 1 << 32) as process:
        wait_until(lambda: has_blocks(process, 1), process, why="a block")
        began = time.monotonic()
        assert process.end() == 0
        assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "arguments", [("classic", "node"), ("classic", "up"), ("classic", "hello")]
)
def test_who_has_read_that_it_runs_can_end_it(
    tmp_path: Path, arguments: tuple[str | int, ...], number: signal.Signals
) -> None:
    ports = free_udp_ports(2)
    if arguments != ("classic", "up"):
        arguments = (*arguments, ports[0])
    with Drystone(*arguments, cwd=tmp_path, ports=ports) as process:
        wait_until(lambda: process.err, process, why="that it runs")
        process.interrupt(number)
        assert process.wait() == 0
        quiet_err(process)


# Output that is lost.


def start_with_pipe(arguments: tuple[str, ...], tmp_path: Path) -> subprocess.Popen[str]:
    ports = free_udp_ports(2)
    if arguments == ("classic", "node"):
        arguments = (*arguments, str(ports[0]))
    return subprocess.Popen(
        command(*arguments, *QUICK),
        cwd=tmp_path,
        env=environment(ports),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.mark.parametrize("arguments", [("classic", "node"), ("classic", "up")])
def test_a_reader_that_leaves_ends_the_command_quietly(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with start_with_pipe(arguments, tmp_path) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline().endswith("TRY up to 0...\n")
            process.stdout.close()  # as `head -1` does
            assert process.wait(PATIENCE_S) == 1
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


@pytest.mark.parametrize("arguments", [("classic", "node"), ("classic", "up")])
def test_a_full_disk_is_told_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    ports = free_udp_ports(2)
    if arguments == ("classic", "node"):
        arguments = (*arguments, str(ports[0]))
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            command(*arguments, *QUICK),
            cwd=tmp_path,
            env=environment(ports),
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=PATIENCE_S,
            check=False,
        )
    assert ended.returncode == 2
    last = ended.stderr.splitlines()[-1]
    assert last == "drystone: can't write the output: No space left on device"
    assert "Traceback" not in ended.stderr and "Exception" not in ended.stderr


def test_a_closed_standard_output_is_no_terminal_and_no_error(tmp_path: Path) -> None:
    ports = free_udp_ports(2)
    line = " ".join(command("classic", "up", "--listen", "3600"))
    with subprocess.Popen(
        ["/bin/sh", "-c", f"exec {line} >&-"],
        cwd=tmp_path,
        env=environment(ports),
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("drystone: 2 classic nodes")
            assert process.stderr.readline().startswith("Ctrl-C ends it")
            process.terminate()
            rest = process.stderr.read()
            assert process.wait(PATIENCE_S) == 0
            assert "Traceback" not in rest
        finally:
            process.kill()
