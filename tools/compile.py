"""Install drystone into .venv-fast, with what simulations spend their time in as machine code.

    python tools/compile.py

setup.py says which modules mypyc compiles. The sources are copied first, so that nothing of it
stays among them. What is there already and of the same sources is left alone. In the end a
network runs twice, compiled and not, and has to leave the same trace. Exit status 1 if anything
fails.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from check_package import Wrong, run

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-fast"
MADE = VENV / "made"  # the sources and the Python that it was made of
TOOLS = ("setuptools>=77", "mypy==2.4.1")  # as in pyproject.toml
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "src")
UNWANTED = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "*.egg-info")
RUN = """
from drystone.core.link import LinkSettings
from drystone.network import VirtualNetwork
network = VirtualNetwork(9, seed=3, hashes_per_s=6554, topology="random:4")
network.set_link("n0", "n1", LinkSettings.in_ms(50, 20, loss=0.1))
network.run_for(60)
network.partition(["n0", "n1", "n2"])
network.send("alice", "bob", "1.5")
network.run_for(60)
network.heal()
network.kill("n4")
network.restart("n4")
network.run_for(60)
print(network.world.trace.digest(), network.world.trace.events)
"""
NEXT = "type: .venv-fast/bin/drystone sim examples/fifty.toml"


def identity() -> str:
    """What the result depends on, in short."""
    files = [ROOT / "setup.py", ROOT / "pyproject.toml", *sorted((ROOT / "src").rglob("*.[pch]*"))]
    digest = hashlib.sha256()
    for file in files:
        if file.suffix in {".py", ".c", ".h", ".toml"}:
            digest.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return f"{digest.hexdigest()} {sys.version} {ROOT}\n"


def make() -> None:
    """The environment, its tools, and drystone."""
    shutil.rmtree(VENV, ignore_errors=True)
    run(sys.executable, "-m", "venv", VENV)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    python = VENV / "bin/python"
    run(python, "-m", "pip", "install", "-q", *TOOLS, *needed)  # whose types mypyc wants to know
    with tempfile.TemporaryDirectory(prefix="drystone-compile-") as name:
        folder = Path(name)
        for source in SOURCES:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder / source, ignore=UNWANTED)
            else:
                shutil.copy(ROOT / source, folder)
        run(python, "setup.py", "-q", "bdist_wheel", cwd=folder, env={"DRYSTONE_COMPILE": "1"})
        (wheel,) = (folder / "dist").glob("*.whl")
        run(python, "-m", "pip", "install", "-q", "--no-deps", wheel)


def trace_of(python: Path) -> str:
    """The digest of a run's trace: 9 nodes that mine, lose a link's bytes, are cut and healed."""
    command = [str(python), "-c", RUN]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.check_output(command, cwd=VENV, env=environment, text=True)


def main() -> int:
    """Make it, unless it is there."""
    wanted = identity()
    if MADE.exists() and MADE.read_text() == wanted:
        print(f"drystone: compiled already; {NEXT}")
        return 0
    print(
        "drystone: compiling into .venv-fast, once for these sources, about two minutes", flush=True
    )
    started = time.monotonic()
    try:
        make()
    except Wrong as wrong:
        print(f"drystone: it could not be compiled: {wrong}", file=sys.stderr)
        return 1
    if trace_of(VENV / "bin/python") != trace_of(Path(sys.executable)):
        print(
            "drystone: compiled, a network runs otherwise than before: that is a bug, please tell"
        )
        return 1
    MADE.write_text(wanted)
    print(f"drystone: compiled in {time.monotonic() - started:.0f} s, and runs as before; {NEXT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
