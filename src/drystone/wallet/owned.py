"""A coin from its owner's point of view."""

from typing import NamedTuple

from drystone.consensus.params import Params
from drystone.primitives.transaction import OutPoint, TxOut
from drystone.wallet.keys import Key


class OwnedCoin(NamedTuple):
    """A coin, and the key that unlocks it."""

    outpoint: OutPoint
    output: TxOut
    owner: str  # the account's name
    key: Key
    height: int | None  # of the block that made it; None: it waits for one
    is_coinbase: bool = False

    @property
    def value(self) -> int:
        """Satoshis."""
        return self.output.value

    def is_mature(self, next_height: int, params: Params) -> bool:
        """Whether the block of this height may spend it. Core: IsTxImmatureCoinBase."""
        if not self.is_coinbase or self.height is None:
            return True
        return next_height - self.height >= params.coinbase_maturity
