"""The Python versions we promise stand in several files; they have to be the same ones."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
VERSIONS = ["3.11", "3.12", "3.13", "3.14"]

pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_metadata_names_each_supported_version_and_none_other() -> None:
    prefix = "Programming Language :: Python :: 3."
    named = [c for c in pyproject["project"]["classifiers"] if c.startswith(prefix)]
    assert [c.rpartition(" ")[2] for c in named] == VERSIONS


def test_nothing_asks_for_more_than_the_oldest_supported_version() -> None:
    oldest = VERSIONS[0]
    assert pyproject["project"]["requires-python"] == f">={oldest}"
    assert pyproject["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    setup = (ROOT / "setup.py").read_text()
    assert f'("Py_LIMITED_API", "0x{3:02X}{int(oldest[2:]):02X}0000")' in setup
    assert f'{{"py_limited_api": "cp{oldest.replace(".", "")}"}}' in setup


def test_bootstrap_looks_for_each_supported_version_newest_first() -> None:
    script = (ROOT / "tools/bootstrap.sh").read_text()
    looked_for = re.search(r"set -- python3 (.*);", script)
    assert looked_for is not None
    assert looked_for[1].split() == [f"python{version}" for version in reversed(VERSIONS)]
    assert "sys.version_info < (3, 11)" in script
