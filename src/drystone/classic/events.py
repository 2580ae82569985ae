"""What goes into a classic core, and what comes out.

Events go in: `Received`, `Wake`, `Searched`. Actions come out: things to do (`Send`, `WakeAt`,
`Search`) and things to tell (the announcements, each with the tutorial's line where it has one).
"""

from dataclasses import dataclass
from typing import Protocol

from drystone.classic.block import Block, Header
from drystone.classic.chain import Chain


class Time(Protocol):
    """The instant at which an event is handled."""

    @property
    def mono_ns(self) -> int:
        """Monotonic nanoseconds, for timers."""

    @property
    def unix_s(self) -> int:
        """Unix seconds, for timestamps."""


# Events.


@dataclass(frozen=True, slots=True)
class Received:
    """A datagram came in. Who sent it plays no part in this protocol."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wake:
    """The time asked for has come, or the node begins."""


@dataclass(frozen=True, slots=True)
class Searched:
    """The search asked for has ended."""

    nonce: int | None


# Actions: things to do.


@dataclass(frozen=True, slots=True)
class Send:
    """Send one datagram to the node at a port."""

    port: int
    data: bytes


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Wake me then. Each replaces the one before."""

    mono_ns: int


@dataclass(frozen=True, slots=True)
class Search:
    """Try count nonces from header.nonce upward, then answer with `Searched`."""

    header: Header
    count: int


# Actions: things to tell.


@dataclass(frozen=True, slots=True)
class Tried:
    """A turn of the search begins."""

    nonce: int  # the first of the turn
    count: int

    @property
    def line(self) -> str:
        """As the tutorial prints it."""
        return f"TRY up to {self.nonce}..."


@dataclass(frozen=True, slots=True)
class Created:
    """We solved a block and have broadcast it."""

    block: Block
    chain: Chain

    @property
    def line(self) -> str:
        """As the tutorial prints it."""
        return f"CREATE block {self.chain.height}: {self.chain.tip_hash.hex()}!"


@dataclass(frozen=True, slots=True)
class Copied:
    """We replaced our chain by a longer one."""

    chain: Chain

    @property
    def line(self) -> str:
        """As the tutorial prints it."""
        return f"COPY block {self.chain.height}: {self.chain.tip_hash.hex()}!"


@dataclass(frozen=True, slots=True)
class Slept:
    """We begin to sleep."""

    seconds: int  # the tutorial's; the real length is scaled with the listening time

    @property
    def line(self) -> str:
        """As the tutorial prints it."""
        return f"SLEEP for {self.seconds} seconds..."


@dataclass(frozen=True, slots=True)
class Ignored:
    """We refused a datagram."""

    reason: str
    detail: str

    @property
    def line(self) -> str:
        """As the tutorial prints it; the reason is for standard error and the view."""
        return "IGNORE blockchain..."

    @property
    def notice(self) -> str:
        """Why."""
        return f"ignored: {self.reason} ({self.detail})"


@dataclass(frozen=True, slots=True)
class Filled:
    """The chain fills its datagram: mining is over."""

    blocks: int
    size_bytes: int

    @property
    def notice(self) -> str:
        """What has happened, and what the node does from here on."""
        return (
            f"full: {self.blocks} blocks are {self.size_bytes} bytes and one more would outgrow"
            " the datagram; mining stops, listening goes on, the chain is sent again every"
            " 10 turns"
        )


@dataclass(frozen=True, slots=True)
class Resent:
    """A full chain was broadcast once more, for those who come late."""

    chain: Chain


@dataclass(frozen=True, slots=True)
class SelfSleeps:
    """The basic node has told the others how long it will sleep."""

    port: int
    seconds: int

    @property
    def line(self) -> str:
        """As the tutorial prints it."""
        return f"SELF {self.port} sleep for {self.seconds} seconds..."


@dataclass(frozen=True, slots=True)
class OtherSleeps:
    """Another basic node has told how long it will sleep."""

    port: int
    seconds: int

    @property
    def line(self) -> str:
        """As the tutorial prints it."""
        return f"OTHER {self.port} sleep for {self.seconds} seconds..."


@dataclass(frozen=True, slots=True)
class Refused:
    """The basic node was sent what is no message of its kind; the tutorial has no line for it."""

    detail: str

    @property
    def notice(self) -> str:
        """Why."""
        return f"ignored: {self.detail}"


Event = Received | Wake | Searched
Announcement = (
    Tried
    | Created
    | Copied
    | Slept
    | Ignored
    | Filled
    | Resent
    | SelfSleeps
    | OtherSleeps
    | Refused
)
Action = Send | WakeAt | Search | Announcement


def line_of(told: Announcement) -> str | None:
    """The tutorial's line for standard output, if the announcement has one."""
    return getattr(told, "line", None)


def notice_of(told: Announcement) -> str | None:
    """What goes to standard error, if anything does."""
    return getattr(told, "notice", None)
