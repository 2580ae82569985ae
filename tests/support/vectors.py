"""Reference vectors: files as the reference client has them, one test for each case."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from drystone.consensus.script.flags import Flags
from drystone.primitives.opcodes import Op
from drystone.primitives.script import push, push_int

FOLDER = Path(
    os.environ.get("DRYSTONE_VECTORS") or Path(__file__).parents[2] / ".." / "shared" / "vectors"
)

_WORDS = {
    name: op
    for op in Op
    if op >= Op.OP_NOP or op == Op.OP_RESERVED
    for name in (op.name, op.name.removeprefix("OP_"))
}


def vectors(file_name: str, cases_of: Callable[[Any], Sequence[Any]]) -> pytest.MarkDecorator:
    """Parametrizes a test's `case`, or skips it where the file isn't.

    cases_of: makes the cases out of what the file says.
    """
    path = FOLDER / file_name
    if not path.exists():
        advice = f"no {path}: set DRYSTONE_VECTORS to a folder of Bitcoin Core's src/test/data"
        return pytest.mark.parametrize("case", [pytest.param(None, marks=pytest.mark.skip(advice))])
    return pytest.mark.parametrize("case", cases_of(json.loads(path.read_text())))


def assemble(text: str) -> bytes:
    """A script as vectors write it: `1 0x02 0xabcd 'text' CHECKSIG`. Core: ParseScript.

    Numbers and quoted text are pushed, 0x goes into the script as it stands.
    """
    return b"".join(map(_assemble_word, text.split()))


def _assemble_word(word: str) -> bytes:
    if word.removeprefix("-").isdigit():
        return push_int(int(word))
    if word.startswith("0x"):
        return bytes.fromhex(word[2:])
    if word.startswith("'"):
        return push(word[1:-1].encode())
    return bytes((_WORDS[word],))


def flags_from(text: str) -> Flags:
    """Flags as vectors write them, parted by commas; NONE or nothing for none."""
    flags = Flags.NONE
    for name in filter(None, text.split(",")):
        flags |= Flags[name]
    return flags


def filled(flags: Flags) -> Flags:
    """With what some flags can't go without."""
    if Flags.CLEANSTACK in flags:
        flags |= Flags.WITNESS
    if Flags.WITNESS in flags:
        flags |= Flags.P2SH
    return flags


def trimmed(flags: Flags) -> Flags:
    """Without what can't go without others that are missing."""
    if Flags.P2SH not in flags:
        flags &= ~Flags.WITNESS
    if Flags.WITNESS not in flags:
        flags &= ~Flags.CLEANSTACK
    return flags
