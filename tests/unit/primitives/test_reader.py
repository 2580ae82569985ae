"""The cursor over bytes, and the sizes that it never trusts."""

from collections.abc import Callable

import pytest

from drystone.primitives.amount import COIN, MAX_MONEY, is_money
from drystone.primitives.codec import (
    MAX_SIZE,
    DecodeError,
    Malformed,
    Reader,
    Truncated,
    compact_size,
    i32,
    i64,
    u16,
    u32,
    u64,
    var_bytes,
)
from drystone.primitives.hashes import display, from_display, sha256d, tagged_hash


@pytest.mark.parametrize(
    ("size", "encoded"),
    [
        (0, "00"),
        (0xFC, "fc"),
        (0xFD, "fdfd00"),
        (0xFFFF, "fdffff"),
        (0x10000, "fe00000100"),
        (0xFFFFFFFF, "feffffffff"),
        (0x100000000, "ff0000000001000000"),
        (2**64 - 1, "ffffffffffffffffff"),
    ],
)
def test_a_compact_size_takes_1_3_5_or_9_bytes(size: int, encoded: str) -> None:
    assert compact_size(size).hex() == encoded
    r = Reader(bytes.fromhex(encoded))
    assert r.compact_size(limit=2**64 - 1) == size
    r.finish()


@pytest.mark.parametrize(
    "encoded",
    ["fd0000", "fdfc00", "fe00000000", "feffff0000", "ff" + "00" * 8, "ffffffffff00000000"],
)
def test_a_compact_size_longer_than_it_needs_to_be_is_malformed(encoded: str) -> None:
    with pytest.raises(Malformed, match="written in"):
        Reader(bytes.fromhex(encoded)).compact_size(limit=2**64 - 1)


@pytest.mark.parametrize("encoded", ["", "fd", "fdff", "fe000001", "ff00000000010000"])
def test_a_compact_size_that_ends_early_is_truncated(encoded: str) -> None:
    with pytest.raises(Truncated):
        Reader(bytes.fromhex(encoded)).compact_size()


def test_nothing_is_longer_than_32_mebibytes() -> None:
    assert MAX_SIZE == 32 * 1024 * 1024
    assert Reader(compact_size(MAX_SIZE)).compact_size() == MAX_SIZE
    with pytest.raises(Malformed, match=f"a length of {MAX_SIZE + 1}, at most {MAX_SIZE}"):
        Reader(compact_size(MAX_SIZE + 1)).compact_size()


def test_a_limit_comes_before_the_bytes() -> None:
    """More of them would not help, so this is no truncation."""
    with pytest.raises(Malformed):
        Reader(compact_size(11)).var_bytes(limit=10)
    with pytest.raises(Truncated):
        Reader(compact_size(10)).var_bytes(limit=10)
    assert Reader(var_bytes(bytes(10))).var_bytes(limit=10) == bytes(10)


@pytest.mark.parametrize(
    ("encode", "read", "least", "most"),
    [
        (u16, Reader.u16, 0, 2**16 - 1),
        (u32, Reader.u32, 0, 2**32 - 1),
        (u64, Reader.u64, 0, 2**64 - 1),
        (i32, Reader.i32, -(2**31), 2**31 - 1),
        (i64, Reader.i64, -(2**63), 2**63 - 1),
    ],
)
def test_integers_are_little_endian(
    encode: Callable[[int], bytes], read: Callable[[Reader], int], least: int, most: int
) -> None:
    for value in (least, least + 1, 0, 1, most - 1, most):
        data = encode(value)
        assert data == value.to_bytes(len(data), "little", signed=least < 0)
        assert read(Reader(data)) == value
        with pytest.raises(Truncated):
            read(Reader(data[:-1]))


def test_a_read_that_fails_takes_nothing() -> None:
    r = Reader(b"abc")
    for read in (lambda: r.take(4), r.u32, r.u64, r.i32, r.i64):
        with pytest.raises(Truncated):
            read()
    assert r.left == 3
    assert [r.u8(), r.u16()] == [ord("a"), 0x6362]
    with pytest.raises(Truncated):
        r.u8()


def test_leftovers_are_malformed() -> None:
    r = Reader(b"abc", offset=1)
    assert (r.left, r.take(1)) == (2, b"b")
    with pytest.raises(Malformed, match="1 bytes after the end"):
        r.finish()
    assert r.take(1) == b"c"
    r.finish()


def test_both_errors_are_one_kind() -> None:
    assert issubclass(Truncated, DecodeError) and issubclass(Malformed, DecodeError)
    assert not issubclass(Truncated, Malformed)
    assert issubclass(DecodeError, ValueError)


# Hashes.


def test_a_hash_is_shown_reversed() -> None:
    hash_ = sha256d(b"hello")
    assert hash_.hex() == "9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50"
    assert display(hash_) == hash_[::-1].hex()
    assert from_display(display(hash_)) == hash_


@pytest.mark.parametrize(
    "text", ["", "00", "0" * 63, "0" * 65, "g" * 64, "é" * 64, " " * 64, "00 " * 21 + "0"]
)
def test_only_64_hex_digits_are_a_hash(text: str) -> None:
    with pytest.raises(ValueError, match="hex"):
        from_display(text)


def test_a_tag_sets_hashes_apart() -> None:
    from hashlib import sha256

    tag = sha256(b"TapLeaf").digest()
    for _ in range(2):
        assert tagged_hash("TapLeaf", b"data") == sha256(tag + tag + b"data").digest()
    assert tagged_hash("TapTweak", b"data") != tagged_hash("TapLeaf", b"data")


# Amounts.


@pytest.mark.parametrize(
    ("value", "fits"), [(-1, False), (0, True), (MAX_MONEY, True), (MAX_MONEY + 1, False)]
)
def test_there_are_21_million_coins_at_most(value: int, *, fits: bool) -> None:
    assert MAX_MONEY == 21_000_000 * COIN == 2_100_000_000_000_000
    assert is_money(value) is fits
