"""`drystone sim`: scenarios from the command line."""

import csv
import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.cli import run_main
from tests.support.processes import PATIENCE_S, Drystone, command, environment, wait_until

from drystone.cli.sim_csv import COLUMNS, decimal
from drystone.cli.sim_summary import span_ns
from drystone.core.time import SECOND_NS

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.toml"))
CUT = """
title = "a cut"
nodes = 4
topology = "full"
duration = "4 min"
[[event]]
at = "30 s"
do = "partition"
groups = [["n0", "n1"]]
[[event]]
at = "3 min"
do = "heal"
"""


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    (tmp_path / "cut.toml").write_text(CUT)
    return tmp_path


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_ends_with_a_summary(cut: Path) -> None:
    outcome = run_main("sim", "cut.toml", cwd=cut)
    assert outcome.status == 0
    assert outcome.err.startswith("drystone sim: a cut: 4 nodes on local; Ctrl-C ends it\n")
    assert re.search(
        r"^took \S+ s: \S+ virtual seconds and \S+ messages per second$", outcome.err, re.MULTILINE
    )
    names = [re.split("  +", line)[0] for line in outcome.out.splitlines()]
    assert names == [
        *("virtual time", "blocks", "stale", "to 50 %", "to 95 %", "reorgs", "messages"),
        *("at the end", "trace"),
    ]
    assert "4 nodes agree on block" in outcome.out


def test_the_figures_in_files_and_in_json_are_those_of_the_summary(cut: Path) -> None:
    arguments = ("sim", "cut.toml", "--seeds", "3..4", "--csv", "deep/figures")
    outcome = run_main(*arguments, "--json", cwd=cut)
    assert outcome.status == 0
    runs = [json.loads(line) for line in outcome.out.splitlines()]
    assert [run["seed"] for run in runs] == [3, 4]
    folder = cut / "deep" / "figures"
    blocks, nodes = rows(folder, "blocks"), rows(folder, "nodes")
    spread, reorgs = rows(folder, "propagation"), rows(folder, "reorgs")
    for name, columns in COLUMNS.items():
        assert (folder / f"{name}.csv").read_text().startswith(",".join(columns) + "\n")
    for run in runs:
        seed = str(run["seed"])
        own = [block for block in blocks if block["seed"] == seed]
        assert len(own) == run["blocks_found"] > 8
        assert sum(int(block["is_stale"]) for block in own) == run["blocks_stale"]
        assert [block["hash"] for block in own] == [
            block["hash"] for block in spread if block["seed"] == seed
        ]
        own_nodes = [node for node in nodes if node["seed"] == seed]
        assert [node["node"] for node in own_nodes] == ["n0", "n1", "n2", "n3"]
        assert sum(int(node["found"]) for node in own_nodes) == run["blocks_found"]
        assert sum(int(node["sent_bytes"]) for node in own_nodes) == run["bytes"]
        own_reorgs = [reorg for reorg in reorgs if reorg["seed"] == seed]
        assert len(own_reorgs) == sum(run["reorgs_by_depth"].values()) > 0
        assert sum(int(node["reorgs"]) for node in own_nodes) == len(own_reorgs)
        assert {node["tip"] for node in own_nodes} == {*run["tips"]}
    assert run_main(*arguments, cwd=cut).out.splitlines()[0].split() == [
        *("seed", "blocks", "stale", "to", "50", "%", "to", "95", "%", "deepest", "end"),
    ]


def test_the_same_seed_gives_the_same_bytes_in_two_processes_that_hash_differently(
    cut: Path,
) -> None:
    outputs = []
    for hash_seed in ("1", "4242"):
        folder = f"figures{hash_seed}"
        out = subprocess.run(
            command("sim", "cut.toml", "--seed", "7", "--csv", folder, "--trace", f"{folder}.txt"),
            cwd=cut,
            env=environment(PYTHONHASHSEED=hash_seed),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_S,
            check=True,
        ).stdout
        files = [(cut / folder / f"{name}.csv").read_bytes() for name in COLUMNS]
        outputs.append([out, *files, (cut / f"{folder}.txt").read_bytes()])
    assert outputs[0] == outputs[1]
    out, *_, trace = outputs[0]
    assert all(len(output) > 200 for output in outputs[0][:-2])
    assert f"trace         {trace.count(10):,} events".encode() in out


def test_another_seed_gives_other_figures(cut: Path) -> None:
    outputs = {run_main("sim", "cut.toml", "--seed", seed, cwd=cut).out for seed in range(3)}
    assert len(outputs) == 3


def test_payments_are_told_where_there_are_any(cut: Path) -> None:
    pays = '[[event]]\nat = "1 s"\ndo = "double_spend"\nfrom = "alice"\nto = "bob"\n'
    (cut / "cut.toml").write_text(CUT + pays + 'instead = "carol"\namount = "1"\n')
    out = run_main("sim", "cut.toml", "--csv", "figures", cwd=cut).out
    assert re.search("^payments +2 sent, 1 in the chain$", out, re.MULTILINE)
    assert re.search(
        r"^double spends +1: the first won \d, the second \d; 0 und", out, re.MULTILINE
    )
    first, second = rows(cut / "figures", "payments")
    assert (first["to"], second["to"], first["double_spend"]) == ("bob", "carol", "0")
    assert bool(first["height"]) != bool(second["height"])


def test_options_say_when_to_end(cut: Path) -> None:
    by_blocks = run_main("sim", "cut.toml", "--blocks", 2, "--json", cwd=cut)
    assert json.loads(by_blocks.out)["height"] == 121
    by_time = run_main("sim", "cut.toml", "--duration", "1.5 s", "--json", cwd=cut)
    assert json.loads(by_time.out)["virtual_s"] == 1.5


def test_the_file_may_say_where_the_figures_go(cut: Path) -> None:
    output = '[output]\ncsv = "here"\ntrace = "all.txt"\n'
    (cut / "cut.toml").write_text(f"{CUT}\n{output}")
    assert run_main("sim", "cut.toml", "--duration", "5 s", cwd=cut).status == 0
    assert (cut / "here" / "blocks.csv").exists() and (cut / "all.txt").exists()
    assert run_main("sim", "cut.toml", "--duration", "5 s", "--csv", "there", cwd=cut).status == 0
    assert (cut / "there" / "blocks.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["none.toml"], "can't read none.toml: No such file or directory"),
        (["."], "can't read .: Is a directory"),
        (["cut.toml", "--seed", "1", "--seeds", "1..2"], "leave one out"),
        (["cut.toml", "--seeds", "2..1"], "'2..1' are no seeds: wanted a range such as 1..20"),
        (["cut.toml", "--seeds", "1..2", "--trace", "t"], "choose with --seed"),
        (["cut.toml", "--duration", "5"], "'5' is no time: wanted a time with its unit"),
        (["cut.toml", "--duration", "0 s"], "a run takes more than no time: give it some"),
        (["cut.toml", "--blocks", "0"], "Invalid value for '--blocks'"),
        (["cut.toml", "--csv", "cut.toml"], "can't write cut.toml: File exists; name another"),
        (["cut.toml", "--csv", "cut.toml/x"], "can't write cut.toml/x: Not a directory"),
        (["cut.toml", "--trace", "no/t"], "can't write no/t: No such file or directory"),
        (["bare.toml"], "nothing says when it is over: give it a duration, or a number of blocks"),
        (["bad.toml"], 'bad.toml: event[0].node: found "n9", wanted one of the nodes'),
        ([], "Missing argument 'FILE'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_run(
    cut: Path, arguments: list[str], complaint: str
) -> None:
    (cut / "bare.toml").write_text("nodes = 2")
    bad = 'nodes = 2\nblocks = 1\n[[event]]\nat = "1 s"\ndo = "kill"\nnode = "n9"'
    (cut / "bad.toml").write_text(bad)
    outcome = run_main("sim", *arguments, cwd=cut)
    assert (outcome.status, outcome.out) == (2, "")
    *_, told = outcome.err.splitlines()
    assert complaint in told and "Traceback" not in outcome.err


def test_a_full_disk_is_one_line(cut: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no full device")
    outcome = run_main("sim", "cut.toml", "--trace", "/dev/full", cwd=cut)
    assert outcome.status == 2
    assert "can't write /dev/full: No space left on device; name another file" in outcome.err
    (cut / "full").mkdir()
    (cut / "full" / "nodes.csv").symlink_to("/dev/full")
    outcome = run_main("sim", "cut.toml", "--csv", "full", cwd=cut)
    assert outcome.status == 2
    assert "No space left on device; name another folder with --csv" in outcome.err


def test_what_goes_wrong_on_the_way_is_told_with_its_time(cut: Path) -> None:
    text = CUT + '[[event]]\nat = "1 min"\ndo = "kill"\nnode = "n1"\n' * 2
    (cut / "twice.toml").write_text(text)
    outcome = run_main("sim", "twice.toml", cwd=cut)
    assert outcome.status == 2
    assert "event[3], at 1 min: n1 does not run: restart it first" in outcome.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_measured(cut: Path, number: int) -> None:
    arguments = ("sim", "cut.toml", "--duration", "3650 d", "--csv", "figures")
    with Drystone(*arguments, "--trace", "all.txt", cwd=cut) as process:
        wait_until(lambda: process.err, process, why="it has begun")
        trace = cut / "all.txt"
        end_s = time.monotonic() + PATIENCE_S
        while not (trace.exists() and trace.stat().st_size > 100_000):  # it mines
            assert not process.has_ended and time.monotonic() < end_s, process.output()
            time.sleep(0.02)
        process.interrupt(number)
        assert process.wait() == 130
    summary = "\n".join(process.out)
    found = re.search(r"blocks +([\d,]+) found", summary)
    assert found and int(found[1].replace(",", "")) > 5
    assert len(rows(cut / "figures", "blocks")) == int(found[1].replace(",", ""))
    assert len(rows(cut / "figures", "nodes")) == 4
    assert process.err[-1] == "figures are in figures"


def test_help_teaches_by_examples(tmp_path: Path) -> None:
    text = run_main("sim", "--help", cwd=tmp_path).out
    for line in ('do = "partition"', "drystone sim FILE --blocks 144", "--seeds 1..20 --csv"):
        assert line in text


@pytest.mark.parametrize("name", [name for name in EXAMPLES if not name.endswith("-chain.toml")])
def test_the_examples_run(tmp_path: Path, name: str) -> None:
    quick = ("--seed", 1, "--duration", "2 h" if name == "ten-minutes.toml" else "1 min")
    outcome = run_main("sim", str(ROOT / "examples" / name), *quick, cwd=tmp_path)
    assert outcome.status == 0, outcome.err
    assert "\nat the end " in outcome.out


def test_the_examples_show_what_they_promise(tmp_path: Path) -> None:
    """Deep reorganisations, a difficulty that rises and falls, crashes."""
    where = ROOT / "examples"
    majority = run_main("sim", f"{where}/majority.toml", "--json", cwd=tmp_path)
    assert max(map(int, json.loads(majority.out)["reorgs_by_depth"])) > 10
    run_main("sim", f"{where}/difficulty.toml", cwd=tmp_path)
    times = [float(row["found_s"]) for row in rows(tmp_path / "difficulty", "blocks")]
    joined = next(n for n, time in enumerate(times) if time > 300)
    assert (times[joined + 10] - times[joined]) / 10 < 8
    assert times[-1] > 1_500
    paid = run_main("sim", f"{where}/payments.toml", "--json", cwd=tmp_path)
    assert json.loads(paid.out)["payments"]["confirmed"] > 20
    winners = {race["winner"] for race in json.loads(paid.out)["double_spends"]}
    assert {"bob", "carol"} <= winners
    trace = ("--trace", "trouble.txt")
    trouble = run_main("sim", f"{where}/trouble.toml", "--json", *trace, cwd=tmp_path)
    assert int(json.loads(trouble.out)["reorgs_by_depth"]["2"]) >= 5
    assert " n1 restarts\n" in (tmp_path / "trouble.txt").read_text()


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "network.toml"])
def test_the_page_names_every_example(name: str) -> None:
    page = (ROOT / "docs" / "scenarios.md").read_text()
    assert f"`{name}`" in page or name.endswith("-chain.toml")


def test_times_in_files_are_exact() -> None:
    assert decimal(1, SECOND_NS) == "0.000000001"
    assert decimal(1_500_000_000, SECOND_NS) == "1.5"
    assert decimal(2 * SECOND_NS, SECOND_NS) == "2"
    assert decimal(123_456_789, 1_000_000) == "123.456789"
    assert decimal(None, SECOND_NS) == ""


@pytest.mark.parametrize(
    ("duration_ns", "shown"),
    [
        (0, "0 ms"),
        (1_500_000, "1.5 ms"),
        (999_000_000, "999 ms"),
        (SECOND_NS, "1 s"),
        (119 * SECOND_NS, "119 s"),
        (150 * SECOND_NS, "2.5 min"),
        (3 * 3_600 * SECOND_NS, "3 h"),
        (49 * 3_600 * SECOND_NS, "2.0 d"),
        (3_650 * 86_400 * SECOND_NS, "3,650.0 d"),
    ],
)
def test_times_on_the_screen_have_three_digits(duration_ns: int, shown: str) -> None:
    assert span_ns(duration_ns) == shown
