"""Telling peers which transactions are not worth announcing, for what they pay (BIP133)."""

from bisect import bisect_left
from typing import Final

from drystone.core.chance import Dice
from drystone.core.samplers import exponential_ns
from drystone.core.time import SECOND_NS

AVG_FEEFILTER_BROADCAST_INTERVAL_NS: Final = 600 * SECOND_NS
MAX_FEEFILTER_CHANGE_DELAY_NS: Final = 300 * SECOND_NS  # after a change that matters
_LOWEST: Final = 50.0  # Core: half of DEFAULT_MIN_RELAY_TX_FEE
_HIGHEST: Final = 10_000_000


def _steps() -> tuple[float, ...]:
    """Each a tenth above the one below; multiplied as Core does it, to the last bit."""
    steps, step = [0.0], _LOWEST
    while step <= _HIGHEST:
        steps.append(step)
        step *= 1.1
    return tuple(steps)


STEPS: Final = _steps()
NOTHING: Final = int(STEPS[-1])  # the rate to tell while no transaction is of use to us


def rounded(rate: int, dice: Dice) -> int:
    """A step near a rate: two times of three the one below, so that nobody can tell nodes apart.

    Core: FeeFilterRounder.
    """
    at = bisect_left(STEPS, rate)
    if at == len(STEPS) or (at > 0 and dice.below(3)):
        at -= 1
    return int(STEPS[at])


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
