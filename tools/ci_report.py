"""Where the tests' time went, folder by folder, and whether none was skipped that should run.

    python tools/ci_report.py build/tests.xml

Reads the JUnit file that pytest wrote. Exit status 1 if a test under tests/vectors was skipped, or
none ran, although the reference files lie where those tests look for them: in DRYSTONE_VECTORS,
else in ../shared/vectors. A skipped comparison looks like a passed one from afar. Likewise if a
test with bcoin was skipped, or none ran: whoever asks for this report has installed it.
"""

import os
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

VECTOR_TESTS = "tests/vectors"
BCOIN_TESTS = Path("tests/interop/test_bcoin.py")


@dataclass(frozen=True, slots=True)
class Case:
    """One test, as the JUnit file tells it."""

    name: str
    folder: str
    seconds: float
    outcome: str  # "passed", "skipped", or "failed", which errors are too

    @classmethod
    def from_xml(cls, element: ET.Element) -> "Case":
        """Read a <testcase>. One without a classname is a module, skipped or broken as a whole."""
        module = element.get("classname") or element.get("name") or ""
        found = {child.tag: child.get("type") for child in element}
        if "failure" in found or "error" in found:
            outcome = "failed"
        elif found.get("skipped", "pytest.xfail") != "pytest.xfail":
            outcome = "skipped"
        else:
            outcome = "passed"
        return cls(
            name=f"{module}.{element.get('name')}",
            folder=folder_of(module),
            seconds=float(element.get("time", 0)),
            outcome=outcome,
        )


def folder_of(module: str) -> str:
    """Return tests/unit/chain for tests.unit.chain.test_undo.TestA, and docs for docs.page.md."""
    parts = module.split(".")
    if parts[-1] == "md":
        folders = parts[:-2]
    else:
        folders = list(takewhile(lambda part: not part.startswith(("test_", "Test")), parts))
    return "/".join(folders) or "."


def table(cases: Iterable[Case]) -> list[str]:
    """Return a line per folder, the slowest first, and one for the whole."""
    by_folder: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_folder[case.folder].append(case)
        by_folder["all"].append(case)
    rows = sorted(by_folder.items(), key=lambda row: (row[0] == "all", -seconds(row[1]), row[0]))
    lines = [f"{'seconds':>9} {'passed':>7} {'skipped':>8} {'failed':>7}  folder"]
    for folder, those in rows:
        passed, skipped, failed = (
            sum(case.outcome == outcome for case in those)
            for outcome in ("passed", "skipped", "failed")
        )
        lines.append(f"{seconds(those):9.1f} {passed:7} {skipped:8} {failed:7}  {folder}")
    return lines


def seconds(cases: Iterable[Case]) -> float:
    """Sum up, setup and teardown included."""
    return sum(case.seconds for case in cases)


def vector_complaints(cases: Iterable[Case], data: Path, tests: Path) -> list[str]:
    """Return what keeps us from saying that the reference files at data were compared."""
    if not data.is_dir():
        return []
    ours = [case for case in cases if f"{case.folder}/".startswith(f"{VECTOR_TESTS}/")]
    skipped = [
        f"skipped although {data} is there: {c.name}" for c in ours if c.outcome == "skipped"
    ]
    if not ours and any(tests.rglob("test_*.py")):
        return [f"no test of {VECTOR_TESTS} ran although {data} is there"]
    return skipped


def bcoin_complaints(cases: Iterable[Case], tests: Path) -> list[str]:
    """Return what keeps us from saying that another full node agrees with ours."""
    module = ".".join(tests.with_suffix("").parts)
    ours = [case for case in cases if case.name.startswith(f"{module}.")]
    if not ours and tests.exists():
        return [f"no test of {tests} ran"]
    return [f"skipped, so bcoin is not installed: {c.name}" for c in ours if c.outcome == "skipped"]


def main(junit: str) -> int:
    """Print the table and the complaints; status 1 if there is one."""
    if not Path(junit).exists():
        print(f"no {junit}: pytest did not get as far as running tests")
        return 1
    cases = [Case.from_xml(element) for element in ET.parse(junit).iter("testcase")]  # noqa: S314 our own file
    print(*table(cases), sep="\n")
    data = Path(os.environ.get("DRYSTONE_VECTORS") or "../shared/vectors")
    complaints = vector_complaints(cases, data, Path(VECTOR_TESTS))
    complaints += bcoin_complaints(cases, BCOIN_TESTS)
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
