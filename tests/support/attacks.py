"""What a hostile peer may try, each attack by itself; all end with what the victim made of it.

An attack asserts what is its own affair: who is left, and with which reason. That the victim is up
and well afterwards is for `Siege.check`.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random

from drystone.p2p.compact import compact_block
from drystone.p2p.messages import (
    MESSAGES,
    Addr,
    AddrV2,
    BlockMessage,
    BlockTxn,
    CFCheckpt,
    CFHeaders,
    CFilter,
    CmpctBlock,
    FeeFilter,
    FilterAdd,
    FilterLoad,
    GetAddr,
    GetBlocks,
    GetBlockTxn,
    GetCFCheckpt,
    GetCFHeaders,
    GetCFilters,
    GetData,
    GetHeaders,
    Headers,
    Inv,
    Inventory,
    MerkleBlock,
    Message,
    NotFound,
    PeerAddress,
    Ping,
    Pong,
    PrefilledTransaction,
    SendCmpct,
    TxMessage,
    Version,
)
from drystone.p2p.netaddress import NetAddress, Network
from drystone.p2p.protocol import (
    MAX_ADDR_TO_SEND,
    MAX_INV_SZ,
    MSG_BLOCK,
    MSG_CMPCT_BLOCK,
    MSG_TX,
    MSG_WITNESS_BLOCK,
    MSG_WTX,
)
from drystone.primitives.block import Block, BlockLocator
from drystone.primitives.hashes import BlockHash, Txid
from drystone.primitives.merkleblock import PartialMerkleTree
from drystone.primitives.script import op_return
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.support.bad_blocks import (
    BAD_BLOCKS,
    BAD_TRANSACTIONS,
    REFUSED_BLOCKS,
    SUBSIDY,
    anyone,
    on,
    owned,
)
from tests.support.blocks import REGTEST
from tests.support.branches import payment
from tests.support.siege import (
    LOCK,
    PATIENCE_S,
    Attacker,
    Siege,
    branches,
    framed,
    header_of,
    history,
    mutations,
    payload_framed,
    slow_drip,
)

Attack = Callable[[Siege, Random], None]

FLOOD_S = 0.1  # of each kind of message
FLOODERS = 4  # at once
MANY = 1_500  # connections

GENESIS = BlockLocator((REGTEST.genesis_hash,))


# ---------------------------------------------------------------------- every message, mutated


def samples() -> dict[str, bytes]:
    """A payload of each kind of message, by command."""
    block = on(history()[-1], anyone(), owned())
    txids = [tx.txid for tx in block.vtx]
    tree = PartialMerkleTree.from_leaves(txids, [True, False, True])
    ipv4 = PeerAddress(1_700_000_000, 9, NetAddress(Network.IPV4, b"\1\2\3\4", 8333))
    onion = PeerAddress(1_700_000_000, 9, NetAddress(Network.TORV3, bytes(range(32)), 8333))
    items = (Inventory(MSG_WTX, bytes(32)), Inventory(MSG_BLOCK, block.hash))
    stop = history()[-1].hash
    messages: list[Message] = [
        Version(services=9, nonce=1, user_agent=b"/hostile/", start_height=7),
        SendCmpct(high_bandwidth=True),
        FeeFilter(1_000),
        *(Ping(1), Pong(1)),
        *(Inv(items), GetData(items), NotFound(items)),
        *(GetHeaders(GENESIS), GetBlocks(GENESIS)),
        Headers((block.header,)),
        BlockMessage(block),
        TxMessage(owned(8)),
        Addr((ipv4, ipv4)),
        AddrV2((ipv4, onion)),
        compact_block(block, nonce=7),
        GetBlockTxn(block.hash, (0, 1)),
        BlockTxn(block.hash, block.vtx[1:]),
        FilterLoad(bytes(50), 10, 1, 0),
        FilterAdd(bytes(50)),
        MerkleBlock(block.header, tree),
        *(GetCFilters(0, 0, stop), GetCFHeaders(0, 0, stop), GetCFCheckpt(0, stop)),
        CFilter(0, stop, bytes(40)),
        CFHeaders(0, stop, bytes(32), (bytes(32),)),
        CFCheckpt(0, stop, (bytes(32),)),
    ]
    payloads = {message.command: message.encode() for message in messages}
    return {command: payloads.get(command, b"") for command in MESSAGES}


def mutated_before_the_handshake(siege: Siege, dice: Random) -> None:
    """Nothing counts before a version; what is no version is not even read."""
    for command, payload in samples().items():
        if command == "version":
            continue
        with Attacker(siege, shakes_hands=False) as attacker:
            for data in mutations(command, payload, dice):
                attacker.send_bytes(data)
            attacker.shake_hands()


def mutated_during_the_handshake(siege: Siege, dice: Random) -> None:
    """Between version and verack."""
    for command, payload in samples().items():
        with Attacker(siege, shakes_hands=False) as attacker:
            attacker.send(Version(services=9, nonce=attacker.port))
            for data in mutations(command, payload, dice):
                attacker.send_bytes(data)
            attacker.send_payload("verack", b"")
            assert attacker.survives() or siege.left[attacker.port]


def mutated_after_the_handshake(siege: Siege, dice: Random) -> None:
    """Each on a connection that is good until one ends it."""
    attacker = Attacker(siege)
    for command, payload in samples().items():
        for data in mutations(command, payload, dice):
            attacker.send_bytes(data)
            if not attacker.survives():
                assert attacker.end()
                attacker.close()
                attacker = Attacker(siege)
    attacker.close()


def mutated_versions(siege: Siege, dice: Random) -> None:
    """The first message of all, with fields at their ends."""
    ends = (0, 1, 2**31 - 1, -(2**31), 70_015)
    for version in ends:
        for time_s in (0, 2**63 - 1, -(2**63)):
            with Attacker(siege, shakes_hands=False) as attacker:
                attacker.send(
                    Version(
                        version,
                        services=dice.getrandbits(64),
                        time=time_s,
                        nonce=dice.getrandbits(64),
                        user_agent=dice.randbytes(256),
                        start_height=dice.choice(ends),
                    )
                )
                attacker.send_payload("verack", b"")
                if version < 31_800:
                    assert attacker.end().startswith("peer using obsolete version")
                elif version > 60_000:
                    attacker.sync()
    for data in mutations("version", samples()["version"], dice):
        with Attacker(siege, shakes_hands=False) as attacker:
            attacker.send_bytes(data)


# ---------------------------------------------------------------------- the stream


def broken_streams(siege: Siege, dice: Random) -> None:
    """No messages at all, another chain's, or longer than any."""
    good = framed(Ping(1))
    for data, reason in (
        (dice.randbytes(1_000), "Header error: Wrong MessageStart"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "Header error: Wrong MessageStart 47455420"),
        (b"\xf9\xbe\xb4\xd9" + good[4:], "Header error: Wrong MessageStart f9beb4d9"),
        (header_of(b"block", 4_000_001), "Header error: Size too large (block, 4000001 bytes)"),
        (header_of(b"ping", 2**32 - 1), "Header error: Size too large (ping, 4294967295 bytes)"),
    ):
        for shakes_hands in (True, False):
            with Attacker(siege, shakes_hands=shakes_hands) as attacker:
                attacker.send_bytes(data)
                assert attacker.end().startswith(reason), siege.left[attacker.port]


def spoilt_frames(siege: Siege, dice: Random) -> None:
    """A wrong checksum, a name that is none, a command that nobody knows: the stream goes on."""
    with Attacker(siege) as attacker:
        attacker.send_bytes(header_of(b"ping", 8) + bytes(8))
        attacker.send_bytes(header_of(b"\xff\0x", 0, b"\x5d\xf6\xe0\xe2"))
        for _ in range(200):
            name = "".join(dice.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(12))
            attacker.send_payload(name, dice.randbytes(dice.randrange(2_000)))
        attacker.send_payload("unheard-of", bytes(4_000_000))
        attacker.sync()


def slow_bytes(siege: Siege, dice: Random) -> None:
    """A byte at a time from many, and messages whose end never comes."""
    with ExitStack() as stack:
        drips = [stack.enter_context(Attacker(siege, shakes_hands=False)) for _ in range(10)]
        hello = framed(Version(services=9, nonce=5)) + payload_framed("verack", b"")
        slow_drip(drips, hello + framed(Ping(4)), 0.001)
        for drip in drips:
            drip.sync()
            drip.send_bytes(header_of(b"block", 4_000_000) + bytes(1_000))
        siege.check()


def unfinished_messages(siege: Siege, dice: Random) -> None:
    """As much of a message as there may be, but for its last byte, from several at once."""
    data = header_of(b"block", 4_000_000) + dice.randbytes(3_999_999)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(Attacker(siege)).send_bytes(data)
        siege.check()


def half_open_handshakes(siege: Siege, dice: Random) -> None:
    """They say nothing, or only half of it, and take all the places that there are."""
    with ExitStack() as stack:
        for n in range(200):
            attacker = stack.enter_context(Attacker(siege, shakes_hands=False))
            if n % 2:
                attacker.send(Version(services=9, nonce=n))
        siege.check()
        assert siege.next_report()["peers"] <= 125


# ---------------------------------------------------------------------- floods


def _random_items(dice: Random, kind: int, count: int) -> tuple[Inventory, ...]:
    return tuple([Inventory(kind, dice.randbytes(32)) for _ in range(count)])


def _random_addresses(dice: Random, count: int) -> tuple[PeerAddress, ...]:
    now = int(time.time())
    return tuple(
        [
            PeerAddress(now, 9, NetAddress(Network.IPV4, dice.randbytes(4), 8333))
            for _ in range(count)
        ]
    )


def flood_messages(dice: Random) -> dict[str, bytes]:
    """What is said over and over, by name: little to say, much to do, or much to remember."""
    known = tuple([Inventory(MSG_WITNESS_BLOCK, block.hash) for block in history()])
    deep = BlockLocator(tuple([BlockHash(dice.randbytes(32)) for _ in range(100)]))
    block = on(history()[-1], anyone())
    return {
        "inv of transactions": framed(Inv(_random_items(dice, MSG_WTX, MAX_INV_SZ))),
        "inv of blocks": framed(Inv(_random_items(dice, MSG_BLOCK, MAX_INV_SZ))),
        "addr": framed(Addr(_random_addresses(dice, MAX_ADDR_TO_SEND))),
        "addrv2, few at a time": framed(*[AddrV2(_random_addresses(dice, 8)) for _ in range(500)]),
        "getaddr": framed(GetAddr()) * 1_000,
        "ping": framed(Ping(1)) * 1_000,
        "pong": framed(Pong(1)) * 1_000,
        "getheaders": framed(GetHeaders(GENESIS)) * 500,
        "getheaders from nowhere": framed(GetHeaders(deep)) * 50,
        "getblocks": framed(GetBlocks(GENESIS)) * 500,
        "getdata of blocks": framed(GetData(known)) * 20,
        "getdata of old blocks": framed(
            GetData(tuple([one._replace(type=MSG_BLOCK) for one in known]))
        )
        * 20,
        "getdata of compact blocks": framed(
            GetData(tuple([one._replace(type=MSG_CMPCT_BLOCK) for one in known]))
        )
        * 20,
        "getdata of nothing": framed(GetData(_random_items(dice, MSG_TX, MAX_INV_SZ))),
        "notfound": framed(NotFound(_random_items(dice, MSG_WTX, MAX_INV_SZ))),
        "getblocktxn": framed(GetBlockTxn(history()[-1].hash, (0,))) * 1_000,
        "headers": framed(Headers(tuple([one.header for one in history()]))) * 5,
        "feefilter, sendcmpct": framed(FeeFilter(5), SendCmpct(high_bandwidth=True)) * 500,
        "cmpctblock": framed(compact_block(block, nonce=1)) * 100,
        "blocktxn": framed(BlockTxn(block.hash, block.vtx)) * 100,
        "unknown": payload_framed("unheard-of", bytes(100_000)),
        "old blocks": framed(*[BlockMessage(one) for one in history()]),
    }


def _flood(siege: Siege, data: bytes, seconds: float) -> None:
    """From a few at once, who read nothing; those who are cut off come again."""

    def one() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with Attacker(siege) as attacker:
                attacker.flood(data, end - time.monotonic())

    threads = [threading.Thread(target=one) for _ in range(FLOODERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def floods(siege: Siege, dice: Random) -> None:
    """One kind of message after the other, without ever reading an answer."""
    for data in flood_messages(dice).values():
        _flood(siege, data, FLOOD_S)
        assert siege.next_report()["hashes_per_s"]


def a_flood_of_all_kinds(siege: Siege, dice: Random) -> None:
    """And while it lasts, an honest peer is served and blocks are mined."""
    everything = list(flood_messages(dice).values())
    dice.shuffle(everything)
    flood = threading.Thread(target=_flood, args=(siege, b"".join(everything), 10 * FLOOD_S))
    flood.start()
    try:
        siege.check()
    finally:
        flood.join(PATIENCE_S)


def peers_that_never_read(siege: Siege, dice: Random) -> None:
    """They ask for all blocks again and again; their sockets are full, and so stay ours."""
    wanted = tuple([Inventory(MSG_WITNESS_BLOCK, block.hash) for block in history()]) * 100
    with ExitStack() as stack:
        for _ in range(8):
            attacker = stack.enter_context(Attacker(siege, receive_bytes=4_096))
            attacker.flood(framed(GetData(wanted), *[Ping(n) for n in range(100)]), 0.05)
        siege.check()


def too_many_items(siege: Siege, dice: Random) -> None:
    """Lists longer than the protocol allows."""
    item = Inventory(MSG_WTX, bytes(32))
    address = _random_addresses(dice, 1)
    header = history()[0].header
    for message, reason in (
        (Inv((item,) * 50_001), "inv message size = 50001"),
        (GetData((item,) * 50_001), "getdata message size = 50001"),
        (NotFound((item,) * 50_001), "notfound message size = 50001"),
        (Addr(address * 1_001), "addr message size = 1001"),
        (AddrV2(address * 1_001), "addrv2 message size = 1001"),
        (Headers((header,) * 2_001), "headers message size = 2001"),
        (GetHeaders(BlockLocator((header.hash,) * 102)), "getheaders locator size 102 > 101"),
        (GetBlocks(BlockLocator((header.hash,) * 102)), "getblocks locator size 102 > 101"),
    ):
        with Attacker(siege) as attacker:
            attacker.send(message)
            assert attacker.end() == reason


# ---------------------------------------------------------------------- headers


def headers_of_little_work(siege: Siege, dice: Random) -> None:
    """Branches from below that are worth no memory: none of it is kept, however many come."""
    rate = siege.latest["hashes_per_s"]
    siege.set_hashrate(10 * rate)
    siege.until(lambda: siege.latest["height"] > 155, "it mines too slowly")
    siege.set_hashrate(rate)
    with Attacker(siege) as attacker:
        tip = attacker.tip()
        height = branches().height(tip)
        assert height > 150  # the victim's branch has so much more work
        before = siege.next_report()["headers"]
        for _ in range(30):
            low, parent = [], branches().genesis
            for _ in range(height - 150):
                parent = on(parent)
                branches().add(parent)
                low.append(parent)
            attacker.send(Headers(tuple([block.header for block in low])))
            attacker.send(BlockMessage(low[0]))
        attacker.sync()
        assert siege.next_report()["headers"] <= before + 20  # those that it mined meanwhile


def headers_that_connect_to_nothing(siege: Siege, dice: Random) -> None:
    """It asks for what lies between, once, and keeps none."""
    block = on(history()[-1])
    nowhere = BAD_BLOCKS["prev-blk-not-found"][1](history()[-1])
    with Attacker(siege) as attacker:
        for _ in range(300):
            attacker.send(Headers((nowhere.header,)))
            attacker.send(Inv((Inventory(MSG_BLOCK, dice.randbytes(32)),)))
        attacker.sync()
    with Attacker(siege) as attacker:
        attacker.send(Headers((nowhere.header, block.header)))
        assert attacker.end() == "non-continuous headers sequence"


def headers_without_blocks(siege: Siege, dice: Random) -> None:
    """A longer chain is promised and never comes; the victim goes on with its own."""
    with mining_stopped(siege), Attacker(siege) as attacker:
        promised, parent = [], attacker.tip()
        for _ in range(20):
            parent = branches().add(on(parent))
            promised.append(parent)
        attacker.send(Headers(tuple([block.header for block in promised])))
        attacker.wait_for(GetData)
        attacker.sync()


# ---------------------------------------------------------------------- blocks


@contextmanager
def mining_stopped(siege: Siege) -> Iterator[None]:
    """So that the tip stays where it is."""
    rate = siege.latest["hashes_per_s"]
    siege.set_hashrate(0)
    try:
        yield
    finally:
        siege.set_hashrate(rate)


def bad_blocks(siege: Siege, dice: Random) -> None:
    """One for each rule: refused, by its name, and its sender is left."""
    with mining_stopped(siege):
        with Attacker(siege) as attacker:
            tip = attacker.tip()
        for name, (reason, build) in BAD_BLOCKS.items():
            with Attacker(siege) as attacker:
                attacker.send(BlockMessage(build(tip)))
                assert attacker.end().startswith(reason), f"{name}: {siege.left[attacker.port]}"
                assert attacker.port in siege.misbehaved
        for build in REFUSED_BLOCKS.values():
            with Attacker(siege) as attacker:
                attacker.send(BlockMessage(build(tip)))
                attacker.sync()
        with Attacker(siege) as attacker:
            assert attacker.tip() == tip


def on_a_bad_block(siege: Siege, dice: Random) -> None:
    """What builds on a block that was refused is refused, by header alone."""
    with mining_stopped(siege):
        with Attacker(siege) as attacker:
            bad = branches().add(BAD_BLOCKS["bad-cb-amount"][1](attacker.tip()))
            attacker.send(BlockMessage(bad))
            assert attacker.end() == "invalid block: bad-cb-amount"
        child = on(bad)
        for message in (Headers((child.header,)), BlockMessage(child)):
            with Attacker(siege) as attacker:
                attacker.send(message)
                assert attacker.end().endswith("bad-prevblk")


def unsolicited_blocks(siege: Siege, dice: Random) -> None:
    """Old ones again, branches of less work, and one that is better: only that is taken."""
    with mining_stopped(siege), Attacker(siege) as attacker:
        tip = attacker.tip()
        for block in history()[:20]:
            attacker.send(BlockMessage(block))
        side = history()[-3]
        for _ in range(2):
            side = branches().add(on(side))
            attacker.send(BlockMessage(side))
        attacker.sync()
        assert attacker.tip() == tip
        better = branches().add(on(tip))
        attacker.send(BlockMessage(better))
        attacker.sync()
        assert attacker.tip() == better


def compact_blocks(siege: Siege, dice: Random) -> None:
    """Ids that are equal, places that are none, and transactions that are other ones."""
    with mining_stopped(siege):
        with Attacker(siege) as attacker:
            tip = attacker.tip()

        def made() -> tuple[Block, CmpctBlock]:
            block = branches().add(on(tip, anyone(20), anyone(21)))
            return block, compact_block(block, nonce=dice.getrandbits(64))

        invalid = "invalid compact block"
        coinbase = tip.coinbase
        for places in ((2_000,), (0, 65_535)):
            block, message = made()
            prefilled = tuple([PrefilledTransaction(place, coinbase) for place in places])
            with Attacker(siege) as attacker:
                attacker.send(CmpctBlock(block.header, 1, message.short_ids, prefilled))
                if places == (2_000,):
                    assert attacker.end() == invalid
                else:  # more places than there can be: it can't even be read
                    assert attacker.survives() or attacker.end() == invalid
        with Attacker(siege) as attacker:  # equal short ids may happen: the block is asked for
            block, message = made()
            attacker.send(CmpctBlock(block.header, 1, message.short_ids[:1] * 2, message.prefilled))
            wanted = attacker.wait_for(GetData).items
            assert wanted == (Inventory(MSG_WITNESS_BLOCK, block.hash),)
        for transactions, reason in (
            ((), "invalid compact block/non-matching block transactions"),
            ((coinbase,) * 3, "invalid compact block/non-matching block transactions"),
        ):
            with Attacker(siege) as attacker:
                block, message = made()
                attacker.send(message)
                attacker.wait_for(GetBlockTxn)
                attacker.send(BlockTxn(block.hash, transactions))
                assert attacker.end() == reason
        with Attacker(siege) as attacker:  # others than the header's: the whole block is asked for
            block, message = made()
            attacker.send(message)
            attacker.wait_for(GetBlockTxn)
            attacker.send(BlockTxn(block.hash, (coinbase, coinbase)))
            attacker.wait_for(GetData)
            attacker.send(*[message] * 200)  # and nothing is begun anew
            attacker.sync()
        with Attacker(siege) as attacker:
            attacker.send(GetBlockTxn(tip.hash, (0, 1, 60_000)))
            assert attacker.end() == "getblocktxn with out-of-bounds tx indices"


# ---------------------------------------------------------------------- transactions


def orphans(siege: Siege, dice: Random) -> None:
    """Children of parents that never were, small and large."""
    with ExitStack() as stack:
        for _ in range(2):
            attacker = stack.enter_context(Attacker(siege))
            many = [
                TxMessage(payment(OutPoint(Txid(dice.randbytes(32)), 0), 1_000, LOCK.script_pubkey))
                for _ in range(1_500)
            ]
            large = [
                TxMessage(
                    Transaction(
                        2,
                        tuple([TxIn(OutPoint(Txid(dice.randbytes(32)), n)) for n in range(2_000)]),
                        (TxOut(1, LOCK.script_pubkey),),
                    )
                )
                for _ in range(10)
            ]
            attacker.send(*many, *large)
            attacker.sync()
        assert 0 < siege.next_report()["orphans"] <= 3_000


def bad_transactions(siege: Siege, dice: Random) -> None:
    """One for each rule: refused, by its name; nobody is left for that."""
    with mining_stopped(siege), Attacker(siege) as attacker:
        tip = attacker.tip()
        for build in BAD_TRANSACTIONS.values():
            attacker.send(TxMessage(build(tip)))
        attacker.sync()
        siege.next_report()
        said = siege.refused[-len(BAD_TRANSACTIONS) :]
        for name, reason in zip(BAD_TRANSACTIONS, said, strict=True):
            assert reason.startswith(name)


def large_transactions(siege: Siege, dice: Random) -> None:
    """As large as a standard one may be, and as large as any may be."""
    with Attacker(siege) as attacker:
        coin = branches().blocks[history()[6].hash].coinbase
        outputs = [TxOut(SUBSIDY // 2_000, LOCK.script_pubkey)] * 1_900
        large = owned(7, *outputs)
        assert coin.txid == large.vin[0].prevout.txid and 100_000 > large.vsize > 55_000
        attacker.send(TxMessage(large))
        vast = payment(OutPoint(Txid(dice.randbytes(32)), 0), 1, op_return(bytes(3_900_000)))
        attacker.send(TxMessage(vast))
        crowd = Transaction(2, vast.vin * 90_000, vast.vout[:0])
        attacker.send(TxMessage(crowd))
        attacker.sync()


# ---------------------------------------------------------------------- connections


def thousands_of_connections(siege: Siege, dice: Random) -> None:
    """Far more than there are places, all kept open as long as the victim lets them."""
    with ExitStack() as stack:
        opened: list[socket.socket] = []
        for n in range(MANY):
            if n >= 300:
                opened[n - 300].close()
            one = stack.enter_context(socket.socket())
            one.settimeout(PATIENCE_S)
            one.connect(siege.address)
            if n % 3 == 0:
                one.sendall(framed(Version(services=9, nonce=n)))
            opened.append(one)
        report = siege.next_report()
        assert report["peers"] <= 125
        siege.check()


def storms(siege: Siege, dice: Random) -> None:
    """Here and gone: in good order, by resets, by halves, in the middle of a message."""
    hello = framed(Version(services=9, nonce=1)) + payload_framed("verack", b"")
    for n in range(300):
        attacker = Attacker(siege, shakes_hands=False)
        attacker.send_bytes(hello[: dice.randrange(len(hello) + 1)])
        if n % 4 == 0:
            attacker.send_bytes(framed(GetHeaders(GENESIS)) * 50)
        if n % 3 == 0:
            attacker.reset()
        elif n % 3 == 1:
            attacker.close()
        else:
            attacker.say_no_more()
            attacker.drain()
            attacker.close()


def half_closed(siege: Siege, dice: Random) -> None:
    """Who says no more is answered no more, and gone."""
    with Attacker(siege) as attacker:
        attacker.send(*[GetHeaders(GENESIS)] * 10)
        attacker.say_no_more()
        assert attacker.end() == "closed by the other side"


def self_connection(siege: Siege, dice: Random) -> None:
    """It is made to dial itself, and somebody echoes all that it says."""
    siege.order("connect {}:{}".format(*siege.address))
    siege.until(
        lambda: any(one.startswith("connected to self at") for one in siege.left.values()),
        "it talks to itself",
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(PATIENCE_S)
        siege.order(f"connect 127.0.0.1:{listener.getsockname()[1]}")
        echo, _ = listener.accept()
        with echo:
            echo.settimeout(0.3)
            try:
                while data := echo.recv(1 << 16):
                    echo.sendall(data)
            except OSError:
                pass
    siege.check()


def many_of_one_name(siege: Siege, dice: Random) -> None:
    """The same nonce, the same user agent, the same everything."""
    with ExitStack() as stack:
        for _ in range(30):
            attacker = stack.enter_context(Attacker(siege, shakes_hands=False))
            attacker.send(Version(services=9, nonce=77, user_agent=b"/twin/"))
            attacker.send_payload("verack", b"")
            attacker.send(Version(services=9, nonce=77), Version(services=9, nonce=77))
            attacker.send_payload("verack", b"")
            attacker.sync()


ATTACKS: Sequence[Attack] = (
    mutated_before_the_handshake,
    mutated_during_the_handshake,
    mutated_after_the_handshake,
    mutated_versions,
    broken_streams,
    spoilt_frames,
    slow_bytes,
    unfinished_messages,
    half_open_handshakes,
    floods,
    a_flood_of_all_kinds,
    peers_that_never_read,
    too_many_items,
    headers_that_connect_to_nothing,
    headers_without_blocks,
    bad_blocks,
    on_a_bad_block,
    unsolicited_blocks,
    compact_blocks,
    orphans,
    bad_transactions,
    large_transactions,
    thousands_of_connections,
    storms,
    half_closed,
    self_connection,
    many_of_one_name,
    headers_of_little_work,
)
