"""What is chosen fits, is complete, and leaves nothing better behind."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from tests.support.mining import candidate

from drystone.mining.selection import Candidate, Limits, chunks_from_candidates, select

HEIGHT, CUTOFF = 200, 1_500_000_000


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    made: list[Candidate] = []
    for number in range(draw(st.integers(0, 12))):
        needs = draw(st.lists(st.sampled_from(made), max_size=2)) if made else []
        made.append(
            candidate(
                number,
                fee=draw(st.integers(0, 3000)),
                needs=needs,
                padding=draw(st.sampled_from([0, 0, 50, 400])),
                sigop_cost=draw(st.sampled_from([0, 0, 10, 100])),
                lock_time=draw(st.sampled_from([0, 0, 0, HEIGHT - 1, HEIGHT])),
            )
        )
    return made


limits = st.builds(
    Limits,
    max_weight=st.integers(8000, 16_000),
    max_sigop_cost=st.integers(400, 800),
    reserved_weight=st.just(8000),
    reserved_sigop_cost=st.just(400),
    min_feerate_sat_per_kvb=st.sampled_from([0, 1, 1000]),
)


@given(candidates(), limits, st.randoms(use_true_random=False))
def test_what_is_chosen_fits_and_is_complete(
    given: list[Candidate], limits: Limits, random: Random
) -> None:
    chunks = chunks_from_candidates(given)
    selection = select(chunks, limits, height=HEIGHT, lock_time_cutoff=CUTOFF)
    chosen = [each.tx for each in selection.chosen]
    assert selection.fees == sum(each.fee for each in selection.chosen)
    assert selection.weight == 8000 + sum(tx.weight for tx in chosen)
    assert selection.sigop_cost == 400 + sum(each.sigop_cost for each in selection.chosen)
    assert not chosen or selection.weight < limits.max_weight
    assert not chosen or selection.sigop_cost < limits.max_sigop_cost

    there = {each.tx.txid for each in given}
    seen = set()
    for tx in chosen:
        assert tx.lock_time < HEIGHT
        assert all(i.prevout.txid in seen for i in tx.vin if i.prevout.txid in there)
        seen.add(tx.txid)
    assert len(seen) == len(chosen)

    random.shuffle(given)
    again = select(chunks_from_candidates(given), limits, height=HEIGHT, lock_time_cutoff=CUTOFF)
    assert again == selection


@given(candidates())
def test_with_room_for_all_only_time_and_rate_leave_any_out(given: list[Candidate]) -> None:
    limits = Limits(min_feerate_sat_per_kvb=0)
    chunks = chunks_from_candidates(given)
    chosen = select(chunks, limits, height=HEIGHT, lock_time_cutoff=CUTOFF).chosen
    late = {each.tx.txid for each in given if each.tx.lock_time >= HEIGHT}
    together = {
        each.tx.txid for c in chunks for each in c.members if late & {m.tx.txid for m in c.members}
    }
    for chunk in chunks:
        for each in chunk.members:
            if any(txin.prevout.txid in together for txin in each.tx.vin):
                together.update(member.tx.txid for member in chunk.members)
    assert {each.tx.txid for each in given} - {each.tx.txid for each in chosen} == together
