"""A digest of all coins, whatever their order: the MuHash of gettxoutsetinfo.

A coin is an element of these bytes (Core: TxOutSer):

```
txid (32) | vout (4) | 2 x height, plus 1 if of a coinbase (4) | amount (8) | script with its length
```
"""

from collections.abc import Iterable
from hashlib import sha256
from itertools import islice
from struct import Struct
from typing import Final

from drystone.consensus.coins import Coin
from drystone.crypto.muhash import MODULUS, NUMBER_BLOCKS, product, quotient_digest
from drystone.kernel.keystream import keystreams
from drystone.primitives.codec import var_bytes
from drystone.primitives.transaction import OutPoint

_AT_ONCE: Final = 1024  # elements, which are 384 KiB of keystream
_COIN = Struct("<32sIIq")


def coins_digest(coins: Iterable[tuple[OutPoint, Coin]]) -> bytes:
    """32 bytes in hash order; gettxoutsetinfo shows them reversed. coins: each once, in any order.

    Core: ComputeUTXOStats with CoinStatsHashType::MUHASH.
    """
    digest = MuHash()
    digest.insert(coin_element(outpoint, coin) for outpoint, coin in coins)
    return digest.digest()


def coin_element(outpoint: OutPoint, coin: Coin) -> bytes:
    """What of a coin goes into the digest."""
    output = coin.output
    code = 2 * coin.height + coin.is_coinbase
    return _COIN.pack(*outpoint, code, output.value) + var_bytes(output.script_pubkey)


class MuHash:
    """The digest of a set that changes (Core: MuHash3072).

    What it was given in which order doesn't matter, nor whether something was taken away before it
    was added. An element added twice counts twice.
    """

    def __init__(self) -> None:
        self.numerator = 1
        self.denominator = 1

    def insert(self, elements: Iterable[bytes]) -> None:
        """Add elements: bytes of any length each."""
        self.numerator = _multiplied(self.numerator, elements)

    def remove(self, elements: Iterable[bytes]) -> None:
        """Take elements away."""
        self.denominator = _multiplied(self.denominator, elements)

    def union(self, other: "MuHash") -> None:
        """Add what the other had added, and take away what it had taken."""
        self.numerator = self.numerator * other.numerator % MODULUS
        self.denominator = self.denominator * other.denominator % MODULUS

    def digest(self) -> bytes:
        """32 bytes in hash order. Of an empty set, too; nothing changes."""
        return quotient_digest(self.numerator, self.denominator)


def _multiplied(number: int, elements: Iterable[bytes]) -> int:
    rest = iter(elements)
    while keys := b"".join([sha256(element).digest() for element in islice(rest, _AT_ONCE)]):
        number = product(keystreams(keys, NUMBER_BLOCKS), number)
    return number
