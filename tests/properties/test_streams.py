"""Bytes arrive whole and in order, for whatever links, cuts of the stream, and times."""

from hypothesis import given
from hypothesis import strategies as st
from tests.support.streams import SimWires

from drystone.core.chance import Stream
from drystone.core.link import Direction, GivenUp, LinkSettings

delays_ns = st.integers(0, 10**9)
bandwidths = st.none() | st.integers(1000, 10**9)
reliable = st.builds(LinkSettings, delays_ns, delays_ns, bandwidths)
lossy = st.builds(LinkSettings, delays_ns, delays_ns, bandwidths, st.floats(0, 1))
pieces = st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 10**9)), max_size=30)


@given(there=reliable, back=reliable, sent=pieces, silent=st.booleans())
def test_whatever_is_sent_arrives_whole_and_in_order_before_the_end(
    *, there: LinkSettings, back: LinkSettings, sent: list[tuple[bytes, int]], silent: bool
) -> None:
    net = SimWires("a", "b")
    net.connect("ab")
    net.network.set_link("a", "b", there)
    for n, (data, pause_ns) in enumerate(sent):
        net["a"].send("b", data)
        net["b"].send("a", data)
        if n == 3:
            net.network.set_link("b", "a", back)
            if silent:
                net.network.partition("a", silent=True)
        net.world.run_for(pause_ns)
    net.network.heal()
    net["a"].close("b")
    net.run(200)
    whole = b"".join(data for data, _ in sent)
    assert net["b"].came[1] == whole and net["b"].there == {}
    assert whole.startswith(net["a"].came[1])  # what came before it closed


@given(
    lossy, lossy, st.integers(0), st.lists(st.tuples(delays_ns, st.integers(0, 10**7)), max_size=50)
)
def test_nothing_arrives_before_it_could_or_overtakes(
    first: LinkSettings, second: LinkSettings, seed: int, sends: list[tuple[int, int]]
) -> None:
    line = Direction(first, Stream(seed))
    now_ns = last_ns = 0
    for n, (pause_ns, size_bytes) in enumerate(sends):
        now_ns += pause_ns
        if n == len(sends) // 2:
            line.change(second)
        link = line.settings
        is_over = False
        try:
            arrival_ns = line.arrival_ns(now_ns, size_bytes)
        except GivenUp as lost:
            is_over = True
            arrival_ns = lost.time_ns
        assert link.loss > 0 or not is_over
        assert arrival_ns >= max(last_ns, now_ns + link.latency_ns)
        if link.bandwidth_bytes_per_s:
            spent_ns = arrival_ns - now_ns - link.latency_ns
            assert spent_ns * link.bandwidth_bytes_per_s >= size_bytes * 10**9
        if is_over:
            break
        last_ns = arrival_ns


@given(st.integers(1000, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_a_stream_takes_as_long_as_its_bytes_however_they_are_cut(
    bandwidth: int, sizes: list[int]
) -> None:
    line = Direction(LinkSettings(bandwidth_bytes_per_s=bandwidth), Stream(1))
    arrival_ns = max(line.arrival_ns(0, size) for size in sizes)
    least_ns = sum(sizes) * 10**9 // bandwidth
    assert least_ns <= arrival_ns <= least_ns + len(sizes) + 1
