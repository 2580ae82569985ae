"""A peer that does nothing but send transactions, for `bench_live.py`.

The chain below them is regtest: enough blocks that its coinbases can be spent, one that makes many
coins of each, one on top. Each transaction spends one of the coins and pays two keys. Both are made
once and kept under build/.
"""

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.chainmaker import KEPT, mined
from tests.support.blocks import REGTEST, coinbase_at

from drystone.consensus.script.sighash import SIGHASH_ALL, SignatureHashes
from drystone.consensus.subsidy import block_subsidy
from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import public_key, sign_ecdsa
from drystone.p2p.framing import Frame, V1Transport
from drystone.p2p.messages import (
    Inv,
    Inventory,
    Message,
    Ping,
    Pong,
    TxMessage,
    Verack,
    Version,
    WtxidRelay,
    decode_message,
)
from drystone.p2p.messages.inventory import GetData
from drystone.p2p.protocol import MSG_WTX, Services
from drystone.primitives.block import Block
from drystone.primitives.script import p2pkh, p2wpkh
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

COINS_PER_COINBASE: Final = 1_000
FEE: Final = 300  # satoshis: two for each virtual byte
SECRET: Final = sha256(b"flood").digest()
KEY: Final = public_key(SECRET)
SCRIPT: Final = p2wpkh(hash160(KEY))
ANNOUNCED_AT_ONCE: Final = 1_000
SENT_AT_ONCE: Final = 1 << 16  # bytes


def flood_chain(count: int) -> tuple[list[Block], list[Transaction]]:
    """The blocks, genesis first, and so many transactions that may come next."""
    version = sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = KEPT / f"flood-{count}-{version}.dat"
    if not path.exists():
        blocks, payments = _made(count)
        KEPT.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            encoded = [block.encode() for block in blocks] + [tx.encode() for tx in payments]
            for data in encoded:
                file.write(len(data).to_bytes(4, "little") + data)
        unfinished.replace(path)
    records = list(_records(path.read_bytes()))
    height = len(records) - count
    return (
        [Block.from_bytes(record) for record in records[:height]],
        [Transaction.from_bytes(record) for record in records[height:]],
    )


def _records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        yield data[at + 4 : end]
        at = end


def _made(count: int) -> tuple[list[Block], list[Transaction]]:
    sources = -(-count // COINS_PER_COINBASE)
    blocks = [REGTEST.genesis]
    for height in range(1, REGTEST.coinbase_maturity + sources + 1):
        value = block_subsidy(height, REGTEST.halving_interval)
        blocks.append(mined(blocks[-1].header, (coinbase_at(height, value, SCRIPT),)))
    height = len(blocks)
    fans = [_fan(block.coinbase) for block in blocks[1 : sources + 1]]
    blocks.append(mined(blocks[-1].header, (coinbase_at(height, 0), *fans)))
    payments = [_payment(fan, vout) for fan in fans for vout in range(COINS_PER_COINBASE)]
    return blocks, payments[:count]


def _fan(coinbase: Transaction) -> Transaction:
    """Many coins of one."""
    coin = coinbase.vout[0]
    each = TxOut((coin.value - 100_000) // COINS_PER_COINBASE, SCRIPT)
    return _signed(coinbase, 0, (each,) * COINS_PER_COINBASE)


def _payment(source: Transaction, vout: int) -> Transaction:
    """To two keys that nobody has."""
    value = source.vout[vout].value - FEE
    names = (b"%d of %d %s" % (n, vout, source.txid) for n in range(2))
    first, second = (p2wpkh(sha256(name).digest()[:20]) for name in names)
    return _signed(source, vout, (TxOut(value // 3, first), TxOut(value - value // 3, second)))


def _signed(source: Transaction, vout: int, outputs: tuple[TxOut, ...]) -> Transaction:
    txin = TxIn(OutPoint(source.txid, vout), sequence=0xFFFFFFFD)
    tx = Transaction(2, (txin,), outputs)
    hashes = SignatureHashes(tx, (source.vout[vout],))
    digest = hashes.witness_v0(0, p2pkh(hash160(KEY)), SIGHASH_ALL)
    signature = sign_ecdsa(SECRET, digest) + bytes((SIGHASH_ALL,))
    return replace(tx, vin=(replace(txin, witness=(signature, KEY)),))


class Flooder:
    """One connection, with blocking calls and no more manners than are asked for."""

    def __init__(self, sock: socket.socket, payments: list[Transaction]) -> None:
        self._socket = sock
        self._transport = V1Transport(REGTEST.magic)
        self._frames: dict[bytes, bytes] = {
            tx.wtxid: self._transport.frame("tx", TxMessage(tx).encode()) for tx in payments
        }

    def greet(self) -> None:
        """Shake hands, and wait for the other's verack."""
        # Whom we chose ourselves, and who has blocks, is asked at once.
        services = int(Services.NETWORK | Services.WITNESS)
        self._say(
            Version(services=services, nonce=7, user_agent=b"/flood/"), WtxidRelay(), Verack()
        )
        while not any(isinstance(message, Verack) for message in self._listen()):
            pass

    def send_unasked(self) -> None:
        """All of them, as fast as they are taken."""
        self._socket.sendall(b"".join(self._frames.values()))
        self._mind()

    def announce(self) -> None:
        """Tell of them, and send what is asked for."""
        wtxids = list(self._frames)
        for at in range(0, len(wtxids), ANNOUNCED_AT_ONCE):
            some = wtxids[at : at + ANNOUNCED_AT_ONCE]
            self._say(Inv(tuple(Inventory(MSG_WTX, wtxid) for wtxid in some)))
            missing = len(some)
            while missing:
                for message in self._listen():
                    if isinstance(message, GetData):
                        sent = [self._frames[item.hash] for item in message.items]
                        missing -= len(sent)
                        self._socket.sendall(b"".join(sent))
        self._mind()

    def _mind(self) -> None:
        """Answer pings until it is over."""
        while self._listen():
            pass

    def _listen(self) -> list[Message | None]:
        """What is said next; nothing once the other has gone."""
        data = self._socket.recv(1 << 16)
        messages: list[Message | None] = [None] if data else []
        for found in self._transport.receive(data):
            assert isinstance(found, Frame), found
            message = decode_message(found.command, found.payload)
            if isinstance(message, Ping):
                self._say(Pong(message.nonce))
            messages.append(message)
        return messages

    def _say(self, *messages: Message) -> None:
        frames = [self._transport.frame(one.command, one.encode()) for one in messages]
        self._socket.sendall(b"".join(frames))


def flood(kind: str, count: int) -> None:
    """Listen, tell the port, and send to the first who dials."""
    _, payments = flood_chain(count)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        print(listener.getsockname()[1], flush=True)
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(60)
            flooder = Flooder(sock, payments)
            flooder.greet()
            if kind == "unasked":
                flooder.send_unasked()
            else:
                flooder.announce()
