"""What the fuzzer starts from, and what it once found, stays harmless."""

from pathlib import Path

import pytest
from tests.fuzz.fuzz_seeds import seeds
from tests.fuzz.fuzz_targets import TARGETS

FOUND = sorted((Path(__file__).parent / "found").glob("*/*"))


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_passes(target: str) -> None:
    inputs = seeds()[target]
    assert inputs
    for data in inputs:
        TARGETS[target](data)


def test_what_was_found_is_mended() -> None:
    for file in FOUND:
        TARGETS[file.parent.name](file.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_is_an_input(target: str) -> None:
    TARGETS[target](b"")
