"""Checking a kept chain from genesis on, as if none of it had ever been looked at."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from drystone.chain.chainstate import ChainState
from drystone.chain.coins_digest import MuHash, coin_element
from drystone.chain.memory import MemoryCoins
from drystone.chain.signatures import Signatures
from drystone.chain.store import BlockRecord, BlockUndo, Loaded, StoreError
from drystone.chain.tree import BlockNode
from drystone.consensus.coins import Coin
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash, display
from drystone.primitives.transaction import OutPoint

PIECE_COINS: Final = 4_096  # looked at between two reports


@dataclass(slots=True)
class VerifyReport:
    """What has been found so far.

    done, total: blocks of the chain. side_blocks: read besides, on other branches. coins: compared
    with those that the blocks leave. digest: of these, once all is done. problems: a sentence
    each; none is good.
    """

    total: int
    done: int = 0
    transactions: int = 0
    side_blocks: int = 0
    coins: int = 0
    digest: bytes | None = None
    problems: list[str] = field(default_factory=list)


def verify_chain(
    chain: ChainState, *, now: int, signatures: Signatures | None = None
) -> Iterator[VerifyReport]:
    """Put every block of the chain through all rules once more; the report, every now and then.

    A second chain grows in memory from the stored blocks, by the same door as any block's. Undo
    data and coins that are stored are compared with what comes out of it. Blocks of other branches
    are only read. It ends at the first block that fails, since nothing above it can be told.

    now: unix seconds.
    """
    report = VerifyReport(total=chain.height)
    store = _Passing()
    again = ChainState(
        chain.params, store, MemoryCoins(), signatures=signatures, flush_blocks=1 << 62
    )
    for height in range(1, chain.height + 1):
        node = chain.at(height)
        problem = _problem_with(chain, again, store, node, now)
        if problem is not None:
            report.problems.append(f"block {height}, {display(node.hash)}: {problem}")
            yield report
            return
        report.done = height
        report.transactions += node.tx_count
        yield report
    for problem in _side_problems(chain, report):
        report.problems.append(problem)
        yield report
    expected = dict(again.coins.items())
    yield from _compare_coins(chain, expected, report)
    digest = MuHash()
    for some in _pieces(expected.items()):
        digest.insert(coin_element(outpoint, coin) for outpoint, coin in some)
        yield report
    report.digest = digest.digest()
    yield report


def _compare_coins(
    chain: ChainState, expected: Mapping[OutPoint, Coin], report: VerifyReport
) -> Iterator[VerifyReport]:
    """Look at every stored coin: it must be there, as it is, and no other."""
    missing = len(expected)
    examples: dict[str, OutPoint] = {}
    counts = {"changed": 0, "too many": 0, "missing": 0}

    def differs(how: str, outpoint: OutPoint, count: int = 1) -> None:
        counts[how] += count
        examples.setdefault(how, outpoint)

    try:
        for some in _pieces(chain.coins.items()):
            for outpoint, coin in some:
                wanted = expected.get(outpoint)
                missing -= wanted is not None
                if wanted != coin:
                    differs("too many" if wanted is None else "changed", outpoint)
            report.coins += len(some)
            yield report
        if missing:
            lost = next(outpoint for outpoint in expected if chain.coin(outpoint) is None)
            differs("missing", lost, missing)
    except StoreError as error:
        report.problems.append(str(error))
    report.problems += [
        f"coins that are {how}: {count:,}, of what the blocks leave; one is {examples[how]}"
        for how, count in counts.items()
        if count
    ]
    yield report


def _pieces(coins: Iterable[tuple[OutPoint, Coin]]) -> Iterator[list[tuple[OutPoint, Coin]]]:
    rest = iter(coins)
    while some := list(islice(rest, PIECE_COINS)):
        yield some


def _problem_with(
    chain: ChainState, again: ChainState, store: "_Passing", node: BlockNode, now: int
) -> str | None:
    """What is wrong with a stored block, its undo data or its place; None if nothing is."""
    try:
        block = chain.stored_block(node.hash)
        undo = chain.undo(node.hash)
    except StoreError as error:
        return str(error)
    if block.hash != node.hash:
        return f"the stored block is another, {display(block.hash)}"
    submission = again.submit(block, now=now)
    if submission.error is not None:
        return f"breaks a rule: {submission.error}"
    if again.tip.hash != node.hash:
        return "doesn't build on the block below"
    if set(store.last_undo.spent) != set(undo.spent):
        return "its undo data are not the coins that it spends"
    return None


def _side_problems(chain: ChainState, report: VerifyReport) -> Iterator[str]:
    for node in chain.tree.nodes.values():
        if not node.has_data or chain.is_active(node):
            continue
        report.side_blocks += 1
        try:
            block = chain.stored_block(node.hash)
        except StoreError as error:
            yield str(error)
            continue
        if block.hash != node.hash or block.merkle_root()[0] != block.header.merkle_root:
            yield f"block {display(node.hash)} on another branch: the stored block is another"


class _Passing:
    """A BlockStore that keeps nothing but the last undo data."""

    def __init__(self) -> None:
        self.last_undo = BlockUndo(())

    def load(self) -> Loaded:
        return Loaded((), None, ())

    def took_in_unrecorded(self) -> None:
        pass

    def add_block(self, block: Block, encoded: bytes | None = None) -> None:
        pass

    def add_undo(self, block_hash: BlockHash, undo: BlockUndo) -> None:  # noqa: ARG002
        self.last_undo = undo

    def commit(self, records: Sequence[BlockRecord], tip: BlockHash | None = None) -> None:
        pass

    def block(self, block_hash: BlockHash) -> Block:
        raise KeyError(block_hash)

    def block_bytes(self, block_hash: BlockHash) -> bytes:
        raise KeyError(block_hash)

    def undo(self, block_hash: BlockHash) -> BlockUndo:
        raise KeyError(block_hash)

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass
