"""Addresses and exported secrets: what the BIPs list, and the reference client's sentences.

Sources: "Test vectors" of BIP173 and BIP350; for the sentences and positions, Bitcoin Core's
test/functional/rpc_validateaddress.py and rpc_invalid_address_message.py. BIP341's wallet vectors
are in tests/vectors.
"""

import pytest

from drystone.consensus.chains import CHAINS, LOCAL, MAINNET, REGTEST, TESTNET4
from drystone.crypto import base58
from drystone.crypto.address import (
    AddressError,
    address_from_script,
    is_address,
    script_from_address,
    secret_from_wif,
    wif_from_secret,
)
from drystone.primitives.script import P2A, op_return, p2pk, p2pkh, p2sh, p2tr, p2wpkh, p2wsh

SEGWIT = [
    ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"),
    (
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
    ),
    (
        "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
        "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
    ),
    ("BC1SW50QGDZ25J", "6002751e"),
    ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "5210751e76e8199196d454941c45d1b3a323"),
    (
        "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
        "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
        "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    ),
    ("bc1pfeessrawgf", "51024e73"),  # pay to anchor
]


@pytest.mark.parametrize(("address", "script"), SEGWIT)
def test_segwit_addresses_are_their_scripts(address: str, script: str) -> None:
    params = MAINNET if address.lower().startswith("bc1") else TESTNET4
    assert script_from_address(address, params.address).hex() == script
    assert address_from_script(bytes.fromhex(script), params.address) == address.lower()
    assert is_address(address, params.address)


UNKNOWN = "Invalid or unsupported Segwit (Bech32) or Base58 encoding."
NEEDS_BECH32M = "Version 1+ witness address must use Bech32m checksum"


@pytest.mark.parametrize(
    ("address", "message", "positions"),
    [
        # BIP173.
        ("tc1qw508d6qejxtdg4y5r3zarvary0c5xw7kg3g4ty", UNKNOWN, []),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "Invalid Bech32 checksum", [41]),
        ("BC13W508D6QEJXTDG4Y5R3ZARVARY0C5XW7KN40WF2", NEEDS_BECH32M, []),
        ("bc1rw5uspcuh", NEEDS_BECH32M, []),
        (
            "bc10w508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kw5rljs90",
            NEEDS_BECH32M,
            [],
        ),
        (
            "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
            "Invalid Bech32 v0 address program size (16 bytes), per BIP141",
            [],
        ),
        ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3t4", "Invalid character or mixed case", [40]),
        ("bc1zw508d6qejxtdg4y5r3zarvaryvqyzf3du", NEEDS_BECH32M, []),
        ("bc1gmk9yu", "Empty Bech32 data section", []),
        # BIP350.
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
            NEEDS_BECH32M,
            [],
        ),
        (
            "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
            NEEDS_BECH32M,
            [],
        ),
        (
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
            "Version 0 witness address must use Bech32 checksum",
            [],
        ),
        (
            "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
            "Invalid Base 32 character",
            [59],
        ),
        (
            "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
            "Invalid Bech32 address witness version",
            [],
        ),
        ("bc1pw5dgrnzv", "Invalid Bech32 address program size (1 byte)", []),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
            "Invalid Bech32 address program size (41 bytes)",
            [],
        ),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
            "Invalid padding in Bech32 data section",
            [],
        ),
        # Base58, and nothing at all.
        ("", "Invalid checksum or length of Base58 address (P2PKH or P2SH)", []),
        ("asfah14i8fajz0123f", UNKNOWN, []),
        (
            "17VZNX1SN5NtKa8UQFxwQbFeFc3iqRYhem2",
            "Invalid checksum or length of Base58 address (P2PKH or P2SH)",
            [],
        ),
        (
            base58.encode_check(bytes(26)),
            "Invalid checksum or length of Base58 address (P2PKH or P2SH)",
            [],
        ),
        (
            base58.encode_check(bytes(20)),
            "Invalid length for Base58 address (P2PKH or P2SH)",
            [],
        ),
        (
            base58.encode_check(b"\x6f" + bytes(20)),
            "Invalid or unsupported Base58-encoded address.",
            [],
        ),
        (base58.encode_check(b""), "Invalid or unsupported Base58-encoded address.", []),
        (" 17VZNX1SN5NtKa8UQFxwQbFeFc3iqRYhem", UNKNOWN, []),
    ],
)
def test_what_is_no_address_says_why(address: str, message: str, positions: list[int]) -> None:
    with pytest.raises(AddressError) as caught:
        script_from_address(address, MAINNET.address)
    assert str(caught.value) == message
    assert caught.value.positions == tuple(positions)
    assert not is_address(address, MAINNET.address)


@pytest.mark.parametrize(
    "address",
    [
        "tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut",
        "tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf",
        "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47",
        "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq",
        "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j",
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sL5k7",
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3pjxtptv",
    ],
)
def test_nor_are_the_testnet_addresses_that_the_bips_refuse(address: str) -> None:
    assert not is_address(address, TESTNET4.address)


def test_a_chain_whose_prefix_begins_like_ours_is_another() -> None:
    """bcrt begins with bc."""
    address = address_from_script(p2wpkh(bytes(20)), REGTEST.address)
    assert address is not None
    with pytest.raises(AddressError) as caught:
        script_from_address(address, MAINNET.address)
    assert str(caught.value) == (
        "Invalid or unsupported prefix for Segwit (Bech32) address (expected bc, got bcrt)."
    )


HASH = bytes(range(20))
LONG_HASH = bytes(range(32))


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize(
    "script",
    [p2pkh(HASH), p2sh(HASH), p2wpkh(HASH), p2wsh(LONG_HASH), p2tr(LONG_HASH), P2A],
    ids=["p2pkh", "p2sh", "p2wpkh", "p2wsh", "p2tr", "p2a"],
)
def test_every_chain_has_addresses_for_every_kind(chain: str, script: bytes) -> None:
    prefixes = CHAINS[chain].address
    address = address_from_script(script, prefixes)
    assert address is not None
    assert script_from_address(address, prefixes) == script


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"\x51",
        op_return(b"data"),
        p2pk(b"\x02" + LONG_HASH),
        p2pkh(HASH)[:-1],
        p2pkh(HASH) + b"\x61",
        p2sh(HASH)[:-1] + b"\x88",
        b"\x00\x15" + bytes(21),  # version 0 has 20 or 32 bytes
        b"\x00\x02\x01\x01",
        b"\x51\x01\x01",
        b"\x51\x29" + bytes(41),
        b"\x4f\x14" + HASH,  # OP_1NEGATE is no version
        b"\x61\x14" + HASH,
        b"\x00\x4c\x14" + HASH,  # only a plain push makes a witness program
    ],
)
def test_other_scripts_have_none(script: bytes) -> None:
    assert address_from_script(script, MAINNET.address) is None


def test_addresses_of_local_look_like_no_other_chains() -> None:
    kinds = (p2pkh(HASH), p2sh(HASH), p2wpkh(HASH), p2tr(LONG_HASH))
    addresses = [address_from_script(script, LOCAL.address) or "" for script in kinds]
    assert [address[0] for address in addresses] == ["s", "w", "d", "d"]
    for address in addresses:
        for params in CHAINS.values():
            assert is_address(address, params.address) is (params is LOCAL)


def test_base58_that_begins_like_bech32_is_still_an_address() -> None:
    """A chain whose Bech32 begins with s, as its Base58 does."""
    prefixes = type(LOCAL.address)(125, 135, 201, "s", b"", b"")
    for script in (p2pkh(HASH), p2wpkh(HASH)):
        address = address_from_script(script, prefixes)
        assert address is not None
        assert address.startswith("s")
        assert script_from_address(address, prefixes) == script
    with pytest.raises(AddressError, match="Invalid checksum"):
        script_from_address("s1qqqqsyqcyq5rqwzqfpg9scrgwpugpzysnpdvl8h", prefixes)


# Secrets.

SECRET = b"\1".rjust(32, b"\0")


def test_a_secret_in_wif() -> None:
    """Known to everybody: the secret 1. Source: https://en.bitcoin.it/wiki/Wallet_import_format"""
    compressed = "KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn"
    uncompressed = "5HpHagT65TZzG1PH3CSu63k8DbpvD8s5ip4nEB3kEsreAnchuDf"
    assert wif_from_secret(SECRET, MAINNET.address) == compressed
    assert wif_from_secret(SECRET, MAINNET.address, compressed=False) == uncompressed
    assert secret_from_wif(compressed, MAINNET.address) == (SECRET, True)
    assert secret_from_wif(uncompressed, MAINNET.address) == (SECRET, False)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "checksum"),
        ("KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWm", "checksum"),
        (base58.encode_check(b"\xef" + SECRET), "not of this chain"),
        (base58.encode_check(b"\x80" + SECRET[1:]), "no secret"),
        (base58.encode_check(b"\x80" + SECRET + b"\2"), "no secret"),
        (base58.encode_check(b"\x80" + SECRET + b"\1\1"), "at most"),
        (base58.encode_check(b"\x80" + bytes(32)), "no secret"),
        (base58.encode_check(b"\x80" + b"\xff" * 32 + b"\1"), "no secret"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "no Base58 character"),
    ],
)
def test_what_is_no_secret_says_why(text: str, why: str) -> None:
    with pytest.raises(AddressError, match=f"Invalid private key encoding: .*{why}"):
        secret_from_wif(text, MAINNET.address)


def test_only_a_secret_is_exported() -> None:
    with pytest.raises(ValueError, match="a secret is 32 bytes"):
        wif_from_secret(bytes(32), MAINNET.address)
