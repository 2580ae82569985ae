"""MuHash3072: a hash of a set, to which elements can be added and from which they can be taken.

Each element stands for a number of 3,072 bits, and a set for the product of its elements' numbers.
The order in which they came is gone, and dividing takes one away (Bellare and Micciancio 1997;
Core: MuHash3072):

```
element   SHA-256                      32 bytes
          ChaCha20, that being the key 384 bytes, read as a little-endian number
set       product / product of what was taken, modulo 2^3072 - 1103717
digest    SHA-256 of the set's number in 384 little-endian bytes
```

Only the numbers are here. Who makes keystreams fast is `kernel`.
"""

from hashlib import sha256
from typing import Final

from drystone.crypto.chacha20 import BLOCK_BYTES

NUMBER_BYTES: Final = 384
NUMBER_BLOCKS: Final = NUMBER_BYTES // BLOCK_BYTES  # of keystream

_BITS = 3072
_SHORT_OF = 1_103_717
MODULUS: Final = (1 << _BITS) - _SHORT_OF  # the largest safe prime of so many bits

_LOW = (1 << _BITS) - 1


def product(numbers: bytes, start: int = 1) -> int:
    """The product of start and many numbers, below 2^3073 but not always below the modulus.

    numbers: 384 bytes each, joined. start: as this function returns it.
    """
    result = start
    for at in range(0, len(numbers), NUMBER_BYTES):
        result *= int.from_bytes(numbers[at : at + NUMBER_BYTES], "little")
        # 2^3072 counts as 1,103,717 here, so the upper half can be folded into the lower one. After
        # two folds it is empty but for a bit; to divide would take twenty times as long.
        result = (result & _LOW) + (result >> _BITS) * _SHORT_OF
        result = (result & _LOW) + (result >> _BITS) * _SHORT_OF
    return result


def quotient_digest(numerator: int, denominator: int) -> bytes:
    """The digest of a set: 32 bytes in hash order, which people see reversed.

    numerator: of what was added. denominator: of what was taken away.
    """
    number = numerator * pow(denominator, -1, MODULUS) % MODULUS
    return sha256(number.to_bytes(NUMBER_BYTES, "little")).digest()
