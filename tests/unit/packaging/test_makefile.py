"""What a bare `make` promises, and what `make clean` must not touch."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROMISED = {
    *("up", "test", "fast", "interop", "lint", "bench", "docs", "fuzz", "kill", "soak", "hostile"),
    *("picture", "history", "clean"),
}

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def test_a_bare_make_lists_each_target_with_one_line_of_help() -> None:
    listed = subprocess.check_output(["make", "--silent"], cwd=ROOT, text=True).splitlines()
    assert {re.fullmatch(r"  make ([a-z]+) +\S.*", line)[1] for line in listed} == PROMISED  # type: ignore[index]
    assert len(listed) == len(PROMISED)


def test_clean_removes_what_was_built_and_nothing_that_git_tracks(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    subprocess.check_call(["git", "clone", "--quiet", "--shared", ROOT, tmp_path])
    shutil.copy(ROOT / "Makefile", tmp_path)
    before = subprocess.check_output(["git", "status", "--porcelain"], cwd=tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / "src/drystone/__pycache__").mkdir()
    subprocess.check_call(["make", "--silent", "clean"], cwd=tmp_path)
    assert subprocess.check_output(["git", "status", "--porcelain"], cwd=tmp_path) == before
    assert not (tmp_path / ".venv").exists()
    assert not (tmp_path / "src/drystone/__pycache__").exists()
