"""A core in a simulated world: events in, actions out, woken on time."""

from drystone.core.time import Time
from drystone.sim.host import Host
from drystone.sim.world import UNIX_START, World


class Echo:
    """A core of words: answers every event with it and its time, and wakes when told to."""

    def handle(self, event: str, now: Time) -> list[str]:
        return [f"{event} at {now.mono_ns}", f"and {now.unix_s - UNIX_START} s"]


def test_an_event_is_handled_now_and_its_actions_are_performed_in_order() -> None:
    world = World(0)
    performed: list[str] = []
    host = Host(world, Echo(), performed.append, wake="wake")
    host.post("hello")
    assert performed == ["hello at 0", "and 0 s"]
    world.run_for(3_000_000_000)
    host.post("again")
    assert performed[2:] == ["again at 3000000000", "and 3 s"]


def test_a_core_is_woken_when_it_asked_and_only_the_latest_request_counts() -> None:
    world = World(0)
    performed: list[str] = []
    host = Host(world, Echo(), performed.append, wake="wake")
    host.wake_at(100)
    host.wake_at(50)
    world.run_for(70)
    assert performed[::2] == ["wake at 50"]
    world.run_for(1000)
    assert performed[::2] == ["wake at 50"]
    host.wake_at(2000)
    host.wake_at(3000)
    world.run_for(1500)
    assert performed[::2] == ["wake at 50"]
    world.run_for(1500)
    assert performed[::2] == ["wake at 50", "wake at 3000"]


def test_a_wake_up_in_the_past_comes_at_once_but_not_before_this_event_is_done() -> None:
    world = World(0)
    performed: list[str] = []
    host = Host(world, Echo(), performed.append, wake="wake")
    world.run_for(10)
    host.wake_at(3)
    assert performed == []
    world.run_for(0)
    assert performed[::2] == ["wake at 10"]


def test_an_action_that_asks_to_be_woken_can_do_so_for_ever() -> None:
    world = World(0)
    woken: list[int] = []

    class Ticker:
        def handle(self, event: str, now: Time) -> list[int]:
            return [now.mono_ns]

    def perform(time_ns: int) -> None:
        woken.append(time_ns)
        host.wake_at(time_ns + 10)

    host: Host[str, int] = Host(world, Ticker(), perform, wake="tick")
    host.post("begin")
    world.run_for(35)
    assert woken == [0, 10, 20, 30]
