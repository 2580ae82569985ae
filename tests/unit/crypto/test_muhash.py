"""The numbers of MuHash, on the reference client's test vectors."""

from hashlib import sha256

from drystone.crypto.chacha20 import keystreams
from drystone.crypto.muhash import (
    MODULUS,
    NUMBER_BLOCKS,
    NUMBER_BYTES,
    product,
    quotient_digest,
)
from drystone.primitives.hashes import display

LARGEST = (1 << 3072) - 1


def number(first_byte: int) -> bytes:
    """Of an element of 32 bytes, zeros but for the first. Core: FromInt in crypto_tests.cpp."""
    return keystreams(sha256(bytes((first_byte,)) + bytes(31)).digest(), NUMBER_BLOCKS)


def test_a_digest_is_the_reference_clients() -> None:
    """Core: muhash_tests in src/test/crypto_tests.cpp."""
    digest = quotient_digest(product(number(0) + number(1)), product(number(2)))
    assert display(digest) == "10d312b100cbd32ada024a6646e40d3482fcff103668d2625f10002a607d5863"


def test_a_product_is_the_reference_clients() -> None:
    """ser_exp there: 384 bytes, of which these are the first and the last, and the hash of all."""
    both = (product(number(1) + number(2)) % MODULUS).to_bytes(NUMBER_BYTES, "little")
    assert both[:16].hex() == "1fa093295ea30a6a3acdc7b3f770fa53"
    assert both[-16:].hex() == "519a2f2836b16392e18036cb13e48c5c"
    assert sha256(both).hexdigest() == (
        "29829ecd6c4cc40ba01e3556694e5af4bac5428effc67e65d6471cd8152b8652"
    )


def test_a_number_above_the_modulus_is_reduced() -> None:
    """overflowchk there, whose digest isn't shown reversed."""
    digest = quotient_digest(LARGEST, 1)
    assert digest.hex() == "3a31e6903aff0de9f62f9a9f7f8b861de76ce2cda09822b90014319ae5dc2271"
    assert digest == quotient_digest(LARGEST - MODULUS, 1)


def test_the_product_of_nothing_is_where_it_started() -> None:
    assert product(b"") == 1 and product(b"", 7) == 7


def test_products_stay_short_where_each_number_is_as_large_as_can_be() -> None:
    largest = LARGEST.to_bytes(NUMBER_BYTES, "little")
    result = product(largest * 50)
    assert result.bit_length() <= 3073
    assert result % MODULUS == pow(LARGEST, 50, MODULUS)
    assert product(largest * 25, product(largest * 25)) % MODULUS == result % MODULUS
    from_the_top = product(largest * 2, (1 << 3073) - 1)
    assert from_the_top.bit_length() <= 3073
