"""A node and the addresses of others; and whom it keeps when too many dial it."""

from tests.support.branches import Branches
from tests.support.node import Bench, Talker

from drystone.node.events import Command, Connect, Disconnect, Refused
from drystone.node.settings import Settings
from drystone.p2p.handshake import ConnectionKind
from drystone.p2p.messages import Addr, AddrV2, GetAddr, PeerAddress
from drystone.p2p.netaddress import NetAddress
from drystone.p2p.protocol import Services

FULL = int(Services.NETWORK | Services.WITNESS)


def bench_with(settings: Settings | None = None) -> Bench:
    """A node on the public kind of network."""
    branches = Branches()
    blocks = branches.grow(branches.genesis, 1)
    return Bench(blocks=blocks, settings=settings or Settings(is_local_network=False))


def address(number: int) -> NetAddress:
    """One of the public network, each of another group."""
    return NetAddress.from_text(f"{20 + (number >> 8)}.{number & 255}.1.1:8333")


def told(bench: Bench, *numbers: int) -> AddrV2:
    """Addresses just seen."""
    now_s = bench.now.unix_s
    return AddrV2(tuple([PeerAddress(now_s, FULL, address(number)) for number in numbers]))


def test_a_fresh_address_is_passed_on_to_two_others_and_not_back() -> None:
    bench = bench_with()
    peers = [bench.peer() for _ in range(5)]
    for peer in peers:
        peer.forget()
    peers[0].send(told(bench, 1))
    bench.pass_(600)
    heard = [peer for peer in peers if peer.take(AddrV2)]
    assert len(heard) == 2 and peers[0] not in heard
    assert bench.node.addresses.known.get(address(1)) is not None


def test_many_addresses_at_once_or_old_ones_are_kept_but_not_passed_on() -> None:
    bench = bench_with()
    talker, watcher = bench.peer(inbound=False), bench.peer()
    talker.send(told(bench, *range(1, 30)))
    old = PeerAddress(bench.now.unix_s - 3_600, FULL, address(99))
    talker.send(AddrV2((old,)))
    bench.pass_(600)
    assert not watcher.take(AddrV2)
    known = bench.node.addresses.known
    assert all(known.get(address(number)) for number in (*range(1, 30), 99))


def test_a_peer_may_tell_one_address_in_ten_seconds_or_a_thousand_when_asked() -> None:
    bench = bench_with()
    inbound = bench.peer()
    inbound.send(told(bench, *range(1, 500)))
    assert len(bench.node.addresses.known) == 1
    bench.pass_(100)
    inbound.send(told(bench, *range(500, 1_000)))
    assert len(bench.node.addresses.known) <= 11
    outbound = bench.peer(inbound=False)
    outbound.send(told(bench, *range(1_000, 2_000)))
    assert len(bench.node.addresses.known) > 700  # some share a place


def test_addresses_without_blocks_or_that_nobody_could_reach_are_not_kept() -> None:
    bench = bench_with()
    peer = bench.peer(inbound=False)
    now_s = bench.now.unix_s
    useless = PeerAddress(now_s, 0, address(1))
    private = PeerAddress(now_s, FULL, NetAddress.from_text("192.168.1.1:8333"))
    peer.send(AddrV2((useless, private)))
    known = bench.node.addresses.known
    assert known.get(useless.address) is None and known.get(private.address) is None


def test_a_network_on_a_desk_takes_any_address() -> None:
    bench = bench_with(Settings())
    private = NetAddress.from_text("192.168.1.1:8333")
    bench.peer().send(AddrV2((PeerAddress(bench.now.unix_s, FULL, private),)))
    assert bench.node.addresses.known.get(private) is not None


def test_who_dialled_us_may_ask_for_addresses_once() -> None:
    bench = bench_with()
    bench.peer(inbound=False).send(told(bench, *range(1, 200)))
    peer = bench.peer()
    peer.send(GetAddr())
    answer = peer.take_one(AddrV2)
    assert 20 < len(answer.addresses) <= 200 * 23 // 100
    peer.send(GetAddr())
    assert not peer.take(AddrV2)


def test_who_knows_no_addrv2_is_told_by_addr() -> None:
    bench = bench_with()
    bench.peer(inbound=False).send(told(bench, *range(1, 200)))
    old = Talker(bench, len(bench.peers) + 1, version=70015)
    old.shake_hands_plainly()
    old.send(GetAddr())
    assert old.take_one(Addr).addresses and not old.take(AddrV2)


# Places.


def test_once_all_places_are_taken_one_that_nothing_speaks_for_goes() -> None:
    bench = bench_with(Settings(max_connections=11 + 40))
    peers = [bench.peer(address=address(number)) for number in range(40)]
    assert not any(peer.closed for peer in peers)
    newcomer = bench.peer(address=address(300))
    assert newcomer.closed is None
    assert [peer.closed for peer in peers if peer.closed] == ["evicted for another"]


def test_if_something_speaks_for_everybody_the_newcomer_goes() -> None:
    bench = bench_with(Settings(max_connections=11 + 3))
    peers = [bench.peer(address=address(number)) for number in range(3)]
    newcomer = Talker(bench, 4, address=address(300))
    assert newcomer.closed == "all places are taken"
    assert not any(peer.closed for peer in peers)
    assert len(bench.node.peers) == 3


def test_thousands_of_connections_leave_no_more_than_there_are_places() -> None:
    bench = bench_with(Settings(max_connections=30))
    for number in range(2_000):
        Talker(bench, number + 1, address=address(number))
    assert len(bench.node.peers) <= 30


# Dialling.


def test_an_address_that_the_user_names_is_dialled_until_somebody_answers() -> None:
    bench = bench_with()
    there = address(5)
    bench.handle(Command(Connect(there)))
    assert bench.dialled() == [there]
    for _ in range(3):
        bench.handle(Refused(there))
        bench.pass_(30)
    assert bench.dialled() == [there] * 4
    peer = bench.peer(inbound=False, address=there)
    bench.pass_(100)
    assert bench.dialled() == [there] * 4
    peer.hang_up()
    bench.pass_(1)
    assert bench.dialled() == [there] * 5
    bench.handle(Command(Disconnect(there)))
    bench.handle(Refused(there))
    bench.pass_(3_600)
    assert bench.dialled() == [there] * 5


def test_a_second_connection_to_the_same_address_is_closed() -> None:
    bench = bench_with()
    bench.peer(inbound=False, address=address(5))
    second = Talker(bench, 2, inbound=False, address=address(5))
    assert second.closed == "connected to that address already"


def test_a_node_that_seeks_peers_dials_those_it_has_heard_of_in_different_groups() -> None:
    bench = bench_with(Settings(is_local_network=False, seeks_peers=True))
    bench.peer(inbound=False, address=address(900)).send(told(bench, *range(1, 100)))
    bench.pass_(60)
    dialled = bench.dialled()
    assert len(dialled) == 10
    assert len({one.group() for one in dialled}) == 10
    assert bench.node.addresses.dialled(dialled[0]) is ConnectionKind.OUTBOUND_FULL_RELAY
    assert bench.node.addresses.dialled(dialled[9]) is ConnectionKind.BLOCK_RELAY_ONLY
    for one in dialled:
        bench.handle(Refused(one))
    bench.pass_(10)
    assert len(bench.dialled()) == 20
