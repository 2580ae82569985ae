"""Accounts of which everybody knows the key."""

import pytest

from drystone.consensus.chains import LOCAL
from drystone.crypto.address import address_from_script
from drystone.crypto.secp256k1 import is_secret
from drystone.mining.accounts import FUNDED, account


@pytest.mark.parametrize(
    ("name", "secret", "address"),
    [
        (
            "alice",
            "a110a0484610c7e1a9588f49fca1b444d845029c3ea8825f47c685e83acd1b24",
            "dry1q86tt4wg4xh6rj0hpkwka62zqk9ls94m0hm6hyp",
        ),
        (
            "bob",
            "1950dce0ea01c7c696a183737a64a00fe8d396773caaa726b352d4f45e793f59",
            "dry1qmffcn83anqr5wzak2fwv5775asnxnmf7jnneu0",
        ),
        (
            "carol",
            "873d77c8e23379cf79de0a47ca71de61a6d54d54ad926a2319b2995f30c1d4eb",
            "dry1q9fayr947lqsd4d0t7xcg2f84llz0vmznmwqewn",
        ),
    ],
)
def test_keys_are_the_same_on_every_machine(name: str, secret: str, address: str) -> None:
    """They are in blocks that are fixed, and in people's notes."""
    assert account(name).secret.hex() == secret
    assert address_from_script(account(name).script_pubkey, LOCAL.address) == address


def test_any_name_is_an_account() -> None:
    names = [*FUNDED, "dave", "Alice", "", "żółw"]
    accounts = [account(name) for name in names]
    assert all(is_secret(each.secret) for each in accounts)
    assert len({each.script_pubkey for each in accounts}) == len(names)
    assert account("dave") is account("dave")
