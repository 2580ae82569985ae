"""A process to attack, and whoever attacks it: sockets that say anything, and look what happens."""

import json
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Any, Self, TypeVar

from drystone.p2p.framing import HEADER_BYTES, Frame, V1Transport
from drystone.p2p.messages import (
    BlockMessage,
    GetData,
    GetHeaders,
    Headers,
    Inventory,
    Message,
    Ping,
    Pong,
    SendAddrV2,
    SendCmpct,
    Verack,
    Version,
    WtxidRelay,
    decode_message,
)
from drystone.p2p.protocol import MSG_WITNESS_BLOCK
from drystone.primitives.block import Block, BlockHeader, BlockLocator
from tests.support.blocks import ANYONE_CAN_SPEND, REGTEST
from tests.support.branches import Branches
from tests.support.spending import p2wpkh_lock

Some = TypeVar("Some", bound=Message)

PATIENCE_S = 20.0
HISTORY = 110  # blocks that the victim begins with
OWNED = 8  # of their coinbases pay to LOCK, the others to anyone
LOCK = p2wpkh_lock()
MiB = 1 << 20


@cache
def branches() -> Branches:
    """All blocks that attackers know of."""
    made = Branches()
    tip = made.genesis
    for height in range(1, HISTORY + 1):
        script = LOCK.script_pubkey if height <= OWNED else ANYONE_CAN_SPEND
        tip = made.on(tip, coinbase=made.coinbase(height, script_pubkey=script))
    return made


@cache
def history() -> list[Block]:
    """What the victim begins with, without genesis; the same in each process."""
    return list(branches().blocks.values())[1 : HISTORY + 1]


def framed(*messages: Message) -> bytes:
    """What is sent, in one piece."""
    return b"".join(payload_framed(one.command, one.encode()) for one in messages)


def payload_framed(command: str, payload: bytes) -> bytes:
    """Anything, as a message."""
    return V1Transport(REGTEST.magic).frame(command, payload)


def header_of(command: bytes, length: int, checksum: bytes = bytes(4)) -> bytes:
    """A frame's header that says what it likes."""
    return struct.pack("<4s12sI4s", REGTEST.magic, command, length, checksum)


class Siege:
    """The victim, from outside. Use it in `with`: at the end it is told to end, and must."""

    def __init__(self, hashes_per_s: int = 8, *, files: int | None = None) -> None:
        limit = [] if files is None else ["--files", str(files)]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-m", "tests.support.victim"),
                *("--hashrate", str(hashes_per_s), *limit),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self._changed = threading.Condition()
        self.left: dict[int, str] = {}  # by port, why a peer is gone
        self.misbehaved: set[int] = set()
        self.refused: list[str] = []
        self.trouble: list[str] = []
        self.reports = 0
        self.latest: dict[str, Any] = {}
        self.peak_bytes = 0
        self._err: list[str] = []
        self.address = ("", 0)
        self._readers = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_err, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self.until(lambda: self.address[1] and self.latest, "it does not start")
        # Until a block is new, it takes itself to be downloading.
        self.until(lambda: self.latest["height"] > HISTORY, "it does not mine")
        self.quiet_bytes = self.latest["rss_bytes"]
        self.quiet_files = self.latest["files"]
        self.quiet_tasks = self.latest["tasks"]

    # ------------------------------------------------------------------ what it says

    def _read_out(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._note(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _read_err(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._err.append(line.rstrip())

    def _note(self, said: dict[str, Any]) -> None:
        match said:
            case {"address": address}:
                host, port = address.split(":")
                self.address = host, int(port)
            case {"left": port, "reason": reason, "misbehaved": misbehaved}:
                self.left[port] = reason
                if misbehaved:
                    self.misbehaved.add(port)
            case {"refused": reason}:
                self.refused.append(reason)
            case {"trouble": line}:
                self.trouble.append(line)
            case _:
                self.latest = said
                self.reports += 1
                self.peak_bytes = max(self.peak_bytes, said["rss_bytes"])

    def until(
        self, reached: Callable[[], object], why: str, *, limit_s: float = PATIENCE_S
    ) -> None:
        """Wait until something holds of what it has said."""
        end = time.monotonic() + limit_s
        with self._changed:
            while not reached():
                if self._process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"{why}\n{self.latest}\n" + "\n".join(self._err))
                self._changed.wait(0.2)

    def next_report(self) -> dict[str, Any]:
        """One that was made after this call."""
        seen = self.reports
        self.until(lambda: self.reports > seen + 1, "it says no more")
        return self.latest

    # ------------------------------------------------------------------ what it is told

    def order(self, line: str) -> None:
        """One of the victim's orders."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def set_hashrate(self, rate: int) -> None:
        """And wait until it is so."""
        self.order(f"hashrate {rate}")
        self.until(lambda: self.latest.get("hashes_per_s") == rate, "it does not obey")

    # ------------------------------------------------------------------ what must hold

    def check(self, *, growth_bytes: int = 100 * MiB) -> None:
        """It is up, in bounded memory, goes on mining, serves an honest peer, and logs nothing."""
        before = self.next_report()["height"]
        self.until(
            lambda: self.latest["height"] > before and self.latest["hashes_per_s"],
            "it mines no more",
        )
        with Attacker(self) as honest:
            tip = honest.chain()[-1]
            honest.send(GetData((Inventory(MSG_WITNESS_BLOCK, tip.hash),)))
            assert honest.wait_for(BlockMessage).block.header == tip
        assert self.latest["troubles"] == []
        assert not self._err, self._err
        assert self.peak_bytes < self.quiet_bytes + growth_bytes, (
            f"{self.peak_bytes / MiB:.0f} MiB, {self.quiet_bytes / MiB:.0f} when quiet"
        )

    def check_nothing_is_left(self) -> None:
        """Once attackers are gone, so are their sockets and tasks."""
        self.until(
            lambda: (
                self.latest["files"] <= self.quiet_files
                and self.latest["tasks"] <= self.quiet_tasks
                and not self.latest["peers"]
            ),
            "something is left",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._process.poll() is None and error is None:
                self.order("end")
                assert self._process.wait(PATIENCE_S) == 0
                for reader in self._readers:
                    reader.join(PATIENCE_S)
                assert not self._err, self._err
        finally:
            self._process.kill()
            self._process.wait()
            for reader in self._readers:
                reader.join(PATIENCE_S)
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                assert pipe is not None
                with suppress(BrokenPipeError):
                    pipe.close()


class Attacker:
    """A socket to the victim. shakes_hands: first of all, as an honest peer does.

    What it does after the victim has hung up does nothing.
    """

    def __init__(
        self, siege: Siege, *, shakes_hands: bool = True, receive_bytes: int | None = None
    ) -> None:
        self.siege = siege
        self._socket = socket.socket()
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(siege.address)
        self.port = int(self._socket.getsockname()[1])
        self.is_cut = False
        self._transport = V1Transport(REGTEST.magic)
        self._heard: list[Message] = []
        if shakes_hands:
            self.shake_hands()

    def shake_hands(self) -> None:
        """The whole of it."""
        self.send(
            Version(version=70016, services=9, nonce=self.port),
            *(WtxidRelay(), SendAddrV2(), Verack(), SendCmpct(high_bandwidth=False)),
        )
        self.wait_for(Verack)

    # ------------------------------------------------------------------ speaking

    def send(self, *messages: Message) -> None:
        """Say something."""
        self.send_bytes(framed(*messages))

    def send_payload(self, command: str, payload: bytes) -> None:
        """Say something that may be no message."""
        self.send_bytes(payload_framed(command, payload))

    def send_bytes(self, data: bytes) -> None:
        """Say anything."""
        if self.is_cut:
            return
        try:
            self._socket.sendall(data)
        except (ConnectionError, TimeoutError):
            self.is_cut = True

    def flood(self, data: bytes, seconds: float) -> int:
        """Say it over and over, reading nothing; how many bytes got through."""
        end = time.monotonic() + seconds
        sent = 0
        self._socket.settimeout(0.2)
        while time.monotonic() < end and not self.is_cut:
            try:
                sent += self._socket.send(data[sent % len(data) :])
            except TimeoutError:
                continue
            except ConnectionError:
                self.is_cut = True
        with suppress(OSError):
            self._socket.settimeout(PATIENCE_S)
        return sent

    # ------------------------------------------------------------------ listening

    def _hear(self) -> bool:
        """Read once; False at the end."""
        try:
            data = self._socket.recv(1 << 18)
        except ConnectionError:
            data = b""
        if not data:
            self.is_cut = True
            return False
        for frame in self._transport.receive(data):
            assert isinstance(frame, Frame), frame
            message = decode_message(frame.command, frame.payload)
            if isinstance(message, Ping):
                self.send(Pong(message.nonce))
            else:
                self._heard.append(message)
        return True

    def wait_for(self, kind: type[Some], count: int = 1) -> Some:
        """The last of so many messages of a kind; others are forgotten."""
        while True:
            while self._heard:
                message = self._heard.pop(0)
                if isinstance(message, kind):
                    count -= 1
                    if not count:
                        return message
            if not self._hear():
                raise AssertionError(f"cut off: {self.siege.left.get(self.port)}")

    def sync(self) -> None:
        """Wait until all that was said is processed."""
        nonce = random.getrandbits(63)
        self.send(Ping(nonce))
        while self.wait_for(Pong).nonce != nonce:
            pass

    def drain(self) -> None:
        """Read until the victim hangs up."""
        while self._hear():
            self._heard.clear()

    def end(self) -> str:
        """Why the victim ends this connection, which it does; read to the end."""
        self.drain()
        self.siege.until(lambda: self.port in self.siege.left, "it does not say why")
        return self.siege.left[self.port]

    def survives(self) -> bool:
        """Whether the connection is still good, once all that was said is processed."""
        try:
            self.sync()
        except AssertionError:
            return False
        return True

    def chain(self) -> list[BlockHeader]:
        """The victim's chain, genesis left out."""
        headers: list[BlockHeader] = []
        while True:
            last = headers[-1].hash if headers else REGTEST.genesis_hash
            self.send(GetHeaders(BlockLocator((last,))))
            more = self.wait_for(Headers).headers
            headers += more
            if len(more) < 2_000:
                return headers

    def tip(self) -> Block:
        """The victim's last block; attackers know its chain from now on."""
        known = branches()
        headers = self.chain()
        missing = [one for one in headers if one.hash not in known.blocks]
        for header in missing:
            self.send(GetData((Inventory(MSG_WITNESS_BLOCK, header.hash),)))
            known.add(self.wait_for(BlockMessage).block)
        return known.blocks[headers[-1].hash]

    # ------------------------------------------------------------------ going

    def close(self) -> None:
        """In good order."""
        self.is_cut = True
        self._socket.close()

    def reset(self) -> None:
        """By a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def say_no_more(self) -> None:
        """Half of it: the other side may go on."""
        self._socket.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def slow_drip(attackers: Iterable[Attacker], data: bytes, pause_s: float) -> None:
    """Each says the same, a byte at a time."""
    attackers = list(attackers)
    for at in range(len(data)):
        for attacker in attackers:
            attacker.send_bytes(data[at : at + 1])
        time.sleep(pause_s)


def mutations(command: str, payload: bytes, dice: random.Random) -> Iterator[bytes]:
    """Frames of a message that was tampered with: each wrong in its way."""
    whole = payload_framed(command, payload)
    yield whole + whole  # said twice
    for share in (0.0, 0.3, 0.7, 0.99):
        yield payload_framed(command, payload[: int(share * len(payload))])
    yield payload_framed(command, payload + dice.randbytes(50))
    yield payload_framed(command, dice.randbytes(len(payload) or 9))
    for value in (b"\xfd\xff\xff", b"\xfe\xff\xff\xff\xff", b"\xff" * 9, bytes(9), b"\xff" * 64):
        for _ in range(3):
            at = dice.randrange(len(payload) + 1)
            yield payload_framed(command, payload[:at] + value + payload[at + len(value) :])
    spoilt = bytearray(payload)
    for _ in range(max(1, len(payload) // 50)):
        if spoilt:
            spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
    yield payload_framed(command, bytes(spoilt))
    yield payload_framed(command, payload[:2_000] * 20)  # once more, and more
    wrong = bytearray(whole)
    wrong[20] ^= 1
    yield bytes(wrong)  # its checksum
    yield payload_framed(command.upper()[:12], payload)
    assert len(whole) >= HEADER_BYTES
