"""How many hashes fill a turn."""

from hypothesis import given
from hypothesis import strategies as st

from drystone.mining.pace import FEWEST_HASHES, MOST_HASHES, TURN_NS, Pace


@given(hashes_per_s=st.integers(100_000, 10**11))
def test_a_turn_becomes_twenty_milliseconds_whatever_the_machine(hashes_per_s: int) -> None:
    pace = Pace()
    for _ in range(40):
        pace.learn(pace.turn_hashes, pace.turn_hashes * 10**9 // hashes_per_s)
    assert pace.turn_hashes > 0.95 * hashes_per_s * TURN_NS / 10**9


@given(st.lists(st.tuples(st.integers(1, MOST_HASHES), st.integers(0, 10**12))))
def test_one_odd_measurement_changes_little(measured: list[tuple[int, int]]) -> None:
    pace = Pace()
    for hashes, elapsed_ns in measured:
        before = pace.turn_hashes
        pace.learn(hashes, elapsed_ns)
        assert before // 2 <= pace.turn_hashes <= before * 2
        assert FEWEST_HASHES <= pace.turn_hashes <= MOST_HASHES


def test_an_interrupted_search_is_judged_by_its_time() -> None:
    pace = Pace()
    assert pace.estimate(0) == 0
    assert pace.estimate(TURN_NS // 4) == pace.turn_hashes // 4
