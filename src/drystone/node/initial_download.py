"""Whether a node is still getting the chain that others have long had."""

from drystone.chain.chainstate import ChainState
from drystone.core.time import Time


class InitialDownload:
    """The initial block download, which never comes back once it is over.

    Core: IsInitialBlockDownload. max_tip_age_s: as of Settings.
    """

    def __init__(self, chain: ChainState, max_tip_age_s: int | None) -> None:
        self._chain = chain
        self._max_tip_age_s = max_tip_age_s
        self._is_over = False

    def is_on(self, now: Time) -> bool:
        """Whether blocks come first, and transactions and announcements later."""
        if not self._is_over:
            tip, age_s = self._chain.tip, self._max_tip_age_s
            has_work = tip.chainwork >= self._chain.params.minimum_chainwork
            self._is_over = has_work and (age_s is None or tip.header.time >= now.unix_s - age_s)
        return not self._is_over
