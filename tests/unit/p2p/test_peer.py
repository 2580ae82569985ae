"""One connection: how it begins, what keeps it alive, what ends it."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.peers import (
    ADDRESS,
    FULL_NODE,
    INBOUND,
    LOCAL,
    MAGIC,
    OUTBOUND,
    START,
    VERSION,
    Talk,
    after,
    peer_of,
    ready,
)

from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS
from drystone.p2p.framing import Answer, Found, V1Transport
from drystone.p2p.handshake import ConnectionKind, Permissions, State
from drystone.p2p.messages import (
    Addr,
    FeeFilter,
    FilterAdd,
    FilterClear,
    FilterLoad,
    GetAddr,
    GetCFCheckpt,
    GetCFHeaders,
    GetCFilters,
    Inv,
    Inventory,
    Mempool,
    Message,
    PeerAddress,
    Ping,
    Pong,
    SendAddrV2,
    SendCmpct,
    SendHeaders,
    TxMessage,
    Unknown,
    Verack,
    Version,
    WtxidRelay,
)
from drystone.p2p.netaddress import NO_ADDRESS, NetAddress
from drystone.p2p.peer import Peer
from drystone.p2p.protocol import MSG_BLOCK, MSG_WTX, Services
from drystone.p2p.results import Deliver, Ready, Send
from drystone.primitives.amount import MAX_MONEY
from drystone.primitives.hashes import NULL_HASH, BlockHash
from drystone.primitives.transaction import Transaction

BLOCK_RELAY = ConnectionKind.BLOCK_RELAY_ONLY
FEELER = ConnectionKind.FEELER
ADDR_FETCH = ConnectionKind.ADDR_FETCH
MANUAL = ConnectionKind.MANUAL
NOWHERE = BlockHash(NULL_HASH)
PUBLIC = PeerAddress(START.unix_s, 9, NetAddress.from_text("1.2.3.4:8333"))


# The handshake.


def test_whoever_dials_speaks_first_and_both_become_ready() -> None:
    one, other = peer_of(OUTBOUND), peer_of(INBOUND)
    assert other.start(START) == []
    said = [(other, one.start(START))]
    readies = []
    while said:
        listener, results = said.pop(0)
        for result in results:
            if isinstance(result, Send):
                speaker = one if listener is other else other
                said.append((speaker, listener.receive(result.data, START)))
            elif isinstance(result, Ready):
                readies.append(listener)
    assert {one.state, other.state} == {State.READY}
    assert len(readies) == 2
    for peer in (one, other):
        assert peer.wtxid_relay and peer.wants_addrv2
        assert peer.provides_cmpctblocks and not peer.wants_cmpctblocks
        assert peer.liveness.ping_ns == 0


def test_what_an_inbound_peer_hears_in_which_order() -> None:
    talk = Talk(peer_of(INBOUND)).start()
    assert talk.commands == []
    talk.say(VERSION)
    assert talk.commands == ["version", "wtxidrelay", "sendaddrv2", "verack"]
    assert talk.peer.state is State.AWAIT_VERACK
    *_, last = talk.say(WtxidRelay(), SendAddrV2(), Verack())
    assert last == Ready()
    assert talk.commands == ["sendcmpct", "ping"]


def test_what_a_peer_that_we_dialled_hears_in_which_order() -> None:
    talk = Talk(peer_of(OUTBOUND)).start()
    version = talk.sent[0]
    assert talk.commands == ["version"]
    assert version == Version(
        services=int(FULL_NODE),
        time=START.unix_s,
        receiver=ADDRESS,
        nonce=version.nonce,  # type: ignore[attr-defined]
        user_agent=LOCAL.user_agent,
        start_height=7,
    )
    talk.say(VERSION)
    assert talk.commands == ["wtxidrelay", "sendaddrv2", "verack", "getaddr"]
    assert talk.peer.getaddr_sent
    talk.say(Verack())
    assert talk.commands == ["sendcmpct", "ping"]


@pytest.mark.parametrize(
    ("version", "answers", "then"),
    [
        (70015, ["version", "verack"], ["sendcmpct", "ping"]),
        (70013, ["version", "verack"], ["ping"]),
        (31800, ["version", "verack"], ["ping"]),
    ],
)
def test_old_software_is_not_told_what_it_does_not_know(
    version: int, answers: list[str], then: list[str]
) -> None:
    talk = Talk(peer_of(INBOUND)).start()
    talk.say(replace(VERSION, version=version))
    assert talk.commands == answers
    talk.say(WtxidRelay(), Verack())
    assert talk.commands == then
    assert not talk.peer.wtxid_relay  # it can't mean it


def test_an_obsolete_version_ends_the_connection() -> None:
    talk = Talk(peer_of(INBOUND)).start()
    talk.say(replace(VERSION, version=31799))
    assert talk.reason == "peer using obsolete version 31799"
    assert talk.commands == []


@pytest.mark.parametrize("kind", ConnectionKind)
def test_nodes_without_the_services_we_look_for_are_left(kind: ConnectionKind) -> None:
    talk = Talk(peer_of(kind)).start()
    talk.say(replace(VERSION, services=int(Services.NETWORK)))
    if kind in (OUTBOUND, BLOCK_RELAY, ADDR_FETCH):
        assert talk.reason == (
            "peer does not offer the expected services (00000001 offered, 00000009 expected)"
        )
    else:
        assert talk.reason in (None, "feeler connection completed")


def test_near_the_tip_the_last_blocks_are_enough() -> None:
    wanted = Services.NETWORK_LIMITED | Services.WITNESS
    talk = Talk(peer_of(OUTBOUND, wanted_services=wanted)).start()
    talk.say(replace(VERSION, services=int(wanted)))
    assert talk.reason is None
    assert talk.peer.can_serve_blocks and talk.peer.is_limited


def test_a_connection_to_oneself_is_noticed() -> None:
    own_nonces: set[int] = set()
    dialling = Talk(peer_of(OUTBOUND, own_nonces=own_nonces)).start()
    dialled = Talk(peer_of(INBOUND, own_nonces=own_nonces)).start()
    (version,) = dialling.sent
    dialled.say(version)
    assert dialled.reason == f"connected to self at {ADDRESS}"
    assert len(own_nonces) == 1
    dialling.peer.closed()
    assert own_nonces == set()


def test_a_nonce_is_forgotten_once_it_is_answered() -> None:
    own_nonces: set[int] = set()
    talk = Talk(peer_of(OUTBOUND, own_nonces=own_nonces)).start()
    assert len(own_nonces) == 1
    talk.say(VERSION, Verack())
    assert own_nonces == set()


def test_a_feeler_ends_when_somebody_is_there() -> None:
    talk = Talk(peer_of(FEELER)).start()
    assert talk.sent[0].relay is False  # type: ignore[attr-defined]
    talk.commands  # noqa: B018
    talk.say(VERSION, Verack())
    assert talk.delivered == [VERSION]
    assert talk.reason == "feeler connection completed"
    assert talk.commands == []


def test_a_connection_for_blocks_asks_for_no_transactions_and_no_addresses() -> None:
    talk = Talk(peer_of(BLOCK_RELAY)).start()
    assert talk.sent[0].relay is False  # type: ignore[attr-defined]
    talk.commands  # noqa: B018
    talk.say(VERSION, Verack())
    assert talk.commands == ["wtxidrelay", "sendaddrv2", "verack", "sendcmpct", "ping"]
    assert not talk.peer.wants_transactions
    talk.say(Addr((PUBLIC,)))
    assert talk.delivered == [VERSION]
    assert talk.ignored == ["ignoring addr message from block-relay-only"]


def test_nothing_counts_before_a_version() -> None:
    talk = Talk(peer_of(INBOUND)).start()
    talk.say(Verack(), Ping(1), WtxidRelay(), Unknown("surprise", b""))
    talk.say_raw("inv", b"\xff" * 9)
    assert talk.peer.state is State.AWAIT_VERSION and talk.commands == []
    assert talk.ignored[1] == ('non-version message before version handshake. Message "ping"')
    assert len(talk.ignored) == 5


def test_only_features_count_before_a_verack() -> None:
    talk = Talk(peer_of(INBOUND)).start()
    talk.say(VERSION)
    talk.commands  # noqa: B018
    talk.say(Ping(1), SendHeaders(), SendCmpct(high_bandwidth=True), GetAddr(), VERSION)
    assert talk.commands == []
    assert talk.ignored == [
        'Unsupported message "ping" prior to verack',
        'Unsupported message "getaddr" prior to verack',
        "redundant version message",
    ]
    assert talk.peer.prefers_headers and talk.peer.wants_cmpctblocks


def test_a_second_version_or_verack_does_nothing() -> None:
    talk = ready(INBOUND)
    talk.say(replace(VERSION, nonce=1, start_height=1000), Verack())
    assert talk.peer.version == VERSION
    assert talk.ignored == ["redundant version message", "ignoring redundant verack message"]
    assert talk.reason is None and talk.commands == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (WtxidRelay(), "wtxidrelay received after verack"),
        (SendAddrV2(), "sendaddrv2 received after verack"),
    ],
)
def test_features_after_the_verack_end_the_connection(message: Message, reason: str) -> None:
    talk = ready(INBOUND)
    talk.say(message, Ping(1))
    assert talk.reason == reason
    assert talk.commands == []


def test_only_version_2_of_compact_blocks_counts() -> None:
    talk = ready(INBOUND)
    seen = []
    for mode, version in [(True, 0), (True, 1), (True, 3), (True, 2), (False, 2), (True, 1)]:
        talk.say(SendCmpct(mode, version))
        seen.append((talk.peer.provides_cmpctblocks, talk.peer.wants_cmpctblocks))
    assert seen == [(False, False)] * 3 + [(True, True)] + [(True, False)] * 2


def test_a_fee_filter_is_an_amount() -> None:
    talk = ready(INBOUND)
    talk.say(FeeFilter(1000))
    for wrong in (-1, MAX_MONEY + 1):
        talk.say(FeeFilter(wrong))
    assert talk.peer.fee_filter == 1000 and talk.delivered == []


def test_the_clocks_of_both_are_compared() -> None:
    assert ready(INBOUND, replace(VERSION, time=START.unix_s + 70)).peer.time_offset_s == 70
    assert ready(INBOUND, replace(VERSION, time=-5)).peer.time_offset_s == -START.unix_s


def test_an_address_that_nobody_could_reach_is_not_told() -> None:
    peer = peer_of(OUTBOUND)
    peer.address = NetAddress.from_text("127.0.0.1:7000")
    (version,) = Talk(peer).start().sent
    assert version.receiver == NO_ADDRESS  # type: ignore[attr-defined]


# Time.


def test_a_peer_that_says_nothing_is_left_after_a_minute() -> None:
    talk = Talk(peer_of(INBOUND)).start()
    talk.wait_until(59.9)
    assert talk.ended is None
    talk.wait_until(60)
    assert talk.reason == (
        "socket no message in first 60 seconds, never received from peer, never sent to peer"
    )
    assert talk.peer.wake_at() is None


def test_a_peer_that_does_not_answer_our_version_is_left_after_a_minute() -> None:
    talk = Talk(peer_of(OUTBOUND)).start()
    talk.wait_until(60)
    assert talk.reason == "socket no message in first 60 seconds, never received from peer"


def test_a_peer_that_says_anything_but_a_version_is_left_after_a_minute() -> None:
    talk = Talk(peer_of(INBOUND)).start()
    talk.say(Ping(0))
    talk.wait_until(60)
    assert talk.reason == "socket no message in first 60 seconds, never sent to peer"


@pytest.mark.parametrize("kind", [INBOUND, OUTBOUND])
def test_a_handshake_takes_a_minute_at_most(kind: ConnectionKind) -> None:
    talk = Talk(peer_of(kind)).start()
    talk.say(VERSION)
    talk.now = after(59)
    talk.say(Ping(0), SendHeaders())
    talk.wait_until(60)
    assert talk.reason == "version handshake timeout"


def test_the_minute_can_be_another_time() -> None:
    talk = Talk(peer_of(INBOUND, handshake_timeout_ns=3 * SECOND_NS)).start()
    talk.wait_until(3)
    assert str(talk.reason).startswith("socket no message in first 3 seconds")


def test_a_ping_every_two_minutes_and_how_long_the_answers_take() -> None:
    talk = ready(INBOUND)
    assert talk.peer.liveness.ping_wait_ns(after(1).mono_ns) == SECOND_NS  # of the first
    # The first ping went out with the handshake's end, its nonce unknown to `ready`.
    talk.now = after(1)
    talk.say(Pong(0))
    for n, took_s in enumerate([0.5, 0.25, 1]):
        start_s = 120 + 130 * n
        talk.wait_until(start_s + 0.0)
        (ping,) = talk.sent
        assert isinstance(ping, Ping) and talk.commands == ["ping"]
        began_ns = talk.now.mono_ns - (talk.peer.liveness.ping_wait_ns(talk.now.mono_ns) or 0)
        talk.now = talk.now._replace(mono_ns=began_ns + int(took_s * SECOND_NS))
        talk.say(Pong(ping.nonce))
        assert talk.peer.liveness.ping_ns == int(took_s * SECOND_NS)
        assert talk.peer.liveness.ping_wait_ns(talk.now.mono_ns) is None
    assert talk.peer.liveness.min_ping_ns == SECOND_NS // 4
    assert talk.ended is None


def test_a_ping_that_is_not_answered_for_twenty_minutes_ends_the_connection() -> None:
    talk = ready(INBOUND)
    for minutes in range(1, 20):
        talk.wait_until(60 * minutes)
        talk.say(Ping(minutes))  # it is there, but answers nothing
    talk.wait_until(1199)
    assert talk.ended is None and set(talk.commands) == {"pong"}
    talk.wait_until(1200)
    assert talk.reason == "ping timeout: 1200.000000s"


def test_silence_for_twenty_minutes_ends_the_connection() -> None:
    talk = ready(INBOUND)
    talk.take(talk.peer.ping(after(5)))
    talk.wait_until(1205)
    assert talk.reason == "socket receive timeout: 1200s"


def test_answers_to_no_ping_do_nothing() -> None:
    talk = ready(INBOUND)
    talk.say(Pong(12345))  # while the first ping is out
    assert talk.ignored == ["Nonce mismatch"]
    talk.say_raw("pong", b"short")  # cancels it
    talk.say(Pong(1))
    assert talk.ignored[1:] == ["Unsolicited pong without ping"]
    assert talk.peer.liveness.ping_ns is None


def test_after_an_answer_that_came_late_the_next_ping_is_due_at_once() -> None:
    talk = ready(INBOUND)
    talk.wait_until(121)  # the first ping is out all the while, so there is no second one
    talk.say(Pong(None))
    assert talk.peer.wake_at() == talk.now.mono_ns
    talk.wait_until(121)
    assert talk.commands == ["ping"]


def test_a_ping_on_demand_overlaps_with_others() -> None:
    talk = ready(INBOUND)
    talk.take(talk.peer.ping(START))
    talk.take(talk.peer.ping(START))
    first, second = talk.sent
    talk.say(Pong(first.nonce))  # type: ignore[attr-defined]
    assert talk.ignored == ["Nonce mismatch"]
    talk.say(Pong(second.nonce))  # type: ignore[attr-defined]
    assert talk.peer.liveness.ping_ns == 0
    assert peer_of(INBOUND).ping(START) == []


def test_a_ping_is_answered_after_what_came_before_it() -> None:
    talk = ready(INBOUND)
    block = Inv((Inventory(MSG_BLOCK, bytes(32)),))
    first, second = talk.say(block, Ping(77))
    assert first == Deliver(block) and isinstance(second, Send)
    assert talk.sent == [Pong(77)]


def test_software_of_before_bip31_is_pinged_and_never_answers() -> None:
    talk = ready(INBOUND, replace(VERSION, version=60000))
    talk.say(Ping(5))
    assert talk.sent == []
    talk.wait_until(130)
    assert talk.peer.traffic.sent_per_message["ping"] == 2 * 24  # no nonce
    talk.say(Ping(5))
    talk.wait_until(1199)
    assert talk.ended is None


def test_an_addr_fetch_ends_with_addresses_or_after_five_minutes() -> None:
    talk = ready(ADDR_FETCH)
    talk.say(Addr((PUBLIC,)))  # its own, perhaps
    assert talk.ended is None
    talk.say(Addr((PUBLIC, PUBLIC)))
    assert talk.reason == "addrfetch connection completed" and len(talk.delivered) == 2
    talk = ready(ADDR_FETCH)
    talk.wait_until(299)
    assert talk.ended is None
    talk.wait_until(300)
    assert talk.reason == "addrfetch connection timeout"


def test_waking_too_early_does_no_harm() -> None:
    talk = ready(INBOUND)
    for tenth in range(1000):
        assert talk.peer.wake(after(tenth / 10)) == []


# Manners.

TX_INV = Inv((Inventory(MSG_WTX, bytes(32)),))
A_TX = TxMessage(Transaction(2, (), ()))
NO_TRANSACTIONS = replace(LOCAL, relays_transactions=False)


@pytest.mark.parametrize(
    ("kind", "options"), [(BLOCK_RELAY, {}), (INBOUND, {"local": NO_TRANSACTIONS})]
)
def test_transactions_nobody_asked_for_end_the_connection(
    kind: ConnectionKind, options: dict[str, Any]
) -> None:
    talk = ready(kind, **options)
    talk.say(A_TX)
    assert talk.reason == "transaction sent in violation of protocol"
    talk = ready(kind, **options)
    talk.say(Inv((Inventory(MSG_BLOCK, bytes(32)),)))
    assert talk.ended is None and len(talk.delivered) == 1
    talk.say(TX_INV)
    assert talk.reason == f"transaction ({'00' * 32}) inv sent in violation of protocol"


def test_whoever_may_relays_transactions_to_those_who_want_none() -> None:
    talk = ready(INBOUND, local=NO_TRANSACTIONS, permissions=Permissions.RELAY)
    talk.say(TX_INV)
    assert talk.delivered == [TX_INV] and talk.ended is None


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (FilterLoad(b"", 1, 0, 0), "filterload received despite not offering bloom services"),
        (FilterAdd(b""), "filteradd received despite not offering bloom services"),
        (FilterClear(), "filterclear received despite not offering bloom services"),
        (Mempool(), "mempool request with bloom filters disabled"),
        (GetCFilters(0, 0, NOWHERE), "peer requested unsupported block filter type"),
        (GetCFHeaders(0, 0, NOWHERE), "peer requested unsupported block filter type"),
        (GetCFCheckpt(0, NOWHERE), "peer requested unsupported block filter type"),
    ],
)
def test_services_that_are_not_offered_are_refused(message: Message, reason: str) -> None:
    talk = ready(INBOUND)
    talk.say(message)
    assert talk.reason == reason and talk.delivered == []
    everything = Services.BLOOM | Services.COMPACT_FILTERS | FULL_NODE
    talk = ready(INBOUND, local=replace(LOCAL, services=everything))
    talk.say(message)
    assert talk.delivered == [message]


def test_permissions_open_what_is_closed_to_others() -> None:
    talk = ready(INBOUND, permissions=Permissions.MEMPOOL)
    talk.say(Mempool())
    assert talk.delivered == [Mempool()]
    talk = ready(INBOUND, permissions=Permissions.NOBAN)
    talk.say(Mempool())
    assert talk.delivered == [] and talk.ended is None
    talk = ready(INBOUND, permissions=Permissions.BLOOMFILTER)
    talk.say(FilterClear())
    assert talk.delivered == [FilterClear()]
    assert talk.peer.permissions is Permissions.BLOOMFILTER


def test_addresses_are_told_once_and_only_to_those_who_dialled() -> None:
    talk = ready(INBOUND)
    talk.say(GetAddr(), GetAddr())
    assert talk.delivered == [GetAddr()] and talk.ignored == ['Ignoring repeated "getaddr"']
    talk = ready(OUTBOUND)
    talk.say(GetAddr())
    assert talk.ignored == ['Ignoring "getaddr" from outbound-full-relay connection']


def too_many() -> Inv:
    return Inv((Inventory(MSG_WTX, bytes(32)),) * 50_001)


def test_more_than_the_protocol_allows_is_misbehaviour() -> None:
    talk = ready(INBOUND)
    talk.say(too_many())
    assert talk.reason == "inv message size = 50001"
    assert talk.ended is not None and talk.ended.misbehaved


@pytest.mark.parametrize(
    ("kind", "permissions"),
    [(INBOUND, Permissions.NOBAN), (MANUAL, Permissions.NONE)],
)
def test_some_may_misbehave(kind: ConnectionKind, permissions: Permissions) -> None:
    talk = ready(kind, permissions=permissions)
    talk.say(too_many())
    assert talk.ended is None and talk.delivered == []
    assert talk.ignored[-1].endswith("peer: inv message size = 50001")


@pytest.mark.parametrize("command", ["getheaders", "getblocks"])
def test_a_locator_that_is_too_long_nobody_may_send(command: str) -> None:
    for kind in (INBOUND, MANUAL):
        talk = ready(kind, permissions=Permissions.NOBAN)
        talk.say_raw(command, bytes(4) + bytes([102]) + bytes(103 * 32))
        assert talk.reason == f"{command} locator size 102 > 101"


def test_leave_to_download_is_not_leave_to_misbehave() -> None:
    talk = ready(INBOUND, permissions=Permissions.DOWNLOAD)
    talk.say(too_many())
    assert talk.ended is not None


def test_what_can_not_be_read_is_ignored() -> None:
    talk = ready(INBOUND)
    talk.say_raw("inv", b"\5")
    talk.say_raw("feature", b"of a later version")
    assert talk.ended is None and talk.delivered == []
    assert talk.ignored[1] == 'Unknown command "feature"'


def test_another_network_is_left() -> None:
    talk = Talk(peer_of(INBOUND)).start()
    talk.take(talk.peer.receive(V1Transport(b"abcd").frame("verack", b""), START))
    assert talk.reason == "Header error: Wrong MessageStart 61626364 received"


def test_after_the_end_there_is_nothing() -> None:
    talk = ready(INBOUND)
    talk.take(talk.peer.disconnect("enough"))
    assert talk.reason == "enough"
    peer = talk.peer
    assert peer.disconnect("more") == peer.misbehaving("more") == peer.wake(START) == []
    assert peer.receive(talk.transport.frame("ping", bytes(8)), START) == []


# What there is to know.


def test_bytes_are_counted_by_message() -> None:
    talk = Talk(peer_of(INBOUND)).start()
    talk.say(VERSION, Verack())
    talk.now = after(10)
    talk.say(Ping(1), Unknown("one", b""), Unknown("two", b"abc"))
    spoilt = bytearray(talk.transport.frame("ping", bytes(8)))
    spoilt[-1] ^= 1
    talk.take(talk.peer.receive(bytes(spoilt), talk.now))
    traffic = talk.peer.traffic
    version_bytes = 24 + len(VERSION.encode())
    assert traffic.received_per_message == {
        "version": version_bytes,
        "verack": 24,
        "ping": 32,
        "*other*": 24 + 27 + 32,
    }
    assert sum(traffic.received_per_message.values()) == traffic.bytes_received
    assert sum(traffic.sent_per_message.values()) == traffic.bytes_sent
    assert traffic.sent_per_message["pong"] == 32
    assert traffic.last_received_s == traffic.last_sent_s == START.unix_s + 10


def test_which_peers_are_asked_for_blocks_first() -> None:
    assert ready(OUTBOUND).peer.is_preferred_download
    assert ready(INBOUND, permissions=Permissions.NOBAN).peer.is_preferred_download
    assert not ready(INBOUND).peer.is_preferred_download
    assert not ready(ADDR_FETCH).peer.is_preferred_download
    assert not ready(MANUAL, replace(VERSION, services=0)).peer.is_preferred_download
    assert ready(MANUAL, replace(VERSION, services=9)).peer.services == FULL_NODE


def test_equal_streams_give_equal_bytes() -> None:
    first, second = (peer_of(OUTBOUND, seed=5).start(START) for _ in range(2))
    assert first == second
    assert first != peer_of(OUTBOUND, seed=6).start(START)


# Another transport.


class Whisper:
    """Messages XORed with a byte that each side tells the other first; till then they wait."""

    def __init__(self, own_key: int) -> None:
        self._inner = V1Transport(MAGIC)
        self._own_key = own_key
        self._their_key: int | None = None
        self._waiting = b""

    def opening(self, *, dialled: bool) -> bytes:
        return bytes((self._own_key,)) if dialled else b""

    def receive(self, data: bytes) -> list[Found]:
        found: list[Found] = []
        if self._their_key is None and data:
            self._their_key, data = data[0], data[1:]
            answer = b"" if self._waiting else bytes((self._own_key,))
            found.append(Answer(answer + self._hidden(self._waiting)))
        return found + self._inner.receive(bytes(byte ^ self._own_key for byte in data))

    def frame(self, command: str, payload: bytes) -> bytes:
        data = self._inner.frame(command, payload)
        if self._their_key is None:
            self._waiting += data
            return b""
        return self._hidden(data)

    def _hidden(self, data: bytes) -> bytes:
        assert self._their_key is not None
        return bytes(byte ^ self._their_key for byte in data)


def test_a_transport_with_a_handshake_of_its_own_fits_in() -> None:
    one, other = (
        Peer(kind, ADDRESS, Whisper(key), LOCAL, dice=Stream(key), own_nonces=set(), now=START)
        for kind, key in ((OUTBOUND, 0x5A), (INBOUND, 0xC3))
    )
    wire = [(other, result) for result in one.start(START)]
    assert other.start(START) == []
    while wire:
        listener, result = wire.pop(0)
        if isinstance(result, Send):
            answers = listener.receive(result.data, START)
            wire += [(one if listener is other else other, answer) for answer in answers]
    assert one.state is other.state is State.READY
    assert one.liveness.ping_ns == other.liveness.ping_ns == 0
