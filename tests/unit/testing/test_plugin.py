"""The pytest plugin, as a project that has drystone installed meets it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run_pytest(folder: Path, test: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(test)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *arguments],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )


def test_the_pages_tests_pass(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    done = run_pytest(tmp_path, "\n\n".join(blocks), "--strict-markers")
    assert f"{len(blocks)} passed" in done.stdout, done.stdout
    assert len(blocks) == 4
    for block in blocks:  # what the page promises
        assert len(block[block.index("def test") :].splitlines()) <= 11


FAILING = """
import pytest

@pytest.mark.drystone(nodes=2, chain="regtest")
def test_in_vain(network):
    network.mine("n0", 7)
    network.kill("n1")
    assert network.world.stream("dice").below(1 << 30) == -1
"""


def test_a_failure_tells_its_seed_and_the_same_seed_fails_alike(tmp_path: Path) -> None:
    first = run_pytest(tmp_path, FAILING).stdout
    found = re.search(r"to see it again: pytest '(\S+)' --drystone-seed (\d+)", first)
    assert found is not None, first
    assert "n0 at height 7" in first and "n1 is down, and was at height" in first
    again = run_pytest(tmp_path, FAILING, found[1], "--drystone-seed", found[2]).stdout
    drawn = [re.findall(r"assert (\d+) == -1", output) for output in (first, again)]
    assert drawn[0] and drawn[0] == drawn[1]
    other = run_pytest(tmp_path, FAILING, "--drystone-seed", "random").stdout
    assert re.findall(r"assert (\d+) == -1", other) != drawn[0]


LIVE = """
import threading
import pytest

made = []

@pytest.mark.drystone(chain="regtest", nodes=4, topology="star")
def test_that_fails(live_network):
    made.append(live_network)
    live_network.mine("n0", 2)
    assert live_network.wait_until_synced() is None

def test_what_is_left_of_it():
    assert not [thread for thread in threading.enumerate() if thread.name == "network"]
    assert not any(node.is_up for node in made[0])
"""


def test_a_live_network_ends_with_its_test_even_if_that_fails(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, LIVE)
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "n3 at height 2" in done.stdout


def test_mistakes_are_told_in_one_line(tmp_path: Path) -> None:
    wrong = '@__import__("pytest").mark.drystone(node=2)\ndef test_it(network): pass\n'
    assert "the marker drystone takes nodes=, chain=" in run_pytest(tmp_path, wrong).stdout
    wrong = wrong.replace("node=2", 'chain="mainet"')
    assert "no chain 'mainet': there are" in run_pytest(tmp_path, wrong).stdout
    done = run_pytest(tmp_path, "def test_it(): pass\n", "--drystone-seed", "x")
    assert done.returncode == 4 and "--drystone-seed takes a number" in done.stderr


def test_whoever_does_not_use_it_does_not_pay_for_it(tmp_path: Path) -> None:
    test = """
import sys

def test_nothing():
    assert "drystone.testing.plugin" in sys.modules
    assert not {"asyncio", "rich", "drystone.network.virtual"} & {
        name for name in sys.modules if name.startswith(("drystone", "asyncio", "rich"))
    } - ALREADY
"""
    done = run_pytest(tmp_path, f"ALREADY = {{'asyncio', 'rich'}}\n{test}")
    assert "1 passed" in done.stdout, done.stdout
