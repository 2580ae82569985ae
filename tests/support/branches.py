"""Blocks on any block made before: the branches that a block tree is made of.

```
branches = Branches()
a = branches.grow(branches.genesis, 3)     genesis - a1 - a2 - a3
b = branches.grow(a[0], 4)                          `- b2 - b3 - b4 - b5
```

No two blocks are the same, unless they are asked to be: each coinbase has a number of its own.
Whether a block is valid is nobody's business here.
"""

from collections.abc import Sequence
from dataclasses import replace

from drystone.consensus.coins import Coin
from drystone.consensus.locktime import MEDIAN_TIME_SPAN, median_time_past
from drystone.consensus.params import Params
from drystone.consensus.pow import next_bits
from drystone.consensus.subsidy import block_subsidy
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import BlockHash
from drystone.primitives.script import push_int
from drystone.primitives.transaction import NULL_OUTPOINT, OutPoint, Transaction, TxIn, TxOut
from tests.support.blocks import (
    ANYONE_CAN_SPEND,
    BLOCK_INTERVAL_S,
    REGTEST,
    assembled,
    with_commitment,
)


class Branches:
    """All blocks that were made, by their hashes; genesis is there from the start."""

    def __init__(self, params: Params = REGTEST) -> None:
        self.params = params
        self.genesis = params.genesis
        self.blocks: dict[BlockHash, Block] = {self.genesis.hash: self.genesis}
        self._heights: dict[BlockHash, int] = {self.genesis.hash: 0}
        self._path: list[BlockHeader] = [self.genesis.header]  # to the last parent asked for
        self._made = 0

    def height(self, block: Block) -> int:
        """Of a block that was made here."""
        return self._heights[block.hash]

    def path(self, tip: Block) -> list[Block]:
        """From genesis to a block."""
        path = [tip]
        while path[-1].hash != self.genesis.hash:
            path.append(self.blocks[path[-1].header.prev_hash])
        return path[::-1]

    def headers(self, tip: Block) -> list[BlockHeader]:
        """Those of the path: not to be changed."""
        if self._path[-1] != tip.header:
            if self._path[-1].hash == tip.header.prev_hash:
                self._path.append(tip.header)
            else:
                self._path = [block.header for block in self.path(tip)]
        return self._path

    def median_time(self, tip: Block) -> int:
        """The median time past of a block."""
        headers = self.headers(tip)[-MEDIAN_TIME_SPAN:]
        return median_time_past([header.time for header in headers])

    def coinbase(
        self,
        height: int,
        *,
        fees: int = 0,
        script_pubkey: bytes = ANYONE_CAN_SPEND,
        number: int | None = None,
    ) -> Transaction:
        """One that differs from all others, or has the number that was asked for."""
        if number is None:
            self._made += 1
            number = self._made
        script_sig = push_int(height) + number.to_bytes(4, "little")
        value = block_subsidy(height, self.params.halving_interval) + fees
        return Transaction(2, (TxIn(NULL_OUTPOINT, script_sig),), (TxOut(value, script_pubkey),))

    def draft(
        self,
        parent: Block,
        transactions: Sequence[Transaction] = (),
        *,
        coinbase: Transaction | None = None,
        time: int | None = None,
        version: int = 4,
        bits: int | None = None,
        interval_s: int = BLOCK_INTERVAL_S,
        fees: int = 0,
    ) -> Block:
        """A block that commits to nothing yet, and has no work."""
        headers = self.headers(parent)
        if time is None:
            time = parent.header.time + interval_s
        if bits is None:
            bits = next_bits(len(headers) - 1, headers.__getitem__, time, self.params)
        coinbase = coinbase or self.coinbase(len(headers), fees=fees)
        header = BlockHeader(version, parent.hash, bytes(32), time, bits, 0)
        return Block(header, (coinbase, *transactions))

    def on(self, parent: Block, transactions: Sequence[Transaction] = (), **other: object) -> Block:
        """A block that commits to its transactions, solved."""
        draft = self.draft(parent, transactions, **other)  # type: ignore[arg-type]
        return self.add(assembled(with_commitment(draft), self.params))

    def grow(self, parent: Block, count: int, **other: object) -> list[Block]:
        """So many blocks on a block, one on the other."""
        grown: list[Block] = []
        for _ in range(count):
            parent = self.on(parent, (), **other)
            grown.append(parent)
        return grown

    def add(self, block: Block) -> Block:
        """Take in a block made elsewhere, on one that is here."""
        self.blocks[block.hash] = block
        self._heights[block.hash] = self._heights[block.header.prev_hash] + 1
        return block


def first_coin(tx: Transaction, height: int) -> tuple[OutPoint, Coin]:
    """A transaction's first output, as a coin that a block at a height made."""
    return OutPoint(tx.txid, 0), Coin(tx.vout[0], height, tx.is_coinbase)


def payment(
    outpoint: OutPoint,
    value: int,
    script_pubkey: bytes = ANYONE_CAN_SPEND,
    *,
    sequence: int = 0xFFFFFFFD,
    lock_time: int = 0,
    outputs: int = 1,
) -> Transaction:
    """Spends a coin that anyone may, into so many outputs of a value each."""
    txin = TxIn(outpoint, sequence=sequence)
    return Transaction(2, (txin,), (TxOut(value, script_pubkey),) * outputs, lock_time)


def twice_the_last(block: Block) -> Block:
    """The same header and merkle root, the last transaction once more (CVE-2012-2459).

    block: of an odd number of transactions, more than one.
    """
    assert len(block.vtx) % 2 == 1 and len(block.vtx) > 1
    twin = replace(block, vtx=(*block.vtx, block.vtx[-1]))
    assert twin.merkle_root()[0] == block.header.merkle_root
    return twin
