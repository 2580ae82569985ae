"""How many messages a second two peers' machines take, from value to value, without any link.

    python tests/benchmarks/bench_p2p.py [--rounds 5]

A message is encoded and framed by one peer, parsed, checked, decoded and delivered by the other.
The time is this process's own, the least of the rounds.
"""

import argparse
import time
from collections.abc import Callable
from hashlib import sha256

from drystone.consensus.chains import REGTEST
from drystone.core.chance import Stream
from drystone.core.time import Time
from drystone.p2p.addrman import AddrMan
from drystone.p2p.compact import PartialBlock, compact_block
from drystone.p2p.framing import V1Transport
from drystone.p2p.handshake import ConnectionKind, Local
from drystone.p2p.messages import (
    Addr,
    BlockMessage,
    Headers,
    Inv,
    Inventory,
    Message,
    PeerAddress,
    Ping,
    TxMessage,
)
from drystone.p2p.netaddress import NO_ADDRESS, NetAddress, Network
from drystone.p2p.peer import Peer
from drystone.p2p.protocol import MSG_WTX, Services
from drystone.p2p.requests import GenTxid, TxRequests
from drystone.p2p.results import Send
from drystone.primitives.block import Block
from drystone.primitives.hashes import Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

NOW = Time(0, 1_700_000_000)
SECONDS_PER_ROUND = 0.3


def ready_pair() -> tuple[Peer, Peer]:
    """Two peers whose handshake is over."""
    local = Local(Services.NETWORK | Services.WITNESS, b"/bench:1/", start_height=0)
    one, other = (
        Peer(
            kind,
            NO_ADDRESS,
            V1Transport(REGTEST.magic),
            local,
            dice=Stream(1, kind.value),
            own_nonces=set(),
            now=NOW,
        )
        for kind in (ConnectionKind.MANUAL, ConnectionKind.INBOUND)
    )
    said = [(other, result) for result in one.start(NOW)]
    while said:
        listener, result = said.pop(0)
        if isinstance(result, Send):
            answers = listener.receive(result.data, NOW)
            said += [(one if listener is other else other, answer) for answer in answers]
    return one, other


def payment(n: int) -> Transaction:
    """One input with a witness of 107 bytes, two outputs: what most are like."""
    txid = Txid(sha256(n.to_bytes(4, "little")).digest())
    outputs = (TxOut(n, bytes(22)), TxOut(n, bytes(22)))
    return Transaction(2, (TxIn(OutPoint(txid, 0), witness=(bytes(72), bytes(33))),), outputs)


def messages() -> dict[str, Message]:
    """By what they are called in the report."""
    hashes = [sha256(bytes((n % 256, n // 256))).digest() for n in range(1000)]
    block = Block(REGTEST.genesis.header, tuple(payment(n) for n in range(1000)))
    address = PeerAddress(NOW.unix_s, 9, NetAddress(Network.IPV4, b"\x08\x08\x08\x08", 8333))
    return {
        "ping and pong": Ping(7),
        "inv of 1": Inv((Inventory(MSG_WTX, hashes[0]),)),
        "inv of 1,000": Inv(tuple(Inventory(MSG_WTX, hash_) for hash_ in hashes)),
        "tx": TxMessage(payment(1)),
        "headers of 1": Headers((REGTEST.genesis.header,)),
        "headers of 2,000": Headers((REGTEST.genesis.header,) * 2000),
        "addr of 1,000": Addr((address,) * 1000),
        "block of 1,000 transactions": BlockMessage(block, block.encode()),
    }


def per_second(action: Callable[[], object], rounds: int) -> float:
    """How often it can be done in a second."""
    best = 0.0
    for _ in range(rounds):
        count, start = 0, time.process_time()
        while (taken := time.process_time() - start) < SECONDS_PER_ROUND:
            for _ in range(10):
                action()
            count += 10
        best = max(best, count / taken)
    return best


def report(name: str, rate: float) -> None:
    """One line."""
    print(f"{name:<45} {rate:>12,.0f} /s {1e6 / rate:>10.1f} us")


def main() -> None:
    """Print a line for each message, and for what else is done often."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    one, other = ready_pair()

    def carry(message: Message) -> None:
        for result in other.receive(one.send(message, NOW).data, NOW):
            if isinstance(result, Send):
                one.receive(result.data, NOW)

    for name, message in messages().items():
        report(name, per_second(lambda message=message: carry(message), rounds))  # type: ignore[misc]
    report("handshake", per_second(ready_pair, rounds))

    pool = [payment(n) for n in range(5000)]
    block = Block(REGTEST.genesis.header, tuple(pool[:2000]))
    report("compact block of 2,000 made", per_second(lambda: compact_block(block, 1), 1))
    compact = compact_block(block, 1)
    report(
        "compact block found in a pool of 5,000",
        per_second(lambda: PartialBlock(compact).fill(reversed(pool)), 1),
    )

    requests = TxRequests(b"key")
    for peer in range(8):
        requests.connected(peer, is_preferred=True, wtxid_relay=True)
    names = [GenTxid(tx.wtxid, is_wtxid=True) for tx in pool]
    at = iter(range(10**9))

    def request() -> None:
        name = names[next(at) % len(names)]
        for peer in range(8):
            requests.announced(peer, name, now_ns=0)
        requests.due(0)
        requests.forget(name.hash)

    report("transaction announced by 8, requested, got", per_second(request, rounds))

    addresses = AddrMan(bytes(32), Stream(1))

    def hear() -> None:
        host = (0x14000000 + 9973 * next(at)).to_bytes(4)
        told = PeerAddress(NOW.unix_s, 9, NetAddress(Network.IPV4, host, 8333))
        addresses.add([told], told.address, now_s=NOW.unix_s)

    report("address heard of", per_second(hear, 1))
    report("address chosen to dial", per_second(lambda: addresses.select(now_s=NOW.unix_s), 1))


if __name__ == "__main__":
    main()
