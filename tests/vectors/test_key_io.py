"""key_io_valid.json and key_io_invalid.json: addresses and exported secrets of every chain."""

from typing import Any

import pytest
from tests.support.vectors import vectors

from drystone.consensus.chains import CHAINS, REGTEST, TESTNET4
from drystone.crypto.address import (
    AddressError,
    AddressPrefixes,
    address_from_script,
    script_from_address,
    secret_from_wif,
    wif_from_secret,
)

# testnet3 is no chain of ours, but its addresses are testnet4's.
PREFIXES = {name: params.address for name, params in CHAINS.items()}
PREFIXES |= {"main": PREFIXES["mainnet"], "test": TESTNET4.address, "regtest": REGTEST.address}


def is_secret(case: list[Any]) -> bool:
    return bool(case[2]["isPrivkey"])


@vectors("key_io_valid.json", lambda cases: [case for case in cases if not is_secret(case)])
def test_an_address_is_its_script(case: Any) -> None:
    text, script, metadata = case[0], bytes.fromhex(case[1]), case[2]
    prefixes = PREFIXES[metadata["chain"]]
    assert script_from_address(text, prefixes) == script
    assert address_from_script(script, prefixes) == text
    assert is_refused_as_secret(text, prefixes)


@vectors("key_io_valid.json", lambda cases: [case for case in cases if not is_secret(case)])
def test_only_bech32_may_change_its_case(case: Any) -> None:
    text, script, metadata = case[0], bytes.fromhex(case[1]), case[2]
    prefixes = PREFIXES[metadata["chain"]]
    if metadata.get("tryCaseFlip"):
        assert script_from_address(text.swapcase(), prefixes) == script
    else:
        assert is_refused_as_address(text.swapcase(), prefixes)


@vectors("key_io_valid.json", lambda cases: [case for case in cases if is_secret(case)])
def test_an_exported_secret_is_its_secret(case: Any) -> None:
    text, secret, metadata = case[0], bytes.fromhex(case[1]), case[2]
    prefixes = PREFIXES[metadata["chain"]]
    assert secret_from_wif(text, prefixes) == (secret, metadata["isCompressed"])
    assert wif_from_secret(secret, prefixes, compressed=metadata["isCompressed"]) == text
    assert is_refused_as_address(text, prefixes)


@pytest.mark.parametrize("chain", CHAINS)
@vectors("key_io_invalid.json", cases_of=list)
def test_what_is_neither_is_refused_on_every_chain(case: Any, chain: str) -> None:
    (text,) = case
    assert is_refused_as_address(text, PREFIXES[chain])
    assert is_refused_as_secret(text, PREFIXES[chain])


def is_refused_as_address(text: str, prefixes: AddressPrefixes) -> bool:
    with pytest.raises(AddressError):
        script_from_address(text, prefixes)
    return True


def is_refused_as_secret(text: str, prefixes: AddressPrefixes) -> bool:
    with pytest.raises(AddressError):
        secret_from_wif(text, prefixes)
    return True
