"""A core in real time: one queue, bounded, and wake-ups that no flood delays."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from drystone.core.time import SECOND_NS, Time
from drystone.drivers.clock import system_clock
from drystone.drivers.host import QUEUE_EVENTS, LiveHost

PATIENCE_S = 20.0


class Recorder:
    """A core that notes what it is handed and answers with it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def handle(self, event: str, now: Time) -> list[str]:
        self.seen.append(event)
        return [event, event.upper()]


class Stage:
    """A host with a recorder on it, run until a condition holds."""

    def __init__(self, on_perform: Callable[["Stage", str], None] | None = None) -> None:
        self.core = Recorder()
        self.performed: list[str] = []
        self._on_perform = on_perform
        self._changed = asyncio.Event()
        self.host: LiveHost[str, str] = LiveHost(self.core, self._perform, wake="wake")

    def _perform(self, action: str) -> None:
        self.performed.append(action)
        if self._on_perform:
            self._on_perform(self, action)
        self._changed.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._changed.clear()
            await self._changed.wait()


def play(stage: Stage, *parts: Coroutine[None, None, None]) -> None:
    """Serve the stage's core until all parts are done."""

    async def all_of_it() -> None:
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(stage.host.run())
            for part in parts:
                await part
            serving.cancel()

    asyncio.run(all_of_it())


def test_a_core_is_woken_first_and_its_actions_are_performed_in_order() -> None:
    stage = Stage()
    stage.host.offer("a")
    stage.host.offer("b")
    play(stage, stage.until(lambda: len(stage.performed) == 6))
    assert stage.performed == ["wake", "WAKE", "a", "A", "b", "B"]


def test_a_queue_holds_so_many_events_and_what_is_offered_beyond_is_lost() -> None:
    stage = Stage()
    taken = [stage.host.offer(str(n)) for n in range(QUEUE_EVENTS + 10)]
    assert taken == [True] * QUEUE_EVENTS + [False] * 10
    play(stage, stage.until(lambda: len(stage.core.seen) == QUEUE_EVENTS + 1))
    assert stage.core.seen == ["wake", *map(str, range(QUEUE_EVENTS))]


def test_what_is_posted_waits_for_room_and_is_never_lost() -> None:
    stage = Stage()
    while stage.host.offer("x"):
        pass
    play(stage, stage.host.post("posted"), stage.until(lambda: "posted" in stage.core.seen))
    assert stage.core.seen == ["wake", *["x"] * QUEUE_EVENTS, "posted"]


def test_a_core_is_woken_when_it_asked_and_not_before() -> None:
    woken_at: list[int] = []

    def on_perform(stage: Stage, action: str) -> None:
        if action == "wake":
            woken_at.append(system_clock().mono_ns)
            stage.host.wake_at(woken_at[0] + len(woken_at) * SECOND_NS // 50)

    stage = Stage(on_perform)
    play(stage, stage.until(lambda: len(woken_at) == 4))
    late_ns = [at - woken_at[0] - n * SECOND_NS // 50 for n, at in enumerate(woken_at)]
    assert all(late >= 0 for late in late_ns)


def test_only_the_latest_wake_up_asked_for_counts() -> None:
    def on_perform(stage: Stage, action: str) -> None:
        if action == "begin":
            stage.host.wake_at(0)
            stage.host.wake_at(system_clock().mono_ns + 3600 * SECOND_NS)

    stage = Stage(on_perform)
    stage.host.offer("begin")
    stage.host.offer("end")
    play(stage, stage.until(lambda: "end" in stage.core.seen))
    assert stage.core.seen == ["wake", "begin", "end"]


def test_a_due_wake_up_goes_before_what_waits_in_the_queue() -> None:
    def on_perform(stage: Stage, action: str) -> None:
        if action == "first":
            stage.host.wake_at(system_clock().mono_ns)

    stage = Stage(on_perform)
    for event in ("first", "second", "third"):
        stage.host.offer(event)
    play(stage, stage.until(lambda: "third" in stage.core.seen))
    assert stage.core.seen == ["wake", "first", "wake", "second", "third"]


def test_wake_ups_and_posts_get_through_a_flood_that_never_ends() -> None:
    def on_perform(stage: Stage, action: str) -> None:
        if stage.core.seen == ["wake"]:
            stage.host.wake_at(system_clock().mono_ns + SECOND_NS // 50)

    stage = Stage(on_perform)

    async def flood() -> None:
        while True:
            for _ in range(50):
                stage.host.offer("flood")
            await asyncio.sleep(0)

    async def in_the_flood() -> None:
        flooding = asyncio.create_task(flood())
        await stage.host.post("posted")
        await stage.until(lambda: stage.core.seen.count("wake") == 2)
        await stage.until(lambda: "posted" in stage.core.seen)
        flooding.cancel()

    play(stage, in_the_flood())
    assert stage.core.seen.count("flood") > 50


def test_an_error_in_the_core_ends_the_host() -> None:
    class Broken:
        def handle(self, event: str, now: Time) -> list[str]:
            raise RuntimeError("broken core")

    host: LiveHost[str, str] = LiveHost(Broken(), lambda _: None, wake="wake")
    with pytest.raises(RuntimeError, match="broken core"):
        asyncio.run(asyncio.wait_for(host.run(), PATIENCE_S))


def test_the_systems_clock_reads_monotonic_nanoseconds_and_unix_seconds() -> None:
    first, second = system_clock(), system_clock()
    assert second.mono_ns >= first.mono_ns
    assert first.unix_s > 1_700_000_000


# Turns, and events that are bounded elsewhere.


def test_a_core_that_never_runs_out_of_events_lets_others_have_their_turn() -> None:
    def on_perform(stage: Stage, action: str) -> None:
        if action == "again":
            stage.host.put("again")

    stage = Stage(on_perform)
    stage.host.put("again")

    async def others() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    play(stage, others())
    assert stage.core.seen.count("again") > 5


def test_what_is_put_is_never_refused_and_whoever_put_it_hears_when_it_is_through() -> None:
    stage = Stage()
    through: list[tuple[int, int]] = []
    for n in range(2 * QUEUE_EVENTS):
        stage.host.put(str(n), lambda n=n: through.append((n, len(stage.core.seen))))  # type: ignore[misc]
    play(stage, stage.until(lambda: len(stage.core.seen) == 2 * QUEUE_EVENTS + 1))
    assert through == [(n, n + 2) for n in range(2 * QUEUE_EVENTS)]


def test_what_is_put_takes_no_place_from_what_is_posted() -> None:
    stage = Stage()
    for _ in range(2 * QUEUE_EVENTS):
        stage.host.put("put")
    assert stage.host.offer("offered")
    play(stage, stage.host.post("posted"), stage.until(lambda: "posted" in stage.core.seen))
    assert stage.core.seen[-2:] == ["offered", "posted"]


def test_posts_get_their_places_in_order_and_before_what_is_offered() -> None:
    stage = Stage()
    while stage.host.offer("x"):
        pass

    async def main() -> None:
        posting = [asyncio.create_task(stage.host.post(f"post {n}")) for n in range(3)]
        await asyncio.sleep(0)
        posting[1].cancel()
        assert not stage.host.offer("late")
        serving = asyncio.create_task(stage.host.run())
        await stage.until(lambda: "post 2" in stage.core.seen)
        serving.cancel()
        await asyncio.gather(*posting, serving, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
    assert stage.core.seen[QUEUE_EVENTS + 1 :] == ["post 0", "post 2"]
    taken = [stage.host.offer("y") for _ in range(QUEUE_EVENTS + 1)]
    assert taken == [True] * QUEUE_EVENTS + [False]  # no place was lost


def test_a_post_that_is_cancelled_when_it_has_just_got_its_place_gives_it_back() -> None:
    stage = Stage()

    async def main() -> None:
        while stage.host.offer("x"):
            pass
        posting = asyncio.create_task(stage.host.post("never"))
        await asyncio.sleep(0)
        serving = asyncio.create_task(stage.host.run())
        await asyncio.sleep(0)
        assert stage.core.seen
        posting.cancel()  # its place is there, but it has not been woken yet
        await stage.until(lambda: len(stage.core.seen) >= QUEUE_EVENTS + 1)
        serving.cancel()
        await asyncio.gather(posting, serving, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
    assert "never" not in stage.core.seen
    assert [stage.host.offer("y") for _ in range(QUEUE_EVENTS + 1)].count(True) == QUEUE_EVENTS


def test_a_clock_that_is_set_forward_wakes_the_core() -> None:
    now_ns = 0
    woken: list[int] = []

    class Sleeper:
        def handle(self, event: str, now: Time) -> list[str]:
            woken.append(now.mono_ns)
            return ["sleep"]

    def perform(_: str) -> None:
        host.wake_at(now_ns + 3600 * SECOND_NS)

    host: LiveHost[str, str] = LiveHost(
        Sleeper(), perform, wake="wake", clock=lambda: Time(now_ns, 0)
    )

    async def main() -> None:
        nonlocal now_ns
        serving = asyncio.create_task(host.run())
        for hours in (1, 2):
            await asyncio.sleep(0.01)
            assert len(woken) == hours
            now_ns = hours * 3600 * SECOND_NS
            host.clock_changed()
        await asyncio.sleep(0.01)
        serving.cancel()

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
    assert woken == [0, 3600 * SECOND_NS, 7200 * SECOND_NS]


def test_a_core_that_always_wants_to_be_woken_does_not_hold_up_its_queue() -> None:
    def again(stage: Stage, action: str) -> None:
        stage.host.wake_at(0)

    stage = Stage(again)
    stage.host.put("a")
    stage.host.put("b")
    play(stage, stage.until(lambda: "B" in stage.performed))
    assert stage.core.seen[:5] == ["wake", "wake", "a", "wake", "b"]


def test_what_tells_a_core_to_slow_down_comes_before_all_that_waits() -> None:
    stage = Stage()
    stage.host.put("a")
    stage.host.put_first("pause")
    stage.host.put_first("resume")
    play(stage, stage.until(lambda: len(stage.core.seen) == 4))
    assert stage.core.seen == ["wake", "pause", "resume", "a"]


def test_sources_take_turns_and_each_keeps_its_order() -> None:
    stage = Stage()
    for number in range(3):
        stage.host.put(f"flood {number}", source=1)
    stage.host.put("block")
    stage.host.put("quiet 0", source=2)
    stage.host.put("quiet 1", source=2)
    play(stage, stage.until(lambda: len(stage.core.seen) == 7))
    assert stage.core.seen == [
        *("wake", "flood 0", "block", "quiet 0", "flood 1", "quiet 1", "flood 2"),
    ]
