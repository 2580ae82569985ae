"""The chain as a mempool sees it: it holds none, it is shown one."""

from typing import NamedTuple

from drystone.chain.chainstate import ChainState
from drystone.consensus.coins import CoinsView
from drystone.consensus.locktime import MedianTimeAt


class ChainView(NamedTuple):
    """The tip that transactions are to be mined on, and the coins there."""

    coins: CoinsView
    height: int  # of the tip
    median_time_past: int  # of the tip
    median_time_at: MedianTimeAt  # for heights up to the tip's

    @property
    def next_height(self) -> int:
        """Of the block that transactions are to be in."""
        return self.height + 1

    @classmethod
    def at_tip(cls, chain: ChainState) -> "ChainView":
        """A chain as it is now, until its tip moves."""
        tip = chain.tip
        return cls(chain.coins, tip.height, tip.median_time_past, tip.median_time_at)
