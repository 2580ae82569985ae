"""Which transactions are chosen, and which are left out."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.blocks import MinedChain
from tests.support.mining import candidate
from tests.support.spending import anyone_lock, p2sh_lock, spend

from drystone.consensus.errors import MissingInputs, TxInvalid, TxPremature
from drystone.mining.selection import (
    MOST_FAILURES,
    Candidate,
    Limits,
    Selection,
    candidates_from_transactions,
    chunks_from_candidates,
    select,
)
from drystone.primitives.transaction import TxOut

COIN = 100_000_000


def chosen(candidates: Sequence[Candidate], **changes: Any) -> tuple[Candidate, ...]:
    return selection(candidates, **changes).chosen


def selection(candidates: Sequence[Candidate], **changes: Any) -> Selection:
    context: dict[str, Any] = {"height": 200, "lock_time_cutoff": 1_500_000_000}
    limits = changes.pop("limits", Limits())
    return select(chunks_from_candidates(candidates), limits, **context | changes)


# Chunks.


def test_the_best_rate_goes_first_and_parents_before_children() -> None:
    parent = candidate(1, fee=0)
    child = candidate(2, fee=5000, needs=[parent])
    middling = candidate(3, fee=1000)
    low = candidate(4, fee=500)
    chunks = chunks_from_candidates([low, child, middling, parent])
    assert [chunk.members for chunk in chunks] == [(parent, child), (middling,), (low,)]
    assert chunks[0].fee == 5000
    assert chunks[0].weight == parent.tx.weight + child.tx.weight
    assert chosen([low, child, middling, parent]) == (parent, child, middling, low)


def test_rates_are_by_weight_so_that_witnesses_are_cheaper() -> None:
    plain = candidate(1, fee=1000, padding=300)
    witnessed = candidate(2, fee=1000, witness=(bytes(300),))
    assert chosen([plain, witnessed]) == (witnessed, plain)


def test_several_inputs_from_one_parent_are_one_need() -> None:
    parent = candidate(1, fee=0)
    child = candidate(2, fee=5000, needs=[parent, parent])
    assert len(chunks_from_candidates([child, parent])) == 1


def test_the_order_in_which_candidates_are_given_does_not_matter() -> None:
    parents = [candidate(n) for n in range(5)]
    children = [candidate(10 + n, needs=[parents[n], parents[n - 1]]) for n in range(5)]
    expected = chunks_from_candidates([*parents, *children])
    assert chunks_from_candidates([*children[::-1], *parents]) == expected
    assert chunks_from_candidates([*children[2:], *parents[::-1], *children[:2]]) == expected


# Limits.


def test_a_block_is_filled_by_weight_but_for_one_unit() -> None:
    one, other = candidate(1, fee=2000), candidate(2, fee=1000)
    both = 8000 + one.tx.weight + other.tx.weight
    full = selection([one, other], limits=Limits(max_weight=both + 1))
    assert full == Selection((one, other), 3000, both, 400)
    assert chosen([one, other], limits=Limits(max_weight=both)) == (one,)


def test_a_block_is_filled_by_sigops_but_for_one() -> None:
    one, other = candidate(1, fee=2000, sigop_cost=50_000), candidate(2, sigop_cost=29_599)
    assert selection([one, other]).sigop_cost == 79_999
    assert chosen([one, other._replace(sigop_cost=29_600)]) == (one,)


def test_what_does_not_fit_makes_room_for_what_does() -> None:
    best, big, small = candidate(1, fee=9000), candidate(2, fee=9000, padding=2000), candidate(3)
    limits = Limits(max_weight=8000 + best.tx.weight + small.tx.weight + 1)
    assert chosen([small, big, best], limits=limits) == (best, small)


def test_without_its_parent_nothing_goes_in() -> None:
    """The parent pays more, so that they are two chunks; it is too big."""
    parent = candidate(1, fee=90_000, padding=2000)
    child, stranger = candidate(2, fee=500, needs=[parent]), candidate(3, fee=400)
    grandchild = candidate(4, fee=450, needs=[child])
    assert len(chunks_from_candidates([parent, child, stranger])) == 3
    limits = Limits(max_weight=8000 + 4000)
    assert chosen([parent, child, grandchild, stranger], limits=limits) == (stranger,)


def test_a_chunk_goes_in_whole_or_not_at_all() -> None:
    parent = candidate(1, fee=300)
    child = candidate(2, fee=50_000, needs=[parent], padding=2000)
    assert chosen([parent, child], limits=Limits(max_weight=8000 + 2000)) == ()


def test_whoever_pays_too_little_waits() -> None:
    """One satoshi for 1,000 virtual bytes is enough, for 1,001 it is not."""
    exact = candidate(1, fee=1, padding=937)
    assert exact.tx.vsize == 1000
    assert chosen([exact]) == (exact,)
    assert chosen([candidate(1, fee=1, padding=938)]) == ()
    assert chosen([candidate(1, fee=0)]) == ()
    assert chosen([candidate(1, fee=0)], limits=Limits(min_feerate_sat_per_kvb=0))
    assert chosen([exact], limits=Limits(min_feerate_sat_per_kvb=2)) == ()


def test_a_wish_changes_the_order_and_not_the_fees() -> None:
    """A mempool may treat a transaction as if it paid more; the miner gets what it pays."""
    (plain,) = chunks_from_candidates([candidate(1, fee=0)])
    wished = plain._replace(fee=9_000)
    taken = select([wished], Limits(), height=200, lock_time_cutoff=0)
    assert (taken.chosen, taken.fees) == (plain.members, 0)


def test_virtual_bytes_are_rounded_up() -> None:
    odd = candidate(1, fee=1, padding=936, witness=(b"x",))
    assert odd.tx.weight % 4 and odd.tx.vsize == 1001
    assert chosen([odd]) == ()


def test_a_nearly_full_block_is_not_tried_for_ever() -> None:
    """After 1,000 failures in a row, the 1,001st ends it; with room left, nothing does."""
    big = [candidate(n, fee=9000, padding=1000) for n in range(MOST_FAILURES + 1)]
    small = candidate(5000, fee=100)
    room = small.tx.weight + 1
    assert room < 4000
    limits = Limits(max_weight=8000 + room)
    assert chosen([*big, small], limits=limits) == ()
    assert chosen([*big[1:], small], limits=limits) == (small,)
    roomy = [candidate(n, fee=9000, padding=2000) for n in range(MOST_FAILURES + 10)]
    assert chosen([*roomy, small], limits=Limits(max_weight=8000 + 4000)) == (small,)


# Time.


@pytest.mark.parametrize(
    ("lock_time", "is_in"),
    [(199, True), (200, False), (1_499_999_999, True), (1_500_000_000, False)],
)
def test_lock_times_are_kept(lock_time: int, *, is_in: bool) -> None:
    locked = candidate(1, lock_time=lock_time)
    assert chosen([locked]) == (locked,) * is_in


def test_who_needs_somebody_whose_time_has_not_come_waits_too() -> None:
    parent = candidate(1, fee=9000, lock_time=5000)
    child = candidate(2, needs=[parent])
    assert chosen([parent, child]) == ()


# What transactions pay.


def price(chain: MinedChain, *transactions: Any) -> list[Candidate]:
    return candidates_from_transactions(
        transactions,
        chain.coins,
        height=chain.height + 1,
        median_time_at=chain.median_time_at,
        params=chain.params,
    )


def test_fees_and_sigops_come_from_the_coins() -> None:
    chain = MinedChain()
    chain.mine(101)
    coins = list(chain.coins.items())
    lock = p2sh_lock()
    locking = spend(coins[:1], [anyone_lock()], [TxOut(50 * COIN - 300, lock.script_pubkey)])
    (priced,) = price(chain, locking)
    assert priced == Candidate(locking, 300, 0)
    chain.mine(1, [locking])
    coin = [(o, c) for o, c in chain.coins.items() if o.txid == locking.txid]
    unlocking = spend(coin, [lock], [TxOut(50 * COIN - 1000, b"\xac")])
    (priced,) = price(chain, unlocking)
    assert priced == Candidate(unlocking, 700, 4 * 3 + 4)


def test_what_can_not_be_in_the_block_is_refused_with_its_reason() -> None:
    chain = MinedChain()
    chain.mine(101)
    coins, anyone = list(chain.coins.items()), [anyone_lock()]
    output = [TxOut(COIN, b"\x51")]

    for transaction, error, reason in [
        (spend(coins[:1], anyone, output, lock_time=500), TxPremature, "non-final"),
        (spend(coins[:1], anyone, output, sequence=200), TxPremature, "non-BIP68-final"),
        (
            spend(coins[-1:], anyone, output),
            TxPremature,
            "bad-txns-premature-spend-of-coinbase",
        ),
        (
            spend(coins[:1], anyone, [TxOut(51 * COIN, b"\x51")]),
            TxInvalid,
            "bad-txns-in-belowout",
        ),
    ]:
        with pytest.raises(error) as refused:
            price(chain, transaction)
        assert refused.value.reason == reason

    spending = spend(coins[:1], anyone, output)
    twice = spend(coins[:1], anyone, [TxOut(2 * COIN, b"\x51")])
    with pytest.raises(MissingInputs, match="bad-txns-inputs-missingorspent"):
        price(chain, spending, twice)
