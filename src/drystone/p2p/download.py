"""Which blocks to ask which peer for, and who is too slow.

Headers come first, so it is known which blocks are wanted, and each peer is asked for some of them:

```
last block in common                 + 1024: the window
  |                                     |
--o--o--o--o--x--x--x--x--.--.--.--.--.-|-.--.--> the peer's best chain
  have data   asked for,   to be asked    not yet
              16 a peer    for next
```

The window moves when its first block has come. If that block is all that holds up another peer, who
was asked for it stalls, and is left after 2 s; then the next one gets twice the time, up to 64 s,
since our own line may be the slow one.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from drystone.chain.tree import BlockNode, BlockTree, fork_of
from drystone.core.time import SECOND_NS
from drystone.primitives.hashes import BlockHash, display

MAX_BLOCKS_IN_TRANSIT_PER_PEER: Final = 16
MAX_CMPCTBLOCKS_INFLIGHT_PER_BLOCK: Final = 3  # peers that one block may be asked of
BLOCK_DOWNLOAD_WINDOW: Final = 1024  # blocks
BLOCK_STALLING_TIMEOUT_DEFAULT_NS: Final = 2 * SECOND_NS
BLOCK_STALLING_TIMEOUT_MAX_NS: Final = 64 * SECOND_NS
NODE_NETWORK_LIMITED_MIN_BLOCKS: Final = 288  # that a limited peer has (BIP159)

_LIMITED_MARGIN: Final = 2  # blocks that may come while we ask
_READ_AT_ONCE: Final = 128  # nodes of the peer's chain


class Chain(Protocol):
    """What is asked of our own chain. `chain.chainstate.ChainState` is one."""

    @property
    def tip(self) -> BlockNode:
        """Its last block."""

    def at(self, height: int) -> BlockNode:
        """Its block at a height."""

    def is_active(self, node: BlockNode) -> bool:
        """Whether a block is in it."""


class Overdue(NamedTuple):
    """A peer to be left, and why. The reasons are the reference client's."""

    peer: int
    reason: str


class _Source:
    """What we know of a peer's chain, and what it was asked for. Core: CNodeState."""

    __slots__ = (
        "best_known",
        "downloading_since_ns",
        "has_witnesses",
        "in_flight",
        "is_limited",
        "last_common",
        "last_unknown",
        "stalling_since_ns",
    )

    def __init__(self, *, is_limited: bool, has_witnesses: bool) -> None:
        self.is_limited = is_limited
        self.has_witnesses = has_witnesses
        self.best_known: BlockNode | None = None
        self.last_unknown: BlockHash | None = None  # announced, and its header not known yet
        self.last_common: BlockNode | None = None  # of its best chain, all before it are here
        self.in_flight: dict[BlockHash, BlockNode] = {}  # in the order in which they were asked for
        self.downloading_since_ns = 0  # when it was asked for the first of these, or gave the last
        self.stalling_since_ns: int | None = None


class BlockDownload:
    """Blocks in flight, over all peers. Time is monotonic nanoseconds.

    spacing_ns: the time between blocks that the chain aims at; slow peers are left after one and a
    half of it, or more if many send at once. segwit_height: from which on blocks have witnesses.
    """

    def __init__(
        self,
        tree: BlockTree,
        *,
        spacing_ns: int,
        minimum_chainwork: int = 0,
        segwit_height: int = 0,
    ) -> None:
        self._tree = tree
        self._spacing_ns = spacing_ns
        self._minimum_chainwork = minimum_chainwork
        self._segwit_height = segwit_height
        self._sources: dict[int, _Source] = {}
        self.busy: dict[int, _Source] = {}  # those with blocks in flight: only they can be late
        self._asked: dict[BlockHash, list[int]] = {}  # by block, the peers that were asked for it
        self.stalling_timeout_ns = BLOCK_STALLING_TIMEOUT_DEFAULT_NS

    # Peers, and what they have.

    def connected(self, peer: int, *, is_limited: bool = False, has_witnesses: bool = True) -> None:
        """is_limited: has the last blocks only. has_witnesses: can send them."""
        self._sources[peer] = _Source(is_limited=is_limited, has_witnesses=has_witnesses)

    def disconnected(self, peer: int) -> None:
        """Others may be asked for what it was asked for."""
        source = self._sources.pop(peer, None)
        self.busy.pop(peer, None)
        if source is not None:
            for block_hash in source.in_flight:
                self._asked_no_more(block_hash, peer)

    def announced(self, peer: int, block_hash: BlockHash) -> None:
        """A peer has a block, hence all below it. Core: UpdateBlockAvailability."""
        source = self._sources[peer]
        self._look_up(source)
        node = self._tree.get(block_hash)
        if node is None:
            source.last_unknown = block_hash
        else:
            self._consider(source, node)

    def has(self, peer: int, node: BlockNode) -> BlockNode:
        """The same of a block whose header we know. Returns the best that the peer has."""
        source = self._sources[peer]
        if source.last_unknown is not None:
            self._look_up(source)
        best = source.best_known
        if best is None or node.chainwork >= best.chainwork:
            source.best_known = best = node
        return best

    @staticmethod
    def _consider(source: _Source, node: BlockNode) -> None:
        best = source.best_known
        if best is None or node.chainwork >= best.chainwork:
            source.best_known = node

    def best_known(self, peer: int) -> BlockNode | None:
        """The best block that a peer has, as far as we know its header."""
        source = self._sources[peer]
        if source.last_unknown is not None:
            self._look_up(source)
        return source.best_known

    def last_common(self, peer: int) -> BlockNode | None:
        """The last block of its best chain up to which we have all."""
        return self._sources[peer].last_common

    def _look_up(self, source: _Source) -> None:
        node = self._tree.get(source.last_unknown) if source.last_unknown else None
        if node is not None:
            source.last_unknown = None
            self._consider(source, node)

    # Asking.

    def next_blocks(self, peer: int, chain: Chain, now_ns: int) -> list[BlockNode]:
        """The blocks to ask a peer for now; that it is asked for them is noted.

        Core: FindNextBlocksToDownload.
        """
        source = self._sources[peer]
        if source.last_unknown is not None:
            self._look_up(source)
        best = source.best_known
        if best is None or (source.last_common is best):
            return []
        if source.has_witnesses and chain.is_active(best):  # we have all that it has
            source.last_common = best
            return []
        room = MAX_BLOCKS_IN_TRANSIT_PER_PEER - len(source.in_flight)
        if room <= 0 or not self._has_something(source, chain):
            return []
        wanted: list[BlockNode] = []
        waiting_for: int | None = None  # who was asked for the first block that is in flight
        for node in self._missing(source, chain):
            askers = self._asked.get(node.hash)
            if askers:
                waiting_for = askers[0] if waiting_for is None else waiting_for
                continue
            if node.height > _window_end(source):
                if not wanted and not source.in_flight and waiting_for != peer:
                    self._stalls(waiting_for, now_ns)
                break
            if source.is_limited and self._is_too_deep(source, node):
                continue
            wanted.append(node)
            if len(wanted) == room:
                break
        for node in wanted:
            self.requested(peer, node, now_ns)
        return wanted

    def _has_something(self, source: _Source, chain: Chain) -> bool:
        """Whether the peer has blocks that we want; finds what we have in common."""
        best = source.best_known
        least = max(chain.tip.chainwork, self._minimum_chainwork)
        if best is None or best.chainwork < least:
            return False
        if source.last_common is None:  # a guess, for the next line to mend
            source.last_common = chain.at(min(best.height, chain.tip.height))
        source.last_common = fork_of(source.last_common, best)
        return source.last_common is not best

    def _missing(self, source: _Source, chain: Chain) -> Iterator[BlockNode]:
        """The blocks of its best chain that we have not, up to one beyond the window."""
        best, start = source.best_known, source.last_common
        assert best is not None and start is not None
        for node in _branch(start, best):
            if node.is_failed or not self._can_send(source, node):
                return
            if node.height > _window_end(source) + 1:  # it moves as we go
                return
            if node.has_data or chain.is_active(node):
                if node.is_complete:
                    source.last_common = node
                continue
            yield node

    def _can_send(self, source: _Source, node: BlockNode) -> bool:
        return source.has_witnesses or node.height < self._segwit_height

    @staticmethod
    def _is_too_deep(source: _Source, node: BlockNode) -> bool:
        assert source.best_known is not None
        depth = source.best_known.height - node.height
        return depth >= NODE_NETWORK_LIMITED_MIN_BLOCKS - _LIMITED_MARGIN

    def direct_blocks(
        self, peer: int, last: BlockNode, chain: Chain, now_ns: int
    ) -> list[BlockNode]:
        """The blocks to ask for at once, when headers up to one have come near the tip.

        None if they reach back so far that there is no hurry. Core: HeadersDirectFetchBlocks.
        """
        if chain.is_active(last) or last.is_failed or last.chainwork < chain.tip.chainwork:
            return []
        source = self._sources[peer]
        missing: list[BlockNode] = []
        node: BlockNode | None = last
        while node is not None and not chain.is_active(node):
            if len(missing) > MAX_BLOCKS_IN_TRANSIT_PER_PEER:
                return []
            if not node.has_data and node.hash not in self._asked and self._can_send(source, node):
                missing.append(node)
            node = node.parent
        room = MAX_BLOCKS_IN_TRANSIT_PER_PEER - len(source.in_flight)
        wanted = missing[::-1][: max(room, 0)]
        for one in wanted:
            self.requested(peer, one, now_ns)
        return wanted

    def requested(self, peer: int, node: BlockNode, now_ns: int) -> bool:
        """Note that a peer is asked for a block; False if it was already."""
        source = self._sources[peer]
        if node.hash in source.in_flight:
            return False
        if not source.in_flight:
            source.downloading_since_ns = now_ns
            self.busy[peer] = source
        source.in_flight[node.hash] = node
        self._asked.setdefault(node.hash, []).append(peer)
        return True

    def received(self, block_hash: BlockHash, now_ns: int, peer: int | None = None) -> None:
        """A block has come, or will not come any more. peer: from whom; None for all.

        Core: RemoveBlockRequest.
        """
        askers = self._asked.get(block_hash, ())
        for asked in [one for one in askers if peer is None or one == peer]:
            source = self._sources[asked]
            if next(iter(source.in_flight)) == block_hash:  # now the next one has all the time
                source.downloading_since_ns = max(source.downloading_since_ns, now_ns)
            del source.in_flight[block_hash]
            if not source.in_flight:
                del self.busy[asked]
            source.stalling_since_ns = None
            self._asked_no_more(block_hash, asked)

    def _asked_no_more(self, block_hash: BlockHash, peer: int) -> None:
        askers = self._asked[block_hash]
        askers.remove(peer)
        if not askers:
            del self._asked[block_hash]

    def asked(self, block_hash: BlockHash) -> tuple[int, ...]:
        """Who was asked for a block, the first one first."""
        return tuple(self._asked.get(block_hash, ()))

    def in_flight(self, peer: int) -> tuple[BlockNode, ...]:
        """What a peer was asked for, in that order."""
        return tuple(self._sources[peer].in_flight.values())

    def __len__(self) -> int:
        """Blocks in flight."""
        return len(self._asked)

    # Time.

    def _stalls(self, peer: int | None, now_ns: int) -> None:
        source = self._sources.get(peer) if peer is not None else None
        if source is not None and source.stalling_since_ns is None:
            source.stalling_since_ns = now_ns

    def overdue(self, now_ns: int) -> list[Overdue]:
        """The peers that have had time enough. To be called again once they are disconnected."""
        late = []
        patience_ns = self._patience_ns()
        for peer, source in self._sources.items():
            since = source.stalling_since_ns
            if since is not None and now_ns >= since + self.stalling_timeout_ns:
                late.append(Overdue(peer, "Peer is stalling block download"))
                source.stalling_since_ns = None
                # One at a time: perhaps it is our own line that is slow.
                doubled = 2 * self.stalling_timeout_ns
                self.stalling_timeout_ns = min(doubled, BLOCK_STALLING_TIMEOUT_MAX_NS)
            elif source.in_flight and now_ns >= source.downloading_since_ns + patience_ns:
                first = display(next(iter(source.in_flight)))
                late.append(Overdue(peer, f"Timeout downloading block {first}"))
        return late

    def due_at(self) -> int | None:
        """When the first peer will be overdue if nothing comes."""
        if not self.busy:
            return None
        patience_ns = self._patience_ns()
        times = []
        for source in self.busy.values():
            times.append(source.downloading_since_ns + patience_ns)
            if source.stalling_since_ns is not None:
                times.append(source.stalling_since_ns + self.stalling_timeout_ns)
        return min(times, default=None)

    def block_connected(self) -> None:
        """The chain has grown: patience may shrink back to what it was. Core: BlockConnected."""
        shrunk = self.stalling_timeout_ns * 85 // 100
        self.stalling_timeout_ns = max(shrunk, BLOCK_STALLING_TIMEOUT_DEFAULT_NS)

    def _patience_ns(self) -> int:
        """One spacing, and half of one for each other peer that sends us blocks meanwhile."""
        return self._spacing_ns + self._spacing_ns * (len(self.busy) - 1) // 2


def _window_end(source: _Source) -> int:
    assert source.last_common is not None
    return source.last_common.height + BLOCK_DOWNLOAD_WINDOW


def _branch(below: BlockNode, best: BlockNode) -> Iterable[BlockNode]:
    """The nodes above one on the way to another, lowest first."""
    at = below
    while at is not best:
        top = best.ancestor(min(best.height, at.height + _READ_AT_ONCE))
        nodes = []
        node = top
        while node is not at:
            nodes.append(node)
            assert node.parent is not None
            node = node.parent
        yield from reversed(nodes)
        at = top
