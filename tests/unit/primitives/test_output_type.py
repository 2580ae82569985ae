"""Output scripts and the names of their kinds."""

import pytest

from drystone.primitives.opcodes import Op
from drystone.primitives.output_type import OutputType, multisig_of, output_type
from drystone.primitives.script import (
    P2A,
    multisig,
    op_return,
    p2pk,
    p2pkh,
    p2sh,
    p2tr,
    p2wpkh,
    p2wsh,
    push,
    witness_script_pubkey,
)

KEY = b"\x02" + bytes(32)
LONG_KEY = b"\x04" + bytes(64)
MULTISIG = bytes((Op.OP_CHECKMULTISIG,))


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (p2pk(KEY), OutputType.PUBKEY),
        (p2pk(LONG_KEY), OutputType.PUBKEY),
        (p2pk(b"\x07" + bytes(64)), OutputType.PUBKEY),
        (p2pk(b"\x05" + bytes(32)), OutputType.NONSTANDARD),
        (p2pk(b"\x04" + bytes(32)), OutputType.NONSTANDARD),
        (p2pkh(bytes(20)), OutputType.PUBKEYHASH),
        (p2pkh(bytes(20))[:-1] + b"\xad", OutputType.NONSTANDARD),
        (p2sh(bytes(20)), OutputType.SCRIPTHASH),
        (p2wpkh(bytes(20)), OutputType.WITNESS_V0_KEYHASH),
        (p2wsh(bytes(32)), OutputType.WITNESS_V0_SCRIPTHASH),
        (witness_script_pubkey(0, bytes(31)), OutputType.NONSTANDARD),
        (p2tr(bytes(32)), OutputType.WITNESS_V1_TAPROOT),
        (witness_script_pubkey(1, bytes(31)), OutputType.WITNESS_UNKNOWN),
        (witness_script_pubkey(1, b"\x4e\x74"), OutputType.WITNESS_UNKNOWN),
        (P2A, OutputType.ANCHOR),
        (witness_script_pubkey(16, b"\x4e\x73"), OutputType.WITNESS_UNKNOWN),
        (b"\x6a", OutputType.NULL_DATA),
        (op_return(bytes(80_000)), OutputType.NULL_DATA),
        (b"\x6a\x51\x60\x4f\x00", OutputType.NULL_DATA),
        (b"\x6a\x61", OutputType.NONSTANDARD),
        (b"\x6a\x02\x00", OutputType.NONSTANDARD),
        (multisig(2, [KEY, LONG_KEY, KEY]), OutputType.MULTISIG),
        (multisig(20, [KEY] * 20), OutputType.MULTISIG),
        (b"", OutputType.NONSTANDARD),
        (b"\x51", OutputType.NONSTANDARD),
    ],
    ids=lambda value: value.name if isinstance(value, OutputType) else value.hex()[:20],
)
def test_scripts_have_the_kind_that_their_shape_says(script: bytes, kind: OutputType) -> None:
    assert output_type(script) is kind


@pytest.mark.parametrize(
    "script",
    [
        multisig(3, [KEY] * 2),
        multisig(0, [KEY]),
        multisig(1, [KEY])[:-2] + b"\x52" + MULTISIG,
        multisig(1, [KEY, b"\x02" + bytes(31)]),
        multisig(1, [KEY] * 21),
        push(b"\x01") + push(KEY) + b"\x51" + MULTISIG,  # 1 has an opcode of its own
        b"\x51\x51" + MULTISIG,
        b"\x51" + MULTISIG,
        MULTISIG,
        b"\x51" + push(KEY) + b"\x21" + KEY[:-1] + MULTISIG,
        b"\x51" + push(KEY) + push(b"\x11\x00") + MULTISIG,
    ],
    ids=lambda script: script.hex()[:20],
)
def test_what_is_almost_multisig_is_not(script: bytes) -> None:
    assert multisig_of(script) is None
    assert output_type(script) is OutputType.NONSTANDARD


def test_multisig_tells_how_many_of_how_many() -> None:
    assert multisig_of(multisig(2, [KEY] * 3)) == (2, 3)
    assert multisig_of(multisig(17, [KEY] * 18)) == (17, 18)
