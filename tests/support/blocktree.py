"""Headers alone, with as little work as there is, and a chain of those whose blocks have come."""

from dataclasses import dataclass, field, replace

from drystone.chain.tree import BlockNode, BlockTree
from drystone.consensus.chains import REGTEST

GENESIS = REGTEST.genesis.header


@dataclass
class Blocks:
    """A tree, and a chain in it that takes in what comes."""

    tree: BlockTree = field(default_factory=lambda: BlockTree(GENESIS))
    active: list[BlockNode] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tree.add_data(self.tree.genesis, 1)
        self.active.append(self.tree.genesis)

    @property
    def tip(self) -> BlockNode:
        return self.active[-1]

    def at(self, height: int) -> BlockNode:
        return self.active[height]

    def is_active(self, node: BlockNode) -> bool:
        return node.height < len(self.active) and self.active[node.height] is node

    def headers(self, count: int, on: BlockNode | None = None, nonce: int = 0) -> list[BlockNode]:
        """A branch of headers alone."""
        branch = []
        node = on or self.tree.genesis
        for _ in range(count):
            header = replace(GENESIS, prev_hash=node.hash, nonce=nonce)
            node = self.tree.get(header.hash) or self.tree.add(header, node)
            branch.append(node)
        return branch

    def come(self, node: BlockNode) -> None:
        """A block's data; the chain grows as far as it can."""
        if node.has_data:
            return
        self.tree.add_data(node, 1)
        while True:
            grown = [one for one in self.tip.children if one.has_data]
            if not grown:
                return
            self.active.append(grown[0])
