"""Chance that can be replayed: a stream of random numbers per (seed, who, what for).

Python promises only `random()` to be the same in every version, and a shared generator makes one
consumer's draws depend on another's. So each consumer has its own stream, named by what it is for,
and every draw is integer arithmetic on SHA-256 of a counter.
"""

from hashlib import sha256
from typing import Protocol

_WORD_BYTES = 8
_WORDS_PER_BLOCK = 32 // _WORD_BYTES


class Dice(Protocol):
    """What a core asks of chance."""

    def below(self, bound: int) -> int:
        """An integer from 0 to bound - 1, each as likely."""

    def happens(self, probability: float) -> bool:
        """True with the given probability, 0 to 1."""


class Stream:
    """A counter-based stream: the n-th draw is SHA-256(key, n), the key SHA-256(seed, labels).

    Equal seeds and labels give equal draws, whatever the process, hash seed or Python version.
    """

    def __init__(self, seed: int, *labels: str | int) -> None:
        named = "/".join([str(seed), *map(_escaped, labels)])
        self._key = sha256(named.encode()).digest()
        self._counter = 0
        self._words: list[int] = []

    def word(self) -> int:
        """The next 64 random bits."""
        if not self._words:
            block = sha256(self._key + self._counter.to_bytes(8, "little")).digest()
            self._counter += 1
            self._words = [
                int.from_bytes(block[at : at + _WORD_BYTES], "little")
                for at in range(0, _WORDS_PER_BLOCK * _WORD_BYTES, _WORD_BYTES)
            ]
        return self._words.pop()

    def skip(self, words: int) -> None:
        """Leave words out, as if they had been drawn. It takes no longer for many."""
        at_hand = min(words, len(self._words))
        del self._words[len(self._words) - at_hand :]
        self._counter += (words - at_hand) // _WORDS_PER_BLOCK
        for _ in range((words - at_hand) % _WORDS_PER_BLOCK):
            self.word()

    def below(self, bound: int) -> int:
        """An integer from 0 to bound - 1, each exactly as likely. bound: 1 to 2^64."""
        if not 1 <= bound <= 1 << 64:
            raise ValueError(f"bound must be between 1 and 2^64, not {bound}")
        fair = (1 << 64) - (1 << 64) % bound  # words from here up would favour small results
        while (word := self.word()) >= fair:
            pass
        return word % bound

    def happens(self, probability: float) -> bool:
        """True with the given probability, 0 to 1, to within 2^-53."""
        return self.word() >> 11 < probability * (1 << 53)


def _escaped(label: str | int) -> str:
    """A label without a bare slash, so that ("a/b") and ("a", "b") name different streams."""
    return str(label).replace("\\", "\\\\").replace("/", "\\/")
