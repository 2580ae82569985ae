"""tools/ci_report.py: a test that was skipped must not look like one that passed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPORT = Path(__file__).parents[3] / "tools/ci_report.py"
PASSED = '<testcase classname="tests.unit.chain.test_undo.TestUndo" name="test_a" time="1.5"/>'
VECTOR = '<testcase classname="tests.vectors.test_sighash" name="test_v" time="0.5">{}</testcase>'
SKIP = '<skipped type="pytest.skip" message="no files"/>'


def report(folder: Path, *cases: str, data: bool) -> tuple[int, str]:
    (folder / "tests/vectors").mkdir(parents=True)
    (folder / "tests/vectors/test_sighash.py").touch()
    (folder / "shared").mkdir()
    junit = folder / "tests.xml"
    junit.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    done = subprocess.run(
        [sys.executable, REPORT, junit],
        cwd=folder,
        env={**os.environ, "DRYSTONE_VECTORS": str(folder / ("shared" if data else "absent"))},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_times_are_added_up_folder_by_folder(tmp_path: Path) -> None:
    status, text = report(tmp_path, PASSED, PASSED, VECTOR.format(""), data=True)
    assert status == 0
    assert text.splitlines() == [
        "  seconds  passed  skipped  failed  folder",
        "      3.0       2        0       0  tests/unit/chain",
        "      0.5       1        0       0  tests/vectors",
        "      3.5       3        0       0  all",
    ]


@pytest.mark.parametrize(
    "skipped",
    [
        VECTOR.format(SKIP),
        f'<testcase classname="" name="tests.vectors.test_sighash" time="0">{SKIP}</testcase>',
    ],
    ids=["one test", "a whole module"],
)
def test_a_skipped_vector_test_is_an_error_where_the_files_are_there(
    tmp_path: Path, skipped: str
) -> None:
    status, text = report(tmp_path, PASSED, skipped, data=True)
    assert status == 1
    assert "skipped although" in text


def test_a_skipped_vector_test_is_none_where_the_files_are_not(tmp_path: Path) -> None:
    assert report(tmp_path, VECTOR.format(SKIP), data=False)[0] == 0


BCOIN = '<testcase classname="tests.interop.test_bcoin" name="test_b" time="2">{}</testcase>'


def test_a_skipped_test_with_bcoin_is_an_error(tmp_path: Path) -> None:
    status, text = report(tmp_path, PASSED, BCOIN.format(SKIP), data=False)
    assert status == 1
    assert "bcoin is not installed: tests.interop.test_bcoin.test_b" in text


def test_one_that_ran_is_none_and_none_at_all_is_one(tmp_path: Path) -> None:
    (tmp_path / "tests/interop").mkdir(parents=True)
    (tmp_path / "tests/interop/test_bcoin.py").touch()
    (tmp_path / "ran").mkdir()
    assert report(tmp_path / "ran", BCOIN.format(""), data=False)[0] == 0
    status, text = report(tmp_path, PASSED, data=False)
    assert status == 1
    assert "no test of tests/interop/test_bcoin.py ran" in text


def test_an_expected_failure_is_not_a_skip(tmp_path: Path) -> None:
    case = VECTOR.format('<skipped type="pytest.xfail" message="known"/>')
    assert report(tmp_path, case, data=True)[0] == 0


def test_vector_tests_that_never_ran_are_an_error_too(tmp_path: Path) -> None:
    status, text = report(tmp_path, PASSED, data=True)
    assert status == 1
    assert "no test of tests/vectors ran" in text
