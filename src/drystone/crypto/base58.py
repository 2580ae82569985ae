"""Base58 and Base58Check: bytes as text without 0, O, I and l, which people mistake for others.

The bytes are one big-endian number, written to base 58; each leading zero byte is a leading 1.
"""

from typing import Final

from drystone.primitives.hashes import sha256d

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
CHECKSUM_BYTES: Final = 4

_DIGITS = {character: digit for digit, character in enumerate(ALPHABET)}


class Base58Error(ValueError):
    """Text that is no Base58, too long, or whose checksum doesn't match."""


def encode(data: bytes) -> str:
    """The text that stands for some bytes. Takes time with the square of their number."""
    number = int.from_bytes(data, "big")
    characters = []
    while number:
        number, digit = divmod(number, 58)
        characters.append(ALPHABET[digit])
    leading_zeros = len(data) - len(data.lstrip(b"\0"))
    return ALPHABET[0] * leading_zeros + "".join(reversed(characters))


def decode(text: str, max_bytes: int) -> bytes:
    """The bytes that text stands for, at most so many: more are refused before much is computed.

    The reference client skips white space around the text; here it is an error like any other.
    Raises Base58Error.
    """
    if len(text) > max_bytes * 7 // 5 + 1:  # 1.37 characters to the byte, or one
        raise Base58Error(f"{len(text)} characters of Base58 are more than {max_bytes} bytes")
    number = 0
    for position, character in enumerate(text):
        digit = _DIGITS.get(character)
        if digit is None:
            raise Base58Error(f"{character!r} at position {position} is no Base58 character")
        number = number * 58 + digit
    leading_ones = len(text) - len(text.lstrip(ALPHABET[0]))
    data = bytes(leading_ones) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    if len(data) > max_bytes:
        raise Base58Error(f"{len(data)} bytes in Base58, at most {max_bytes} are allowed")
    return data


def encode_check(payload: bytes) -> str:
    """Base58 of the payload and four bytes of its double SHA-256."""
    return encode(payload + _checksum(payload))


def decode_check(text: str, max_bytes: int) -> bytes:
    """The payload, at most so many bytes without its checksum. Raises Base58Error."""
    data = decode(text, max_bytes + CHECKSUM_BYTES)
    payload, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    if _checksum(payload) != checksum:
        raise Base58Error("the Base58 checksum doesn't match")
    return payload


def _checksum(payload: bytes) -> bytes:
    return sha256d(payload)[:CHECKSUM_BYTES]
