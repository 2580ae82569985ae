"""What networks of both worlds share: who is in one, how one looks at it, what is waited for.

A kind of network adds how things are done, and how time passes until something is the case.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from drystone.chain.chainstate import ChainState
from drystone.chain.tree import BlockNode
from drystone.core.errors import UserError
from drystone.network.branches import TreeBlock, tree_of
from drystone.network.plan import A_NAME, NAME_PATTERN
from drystone.node.node import Node
from drystone.primitives.hashes import BlockHash, display
from drystone.primitives.transaction import Transaction

SHOWN_NODES = 8  # of those that a sentence tells of


class Member(Protocol):
    """A node of either world."""

    name: str
    is_up: bool
    node: Node

    @property
    def chain(self) -> ChainState:
        """Its chain; of a node that is down, as it was left."""

    @property
    def tip(self) -> BlockNode:
        """Its chain's last block."""


M = TypeVar("M", bound=Member)
Condition = Callable[[], bool]


class Members(Generic[M]):
    """The nodes of a network by name, and who is to dial whom."""

    def __init__(self) -> None:
        self.nodes: dict[str, M] = {}
        self._connections: dict[tuple[str, str], None] = {}  # as they should be: who dials whom

    # ------------------------------------------------------------------ looking

    def tips(self) -> dict[str, BlockHash]:
        """The tip of each node that is up."""
        return {node.name: node.tip.hash for node in self._up()}

    def tree(self, name: str | None = None, *, blocks: int = 100) -> tuple[TreeBlock, ...]:
        """The blocks that a node knows of so many heights below its tip, parents first.

        name: by default the first node that is up.
        """
        nodes = self._up() if name is None else [self[name]]
        return tree_of(nodes[0].chain, blocks) if nodes else ()

    def connections(self) -> tuple[tuple[str, str], ...]:
        """Who is to dial whom."""
        return tuple(self._connections)

    def missing_connections(self) -> list[tuple[str, str]]:
        """Those that are not there now, where both nodes are up and no cut runs between them."""
        return [pair for pair in self._connections if self._is_missing(*pair)]

    def is_cut(self, one: str, other: str) -> bool:
        """Whether a partition runs between two nodes."""
        raise NotImplementedError

    def __getitem__(self, name: str) -> M:
        node = self.nodes.get(name)
        if node is None:
            raise UserError(f"there is no node {name}: there are {', '.join(self.nodes) or 'none'}")
        return node

    def __iter__(self) -> Iterator[M]:
        return iter(self.nodes.values())

    def _up(self) -> list[M]:
        return [node for node in self.nodes.values() if node.is_up]

    def _one_up(self, name: str) -> M:
        node = self[name]
        if not node.is_up:
            raise UserError(f"{name} does not run: restart it first")
        return node

    def _is_missing(self, one: str, other: str) -> bool:
        """Whether a connection that should be there, and can be, is not."""
        raise NotImplementedError

    # ------------------------------------------------------------------ what is waited for

    def _are_synced(self, names: Iterable[str] | None) -> Condition:
        chosen = self._chosen(names)
        return lambda: len({node.tip.hash for node in chosen()}) <= 1

    def _are_as_high(self, height: int, names: Iterable[str] | None) -> Condition:
        chosen = self._chosen(names)
        return lambda: all(node.tip.height >= height for node in chosen())

    def _have_block(self, block: BlockHash, names: Iterable[str] | None) -> Condition:
        chosen = self._chosen(names)
        return lambda: all(_is_in_chain(node, block) for node in chosen())

    def _have_given_up(self, block: BlockHash, names: Iterable[str] | None) -> Condition:
        chosen = self._chosen(names)
        return lambda: not any(_is_in_chain(node, block) for node in chosen())

    def _have_transaction(self, tx: Transaction, names: Iterable[str] | None) -> Condition:
        chosen = self._chosen(names)
        return lambda: all(tx.txid in node.node.mempool for node in chosen())

    def _are_connected(self) -> Condition:
        missing: list[tuple[str, str]] = []

        def are_all_there() -> bool:
            nonlocal missing
            while missing and not self._is_missing(*missing[-1]):
                missing.pop()  # of many, one that still lacks is answer enough
            missing = missing or self.missing_connections()
            return not missing

        return are_all_there

    def _chosen(self, names: Iterable[str] | None) -> Callable[[], list[M]]:
        """Whom a wait is about: by default all that are up, at each look.

        Raises UserError if one that is named does not run, or if none does.
        """
        if names is not None:
            named = [self._one_up(name) for name in names]
            return lambda: named
        if not self._up():
            raise UserError("no node runs: add one, or restart one")
        return self._up

    def _common_tip(self, names: Iterable[str] | None) -> BlockHash:
        """The tip that nodes have, when they are synced."""
        return self._chosen(names)()[0].tip.hash

    @contextmanager
    def _telling_where(self) -> Iterator[None]:
        """Have a wait that takes too long say where the nodes are."""
        try:
            yield
        except TimeoutError as error:
            nodes = list(self.nodes.values())
            where = [
                f"{node.name} at {node.tip.height}, {display(node.tip.hash)[:12]}"
                if node.is_up
                else f"{node.name} down"
                for node in nodes[:SHOWN_NODES]
            ]
            if len(nodes) > SHOWN_NODES:
                where.append(f"{len(nodes) - SHOWN_NODES} more")
            raise TimeoutError(f"{error} ({'; '.join(where)})") from None

    # ------------------------------------------------------------------ mistakes

    def _new_name(self, name: str | None) -> str:
        """A node's name; None: the next that is free. Raises UserError."""
        if name is None:
            number = len(self.nodes)
            while f"n{number}" in self.nodes:
                number += 1
            return f"n{number}"
        if not re.fullmatch(NAME_PATTERN, name):
            raise UserError(f"{name!r} can't name a node: take {A_NAME}")
        if name in self.nodes:
            raise UserError(f"there is a node {name} already")
        return name

    def _check_pair(self, one: str, other: str) -> None:
        self._check_member(one)
        self._check_member(other)

    def _check_connection(self, one: str, other: str) -> None:
        self._check_pair(one, other)
        if one == other:
            raise UserError(f"a connection joins two nodes: {one} has none with itself")

    def _check_member(self, name: str) -> None:
        self[name]  # raises if there is none

    def _checked_groups(self, groups: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
        """Groups of nodes that exist, each in one of them at most. Raises UserError."""
        checked = tuple(map(tuple, groups))
        names = [name for group in checked for name in group]
        for number, name in enumerate(names):
            self._check_member(name)
            if name in names[:number]:
                raise UserError(f"a node is on one side of a cut only, and {name} is named twice")
        return checked

    def _sides_for_reorg(self, depth: int, on: str | None) -> tuple[str, list[str]]:
        """Who is cut off by `reorg`, and who are the others. Raises UserError."""
        up = [node.name for node in self._up()]
        if depth < 1 or len(up) < 2:
            raise UserError("a reorganisation takes two nodes and a block at least")
        apart = self._one_up(on or up[-1]).name
        if any(self.is_cut(up[0], name) for name in up[1:]):
            raise UserError("the network is cut already: heal it before a reorganisation")
        return apart, [name for name in up if name != apart]


def check_count(count: int) -> None:
    """So many blocks can be mined. Raises UserError."""
    if count < 0:
        raise UserError(f"{count} blocks can't be mined: take 1 or more")


def check_hashrate(hashes_per_s: int) -> None:
    """A miner can have this rate. Raises UserError."""
    if hashes_per_s < 0:
        raise UserError(f"a hash rate can't be negative, as {hashes_per_s} is")


def check_seconds(seconds: float) -> None:
    """Time can be advanced by this. Raises UserError."""
    if not seconds >= 0:  # nor by what is no number
        raise UserError("time is advanced by what is not negative; to go back, set it")


def _is_in_chain(member: Member, block: BlockHash) -> bool:
    node = member.chain.tree.get(block)
    return node is not None and member.chain.is_active(node)
