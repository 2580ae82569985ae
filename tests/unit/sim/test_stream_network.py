"""Simulated connections: bytes in order, closed, reset, cut off, held."""

import pytest
from tests.support.streams import SimWires

from drystone.core.link import RETRANSMISSION_NS, LinkSettings
from drystone.core.streams import (
    CHUNK_BYTES,
    CLOSED_HERE,
    CLOSED_THERE,
    CUT,
    DIAL_TIMEOUT_S,
    HIGH_WATER_BYTES,
    LOST,
    NOBODY,
    RESET,
    TIMED_OUT,
    TOO_SLOW,
    Connection,
)
from drystone.core.time import SECOND_NS

LINK = LinkSettings(latency_ns=100)


def wires(*names: str, link: LinkSettings = LINK, **options: int) -> SimWires:
    return SimWires(*(names or "abc"), link=link, **options)


# Dialling.


def test_who_is_dialled_hears_of_it_after_one_latency_and_the_dialler_after_two() -> None:
    net = wires()
    net["a"].streams.dial("b")
    assert net["a"].lines == []
    net.run()
    assert net["b"].lines == ["100 1 from a"]
    assert net["a"].lines == ["200 1 to b"]


def test_a_dial_is_refused_where_nobody_listens() -> None:
    net = wires()
    net["a"].streams.dial("nowhere")
    assert net["a"].lines == []
    net.run()
    assert net["a"].lines == [f"200 nowhere {NOBODY}"]


def test_a_dial_is_refused_where_the_listener_has_gone_meanwhile() -> None:
    net = wires()
    net["a"].streams.dial("b")
    net["b"].streams.stop()
    net.run()
    assert net["a"].lines == [f"200 b {NOBODY}"]
    assert net["b"].lines == []


def test_an_address_has_one_listener_until_it_stops() -> None:
    net = wires()
    with pytest.raises(ValueError, match="somebody listens at b already"):
        net["a"].streams.listen("b")
    net["b"].streams.crash()
    net["a"].streams.listen("b")
    net.connect("cb")
    assert len(net["a"].there) == 1


def test_a_name_is_attached_once_until_it_stops() -> None:
    net = wires()
    with pytest.raises(ValueError, match="b is there already"):
        net.attach("b")
    net["b"].streams.stop()
    net.attach("b")
    net.connect("ab")
    assert net.pairs() == ["ab"]


def test_peers_are_numbered_in_order_and_numbers_are_not_used_again() -> None:
    net = wires()
    net.connect("ab", "ca")
    net["a"].streams.close(1)
    net.connect("ab")
    assert list(net["a"].came) == [1, 2, 3]
    assert [line.partition(" ")[2] for line in net["a"].lines] == [
        "1 from c",
        "2 to b",
        f"1 {CLOSED_HERE}",
        "3 to b",
    ]


def test_a_host_can_dial_itself() -> None:
    net = wires()
    net["a"].streams.dial("a")
    net.run()
    assert net["a"].lines == ["100 1 from a", "200 2 to a"]
    net["a"].streams.send(2, b"myself")
    net.run()
    assert net["a"].came == {1: b"myself", 2: b""}
    net["a"].streams.close(1)
    net.run()
    assert net["a"].reasons == [CLOSED_HERE, CLOSED_THERE]


def test_a_dial_that_is_not_answered_in_time_is_given_up() -> None:
    net = wires(link=LinkSettings(latency_ns=3 * SECOND_NS))
    net["a"].streams.dial("b")
    net.run(60)
    assert net["a"].lines == [f"{DIAL_TIMEOUT_S * SECOND_NS} b {TIMED_OUT}"]
    assert net["b"].lines == [f"{3 * SECOND_NS} 1 from a", f"{8 * SECOND_NS} 1 {RESET}"]


def test_dialling_over_a_link_that_loses_everything_fails() -> None:
    net = wires(link=LinkSettings(loss=1.0))
    net.connect("ab")
    assert net["a"].reasons == [TIMED_OUT]
    assert net["b"].lines == []


# Carrying.


def test_bytes_arrive_in_order_each_after_the_latency() -> None:
    net = wires()
    net.connect("ab")
    began = net.world.now_ns
    net["a"].send("b", b"one")
    net.world.run_for(50)
    net["a"].send("b", b"two")
    net["b"].send("a", b"back")
    net.run()
    assert net["b"].lines[1:] == [f"{began + 100} 1 b'one'", f"{began + 150} 1 b'two'"]
    assert net["a"].lines[1:] == [f"{began + 150} 1 b'back'"]


def test_what_arrives_at_one_instant_is_handed_over_together() -> None:
    net = wires()
    net.connect("ab")
    for data in (b"one", b"", b"two", b"three"):
        net["a"].send("b", data)
    net.run()
    assert [line.partition(" ")[2] for line in net["b"].lines] == ["1 from a", "1 b'onetwothree'"]


def test_sending_to_a_peer_that_is_not_there_does_nothing() -> None:
    net = wires()
    net["a"].streams.send(1, b"x")
    net["a"].streams.close(1)
    net.connect("ab")
    net["a"].streams.send(2, b"x")
    net["a"].close("b")
    net["a"].streams.send(1, b"x")
    net["a"].streams.close(1)
    net.run()
    assert net["b"].came == {1: b""}
    assert net["a"].reasons == [CLOSED_HERE]


def test_nothing_is_told_from_within_a_call_of_the_hosts_own() -> None:
    net = wires(max_queued_bytes=2_000_000)
    net.connect("ab", "ac")
    before = list(net["a"].lines)
    net["a"].streams.dial("nowhere")
    net["a"].send("b", bytes(HIGH_WATER_BYTES))
    net["a"].send("c", bytes(3_000_000))
    net["a"].streams.close(1)
    assert net["a"].lines == before


def test_each_direction_has_its_own_link_and_it_can_change_under_way() -> None:
    net = wires()
    net.connect("ab")
    net.network.set_link("b", "a", LinkSettings(latency_ns=7))
    began = net.world.now_ns
    net["a"].send("b", b"x")
    net["b"].send("a", b"x")
    net.run()
    assert net["a"].lines[-1] == f"{began + 7} 1 b'x'"
    assert net["b"].lines[-1] == f"{began + 100} 1 b'x'"
    net.connect("ba")
    assert net["a"].lines[-1].endswith("2 from b")
    assert net.network.link("b", "a").latency_ns == 7
    assert net.network.link("a", "b") == LINK


def test_a_connection_on_which_a_packet_is_given_up_ends_at_both_sides() -> None:
    net = wires()
    net.connect("ab")
    began = net.world.now_ns
    net["a"].send("b", b"before")
    net.network.set_link("a", "b", LinkSettings(latency_ns=100, loss=1.0))
    net["a"].send("b", b"lost")
    net.network.set_link("a", "b", LINK)
    net["a"].send("b", b"after")
    net["b"].send("a", b"still")
    net.run(60)
    gone_ns = began + 100 + 63 * (RETRANSMISSION_NS + 200)
    assert net["b"].came[1] == b"before" and net["a"].came[1] == b"still"
    assert net["a"].lines[-1] == net["b"].lines[-1] == f"{gone_ns} 1 {LOST}"


# Ending.


def test_what_was_sent_before_closing_still_arrives_and_then_the_end() -> None:
    net = wires()
    net.connect("ab")
    began = net.world.now_ns
    net["a"].send("b", b"last words")
    net["a"].close("b")
    net.run()
    assert net["b"].lines[1:] == [
        f"{began + 100} 1 b'last words'",
        f"{began + 100} 1 {CLOSED_THERE}",
    ]
    assert net["a"].lines[1:] == [f"{began} 1 {CLOSED_HERE}"]


def test_who_has_closed_gets_nothing_more() -> None:
    net = wires()
    net.connect("ab")
    net["b"].send("a", b"crossing")
    net["a"].close("b")
    net.run()
    assert net["a"].came[1] == b""


def test_both_may_close_at_once() -> None:
    net = wires()
    net.connect("ab")
    net["a"].close("b")
    net["b"].close("a")
    net.run()
    assert net["a"].reasons == net["b"].reasons == [CLOSED_HERE]


def test_a_listener_may_close_before_the_dialler_knows_of_the_connection() -> None:
    net = wires()
    net["a"].streams.dial("b")
    net.world.run_for(150)
    net["b"].streams.send(1, b"full")
    net["b"].streams.close(1)
    net.run()
    assert net["a"].lines == ["200 1 to b", "250 1 b'full'", f"250 1 {CLOSED_THERE}"]


def test_a_crash_loses_what_is_under_way_and_resets_all_connections() -> None:
    net = wires()
    net.connect("ab", "ca")
    began = net.world.now_ns
    net["a"].send("b", b"lost")
    net["c"].send("a", b"lost")
    net["a"].streams.crash()
    net.run()
    assert net["b"].lines[-1] == f"{began + 100} 1 {RESET}"
    assert net["c"].lines[-1] == f"{began + 100} 1 {RESET}"
    assert net["a"].reasons == [] and bytes(net["a"].came[1] + net["a"].came[2]) == b""
    assert net["b"].came[1] == b""


@pytest.mark.parametrize("crash_ns", [0, 50, 100, 150])
def test_a_crash_while_dialling_leaves_nothing_behind(crash_ns: int) -> None:
    for who in "ab":
        net = wires()
        net["a"].streams.dial("b")
        net.world.run_for(crash_ns)
        net[who].streams.crash()
        net.run()
        other = "b" if who == "a" else "a"
        assert net[other].there == {} and net[who].reasons == []
        assert len(net[other].came) == net[other].reasons.count(RESET) or other == "a"
        assert net["a"].streams.connections() == net["b"].streams.connections() == []


def test_a_crash_while_dialling_refuses_the_dial() -> None:
    net = wires()
    net["a"].streams.dial("b")
    net.world.run_for(150)
    net["b"].streams.crash()
    net.run()
    assert net["a"].lines == [f"250 b {RESET}"]


def test_a_host_that_has_stopped_is_told_nothing_and_can_do_nothing() -> None:
    net = wires()
    net.connect("ab", "ca")
    before = list(net["a"].lines)
    net["a"].send("b", b"bye")
    net["a"].streams.stop()
    net["a"].streams.dial("b")
    net["c"].streams.dial("a")
    net.run()
    assert net["a"].lines == before
    assert net["b"].came[1] == b"bye"
    assert net["b"].reasons == [CLOSED_THERE] and net["c"].reasons == [CLOSED_THERE, NOBODY]


# Slow peers.


def test_a_peer_is_said_to_be_crowded_and_then_free_again() -> None:
    slow = LinkSettings(latency_ns=100, bandwidth_bytes_per_s=1_000_000)
    net = wires(link=slow)
    net.connect("ab")
    for _ in range(30):
        net["a"].send("b", bytes(50_000))
    net.run()
    assert [line.partition(" ")[2] for line in net["a"].lines] == [
        "1 to b",
        "1 paused",
        "1 resumed",
    ]
    assert len(net["b"].came[1]) == 1_500_000


def test_a_peer_that_is_too_slow_loses_its_connection_with_a_reason() -> None:
    net = wires(
        link=LinkSettings(latency_ns=100, bandwidth_bytes_per_s=1000), max_queued_bytes=10_000
    )
    net.connect("ab")
    for _ in range(8):
        net["a"].send("b", bytes(1000))
    net.world.run_for(1)
    assert net["a"].reasons == []
    net["a"].send("b", bytes(1000))
    net.run()
    assert net["a"].reasons == [TOO_SLOW] and net["b"].reasons == [RESET]


def test_many_small_sends_count_for_the_memory_that_they_take() -> None:
    net = wires(max_queued_bytes=100 * (CHUNK_BYTES + 1))
    net.connect("ab")
    for _ in range(100):
        net["a"].send("b", b"x")
    assert [c.queued_bytes for c in net["a"].streams.connections()] == [100 * (CHUNK_BYTES + 1)]
    net.run()
    assert net["a"].reasons == []
    for _ in range(101):
        net["a"].send("b", b"x")
    net.run()
    assert net["a"].reasons == [TOO_SLOW]


def test_a_connection_counts_what_it_carries() -> None:
    net = wires()
    net.connect("ab")
    net["a"].send("b", bytes(70))
    net["b"].send("a", bytes(7))
    net.run()
    net["a"].send("b", bytes(5))
    assert net["a"].streams.connections() == [
        Connection(1, "b", False, 200, 75, 7, 5 + CHUNK_BYTES)
    ]
    assert net["b"].streams.connections() == [Connection(1, "a", True, 100, 7, 70, 0)]


# Partitions.


def test_a_partition_closes_what_crosses_it_and_nothing_else() -> None:
    net = wires(*"abcd")
    net.connect("ab", "bc", "cd", "da")
    began = net.world.now_ns
    net["a"].send("d", b"lost")
    net["a"].send("b", b"kept")
    net.network.partition("ab", "cd")
    net.run()
    assert net.pairs() == ["ab", "cd"]
    for name, peer in (("b", 2), ("c", 1), ("d", 2), ("a", 1)):
        assert f"{began} {peer} {CUT}" in net[name].lines
    assert bytes(net["d"].came[2]) == b"" and net["b"].came[1] == b"kept"


def test_a_partition_refuses_new_connections_and_the_rest_are_a_group() -> None:
    net = wires(*"abcd")
    net.network.partition("ab")
    net.connect("ac", "cd", "ba", "db")
    assert net.pairs() == ["ba", "cd"]
    assert net["a"].reasons == net["d"].reasons == [CUT]


def test_a_dial_under_way_is_refused_by_a_partition() -> None:
    for after_ns in (0, 150):
        net = wires()
        net["a"].streams.dial("b")
        net.world.run_for(after_ns)
        net.network.partition("a", "b")
        net.network.heal()
        net.run()
        assert net["a"].reasons == [CUT] and net["a"].came == {}
        assert net["b"].there == {}


def test_healing_dials_again_exactly_what_was_there() -> None:
    net = wires(*"abcd")
    net.connect("ab", "bc", "cd", "ac")
    net["a"].close("c")
    net.network.partition("ab", "cd")
    net.run()
    net.network.heal()
    net.run()
    assert net.pairs() == ["ab", "bc", "cd"]
    assert [len(net[name].came) for name in "abcd"] == [2, 3, 4, 1]


def test_healing_does_not_dial_what_a_host_is_dialling_itself() -> None:
    net = wires()
    net.connect("ab")
    net.network.partition("a")
    net.network.partition("a", silent=True)
    net.run()
    net["a"].streams.dial("b")
    net.network.heal()
    net.run()
    assert net["a"].reasons == [CUT]
    assert net.pairs() == ["ab"]


def test_healing_does_not_dial_for_who_has_crashed() -> None:
    net = wires()
    net.connect("ab", "bc")
    net.network.partition("a", "b", "c")
    net["a"].streams.crash()
    net["c"].streams.crash()
    net.attach("a")
    net.network.heal()
    net.run()
    assert net.pairs() == []
    assert net["b"].reasons == [CUT, CUT, NOBODY]


def test_a_partition_that_replaces_another_dials_again_what_no_longer_crosses() -> None:
    net = wires()
    net.connect("ab", "bc")
    net.network.partition("a", "bc")
    net.run()
    assert net.pairs() == ["bc"]
    net.network.partition("ab", "c")
    net.run()
    assert net.pairs() == ["ab"]
    net.network.heal()
    net.run()
    assert net.pairs() == ["ab", "bc"]


def test_a_silent_partition_holds_the_bytes_until_it_heals() -> None:
    net = wires()
    net.connect("ab")
    net["a"].send("b", b"under way, ")
    net.world.run_for(50)
    net.network.partition("a", silent=True)
    net["a"].send("b", b"sent into it, ")
    net["b"].send("a", b"the other way")
    net.run(3600)
    assert net["a"].came[1] == net["b"].came[1] == b""
    assert net["a"].reasons == net["b"].reasons == []
    began = net.world.now_ns
    net.network.heal()
    net["a"].send("b", b"and after")
    net.run()
    assert net["b"].lines[1:] == [f"{began + 100} 1 34B"]
    assert net["b"].came[1] == b"under way, sent into it, and after"
    assert net["a"].came[1] == b"the other way"


def test_a_silent_partition_holds_the_end_of_a_connection_too() -> None:
    net = wires()
    net.connect("ab", "ac")
    net.network.partition("a", silent=True)
    net["a"].send("b", b"last words")
    net["a"].close("b")
    net["c"].streams.crash()
    net.run(3600)
    assert net["b"].reasons == [] and net["a"].reasons == [CLOSED_HERE]
    net.network.heal()
    net.run()
    assert net["b"].came[1] == b"last words"
    assert net["b"].reasons == [CLOSED_THERE] and net["a"].reasons == [CLOSED_HERE, RESET]


def test_a_dial_into_a_silent_partition_gets_no_answer() -> None:
    net = wires()
    net.network.partition("a", silent=True)
    net.connect("ab")
    assert net["a"].reasons == [TIMED_OUT] and net["b"].lines == []
    net.network.heal()
    net.run()
    assert net["b"].lines == []


def test_a_dial_into_a_silent_partition_that_heals_in_time_is_answered() -> None:
    net = wires()
    net.network.partition("a", silent=True)
    net["a"].streams.dial("b")
    net.run(1)
    net.network.heal()
    net.run()
    assert net.pairs() == ["ab"] and net["a"].lines == ["1000000200 1 to b"]


def test_a_dial_whose_answer_is_held_leaves_no_half_of_a_connection() -> None:
    net = wires()
    net["a"].streams.dial("b")
    net.world.run_for(150)
    net.network.partition("a", silent=True)
    net.run()
    assert net["a"].reasons == [TIMED_OUT] and list(net["b"].there) == [1]
    net.network.heal()
    net.run()
    assert net["b"].reasons == [RESET]


def test_what_a_silent_partition_holds_is_bounded() -> None:
    net = wires(max_queued_bytes=10_000)
    net.connect("ab")
    net.network.partition("a", silent=True)
    for _ in range(20):
        net["a"].streams.send(1, bytes(1000))
        net.run()
    assert net["a"].reasons == [TOO_SLOW] and net["b"].reasons == []
    net.network.heal()
    net.run()
    assert net["b"].reasons == [RESET] and net["b"].came[1] == b""


def test_bytes_keep_their_order_when_a_cut_comes_again_before_they_arrive() -> None:
    net = wires(link=LinkSettings(latency_ns=100, jitter_ns=1000, bandwidth_bytes_per_s=10**7))
    net.connect("ab")
    sent = b""
    for n in range(200):
        data = n.to_bytes(2, "big")
        net["a"].send("b", data)
        sent += data
        if n % 7 == 3:
            net.network.partition("a", silent=True)
        if n % 7 == 5:
            net.network.heal()
        net.world.run_for(60)
    net.network.heal()
    net.run()
    assert net["b"].came[1] == sent


def test_a_silent_partition_can_become_one_that_closes() -> None:
    net = wires()
    net.connect("ab")
    net.network.partition("a", silent=True)
    net["a"].send("b", b"held")
    net.run()
    net.network.partition("a")
    net.run()
    assert net["a"].reasons == net["b"].reasons == [CUT]
    net.network.heal()
    net.run()
    assert net.pairs() == ["ab"] and net["b"].came == {1: b"", 2: b""}


# Chance and trace.


def test_the_trace_says_who_when_how_much_and_what() -> None:
    net = wires()
    net["a"].streams.dial("b")
    net.run(1)
    net["a"].send("b", b"hello")
    net["a"].close("b")
    net["a"].streams.dial("nowhere")
    net.run()
    assert net.world.trace.lines == [
        "100 b>a#1 connected",
        "200 a>b#1 connected",
        "1000000000 a>b#1 closed",
        "1000000100 a>b#1 5B 3610a686 arrives",
        "1000000100 b>a#1 closed by the other side",
        f"1000000200 a>nowhere {NOBODY}",
    ]


def test_other_bytes_of_the_same_length_give_another_trace() -> None:
    digests = set()
    for data in (b"same", b"SAME"):
        net = wires()
        net.connect("ab")
        net["a"].send("b", data)
        net.run()
        digests.add(net.world.trace.digest())
    assert len(digests) == 2


def test_the_fate_of_one_direction_does_not_depend_on_the_traffic_of_others() -> None:
    jittery = LinkSettings(latency_ns=1, jitter_ns=10**6, loss=0.1)
    quiet, busy = (wires(link=jittery) for _ in range(2))
    for net in (quiet, busy):
        net.connect("ab")
    busy.connect("ac", "ca", "cb")
    quiet.run(10)
    for n in range(50):
        busy["a"].streams.send(2, b"????")
        busy["b"].streams.send(1, b"????")
        for net in (busy, quiet):
            net["a"].streams.send(1, n.to_bytes(4, "big"))
            net.run()
    assert busy["b"].came[1] == quiet["b"].came[1]
    arrivals = [
        [line for line in net.world.trace.lines if " a>b#1 " in line] for net in (quiet, busy)
    ]
    assert arrivals[0] == arrivals[1]
