"""Bech32 and Bech32m: the strings of BIP173 and BIP350, and where mistakes are.

Sources: the sections "Test vectors" of https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki
and bip-0350.mediawiki there. The sentences are Bitcoin Core's, of src/bech32.cpp.
"""

import pytest

from drystone.crypto.bech32 import (
    Bech32Error,
    Checksum,
    decode,
    encode,
    from_five_bits,
    to_five_bits,
)

LONG_PART = "an83characterlonghumanreadablepartthatcontainsthe"

VALID_BECH32 = (
    "A12UEL5L",
    "a12uel5l",
    LONG_PART + "number1andtheexcludedcharactersbio1tt5tgs",
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
    "11" + 82 * "q" + "c8247j",
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
    "?1ezyfcl",
)
VALID_BECH32M = (
    "A1LQFN3A",
    "a1lqfn3a",
    LONG_PART + "theexcludedcharactersbioandnumber11sg7hg6",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "11" + 82 * "l" + "ludsr8",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
    "?1v759aa",
)


@pytest.mark.parametrize("text", VALID_BECH32)
def test_the_strings_of_bip173_are_bech32(text: str) -> None:
    hrp, data, checksum = decode(text)
    assert checksum is Checksum.BECH32
    assert encode(hrp, data, checksum) == text.lower()


@pytest.mark.parametrize("text", VALID_BECH32M)
def test_the_strings_of_bip350_are_bech32m(text: str) -> None:
    hrp, data, checksum = decode(text)
    assert checksum is Checksum.BECH32M
    assert encode(hrp, data, checksum) == text.lower()


def test_all_values_are_in_their_order() -> None:
    assert decode("abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw").data == tuple(range(32))


@pytest.mark.parametrize(
    ("text", "message", "positions"),
    [
        # BIP173.
        (" 1nwldj5", "Invalid character or mixed case", [0]),
        ("\x7f1axkwrx", "Invalid character or mixed case", [0]),
        ("\x801eym55h", "Invalid character or mixed case", [0]),
        (
            (
                "an84characterslonghumanreadablepartthatcontainsthe"
                "number1andtheexcludedcharactersbio1569pvx"
            ),
            "Bech32 string too long",
            [90],
        ),
        ("pzry9x0s0muk", "Missing separator", []),
        ("1pzry9x0s0muk", "Invalid separator position", [0]),
        ("x1b4n0q5v", "Invalid Base 32 character", [2]),
        ("li1dgmt3", "Invalid separator position", [2]),
        ("de1lg7wt\xff", "Invalid character or mixed case", [8]),
        ("A1G7SGD8", "Invalid checksum", []),
        ("10a06t8", "Invalid separator position", [0]),
        ("1qzzfhee", "Invalid separator position", [0]),
        # BIP350, and two strings with mistakes from Bitcoin Core's src/test/bech32_tests.cpp.
        (" 1xj0phk", "Invalid character or mixed case", [0]),
        ("\x7f1g6xzxy", "Invalid character or mixed case", [0]),
        ("\x801vctc34", "Invalid character or mixed case", [0]),
        (
            (
                "an84characterslonghumanreadablepartthatcontainsthe"
                "theexcludedcharactersbioandnumber11d6pts4"
            ),
            "Bech32 string too long",
            [90],
        ),
        ("qyrz8wqd2c9m", "Missing separator", []),
        ("1qyrz8wqd2c9m", "Invalid separator position", [0]),
        ("y1b0jsk6g", "Invalid Base 32 character", [2]),
        ("lt1igcx5c0", "Invalid Base 32 character", [3]),
        ("in1muywd", "Invalid separator position", [2]),
        ("mm1crxm3i", "Invalid Base 32 character", [8]),
        ("au1s5cgom", "Invalid Base 32 character", [7]),
        ("M1VUXWEZ", "Invalid checksum", []),
        ("16plkw9", "Invalid separator position", [0]),
        ("1p2gdwpf", "Invalid separator position", [0]),
        ("abcdef1l7aum6echk45nj2s0wdvt2fg8x9yrzpqzd3ryx", "Invalid Bech32m checksum", [21]),
        ("test1zg69v7y60n00qy352euf40x77qcusag6", "Invalid Bech32m checksum", [13, 32]),
        # Ours.
        ("", "Missing separator", []),
        ("1", "Invalid separator position", [0]),
        ("aB1cD", "Invalid character or mixed case", [1, 4]),
        ("Ab1Cd", "Invalid character or mixed case", [1, 4]),
        ("a12uel5\N{CYRILLIC SMALL LETTER A}", "Invalid character or mixed case", [7]),
    ],
)
def test_anything_else_says_why_and_where(text: str, message: str, positions: list[int]) -> None:
    with pytest.raises(Bech32Error) as caught:
        decode(text)
    assert str(caught.value) == message
    assert caught.value.positions == tuple(positions)


ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


@pytest.mark.parametrize("position", range(3, len(ADDRESS)))
def test_one_mistake_is_found(position: int) -> None:
    wrong = "q" if ADDRESS[position] != "q" else "p"
    with pytest.raises(Bech32Error, match="Invalid Bech32 checksum") as caught:
        decode(ADDRESS[:position] + wrong + ADDRESS[position + 1 :])
    assert caught.value.positions == (position,)


@pytest.mark.parametrize("gap", range(1, len(ADDRESS) - 3))
def test_two_mistakes_are_found(gap: int) -> None:
    characters = list(ADDRESS)
    for position in (3, 3 + gap):
        characters[position] = "q" if characters[position] != "q" else "p"
    with pytest.raises(Bech32Error, match="Invalid Bech32 checksum") as caught:
        decode("".join(characters))
    assert caught.value.positions == (3, 3 + gap)


def test_bech32_lets_a_q_in_before_a_final_p_and_bech32m_does_not() -> None:
    """The weakness that BIP350 mends."""
    weak = next(
        text
        for value in range(32)
        for text in [encode("a", [value], Checksum.BECH32)]
        if text.endswith("p")
    )
    assert decode(weak[:-1] + "q" + "p").checksum is Checksum.BECH32
    strong = next(
        text
        for value in range(32)
        for text in [encode("a", [value], Checksum.BECH32M)]
        if text.endswith("p")
    )
    with pytest.raises(Bech32Error):
        decode(strong[:-1] + "q" + "p")


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ("", []),
        ("00", [0, 0]),
        ("ff", [31, 28]),
        ("f800", [31, 0, 0, 0]),
        ("0123456789", [0, 4, 17, 20, 10, 25, 28, 9]),
    ],
)
def test_bytes_become_values_of_five_bits(data: str, values: list[int]) -> None:
    assert list(to_five_bits(bytes.fromhex(data))) == values
    assert from_five_bits(values) == bytes.fromhex(data)


@pytest.mark.parametrize("values", [[0], [31], [31, 29], [31, 28, 0], [0, 1], [0] * 6])
def test_what_is_left_over_is_short_and_zero(values: list[int]) -> None:
    with pytest.raises(Bech32Error, match="Invalid padding in Bech32 data section"):
        from_five_bits(values)
