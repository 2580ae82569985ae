"""Real connections: dialled, carried, closed, reset, cut off, held, slow, too many."""

import asyncio
import errno
import resource
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
from tests.support.streams import LOOPBACK, PATIENCE_S, TcpNoting, TcpWires

from drystone.core.chance import Stream
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.streams import (
    CLOSED_HERE,
    CLOSED_THERE,
    CUT,
    HIGH_WATER_BYTES,
    LOST,
    NO_ADDRESS,
    NOBODY,
    RESET,
    TIMED_OUT,
    TOO_SLOW,
)
from drystone.drivers import connection as connection_module
from drystone.drivers import tcp as tcp_module
from drystone.drivers.connection import INBOX_BYTES, READ_BYTES
from drystone.drivers.sockets import SocketAddress, raise_open_files_limit
from drystone.drivers.tcp import MAX_LINGERING, TcpNetwork

TOO_MANY = "too many open files; raise the limit (ulimit -n)"

Play = Callable[[TcpWires], Coroutine[None, None, None]]


def play(part: Play, *names: str, network: Callable[[], TcpNetwork] | None = None) -> TcpWires:
    """Let a part be played on a network, and end the network."""

    async def all_of_it() -> TcpWires:
        failures: list[object] = []  # in callbacks, where nobody else would notice
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        async with asyncio.timeout(PATIENCE_S):
            async with TcpWires(*(names or "abc"), network=network() if network else None) as net:
                await part(net)
        assert failures == []
        return net

    return asyncio.run(all_of_it())


@asynccontextmanager
async def foreigner(
    address: SocketAddress,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A program of somebody else's that has dialled us."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


# Listening and dialling.


def test_both_sides_are_told_of_a_connection_and_where_it_comes_from() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        assert net["a"].lines == [f"1 to {net.addresses['b']}"]
        (came_from,) = net["b"].there.values()
        assert came_from.host == LOOPBACK and came_from.port != net.addresses["a"].port
        assert net["b"].inbound == {1} and net["a"].inbound == set()

    play(part)


def test_port_0_is_any_free_port_and_the_one_taken_is_told() -> None:
    async def part(net: TcpWires) -> None:
        assert len({address.port for address in net.addresses.values()} - {0}) == 3

    play(part)


def test_a_dial_is_refused_where_nobody_listens() -> None:
    async def part(net: TcpWires) -> None:
        net["b"].streams.stop()
        net["a"].streams.dial(net.addresses["b"])
        assert net["a"].lines == []
        assert await net["a"].until_ends() == [NOBODY]
        assert net["a"].lines == [f"{net.addresses['b']} {NOBODY}"]

    play(part)


def test_a_dial_that_gets_no_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_module, "DIAL_TIMEOUT_S", 0.05)

    async def part(net: TcpWires) -> None:
        with socket.socket() as deaf:  # its queue is full, so that the system answers nobody
            deaf.bind((LOOPBACK, 0))
            deaf.listen(0)
            address = SocketAddress(*deaf.getsockname())
            with socket.socket() as first:
                first.connect(address)
                for _ in range(3):
                    net["a"].streams.dial(address)
                await net["a"].until(lambda: TIMED_OUT in net["a"].reasons)

    play(part)


def test_no_connection_is_made_with_oneself_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # TCP connects a socket to itself if the port it was given is the one it dials.
    async def part(net: TcpWires) -> None:
        with socket.socket() as free:
            free.bind((LOOPBACK, 0))
            address = SocketAddress(*free.getsockname())
        plain = socket.socket

        def unlucky(*args: int) -> socket.socket:
            sock = plain(*args)
            sock.bind(address)
            return sock

        monkeypatch.setattr("socket.socket", unlucky)
        net["a"].streams.dial(address)
        assert await net["a"].until_ends() == [NOBODY]

    play(part)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (SocketAddress(LOOPBACK, 70_000), NO_ADDRESS),
        (SocketAddress("1.2.3\0", 1), NO_ADDRESS),
        (SocketAddress("255.255.255.255", 1), None),
        (SocketAddress("224.0.0.1", 1), None),
        (SocketAddress(LOOPBACK, 0), None),
    ],
)
def test_what_cannot_be_dialled_is_refused(address: SocketAddress, reason: str | None) -> None:
    async def part(net: TcpWires) -> None:
        net["a"].streams.dial(address)
        (told,) = await net["a"].until_ends()
        assert told == reason or (reason is None and "ports" not in told)

    play(part)


def test_a_host_can_dial_itself() -> None:
    async def part(net: TcpWires) -> None:
        net["a"].streams.dial(net.addresses["a"])
        await net["a"].until(lambda: len(net["a"].there) == 2)
        outbound = net["a"].peer_at(net.addresses["a"])
        net["a"].streams.send(outbound, b"myself")
        await net["a"].until_has(b"myself", peer=3 - outbound)
        net["a"].streams.close(outbound)
        assert await net["a"].until_ends(2) == [CLOSED_HERE, CLOSED_THERE]

    play(part)


def test_ipv6_is_as_good() -> None:
    async def part(net: TcpWires) -> None:
        address = net["a"].streams.listen(SocketAddress("::1", 0))
        net["b"].streams.dial(address)
        await net["b"].until(lambda: net["b"].there)
        assert net["b"].lines == [f"1 to [::1]:{address.port}"]
        net["b"].streams.send(1, b"six")
        await net["a"].until_has(b"six")

    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    play(part)


def refusal(address: SocketAddress) -> str:
    lines: list[str] = []

    async def part(net: TcpWires) -> None:
        with pytest.raises(UserError) as refused:
            net["a"].streams.listen(address)
        lines.append(str(refused.value))

    play(part, "a")
    assert "\n" not in lines[0]
    return lines[0]


def test_a_port_in_use_is_refused_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        address = SocketAddress(*taken.getsockname())
        assert refusal(address) == (
            f"can't listen on TCP {address}: the port is in use; end the program that has it, or"
            " choose other ports"
        )


def test_an_address_of_another_machine_is_refused() -> None:
    assert refusal(SocketAddress("192.0.2.1", 7000)) == (
        "can't listen on TCP 192.0.2.1:7000: the address is not of this machine; see `ip addr`"
        " for those that are"
    )


@pytest.mark.parametrize(
    "address",
    [SocketAddress(LOOPBACK, 70_000), SocketAddress("a\0b", 1), SocketAddress("1.2.3", -1)],
)
def test_what_is_no_address_is_refused(address: SocketAddress) -> None:
    assert refusal(address).endswith("no such address")


def test_a_port_of_the_systems_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    async def part(net: TcpWires) -> None:
        monkeypatch.setattr(socket.socket, "bind", bind)  # who runs tests as root may bind it
        with pytest.raises(UserError, match="ports below 1024 are for the system"):
            net["a"].streams.listen(SocketAddress(LOOPBACK, 80))

    play(part, "a")


def test_a_port_is_free_again_as_soon_as_a_host_has_gone() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        for leave in ("stop", "crash"):
            getattr(net["b"].streams, leave)()
            again = TcpNoting()
            again.streams = net.network.attach("b", again)
            assert again.streams.listen(net.addresses["b"]) == net.addresses["b"]
            net.hosts["b"] = again
            await net.connect("ab")

    play(part)


def test_a_name_is_attached_once_until_it_stops() -> None:
    async def part(net: TcpWires) -> None:
        with pytest.raises(ValueError, match="b is there already"):
            net.attach("b")

    play(part)


# Carrying.


def test_bytes_arrive_whole_and_in_order_whatever_their_size() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        sent = b""
        for size in (1, 0, 10, 100_000, 3, 3_000_000, 7):
            data = bytes(range(256)) * (size // 256 + 1)
            net["a"].streams.send(1, data[:size])
            sent += data[:size]
        await net["b"].until_has(sent)
        net["b"].streams.send(1, sent)
        await net["a"].until_has(sent)
        (here,), (there,) = net["a"].streams.connections(), net["b"].streams.connections()
        assert here.sent_bytes == there.sent_bytes == here.received_bytes == len(sent)
        assert here.address == net.addresses["b"] and there.inbound and not here.inbound
        assert here.queued_bytes == 0 and 0 < here.since_ns <= time.monotonic_ns()

    play(part)


def test_sending_to_a_peer_that_is_not_there_does_nothing() -> None:
    async def part(net: TcpWires) -> None:
        net["a"].streams.send(1, b"x")
        net["a"].streams.close(1)
        net["a"].streams.taken(1, 0)
        await net.connect("ab")
        net["a"].streams.close(1)
        net["a"].streams.send(1, b"x")
        net["a"].streams.close(1)
        assert net["a"].reasons == []  # not from within
        await net["b"].until_ends()
        assert net["b"].came == {1: b""} and net["a"].reasons == [CLOSED_HERE]

    play(part)


# Ending.


def test_what_was_sent_before_closing_still_arrives_and_then_the_end() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        last_words = bytes(5_000_000)
        net["b"].streams.send(1, b"crossing")
        net["a"].streams.send(1, last_words)
        net["a"].streams.close(1)
        assert await net["b"].until_ends() == [CLOSED_THERE]
        assert net["b"].came[1] == last_words
        assert net["a"].came[1] == b"" and net["a"].reasons == [CLOSED_HERE]

    play(part)


def test_a_foreign_programs_end_is_told_after_its_last_bytes() -> None:
    async def part(net: TcpWires) -> None:
        async with foreigner(net.addresses["a"]) as (reader, writer):
            writer.write(b"hello and goodbye")
            writer.write_eof()
            assert await net["a"].until_ends() == [CLOSED_THERE]
            assert net["a"].came[1] == b"hello and goodbye"
            assert await reader.read() == b""

    play(part)


def test_who_has_heard_the_end_and_says_his_own_lets_go_of_the_socket() -> None:
    async def part(net: TcpWires) -> None:
        async with foreigner(net.addresses["a"]) as (_, writer):
            writer.write_eof()
            await asyncio.sleep(0.02)  # so that the socket has it, and the host not yet
            net["a"].streams.close(1)
            await asyncio.sleep(0.02)
            assert net["a"].streams.connections() == []
        began = time.monotonic()
        await net.network.__aexit__(None, None, None)
        assert time.monotonic() - began < tcp_module.GOODBYE_S / 2

    slow = LinkSettings(latency_ns=200_000_000)
    play(part, network=lambda: TcpNetwork(slow))


def test_a_crash_resets_all_connections() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab", "ca")
        net["a"].streams.crash()
        assert await net["b"].until_ends() == [RESET]
        assert await net["c"].until_ends() == [RESET]
        assert net["a"].reasons == []

    play(part)


def test_who_reads_nothing_does_not_keep_us_from_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "LINGER_S", 0.05)

    async def part(net: TcpWires) -> None:
        async with foreigner(net.addresses["a"]) as (reader, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await net["a"].until(lambda: net["a"].there)
            net["a"].streams.send(1, bytes(20_000_000))
            net["a"].streams.close(1)
            await net["a"].until_ends()
            await net.network._all_gone.wait()
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            with pytest.raises(ConnectionResetError):
                await reader.read()

    play(part)


def test_the_network_ends_without_waiting_for_those_who_do_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp_module, "GOODBYE_S", 0.05)

    async def main() -> None:
        async with TcpWires("a") as net:
            reader, writer = await asyncio.open_connection(*net.addresses["a"])
            await net["a"].until(lambda: net["a"].there)
        assert not net.network._connections
        assert await reader.read() == b""
        writer.transport.abort()

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))


def test_a_network_that_is_cancelled_ends_its_connections_and_dials() -> None:
    async def main() -> TcpWires:
        net = TcpWires(*"ab")

        async def run() -> None:
            async with net:
                await net.connect("ab")
                net["a"].streams.dial(SocketAddress("192.0.2.1", 1))
                running.set()
                await asyncio.Event().wait()

        running = asyncio.Event()
        task = asyncio.create_task(run())
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return net

    net = asyncio.run(main())
    assert not net.network._connections and not net.network._children


def test_an_error_in_the_users_code_ends_the_network() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        raise RuntimeError("mistaken")

    with pytest.raises(RuntimeError, match="mistaken"):
        play(part)


# Slow and greedy peers.


def test_a_peer_that_reads_nothing_loses_its_connection_with_a_reason() -> None:
    async def part(net: TcpWires) -> None:
        async with foreigner(net.addresses["a"]) as (_, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await net["a"].until(lambda: net["a"].there)
            await net.connect("bc")
            for _ in range(100):
                net["a"].streams.send(1, bytes(100_000))
                net["b"].streams.send(1, b"still here")
                await asyncio.sleep(0)
            assert await net["a"].until_ends() == [TOO_SLOW]
            await net["c"].until_has(b"still here" * 100)

    play(part, network=lambda: TcpNetwork(max_queued_bytes=2_000_000))


def test_a_peer_is_said_to_be_crowded_and_then_free_again() -> None:
    async def part(net: TcpWires) -> None:
        async with foreigner(net.addresses["a"]) as (reader, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await net["a"].until(lambda: net["a"].there)
            sent = 0
            while len(net["a"].lines) == 1:
                net["a"].streams.send(1, bytes(50_000))
                sent += 50_000
                await asyncio.sleep(0)
            assert net["a"].lines[1:] == ["1 paused"]
            (crowded,) = net["a"].streams.connections()
            assert HIGH_WATER_BYTES < crowded.queued_bytes < HIGH_WATER_BYTES + 200_000
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            await reader.readexactly(sent)
            await net["a"].until(lambda: len(net["a"].lines) == 3)
            assert net["a"].lines[2:] == ["1 resumed"]

    play(part)


def test_no_more_is_read_than_the_core_is_through_with() -> None:
    async def part(net: TcpWires) -> None:
        greedy = net.attach("greedy", takes=False)
        async with foreigner(net.addresses["greedy"]) as (_, writer):
            writer.write(bytes(50_000_000))
            await greedy.until(lambda: greedy.weight.get(1, 0) > INBOX_BYTES)
            await asyncio.sleep(0.05)
            came = len(greedy.came[1])
            assert came <= INBOX_BYTES + READ_BYTES
            greedy.streams.taken(1, greedy.weight[1])
            await greedy.until(lambda: len(greedy.came[1]) > came)

    play(part)


def test_all_connections_of_a_host_together_are_read_no_more_than_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp_module, "HOST_INBOX_BYTES", 500_000)

    async def part(net: TcpWires) -> None:
        greedy = net.attach("greedy", takes=False)
        for _ in range(20):
            net["a"].streams.dial(net.addresses["greedy"])
        await greedy.until(lambda: len(greedy.there) == 20)
        await net["a"].until(lambda: len(net["a"].there) == 20)
        for peer in net["a"].there:
            net["a"].streams.send(peer, bytes(200_000))

        def total() -> int:
            return sum(map(len, greedy.came.values()))

        await greedy.until(lambda: sum(greedy.weight.values()) > 500_000)
        await asyncio.sleep(0.05)
        assert total() <= 500_000 + READ_BYTES + 20 * 1024
        taken = dict.fromkeys(greedy.there, 0)
        while total() < 20 * 200_000:
            for peer, weight in greedy.weight.items():
                greedy.streams.taken(peer, weight - taken[peer])
                taken[peer] = weight
            await asyncio.sleep(0)

    play(part)


def test_many_small_sends_to_a_slow_peer_count_for_the_memory_that_they_take() -> None:
    async def part(net: TcpWires) -> None:
        async with foreigner(net.addresses["a"]) as (_, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await net["a"].until(lambda: net["a"].there)
            net["a"].streams.send(1, bytes(10_000_000))
            for _ in range(200_000):
                net["a"].streams.send(1, b"x")
            assert await net["a"].until_ends() == [TOO_SLOW]

    play(part, network=lambda: TcpNetwork(max_queued_bytes=20_000_000))


# Links.


def test_a_link_delays_what_comes_in_even_from_a_foreign_program() -> None:
    async def part(net: TcpWires) -> None:
        async with foreigner(net.addresses["a"]) as (_, writer):
            await net["a"].until(lambda: net["a"].there)
            (came_from,) = net["a"].there.values()
            net.network.set_link(came_from, "a", LinkSettings.in_ms(latency_ms=60))
            began = time.monotonic()
            writer.write(b"one")
            await net["a"].until_has(b"one")
            assert time.monotonic() - began >= 0.06
            assert net.network.link(came_from, "a").latency_ns == 60_000_000

    play(part)


def test_bytes_and_the_end_keep_their_order_on_a_link_with_jitter() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        sent = b""
        for n in range(50):
            net["a"].streams.send(1, bytes([n]) * n)
            sent += bytes([n]) * n
            if n == 40:
                net.network.set_link("a", "b", LinkSettings())
            await asyncio.sleep(0.001)
        net["a"].streams.close(1)
        assert await net["b"].until_ends() == [CLOSED_THERE]
        assert net["b"].came[1] == sent

    play(part, network=lambda: TcpNetwork(LinkSettings.in_ms(latency_ms=5, jitter_ms=30)))


def test_a_link_has_its_bandwidth() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        began = time.monotonic()
        net["a"].streams.send(1, bytes(20_000))
        await net["b"].until_has(bytes(20_000))
        assert time.monotonic() - began >= 0.1

    play(part, network=lambda: TcpNetwork(LinkSettings(bandwidth_bytes_per_s=200_000)))


def test_what_waits_on_a_slow_link_is_bounded() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        for _ in range(300):
            net["a"].streams.send(1, bytes(100_000))
            await asyncio.sleep(0)
        (waits,) = (c for c in net.network._connections if c.host.name == "b")
        assert waits.line.waiting_bytes <= INBOX_BYTES + 2 * READ_BYTES

    play(part, network=lambda: TcpNetwork(LinkSettings(bandwidth_bytes_per_s=1000)))


def test_a_link_that_loses_everything_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drystone.core.link.RETRANSMISSION_NS", 1_000_000)

    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        net.network.set_link("a", "b", LinkSettings(loss=1.0))
        net["a"].streams.send(1, b"lost")
        assert await net["b"].until_ends() == [LOST]
        assert net["b"].came[1] == b""
        assert await net["a"].until_ends() == [RESET]

    play(part)


def test_dialling_takes_a_round_trip() -> None:
    async def part(net: TcpWires) -> None:
        began = time.monotonic()
        await net.connect("ab")
        assert time.monotonic() - began >= 0.05

    play(part, network=lambda: TcpNetwork(LinkSettings.in_ms(latency_ms=25)))


# Partitions.


def test_a_partition_closes_what_crosses_it_and_refuses_what_would() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab", "bc", "cd")
        net.network.partition("ab", "cd")
        assert net["b"].reasons == []  # not from within
        assert await net["b"].until_ends() == await net["c"].until_ends() == [CUT]
        net["a"].streams.dial(net.addresses["c"])
        assert await net["a"].until_ends() == [CUT]
        await net.connect("ba", "dc")
        assert net["d"].reasons == []

    play(part, *"abcd")


def test_healing_dials_again_exactly_what_was_there() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab", "bc", "cd", "ac")
        net["a"].streams.close(2)
        await net["a"].until_ends()
        net.network.partition("ab", "cd")
        await net["c"].until_ends(2)
        net.network.heal()
        await net["b"].until(lambda: len(net["b"].there) == 2)
        await net["c"].until(lambda: len(net["c"].there) == 2)
        await asyncio.sleep(0.02)
        assert [len(net[name].came) for name in "abcd"] == [2, 3, 4, 1]

    play(part, *"abcd")


def test_a_foreign_program_is_cut_off_by_where_it_comes_from() -> None:
    async def part(net: TcpWires) -> None:
        async with foreigner(net.addresses["a"]) as (reader, _):
            await net["a"].until(lambda: net["a"].there)
            net.network.partition(["a", "b"])  # who is in none is in the last one
            assert await net["a"].until_ends() == [CUT]
            with pytest.raises(ConnectionResetError):
                await reader.read()
        async with foreigner(net.addresses["a"]) as (reader, _):
            assert await reader.read() == b""
        assert len(net["a"].came) == 1

    play(part)


def test_a_silent_partition_holds_the_bytes_until_it_heals() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        net.network.partition("a", silent=True)
        for _ in range(30):
            net["a"].streams.send(1, bytes(100_000))
        net["b"].streams.send(1, b"the other way")
        net["b"].streams.close(1)
        await asyncio.sleep(0.05)
        assert net["a"].came[1] == net["b"].came[1] == b""
        assert net["a"].reasons == [] and net["b"].reasons == [CLOSED_HERE]
        net.network.heal()
        assert await net["a"].until_ends() == [CLOSED_THERE]
        assert net["a"].came[1] == b"the other way"

    play(part)


def test_a_silent_partition_holds_what_is_said_to_a_foreign_program_and_by_it() -> None:
    async def part(net: TcpWires) -> None:
        async with foreigner(net.addresses["a"]) as (reader, writer):
            await net["a"].until(lambda: net["a"].there)
            net.network.partition("abc", silent=True)
            net["a"].streams.send(1, b"held ")
            writer.write(b"held too")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await reader.read(1)
            assert net["a"].came[1] == b""
            net["a"].streams.send(1, b"in order")
            net.network.heal()
            assert await reader.readexactly(13) == b"held in order"
            await net["a"].until_has(b"held too")

    play(part)


def test_a_connection_may_be_reset_while_its_end_is_held() -> None:
    async def part(net: TcpWires) -> None:
        with socket.socket() as foreign:
            foreign.connect(net.addresses["a"])
            await net["a"].until(lambda: net["a"].there)
            net.network.partition("abc", silent=True)
            net["a"].streams.close(1)
            foreign.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        net.network.heal()
        assert await net["a"].until_ends() == [CLOSED_HERE]
        await net.network._all_gone.wait()

    play(part)


def test_a_dial_into_a_silent_partition_waits_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def part(net: TcpWires) -> None:
        net.network.partition("a", silent=True)
        net["a"].streams.dial(net.addresses["b"])
        await asyncio.sleep(0.02)
        assert net["a"].lines == net["b"].lines == []
        net.network.heal()
        await net["a"].until(lambda: net["a"].there)
        monkeypatch.setattr(tcp_module, "DIAL_TIMEOUT_S", 0.02)
        net.network.partition("a", silent=True)
        net["a"].streams.dial(net.addresses["c"])
        assert await net["a"].until_ends() == [TIMED_OUT]

    play(part)


def test_a_silent_partition_can_become_one_that_closes() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        net.network.partition("a", silent=True)
        net["a"].streams.send(1, b"held")
        net.network.partition("a")
        assert await net["a"].until_ends() == await net["b"].until_ends() == [CUT]
        net.network.heal()
        await net["b"].until(lambda: len(net["b"].came) == 2)
        assert net["b"].came == {1: b"", 2: b""}

    play(part)


# Many.


def test_too_many_open_files_are_told_in_one_line_and_survived() -> None:
    async def part(net: TcpWires) -> None:
        await net.connect("ab")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as lowest:
            next_free = lowest.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_free + 1, hard))
        try:
            net["a"].streams.dial(net.addresses["c"])  # ours is the last, theirs one too many
            net["a"].streams.dial(net.addresses["c"])
            await net["a"].until(lambda: net["a"].reasons)
            await net.until_troubled(2)
            with pytest.raises(UserError, match="too many open files; raise the limit"):
                net["b"].streams.listen(SocketAddress(LOOPBACK, 0))
            net["a"].streams.send(1, b"goes on")
            await net["b"].until_has(b"goes on")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await net["c"].until(lambda: net["c"].there)  # it waited in the queue

    net = play(part)
    assert sorted(net.troubles) == [
        f"can't connect: {TOO_MANY}",
        f"can't take connections at {net.addresses['c']}: {TOO_MANY}",
    ]


def test_thousands_of_connections_are_carried_and_ended() -> None:
    many = 2000
    assert raise_open_files_limit(2 * many) is None

    async def part(net: TcpWires) -> None:
        for _ in range(many):
            net["a"].streams.dial(net.addresses["b"])
        await net["a"].until(lambda: len(net["a"].there) == many)
        await net["b"].until(lambda: len(net["b"].there) == many)
        for peer in net["a"].there:
            net["a"].streams.send(peer, b"hello")
        await net["b"].until(lambda: len(net["b"].lines) == 2 * many)
        assert all(came == b"hello" for came in net["b"].came.values())
        net["a"].streams.crash()
        assert await net["b"].until_ends(many) == [RESET] * many

    play(part)


# Everything at once.


class LiveStorm:
    """Hosts that dial, talk, hang up and crash at random while links and cuts come and go.

    Each says the numbers from 0 on, two bytes each, to each of its peers.
    """

    def __init__(self, net: TcpWires, seed: int) -> None:
        self.net = net
        self.chance = Stream(seed, "live storm")
        self.said: dict[tuple[TcpNoting, int], int] = {}
        self.all_hosts = list(net.hosts.values())

    async def rage(self, deeds: int) -> None:
        for _ in range(deeds):
            self.do_something()
            await asyncio.sleep(self.chance.below(4) / 1000)
        self.net.network.heal()
        self.net.network.default = LinkSettings()

    def do_something(self) -> None:
        names = list(self.net.hosts)
        name, other = (names[self.chance.below(len(names))] for _ in range(2))
        host = self.net[name]
        match self.chance.below(20):
            case 0 | 1 | 2:
                host.streams.dial(self.net.addresses[other])
            case 3:
                for peer in list(host.there)[:1]:
                    host.streams.close(peer)
            case 4:
                host.streams.crash()
                self.all_hosts.append(self.net.attach(name))
            case 5:
                delay = LinkSettings.in_ms(self.chance.below(20), self.chance.below(20))
                self.net.network.set_link(name, other, delay)
            case 6:
                half = names[: 1 + self.chance.below(len(names) - 1)]
                self.net.network.partition(half, silent=self.chance.happens(0.5))
            case 7:
                self.net.network.heal()
            case _:
                for peer in host.there:
                    said = self.said.get((host, peer), 0)
                    more = self.chance.below(10_000)
                    host.streams.send(peer, numbers(said, said + more))
                    self.said[host, peer] = said + more

    def check(self) -> None:
        for host in self.all_hosts:
            for came in host.came.values():
                assert came == numbers(0, len(came) // 2 + 1)[: len(came)]
        for host in self.net.hosts.values():
            assert sorted(host.there) == [c.peer for c in host.streams.connections()]


def numbers(first: int, end: int) -> bytes:
    return b"".join((n % 65536).to_bytes(2, "big") for n in range(first, end))


@pytest.mark.parametrize("seed", range(6))
def test_bytes_come_in_order_and_each_connection_ends_at_most_once(seed: int) -> None:
    storms: list[LiveStorm] = []

    async def part(net: TcpWires) -> None:
        storm = LiveStorm(net, seed)
        storms.append(storm)
        await storm.rage(200)
        await asyncio.sleep(0.1)
        storm.check()

    play(part, *"abcdef")
    assert sum(len(came) for host in storms[0].all_hosts for came in host.came.values()) > 10_000
    assert any(host.reasons for host in storms[0].all_hosts)


def test_of_sockets_that_are_over_for_us_and_not_for_the_others_only_the_last_stay() -> None:
    async def part(net: TcpWires) -> None:
        host, port = net.addresses["a"]
        foreign = [socket.create_connection((host, port)) for _ in range(MAX_LINGERING + 20)]
        try:
            await net["a"].until(lambda: len(net["a"].there) == len(foreign))
            for peer in list(net["a"].there):
                net["a"].streams.close(peer)
            await net["a"].until(lambda: not net["a"].there)
            await asyncio.sleep(0.05)
            assert len(net.network._connections) <= MAX_LINGERING
        finally:
            for one in foreign:
                one.close()

    play(part)


def test_who_was_left_and_goes_on_talking_is_cut_off() -> None:
    async def part(net: TcpWires) -> None:
        async with foreigner(net.addresses["a"]) as (_, writer):
            await net["a"].until(lambda: net["a"].there)
            net["a"].streams.close(1)

            async def go_on() -> None:
                for _ in range(1_000):
                    writer.write(bytes(100_000))
                    await writer.drain()

            with pytest.raises(ConnectionError):
                await go_on()

    play(part)
