"""The command line, run within this process."""

import io
import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from drystone.cli.main import main
from tests.support.processes import environment


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


def run_main(*arguments: str | int, cwd: Path, **environ: str) -> Outcome:
    """Run `drystone` with arguments, in a folder, until it ends by itself."""
    out, err = io.StringIO(), io.StringIO()
    with (
        chdir(cwd),
        patch.dict(os.environ, {**environment(), **environ}, clear=True),
        patch("sys.argv", ["drystone", *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert isinstance(ended.value.code, int)
    return Outcome(ended.value.code, out.getvalue(), err.getvalue())
