"""ChaCha20 on the test vectors of RFC 8439."""

import pytest

from drystone.crypto.chacha20 import chacha20, keystream, keystreams

KEY = bytes(range(32))
ZERO_KEY, ZERO_NONCE = bytes(32), bytes(12)
COUNTERS = 1 << 32

# Sections 2.3.2 and A.1: key, nonce, counter, block.
BLOCKS = [
    (
        KEY,
        bytes.fromhex("000000090000004a00000000"),
        1,
        (
            "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
            "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
        ),
    ),
    (
        ZERO_KEY,
        ZERO_NONCE,
        0,
        (
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
            "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        ),
    ),
    (
        ZERO_KEY,
        ZERO_NONCE,
        1,
        (
            "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
            "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
        ),
    ),
    (
        bytes(31) + b"\1",
        ZERO_NONCE,
        1,
        (
            "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
            "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"
        ),
    ),
    (
        b"\0\xff" + bytes(30),
        ZERO_NONCE,
        2,
        (
            "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
            "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"
        ),
    ),
    (
        ZERO_KEY,
        bytes(11) + b"\2",
        0,
        (
            "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
            "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"
        ),
    ),
]


@pytest.mark.parametrize(("key", "nonce", "counter", "block"), BLOCKS)
def test_blocks_are_those_of_the_rfc(key: bytes, nonce: bytes, counter: int, block: str) -> None:
    assert keystream(key, nonce, counter, 1).hex() == block


def test_a_text_is_encrypted_and_decrypted_as_in_the_rfc() -> None:
    """Section 2.4.2."""
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        b"future, sunscreen would be it."
    )
    nonce = bytes.fromhex("000000000000004a00000000")
    encrypted = chacha20(KEY, nonce, 1, text)
    assert encrypted.hex() == (
        "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c55247"
        "33ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e08"
        "8a22b65e52bc514d16ccf806818ce91ab77937365af90bbf74a35be6b40b8eedf2785e42874d"
    )
    assert chacha20(KEY, nonce, 1, encrypted) == text


def test_a_long_stream_is_its_blocks_one_after_the_other() -> None:
    nonce = bytes(range(12))
    stream = keystream(KEY, nonce, 5, 800)
    assert stream == b"".join(keystream(KEY, nonce, 5 + n, 1) for n in range(800))


def test_the_last_counter_is_used_and_none_comes_after_it() -> None:
    last = keystream(KEY, ZERO_NONCE, COUNTERS - 2, 2)[64:]
    assert last == keystream(KEY, ZERO_NONCE, COUNTERS - 1, 1)
    assert keystream(KEY, ZERO_NONCE, COUNTERS, 0) == b""
    for counter, blocks in ((COUNTERS - 1, 2), (-1, 1), (0, -1), (COUNTERS, 1)):
        with pytest.raises(ValueError, match="not a range of 32-bit counters"):
            keystream(KEY, ZERO_NONCE, counter, blocks)


def test_nothing_is_encrypted_to_nothing() -> None:
    assert chacha20(KEY, ZERO_NONCE, 0, b"") == b""


@pytest.mark.parametrize(("key", "nonce"), [(KEY[:31], ZERO_NONCE), (KEY, bytes(8))])
def test_keys_and_nonces_of_other_lengths_are_refused(key: bytes, nonce: bytes) -> None:
    with pytest.raises(ValueError, match="a key of 32 bytes and a nonce of 12"):
        keystream(key, nonce, 0, 1)


@pytest.mark.parametrize("blocks", [0, 1, 6, 7, 385])
@pytest.mark.parametrize("count", [0, 1, 3, 130])
def test_many_streams_are_the_streams_of_each_key(count: int, blocks: int) -> None:
    keys = [bytes((n,)) * 32 for n in range(count)]
    streams = [keystream(key, ZERO_NONCE, 0, blocks) for key in keys]
    assert keystreams(b"".join(keys), blocks) == b"".join(streams)


def test_half_a_key_is_refused_and_so_is_what_32_bits_do_not_count() -> None:
    with pytest.raises(ValueError, match="33 are no multiple"):
        keystreams(bytes(33), 6)
    for blocks in (-1, COUNTERS + 1):
        with pytest.raises(ValueError, match="not a number of blocks"):
            keystreams(b"", blocks)
