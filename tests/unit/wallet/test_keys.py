"""Keys of accounts, on every chain and in every release the same."""

import pytest

from drystone.consensus.chains import LOCAL, MAINNET, REGTEST
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.crypto.address import secret_from_wif
from drystone.crypto.secp256k1 import public_key, x_only_public_key
from drystone.mining.accounts import FUNDED
from drystone.primitives.script import p2tr, p2wpkh
from drystone.wallet.keys import Kind, key_path_key, keys_of, script_to

ADDRESSES = {
    "alice": (
        "bcrt1q86tt4wg4xh6rj0hpkwka62zqk9ls94m0u5jha9",
        "bcrt1p6l9e0h5trp3w6ae9zr3es6qukmje2wwzzgax8laclk6a02hjuyfsu388lx",
        "cSynpfZQMTYK3W6Hsra3iPwo8hTxMq1gczX4LnfyTHQUP1qDgykX",
    ),
    "bob": (
        "bcrt1qmffcn83anqr5wzak2fwv5775asnxnmf7eume9t",
        "bcrt1p7aj86qxyk4kktfnv3j7utscuwkklc57stvmfxnd4mtjx0wrq93nqfj07d2",
        "cNRusWmSWMCbiP7Xa39TVbaKLUGHD6Ng2U5trbkEeaZPSH9yoNLU",
    ),
    "carol": (
        "bcrt1q9fayr947lqsd4d0t7xcg2f84llz0vmznspgehh",
        "bcrt1pfcsnzhevpffyyhd5vy6uq5uq49vxs9df50q33nhdqkpqrsstxz5q0g580v",
        "cS7bDW7FBCDYu68r7yvmxVuim1VCfT5jUiN9Pp8KkTZ2zC6cBaBf",
    ),
}


@pytest.mark.parametrize("name", FUNDED)
def test_the_accounts_that_everybody_knows_never_change(name: str) -> None:
    keys = keys_of(name)
    shown = (
        keys.address(REGTEST),
        keys.address(REGTEST, Kind.P2TR),
        keys.wif(REGTEST),
    )
    assert shown == ADDRESSES[name]
    assert secret_from_wif(shown[2], REGTEST.address) == (keys.account.secret, True)


def test_a_taproot_key_is_tweaked_as_bip341_has_it() -> None:
    """The first key path of the BIP's wallet vectors, which has no scripts."""
    key = key_path_key(
        bytes.fromhex("6b973d88838f27366ed61c9ad6367663045cb456e28335c109e30717ae0c6baa")
    )
    assert key.secret.hex() == "2405b971772ad26915c8dcdf10f238753a9b837e5f8e6a86fd7c0cce5b7296d9"
    output_key = "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"
    assert key.public_key.hex() == output_key
    assert key.script_pubkey.hex() == f"5120{output_key}"


@pytest.mark.parametrize("name", [*FUNDED, "n0", "x", "a-b_c.d"])
def test_a_secret_belongs_to_the_key_that_its_script_names(name: str) -> None:
    keys = keys_of(name)
    assert keys.p2wpkh.public_key == public_key(keys.p2wpkh.secret)
    assert keys.p2wpkh.script_pubkey == keys.account.script_pubkey
    assert keys.p2tr.public_key == x_only_public_key(keys.p2tr.secret)
    assert keys.p2tr.script_pubkey == p2tr(keys.p2tr.public_key)
    assert keys.of_kind(Kind.P2TR) is keys.p2tr and keys.of_kind(Kind.P2WPKH) is keys.p2wpkh


@pytest.mark.parametrize("params", [REGTEST, LOCAL, MAINNET], ids=lambda params: params.name)
def test_an_address_pays_the_account_as_its_name_does(params: Params) -> None:
    for kind in Kind:
        script = keys_of("alice").of_kind(kind).script_pubkey
        assert script_to(keys_of("alice").address(params, kind), params) == script
        assert script_to("alice", params, kind) == script


def test_any_address_of_the_chain_can_be_paid() -> None:
    script = p2wpkh(bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6"))
    assert script_to("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", REGTEST) == script
    assert script_to("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", REGTEST)[:3].hex() == "76a914"


@pytest.mark.parametrize(
    "slip",
    [
        "bcrt1q86tt4wg4xh6rj0hpkwka62zqk9ls94m0u5jha8",  # its last character
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",  # of another chain
        "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfm",
    ],
)
def test_an_address_with_a_slip_is_no_account(slip: str) -> None:
    with pytest.raises(UserError, match=f"^{slip} is no address on regtest: "):
        script_to(slip, REGTEST)


@pytest.mark.parametrize("name", ["", " alice", "alice ", "-x", "a" * 33 + "!", "ünal", "a\nb"])
def test_what_is_no_name_has_no_keys(name: str) -> None:
    with pytest.raises(UserError, match="can't name an account: take up to 32 letters"):
        script_to(name, REGTEST)
