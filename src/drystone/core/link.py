"""How long bytes take from one end of a connection to the other: the same model in both worlds.

A connection is a reliable, ordered stream in each direction, as TCP makes it. So nothing ever gets
lost on it: what the network loses is sent again, later, and what comes after it waits.
"""

from dataclasses import dataclass
from typing import Final, Self

from drystone.core.chance import Stream
from drystone.core.errors import UserError
from drystone.core.time import MILLISECOND_NS, SECOND_NS

PACKET_BYTES: Final = 1460  # what one packet carries: an Ethernet frame without the headers
RETRANSMISSION_NS: Final = 200 * MILLISECOND_NS  # beyond the round trip; doubles with each loss
MAX_LOSSES: Final = 6  # of one packet in a row; then the connection is given up

_WORDS_PER_SEND = 2  # of chance: one for jitter, one for loss


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One direction between two hosts.

    latency_ns: the least delay. jitter_ns: up to this much more, drawn for each send.
    bandwidth_bytes_per_s: what is sent faster than this queues; None is no limit. loss: the share
    of packets that must be sent again, 0 to 1; 1 ends every connection.

    Raises UserError if a value is out of range.
    """

    latency_ns: int = 0
    jitter_ns: int = 0
    bandwidth_bytes_per_s: int | None = None
    loss: float = 0.0

    def __post_init__(self) -> None:
        if self.latency_ns < 0 or self.jitter_ns < 0:
            raise UserError("a link's latency and jitter can't be negative")
        if self.bandwidth_bytes_per_s is not None and self.bandwidth_bytes_per_s < 1:
            raise UserError("a link's bandwidth is at least 1 byte per second; none is no limit")
        if not 0 <= self.loss <= 1:
            raise UserError(f"a link's loss is a share between 0 and 1, not {self.loss:g}")

    @classmethod
    def in_ms(
        cls,
        latency_ms: float = 0,
        jitter_ms: float = 0,
        bandwidth_bytes_per_s: int | None = None,
        loss: float = 0.0,
    ) -> Self:
        """With delays as people say them."""
        return cls(
            latency_ns=round(latency_ms * MILLISECOND_NS),
            jitter_ns=round(jitter_ms * MILLISECOND_NS),
            bandwidth_bytes_per_s=bandwidth_bytes_per_s,
            loss=loss,
        )

    @property
    def is_transparent(self) -> bool:
        """Whether it changes nothing: bytes arrive when they are sent."""
        return self == _TRANSPARENT


class GivenUp(Exception):
    """A packet was lost too often in a row: the connection is over at time_ns."""

    def __init__(self, time_ns: int) -> None:
        super().__init__(time_ns)
        self.time_ns = time_ns


class Direction:
    """One direction of one connection: says when what is sent now arrives.

    The n-th send has the same chance whatever the settings and sizes are and were, so a change of
    one link does not shift the fate of what follows on it.
    """

    __slots__ = ("_chance", "_is_plain", "_last_ns", "_line_free_ns", "_skipped", "settings")

    def __init__(self, settings: LinkSettings, chance: Stream) -> None:
        self._chance = chance
        self._skipped = 0  # sends that took no chance, since the last that did
        self._line_free_ns = 0  # when all that was sent has been put on the line
        self._last_ns = 0  # the latest arrival so far: nothing may overtake it
        self.change(settings)

    def change(self, settings: LinkSettings) -> None:
        """From now on it is like this. What is under way arrives as planned, and first."""
        self.settings = settings
        self._is_plain = settings == LinkSettings(latency_ns=settings.latency_ns)

    def arrival_ns(self, now_ns: int, size_bytes: int) -> int:
        """When bytes sent now arrive: not before any that were sent earlier.

        Raises GivenUp.
        """
        if self._is_plain:
            self._skipped += 1
            arrival_ns = now_ns + self.settings.latency_ns
        else:
            arrival_ns = self._drawn_arrival_ns(now_ns, size_bytes)
        if arrival_ns < self._last_ns:
            return self._last_ns
        self._last_ns = arrival_ns
        return arrival_ns

    def _drawn_arrival_ns(self, now_ns: int, size_bytes: int) -> int:
        link = self.settings
        chance = self._chance
        if self._skipped:
            chance.skip(self._skipped * _WORDS_PER_SEND)
            self._skipped = 0
        jitter_ns = chance.word() * (link.jitter_ns + 1) >> 64
        luck = (chance.word() >> 11) * 2.0**-53
        sent_ns = now_ns
        if link.bandwidth_bytes_per_s is not None:
            sent_ns = max(now_ns, self._line_free_ns)
            sent_ns -= -size_bytes * SECOND_NS // link.bandwidth_bytes_per_s  # rounded up
            self._line_free_ns = sent_ns
        arrival_ns = sent_ns + link.latency_ns + jitter_ns
        if link.loss:
            packets = max(1, -(-size_bytes // PACKET_BYTES))
            losses = losses_in_a_row(link.loss, packets, luck)
            # Time-outs of 1, 2, 4... times the first add up to one less than the next.
            timeout_ns = RETRANSMISSION_NS + 2 * link.latency_ns
            arrival_ns += timeout_ns * ((1 << losses) - 1)
            if losses == MAX_LOSSES:
                raise GivenUp(max(arrival_ns, self._last_ns))
        return arrival_ns


def losses_in_a_row(loss: float, packets: int, luck: float) -> int:
    """How often the unluckiest of some packets is lost before it comes through, at most MAX_LOSSES.

    luck: drawn evenly from 0 to 1. Multiplications alone, since these are the same everywhere;
    powers and logarithms of the C library are not.
    """
    again = loss
    for losses in range(MAX_LOSSES):
        if luck < _power(1 - again, packets):  # so likely no packet is lost more often
            return losses
        again *= loss
    return MAX_LOSSES


def _power(base: float, exponent: int) -> float:
    """By squaring."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


_TRANSPARENT = LinkSettings()
