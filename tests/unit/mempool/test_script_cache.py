"""Scripts that were found valid are not run again, under as many flags or fewer."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from tests.support.mempool import Place
from tests.support.spending import p2tr_key_lock

from drystone.consensus.chains import REGTEST
from drystone.consensus.script.errors import ScriptInvalid
from drystone.consensus.script.flags import CONSENSUS, STANDARD
from drystone.consensus.script.verify import Spend
from drystone.consensus.verifier import INLINE, SignatureCheck, verify_one_by_one
from drystone.mempool.outcomes import Accepted
from drystone.mempool.pool import Mempool
from drystone.mempool.script_cache import ScriptCache


class Counting:
    """A verifier that counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def ecdsa(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        self.asked += 1
        return INLINE.ecdsa(public_key, digest, signature)

    def schnorr(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        self.asked += 1
        return INLINE.schnorr(public_key, digest, signature)


def test_what_is_valid_under_some_flags_is_under_fewer() -> None:
    place, verifier = Place(), Counting()
    cache = ScriptCache(verifier)
    coin = place.fund(p2tr_key_lock())
    tx = place.pay(coin)
    assert not cache.is_valid(tx.wtxid, CONSENSUS)
    for flags, asked in ((CONSENSUS, 1), (CONSENSUS, 1), (STANDARD, 2), (CONSENSUS, 2)):
        cache.verify(tx, [coin.coin.output], flags)
        assert verifier.asked == asked
    assert cache.is_valid(tx.wtxid, STANDARD) and cache.is_valid(tx.wtxid, CONSENSUS)


def test_what_is_invalid_is_not_remembered() -> None:
    place, cache = Place(), ScriptCache()
    coin = place.fund(p2tr_key_lock())
    other = replace(place.pay(coin), lock_time=1)
    for _ in range(2):
        with pytest.raises(ScriptInvalid):
            cache.verify(other, [coin.coin.output], STANDARD)
    assert len(cache) == 0


def test_the_oldest_is_forgotten() -> None:
    place, cache = Place(), ScriptCache(most=2)
    coins = [place.fund() for _ in range(3)]
    made = [place.pay(coin) for coin in coins]
    for tx, coin in zip(made, coins, strict=True):
        cache.verify(tx, [coin.coin.output], STANDARD)
    assert [cache.is_valid(tx.wtxid, STANDARD) for tx in made] == [False, True, True]


def test_nodes_may_share_what_they_know() -> None:
    place, verifier = Place(), Counting()
    shared = ScriptCache(verifier)
    tx = place.pay()
    for _ in range(3):
        pool = Mempool(REGTEST, scripts=shared)
        assert isinstance(pool.accept(tx, place.view, place.now), Accepted)
    assert verifier.asked == 1


# What is foreseen.


class Waiting:
    """Signatures that are checked when the verdict is asked for; it counts batches and verdicts."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.told: list[bool] = []

    def start(self, checks: Sequence[SignatureCheck], /) -> Callable[[], bool]:
        self.started.append(len(checks))

        def verdict() -> bool:
            self.told.append(verify_one_by_one(checks))
            return self.told[-1]

        return verdict


def spends_of(place: Place, count: int) -> list[Spend]:
    coins = [place.fund() for _ in range(count)]
    return [Spend(place.pay(coin), [coin.coin.output]) for coin in coins]


def forged(spend: Spend) -> Spend:
    """The same, but for another transaction's signature."""
    return Spend(replace(spend.tx, lock_time=spend.tx.lock_time + 1), spend.spent_outputs)


def test_what_was_foreseen_is_verified_by_whoever_checks_signatures() -> None:
    place, verifier, signatures = Place(), Counting(), Waiting()
    cache = ScriptCache(verifier, signatures=signatures)
    spends = spends_of(place, 20)
    cache.foresee(spends, STANDARD)
    assert signatures.started == [8, 8, 4] and not signatures.told
    for spend in spends:
        assert not cache.is_valid(spend.tx.wtxid, STANDARD)
        cache.verify(*spend, STANDARD)
        assert cache.is_valid(spend.tx.wtxid, STANDARD)
    assert verifier.asked == 0 and all(signatures.told)


def test_a_forged_one_is_found_and_those_beside_it_are_valid() -> None:
    place, signatures = Place(), Waiting()
    cache = ScriptCache(signatures=signatures)
    spends = spends_of(place, 4)
    spends[2] = forged(spends[2])
    cache.foresee(spends, STANDARD)
    for number, spend in enumerate(spends):
        if number == 2:
            with pytest.raises(ScriptInvalid):
                cache.verify(*spend, STANDARD)
        else:
            cache.verify(*spend, STANDARD)
    assert len(cache) == 3 and signatures.told


def test_scripts_that_fail_without_any_signature_are_left_to_their_turn() -> None:
    place, signatures = Place(), Waiting()
    cache = ScriptCache(signatures=signatures)
    (spend,) = spends_of(place, 1)
    other = place.fund(p2tr_key_lock())
    wrong = Spend(spend.tx, [other.coin.output])  # not what it unlocks
    cache.foresee([wrong], STANDARD)
    assert not signatures.started
    with pytest.raises(ScriptInvalid):
        cache.verify(*wrong, STANDARD)


def test_what_was_foreseen_under_fewer_flags_runs_again() -> None:
    place, verifier = Place(), Counting()
    cache = ScriptCache(verifier, signatures=Waiting())
    (spend,) = spends_of(place, 1)
    cache.foresee([spend], CONSENSUS)
    cache.verify(*spend, STANDARD)
    assert verifier.asked == 1


def test_what_was_foreseen_and_did_not_come_is_forgotten() -> None:
    place, verifier = Place(), Counting()
    cache = ScriptCache(verifier, signatures=Waiting())
    first, second = spends_of(place, 2)
    cache.foresee([first], STANDARD)
    cache.foresee([second], STANDARD)
    cache.verify(*first, STANDARD)
    assert verifier.asked == 1


def test_without_anybody_beside_nothing_is_foreseen() -> None:
    cache = ScriptCache()
    assert not cache.foresees
    cache.foresee(spends_of(Place(), 1), STANDARD)
    assert len(cache) == 0
