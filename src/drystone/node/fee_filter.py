"""Telling peers which transactions are not worth announcing, for what they pay (BIP133)."""

from bisect import bisect_left
from functools import lru_cache
from typing import Final

from drystone.core.chance import Dice
from drystone.core.samplers import exponential_ns
from drystone.core.time import SECOND_NS
from drystone.primitives.amount import MAX_MONEY

AVG_FEEFILTER_BROADCAST_INTERVAL_NS: Final = 600 * SECOND_NS
MAX_FEEFILTER_CHANGE_DELAY_NS: Final = 300 * SECOND_NS  # after a change that matters
NOTHING: Final = MAX_MONEY  # the rate to tell while no transaction is of use to us

_HIGHEST: Final = 10_000_000


class FeeSteps:
    """Rates that are told: steps of a tenth, so that nobody can tell nodes apart by theirs.

    Core: FeeFilterRounder.
    """

    def __init__(self, minrelaytxfee: int) -> None:
        self._steps = _steps_from(minrelaytxfee)

    def rounded(self, rate: int, dice: Dice) -> int:
        """A step near a rate: two times of three the one below."""
        at = bisect_left(self._steps, rate)
        if at == len(self._steps) or (at > 0 and dice.below(3)):
            at -= 1
        return self._steps[at]


@lru_cache(maxsize=16)
def _steps_from(minrelaytxfee: int) -> tuple[int, ...]:
    steps = [0]
    step = max(1, minrelaytxfee // 2)
    while step <= _HIGHEST:
        steps.append(step)
        step = max(step * 11 // 10, step + 1)
    return tuple(steps)


class FeeFilter:
    """What one peer was told, and when to tell it next."""

    __slots__ = ("next_ns", "sent")

    def __init__(self) -> None:
        self.sent: int | None = None
        self.next_ns = 0

    def is_due(self, rate: int, now_ns: int, dice: Dice) -> bool:
        """Whether to look at the rate now; if not, a large change may bring the time forward."""
        if now_ns >= self.next_ns:
            self.next_ns = now_ns + exponential_ns(dice, AVG_FEEFILTER_BROADCAST_INTERVAL_NS)
            return True
        sent = self.sent
        is_large = sent is not None and (4 * rate < 3 * sent or 3 * rate > 4 * sent)
        if is_large and self.next_ns > now_ns + MAX_FEEFILTER_CHANGE_DELAY_NS:
            self.next_ns = now_ns + dice.below(MAX_FEEFILTER_CHANGE_DELAY_NS)
        return False
