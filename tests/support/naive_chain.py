"""A chain that remembers nothing but what came in, and works out all the rest from genesis.

It shares the consensus rules with the real one, and no more: no tree, no skip list, no candidates,
no undo data, no cache, no steps. What is asked of it is computed by walking whole branches.

Blocks that come in together are all taken in before any is connected. So one may be taken in whose
parent turns out to be invalid only then, where the same block coming later would be refused
("bad-prevblk"): it stays known, and is invalid with its parent.
"""

from collections.abc import Sequence
from typing import NamedTuple

from drystone.chain.chainstate import INVALIDATED
from drystone.chain.tips import ChainTip, TipStatus
from drystone.consensus.block import check_block, contextual_check_block
from drystone.consensus.coins import Coin
from drystone.consensus.connect import verify_block
from drystone.consensus.errors import BlockInvalid, BlockOrphan, Rejected
from drystone.consensus.header import check_header, contextual_check_header
from drystone.consensus.locktime import MEDIAN_TIME_SPAN, median_time_past
from drystone.consensus.params import Params
from drystone.consensus.pow import next_bits, read_compact
from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import BlockHash, Txid
from drystone.primitives.transaction import OutPoint

Coins = dict[OutPoint, Coin]


class Replay(NamedTuple):
    """What a branch does to the coins, from genesis on."""

    coins: Coins  # as the last good block left them
    bad: BlockHash | None  # the first block that can't be connected
    error: Rejected | None


class Taken(NamedTuple):
    """What became of a block."""

    is_new: bool
    kind: type[Rejected] | None
    reason: str | None


class Moved(NamedTuple):
    """What became of the tip. unconfirmed: of the blocks left, the lowest first."""

    old: BlockHash
    new: BlockHash
    disconnected: tuple[BlockHash, ...]
    connected: tuple[BlockHash, ...]
    unconfirmed: tuple[Txid, ...]


class Replays:
    """Branches connected from genesis, block by block, by the rules.

    What came out is kept by the hash of the last block, which stands for all below it.
    """

    def __init__(self, params: Params, blocks: dict[BlockHash, Block]) -> None:
        self._params = params
        self._blocks = blocks
        self._done: dict[BlockHash, Replay] = {params.genesis_hash: Replay({}, None, None)}

    def path(self, tip: BlockHash) -> list[BlockHash]:
        """From genesis to a block."""
        path = [tip]
        while path[-1] != self._params.genesis_hash:
            path.append(self._blocks[path[-1]].header.prev_hash)
        return path[::-1]

    def of(self, tip: BlockHash) -> Replay:
        """The branch that ends with a block."""
        path = self.path(tip)
        for height, block_hash in enumerate(path):
            if block_hash not in self._done:
                below = self._done[path[height - 1]]
                self._done[block_hash] = below if below.bad else self._on(below, path[: height + 1])
        return self._done[tip]

    def _on(self, below: Replay, path: list[BlockHash]) -> Replay:
        times = [self._blocks[block_hash].header.time for block_hash in path]

        def median_time_at(height: int) -> int:
            return median_time_past(times[max(0, height + 1 - MEDIAN_TIME_SPAN) : height + 1])

        try:
            change = verify_block(
                self._blocks[path[-1]],
                below.coins,
                height=len(path) - 1,
                median_time_at=median_time_at,
                params=self._params,
            )
        except Rejected as error:
            return Replay(below.coins, path[-1], error)
        coins = {at: coin for at, coin in below.coins.items() if at not in change.spent}
        return Replay({**coins, **change.created}, None, None)


class NaiveChain:
    """The model of a ChainState: the same doors, by the shortest way."""

    def __init__(self, params: Params) -> None:
        self.params = params
        genesis = params.genesis
        self.headers: dict[BlockHash, BlockHeader] = {}
        self._paths: dict[BlockHash, list[BlockHash]] = {}
        self._works: dict[BlockHash, int] = {}
        self.blocks: dict[BlockHash, Block] = {genesis.hash: genesis}
        self.failures: dict[BlockHash, str] = {}
        self.once_valid: set[BlockHash] = {genesis.hash}
        self.turns: dict[BlockHash, int] = {genesis.hash: 0}  # among equals, the lowest wins
        self.tip = genesis.hash
        self._replays = Replays(params, self.blocks)
        self._last_turn = 0
        self._precious_turn = 0
        self._know(genesis.header, [])

    # ------------------------------------------------------------------ what there is

    def path(self, block_hash: BlockHash) -> list[BlockHash]:
        """From genesis to a block."""
        return self._paths[block_hash]

    def work(self, block_hash: BlockHash) -> int:
        """Of all blocks up to this one."""
        return self._works[block_hash]

    def _know(self, header: BlockHeader, path_to_parent: list[BlockHash]) -> None:
        self.headers[header.hash] = header
        path = self._paths[header.hash] = [*path_to_parent, header.hash]
        bits = [self.headers[block_hash].bits for block_hash in path]
        self._works[header.hash] = sum(2**256 // (read_compact(each).value + 1) for each in bits)

    def is_complete(self, block_hash: BlockHash) -> bool:
        """Whether all blocks up to this one have come."""
        return all(below in self.blocks for below in self.path(block_hash))

    def is_failed(self, block_hash: BlockHash) -> bool:
        """Whether a block up to this one was found invalid."""
        return any(below in self.failures for below in self.path(block_hash))

    def coins(self) -> Coins:
        """At the tip."""
        return self._replays.of(self.tip).coins

    def tips(self) -> list[ChainTip]:
        """As `getchaintips` of the reference client finds them."""
        active = self.path(self.tip)
        others = [block_hash for block_hash in self.headers if block_hash not in active]
        below_others = {self.headers[block_hash].prev_hash for block_hash in others}
        ends = [self.tip, *(other for other in others if other not in below_others)]
        tips = [self._tip(end, active) for end in ends]
        return sorted(tips, key=lambda tip: -tip.height)

    def _tip(self, end: BlockHash, active: list[BlockHash]) -> ChainTip:
        path = self.path(end)
        if end == self.tip:
            status = TipStatus.ACTIVE
        elif self.is_failed(end):
            status = TipStatus.INVALID
        elif not self.is_complete(end):
            status = TipStatus.HEADERS_ONLY
        elif end in self.once_valid:
            status = TipStatus.VALID_FORK
        else:
            status = TipStatus.VALID_HEADERS
        branch_length = sum(block_hash not in active for block_hash in path)
        return ChainTip(len(path) - 1, end, branch_length, status)

    # ------------------------------------------------------------------ what comes in

    def submit_headers(self, headers: Sequence[BlockHeader], now: int) -> str | None:
        """Take headers in until one is refused; the reason for which it was."""
        for header in headers:
            try:
                self._take_header(header, now)
            except Rejected as error:
                return error.reason
        return None

    def submit_all(self, blocks: Sequence[Block], now: int) -> tuple[list[Taken], Moved | None]:
        """Take blocks in, then find the best chain."""
        taken = [self._take(block, now) for block in blocks]
        moved = self._find_best()
        return [
            self._in_the_end(one, block.hash) for one, block in zip(taken, blocks, strict=True)
        ], moved

    def invalidate(self, block_hash: BlockHash) -> Moved | None:
        """By hand."""
        self.failures.setdefault(block_hash, INVALIDATED)
        return self._find_best()

    def reconsider(self, block_hash: BlockHash) -> Moved | None:
        """Whatever is below the block or builds on it may be valid again."""
        own_path = self.path(block_hash)
        for failed in list(self.failures):
            if failed in own_path or block_hash in self.path(failed):
                del self.failures[failed]
        return self._find_best()

    def precious(self, block_hash: BlockHash) -> Moved | None:
        """The first among its equals from now on, unless the tip has more work."""
        if self.work(block_hash) >= self.work(self.tip) and self.is_complete(block_hash):
            self._precious_turn -= 1
            self.turns[block_hash] = self._precious_turn
        return self._find_best()

    def _take_header(self, header: BlockHeader, now: int) -> None:
        if header.hash in self.headers:
            if self.is_failed(header.hash):
                raise BlockInvalid("duplicate-invalid")
            return
        check_header(header, self.params)
        if header.prev_hash not in self.headers:
            raise BlockOrphan("prev-blk-not-found")
        if self.is_failed(header.prev_hash):
            raise BlockInvalid("bad-prevblk")
        below = [self.headers[block_hash] for block_hash in self.path(header.prev_hash)]
        parent_height = len(below) - 1
        contextual_check_header(
            header,
            below[-1],
            height=len(below),
            expected_bits=next_bits(parent_height, below.__getitem__, header.time, self.params),
            previous_median_time=self._median_time(below),
            max_time=now + 2 * 60 * 60,
            params=self.params,
        )
        self._know(header, self.path(header.prev_hash))

    def _median_time(self, headers: Sequence[BlockHeader]) -> int:
        return median_time_past([header.time for header in headers[-MEDIAN_TIME_SPAN:]])

    def _take(self, block: Block, now: int) -> Taken:
        try:
            check_block(block, self.params)
            self._take_header(block.header, now)
            if block.hash in self.blocks:
                return Taken(is_new=False, kind=None, reason=None)
            below = [self.headers[block_hash] for block_hash in self.path(block.header.prev_hash)]
            try:
                contextual_check_block(
                    block,
                    height=len(below),
                    previous_median_time=self._median_time(below),
                    params=self.params,
                )
            except BlockInvalid as error:
                self.failures[block.hash] = error.reason
                raise
        except Rejected as error:
            return Taken(is_new=False, kind=type(error), reason=error.reason)
        self.blocks[block.hash] = block
        # A block takes its turn once it and all below it are there; where several get there at
        # once, in the order in which they came.
        for known in self.blocks:
            if known not in self.turns and self.is_complete(known):
                self._last_turn += 1
                self.turns[known] = self._last_turn
        return Taken(is_new=True, kind=None, reason=None)

    def _in_the_end(self, taken: Taken, block_hash: BlockHash) -> Taken:
        if taken.kind is not None or not self.is_failed(block_hash):
            return taken
        reason = self.failures.get(block_hash, "bad-prevblk")
        return taken._replace(kind=BlockInvalid, reason=reason)

    def _find_best(self) -> Moved | None:
        while True:
            best = max(
                (
                    known
                    for known in self.headers
                    if self.is_complete(known) and not self.is_failed(known)
                ),
                key=lambda known: (self.work(known), -self.turns[known]),
            )
            path = self.path(best)
            replay = self._replays.of(best)
            good = path if replay.bad is None else path[: path.index(replay.bad)]
            self.once_valid.update(good)
            if replay.bad is None or replay.error is None:
                return self._move(best)
            self.failures[replay.bad] = replay.error.reason

    def _move(self, new: BlockHash) -> Moved | None:
        old, self.tip = self.tip, new
        if old == new:
            return None
        before, after = self.path(old), self.path(new)
        left = [block_hash for block_hash in before if block_hash not in after]
        entered = [block_hash for block_hash in after if block_hash not in before]
        confirmed = {tx.txid for block_hash in entered for tx in self.blocks[block_hash].vtx}
        unconfirmed = [
            tx.txid
            for block_hash in left
            for tx in self.blocks[block_hash].vtx[1:]
            if tx.txid not in confirmed
        ]
        return Moved(old, new, tuple(left[::-1]), tuple(entered), tuple(unconfirmed))
