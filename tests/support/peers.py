"""Two peers that talk to each other, and one that a test talks to."""

from dataclasses import dataclass, field
from typing import Any

from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS, Time
from drystone.p2p.framing import Frame, V1Transport
from drystone.p2p.handshake import ConnectionKind, Local, State
from drystone.p2p.messages import (
    Message,
    Unknown,
    Verack,
    Version,
    decode_message,
)
from drystone.p2p.netaddress import NetAddress
from drystone.p2p.peer import Peer
from drystone.p2p.protocol import Services
from drystone.p2p.results import Deliver, Disconnect, Ignored, Result, Send
from drystone.primitives.codec import DecodeError

MAGIC = bytes.fromhex("fabfb5da")
START = Time(mono_ns=1_000_000_000_000, unix_s=1_700_000_000)
FULL_NODE = Services.NETWORK | Services.WITNESS
LOCAL = Local(FULL_NODE, b"/drystone:0.1.0/", start_height=7)
ADDRESS = NetAddress.from_text("8.8.8.8:8333")

INBOUND = ConnectionKind.INBOUND
OUTBOUND = ConnectionKind.OUTBOUND_FULL_RELAY


def after(seconds: float) -> Time:
    return Time(START.mono_ns + int(seconds * SECOND_NS), START.unix_s + int(seconds))


def peer_of(kind: ConnectionKind, local: Local = LOCAL, seed: int = 1, **more: Any) -> Peer:
    options: dict[str, Any] = {"own_nonces": set(), "now": START, **more}
    stream = Stream(seed, kind.value)
    return Peer(kind, ADDRESS, V1Transport(MAGIC), local, dice=stream, **options)


@dataclass
class Talk:
    """A peer, and the other side played by hand."""

    peer: Peer
    now: Time = START
    transport: V1Transport = field(default_factory=lambda: V1Transport(MAGIC))  # the hand's
    sent: list[Message] = field(default_factory=list)  # by the peer
    delivered: list[Message] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    ended: Disconnect | None = None

    def start(self) -> "Talk":
        self.take(self.peer.start(self.now))
        return self

    def say(self, *messages: Message) -> list[Result]:
        frames = [self.transport.frame(one.command, one.encode()) for one in messages]
        return self.take(self.peer.receive(b"".join(frames), self.now))

    def say_raw(self, command: str, payload: bytes) -> list[Result]:
        return self.take(self.peer.receive(self.transport.frame(command, payload), self.now))

    def wait_until(self, seconds: float) -> list[Result]:
        """Wake the peer whenever it wants, up to then."""
        end = after(seconds)
        results: list[Result] = []
        while (at := self.peer.wake_at()) is not None and at <= end.mono_ns:
            offset_s = (at - START.mono_ns) / SECOND_NS
            self.now = Time(at, START.unix_s + int(offset_s))
            results += self.take(self.peer.wake(self.now))
            assert self.peer.is_closed or (self.peer.wake_at() or 0) > at
        self.now = end
        return results

    def take(self, results: list[Result]) -> list[Result]:
        for result in results:
            assert self.ended is None, "nothing comes after the end"
            match result:
                case Send(data):
                    for found in self.transport.receive(data):
                        assert isinstance(found, Frame)
                        self.sent.append(_read(found))
                case Deliver(message):
                    self.delivered.append(message)
                case Ignored(_, reason):
                    self.ignored.append(reason)
                case Disconnect():
                    self.ended = result
                    assert self.peer.is_closed
        return results

    @property
    def commands(self) -> list[str]:
        """Of what the peer sent since it was asked last."""
        commands = [one.command for one in self.sent]
        self.sent.clear()
        return commands

    @property
    def reason(self) -> str | None:
        return self.ended.reason if self.ended else None


def _read(frame: Frame) -> Message:
    try:
        return decode_message(frame.command, frame.payload)
    except DecodeError:  # a ping for old software has no nonce
        return Unknown(frame.command, frame.payload)


VERSION = Version(services=int(FULL_NODE), time=START.unix_s, nonce=99, user_agent=b"/other:1/")


def ready(kind: ConnectionKind, version: Version = VERSION, **more: Any) -> Talk:
    """A talk whose handshake is over, and what it said forgotten."""
    talk = Talk(peer_of(kind, **more)).start()
    talk.say(version, Verack())
    assert talk.peer.state is State.READY, talk.reason
    talk.sent.clear()
    talk.delivered.clear()
    return talk
