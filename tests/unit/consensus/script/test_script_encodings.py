"""How signatures and keys are written, and which flags mind."""

import pytest
from tests.support.everyday_spends import der

from drystone.consensus.script.encoding import (
    check_public_key_encoding,
    check_signature_encoding,
    has_key_size,
    is_strict_der,
)
from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.values import is_true
from drystone.crypto.secp256k1 import ORDER

HALF = ORDER // 2


def error_of(signature: bytes, flags: Flags) -> ScriptError:
    try:
        check_signature_encoding(signature, flags)
    except ScriptInvalid as invalid:
        return invalid.error
    return ScriptError.OK


def integer(data: bytes) -> bytes:
    return bytes((2, len(data))) + data


def sequence(r: bytes, s: bytes) -> bytes:
    body = integer(r) + integer(s)
    return bytes((0x30, len(body))) + body


STRICT = [
    sequence(b"\1", b"\1"),
    sequence(b"\0", b"\0"),  # zero is an integer like any other
    sequence(b"\x7f", b"\0\x80"),
    sequence(b"\0" + b"\xff" * 32, b"\0" + b"\xff" * 32),
    sequence(b"\1" * 60, b"\1" * 6),  # too large for a signature, not for DER
]
NOT_STRICT = {
    "empty r": sequence(b"", b"\1\1"),
    "empty s": sequence(b"\1\1", b""),
    "negative r": sequence(b"\x80", b"\1"),
    "negative s": sequence(b"\1", b"\x80"),
    "padded r": sequence(b"\0\x7f", b"\1"),
    "padded s": sequence(b"\1", b"\0\x7f"),
    "too short": b"\x30\x05\x02\x01\x01\x02\x00",
    "too long": sequence(b"\1" * 33, b"\1" * 34),
    "no sequence": b"\x31" + sequence(b"\1", b"\1")[1:],
    "wrong size": b"\x30\x07" + sequence(b"\1", b"\1")[2:],
    "r is no integer": b"\x30\x06\x03\x01\x01\x02\x01\x01",
    "s is no integer": b"\x30\x06\x02\x01\x01\x03\x01\x01",
    "r past the end": b"\x30\x06\x02\x05\x01\x02\x01\x01",
    "s past the end": b"\x30\x06\x02\x01\x01\x02\x02\x01",
    "bytes after s": b"\x30\x07\x02\x01\x01\x02\x01\x01\x00",
}


@pytest.mark.parametrize("signature", STRICT, ids=bytes.hex)
def test_strict_der(signature: bytes) -> None:
    assert is_strict_der(signature + b"\1")


@pytest.mark.parametrize("name", NOT_STRICT)
@pytest.mark.parametrize("flag", [Flags.DERSIG, Flags.STRICTENC, Flags.LOW_S])
def test_three_flags_want_strict_der(name: str, flag: Flags) -> None:
    assert error_of(NOT_STRICT[name] + b"\1", flag) is ScriptError.SIG_DER
    assert error_of(NOT_STRICT[name] + b"\1", ~(Flags.DERSIG | Flags.STRICTENC | Flags.LOW_S)) is (
        ScriptError.OK
    )


@pytest.mark.parametrize("flag", Flags)
def test_an_empty_signature_is_well_written(flag: Flags) -> None:
    assert error_of(b"", flag) is ScriptError.OK


@pytest.mark.parametrize(
    ("r", "s", "error"),
    [
        (1, HALF, ScriptError.OK),
        (1, HALF + 1, ScriptError.SIG_HIGH_S),
        (1, ORDER - 1, ScriptError.SIG_HIGH_S),
        # Out of range, they count as zero: low, and valid for nothing.
        (1, ORDER, ScriptError.OK),
        (ORDER, HALF + 1, ScriptError.OK),
    ],
)
def test_low_s_is_up_to_half_the_order(r: int, s: int, error: ScriptError) -> None:
    assert error_of(der(r, s) + b"\1", Flags.LOW_S) is error
    assert error_of(der(r, s) + b"\1", Flags.DERSIG) is ScriptError.OK


def test_six_hash_types_are_defined() -> None:
    allowed = [
        hash_type
        for hash_type in range(256)
        if error_of(der(1, 1) + bytes((hash_type,)), Flags.STRICTENC) is ScriptError.OK
    ]
    assert allowed == [1, 2, 3, 0x81, 0x82, 0x83]
    assert error_of(der(1, 1) + b"\0", Flags.STRICTENC) is ScriptError.SIG_HASHTYPE
    assert error_of(der(1, 1) + b"\0", Flags.DERSIG | Flags.LOW_S) is ScriptError.OK


COMPRESSED, UNCOMPRESSED, HYBRID = b"\2" + bytes(32), b"\4" + bytes(64), b"\6" + bytes(64)
# key, of a key's size, by STRICTENC, in a witness by WITNESS_PUBKEYTYPE
KEYS = [
    (COMPRESSED, True, True, True),
    (b"\3" + bytes(32), True, True, True),
    (UNCOMPRESSED, True, True, False),
    (HYBRID, True, False, False),
    (b"\7" + bytes(64), True, False, False),
    (b"\5" + bytes(64), False, False, False),
    (b"\5" + bytes(32), False, False, False),
    (b"\4" + bytes(32), False, False, False),
    (b"\2" + bytes(64), False, False, False),
    (COMPRESSED + b"\0", False, False, False),
    (b"", False, False, False),
]


@pytest.mark.parametrize(("key", "sized", "strict", "in_witness"), KEYS)
def test_the_forms_of_keys(key: bytes, sized: bool, strict: bool, in_witness: bool) -> None:  # noqa: FBT001
    def error(flags: Flags, *, in_witness: bool) -> ScriptError:
        try:
            check_public_key_encoding(key, flags, in_witness=in_witness)
        except ScriptInvalid as invalid:
            return invalid.error
        return ScriptError.OK

    assert has_key_size(key) is sized
    assert error(Flags.NONE, in_witness=True) is ScriptError.OK
    assert (error(Flags.STRICTENC, in_witness=False) is ScriptError.OK) is strict
    assert (error(Flags.WITNESS_PUBKEYTYPE, in_witness=True) is ScriptError.OK) is in_witness
    assert error(Flags.WITNESS_PUBKEYTYPE, in_witness=False) is ScriptError.OK
    if not strict:
        both = Flags.STRICTENC | Flags.WITNESS_PUBKEYTYPE
        assert error(both, in_witness=True) is ScriptError.PUBKEYTYPE


@pytest.mark.parametrize("element", [b"", b"\0", bytes(520), b"\x80", bytes(9) + b"\x80"])
def test_zeros_and_negative_zeros_are_false(element: bytes) -> None:
    assert not is_true(element)


@pytest.mark.parametrize("element", [b"\1", b"\x80\0", b"\x81", b"\0\1", b"\1\0", b"\x80\x80"])
def test_all_else_is_true(element: bytes) -> None:
    assert is_true(element)
