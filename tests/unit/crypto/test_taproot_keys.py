"""Taproot's tweaks: an output key is its internal key plus what commits to the scripts (BIP341)."""

from hashlib import sha256

import pytest

from drystone.crypto.secp256k1 import (
    ORDER,
    check_tap_tweak,
    public_key,
    sign_schnorr,
    tap_tweak,
    tap_tweak_secret,
    tweak_public_key,
    verify_schnorr,
    x_only_public_key,
)

SECRETS = [sha256(bytes((i,))).digest() for i in range(8)]
TWEAK = tap_tweak(bytes(32))


def test_the_known_tweak_of_a_key_without_scripts() -> None:
    """The first scriptPubKey of BIP341's wallet-test-vectors.json."""
    internal_key = bytes.fromhex("d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d")
    tweak = tap_tweak(internal_key)
    output_key, _ = tweak_public_key(internal_key, tweak)
    assert tweak.hex() == "b86e7be8f39bab32a6f2c0443abbc210f0edac0e2c53d501b36b64437d9c6c70"
    assert output_key.hex() == "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"


@pytest.mark.parametrize("secret", SECRETS)
def test_the_tweaked_secret_signs_for_the_tweaked_key(secret: bytes) -> None:
    internal_key = x_only_public_key(secret)
    tweak = tap_tweak(internal_key, sha256(b"a tree").digest())
    output_key, parity = tweak_public_key(internal_key, tweak)
    tweaked_secret = tap_tweak_secret(secret, tweak)
    assert public_key(tweaked_secret) == bytes((2 + parity,)) + output_key
    assert verify_schnorr(output_key, TWEAK, sign_schnorr(tweaked_secret, TWEAK))


def test_keys_of_either_parity_are_among_the_cases() -> None:
    assert {public_key(secret)[0] for secret in SECRETS} == {2, 3}
    keys = [x_only_public_key(secret) for secret in SECRETS]
    assert {tweak_public_key(key, tap_tweak(key))[1] for key in keys} == {0, 1}


@pytest.mark.parametrize("secret", SECRETS)
def test_only_the_very_tweak_checks(secret: bytes) -> None:
    internal_key = x_only_public_key(secret)
    tweak = tap_tweak(internal_key)
    output_key, parity = tweak_public_key(internal_key, tweak)
    assert check_tap_tweak(output_key, parity, internal_key, tweak)
    assert not check_tap_tweak(output_key, 1 - parity, internal_key, tweak)
    assert not check_tap_tweak(output_key, parity, internal_key, tap_tweak(internal_key, b"\1"))
    assert not check_tap_tweak(internal_key, parity, internal_key, tweak)
    assert not check_tap_tweak(output_key, parity, output_key, tweak)


@pytest.mark.parametrize("not_key", [b"", bytes(31), bytes(32), b"\xff" * 32, bytes(33)])
def test_what_is_no_key_has_no_tweak(not_key: bytes) -> None:
    output_key, parity = tweak_public_key(x_only_public_key(SECRETS[0]), TWEAK)
    assert not check_tap_tweak(output_key, parity, not_key, TWEAK)
    assert not check_tap_tweak(not_key, parity, output_key, TWEAK)
    with pytest.raises(ValueError, match="x-only key"):
        tweak_public_key(not_key, TWEAK)


def test_a_tweak_is_below_the_order() -> None:
    too_big = ORDER.to_bytes(32, "big")
    key = x_only_public_key(SECRETS[0])
    assert not check_tap_tweak(key, 0, key, too_big)
    with pytest.raises(ValueError, match="the tweak is out of range"):
        tweak_public_key(key, too_big)
    with pytest.raises(ValueError, match="the tweak is out of range"):
        tap_tweak_secret(SECRETS[0], too_big)
    with pytest.raises(ValueError, match="tweak: 32 bytes wanted, not 31"):
        check_tap_tweak(key, 0, key, TWEAK[1:])
