"""Random times whose draws are the same everywhere: integers and comparisons, no logarithm."""

from typing import Final

from drystone.core.chance import Dice

_WORD_BITS: Final = 64
_WORDS: Final = 1 << _WORD_BITS


def unit_exponential(dice: Dice) -> int:
    """Exponentially distributed with mean 1, in units of 2^-64.

    Von Neumann's way: numbers are drawn as long as they fall. If an odd number of them fell, the
    first is the fraction; otherwise one is added, and all begins anew.
    """
    whole = 0
    while True:
        first = last = dice.below(_WORDS)
        fell = 1
        while (word := dice.below(_WORDS)) < last:
            last = word
            fell += 1
        if fell % 2:
            return whole + first
        whole += _WORDS


def exponential_ns(dice: Dice, mean_ns: int) -> int:
    """The time to the next of events that come at random, so many nanoseconds apart on average."""
    return unit_exponential(dice) * mean_ns >> _WORD_BITS
