"""The documentation's examples are tests: pytest runs README.md and docs/*.md through Sybil.

A `python` block runs in its page's one namespace. A `pycon` block too, and what it shows is
compared. A `console` block is a transcript of a shell in an empty folder: each `$` line runs, and
the lines below it, if there are any, are what it must print (`...` stands for anything). A `toml`
block that begins with a file's name in a comment is such a file in that folder. Blocks in other
languages, such as `sh` for what never ends, are not run.
"""

import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from doctest import ELLIPSIS, OutputChecker
from doctest import Example as Output
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

FOLDERS = (Path(__file__).parent, Path(__file__).parent / "docs")


def run_console(example: Example) -> str | None:
    """Run a transcript's commands; a sentence about the first that went another way."""
    status = 0
    for command, expected in transcript(example.parsed):
        done = subprocess.run(  # noqa: S603  the commands are our own documentation's
            ["/bin/sh", "-c", f"(exit {status})\n{command}"],
            cwd=example.namespace["folder_of_consoles"].name,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        status = done.returncode
        if expected:
            if not OutputChecker().check_output(expected, done.stdout, ELLIPSIS):
                output = Output(command, expected)
                difference = OutputChecker().output_difference(output, done.stdout, ELLIPSIS)
                return f"$ {command}\n{difference}"
        elif status:
            return f"$ {command}\nended with status {status}:\n{done.stdout}"
    return None


def write_file(example: Example) -> None:
    """Put a file where transcripts find it, if the block says which it is."""
    named = re.match(r"# ([\w.-]+\.toml)\n", example.parsed)
    if named is not None:
        folder = Path(example.namespace["folder_of_consoles"].name)
        (folder / named[1]).write_text(example.parsed, encoding="utf-8")


def transcript(text: str) -> Iterator[tuple[str, str]]:
    """Each command with the output that stands below it."""
    for part in text.removeprefix("$ ").split("\n$ "):
        command, _, expected = part.partition("\n")
        yield command, expected.strip() and f"{expected.rstrip()}\n"


def environment() -> dict[str, str]:
    """Ours without the nodes' settings, the installed command first, as wide as a page."""
    kept = {k: v for k, v in os.environ.items() if k not in {"NODE_IP", "NODE_PORTS"}}
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "COLUMNS": "80", "NO_COLOR": "1"}


python = PythonCodeBlockParser()
pycon = PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)
pycon.codeblock_parser = CodeBlockParser("pycon", PythonEvaluator())

collect = Sybil(
    [
        *(python, pycon),
        CodeBlockParser("console", run_console),
        CodeBlockParser("toml", write_file),
    ],
    pattern="*.md",
    setup=lambda namespace: namespace.update(folder_of_consoles=TemporaryDirectory()),
    teardown=lambda namespace: namespace["folder_of_consoles"].cleanup(),
).pytest()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Ours are the pages beside this file and those in docs/, no others."""
    return collect(file_path, parent) if file_path.parent in FOLDERS else None
