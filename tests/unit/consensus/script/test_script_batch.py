"""Checks that wait for a batch: which do, and what happens if the batch is refused."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import pytest
from tests.support.everyday_spends import Choices, everyday_spend
from tests.support.spending import LOCKS, Lock, signed

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import CONSENSUS
from drystone.consensus.script.verify import Spend, verify_batch_of_scripts
from drystone.consensus.verifier import INLINE, Algorithm, SignatureCheck, verify_one_by_one
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

BY_NAME = {lock.name: lock for lock in LOCKS}


class Counting:
    """The usual verifier, counting."""

    def __init__(self) -> None:
        self.at_once = 0
        self.batches: list[Sequence[SignatureCheck]] = []

    def ecdsa(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        self.at_once += 1
        return INLINE.ecdsa(public_key, digest, signature)

    def schnorr(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        self.at_once += 1
        return INLINE.schnorr(public_key, digest, signature)

    def are_valid(self, checks: Sequence[SignatureCheck]) -> bool:
        self.batches.append(list(checks))
        return verify_one_by_one(checks)


def spend_of(*locks: Lock) -> Spend:
    funding = Txid(sha256(b"funding").digest())
    spent = [TxOut(100, lock.script_pubkey) for lock in locks]
    vin = tuple(TxIn(OutPoint(funding, n)) for n in range(len(locks)))
    return Spend(signed(Transaction(2, vin, (TxOut(1, b"\x51"),)), locks, spent), spent)


def spoiled(spend: Spend, at: int = 0) -> Spend:
    """With another amount spent by an input, which its signature does not sign."""
    spent = list(spend.spent_outputs)
    spent[at] = replace(spent[at], value=101)
    return Spend(spend.tx, spent)


def verify(*spends: Spend) -> Counting:
    counting = Counting()
    verify_batch_of_scripts(spends, CONSENSUS, counting.are_valid, counting)
    return counting


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("p2pkh", Algorithm.ECDSA),
        ("p2wpkh", Algorithm.ECDSA),
        ("p2sh-p2wpkh", Algorithm.ECDSA),
        ("p2tr-key", Algorithm.SCHNORR),
        ("p2tr-script", Algorithm.SCHNORR),
    ],
)
def test_a_check_that_decides_waits(name: str, algorithm: Algorithm) -> None:
    counting = verify(spend_of(BY_NAME[name]), spend_of(BY_NAME[name], BY_NAME[name]))
    assert counting.at_once == 0
    assert [[check.algorithm for check in batch] for batch in counting.batches] == [[algorithm] * 3]


@pytest.mark.parametrize(("name", "checks"), [("p2pk", 1), ("p2sh", 3), ("p2wsh", 3)])
def test_a_check_that_may_fail_in_a_valid_script_does_not_wait(name: str, checks: int) -> None:
    counting = verify(spend_of(BY_NAME[name]))
    assert counting.at_once == checks
    assert counting.batches == []


def test_without_signatures_there_is_no_batch() -> None:
    assert verify(spend_of(BY_NAME["anyone"])).batches == []
    assert verify().batches == []


def test_a_refused_batch_runs_again_in_order() -> None:
    good, bad = spend_of(BY_NAME["p2wpkh"]), spoiled(spend_of(*[BY_NAME["p2wpkh"]] * 2), at=1)
    with pytest.raises(ScriptInvalid) as refused:
        verify(good, bad, spoiled(good), good)
    assert refused.value.error is ScriptError.EVAL_FALSE
    assert (refused.value.tx, refused.value.input_index) == (bad.tx, 1)


def test_a_script_that_fails_on_its_own_waits_for_those_before_it() -> None:
    bad = spoiled(spend_of(BY_NAME["p2wpkh"]))
    worse = everyday_spend("p2tr", Choices({"witness": 4}))  # no witness at all
    with pytest.raises(ScriptInvalid) as refused:
        verify(worse, bad)
    assert refused.value.error is ScriptError.WITNESS_PROGRAM_WITNESS_EMPTY
    with pytest.raises(ScriptInvalid) as refused:
        verify(bad, worse)
    assert refused.value.tx is bad.tx


def test_a_transaction_is_refused_for_its_first_bad_input() -> None:
    locks = [BY_NAME["p2wpkh"], BY_NAME["p2wsh"]]
    both = spoiled(spoiled(spend_of(*locks), at=0), at=1)
    with pytest.raises(ScriptInvalid) as refused:
        verify(both)
    assert refused.value.input_index == 0


def test_a_batch_that_is_refused_for_nothing_is_no_verdict() -> None:
    spends = [spend_of(BY_NAME["p2wpkh"]), spend_of(BY_NAME["p2tr-key"])]
    verify_batch_of_scripts(spends, CONSENSUS, lambda checks: False)


def test_a_verifier_in_a_batch_is_asked_as_algorithms_differ() -> None:
    counting = verify(spend_of(BY_NAME["p2wpkh"], BY_NAME["p2tr-key"]))
    [batch] = counting.batches
    assert verify_one_by_one(batch)
    assert not verify_one_by_one([check._replace(digest=bytes(32)) for check in batch])
    assert verify_one_by_one([])
