"""Kinds of output scripts: the shapes that have a name."""

from enum import Enum
from typing import Final

from drystone.primitives.codec import Malformed
from drystone.primitives.opcodes import Op
from drystone.primitives.script import (
    P2A,
    decode_number,
    encode_number,
    is_p2sh,
    is_push_only,
    parse_script,
    witness_program,
)

MAX_MULTISIG_KEYS: Final = 20  # Core: MAX_PUBKEYS_PER_MULTISIG
_MAX_MULTISIG_BYTES = MAX_MULTISIG_KEYS * 66 + 5

_OP_RETURN, _CHECKSIG = int(Op.OP_RETURN), int(Op.OP_CHECKSIG)
_CHECKMULTISIG = int(Op.OP_CHECKMULTISIG)
_KEY_BYTES = {2: 33, 3: 33, 4: 65, 6: 65, 7: 65}  # by the first byte


class OutputType(Enum):
    """What kind of output script it is, by the reference client's names. Core: TxoutType."""

    NONSTANDARD = "nonstandard"
    ANCHOR = "anchor"
    PUBKEY = "pubkey"
    PUBKEYHASH = "pubkeyhash"
    SCRIPTHASH = "scripthash"
    MULTISIG = "multisig"
    NULL_DATA = "nulldata"
    WITNESS_V0_SCRIPTHASH = "witness_v0_scripthash"
    WITNESS_V0_KEYHASH = "witness_v0_keyhash"
    WITNESS_V1_TAPROOT = "witness_v1_taproot"
    WITNESS_UNKNOWN = "witness_unknown"


def output_type(script: bytes) -> OutputType:
    """The kind of an output script. Core: Solver."""
    program = witness_program(script)
    if program is not None:
        return _witness_type(script, program)
    if len(script) == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac":
        return OutputType.PUBKEYHASH
    return OutputType.SCRIPTHASH if is_p2sh(script) else _rarer_type(script)


def _rarer_type(script: bytes) -> OutputType:
    if script and script[0] == _OP_RETURN and is_push_only(script[1:]):
        return OutputType.NULL_DATA
    if _is_pubkey(script):
        return OutputType.PUBKEY
    if multisig_of(script) is not None:
        return OutputType.MULTISIG
    return OutputType.NONSTANDARD


def _witness_type(script: bytes, program: tuple[int, bytes]) -> OutputType:
    version, data = program
    if version == 0:
        if len(data) == 20:
            return OutputType.WITNESS_V0_KEYHASH
        return OutputType.WITNESS_V0_SCRIPTHASH if len(data) == 32 else OutputType.NONSTANDARD
    if version == 1 and len(data) == 32:
        return OutputType.WITNESS_V1_TAPROOT
    return OutputType.ANCHOR if script == P2A else OutputType.WITNESS_UNKNOWN


def _is_pubkey(script: bytes) -> bool:
    return (
        len(script) in (35, 67)
        and script[0] == len(script) - 2
        and script[-1] == _CHECKSIG
        and _is_key(script[1:-1])
    )


def _is_key(data: bytes) -> bool:
    """Whether its first byte and its length go together as a public key's do. Core: ValidSize."""
    return bool(data) and _KEY_BYTES.get(data[0]) == len(data)


def multisig_of(script: bytes) -> tuple[int, int] | None:
    """How many of how many keys must sign, if the script is bare multisig. Core: MatchMultisig."""
    if not script or script[-1] != _CHECKMULTISIG or len(script) > _MAX_MULTISIG_BYTES:
        return None
    try:
        ops = list(parse_script(script))
    except Malformed:
        return None
    numbers = [_small_number(op.opcode, op.data) for op in (ops[0], ops[-2])] if ops[1:] else []
    if len(ops) < 4 or None in numbers:
        return None
    required, count = numbers
    assert required is not None and count is not None
    keys = [op.data for op in ops[1:-2]]
    if not 1 <= required <= count <= MAX_MULTISIG_KEYS or count != len(keys):
        return None
    return (required, count) if all(key and _is_key(key) for key in keys) else None


def _small_number(opcode: int, data: bytes | None) -> int | None:
    """What an opcode or a minimal push stands for, if it is a number."""
    if Op.OP_1 <= opcode <= Op.OP_16:
        return opcode - Op.OP_1 + 1
    if data is None or not data or len(data) > 4 or opcode != len(data):
        return None
    number = decode_number(data)
    # From 17 on a number is pushed; below, it has an opcode of its own.
    return number if encode_number(number) == data and number > 16 else None
