"""Chains that are kept in a directory, for the commands that work on them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from drystone.chain.blockfile import frame
from drystone.network.opening import opened_chain
from drystone.primitives.block import Block
from tests.support.blocks import REGTEST
from tests.support.branches import Branches, first_coin, payment

T = TypeVar("T")

__all__ = ["REGTEST", "after", "fork", "framed", "keep", "spending_chain", "tip_of"]


def framed(blocks: Iterable[Block], magic: bytes = REGTEST.magic) -> bytes:
    """Blocks as a file has them."""
    return b"".join(frame(block.encode(), magic) for block in blocks)


def spending_chain(branches: Branches) -> list[Block]:
    """102 blocks; the last spends the first one's coin, for a fee of 1,000, and then its change."""
    blocks = branches.grow(branches.genesis, 101)
    outpoint, coin = first_coin(blocks[0].coinbase, 1)
    first = payment(outpoint, coin.output.value - 1000)
    second = payment(first_coin(first, 102)[0], coin.output.value - 3000)
    last = branches.on(blocks[-1], [first, second], fees=3000)
    return [*blocks, last]


def fork(branches: Branches, blocks: list[Block], below: int, count: int) -> list[Block]:
    """A branch of so many blocks that leaves a chain of blocks from height 1 at a height."""
    return branches.grow(blocks[below - 1], count)


def keep(datadir: Path, blocks: Iterable[Block]) -> None:
    """Let a directory have these blocks of regtest, in this order."""
    with opened_chain(datadir, REGTEST) as chain:
        for block in blocks:
            error = chain.submit(block, now=block.header.time).error
            assert error is None, error


def tip_of(datadir: Path) -> tuple[int, bytes]:
    """Height and hash of a kept chain's tip."""
    with opened_chain(datadir, REGTEST, create=False) as chain:
        return chain.height, chain.tip.hash


def after(count: int, items: Iterable[T], act: Callable[[], None]) -> Iterator[T]:
    """The items, with something done once so many have been given."""
    for number, item in enumerate(items):
        if number == count:
            act()
        yield item
