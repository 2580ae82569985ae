"""The tutorial's first node: it says how long it will sleep, and prints what others say."""

import pytest
from tests.support.classic import PORTS, told

from drystone.classic.events import (
    Action,
    OtherSleeps,
    Received,
    Refused,
    SelfSleeps,
    Send,
    Wake,
    WakeAt,
    line_of,
    notice_of,
)
from drystone.classic.hello import Hello
from drystone.classic.inbox import BUFFER_BYTES
from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS, Time


class Loaded:
    """Dice that fall as told, and note what they were asked."""

    def __init__(self, *falls: int) -> None:
        self.falls = list(falls)
        self.bounds: list[int] = []

    def below(self, bound: int) -> int:
        self.bounds.append(bound)
        return self.falls.pop(0)


def at(seconds: float) -> Time:
    return Time(round(seconds * SECOND_NS), 0)


def lines(actions: list[Action]) -> list[str]:
    return [line for a in told(actions) if (line := line_of(a)) is not None]


def test_it_listens_for_a_second_then_tells_the_others_and_then_itself() -> None:
    hello = Hello(8000, PORTS, Loaded(4))
    assert hello.handle(Wake(), at(0)) == [WakeAt(SECOND_NS)]
    actions = hello.handle(Wake(), at(1))
    message = (8000).to_bytes(2, "big") + b"\5"
    assert actions == [
        Send(7000, message),
        Send(9000, message),
        SelfSleeps(8000, 5),
        WakeAt(6 * SECOND_NS),
    ]
    assert lines(actions) == ["SELF 8000 sleep for 5 seconds..."]


def test_it_sleeps_from_1_to_9_seconds() -> None:
    dice = Loaded(0, 8)
    hello = Hello(7000, PORTS, dice)
    hello.handle(Wake(), at(0))
    assert "SELF 7000 sleep for 1 seconds..." in lines(hello.handle(Wake(), at(1)))
    assert hello.handle(Wake(), at(2)) == [WakeAt(3 * SECOND_NS)]  # it listens again
    assert "SELF 7000 sleep for 9 seconds..." in lines(hello.handle(Wake(), at(3)))
    assert dice.bounds == [9, 9]


def test_it_prints_what_another_says_and_listens_for_another_second() -> None:
    hello = Hello(7000, PORTS, Loaded(0))
    hello.handle(Wake(), at(0))
    actions = hello.handle(Received(b"\x23\x28\7"), at(0.75))
    assert actions == [OtherSleeps(9000, 7), WakeAt(7 * SECOND_NS // 4)]
    assert lines(actions) == ["OTHER 9000 sleep for 7 seconds..."]
    assert hello.handle(Wake(), at(1)) == [WakeAt(7 * SECOND_NS // 4)]


def test_the_message_is_believed_as_in_the_tutorial_whatever_its_port_and_seconds() -> None:
    hello = Hello(7000, PORTS, Loaded())
    hello.handle(Wake(), at(0))
    heard = [hello.handle(Received(data), at(0)) for data in (b"\0\0\0", b"\xff\xff\xff")]
    assert [line for actions in heard for line in lines(actions)] == [
        "OTHER 0 sleep for 0 seconds...",
        "OTHER 65535 sleep for 255 seconds...",
    ]


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0", b"\0\0\0\0", bytes(9217)])
def test_what_is_no_message_is_refused_with_a_notice_and_does_not_extend_the_second(
    data: bytes,
) -> None:
    hello = Hello(7000, PORTS, Loaded(0))
    hello.handle(Wake(), at(0))
    (refused,) = hello.handle(Received(data), at(0.5))
    assert isinstance(refused, Refused)
    assert notice_of(refused) == f"ignored: {len(data)} bytes, a message has 3"
    assert line_of(refused) is None
    assert lines(hello.handle(Wake(), at(1))) == ["SELF 7000 sleep for 1 seconds..."]


def test_while_it_sleeps_messages_wait_in_order() -> None:
    hello = Hello(7000, PORTS, Loaded(2))
    hello.handle(Wake(), at(0))
    hello.handle(Wake(), at(1))
    for n in (1, 2, 3):
        assert hello.handle(Received(bytes([0, n, n])), at(2)) == []
    assert hello.handle(Wake(), at(2)) == [WakeAt(4 * SECOND_NS)]
    assert lines(hello.handle(Wake(), at(4))) == [
        f"OTHER {n} sleep for {n} seconds..." for n in (1, 2, 3)
    ]


def test_messages_that_wait_are_bounded() -> None:
    hello = Hello(7000, PORTS, Loaded(0))
    hello.handle(Wake(), at(0))
    hello.handle(Wake(), at(1))
    for _ in range(5000):
        hello.handle(Received(bytes(3)), at(1.5))
    heard = lines(hello.handle(Wake(), at(2)))
    assert 20 < len(heard) < BUFFER_BYTES // 512


def test_a_listening_time_scales_the_seconds_and_not_what_is_printed() -> None:
    hello = Hello(7000, PORTS, Loaded(8), listen_ns=SECOND_NS // 10)
    hello.handle(Wake(), at(0))
    actions = hello.handle(Wake(), at(0.1))
    assert actions[2:] == [SelfSleeps(7000, 9), WakeAt(SECOND_NS)]


def test_a_stream_of_chance_will_do_for_dice() -> None:
    hello = Hello(7000, PORTS, Stream(1, 7000, "sleep"))
    now = at(0)
    said = set()
    for _ in range(400):
        for action in hello.handle(Wake(), now):
            if isinstance(action, WakeAt):
                now = Time(action.mono_ns, 0)
            elif isinstance(action, SelfSleeps):
                said.add(action.seconds)
    assert said == set(range(1, 10))
