"""Taking in a long chain of headers without keeping any of it until it has shown enough work.

Headers cost nothing to make where targets are easy, and each costs us memory for ever. So a chain
that begins with little work is sent twice:

```
first    count its work; keep one secret bit of every so many headers      until the work is enough
second   compare the bits; hold back the last 15,000 headers               hand the others on
```

Who sends another chain the second time has to guess the bits: each header that is handed on is
followed by enough others whose bits were right. Core: HeadersSyncState.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

from drystone.chain.tree import BlockNode
from drystone.consensus.params import MAX_FUTURE_BLOCK_TIME_S, Params
from drystone.consensus.pow import block_work, permitted_difficulty_transition
from drystone.core.chance import Dice
from drystone.primitives.block import BlockHeader, BlockLocator, locator_heights
from drystone.primitives.hashes import BlockHash

COMMITMENT_PERIOD: Final = 632  # headers to a bit
REDOWNLOAD_BUFFER_SIZE: Final = 15_009  # headers held back
MOST_BLOCKS_A_SECOND: Final = 6  # that the rule of median time lets a chain have


class Stage(Enum):
    """Which of the two times it is."""

    PRESYNC = 1
    REDOWNLOAD = 2
    FINAL = 3


class Step(NamedTuple):
    """What a message of headers has brought."""

    is_good: bool  # False: they are not what they should be; have nothing more to do with them
    accepted: list[BlockHeader]  # to be taken in for good, in order
    ask_more: bool  # by `locator`


class HeadersPresync:
    """One peer's chain, from a block that we know. Its headers' work has been checked.

    needed_work: of the whole chain, until it is worth keeping. now_s: unix seconds.
    """

    def __init__(
        self, start: BlockNode, needed_work: int, *, params: Params, dice: Dice, now_s: int
    ) -> None:
        self.stage = Stage.PRESYNC
        self._start = start
        self._needed_work = needed_work
        self._params = params
        self._salt = dice.below(1 << 64).to_bytes(8, "little")
        self._offset = dice.below(COMMITMENT_PERIOD)
        seconds = max(now_s - start.median_time_past + MAX_FUTURE_BLOCK_TIME_S, 0)
        self._most_bits = MOST_BLOCKS_A_SECOND * seconds // COMMITMENT_PERIOD
        self._bits: deque[bool] = deque()
        self._begin()

    def _begin(self) -> None:
        self.height = self._start.height
        self.work = self._start.chainwork
        self._last = self._start.header
        self._held: deque[BlockHeader] = deque()

    def take(self, headers: Sequence[BlockHeader], *, is_full: bool) -> Step:
        """Headers have come. is_full: as many as a message has, so that there may be more."""
        if self.stage is Stage.FINAL or not headers:
            return Step(is_good=False, accepted=[], ask_more=False)
        step = self._count(headers, is_full) if self._is_first else self._compare(headers, is_full)
        if not step.is_good or not step.ask_more:
            self.stage = Stage.FINAL
            self._bits.clear()
            self._held.clear()
        return step

    @property
    def _is_first(self) -> bool:
        return self.stage is Stage.PRESYNC

    def locator(self) -> BlockLocator:
        """Where to go on."""
        known = [
            self._start.ancestor(height).hash for height in locator_heights(self._start.height)
        ]
        last = [] if self._last is self._start.header else [self._last.hash]
        return BlockLocator((*last, *known))

    # The first time.

    def _count(self, headers: Sequence[BlockHeader], is_full: bool) -> Step:  # noqa: FBT001
        for header in headers:
            if not self._follows(header):
                return _BAD
            if self._is_marked:
                self._bits.append(self._bit(header.hash))
                if len(self._bits) > self._most_bits:
                    return _BAD  # more headers than could have been made
        if self.work >= self._needed_work:
            self.stage = Stage.REDOWNLOAD
            self._begin()
            return Step(is_good=True, accepted=[], ask_more=True)
        return Step(is_good=True, accepted=[], ask_more=is_full)

    def _follows(self, header: BlockHeader) -> bool:
        """Whether it may be the next; then it is the last."""
        if header.prev_hash != self._last.hash:
            return False
        height = self.height + 1
        if not permitted_difficulty_transition(height, self._last.bits, header.bits, self._params):
            return False
        self.height = height
        self.work += block_work(header.bits)
        self._last = header
        return True

    @property
    def _is_marked(self) -> bool:
        """Whether a bit is kept of the last header."""
        return self.height % COMMITMENT_PERIOD == self._offset

    def _is_promised(self, header: BlockHeader) -> bool:
        """Whether it has the bit of the first time."""
        return bool(self._bits) and self._bits.popleft() is self._bit(header.hash)

    def _bit(self, block_hash: BlockHash) -> bool:
        return bool(sha256(self._salt + block_hash).digest()[0] & 1)

    # The second time.

    def _compare(self, headers: Sequence[BlockHeader], is_full: bool) -> Step:  # noqa: FBT001
        for header in headers:
            if not self._follows(header):
                return _BAD
            self._held.append(header)
            # Once the work is enough, what comes after needs no bits: it is kept as any chain is.
            if not self._is_enough and self._is_marked and not self._is_promised(header):
                return _BAD
        keep = 0 if self._is_enough else REDOWNLOAD_BUFFER_SIZE
        accepted = []
        while len(self._held) > keep:
            accepted.append(self._held.popleft())
        if self._is_enough:
            return Step(is_good=True, accepted=accepted, ask_more=False)
        if not is_full:  # the chain of the first time was longer
            return _BAD
        return Step(is_good=True, accepted=accepted, ask_more=True)

    @property
    def _is_enough(self) -> bool:
        return self.work >= self._needed_work


_BAD: Final = Step(is_good=False, accepted=[], ask_more=False)
