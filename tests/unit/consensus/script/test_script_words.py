"""Flags and errors are the reference client's: bits, names, sentences."""

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import CONSENSUS, STANDARD, Flags


def test_each_flag_has_a_bit_of_its_own_and_none_is_left_out() -> None:
    assert [flag.value for flag in Flags] == [1 << bit for bit in range(21)]


def test_consensus_is_part_of_policy() -> None:
    assert CONSENSUS in STANDARD
    assert STANDARD not in CONSENSUS
    # Policy, but not for scripts as such: whole transactions are refused by other checks.
    assert STANDARD | Flags.SIGPUSHONLY == ~Flags.NONE


def test_a_flag_set_has_each_of_its_flags() -> None:
    both = Flags.P2SH | Flags.WITNESS
    assert Flags.P2SH in both
    assert both not in Flags.P2SH
    assert Flags.TAPROOT not in both


def test_errors_are_told_apart_by_name_and_sentence() -> None:
    assert len(ScriptError) == len({error.value for error in ScriptError}) == 55


def test_an_exception_says_the_sentence() -> None:
    invalid = ScriptInvalid(ScriptError.NULLFAIL)
    assert str(invalid) == "Signature must be zero for failed CHECK(MULTI)SIG operation"
    assert (invalid.tx, invalid.input_index) == (None, None)
