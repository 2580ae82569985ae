"""Addresses, Base58 and Bech32: there and back, mistakes noticed, only declared errors."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.consensus.chains import CHAINS
from drystone.crypto import base58, bech32
from drystone.crypto.address import (
    AddressError,
    AddressPrefixes,
    address_from_script,
    is_address,
    script_from_address,
    secret_from_wif,
    wif_from_secret,
)
from drystone.crypto.base58 import Base58Error
from drystone.crypto.bech32 import Bech32Error, Checksum
from drystone.crypto.secp256k1 import ORDER
from drystone.primitives.script import p2pkh, p2sh, witness_script_pubkey

hashes = st.binary(min_size=20, max_size=20)
programs = st.one_of(
    st.tuples(st.just(0), st.one_of(hashes, st.binary(min_size=32, max_size=32))),
    st.tuples(st.integers(1, 16), st.binary(min_size=2, max_size=40)),
)
scripts = st.one_of(
    hashes.map(p2pkh),
    hashes.map(p2sh),
    programs.map(lambda program: witness_script_pubkey(*program)),
)
prefixes = st.sampled_from([params.address for params in CHAINS.values()])
secrets = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
texts = st.one_of(
    st.text(max_size=100),
    st.text(base58.ALPHABET, max_size=100),
    st.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l1bQPZ", max_size=100).map("bc1".__add__),
)


@given(scripts, prefixes)
def test_a_script_comes_back_from_its_address(script: bytes, chain: AddressPrefixes) -> None:
    address = address_from_script(script, chain)
    assert address is not None
    assert script_from_address(address, chain) == script


@given(texts, prefixes)
def test_any_text_is_one_address_or_a_declared_error(text: str, chain: AddressPrefixes) -> None:
    try:
        script = script_from_address(text, chain)
    except AddressError:
        return
    address = address_from_script(script, chain)
    assert address is not None
    assert text in {address, address.upper()}


@given(scripts, prefixes, st.data())
def test_one_character_changed_is_no_address(
    script: bytes, chain: AddressPrefixes, data: st.DataObject
) -> None:
    address = address_from_script(script, chain)
    assert address is not None
    position = data.draw(st.integers(0, len(address) - 1))
    alphabet = base58.ALPHABET + "0lI"
    character = data.draw(st.sampled_from(alphabet).filter(lambda c: c != address[position]))
    assert not is_address(address[:position] + character + address[position + 1 :], chain)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_script_with_an_address_or_without(script: bytes) -> None:
    for params in CHAINS.values():
        address = address_from_script(script, params.address)
        if address is not None:
            assert script_from_address(address, params.address) == script


@given(secrets, prefixes, st.booleans())
def test_a_secret_comes_back(secret: bytes, chain: AddressPrefixes, compressed: bool) -> None:  # noqa: FBT001
    text = wif_from_secret(secret, chain, compressed=compressed)
    assert secret_from_wif(text, chain) == (secret, compressed)
    assert not is_address(text, chain)


@given(texts, prefixes)
def test_any_text_is_a_secret_or_a_declared_error(text: str, chain: AddressPrefixes) -> None:
    try:
        secret, compressed = secret_from_wif(text, chain)
    except AddressError:
        return
    assert wif_from_secret(secret, chain, compressed=compressed) == text


# Base58.


@given(st.binary(max_size=100))
def test_base58_comes_back(data: bytes) -> None:
    assert base58.decode(base58.encode(data), max_bytes=len(data)) == data
    assert base58.decode_check(base58.encode_check(data), max_bytes=len(data)) == data


@given(texts, st.integers(0, 100))
def test_any_text_is_base58_of_few_enough_bytes_or_a_declared_error(
    text: str, max_bytes: int
) -> None:
    try:
        data = base58.decode(text, max_bytes)
    except Base58Error:
        return
    assert len(data) <= max_bytes
    assert base58.encode(data) == text


# Bech32.

hrps = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20).map(
    str.lower
)
data_values = st.lists(st.integers(0, 31), max_size=60)


@given(hrps, data_values, st.sampled_from(Checksum))
def test_bech32_comes_back(hrp: str, data: list[int], checksum: Checksum) -> None:
    text = bech32.encode(hrp, data, checksum)
    assert bech32.decode(text) == (hrp, tuple(data), checksum)
    assert bech32.decode(text.upper()) == (hrp, tuple(data), checksum)


@given(texts)
def test_any_text_is_bech32_or_a_declared_error(text: str) -> None:
    positions: tuple[int, ...] = ()
    try:
        decoded = bech32.decode(text)
        assert bech32.encode(*decoded) == text.lower()
    except Bech32Error as e:
        positions = e.positions
    assert all(0 <= position < len(text) for position in positions)


@given(data_values, st.sampled_from(Checksum), st.data())
def test_four_characters_changed_are_noticed_and_two_are_found(
    values: list[int], checksum: Checksum, data: st.DataObject
) -> None:
    text = bech32.encode("bc", values, checksum)
    places = st.integers(3, len(text) - 1)
    changed = data.draw(st.lists(places, min_size=1, max_size=4, unique=True).map(sorted))
    characters = list(text)
    for place in changed:
        others = sorted(set("qpzry9x8gf2tvdw0s3jn54khce6mua7l") - {text[place]})
        characters[place] = data.draw(st.sampled_from(others))
    try:
        decoded = bech32.decode("".join(characters))
    except Bech32Error as e:
        message, found = str(e), list(e.positions)
    else:  # right by the other checksum: a chance of one in a billion
        assert decoded.checksum is not checksum
        return
    # The other checksum may explain it with fewer mistakes.
    if len(changed) <= 2 and message == f"Invalid {checksum.name.capitalize()} checksum":
        assert found == changed


@given(st.binary(max_size=60))
def test_groups_of_five_bits_come_back(data: bytes) -> None:
    assert bech32.from_five_bits(bech32.to_five_bits(data)) == data


@given(data_values)
def test_any_groups_are_bytes_or_a_declared_error(values: list[int]) -> None:
    try:
        data = bech32.from_five_bits(values)
    except Bech32Error:
        return
    assert list(bech32.to_five_bits(data)) == values


@pytest.mark.parametrize("text", ["1" * 10**6, "z" * 10**6, "bc1" + "q" * 10**6, "\0" * 10**6])
def test_a_long_text_is_refused_at_once(text: str) -> None:
    start = process_time()
    for params in CHAINS.values():
        assert not is_address(text, params.address)
    assert process_time() - start < 0.5
