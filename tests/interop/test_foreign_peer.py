"""What harnesses rely on in a peer, asked of a live node over TCP by one that shares no code."""

import socket
import struct
from collections.abc import Iterator

import pytest

from drystone.consensus.chains import REGTEST
from drystone.core.time import Time
from drystone.mining.accounts import account
from drystone.network.threaded import LiveNetwork
from drystone.node.events import News, PeerLeft
from drystone.primitives.block import Block
from drystone.primitives.transaction import OutPoint, Transaction, TxOut
from tests.interop.raw_peer import (
    BLOCK,
    CMPCT_BLOCK,
    NETWORK,
    TX,
    WITNESS,
    WITNESS_BLOCK,
    WITNESS_TX,
    WTX,
    Heard,
    RawPeer,
    count,
    framed,
    headers,
    inventory,
    locator,
    version,
)
from tests.support.branches import Branches
from tests.support.spending import p2wpkh_lock, spend

GENESIS = REGTEST.genesis.hash
FEE = 10_000


class Node:
    """A live node on regtest, and whoever dials it."""

    def __init__(self) -> None:
        self.left: list[str] = []  # why peers were left
        self.network = LiveNetwork(1, params=REGTEST, watch=self._watch)
        self.chain = self.network["n0"].node.chain

    def _watch(self, _name: str, news: News, _now: Time) -> None:
        if isinstance(news, PeerLeft):
            self.left.append(news.reason)

    def peer(self, *features: tuple[str, bytes], relay: bool = True) -> RawPeer:
        peer = self.stranger()
        peer.shake_hands(*features, relay=relay)
        return peer

    def stranger(self) -> RawPeer:
        return RawPeer.dial(self.network["n0"].address)

    def mine(self, blocks: int = 1) -> bytes:
        return self.network.mine("n0", blocks, to="alice")[-1]

    def block(self, height: int) -> Block:
        return self.chain.block(self.chain.at(height).hash)

    def payment(self, height: int) -> Transaction:
        """Alice spends a reward."""
        coinbase = self.block(height).coinbase
        coin = OutPoint(coinbase.txid, 0), self.chain.coins.get(OutPoint(coinbase.txid, 0))
        value = coinbase.vout[0].value - FEE
        lock = p2wpkh_lock(account("alice").secret)
        assert coin[1] is not None
        return spend([(coin[0], coin[1])], [lock], [TxOut(value, lock.script_pubkey)])


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    try:
        yield node
    finally:
        node.network.close()


def commands(heard: Heard) -> list[str]:
    return [command for command, _ in heard]


def payloads(heard: Heard, command: str) -> list[bytes]:
    return [payload for name, payload in heard if name == command]


# Handshake.


def test_who_dials_speaks_first_and_is_greeted_in_order(node: Node) -> None:
    with node.stranger() as peer:
        heard = peer.shake_hands(("wtxidrelay", b""), ("sendaddrv2", b""))
    assert commands(heard)[:4] == ["version", "wtxidrelay", "sendaddrv2", "verack"]
    greeting = heard[0][1]
    number, services, _time = struct.unpack_from("<iQq", greeting)
    assert number >= 70016
    assert services & (NETWORK | WITNESS) == NETWORK | WITNESS
    agent = greeting[81 : 81 + greeting[80]]
    assert agent.startswith(b"/") and agent.endswith(b"/")
    height, relay = struct.unpack("<i?", greeting[81 + greeting[80] :])
    assert (height, relay) == (0, True)
    assert set(commands(heard)[4:]) == {"sendcmpct", "feefilter", "getheaders"}
    assert payloads(heard, "sendcmpct") == [struct.pack("<?Q", False, 2)]


def test_a_ping_follows_the_handshake_at_once(node: Node) -> None:
    with node.stranger() as peer:
        peer.say("version", version())
        peer.say("verack")
        heard = commands(peer.hear_until("ping"))
    assert heard[heard.index("verack") + 1 :] == ["sendcmpct", "ping"]


def test_whom_it_dials_it_speaks_to_first(node: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        node.network.connect("n0", f"127.0.0.1:{server.getsockname()[1]}")
        with RawPeer(server.accept()[0]) as peer:
            assert peer.hear()[0] == "version"
            peer.say("version", version())
            heard = peer.hear_until("getaddr")
            assert commands(heard) == ["wtxidrelay", "sendaddrv2", "verack", "getaddr"]
            peer.say("verack")
            assert "getheaders" in commands(peer.sync())


def test_old_software_is_not_told_of_what_it_does_not_know(node: Node) -> None:
    with node.stranger() as peer:
        peer.say("version", version(70012))
        peer.say("verack")
        assert commands(peer.sync()) == ["version", "verack", "getheaders"]
    with node.stranger() as peer:
        peer.say("version", version(31_799))
        assert peer.is_left()


def test_what_comes_out_of_turn_is_ignored_and_what_comes_too_late_ends_it(node: Node) -> None:
    with node.stranger() as peer:
        peer.say("verack")
        peer.say("ping", bytes(8))
        peer.say("getheaders", locator(GENESIS))
        peer.say("version", version())
        peer.say("ping", bytes(8))
        peer.say("getheaders", locator(GENESIS))
        peer.say("version", version(nonce=9))
        peer.say("verack")
        peer.say("verack")
        assert commands(peer.sync())[:2] == ["version", "wtxidrelay"]
        peer.say("version", version())
        assert not peer.is_left()
    for late in ("wtxidrelay", "sendaddrv2"):
        with node.peer() as peer:
            peer.say(late)
            assert peer.is_left()


def test_a_node_that_dials_itself_notices(node: Node) -> None:
    node.network.connect("n0", str(node.network["n0"].address))
    node.network.wait_until(lambda: any("connected to self" in why for why in node.left))


# Messages and the stream of them.


def test_messages_are_understood_however_the_stream_is_cut(node: Node) -> None:
    with node.stranger() as peer:
        for byte in framed("version", version()) + framed("verack"):
            peer.say_raw(bytes([byte]))
        assert commands(peer.sync())[0] == "version"


def test_unknown_types_wrong_checksums_and_short_payloads_are_ignored(node: Node) -> None:
    with node.peer() as peer:
        peer.say("nonsense", b"x" * 100)
        peer.say("sendtxrcncl", bytes(12))
        peer.say("reject", b"\x02tx\x10\x00")
        spoilt = bytearray(framed("ping", bytes(8)))
        spoilt[20] ^= 1
        peer.say_raw(bytes(spoilt))
        peer.say("ping", bytes(7))
        peer.say("inv", b"\x05")
        assert peer.sync() == []


@pytest.mark.parametrize(
    "data",
    [
        framed("ping", bytes(8), magic=b"\xf9\xbe\xb4\xd9"),
        struct.pack("<4s12sI4s", bytes.fromhex("fabfb5da"), b"ping", 4_000_001, b""),
    ],
    ids=["another chain's", "too long"],
)
def test_a_stream_that_is_none_of_ours_ends(node: Node, data: bytes) -> None:
    with node.peer() as peer:
        peer.say_raw(data)
        assert peer.is_left()


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        ("inv", inventory(*[(WTX, bytes(32))] * 50_001)),
        ("getdata", inventory(*[(WTX, bytes(32))] * 50_001)),
        ("headers", headers(*[bytes(80)] * 2_001)),
        ("addr", count(1_001) + bytes(30) * 1_001),
        ("getheaders", locator(*[bytes(32)] * 102)),
        ("getblocks", locator(*[bytes(32)] * 102)),
        ("mempool", b""),
        ("filterload", bytes(10)),
        ("filteradd", b"\x01\x01"),
        ("filterclear", b""),
        ("getcfilters", bytes(37)),
        ("getcfcheckpt", bytes(33)),
        ("headers", headers(b"\xff" * 80)),
    ],
)
def test_what_no_peer_may_send_ends_the_connection(
    node: Node, command: str, payload: bytes
) -> None:
    with node.peer() as peer:
        peer.say(command, payload)
        assert peer.is_left()


# Headers and blocks.


def test_headers_are_told_from_where_a_locator_leaves_the_chain_or_just_the_one(node: Node) -> None:
    node.mine(5)
    raw = [node.block(height).header.encode() for height in range(6)]
    hashes = [node.block(height).hash for height in range(6)]
    with node.peer() as peer:
        for asked, told in (
            (locator(GENESIS), raw[1:]),
            (locator(b"x" * 32, hashes[2], GENESIS), raw[3:]),
            (locator(b"x" * 32), raw[1:]),
            (locator(GENESIS, stop=hashes[3]), raw[1:4]),
            (locator(hashes[5]), []),
            (locator(stop=hashes[4]), raw[4:5]),
        ):
            assert peer.ask("getheaders", asked) == [("headers", headers(*told))]
        assert peer.ask("getheaders", locator(stop=b"x" * 32)) == []


def test_hashes_are_told_without_the_one_at_which_to_stop(node: Node) -> None:
    node.mine(502)
    hashes = [node.block(height).hash for height in range(503)]
    with node.peer() as peer:
        told = [(BLOCK, one) for one in hashes[1:3]]
        asked = locator(GENESIS, stop=hashes[3])
        assert peer.ask("getblocks", asked) == [("inv", inventory(*told))]
        told = [(BLOCK, one) for one in hashes[1:501]]
        assert peer.ask("getblocks", locator(GENESIS)) == [("inv", inventory(*told))]
        # Who asks for the last of these is told of the tip, so that it asks for more.
        heard = peer.ask("getdata", inventory((BLOCK, hashes[500])))
        assert commands(heard) == ["block", "inv"]
        assert heard[1][1] == inventory((BLOCK, hashes[502]))
        assert peer.ask("getblocks", locator(hashes[502])) == []


def test_blocks_and_transactions_are_sent_in_the_form_that_is_asked_for(node: Node) -> None:
    node.mine(101)
    tx = node.payment(1)
    assert node.network.submit("n0", tx).error is None
    node.mine()
    block = node.block(102)
    assert block.vtx[1:] == (tx,)
    stripped = block.header.encode() + b"\x02" + b"".join(t.encode_stripped() for t in block.vtx)
    with node.peer() as peer:
        whole = [("block", block.encode())]
        assert peer.ask("getdata", inventory((WITNESS_BLOCK, block.hash))) == whole
        assert peer.ask("getdata", inventory((BLOCK, block.hash))) == [("block", stripped)]
        for kind, name, form in (
            (TX, tx.txid, tx.encode_stripped()),
            (WITNESS_TX, tx.txid, tx.encode()),
            (WTX, tx.wtxid, tx.encode()),
        ):  # of the last block, while peers may still be asking for them
            assert peer.ask("getdata", inventory((kind, name))) == [("tx", form)]


def test_what_is_not_there_is_told_of_transactions_and_not_of_blocks(node: Node) -> None:
    node.mine()
    missing = b"x" * 32
    with node.peer() as peer:
        for kind in (TX, WITNESS_TX, WTX):
            asked = inventory((kind, missing))
            assert peer.ask("getdata", asked) == [("notfound", asked)]
        for kind in (BLOCK, WITNESS_BLOCK, CMPCT_BLOCK, 0, 3, 99):
            assert peer.ask("getdata", inventory((kind, missing))) == []
        asked = inventory((0, missing), (WITNESS_BLOCK, node.block(1).hash))
        assert commands(peer.ask("getdata", asked)) == ["block"]


def test_compact_blocks_are_for_the_last_few_and_their_parts_can_be_had(node: Node) -> None:
    node.mine(10)
    with node.peer() as peer:
        for height, command in ((10, "cmpctblock"), (5, "cmpctblock"), (4, "block")):
            asked = inventory((CMPCT_BLOCK, node.block(height).hash))
            assert commands(peer.ask("getdata", asked)) == [command]
        tip = node.block(10)
        ((command, payload),) = peer.ask("getblocktxn", tip.hash + b"\x01\x00")
        assert (command, payload) == ("blocktxn", tip.hash + b"\x01" + tip.vtx[0].encode())
        assert peer.ask("getblocktxn", b"x" * 32 + b"\x01\x00") == []
        peer.say("getblocktxn", tip.hash + b"\x01\x01")
        assert peer.is_left()


def test_after_headers_their_blocks_are_asked_for_even_in_the_initial_download(node: Node) -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 3)  # of 2011
    with node.peer() as peer:
        heard = peer.ask("headers", headers(*[block.header.encode() for block in grown]))
        asked = [(WITNESS_BLOCK, block.hash) for block in grown]
        assert payloads(heard, "getdata") == [inventory(*asked)]
        for block in grown:
            peer.say("block", block.encode())
        peer.sync()
        assert node.chain.tip.hash == grown[-1].hash


def test_a_header_that_does_not_connect_is_answered_by_a_question(node: Node) -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 2)
    with node.peer() as peer:
        peer.say("headers", headers())  # the answer to the first
        assert peer.sync() == []
        heard = peer.ask("headers", headers(grown[1].header.encode()))
        (asked,) = payloads(heard, "getheaders")
        assert asked[4:37] == b"\x01" + GENESIS


def test_unsolicited_blocks_on_the_tip_are_taken_and_others_are_not(node: Node) -> None:
    branches = Branches()
    grown = branches.grow(branches.genesis, 2)
    (side,) = branches.grow(branches.genesis, 1)
    with node.peer() as peer:
        for block in grown:
            peer.say("block", block.encode())
            peer.sync()
            assert node.chain.tip.hash == block.hash
        assert peer.ask("block", side.encode()) == []
        lone = branches.grow(branches.grow(branches.genesis, 1)[0], 1)[0]
        peer.say("block", lone.encode())
        assert peer.is_left()


@pytest.mark.parametrize(
    ("wish", "command"),
    [
        ((), "inv"),
        ((("sendheaders", b""),), "headers"),
        ((("sendcmpct", struct.pack("<?Q", True, 2)),), "cmpctblock"),
        ((("sendcmpct", struct.pack("<?Q", True, 1)),), "inv"),  # without witnesses, so ignored
        ((("sendcmpct", struct.pack("<?Q", True, 3)),), "inv"),
        ((("sendcmpct", struct.pack("<?Q", False, 2)),), "inv"),
    ],
    ids=["nothing", "headers", "compact", "version 1", "version 3", "low bandwidth"],
)
def test_a_new_block_is_announced_as_the_peer_wishes(
    node: Node, wish: tuple[tuple[str, bytes], ...], command: str
) -> None:
    node.mine()
    with node.peer() as peer:
        for name, payload in wish:
            peer.say(name, payload)
        peer.ask("getheaders", locator(GENESIS))  # now it has the tip, as the node knows
        tip = node.mine()
        peer.say("ping", b"whatever")
        heard = peer.hear_until(command)
        assert set(commands(heard)) - {"pong", "ping", "feefilter"} == {command}
        payload = heard[-1][1]
        header = node.block(2).header.encode()
        expected = {"inv": inventory((BLOCK, tip)), "headers": headers(header)}
        assert payload == expected.get(command, payload) and (
            command != "cmpctblock" or payload.startswith(header)
        )


# Transactions.


def test_a_transaction_is_fetched_by_wtxid_and_told_as_each_peer_knows_it(node: Node) -> None:
    node.mine(101)
    tx = node.payment(1)
    modern = ("wtxidrelay", b"")
    with node.peer(modern) as giver, node.peer(modern) as modern_peer, node.peer() as old:
        giver.say("inv", inventory((TX, b"y" * 32), (WTX, tx.wtxid)))  # the first is out of place
        assert giver.expect("getdata") == inventory((WTX, tx.wtxid))
        giver.say("tx", tx.encode())
        giver.sync()
        assert modern_peer.expect("inv") == inventory((WTX, tx.wtxid))
        assert old.expect("inv") == inventory((TX, tx.txid))
        asked = inventory((TX, tx.txid))
        assert old.ask("getdata", asked) == [("tx", tx.encode_stripped())]
        assert giver.sync() == []


def test_whoever_asks_for_no_transactions_or_dear_ones_hears_of_none(node: Node) -> None:
    node.mine(101)
    modern = ("wtxidrelay", b"")
    with node.peer(modern, relay=False) as deaf, node.peer(modern) as picky, node.peer() as other:
        picky.say("feefilter", struct.pack("<q", 10**8))
        picky.sync()
        assert node.network.submit("n0", node.payment(1)).error is None
        other.expect("inv")  # all who dialled are told at the same moment
        assert deaf.sync() == [] and picky.sync() == []
