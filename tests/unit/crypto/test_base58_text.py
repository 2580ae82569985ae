"""Base58 and Base58Check beyond the vectors: what is refused, and why."""

import pytest

from drystone.crypto.base58 import (
    ALPHABET,
    Base58Error,
    decode,
    decode_check,
    encode,
    encode_check,
)


def test_the_alphabet_leaves_out_what_looks_alike() -> None:
    assert len(set(ALPHABET)) == 58
    assert set("0OIl").isdisjoint(ALPHABET)


@pytest.mark.parametrize("text", ["0", "I", "l", "O", "1 ", " 1", "\t1", "-", "ä", "1\0"])
def test_a_character_out_of_the_alphabet_is_named(text: str) -> None:
    with pytest.raises(Base58Error, match=r"at position .* is no Base58 character"):
        decode(text, max_bytes=100)


@pytest.mark.parametrize("data", [b"", b"\0", bytes(5), b"\0\0a", b"\xff" * 25, bytes(24) + b"a"])
def test_the_limit_is_exact(data: bytes) -> None:
    assert decode(encode(data), max_bytes=len(data)) == data
    if data:
        with pytest.raises(Base58Error):
            decode(encode(data), max_bytes=len(data) - 1)


def test_a_long_text_is_refused_before_it_is_read() -> None:
    with pytest.raises(Base58Error, match="1000000 characters of Base58 are more than 25 bytes"):
        decode("z" * 1_000_000, max_bytes=25)


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0" + bytes(20), bytes(range(34))])
def test_a_payload_comes_back(payload: bytes) -> None:
    assert decode_check(encode_check(payload), max_bytes=len(payload)) == payload


@pytest.mark.parametrize("text", ["", "1", "111", encode(b"abcd"), encode(b"abcde")])
def test_a_checksum_that_does_not_match_is_refused(text: str) -> None:
    with pytest.raises(Base58Error, match="the Base58 checksum doesn't match"):
        decode_check(text, max_bytes=100)


def test_every_character_counts() -> None:
    text = encode_check(b"\0" + bytes(range(20)))
    for position, character in enumerate(text):
        other = "2" if character != "2" else "3"
        with pytest.raises(Base58Error):
            decode_check(text[:position] + other + text[position + 1 :], max_bytes=21)
