"""`drystone mine`: what it says, what it makes, how it ends."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from tests.support.blocks import REGTEST
from tests.support.cli import Outcome, run_main
from tests.support.kept_chains import tip_of
from tests.support.processes import PATIENCE_S, Drystone, command, environment, wait_until
from tests.support.terminal import Terminal

from drystone.consensus.chains import LOCAL
from drystone.core.time import Time
from drystone.crypto.address import address_from_script
from drystone.drivers.history import local_history
from drystone.mining.accounts import account
from drystone.network.mining import mine_blocks
from drystone.network.opening import opened_chain
from drystone.primitives.hashes import display

ALICE = account("alice").script_pubkey
BOB = account("bob").script_pubkey
FAST = ("--hashrate", "3000000")  # on local, a block in moments
SOON_S = 15.0  # a second on a quiet machine


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """A command that was told to stop ignores further signals, to the end of its process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def mine(*arguments: str | int, cwd: Path, chain: str = "regtest", **environ: str) -> Outcome:
    """Mine in the folder `kept`."""
    return run_main("mine", "--chain", chain, "--datadir", "kept", *arguments, cwd=cwd, **environ)


def complaint(*arguments: str | int, cwd: Path, **environ: str) -> str:
    """The one line that a mistaken command ends with."""
    outcome = run_main("mine", *arguments, cwd=cwd, **environ)
    assert (outcome.status, outcome.out) == (2, ""), outcome
    lines = [line for line in outcome.err.splitlines() if "; Ctrl-C ends it" not in line]
    assert len(lines) == 1 and lines[0].startswith("drystone"), outcome
    return lines[0]


def coinbase_scripts(datadir: Path, params: Any = REGTEST, above: int = 0) -> list[bytes]:
    """Whom the blocks pay."""
    with opened_chain(datadir, params, create=False) as chain:
        heights = range(above + 1, chain.height + 1)
        return [chain.block(chain.at(h).hash).coinbase.vout[0].script_pubkey for h in heights]


def test_so_many_blocks_are_mined_and_what_is_next_is_said(tmp_path: Path) -> None:
    outcome = mine("--blocks", 12, cwd=tmp_path)
    assert (outcome.status, outcome.out) == (0, "")
    first, tip, rewards, work, done, new_tip, following = outcome.err.splitlines()
    assert re.fullmatch(r"drystone mine: regtest in kept, no limit, by \w+; Ctrl-C ends it", first)
    assert tip == f"tip: 0  {display(REGTEST.genesis_hash)}"
    whom = address_from_script(ALICE, REGTEST.address)
    assert rewards == f"rewards go to {whom} (alice, a known key)"
    assert work == "a block takes 2 hashes on average"
    assert re.fullmatch(r"blocks mined: 12, in \d+\.\d s", done)
    height, block_hash = tip_of(tmp_path / "kept")
    assert (height, new_tip) == (12, f"tip: 12  {display(block_hash)}")
    assert following == "next: `drystone chain info --datadir kept` tells more"


def test_mining_goes_on_where_it_ended(tmp_path: Path) -> None:
    mine("--blocks", 3, cwd=tmp_path)
    outcome = mine("--blocks", 4, cwd=tmp_path)
    assert "tip: 3  " in outcome.err and "tip: 7  " in outcome.err
    assert tip_of(tmp_path / "kept")[0] == 7


def test_local_is_the_default_and_begins_with_its_history(tmp_path: Path) -> None:
    outcome = run_main("mine", "--datadir", "kept", "--blocks", 2, *FAST, "--json", cwd=tmp_path)
    assert outcome.status == 0
    lines = outcome.err.splitlines()
    assert lines[1] == f"tip: 119  {display(local_history()[-1].hash)}"
    assert lines[3] == "a block takes 65,537 hashes on average: 0 s at this rate"
    assert lines[4] == (
        "every 20 blocks the difficulty moves, fourfold at most, until that takes 10 s"
    )
    blocks = [json.loads(line) for line in outcome.out.splitlines()]
    assert [block["height"] for block in blocks] == [120, 121]
    assert coinbase_scripts(tmp_path / "kept", LOCAL, above=119) == [ALICE, ALICE]


def test_locals_default_rate_is_the_networks(tmp_path: Path) -> None:
    with patch("drystone.cli.mine.mine_blocks", lambda *_: iter(())):
        outcome = mine(cwd=tmp_path, chain="local")
    assert outcome.status == 0
    assert "local in kept, 6,554 hashes/s, by " in outcome.err
    assert "a block takes 65,537 hashes on average: 10 s at this rate\n" in outcome.err
    assert "the difficulty moves" not in outcome.err  # not by this rate


def test_blocks_for_scripts_are_a_line_each(tmp_path: Path) -> None:
    outcome = mine("--blocks", 3, "--json", cwd=tmp_path)
    blocks = [json.loads(line) for line in outcome.out.splitlines()]
    with opened_chain(tmp_path / "kept", REGTEST) as chain:
        assert blocks == [
            {
                "height": height,
                "hash": display(chain.at(height).hash),
                "time": chain.at(height).header.time,
                "bits": "207fffff",
                "hashes_per_block": 2,
            }
            for height in (1, 2, 3)
        ]


def test_a_line_for_each_block_where_blocks_take_a_while_and_the_difficulty_is_seen(
    tmp_path: Path,
) -> None:
    outcome = mine("--blocks", 42, *FAST, cwd=tmp_path, chain="local")
    lines = outcome.out.splitlines()
    assert len(lines) == 42
    for height, line in enumerate(lines, start=120):
        assert re.match(rf"block {height}  [0-9a-f]{{16}}\.\.\.  after (\d+|-\d+) (s|days)", line)
    changed = re.search(r"^block 140 .*  difficulty 65,537 -> ([\d,]+)$", outcome.out, re.MULTILINE)
    assert changed and int(changed[1].replace(",", "")) > 65_537
    assert len([line for line in lines if "difficulty" in line]) == 2  # at 140 and 160
    assert max(map(len, lines)) <= 80


def test_rewards_go_to_the_address_that_is_given(tmp_path: Path) -> None:
    address = address_from_script(BOB, REGTEST.address)
    assert address is not None
    outcome = mine("--blocks", 2, "--address", address, cwd=tmp_path)
    assert f"rewards go to {address}\n" in outcome.err
    assert coinbase_scripts(tmp_path / "kept") == [BOB, BOB]


def test_mining_after_an_invalidation_makes_a_branch(tmp_path: Path) -> None:
    mine("--blocks", 5, cwd=tmp_path)
    run_main("chain", "invalidate", 5, "--datadir", "kept", cwd=tmp_path)
    assert mine("--blocks", 1, cwd=tmp_path).status == 0  # in the same second, perhaps
    tips = json.loads(run_main("chain", "tips", "--json", "--datadir", "kept", cwd=tmp_path).out)
    assert [(tip["height"], tip["status"]) for tip in tips] == [(5, "active"), (5, "invalid")]


@pytest.mark.parametrize(
    ("when", "wanted"), [("flush", "flush"), ("always", "always"), ("2.5", 2.5), ("0", 0.0)]
)
def test_when_the_disk_must_have_it_can_be_chosen(
    tmp_path: Path, when: str, wanted: object
) -> None:
    with patch("drystone.cli.opening.opened_chain", wraps=opened_chain) as opened:
        assert mine("--blocks", 1, "--fsync", when, cwd=tmp_path).status == 0
    assert opened.call_args.kwargs["fsync"] == wanted
    assert tip_of(tmp_path / "kept")[0] == 1


def test_a_chain_file_makes_a_chain_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(
        """
name = "shop"
magic = "f1ca7a11"
port = 29333
rpc_port = 29332
[genesis]
time = 1700000000
message = "a shop"
bits = "207fffff"
[address]
key_hash = 140
script_hash = 142
secret = 220
segwit = "shop"
[difficulty]
limit_bits = "207fffff"
spacing_s = 30
timespan_s = 600
retargeting = false
"""
    )
    outcome = mine("--blocks", 3, cwd=tmp_path, chain="shop.toml")
    assert outcome.status == 0
    assert "rewards go to shop1" in outcome.err
    assert "next: `drystone chain info --chain shop.toml --datadir kept` tells more" in outcome.err
    told = run_main(
        "chain", "info", "--json", "--chain", "shop.toml", "--datadir", "kept", cwd=tmp_path
    )
    assert (json.loads(told.out)["chain"], json.loads(told.out)["blocks"]) == ("shop", 3)
    line = run_main("chain", "info", "--datadir", "kept", cwd=tmp_path).err
    assert "a chain of your own wants --chain FILE" in line


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("--address", "nobody"), "drystone: --address nobody is none of local: "),
        (("--chain", "signet"), "drystone: blocks of signet want signing by its keepers: "),
        (("--chain", "nope"), "drystone: no chain 'nope': there are mainnet, "),
        (("--blocks", "0"), "drystone mine: Invalid value for '--blocks': "),
        (("--blocks", "many"), "drystone mine: Invalid value for '--blocks': "),
        (("--hashrate", "0"), "drystone mine: Invalid value for '--hashrate': "),
        (("--threads", "0"), "drystone mine: Invalid value for '--threads': "),
        (("--fsync", "never"), "drystone mine: Invalid value for '--fsync': 'never' is neither "),
        (("--fsync", "-1"), "drystone mine: Invalid value for '--fsync': "),
        (("--fsync", "nan"), "drystone mine: Invalid value for '--fsync': "),
        (("--datadir", "file"), "drystone mine: Invalid value for '--datadir' (env var: "),
        (("--datadir", "file/in"), "drystone: can't make file/in: Not a directory: choose a --"),
        (("extra",), "drystone mine: Got unexpected extra argument (extra)"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: tuple[str, ...], wanted: str) -> None:
    (tmp_path / "file").write_text("")
    home = tmp_path / "home"
    line = complaint(*arguments, cwd=tmp_path, HOME=str(home))
    assert line.startswith(wanted)
    assert not home.exists()


def test_an_address_of_another_chain_is_refused_before_anything_is_begun(tmp_path: Path) -> None:
    address = address_from_script(ALICE, LOCAL.address)
    line = complaint(
        "--chain", "regtest", "--address", str(address), "--datadir", "new", cwd=tmp_path
    )
    assert line.startswith(f"drystone: --address {address} is none of regtest: ")
    assert not (tmp_path / "new").exists()


def test_a_kernel_that_there_is_not(tmp_path: Path) -> None:
    assert complaint(cwd=tmp_path, DRYSTONE_KERNEL="abacus").startswith("drystone: no kernel")


def test_a_clock_far_behind_the_chain_is_told(tmp_path: Path) -> None:
    mine("--blocks", 12, cwd=tmp_path)
    long_ago = Time(0, 1_500_000_000)
    with patch.object(mine_blocks, "__defaults__", (lambda: long_ago,)):
        outcome = mine("--blocks", 1, cwd=tmp_path)
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert last.startswith("drystone: the mined block is refused, time-too-new")
    assert tip_of(tmp_path / "kept")[0] == 12


# Ctrl-C, signals, pipes, terminals.


def pressed_at(height: int) -> Callable[..., Any]:
    """`mine_blocks`, but somebody presses Ctrl-C, twice, at a height."""

    def mining(*arguments: Any) -> Iterator[Any]:
        for node in mine_blocks(*arguments):
            if node.height == height:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            yield node

    return mining


@pytest.mark.parametrize(("options", "status"), [((), 0), (("--blocks", "1000"), 130)])
def test_ctrl_c_ends_it_and_that_is_an_early_end_only_where_a_number_was_asked_for(
    tmp_path: Path, options: tuple[str, ...], status: int
) -> None:
    with patch("drystone.cli.mine.mine_blocks", pressed_at(7)):
        outcome = mine(*options, cwd=tmp_path)
    assert outcome.status == status
    assert "blocks mined: 7, in " in outcome.err and "next: `drystone chain info" in outcome.err
    assert tip_of(tmp_path / "kept")[0] == 7


def test_ctrl_c_at_the_last_block_is_none(tmp_path: Path) -> None:
    with patch("drystone.cli.mine.mine_blocks", pressed_at(5)):
        assert mine("--blocks", 5, cwd=tmp_path).status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_process_that_mines_at_its_pace(tmp_path: Path, number: int) -> None:
    with Drystone("mine", "--datadir", "kept", "--hashrate", 1, cwd=tmp_path) as process:
        wait_until(lambda: len(process.err) >= 5, process, why="what to expect")
        assert process.first_line_s is not None and process.first_line_s < SOON_S
        time.sleep(0.3)
        process.interrupt(number)
        process.interrupt(number)
        assert process.wait() == 0
        assert process.err[5].startswith("blocks mined: 0, in ")
        assert process.err[-1].startswith("next: ")
    with opened_chain(tmp_path / "kept", LOCAL) as chain:
        assert chain.height == 119


def test_a_killed_miner_loses_no_block_that_it_told_of(tmp_path: Path) -> None:
    with Drystone(
        "mine", "--datadir", "kept", "--chain", "regtest", "--json", cwd=tmp_path
    ) as process:
        wait_until(lambda: len(process.out) >= 50, process, why="50 blocks")
        process.interrupt(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        told = [json.loads(line) for line in process.out if line.endswith("}")]
    with opened_chain(tmp_path / "kept", REGTEST) as chain:
        assert chain.height >= told[-1]["height"]
        assert display(chain.at(told[-1]["height"]).hash) == told[-1]["hash"]


def test_two_cannot_mine_in_one_directory(tmp_path: Path) -> None:
    with opened_chain(tmp_path / "kept", REGTEST):
        line = complaint("--chain", "regtest", "--datadir", "kept", cwd=tmp_path)
    assert "is in use by process" in line


def test_whoever_has_read_enough_of_the_blocks_ends_it_and_they_are_kept(tmp_path: Path) -> None:
    mining = shlex.join(command("mine", "--chain", "regtest", "--datadir", "kept", "--json"))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{mining} | head -n 3"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=True,
    )
    blocks = [json.loads(line) for line in done.stdout.splitlines()]
    assert [block["height"] for block in blocks] == [1, 2, 3]
    assert "Traceback" not in done.stderr
    assert tip_of(tmp_path / "kept")[0] >= 3


def test_a_limit_on_files_is_one_line_and_what_was_told_is_kept(tmp_path: Path) -> None:
    mining = shlex.join(
        command("mine", "--chain", "regtest", "--datadir", "kept", "--json", "--blocks", "1000")
    )
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -f 60; {mining}"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        "raise the limit on files' sizes and start again; nothing acknowledged is lost"
    )
    last = json.loads(done.stdout.splitlines()[-1])
    height, block_hash = tip_of(tmp_path / "kept")
    assert height >= last["height"] > 10
    assert mine("--blocks", 1, cwd=tmp_path).status == 0
    assert tip_of(tmp_path / "kept")[0] == height + 1
    assert block_hash != tip_of(tmp_path / "kept")[1]


def test_in_a_terminal_a_bar_counts_and_goes(tmp_path: Path) -> None:
    with Terminal(
        "mine", "--datadir", "kept", "--chain", "regtest", cwd=tmp_path, ports=(), columns=80
    ) as terminal:
        terminal.wait_until(
            lambda text: re.search(r"mining .*\d+/\? blocks +block [\d,]+", text), why="a bar"
        )
        terminal.press(b"\x03")
        assert terminal.wait() == 0
        assert "mining" not in terminal.text
        assert not terminal.cursor_is_hidden()
        assert re.search(
            r"\nblocks mined: [\d,]+, in [\d.]+ s\ntip: [\d,]+  [0-9a-f]{64}\n", terminal.text
        )
        assert "block 1  " not in terminal.raw  # a line for each would drown everything else
        assert "Traceback" not in terminal.raw


def test_in_a_terminal_blocks_of_local_scroll_above_the_bar(tmp_path: Path) -> None:
    with Terminal(
        "mine", "--datadir", "kept", "--hashrate", 200_000, cwd=tmp_path, ports=(), columns=80
    ) as terminal:
        terminal.wait_until(lambda text: "\nblock 122  " in text, why="three blocks")
        terminal.press(b"\x03")
        assert terminal.wait() == 0
        lines = terminal.screen
        assert [line.split("  ")[0] for line in lines if line.startswith("block 1")][:3] == [
            f"block {height}" for height in (120, 121, 122)
        ]
        assert "mining" not in terminal.text


def test_what_scripts_read_goes_into_their_pipe_even_where_a_bar_is_on_the_terminal(
    tmp_path: Path,
) -> None:
    master, slave = pty.openpty()
    try:
        with subprocess.Popen(
            command("mine", "--datadir", "kept", *FAST, "--blocks", "15", "--json"),
            cwd=tmp_path,
            env={**environment(), "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=slave,
        ) as process:
            assert process.stdout is not None
            out = process.stdout.read()
            assert process.wait(PATIENCE_S) == 0
    finally:
        os.close(slave)
        shown = os.read(master, 1 << 16)
        os.close(master)
    assert [json.loads(line)["height"] for line in out.splitlines()] == list(range(120, 135))
    assert b'"height"' not in shown


def test_help_teaches(tmp_path: Path) -> None:
    text = " ".join(run_main("mine", "--help", cwd=tmp_path).out.split())
    for words in (
        "drystone mine --chain regtest --blocks 1000 --datadir /tmp/stones",
        "the difficulty follows the hash rate",
        "[default: until Ctrl-C]",
        "[default: alice, whose key is public]",
        "6,554 on local",
        "DRYSTONE_DATADIR",
    ):
        assert words in text
