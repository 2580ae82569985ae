"""Let a coverage-guided fuzzer (atheris, libFuzzer) loose on all that takes other people's bytes.

    python tools/fuzz.py                                   each target for a minute
    python tools/fuzz.py --seconds 600 interpreter block   those two, ten minutes each
    python tools/fuzz.py interpreter --replay FILE         one input, without the fuzzer

Targets are in tests/fuzz/fuzz_targets.py. What the fuzzer has learned stays in .fuzz/TARGET/, and
the next run goes on from there. What it finds lies in .fuzz/found/, and the command that replays
it is printed. Once mended, the file moves to tests/fuzz/found/TARGET/ and is a test from then on.
"""

import argparse
import subprocess
import sys
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
CORPORA = ROOT / ".fuzz"
FOUND = CORPORA / "found"
UNIT_TIMEOUT_S = 20  # an input that takes longer is a find, too
INSIDE = "--inside"  # this process is the fuzzer's

sys.path.insert(0, str(ROOT))


def main() -> int:
    """0 if nothing was found."""
    if sys.argv[1:2] == [INSIDE]:
        fuzz_here(sys.argv[2], sys.argv[3:])
    # Only now: the fuzzer has its own way to import.
    from tests.fuzz.fuzz_targets import TARGETS  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one target on one input")
    arguments = parser.parse_args()
    targets = arguments.targets or list(TARGETS)
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"no target {min(unknown)}; there are {', '.join(TARGETS)}")
    if arguments.replay:
        TARGETS[targets[0]](arguments.replay.read_bytes())
        return 0
    found = [target for target in targets if not fuzz(target, arguments.seconds)]
    print(f"found something in {', '.join(found)}" if found else "found nothing")
    return 1 if found else 0


def fuzz(target: str, seconds: int) -> bool:
    """Whether a target held. libFuzzer never returns, so it gets a process of its own."""
    from tests.fuzz.fuzz_targets import MAX_BYTES  # noqa: PLC0415

    corpus = prepare_corpus(target)
    before = set(FOUND.glob(f"{target}-*"))
    command = [
        *(sys.executable, __file__, INSIDE, target),
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES[target]}",
        f"-timeout={UNIT_TIMEOUT_S}",
        f"-artifact_prefix={FOUND}/{target}-",
        "-print_final_stats=1",
        str(corpus),
    ]
    print(f"{target}: {seconds} s", flush=True)
    status = subprocess.run(command, check=False).returncode
    for file in sorted(set(FOUND.glob(f"{target}-*")) - before):
        print(f"found: python tools/fuzz.py {target} --replay {file.relative_to(ROOT)}")
    return status == 0


def prepare_corpus(target: str) -> Path:
    """The folder of inputs that a target begins with: seeds, and what former runs learned."""
    from tests.fuzz.fuzz_seeds import seeds  # noqa: PLC0415

    FOUND.mkdir(parents=True, exist_ok=True)
    (CORPORA / ".gitignore").write_text("*\n")
    corpus = CORPORA / target
    corpus.mkdir(exist_ok=True)
    for seed in seeds()[target]:
        (corpus / sha256(seed).hexdigest()[:40]).write_bytes(seed)
    return corpus


def fuzz_here(target: str, arguments: list[str]) -> NoReturn:
    """Hand this process to libFuzzer. Every module of ours is instrumented as it is imported."""
    atheris: Any = import_module("atheris")  # where nobody fuzzes, it is not installed

    with atheris.instrument_imports(include=["drystone", "tests.fuzz.fuzz_targets"]):
        from tests.fuzz.fuzz_targets import TARGETS  # noqa: PLC0415

    atheris.Setup([sys.argv[0], *arguments], TARGETS[target])
    atheris.Fuzz()
    raise AssertionError("libFuzzer came back")


if __name__ == "__main__":
    sys.exit(main())
