"""When bytes arrive at the other end of a connection."""

import pytest

from drystone.core.chance import Stream
from drystone.core.errors import UserError
from drystone.core.link import (
    MAX_LOSSES,
    RETRANSMISSION_NS,
    Direction,
    GivenUp,
    LinkSettings,
    losses_in_a_row,
)
from drystone.core.time import MILLISECOND_NS, SECOND_NS


def direction(settings: LinkSettings, seed: int = 1) -> Direction:
    return Direction(settings, Stream(seed, "link"))


def delays(
    settings: LinkSettings, *, sends: int = 2000, apart_ns: int = 3600 * SECOND_NS
) -> list[int]:
    """Of single bytes sent so far apart that none waits for another."""
    line = direction(settings)
    return [line.arrival_ns(n * apart_ns, 1) - n * apart_ns for n in range(sends)]


def test_bytes_arrive_at_once_on_a_link_that_changes_nothing() -> None:
    assert LinkSettings().is_transparent
    assert delays(LinkSettings(), sends=3) == [0, 0, 0]


def test_bytes_arrive_after_the_links_latency_however_many_they_are() -> None:
    line = direction(LinkSettings(latency_ns=70))
    assert [line.arrival_ns(5, 1), line.arrival_ns(5, 10**9), line.arrival_ns(6, 1)] == [75, 75, 76]


def test_jitter_adds_an_evenly_drawn_delay() -> None:
    drawn = delays(LinkSettings(latency_ns=1000, jitter_ns=500))
    assert min(drawn) == 1000 and max(drawn) == 1500
    assert abs(sum(drawn) / len(drawn) - 1250) < 20


def test_jitter_never_lets_later_bytes_overtake_earlier_ones() -> None:
    line = direction(LinkSettings(latency_ns=1000, jitter_ns=500))
    arrivals = [line.arrival_ns(n, 1) for n in range(2000)]
    assert arrivals == sorted(arrivals)
    assert len(set(arrivals)) > 5


def test_bandwidth_makes_bytes_queue() -> None:
    line = direction(LinkSettings(latency_ns=7, bandwidth_bytes_per_s=1000))
    assert line.arrival_ns(0, 500) == SECOND_NS // 2 + 7
    assert line.arrival_ns(0, 500) == SECOND_NS + 7  # behind the first
    assert line.arrival_ns(5 * SECOND_NS, 100) == 5 * SECOND_NS + SECOND_NS // 10 + 7


def test_bytes_never_go_faster_than_the_bandwidth_however_they_are_cut() -> None:
    line = direction(LinkSettings(bandwidth_bytes_per_s=3 * 10**9))
    assert [line.arrival_ns(0, 1) for _ in range(6)] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]  # a third of one, rounded up


def test_a_lost_packet_arrives_later_by_time_outs_that_double() -> None:
    drawn = delays(LinkSettings(latency_ns=MILLISECOND_NS, loss=0.2))
    timeout_ns = RETRANSMISSION_NS + 2 * MILLISECOND_NS
    times = [(delay - MILLISECOND_NS) / timeout_ns for delay in drawn]
    assert {0, 1, 3, 7} <= set(times) <= {0, 1, 3, 7, 15, 31}
    assert abs(times.count(0) / len(times) - 0.8) < 0.03
    assert abs(times.count(1) / len(times) - 0.16) < 0.03


def test_a_packet_lost_too_often_in_a_row_ends_the_connection() -> None:
    line = direction(LinkSettings(latency_ns=5, loss=1.0))
    with pytest.raises(GivenUp) as lost:
        line.arrival_ns(100, 1)
    assert lost.value.time_ns == 105 + (RETRANSMISSION_NS + 10) * 63


def test_what_is_sent_after_a_lost_packet_waits_for_it() -> None:
    line = direction(LinkSettings(loss=0.4))
    arrivals = [line.arrival_ns(n, 1) for n in range(20)]
    first_late = next(n for n, arrival in enumerate(arrivals) if arrival >= RETRANSMISSION_NS)
    assert min(arrivals[first_late:]) == arrivals[first_late]


@pytest.mark.parametrize(("loss", "packets"), [(0.01, 1), (0.01, 700), (0.3, 1), (0.3, 50)])
def test_losses_in_a_row_are_as_likely_as_packets_lost_one_by_one(
    loss: float, packets: int
) -> None:
    # With luck drawn evenly: P(at most k) = (1 - loss^(k + 1))^packets.
    steps = 20_000
    counts = [losses_in_a_row(loss, packets, n / steps) for n in range(steps)]
    for k in range(MAX_LOSSES):
        exact = (1 - loss ** (k + 1)) ** packets
        assert abs(sum(count <= k for count in counts) / steps - exact) < 2 / steps


@pytest.mark.parametrize(("luck", "losses"), [(0.0, 0), (0.5, 1), (0.875, 3), (1 - 2**-53, 6)])
def test_the_more_luck_the_fewer_losses(luck: float, losses: int) -> None:
    assert losses_in_a_row(0.5, 1, luck) == losses


def test_the_draws_are_the_same_for_ever() -> None:
    link = LinkSettings(latency_ns=1000, jitter_ns=10**6, bandwidth_bytes_per_s=10**6, loss=0.05)
    line = direction(link, seed=2026)
    assert [line.arrival_ns(n * 10**9, 3000 * n) - n * 10**9 for n in range(10)] == [
        742601,
        3148856,
        7000236,
        209917042,
        12628709,
        215428152,
        18750611,
        21642555,
        224234856,
        227089663,
    ]


def test_a_change_of_settings_does_not_shift_the_chance_of_what_follows() -> None:
    jittery, lossy = LinkSettings(jitter_ns=10**6), LinkSettings(jitter_ns=10**6, loss=0.5)
    steady, changed = direction(jittery), direction(jittery)
    for n, settings in enumerate([jittery, LinkSettings(), LinkSettings(), lossy, jittery]):
        changed.change(settings)
        changed.arrival_ns(n * 10**12, 100 * n)
        steady.arrival_ns(n * 10**12, 1)
    for n in range(10, 20):
        assert changed.arrival_ns(n * 10**12, 1) == steady.arrival_ns(n * 10**12, 1)


def test_a_faster_link_does_not_let_new_bytes_overtake_what_is_under_way() -> None:
    line = direction(LinkSettings(latency_ns=1000))
    assert line.arrival_ns(0, 1) == 1000
    line.change(LinkSettings())
    assert [line.arrival_ns(10, 1), line.arrival_ns(2000, 1)] == [1000, 2000]


def test_delays_can_be_given_in_milliseconds() -> None:
    link = LinkSettings.in_ms(latency_ms=20, jitter_ms=0.5, bandwidth_bytes_per_s=9, loss=0.1)
    assert link == LinkSettings(20 * MILLISECOND_NS, MILLISECOND_NS // 2, 9, 0.1)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"latency_ns": -1}, "a link's latency and jitter can't be negative"),
        ({"jitter_ns": -1}, "a link's latency and jitter can't be negative"),
        (
            {"bandwidth_bytes_per_s": 0},
            "a link's bandwidth is at least 1 byte per second; none is no limit",
        ),
        ({"loss": 1.5}, "a link's loss is a share between 0 and 1, not 1.5"),
        ({"loss": float("nan")}, "a link's loss is a share between 0 and 1, not nan"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(wrong: dict[str, float], line: str) -> None:
    with pytest.raises(UserError) as refused:
        LinkSettings(**wrong)  # type: ignore[arg-type]
    assert str(refused.value) == line
