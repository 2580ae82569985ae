"""ECDSA as blocks have had it: lax encodings, high s, hybrid keys; and signing."""

import ctypes
from hashlib import sha256

import pytest

from drystone.crypto.secp256k1 import (
    ORDER,
    compact_from_der,
    is_low_s,
    is_public_key,
    is_secret,
    native_functions,
    public_key,
    sign_ecdsa,
    verify_ecdsa,
)

SECRET = sha256(b"a secret").digest()
DIGEST = sha256(b"a message").digest()
KEY = public_key(SECRET)
LONG_KEY = public_key(SECRET, compressed=False)


def der(r: bytes, s: bytes) -> bytes:
    """As it comes: nothing is padded or shortened."""
    body = b"\x02" + bytes((len(r),)) + r + b"\x02" + bytes((len(s),)) + s
    return b"\x30" + bytes((len(body),)) + body


def integer(value: int) -> bytes:
    """A DER integer's contents: the shortest with the first bit clear."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def halves(signature: bytes) -> tuple[int, int]:
    compact = compact_from_der(signature)
    assert compact is not None
    return int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:], "big")


def signature_where_r_has_its_first_bit_set() -> tuple[bytes, bytes]:
    """A digest and the signature of it, r 33 bytes long in DER."""
    digest = DIGEST
    while halves(sign_ecdsa(SECRET, digest, low_r=False))[0] < 1 << 255:
        digest = sha256(digest).digest()
    return digest, sign_ecdsa(SECRET, digest, low_r=False)


# Verifying.


@pytest.mark.parametrize("key", [KEY, LONG_KEY])
def test_a_signature_is_valid_for_its_key_and_digest_only(key: bytes) -> None:
    signature = sign_ecdsa(SECRET, DIGEST)
    assert verify_ecdsa(key, DIGEST, signature)
    assert not verify_ecdsa(key, sha256(DIGEST).digest(), signature)
    assert not verify_ecdsa(public_key(DIGEST), DIGEST, signature)


def test_a_known_signature_comes_out() -> None:
    """RFC 6979 with secp256k1 and SHA-256: a secret of 1 signs "Satoshi Nakamoto".

    Source: https://bitcointalk.org/index.php?topic=285142.40
    """
    digest = sha256(b"Satoshi Nakamoto").digest()
    assert halves(sign_ecdsa(b"\1".rjust(32, b"\0"), digest, low_r=False)) == (
        0x934B1EA10A4B3C1757E2B0C017D0B6143CE3C9A7E6A4A49860D7A6AB210EE3D8,
        0x2442CE9D2B916064108014783E923EC36B49743E2FFA1C4496F01A512AAFD9E5,
    )


def test_a_high_s_is_as_good() -> None:
    r, s = halves(sign_ecdsa(SECRET, DIGEST))
    high = der(integer(r), integer(ORDER - s))
    assert verify_ecdsa(KEY, DIGEST, high)
    assert not is_low_s(high)
    assert is_low_s(der(integer(r), integer(s)))


def test_a_hybrid_key_is_as_good_if_its_parity_is_right() -> None:
    signature = sign_ecdsa(SECRET, DIGEST)
    parity = LONG_KEY[-1] & 1
    assert verify_ecdsa(bytes((6 + parity,)) + LONG_KEY[1:], DIGEST, signature)
    assert not verify_ecdsa(bytes((7 - parity,)) + LONG_KEY[1:], DIGEST, signature)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\x02",
        KEY[:-1],
        KEY + b"\0",
        b"\x04" + KEY[1:],
        b"\x05" + KEY[1:],
        LONG_KEY[:-1],
        b"\x02" + LONG_KEY[1:],
        LONG_KEY[:-1] + bytes((LONG_KEY[-1] ^ 1,)),
        b"\x02" + bytes(32),
        b"\x02" + b"\xff" * 32,
        bytes(65),
    ],
)
def test_what_is_no_key_verifies_nothing(key: bytes) -> None:
    assert not is_public_key(key)
    assert not verify_ecdsa(key, DIGEST, sign_ecdsa(SECRET, DIGEST))


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (0, 0), (ORDER, 1), (1, ORDER)])
def test_numbers_out_of_range_are_no_signature(r: int, s: int) -> None:
    assert not verify_ecdsa(KEY, DIGEST, der(integer(r), integer(s)))


def test_a_digest_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="a digest has 32 bytes, not 31"):
        verify_ecdsa(KEY, DIGEST[:31], sign_ecdsa(SECRET, DIGEST))


# What was DER before BIP66.


def test_lengths_may_take_more_bytes_than_they_need() -> None:
    r, s = (integer(number) for number in halves(sign_ecdsa(SECRET, DIGEST)))
    for length_of_r in (b"\x81" + bytes((len(r),)), b"\x84" + bytes(3) + bytes((len(r),))):
        lax = b"\x30\x00\x02" + length_of_r + r + b"\x02\x81" + bytes((len(s),)) + s
        assert verify_ecdsa(KEY, DIGEST, lax)


def test_a_length_may_begin_with_many_zeros_but_not_have_four_bytes_more() -> None:
    r, s = (integer(number) for number in halves(sign_ecdsa(SECRET, DIGEST)))
    tail = b"\x02" + bytes((len(s),)) + s
    assert verify_ecdsa(KEY, DIGEST, b"\x30\x00\x02\xa8" + bytes(39) + bytes((len(r),)) + r + tail)
    assert compact_from_der(b"\x30\x00\x02\x84\x01\0\0\0" + r + tail) is None


@pytest.mark.parametrize("outer", [b"\x30\x00", b"\x30\x7f", b"\x30\x80", b"\x30\x82\xff\xff"])
def test_the_outer_length_is_not_looked_at(outer: bytes) -> None:
    signature = sign_ecdsa(SECRET, DIGEST)
    assert verify_ecdsa(KEY, DIGEST, outer + signature[2:])


def test_bytes_after_the_end_are_not_looked_at() -> None:
    assert verify_ecdsa(KEY, DIGEST, sign_ecdsa(SECRET, DIGEST) + b"garbage")


def test_numbers_may_be_padded_with_zeros() -> None:
    r, s = halves(sign_ecdsa(SECRET, DIGEST))
    assert verify_ecdsa(KEY, DIGEST, der(bytes(9) + integer(r), bytes(30) + integer(s)))


def test_numbers_may_be_negative_by_their_first_bit() -> None:
    digest, signature = signature_where_r_has_its_first_bit_set()
    r, s = halves(signature)
    negative = der(r.to_bytes(32, "big"), integer(s))
    assert negative[4] & 0x80
    assert verify_ecdsa(KEY, digest, negative)


@pytest.mark.parametrize(
    "not_der",
    [
        b"",
        b"\x30",
        b"\x31\x06\x02\x01\x01\x02\x01\x01",
        b"\x30\x06\x03\x01\x01\x02\x01\x01",
        b"\x30\x06\x02\x01\x01\x03\x01\x01",
        b"\x30\x06\x02\x01\x01",
        b"\x30\x06\x02\x01\x01\x02",
        b"\x30\x06\x02\x01\x01\x02\x02\x01",
        b"\x30\x06\x02\x05\x01\x02\x01\x01",
        b"\x30\x83\x00",
        b"\x30\x06\x02\x81",
        b"\x30\x06\x02\x83\x00\x00",
    ],
)
def test_what_is_not_even_that_is_none(not_der: bytes) -> None:
    assert compact_from_der(not_der) is None
    assert not verify_ecdsa(KEY, DIGEST, not_der)
    assert not is_low_s(not_der)


def test_numbers_of_more_than_256_bits_come_out_as_zero() -> None:
    assert compact_from_der(der(b"\1" + bytes(32), b"\1")) == bytes(64)
    assert compact_from_der(der(b"\1", b"\1" + bytes(32))) == bytes(64)
    assert is_low_s(der(b"\1", b"\1" + bytes(32)))
    assert is_low_s(der(b"\1", integer(ORDER)))  # no number of the group, so zero


# Signing.


def test_signatures_have_low_s_and_low_r() -> None:
    """71 bytes with the hash type at most; without low r, every other would have one more."""
    digests = [sha256(bytes((i,))).digest() for i in range(32)]
    signatures = [sign_ecdsa(SECRET, digest) for digest in digests]
    assert all(len(signature) <= 70 and is_low_s(signature) for signature in signatures)
    assert any(len(sign_ecdsa(SECRET, digest, low_r=False)) == 71 for digest in digests)


def test_a_signature_is_a_function_of_secret_and_digest() -> None:
    assert sign_ecdsa(SECRET, DIGEST) == sign_ecdsa(SECRET, DIGEST)


@pytest.mark.parametrize(
    "not_secret",
    [b"", bytes(31), bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32, SECRET + b"\0"],
)
def test_what_is_no_secret_signs_nothing(not_secret: bytes) -> None:
    assert not is_secret(not_secret)
    with pytest.raises(ValueError, match="a secret is 32 bytes"):
        sign_ecdsa(not_secret, DIGEST)
    with pytest.raises(ValueError, match="a secret is 32 bytes"):
        public_key(not_secret)


# For native code.


def test_native_code_can_call_the_library_by_its_addresses() -> None:
    addresses = native_functions()
    assert all(addresses.values())
    context = ctypes.c_void_p(addresses["secp256k1_context_static"])
    pointer = ctypes.c_char_p
    returns_int = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p, pointer, pointer, pointer])
    parse_key = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, pointer, pointer, ctypes.c_size_t)(
        addresses["secp256k1_ec_pubkey_parse"]
    )
    parse_compact = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, pointer, pointer)(
        addresses["secp256k1_ecdsa_signature_parse_compact"]
    )
    verify = returns_int(addresses["secp256k1_ecdsa_verify"])
    compact = compact_from_der(sign_ecdsa(SECRET, DIGEST))
    key, signature = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
    assert parse_key(context, key, KEY, len(KEY)) == 1
    assert parse_compact(context, signature, compact) == 1
    assert verify(context, signature, DIGEST, key) == 1
    assert verify(context, signature, bytes(32), key) == 0
