"""Scripts as bytes: apart, together, and shown."""

import pytest

from drystone.primitives.codec import Malformed
from drystone.primitives.opcodes import Op
from drystone.primitives.script import (
    MAX_SCRIPT_BYTES,
    P2A,
    ScriptOp,
    decode_number,
    disassemble,
    encode_number,
    is_p2sh,
    is_push_only,
    is_unspendable,
    multisig,
    op_return,
    p2pk,
    p2pkh,
    p2sh,
    p2tr,
    p2wpkh,
    p2wsh,
    parse_script,
    push,
    push_int,
    witness_program,
    witness_script_pubkey,
)

HASH = bytes(range(20))
LONG_HASH = bytes(range(32))
KEY = b"\x02" + LONG_HASH


# Taking apart.


def test_a_script_is_operations_one_after_the_other() -> None:
    script = b"\x00\x02ab\x4c\x01c\x4d\x01\x00d\x4e\x01\x00\x00\x00e\x4f\x51\x60\x61\xff"
    assert list(parse_script(script)) == [
        ScriptOp(0x00, b"", 1),
        ScriptOp(0x02, b"ab", 4),
        ScriptOp(Op.OP_PUSHDATA1, b"c", 7),
        ScriptOp(Op.OP_PUSHDATA2, b"d", 11),
        ScriptOp(Op.OP_PUSHDATA4, b"e", 17),
        ScriptOp(Op.OP_1NEGATE, None, 18),
        ScriptOp(Op.OP_1, None, 19),
        ScriptOp(Op.OP_16, None, 20),
        ScriptOp(Op.OP_NOP, None, 21),
        ScriptOp(Op.OP_INVALIDOPCODE, None, 22),
    ]


def test_parsing_can_begin_anywhere() -> None:
    assert [op.opcode for op in parse_script(b"\x05ab\x51\x52", start=3)] == [Op.OP_1, Op.OP_2]
    assert list(parse_script(b"\x51", start=1)) == []


@pytest.mark.parametrize(
    "tail",
    [
        "01",
        "02aa",
        "4b" + "00" * 74,
        "4c",
        "4c01",
        "4cff" + "00" * 254,
        "4d",
        "4dff",
        "4d0100",
        "4e",
        "4effffff",
        "4e01000000",
        "4effffffff",
    ],
)
def test_a_push_past_the_end_is_malformed_after_what_came_before(tail: str) -> None:
    script = b"\x51" + bytes.fromhex(tail)
    parsed = parse_script(script)
    assert next(parsed).opcode == Op.OP_1
    with pytest.raises(Malformed, match="a push"):
        next(parsed)
    assert not is_push_only(script)
    assert disassemble(script) == "OP_1 [error]"


# Putting together.


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "00"),
        (1, "01"),
        (75, "4b"),
        (76, "4c4c"),
        (255, "4cff"),
        (256, "4d0001"),
        (65_535, "4dffff"),
        (65_536, "4e00000100"),
    ],
)
def test_a_push_is_the_shortest(size: int, head: str) -> None:
    data = bytes(size)
    script = push(data)
    assert script == bytes.fromhex(head) + data
    assert [op.data for op in parse_script(script)] == [data]


@pytest.mark.parametrize(
    ("value", "script"),
    [
        (0, "00"),
        (-1, "4f"),
        (1, "51"),
        (16, "60"),
        (17, "0111"),
        (-2, "0182"),
        (127, "017f"),
        (128, "028000"),
        (-128, "028080"),
        (255, "02ff00"),
        (256, "020001"),
        (500_000, "0320a107"),
        (0x1D00FFFF, "04ffff001d"),
        (2**31, "050000008000"),
    ],
)
def test_numbers_are_pushed_as_the_reference_client_does(value: int, script: str) -> None:
    assert push_int(value).hex() == script


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, ""),
        (1, "01"),
        (-1, "81"),
        (127, "7f"),
        (-127, "ff"),
        (128, "8000"),
        (-128, "8080"),
        (32_767, "ff7f"),
        (-32_768, "008080"),
        (2**31 - 1, "ffffff7f"),
        (-(2**31), "0000008080"),
        (2**63, "000000000000008000"),
    ],
)
def test_a_number_keeps_its_sign_in_the_highest_bit(value: int, data: str) -> None:
    assert encode_number(value).hex() == data
    assert decode_number(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    ("data", "value"), [("00", 0), ("80", 0), ("0080", 0), ("0100", 1), ("0180", -1), ("ff00", 255)]
)
def test_numbers_may_be_longer_than_they_need_to_be(data: str, value: int) -> None:
    assert decode_number(bytes.fromhex(data)) == value


# Templates.


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (p2pk(KEY), f"{KEY.hex()} OP_CHECKSIG"),
        (p2pkh(HASH), f"OP_DUP OP_HASH160 {HASH.hex()} OP_EQUALVERIFY OP_CHECKSIG"),
        (p2sh(HASH), f"OP_HASH160 {HASH.hex()} OP_EQUAL"),
        (p2wpkh(HASH), f"OP_0 {HASH.hex()}"),
        (p2wsh(LONG_HASH), f"OP_0 {LONG_HASH.hex()}"),
        (p2tr(LONG_HASH), f"OP_1 {LONG_HASH.hex()}"),
        (P2A, "OP_1 4e73"),
        (op_return(b"hi"), "OP_RETURN 6869"),
        (multisig(1, [KEY, KEY]), f"OP_1 {KEY.hex()} {KEY.hex()} OP_2 OP_CHECKMULTISIG"),
        (b"", ""),
        (b"\x4c\x00\xbb\xfe", "OP_PUSHDATA1 OP_UNKNOWN_bb OP_UNKNOWN_fe"),
    ],
)
def test_scripts_are_shown_by_their_names(script: bytes, text: str) -> None:
    assert disassemble(script) == text


def test_more_than_16_keys_are_counted_in_a_byte() -> None:
    assert multisig(17, [KEY] * 20).startswith(b"\x01\x11\x21")
    assert multisig(17, [KEY] * 20).endswith(b"\x01\x14\xae")


def test_pay_to_script_hash_is_one_pattern_only() -> None:
    assert is_p2sh(p2sh(HASH))
    for script in (
        b"",
        p2sh(HASH)[:-1],
        p2sh(HASH) + b"\x61",
        p2sh(HASH)[:-1] + b"\x88",
        b"\xaa" + p2sh(HASH)[1:],
        b"\xa9\x4c\x14" + HASH + b"\x87",
        p2pkh(HASH),
    ):
        assert not is_p2sh(script)


@pytest.mark.parametrize("version", range(17))
@pytest.mark.parametrize("size", [2, 20, 32, 40])
def test_a_witness_program_is_version_and_bytes(version: int, size: int) -> None:
    script = witness_script_pubkey(version, bytes(size))
    assert len(script) == size + 2
    assert witness_program(script) == (version, bytes(size))


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"\x00",
        b"\x51\x01a",
        b"\x51\x29" + bytes(41),
        b"\x51\x02a",
        b"\x51\x02abc",
        b"\x50\x02ab",
        b"\x4f\x02ab",
        b"\x61\x02ab",
        b"\x51\x4c\x02ab",
        b"\x01\x00\x02ab",
    ],
)
def test_what_only_looks_like_a_witness_program_is_none(script: bytes) -> None:
    assert witness_program(script) is None


@pytest.mark.parametrize(
    ("script", "is_push"),
    [
        ("", True),
        ("00014f5160", True),
        ("4c01aa4d0100bb", True),
        ("50", True),  # OP_RESERVED counts as a push
        ("61", False),
        ("01aaac", False),
        ("01", False),
    ],
)
def test_pushes_are_opcodes_up_to_16(script: str, *, is_push: bool) -> None:
    assert is_push_only(bytes.fromhex(script)) is is_push


@pytest.mark.parametrize(
    ("script", "is_lost"),
    [
        (b"", False),
        (b"\x6a", True),
        (op_return(b"data"), True),
        (b"\x51\x6a", False),
        (bytes(MAX_SCRIPT_BYTES), False),
        (bytes(MAX_SCRIPT_BYTES + 1), True),
    ],
)
def test_some_outputs_can_never_be_spent(script: bytes, *, is_lost: bool) -> None:
    assert is_unspendable(script) is is_lost


def test_every_opcode_has_its_known_number() -> None:
    """Source: Bitcoin Core's src/script/script.h; tapscript gave 0xba its name (BIP342)."""
    assert [Op.OP_PUSHDATA1, Op.OP_RESERVED, Op.OP_NOP, Op.OP_RETURN] == [0x4C, 0x50, 0x61, 0x6A]
    assert [Op.OP_DUP, Op.OP_EQUAL, Op.OP_HASH160, Op.OP_CHECKSIG] == [0x76, 0x87, 0xA9, 0xAC]
    assert [Op.OP_CHECKLOCKTIMEVERIFY, Op.OP_CHECKSEQUENCEVERIFY] == [0xB1, 0xB2]
    assert int(Op.OP_CHECKSIGADD) == 0xBA
    named = {int(op) for op in Op}
    assert named == {0x00, *range(0x4C, 0xBB), 0xFF}
