"""What there is to see of a network of full nodes: the model behind the live view.

It is fed by news (`observe` is a `network.live.Watch`) and looks at the nodes it was given; it
opens nothing and is given its clock, so a test or a picture can feed it in virtual time.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, NamedTuple, Protocol

from drystone.chain.tree import BlockNode
from drystone.consensus.params import Params
from drystone.consensus.pow import block_work
from drystone.core.time import SECOND_NS, Clock, Time
from drystone.mining.accounts import account
from drystone.network.lanes import KEPT_HEIGHTS, Branches, Lane, Seen
from drystone.network.news import Told, told
from drystone.node.connection import Connection
from drystone.node.events import News, NewTip, PeerLeft, PeerReady
from drystone.node.node import Node
from drystone.primitives.hashes import BlockHash, Txid

EVENTS: Final = 200
QUIET: Final = frozenset({"overheard", "tx", "tx-removed"})  # too many of these for the list
_COMMENT: Final = re.compile(r"/drystone:[^/(]*\(([\w.-]+)\)/")  # BIP14: what a node calls itself
RACES: Final = 4  # double spends that are followed, the latest


class Watched(Protocol):
    """A node, live or virtual."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def node(self) -> Node:
        """Its core."""

    @property
    def address(self) -> object:
        """Where it listens; shown as text."""


class LinkState(Enum):
    """Of a connection that somebody wants."""

    UP = "up"
    CUT = "cut"  # by a partition
    DOWN = "down"  # for another reason: not dialled yet, refused, lost


class Link(NamedTuple):
    """Two nodes that are, or should be, connected."""

    one: str
    other: str
    state: LinkState


class Row(NamedTuple):
    """What there is to say of a node now."""

    name: str
    address: str
    is_up: bool
    height: int
    tip: BlockHash
    peers: int
    mempool: int
    hashes_per_s: int
    mined: int
    reorgs: int


@dataclass(frozen=True, slots=True)
class Happened:
    """One event for the list of the latest; the same again at once is counted, not listed.

    names: of the nodes; none if it is of the whole network. A block that comes to all is one event.
    """

    after_s: float  # since the board was made
    names: tuple[str, ...]
    line: str
    kind: str
    times: int = 1


@dataclass(slots=True)
class Tally:
    """What one node has done so far."""

    mined: int = 0
    reorgs: int = 0
    deepest: int = 0  # blocks that had to go in one reorganisation


@dataclass(slots=True)
class Race:
    """Transactions of which only one can win. blocks: those that have one, by transaction."""

    labels: dict[Txid, str]
    blocks: dict[Txid, set[BlockHash]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a race stands at one node: the transaction there, and in which block, if it is in one."""

    name: str
    label: str | None
    height: int | None


class Board:
    """Follows what the nodes of one network announce.

    nodes: by name; may grow meanwhile. hashes_per_s: of a node, as it was set. is_up, is_cut: of a
    node, and of two; by default all are up, and none cut off. connections: those that should be.
    clock: the network's.
    """

    def __init__(
        self,
        params: Params,
        nodes: Mapping[str, Watched],
        clock: Clock,
        *,
        hashes_per_s: Callable[[str], int] = lambda _name: 0,
        is_up: Callable[[str], bool] = lambda _name: True,
        is_cut: Callable[[str, str], bool] = lambda _one, _other: False,
        connections: Callable[[], Iterable[tuple[str, str]]] = tuple,
    ) -> None:
        self.params = params
        self.nodes = nodes
        self.tallies: dict[str, Tally] = {}
        self.events: deque[Happened] = deque(maxlen=EVENTS)
        self.branches = Branches()
        self.races: deque[Race] = deque(maxlen=RACES)
        self.is_paused = False
        self.clock = clock
        self._began = clock()
        self._hashes_per_s = hashes_per_s
        self._is_up = is_up
        self._is_cut = is_cut
        self._connections = connections
        self._by_address: dict[str, str] = {}
        self._peer_names: dict[tuple[str, int], str] = {}
        self._miners: dict[bytes, str] = {}  # by script
        self._base = 0  # blocks up to here were there before anybody mined
        self._forgotten_stale = 0

    # ------------------------------------------------------------------ what happens

    def joined(self, name: str) -> None:
        """A node is there from now on; what its chain ends with is taken note of."""
        self.tallies.setdefault(name, Tally())
        self._miners[account(name).script_pubkey] = name
        for conn in self.nodes[name].node.peers.values():
            if conn.is_ready:
                self._peer_names[name, conn.id] = self.peer_name(conn)
        chain = self.nodes[name].node.chain
        if not self._base:
            self._base = chain.height
        path: list[BlockNode] = []
        block: BlockNode | None = chain.tip
        while block is not None and len(path) < KEPT_HEIGHTS and block.hash not in self.branches:
            path.append(block)
            block = block.parent
        for one in reversed(path):
            self._add(name, one)

    def know(self, name: str) -> None:
        """A node of another process has this name: its blocks are told by its account."""
        self._miners.setdefault(account(name).script_pubkey, name)

    def observe(self, name: str, news: News, now: Time) -> Told:
        """Take note of what a node announces. It in words, for whoever prints lines."""
        if name not in self.tallies:
            self.joined(name)
        if isinstance(news, NewTip):
            self._follow(name, news)
        elif isinstance(news, PeerReady):
            self._peer_names[name, news.peer] = self._name_of_peer(name, news.peer)
        words = told(
            news,
            miner_of=lambda tip: self.miner_of(tip.change.new.hash),
            peer_name=lambda peer: self._peer_names.get((name, peer), f"peer {peer}"),
        )
        if isinstance(news, PeerLeft):
            self._peer_names.pop((name, news.peer), None)
        if words.kind not in QUIET:
            self._note(name, words.line, words.kind, now)
        return words

    def say(self, line: str) -> None:
        """Take note of what the user has had done."""
        self._note(None, line, "order", self.clock())

    def trouble(self, line: str) -> None:
        """Take note of what can't go on."""
        self._note(None, line, "trouble", self.clock())

    def _note(self, name: str | None, line: str, kind: str, now: Time) -> None:
        names = () if name is None else (name,)
        for back in range(1, min(len(self.nodes) + 1, len(self.events)) + 1):
            before = self.events[-back]
            if (before.kind, before.line) != (kind, line):
                continue
            if kind == "tip" and name not in before.names:
                self.events[-back] = replace(before, names=before.names + names)
                return
            if back == 1 and before.names == names:
                self.events[-1] = replace(before, times=before.times + 1)
                return
        self.events.append(Happened(self.seconds(now), names, line, kind))

    def seconds(self, now: Time) -> float:
        """Since the board was made."""
        return (now.mono_ns - self._began.mono_ns) / SECOND_NS

    def _follow(self, name: str, news: NewTip) -> None:
        """A node's tip has moved."""
        change = news.change
        tally = self.tallies[name]
        if change.disconnected:
            tally.reorgs += 1
            tally.deepest = max(tally.deepest, len(change.disconnected))
        for block in change.connected:
            if change.new.height - block.height < KEPT_HEIGHTS:
                self._add(name, block)
        for race in self.races:
            self._follow_race(race, name, change.connected)

    def _add(self, name: str, block: BlockNode) -> None:
        if block.hash in self.branches:
            return
        miner = self._read_miner(name, block) if block.height > self._base else None
        below = block.parent
        seen = Seen(
            block.hash,
            below.hash if below is not None else BlockHash(bytes(32)),
            block.height,
            block.chainwork,
            block.header.bits,
            miner,
        )
        old = self.branches.add(seen)
        if miner in self.tallies:
            self.tallies[miner].mined += 1
        if old:
            chain = self.nodes[name].node.chain
            self._forgotten_stale += sum(
                not ((known := chain.tree.get(one.hash)) and chain.is_active(known)) for one in old
            )

    def _read_miner(self, name: str, block: BlockNode) -> str | None:
        """Whose coinbase a block has; None for a stranger's."""
        try:
            coinbase = self.nodes[name].node.chain.block(block.hash).vtx[0]
        except KeyError:  # moved on meanwhile, and pruned
            return None
        return next(
            (
                self._miners[txout.script_pubkey]
                for txout in coinbase.vout
                if txout.script_pubkey in self._miners
            ),
            None,
        )

    def _follow_race(self, race: Race, name: str, connected: Iterable[BlockNode]) -> None:
        chain = self.nodes[name].node.chain
        for block in connected:
            for tx in chain.block(block.hash).vtx:
                if tx.txid in race.labels:
                    race.blocks.setdefault(tx.txid, set()).add(block.hash)

    # ------------------------------------------------------------------ links

    def links(self) -> list[Link]:
        """All pairs that are or should be connected. Who isn't one of the nodes has its address."""
        names = self._names
        up = {
            _pair(name, names.get(address, address)): None
            for name in self.nodes
            if self._is_up(name)
            for conn in self.nodes[name].node.peers.values()
            if conn.is_ready and not conn.peer.kind.is_inbound
            for address in [str(conn.peer.address)]
        }
        wanted = {_pair(one, other): None for one, other in self._connections()}
        return [Link(*pair, self._state(pair, up)) for pair in {**wanted, **up}]

    def _state(self, pair: tuple[str, str], up: Mapping[tuple[str, str], None]) -> LinkState:
        if self._is_cut(*pair):
            return LinkState.CUT
        return LinkState.UP if pair in up else LinkState.DOWN

    @property
    def _names(self) -> Mapping[str, str]:
        """Of nodes, by address. A node that comes back has the same."""
        if len(self._by_address) != len(self.nodes):
            self._by_address = {str(node.address): name for name, node in self.nodes.items()}
        return self._by_address

    def _name_of_peer(self, name: str, peer: int) -> str:
        """Its name if it is one of ours that was dialled, or what it calls itself."""
        conn = self.nodes[name].node.peers.get(peer)
        if conn is None:
            return f"peer {peer}"
        return self.peer_name(conn)

    def peer_name(self, conn: Connection) -> str:
        """A peer in words: the node whose address it has, or what it calls itself."""
        address = str(conn.peer.address)
        if address in self._names:
            return self._names[address]
        if not conn.peer.kind.is_inbound:
            return address
        agent = conn.peer.version.subver[:60]
        says = _COMMENT.fullmatch(agent)
        return f"{says[1] if says else agent or 'somebody'} at {address}"

    # ------------------------------------------------------------------ looking

    def row(self, name: str) -> Row:
        """What there is to say of a node."""
        watched = self.nodes[name]
        node = watched.node
        tally = self.tallies.get(name) or Tally()
        is_up = self._is_up(name)
        return Row(
            name,
            str(watched.address),
            is_up,
            node.chain.height,
            node.chain.tip.hash,
            sum(conn.is_ready for conn in node.peers.values()) if is_up else 0,
            len(node.mempool) if is_up else 0,
            self._hashes_per_s(name) if is_up else 0,
            tally.mined,
            tally.reorgs,
        )

    @property
    def tips(self) -> dict[str, BlockNode]:
        """Each node's tip, of those that are up."""
        return {name: node.node.chain.tip for name, node in self.nodes.items() if self._is_up(name)}

    @property
    def best(self) -> BlockNode:
        """The tip with the most work; of equals, the one that most nodes have.

        Where no node is, genesis.
        """
        tips = list(self.tips.values()) or [n.node.chain.tip for n in self.nodes.values()]
        if not tips:
            return BlockNode(self.params.genesis.header, None)
        held = Counter(tip.hash for tip in tips)
        return max(tips, key=lambda tip: (tip.chainwork, held[tip.hash]))

    @property
    def agreed(self) -> bool:
        """Whether all nodes that are up have one tip."""
        return len({tip.hash for tip in self.tips.values()}) <= 1

    @property
    def stale(self) -> int:
        """How many blocks were mined, and are not in the best chain."""
        on_best = {block.hash for block in self.branches.branch(self.best.hash)}
        return self._forgotten_stale + sum(
            block.hash not in on_best for block in self.branches if block.height > self._base
        )

    @property
    def base(self) -> int:
        """The height up to which blocks were there before anybody mined here."""
        return self._base

    def lanes(self, *, heights: int, most: int) -> list[Lane]:
        """The last blocks, branch by branch."""
        return self.branches.lanes(self.best.hash, heights=heights, most=most)

    def holders(self, block_hash: BlockHash) -> list[str]:
        """The nodes whose tip a block is."""
        return [name for name, tip in self.tips.items() if tip.hash == block_hash]

    def miner_of(self, block_hash: BlockHash) -> str | None:
        """The node that mined a block, if it is one of these and the block is not too old."""
        seen = self.branches.get(block_hash)
        return seen.miner if seen is not None else None

    @property
    def hashes_per_block(self) -> int:
        """How many hashes a block takes on average, at the best tip."""
        return block_work(self.best.header.bits)

    def rate(self, name: str) -> int:
        """A node's hashes per second, as they were set."""
        return self._hashes_per_s(name)

    @property
    def hashes_per_s(self) -> int:
        """Of all nodes that are up."""
        return sum(self._hashes_per_s(name) for name in self.nodes if self._is_up(name))

    @property
    def seconds_per_block(self) -> float | None:
        """How long a block takes on average, at this rate and difficulty; None: for ever."""
        rate = self.hashes_per_s
        return None if not rate or self.is_paused else self.hashes_per_block / rate

    @property
    def next_retarget(self) -> int | None:
        """The height of the block whose difficulty is computed anew; None: it never is."""
        if self.params.no_retargeting:
            return None
        interval = self.params.retarget_interval
        return (self.best.height // interval + 1) * interval

    # ------------------------------------------------------------------ double spends

    def follow_race(self, labels: Mapping[Txid, str]) -> None:
        """From now on, show which of these transactions wins, at which node."""
        self.races.append(Race(dict(labels)))

    def standings(self, race: Race) -> list[Standing]:
        """How it stands at each node that is up."""
        return [self._standing(race, name) for name in self.tips]

    def _standing(self, race: Race, name: str) -> Standing:
        node = self.nodes[name].node
        for txid, label in race.labels.items():
            for block_hash in race.blocks.get(txid, ()):
                block = node.chain.tree.get(block_hash)
                if block is not None and node.chain.is_active(block):
                    return Standing(name, label, block.height)
        waits = next((label for txid, label in race.labels.items() if txid in node.mempool), None)
        return Standing(name, waits, None)

    # ------------------------------------------------------------------ for scripts

    def described(self) -> dict[str, Any]:
        """All of it as JSON can show it."""
        best = self.best
        return {
            "chain": self.params.name,
            "height": best.height,
            "tip": best.hash[::-1].hex(),
            "agreed": self.agreed,
            "hashes_per_block": self.hashes_per_block,
            "hashes_per_s": self.hashes_per_s,
            "seconds_per_block": self.seconds_per_block,
            "next_retarget": self.next_retarget,
            "paused": self.is_paused,
            "stale": self.stale,
            "nodes": [
                {**row._asdict(), "tip": row.tip[::-1].hex()} for row in map(self.row, self.nodes)
            ],
            "links": [
                {"one": link.one, "other": link.other, "state": link.state.value}
                for link in self.links()
            ],
        }


def _pair(one: str, other: str) -> tuple[str, str]:
    """In an order in which n2 goes before n15."""
    return (one, other) if (len(one), one) <= (len(other), other) else (other, one)
