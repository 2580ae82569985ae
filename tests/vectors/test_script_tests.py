"""script_tests.json: scripts and witnesses with the error that each must end in."""

from random import Random

from tests.support.script_cases import ScriptCase, script_cases
from tests.support.vectors import filled, trimmed, vectors

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.verify import Spend, verify_batch_of_scripts, verify_scripts


def outcome(case: ScriptCase, flags: Flags, *, in_batch: bool = False) -> ScriptError:
    spend = Spend(case.tx, [case.spent])
    try:
        if in_batch:
            verify_batch_of_scripts([spend], flags)
        else:
            verify_scripts(*spend, flags)
    except ScriptInvalid as invalid:
        return invalid.error
    return ScriptError.OK


@vectors("script_tests.json", script_cases)
def test_a_script_ends_in_the_error_that_the_vector_names(case: ScriptCase) -> None:
    assert outcome(case, case.flags) is case.expected, case.text


@vectors("script_tests.json", script_cases)
def test_a_batch_ends_in_the_same_error(case: ScriptCase) -> None:
    assert outcome(case, case.flags, in_batch=True) is case.expected, case.text


@vectors("script_tests.json", script_cases)
def test_flags_only_forbid(case: ScriptCase) -> None:
    rng = Random(case.text)
    for _ in range(8):
        some = Flags(rng.getrandbits(21))
        if case.expected is ScriptError.OK:
            assert outcome(case, trimmed(case.flags & ~some)) is ScriptError.OK
        else:
            assert outcome(case, filled(case.flags | some)) is not ScriptError.OK
