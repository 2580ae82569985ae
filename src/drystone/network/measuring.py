"""What a network does, measured: blocks, how they spread, those that were given up.

A `Measuring` is fed with what nodes announce. A node *has* a block from when it is part of its
chain; whoever has it first has found it. At the end, a block is *stale* if it is not part of the
chain with the most work.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from drystone.chain.tree import BlockNode
from drystone.core.time import Time
from drystone.network.payments import DoubleSpend, height_of
from drystone.network.virtual import VirtualNetwork
from drystone.network.virtual_node import VirtualNode
from drystone.node.events import News, NewTip
from drystone.primitives.hashes import BlockHash, Txid
from drystone.wallet.payment import Payment

SHARES: Final = (50, 95)  # per cent of the nodes, which a block is to reach
QUANTILES: Final = (50, 90, 99)  # per cent of the blocks


@dataclass(frozen=True, slots=True)
class MeasuredBlock:
    """A block that somebody found.

    reached: of the nodes that there were then, how many have had it. after_ns: for a share of these
    in per cent, how long it took until as many had it; None if that many never did. 100 is among
    them.
    """

    height: int
    hash: BlockHash
    prev_hash: BlockHash
    found_by: str
    found_ns: int
    transactions: int
    is_stale: bool
    reached: int
    after_ns: Mapping[int, int | None]


@dataclass(frozen=True, slots=True)
class MeasuredReorg:
    """A node gave up blocks for others."""

    at_ns: int
    node: str
    depth: int  # blocks given up
    old_height: int
    new_height: int
    old_tip: BlockHash
    new_tip: BlockHash


@dataclass(frozen=True, slots=True)
class MeasuredNode:
    """What one node did, and how it ended."""

    name: str
    is_up: bool
    hashes_per_s: int
    found: int
    stale: int  # of these
    height: int
    tip: BlockHash
    reorgs: int
    deepest: int  # of these
    mempool: int  # transactions
    sent_messages: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class MeasuredPayment:
    """A payment that the scenario made, and what became of it.

    race: the number of the double spend that it was part of. txid: None if it was refused, before
    or after it was made. height: of the block of the best chain that has it.
    """

    at_ns: int
    owner: str
    to: str
    amount: int
    via: str
    race: int | None
    txid: Txid | None
    height: int | None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """All that was measured in one run. It is a function of scenario and seed."""

    seed: int
    virtual_ns: int
    blocks: tuple[MeasuredBlock, ...]  # in the order in which they were found
    reorgs: tuple[MeasuredReorg, ...]
    nodes: tuple[MeasuredNode, ...]
    payments: tuple[MeasuredPayment, ...]
    events: int  # lines of the trace
    digest: str  # of the trace

    @property
    def stale(self) -> int:
        """How many blocks were lost."""
        return sum(block.is_stale for block in self.blocks)

    @property
    def races(self) -> tuple[tuple[MeasuredPayment, MeasuredPayment], ...]:
        """The two payments of each double spend."""
        racing = [payment for payment in self.payments if payment.race is not None]
        return tuple(zip(racing[::2], racing[1::2], strict=True))

    @property
    def messages(self) -> int:
        """Sent by all nodes."""
        return sum(node.sent_messages for node in self.nodes)

    @property
    def sent_bytes(self) -> int:
        """By all nodes."""
        return sum(node.sent_bytes for node in self.nodes)

    @property
    def tips(self) -> tuple[BlockHash, ...]:
        """Different ones among the nodes that are up, each once."""
        return tuple(dict.fromkeys(node.tip for node in self.nodes if node.is_up))

    @property
    def best_height(self) -> int:
        """Of the highest node that is up."""
        return max((node.height for node in self.nodes if node.is_up), default=0)


class _Block:
    __slots__ = ("count", "finder", "missing", "node", "times_ns")

    def __init__(self, node: BlockNode, finder: str, count: int) -> None:
        self.node = node
        self.finder = finder
        self.count = count  # of nodes that there were when it was found
        self.missing = (1 << count) - 1  # a bit for each of these that hasn't had it
        self.times_ns = array("q")  # when the first node had it, the second...


class Measuring:
    """Is told what the nodes of a network announce; says at the end what it comes to.

    The network is made with `watch`, and then handed to `begin`.
    """

    def __init__(self) -> None:
        self.best_height = 0
        self._network: VirtualNetwork
        self._blocks: dict[BlockHash, _Block] = {}
        self._reorgs: list[MeasuredReorg] = []
        self._paid: list[tuple[MeasuredPayment, Payment | None]] = []
        self._races = 0
        self._bits: dict[str, int] = {}  # of each node's name, in the network's order

    def begin(self, network: VirtualNetwork) -> None:
        """This is the network; nothing has been found yet."""
        self._network = network
        self.best_height = max((node.tip.height for node in network), default=0)

    def watch(self, name: str, news: News, now: Time) -> None:
        """A `Watch`, for the network."""
        if isinstance(news, NewTip):
            self._moved(name, news, now.mono_ns)

    def _moved(self, name: str, news: NewTip, now_ns: int) -> None:
        change = news.change
        if name not in self._bits:
            for one in self._network.nodes:
                self._bits.setdefault(one, 1 << len(self._bits))
        bit = self._bits[name]
        for node in change.connected:
            block = self._blocks.get(node.hash)
            if block is None:
                count = len(self._network.nodes)
                block = self._blocks[node.hash] = _Block(node, name, count)
            if block.missing & bit:
                block.missing ^= bit
                block.times_ns.append(now_ns)
        if change.disconnected:
            self._reorgs.append(
                MeasuredReorg(
                    at_ns=now_ns,
                    node=name,
                    depth=len(change.disconnected),
                    old_height=change.old.height,
                    new_height=change.new.height,
                    old_tip=change.old.hash,
                    new_tip=change.new.hash,
                )
            )
        self.best_height = max(self.best_height, change.new.height)

    def paid(self, made: Payment | DoubleSpend, via: str = "") -> None:
        """The scenario has paid. via: the node that it named, if it did."""
        if isinstance(made, DoubleSpend):
            for payment, name in zip(made.payments, made.via, strict=True):
                self._note(payment, name, self._races)
            self._races += 1
        else:
            self._note(made, via, None)

    def _note(self, payment: Payment, via: str, race: int | None) -> None:
        measured = MeasuredPayment(
            at_ns=self._network.world.now_ns,
            owner=payment.owner,
            to=payment.to,
            amount=payment.amount,
            via=via,
            race=race,
            txid=payment.txid,
            height=None,
        )
        self._paid.append((measured, payment))

    def refused(self, owner: str, to: str, amount: int, why: str) -> None:
        """The scenario would have paid, but could not."""
        now_ns = self._network.world.now_ns
        measured = MeasuredPayment(now_ns, owner, to, amount, "", None, None, None, why)
        self._paid.append((measured, None))

    def _payments(self, best: VirtualNode | None) -> Iterable[MeasuredPayment]:
        for measured, payment in self._paid:
            if payment is None or best is None:
                yield measured
            else:
                yield replace(measured, height=height_of(payment, best.chain))

    def figures(self) -> Figures:
        """What it comes to, at the present instant."""
        network = self._network
        best = _best(network)
        active = self._active(best)
        blocks = tuple(
            MeasuredBlock(
                height=block.node.height,
                hash=block.node.hash,
                prev_hash=block.node.header.prev_hash,
                found_by=block.finder,
                found_ns=block.times_ns[0],
                transactions=block.node.tx_count,
                is_stale=block.node.hash not in active,
                reached=len(block.times_ns),
                after_ns={share: _after_ns(block, share) for share in (*SHARES, 100)},
            )
            for block in self._blocks.values()
        )
        trace = network.world.trace
        return Figures(
            seed=network.world.seed,
            virtual_ns=network.world.now_ns,
            blocks=blocks,
            reorgs=tuple(self._reorgs),
            nodes=tuple(self._nodes(network, blocks)),
            payments=tuple(self._payments(best)),
            events=trace.events,
            digest=trace.digest(),
        )

    def _active(self, best: VirtualNode | None) -> set[BlockHash]:
        """The blocks, of those found, in the best node's chain."""
        tip = None if best is None else best.tip
        active = set()
        while tip is not None and tip.hash in self._blocks:
            active.add(tip.hash)
            tip = tip.parent
        return active

    def _nodes(
        self, network: VirtualNetwork, blocks: tuple[MeasuredBlock, ...]
    ) -> Iterable[MeasuredNode]:
        found = Counter(block.found_by for block in blocks)
        stale = Counter(block.found_by for block in blocks if block.is_stale)
        depths: dict[str, list[int]] = {}
        for reorg in self._reorgs:
            depths.setdefault(reorg.node, []).append(reorg.depth)
        for node in network:
            traffic = network.links.traffic[node.name]
            yield MeasuredNode(
                name=node.name,
                is_up=node.is_up,
                hashes_per_s=node.miner.hashes_per_s,
                found=found[node.name],
                stale=stale[node.name],
                height=node.tip.height,
                tip=node.tip.hash,
                reorgs=len(depths.get(node.name, ())),
                deepest=max(depths.get(node.name, ()), default=0),
                mempool=len(node.node.mempool),
                sent_messages=traffic.sends,
                sent_bytes=traffic.sent_bytes,
            )


def _best(network: VirtualNetwork) -> VirtualNode | None:
    """The node whose chain has the most work; the first one, of several. Best are those up."""
    nodes = [node for node in network if node.is_up] or list(network)
    return max(nodes, key=lambda node: node.tip.chainwork, default=None)


def _after_ns(block: _Block, share: int) -> int | None:
    """How long it took until so many per cent of the nodes had it."""
    wanted = -(-share * block.count // 100)
    if wanted > len(block.times_ns):
        return None
    return block.times_ns[wanted - 1] - block.times_ns[0]


# What many blocks, perhaps of many runs, come to.


@dataclass(frozen=True, slots=True)
class Spread:
    """How long blocks took to reach a share of the nodes.

    quantiles_ns: for a share of the blocks in per cent, within how long they did; None if that many
    never did. reached: blocks that did, of `blocks`.
    """

    share: int
    blocks: int
    reached: int
    quantiles_ns: Mapping[int, int | None]


def spreads(blocks: Iterable[MeasuredBlock]) -> tuple[Spread, ...]:
    """Of the blocks that are not stale; those found last may still be on their way."""
    kept = [block for block in blocks if not block.is_stale]
    return tuple(_spread(kept, share) for share in SHARES)


def _spread(blocks: list[MeasuredBlock], share: int) -> Spread:
    times = sorted(time for block in blocks if (time := block.after_ns[share]) is not None)
    return Spread(
        share,
        len(blocks),
        len(times),
        {per_cent: quantile(times, per_cent) for per_cent in QUANTILES},
    )


def quantile(ordered: list[int], per_cent: int) -> int | None:
    """The least of some numbers that so many per cent of them do not exceed; None of none."""
    if not ordered:
        return None
    return ordered[max(0, -(-per_cent * len(ordered) // 100) - 1)]


def stale_rate(figures: Iterable[Figures]) -> Fraction | None:
    """The share of all blocks that were lost; None if there were none."""
    runs = list(figures)
    found = sum(len(run.blocks) for run in runs)
    return Fraction(sum(run.stale for run in runs), found) if found else None


def reorg_depths(figures: Iterable[Figures]) -> dict[int, int]:
    """How often nodes gave up so many blocks, by depth."""
    depths = Counter(reorg.depth for run in figures for reorg in run.reorgs)
    return dict(sorted(depths.items()))
