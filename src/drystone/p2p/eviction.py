"""How many connections there may be, and which of those who dialled us goes when there are enough.

An attacker who fills all places must not be able to drive out honest peers. So peers are protected,
a few for each of several merits that are hard to have on purpose: nearness, new blocks, new
transactions, age, an uncommon network. Of the others, one of the largest group goes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from drystone.p2p.handshake import ConnectionKind
from drystone.p2p.netaddress import NetAddress, Network
from drystone.primitives.codec import var_bytes
from drystone.primitives.hashes import sha256d

MAX_PEER_CONNECTIONS: Final = 125  # Core: DEFAULT_MAX_PEER_CONNECTIONS
MAX_OUTBOUND_FULL_RELAY: Final = 8
MAX_BLOCK_RELAY_ONLY: Final = 2
MAX_FEELER: Final = 1
MAX_ADDNODE: Final = 8  # that the user named, beside all others

_BY_GROUP, _BY_PING, _BY_TX, _BY_BLOCK_RELAY, _BY_BLOCK = 4, 8, 4, 8, 4


@dataclass(frozen=True, slots=True)
class Slots:
    """How many connections of each kind there may be. Core: CConnman::Init."""

    total: int = MAX_PEER_CONNECTIONS

    @property
    def full_relay(self) -> int:
        """Dialled by us, for everything."""
        return min(MAX_OUTBOUND_FULL_RELAY, self.total)

    @property
    def block_relay(self) -> int:
        """Dialled by us, for blocks only."""
        return min(MAX_BLOCK_RELAY_ONLY, self.total - self.full_relay)

    @property
    def inbound(self) -> int:
        """Dialled by others."""
        return max(0, self.total - self.full_relay - self.block_relay - MAX_FEELER)

    def of(self, kind: ConnectionKind) -> int:
        """Of one kind."""
        return {
            ConnectionKind.INBOUND: self.inbound,
            ConnectionKind.OUTBOUND_FULL_RELAY: self.full_relay,
            ConnectionKind.BLOCK_RELAY_ONLY: self.block_relay,
            ConnectionKind.MANUAL: MAX_ADDNODE,
            ConnectionKind.FEELER: MAX_FEELER,
            ConnectionKind.ADDR_FETCH: 1,
        }[kind]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is weighed of one connection. Core: NodeEvictionCandidate.

    Times may be of any clock, as long as it is one. 0: never.
    """

    id: int
    connected: int
    group: int  # `keyed_group` of its address
    min_ping_ns: int | None = None
    last_block: int = 0  # when it last gave us a block that was new
    last_tx: int = 0  # when it last gave us a transaction that was new
    relevant_services: bool = False  # whether it has all that we look for
    relays_transactions: bool = False
    bloom_filter: bool = False
    prefer_evict: bool = False  # its address has misbehaved before
    is_local: bool = False
    network: int = Network.IPV4
    noban: bool = False
    kind: ConnectionKind = ConnectionKind.INBOUND


def keyed_group(key: bytes, address: NetAddress) -> int:
    """A number for the group of an address, whose order nobody can know without the key."""
    return int.from_bytes(sha256d(key + var_bytes(address.group()))[:8], "little")


def select_to_evict(candidates: Iterable[Candidate]) -> int | None:
    """The id of the connection to end, or None if all are protected. Core: SelectNodeToEvict."""
    left = [one for one in candidates if not one.noban and one.kind is ConnectionKind.INBOUND]
    _protect(left, lambda one: one.group, _BY_GROUP)
    _protect(left, lambda one: (one.min_ping_ns is not None, -(one.min_ping_ns or 0)), _BY_PING)
    _protect(left, _tx_merit, _BY_TX)
    _protect(left, _block_relay_merit, _BY_BLOCK_RELAY, _is_useful_for_blocks)
    _protect(left, _block_merit, _BY_BLOCK)
    _protect_by_ratio(left)
    if any(one.prefer_evict for one in left):
        left = [one for one in left if one.prefer_evict]
    return _youngest_of_largest_group(left)


def _protect(
    left: list[Candidate],
    merit: Callable[[Candidate], Any],
    count: int,
    condition: Callable[[Candidate], bool] = lambda _: True,
) -> int:
    """Take out those of the greatest merit, as far as they meet the condition; how many did."""
    left.sort(key=merit)
    start = max(0, len(left) - count)
    kept = [one for one in left[start:] if not condition(one)]
    protected = len(left) - start - len(kept)
    left[start:] = kept
    return protected


def _tx_merit(one: Candidate) -> Any:
    return one.last_tx, one.relays_transactions, not one.bloom_filter, -one.connected


def _block_merit(one: Candidate) -> Any:
    return one.last_block, one.relevant_services, -one.connected


def _block_relay_merit(one: Candidate) -> Any:
    return not one.relays_transactions, *_block_merit(one)


def _is_useful_for_blocks(one: Candidate) -> bool:
    return not one.relays_transactions and one.relevant_services


def _protect_by_ratio(left: list[Candidate]) -> None:
    """Protect half of those left: the oldest, up to a half of these of uncommon networks.

    Such peers are far away, so that they rarely win by speed. Core:
    ProtectEvictionCandidatesByRatio.
    """
    to_protect = len(left) // 2
    uncommon = _protect_uncommon(left, to_protect // 2)
    _protect(left, lambda one: -one.connected, to_protect - uncommon)


def _protect_uncommon(left: list[Candidate], most: int) -> int:
    """Share the protection among uncommon networks, those with the fewest peers first."""
    belongs: list[Callable[[Candidate], bool]] = [
        lambda one: one.network == Network.CJDNS,
        lambda one: one.network == Network.I2P,
        lambda one: one.is_local,
        lambda one: one.network == Network.TORV3,
    ]
    counts = [sum(map(is_one, left)) for is_one in belongs]
    order = sorted(range(len(belongs)), key=counts.__getitem__)
    protected = 0
    while protected < most and any(counts):
        share = max((most - protected) // sum(map(bool, counts)), 1)
        before = protected
        for n in order:
            if counts[n] and protected < most:
                is_one = belongs[n]
                found = _protect(left, _oldest_where(is_one), share, is_one)
                protected += found
                counts[n] -= found
        if protected == before:
            break
    return protected


def _oldest_where(is_one: Callable[[Candidate], bool]) -> Callable[[Candidate], Any]:
    return lambda one: (is_one(one), -one.connected)


def _youngest_of_largest_group(left: list[Candidate]) -> int | None:
    """Of groups that are as large, the one whose youngest member is the youngest."""
    groups: dict[int, list[Candidate]] = {}
    for one in sorted(left, key=lambda one: -one.connected):
        groups.setdefault(one.group, []).append(one)
    if not groups:
        return None
    largest = max(groups.values(), key=lambda group: (len(group), group[0].connected))
    return largest[0].id
