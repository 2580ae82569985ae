"""Small chains to keep in stores, and everything that a store holds, to compare."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from drystone.chain.store import BlockRecord, BlockStore, BlockUndo, CoinStore, Validity
from drystone.consensus.coins import Coin
from drystone.consensus.connect import BlockChange
from drystone.drivers.store.directory import ChainDirectory
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.support.blocks import ANYONE_CAN_SPEND, REGTEST, MinedChain

PARAMS = replace(REGTEST, coinbase_maturity=1)  # so that short chains can spend
NOW = 4_000_000_000
CURE = "drystone chain reindex"


class Step(NamedTuple):
    """A block that extends the chain, and what it does to the coins."""

    block: Block
    change: BlockChange

    @property
    def undo(self) -> BlockUndo:
        """What disconnecting it puts back."""
        return BlockUndo(tuple(self.change.spent.items()))


def spending(chain: MinedChain, outputs: int = 3) -> Transaction | None:
    """A transaction that spends the oldest coin that can be spent, if there is one."""
    ripe = [
        (outpoint, coin)
        for outpoint, coin in chain.coins.items()
        if coin.output.value >= 1000 * outputs
        and (not coin.is_coinbase or chain.height + 1 - coin.height >= 1)
    ]
    if not ripe:
        return None
    outpoint, coin = ripe[0]
    share = coin.output.value // outputs
    return Transaction(
        2,
        (TxIn(outpoint),),
        tuple(TxOut(share - vout, ANYONE_CAN_SPEND) for vout in range(outputs)),
    )


@cache
def steps(count: int) -> tuple[Step, ...]:
    """So many blocks on genesis, each spending a coin where there is one."""
    chain = MinedChain(PARAMS)
    done = []
    for _ in range(count):
        tx = spending(chain)
        block = chain.block(() if tx is None else (tx,))
        done.append(Step(block, chain.connect(block)))
    return tuple(done)


def record_of(step: Step, sequence: int, failure: str | None = None) -> BlockRecord:
    """What a chain would commit for it."""
    block = step.block
    return BlockRecord(block.header, Validity.SCRIPTS, len(block.vtx), sequence, failure)


def keep(blocks: BlockStore, step: Step, sequence: int) -> None:
    """Commit a block as a chain does."""
    block_hash = step.block.hash
    blocks.add_block(step.block, step.block.encode())
    blocks.add_undo(block_hash, step.undo)
    blocks.commit([record_of(step, sequence)], block_hash)


def write_coins(coins: CoinStore, done: Sequence[Step]) -> None:
    """Write the coins that so many blocks leave."""
    spent: list[OutPoint] = []
    created: dict[OutPoint, Coin] = {}
    for step in done:
        spent += [o for o in step.change.spent if created.pop(o, None) is None]
        created.update(step.change.created)
    coins.write(spent, created.items(), done[-1].block.hash)


def coins_after(count: int) -> dict[OutPoint, Coin]:
    """The coins that so many of `steps` leave, computed anew."""
    coins: dict[OutPoint, Coin] = {}
    for step in steps(12)[:count]:
        for outpoint in step.change.spent:
            del coins[outpoint]
        coins.update(step.change.created)
    return coins


class Kept(NamedTuple):
    """Everything that a directory holds."""

    records: tuple[BlockRecord, ...]
    tip: BlockHash | None
    unrecorded: tuple[BlockHash, ...]
    blocks: dict[BlockHash, bytes]
    undo: dict[BlockHash, BlockUndo]
    coins_tip: BlockHash | None
    coins: dict[OutPoint, Coin]


def everything(directory: ChainDirectory) -> Kept:
    """Read all of it. Raises StoreError."""
    loaded = directory.blocks.load()
    records = tuple(loaded.records)
    unrecorded = tuple(block.hash for block in loaded.unrecorded)
    hashes = [record.header.hash for record in records if record.tx_count]
    blocks = {block_hash: directory.blocks.block_bytes(block_hash) for block_hash in hashes}
    undo = {
        record.header.hash: directory.blocks.undo(record.header.hash)
        for record in records
        if record.validity is Validity.SCRIPTS
    }
    coins = dict(directory.coins.items())
    assert all(directory.coins.get(outpoint) == coin for outpoint, coin in coins.items())
    return Kept(records, loaded.tip, unrecorded, blocks, undo, directory.coins.tip, coins)


def make_directory(datadir: Path, count: int = 12, *, flush_every: int = 4) -> None:
    """Keep a chain there and close it."""
    with ChainDirectory.open(datadir, PARAMS) as directory:
        directory.blocks.load()
        for number, step in enumerate(steps(12)[:count], start=1):
            keep(directory.blocks, step, number)
            if number % flush_every == 0 or number == count:
                first = (number - 1) // flush_every * flush_every
                write_coins(directory.coins, steps(12)[first:number])


def copied(folder: Path, target: Path) -> Path:
    """A copy of a folder, in place of the one that was there."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(folder, target)
    return target
