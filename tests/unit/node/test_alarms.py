"""Many alarms, of which only the first counts."""

from hypothesis import given
from hypothesis import strategies as st

from drystone.node.alarms import Alarms, Key


def taken(alarms: Alarms[Key], now_ns: int) -> list[Key]:
    """All that are due, in order."""
    due = []
    while (key := alarms.take_due(now_ns)) is not None:
        due.append(key)
    return due


def test_alarms_ring_in_the_order_of_their_times_and_then_of_their_setting() -> None:
    alarms: Alarms[str] = Alarms()
    for key, at_ns in (("late", 9), ("one", 5), ("two", 5)):
        alarms.set(key, at_ns)
    assert alarms.earliest() == 5
    assert taken(alarms, 4) == []
    assert taken(alarms, 9) == ["one", "two", "late"]
    assert alarms.earliest() is None


def test_only_the_last_time_of_a_key_counts() -> None:
    alarms: Alarms[str] = Alarms()
    alarms.set("one", 5)
    alarms.set("one", 8)
    alarms.set_no_later("one", 9)
    assert taken(alarms, 7) == []
    alarms.set_no_later("one", 6)
    assert taken(alarms, 7) == ["one"]
    alarms.set("one", 3)
    alarms.cancel("one")
    assert alarms.earliest() is None and taken(alarms, 99) == []


@given(
    changes=st.lists(
        st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(0, 50))), max_size=300
    )
)
def test_alarms_do_what_a_dictionary_of_times_does(changes: list[tuple[int, int | None]]) -> None:
    alarms: Alarms[int] = Alarms()
    times: dict[int, int] = {}
    for key, at_ns in changes:
        if at_ns is None:
            alarms.cancel(key)
            times.pop(key, None)
        else:
            alarms.set(key, at_ns)
            times[key] = at_ns
        assert alarms.earliest() == min(times.values(), default=None)
    due = [key for key in times if times[key] <= 25]
    assert sorted(taken(alarms, 25)) == sorted(due)
