"""tx_valid.json and tx_invalid.json: whole transactions under flags."""

from random import Random

import pytest
from tests.support.tx_cases import TxCase, tx_cases
from tests.support.vectors import filled, flags_from, trimmed, vectors

from drystone.consensus.errors import TxInvalid
from drystone.consensus.script.errors import ScriptInvalid
from drystone.consensus.script.flags import CONSENSUS, STANDARD, Flags
from drystone.consensus.script.verify import Spend, verify_batch_of_scripts, verify_scripts
from drystone.consensus.transaction import check_transaction

ALL = ~Flags.NONE


def is_valid(case: TxCase, flags: Flags) -> bool:
    try:
        verify_scripts(case.tx, case.spent, flags)
    except ScriptInvalid:
        return False
    return True


def scripted(entries: list[list[object]]) -> list[TxCase]:
    return [case for case in tx_cases(entries) if case.flags != "BADTX"]


def malformed(entries: list[list[object]]) -> list[TxCase]:
    return [case for case in tx_cases(entries) if case.flags == "BADTX"]


@vectors("tx_valid.json", tx_cases)
def test_a_transaction_is_valid_under_all_but_the_named_flags(case: TxCase) -> None:
    check_transaction(case.tx)
    assert is_valid(case, ALL & ~flags_from(case.flags))


@vectors("tx_valid.json", tx_cases)
def test_a_valid_transaction_stays_valid_with_fewer_flags(case: TxCase) -> None:
    flags = ALL & ~flags_from(case.flags)
    rng = Random(case.tx.wtxid)
    for flag in Flags:
        assert is_valid(case, trimmed(flags & ~flag)), flag
        assert is_valid(case, trimmed(flags & ~Flags(rng.getrandbits(21))))


@vectors("tx_valid.json", tx_cases)
def test_each_flag_left_out_would_make_the_transaction_invalid(case: TxCase) -> None:
    excluded = flags_from(case.flags)
    for flag in excluded:
        assert not is_valid(case, filled(ALL & ~trimmed(excluded & ~flag))), flag


@vectors("tx_invalid.json", scripted)
def test_a_transaction_is_invalid_under_the_named_flags(case: TxCase) -> None:
    check_transaction(case.tx)
    assert not is_valid(case, flags_from(case.flags))


@vectors("tx_invalid.json", scripted)
def test_an_invalid_transaction_stays_invalid_with_more_flags(case: TxCase) -> None:
    flags = flags_from(case.flags)
    rng = Random(case.tx.wtxid)
    for flag in Flags:
        assert not is_valid(case, filled(flags | flag)), flag
        assert not is_valid(case, filled(flags | Flags(rng.getrandbits(21))))


@vectors("tx_invalid.json", scripted)
def test_each_named_flag_is_needed_to_refuse_the_transaction(case: TxCase) -> None:
    flags = flags_from(case.flags)
    for flag in flags:
        assert is_valid(case, trimmed(flags & ~flag)), flag


def agree(case: TxCase, flags: Flags) -> None:
    """A batch comes to the same verdict."""
    try:
        verify_batch_of_scripts([Spend(case.tx, case.spent)], flags)
    except ScriptInvalid:
        assert not is_valid(case, flags)
    else:
        assert is_valid(case, flags)


@vectors("tx_valid.json", tx_cases)
def test_a_batch_agrees_on_valid_transactions(case: TxCase) -> None:
    for flags in (CONSENSUS, STANDARD, ALL & ~flags_from(case.flags)):
        agree(case, flags)


@vectors("tx_invalid.json", scripted)
def test_a_batch_agrees_on_invalid_transactions(case: TxCase) -> None:
    for flags in (CONSENSUS, STANDARD, flags_from(case.flags)):
        agree(case, flags)


@vectors("tx_invalid.json", malformed)
def test_a_transaction_is_refused_before_any_script_runs(case: TxCase) -> None:
    with pytest.raises(TxInvalid):
        check_transaction(case.tx)
