"""Virtual time: a heap of things to happen and a clock that jumps between them."""

from hashlib import sha256

import pytest

from drystone.core.time import SECOND_NS, Time
from drystone.sim.world import UNIX_START, World


def test_things_happen_in_the_order_of_their_times() -> None:
    world = World(0)
    seen: list[tuple[int, str]] = []
    for time_ns, name in [(30, "c"), (10, "a"), (20, "b")]:
        world.at(time_ns, lambda name=name: seen.append((world.now_ns, name)))  # type: ignore[misc]
    world.run_for(100)
    assert seen == [(10, "a"), (20, "b"), (30, "c")]


def test_what_falls_on_one_instant_happens_in_the_order_in_which_it_was_asked_for() -> None:
    world = World(0)
    seen: list[int] = []

    def ask(number: int) -> None:
        world.at(5, lambda: seen.append(number))

    for number in range(50):
        ask(number)
    world.at(5, lambda: ask(50))  # asked for last of all, and at the very instant
    world.run_for(5)
    assert seen == list(range(51))


def test_delays_count_from_now() -> None:
    world = World(0)
    seen: list[int] = []
    world.at(10, lambda: world.after(7, lambda: seen.append(world.now_ns)))
    world.after(3, lambda: seen.append(world.now_ns))
    world.run_for(100)
    assert seen == [3, 17]


def test_nothing_can_be_asked_for_in_the_past() -> None:
    world = World(0)
    world.run_for(10)
    world.at(10, lambda: None)
    with pytest.raises(ValueError, match="9 ns is past, it is 10 ns"):
        world.at(9, lambda: None)
    with pytest.raises(ValueError, match="is past"):
        world.after(-1, lambda: None)


def test_a_step_lets_one_thing_happen_and_says_whether_there_was_any() -> None:
    world = World(0)
    seen: list[int] = []
    world.at(4, lambda: seen.append(1))
    world.at(4, lambda: seen.append(2))
    assert world.step() and seen == [1] and world.now_ns == 4
    assert world.step() and seen == [1, 2]
    assert not world.step()


def test_a_duration_includes_its_end_and_the_clock_stands_there_afterwards() -> None:
    world = World(0)
    seen: list[int] = []
    for time_ns in (9, 10, 11):
        world.at(time_ns, lambda: seen.append(world.now_ns))
    world.run_for(10)
    assert seen == [9, 10] and world.now_ns == 10
    world.run_for(0)
    assert seen == [9, 10]
    world.run_for(5)
    assert seen == [9, 10, 11] and world.now_ns == 15


def test_running_until_something_is_reached_stops_at_once() -> None:
    world = World(0)
    seen: list[int] = []
    for time_ns in (1, 2, 3):
        world.at(time_ns, lambda: seen.append(world.now_ns))
    world.run_until(lambda: len(seen) == 2, limit_ns=100)
    assert seen == [1, 2] and world.now_ns == 2
    world.run_until(lambda: True, limit_ns=0)
    assert seen == [1, 2]


def test_running_until_something_that_does_not_come_ends_with_a_timeout() -> None:
    world = World(0)

    def again() -> None:
        world.after(SECOND_NS, again)

    again()
    with pytest.raises(TimeoutError, match=r"not reached within 2\.5 virtual seconds"):
        world.run_until(lambda: False, limit_ns=5 * SECOND_NS // 2)
    assert world.now_ns == 2 * SECOND_NS
    empty = World(0)
    with pytest.raises(TimeoutError):
        empty.run_until(lambda: False, limit_ns=SECOND_NS)


def test_what_falls_on_the_limit_still_counts() -> None:
    world = World(0)
    seen: list[int] = []
    world.at(10, lambda: seen.append(1))
    world.run_until(lambda: bool(seen), limit_ns=10)
    assert seen == [1]


def test_invariants_are_checked_after_every_event_and_stop_the_run() -> None:
    world = World(0)
    number = 0
    checked: list[int] = []

    def grow() -> None:
        nonlocal number
        number += 1

    def check() -> None:
        checked.append(number)
        assert number < 3, "grew too large"

    world.invariants += [check, lambda: checked.append(-number)]
    for time_ns in range(10):
        world.at(time_ns, grow)
    with pytest.raises(AssertionError, match="grew too large"):
        world.run_for(100)
    assert checked == [1, -1, 2, -2, 3]
    assert world.now_ns == 2


def test_the_clock_reads_both_times_and_unix_time_begins_at_a_constant() -> None:
    world = World(0)
    assert world.clock() == Time(0, UNIX_START) == Time(0, 1_700_000_000)
    world.run_for(2 * SECOND_NS - 1)
    assert world.clock() == Time(2 * SECOND_NS - 1, UNIX_START + 1)
    world.run_for(1)
    assert world.clock() == Time(2 * SECOND_NS, UNIX_START + 2)


def test_a_trace_keeps_its_lines_only_when_asked_and_its_digest_always() -> None:
    kept, dropped = World(1, keep_trace=True), World(1)
    for world in (kept, dropped):
        world.record(7000, "begins")
        world.run_for(5)
        world.record("link", "carries")
    assert kept.trace.lines == ["0 7000 begins", "5 link carries"]
    assert dropped.trace.lines == []
    assert kept.trace.events == dropped.trace.events == 2
    wanted = sha256(b"0 7000 begins\n5 link carries\n").hexdigest()
    assert kept.trace.digest() == dropped.trace.digest() == wanted


def test_streams_of_chance_are_the_seeds() -> None:
    one, same, other = World(5), World(5), World(6)
    assert one.stream("a", 1).word() == same.stream("a", 1).word()
    assert one.stream("a", 1).word() != other.stream("a", 1).word()


# Alarms.


def test_an_alarm_rings_once_at_the_time_it_was_last_set_to() -> None:
    world = World(seed=0)
    rung: list[int] = []
    alarm = world.alarm(lambda: rung.append(world.now_ns))
    alarm.set(10)
    alarm.set(30)
    alarm.set(20)
    world.run_for(100)
    assert rung == [20]


def test_an_alarm_can_be_brought_forward_put_off_and_turned_off() -> None:
    world = World(seed=0)
    rung: list[int] = []
    alarm = world.alarm(lambda: rung.append(world.now_ns))
    alarm.set(50)
    world.run_for(10)
    alarm.set(20)
    world.run_for(15)
    assert rung == [20]
    alarm.set(50)  # the time that it was set to at first
    world.run_for(50)
    assert rung == [20, 50]
    alarm.set(100)
    alarm.set(None)
    world.run_for(100)
    assert rung == [20, 50]


def test_an_alarm_set_to_the_past_rings_now() -> None:
    world = World(seed=0)
    rung: list[int] = []
    alarm = world.alarm(lambda: rung.append(world.now_ns))
    world.run_for(10)
    alarm.set(5)
    world.run_for(1)
    assert rung == [10]


def test_an_alarm_that_is_put_off_again_and_again_is_one_thing_that_waits() -> None:
    world = World(seed=0)
    alarm = world.alarm(lambda: None)
    for time_ns in range(1_000, 2_000):
        alarm.set(time_ns)
    assert world.waiting == 1


def test_an_alarm_may_be_set_by_what_it_calls() -> None:
    world = World(seed=0)
    rung: list[int] = []

    def ring() -> None:
        rung.append(world.now_ns)
        if len(rung) < 3:
            alarm.set(world.now_ns + 5)

    alarm = world.alarm(ring)
    alarm.set(5)
    world.run_for(100)
    assert rung == [5, 10, 15]
