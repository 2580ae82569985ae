"""Bech32 (BIP173) and Bech32m (BIP350): text whose checksum notices any four mistakes.

```
bc  1  qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4
|   |  |                               |         data: characters of 5 bits each; of a witness
|   |  data                            checksum  program, its version and then 8 to 13 bits each
|   separator: the last 1
human-readable part
```

Errors are the reference client's sentences, as its `validateaddress` gives them.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

MAX_CHARACTERS: Final = 90
CHECKSUM_CHARACTERS: Final = 6

_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {character: value for value, character in enumerate(_CHARACTERS)}
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


class Checksum(IntEnum):
    """Which of the two, by the constant that each mixes in. Core: bech32::Encoding."""

    BECH32 = 1  # for witness version 0
    BECH32M = 0x2BC830A3  # for versions 1 to 16: Bech32 lets q's slip in before a final p


class Bech32Error(ValueError):
    """Text that is no Bech32. positions: of the characters at fault, as far as they are known."""

    def __init__(self, message: str, positions: Iterable[int] = ()) -> None:
        super().__init__(message)
        self.positions = tuple(positions)


class Decoded(NamedTuple):
    """What a text says, in lower case: the data are values from 0 to 31, without checksum."""

    hrp: str
    data: tuple[int, ...]
    checksum: Checksum


def encode(hrp: str, data: Sequence[int], checksum: Checksum) -> str:
    """The text for values from 0 to 31. hrp: in lower case, 1 to 83 characters from ! to ~."""
    residue = _polymod([*_expanded(hrp), *data, *bytes(CHECKSUM_CHARACTERS)]) ^ checksum
    check_values = (residue >> 5 * (5 - i) & 31 for i in range(CHECKSUM_CHARACTERS))
    return f"{hrp}1" + "".join(_CHARACTERS[value] for value in (*data, *check_values))


def decode(text: str) -> Decoded:
    """Take a text apart, whichever of the two it is. Raises Bech32Error. Core: bech32::Decode."""
    if len(text) > MAX_CHARACTERS:
        raise Bech32Error("Bech32 string too long", range(MAX_CHARACTERS, len(text)))
    _check_characters(text)
    hrp, separator, encoded = text.lower().rpartition("1")
    if not separator:
        raise Bech32Error("Missing separator")
    if not hrp or len(encoded) < CHECKSUM_CHARACTERS:
        raise Bech32Error("Invalid separator position", [len(hrp)])
    values = [_VALUES.get(character, -1) for character in encoded]
    if -1 in values:
        raise Bech32Error("Invalid Base 32 character", [len(hrp) + 1 + values.index(-1)])
    residue = _polymod([*_expanded(hrp), *values])
    if residue not in list(Checksum):
        raise _checksum_error(residue, len(values), len(text))
    return Decoded(hrp, tuple(values[:-CHECKSUM_CHARACTERS]), Checksum(residue))


def _check_characters(text: str) -> None:
    """Printable ASCII, and letters all of the case that the first one has."""
    letters = [character for character in text if character.isascii() and character.isalpha()]
    upper = bool(letters) and letters[0].isupper()
    wrong = [
        position
        for position, character in enumerate(text)
        if not "!" <= character <= "~" or (character.isalpha() and character.isupper() != upper)
    ]
    if wrong:
        raise Bech32Error("Invalid character or mixed case", wrong)


def _expanded(hrp: str) -> list[int]:
    """The human-readable part as the checksum takes it in: high bits, zero, low bits."""
    codes = [ord(character) for character in hrp]
    return [code >> 5 for code in codes] + [0] + [code & 31 for code in codes]


def _polymod(values: Iterable[int], residue: int = 1) -> int:
    """The remainder of a polynomial over 32 elements, by the generator of degree six."""
    for value in values:
        top = residue >> 25
        residue = (residue & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                residue ^= generator
    return residue


# Which characters are wrong. The remainder is linear: a wrong character adds what depends on its
# place and on the difference only. So one or two mistakes are found by what they would add.


def _checksum_error(residue: int, values: int, characters: int) -> Bech32Error:
    """With the positions of one or two mistakes, if that explains it. Core: LocateErrors.

    What the right characters would be is not told: a wrong address that looks mended is worse.
    """
    found: tuple[int, ...] = ()
    name = "Invalid checksum"
    for checksum, sentence in (
        (Checksum.BECH32, "Invalid Bech32 checksum"),
        (Checksum.BECH32M, "Invalid Bech32m checksum"),
    ):
        mistakes = _locate_mistakes(residue ^ checksum, values)
        if mistakes and (not found or len(mistakes) < len(found)):
            found, name = mistakes, sentence
    return Bech32Error(name, sorted(characters - 1 - place for place in found))


def _locate_mistakes(surplus: int, values: int) -> tuple[int, ...]:
    """Places, counted from the end, of the one or two mistakes that add this surplus, if any."""
    added = {}
    shifted = [1 << bit for bit in range(5)]  # what each bit of a difference adds at this place
    for place in range(values):
        for difference in range(1, 32):
            total = 0
            for bit, term in enumerate(shifted):
                if difference >> bit & 1:
                    total ^= term
            added[total] = place
        shifted = [_polymod([0], term) for term in shifted]
    if surplus in added:
        return (added[surplus],)
    for total, place in added.items():
        other = added.get(surplus ^ total)
        if other is not None and other != place:
            return (place, other)
    return ()


def to_five_bits(data: bytes) -> tuple[int, ...]:
    """Bytes as values of five bits, zero bits filling up the last."""
    bits = len(data) * 8
    padding = -bits % 5
    number = int.from_bytes(data, "big") << padding
    return tuple(number >> shift & 31 for shift in range(bits + padding - 5, -1, -5))


def from_five_bits(values: Sequence[int]) -> bytes:
    """Values of five bits as bytes: fewer than five bits are left over, all zero.

    Raises Bech32Error.
    """
    number = 0
    for value in values:
        number = number << 5 | value
    padding = len(values) * 5 % 8
    if padding >= 5 or number & ((1 << padding) - 1):
        raise Bech32Error("Invalid padding in Bech32 data section")
    return (number >> padding).to_bytes(len(values) * 5 // 8, "big")
