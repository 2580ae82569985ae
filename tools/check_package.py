"""Build the package as a user gets it, and try it: CI's last stage.

    python tools/check_package.py

From the files git knows an sdist is built, and from that the wheel, twice in one place: with a
compiler, then without. The first has to run under every CPython from 3.11 on that is found here,
the second must hold nothing that the first left behind. Exit status 1 at the first thing wrong.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

CANDIDATES = ("python3", "python3.11", "python3.12", "python3.13", "python3.14")
PYENV = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
NATIVE = "drystone/kernel/_native.abi3.so"
DATA = ("drystone/py.typed", "drystone/drivers/local_history.dat")
TRY = """
import drystone.drivers.history
import drystone.kernel
drystone.drivers.history.local_history()
try:
    import drystone.kernel._native
except ImportError:
    print("pure")
else:
    print("native")
"""


class Wrong(Exception):
    """The package is not as it should be; the sentence says how."""


def run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed; if it fails, that is the error."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **(env or {})}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Wrong(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def sources(root: Path) -> Path:
    """Copy what git tracks or would track, so that nothing built earlier slips in."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], text=True
    )
    for name in filter(None, listed.split("\0")):
        if Path(name).is_file():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, target)
    return root


def build(what: str, project: Path, into: Path, env: Mapping[str, str] | None = None) -> Path:
    """Build the sdist or the wheel of project, as what says, and return it."""
    run(sys.executable, "-m", "build", f"--{what}", "--outdir", into, project, env=env)
    (built,) = into.iterdir()
    return built


def check_contents(wheel: Path, *, native: bool) -> None:
    """Look for what has to be in the wheel and for what must not."""
    names = zipfile.ZipFile(wheel).namelist()
    if "-cp311-abi3-" not in wheel.name:
        raise Wrong(f"{wheel.name}: not tagged cp311-abi3")
    for name in DATA:
        if name not in names:
            raise Wrong(f"{wheel.name}: no {name}")
    if (NATIVE in names) != native:
        raise Wrong(f"{wheel.name}: {'no' if native else 'a stale'} {NATIVE}")
    strangers = [
        name
        for name in names
        if name.endswith((".c", ".h")) or not name.startswith(("drystone/", "drystone-"))
    ]
    if strangers:
        raise Wrong(f"{wheel.name}: contains {', '.join(strangers)}")


def pythons() -> dict[str, str]:
    """Return the CPythons from 3.11 on that really run here, one for each version."""
    found: dict[str, str] = {}
    ask = "import sys, venv; print(sys.implementation.name, *sys.version_info[:2])"
    managed = sorted(PYENV.glob("versions/3.*/bin/python3"))
    for command in (sys.executable, *CANDIDATES, *map(str, managed)):
        try:
            name, major, minor = run(command, "-c", ask).split()
        except (Wrong, OSError, ValueError):
            continue
        if name == "cpython" and (int(major), int(minor)) >= (3, 11):
            found.setdefault(f"{major}.{minor}", command)
    return found


def try_out(wheel: Path, python: str, venv: Path, *, expected: str) -> None:
    """Install the wheel into a new environment and ask for help, which imports every command."""
    run(python, "-m", "venv", "--without-pip", venv)
    run(sys.executable, "-m", "pip", "--python", venv / "bin/python", "install", "-q", wheel)
    kernel = run(venv / "bin/python", "-W", "error", "-c", TRY, cwd=venv).strip()
    if kernel != expected:
        raise Wrong(f"{wheel.name} under {python}: the kernel is {kernel}, not {expected}")
    run(venv / "bin/drystone", "--help", cwd=venv)


def check(work: Path, versions: Mapping[str, str]) -> None:
    """Build all three and try the wheels."""
    sdist = build("sdist", sources(work / "sources"), work / "sdist")
    shutil.unpack_archive(sdist, work)
    project = work / sdist.name.removesuffix(".tar.gz")

    wheel = build("wheel", project, work / "native")
    check_contents(wheel, native=True)
    print(f"{wheel.name}, {wheel.stat().st_size // 1024} KiB", flush=True)
    for version, python in versions.items():
        try_out(wheel, python, work / version, expected="native")
        print(f"  runs under {version}", flush=True)

    wheel = build("wheel", project, work / "pure", {"CC": "/nonexistent/cc"})
    check_contents(wheel, native=False)
    try_out(wheel, sys.executable, work / "without", expected="pure")
    print("  and without a compiler", flush=True)


def main() -> int:
    """Check in a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="drystone-package-") as work:
        try:
            check(Path(work), pythons())
        except Wrong as wrong:
            print(f"check_package: {wrong}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
