"""RIPEMD-160 with and without OpenSSL, HASH160, and SipHash."""

import hashlib
import inspect
from collections.abc import Callable
from hashlib import sha256

import pytest

from drystone.crypto.ripemd160 import hash160, ripemd160, ripemd160_in_python
from drystone.crypto.siphash import siphash, siphash_of_hashes


@pytest.mark.parametrize("function", [ripemd160, ripemd160_in_python])
@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
        (b"a", "0bdc9d2d256b3ee9daae347be6f4dc835a467ffe"),
        (b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        (b"message digest", "5d0689ef49d2fae572b881b123a85ffa21595f36"),
        (b"abcdefghijklmnopqrstuvwxyz", "f71c27109c692c1b56bbdceb5b9d2865b3708dbc"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "12a053384a9c0c88e405a06c27dcf49ada62eb2b",
        ),
        (
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "b0e20b6e3116640286ed3a87a5713079b21f5189",
        ),
        (b"1234567890" * 8, "9b752e45573d4b39f4dbd3323cab82bf63326bfb"),
    ],
)
def test_ripemd160_of_its_authors_messages(
    function: Callable[[bytes], bytes], message: bytes, digest: str
) -> None:
    """Source: https://homes.esat.kuleuven.be/~bosselae/ripemd160.html"""
    assert function(message).hex() == digest


@pytest.mark.parametrize("size", [*range(54, 66), 119, 120, 127, 128, 129, 1000])
def test_ripemd160_in_python_is_openssl_s(size: int) -> None:
    message = bytes(i % 251 for i in range(size))
    try:
        expected = hashlib.new("ripemd160", message)
    except ValueError:
        pytest.skip("this OpenSSL has no RIPEMD-160")
    assert ripemd160_in_python(message) == expected.digest()


def test_without_openssl_s_our_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from drystone.crypto.ripemd160 import _fastest

    def refuse(name: str, *args: object, **kwargs: object) -> None:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", refuse)
    assert inspect.unwrap(_fastest()) is ripemd160_in_python


def test_hash160_of_the_first_key() -> None:
    """The public key of the secret 1; BIP173 pays to its hash."""
    key = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    assert hash160(key).hex() == "751e76e8199196d454941c45d1b3a323f1433bd6"
    assert hash160(key) == ripemd160(sha256(key).digest())


KEY = bytes(range(16))
K0, K1 = (int.from_bytes(KEY[i : i + 8], "little") for i in (0, 8))


@pytest.mark.parametrize(
    ("size", "hash_"),
    [
        (0, 0x726FDB47DD0E0E31),
        (1, 0x74F839C593DC67FD),
        (7, 0xAB0200F58B01D137),
        (8, 0x93F5F5799A932462),
        (15, 0xA129CA6149BE45E5),
        (16, 0x3F2ACC7F57C29BDB),
        (63, 0x958A324CEB064572),
    ],
)
def test_siphash_of_the_bytes_from_zero_up(size: int, hash_: int) -> None:
    """Appendix A of the paper has 15 bytes: https://www.aumasson.jp/siphash/siphash.pdf; the others
    are of its authors' vectors.h: https://github.com/veorq/SipHash."""
    assert siphash(K0, K1, bytes(range(size))) == hash_


def test_siphash_depends_on_the_key() -> None:
    assert siphash(K0, K1, b"data") != siphash(K1, K0, b"data")


@pytest.mark.parametrize("count", [0, 1, 2, 511, 512, 513])
def test_siphash_of_many_hashes_is_that_of_each(count: int) -> None:
    hashes = [sha256(bytes((n % 256, n // 256))).digest() for n in range(count)]
    key = (2**64 - 1, 0x0706050403020100)
    assert siphash_of_hashes(*key, hashes) == [siphash(*key, hash_) for hash_ in hashes]


def test_siphash_of_hashes_wants_hashes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        siphash_of_hashes(1, 2, [bytes(32), bytes(31)])
