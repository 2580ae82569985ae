"""Scripts that were found valid are not run again, under as many flags or fewer."""

from dataclasses import replace

import pytest
from tests.support.mempool import Place
from tests.support.spending import p2tr_key_lock

from drystone.consensus.chains import REGTEST
from drystone.consensus.script.errors import ScriptInvalid
from drystone.consensus.script.flags import CONSENSUS, STANDARD
from drystone.consensus.verifier import INLINE
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
