"""Scripts as bytes: taking them apart, putting them together, showing them.

A script is `bytes` everywhere. Nothing here runs one: `consensus/script/` does.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from drystone.primitives.codec import Malformed
from drystone.primitives.opcodes import Op

MAX_SCRIPT_BYTES: Final = 10_000  # Core: MAX_SCRIPT_SIZE
MAX_ELEMENT_BYTES: Final = 520  # of a stack element; Core: MAX_SCRIPT_ELEMENT_SIZE

_NAMES = {int(op): op.name for op in Op}
_PUSHDATA1, _PUSHDATA4, _OP_16 = int(Op.OP_PUSHDATA1), int(Op.OP_PUSHDATA4), int(Op.OP_16)
_LENGTH_BYTES = {Op.OP_PUSHDATA1: 1, Op.OP_PUSHDATA2: 2, Op.OP_PUSHDATA4: 4}


class ScriptOp(NamedTuple):
    """One operation: the opcode, what it pushes (None if nothing), and where the next begins."""

    opcode: int
    data: bytes | None
    end: int


def parse_script(script: bytes, start: int = 0) -> Iterator[ScriptOp]:
    """The operations one by one. Core: CScript::GetOp.

    Raises Malformed when a push reaches past the end; what came before it has been given.
    """
    at, end = start, len(script)
    while at < end:
        opcode = script[at]
        at += 1
        if opcode > Op.OP_PUSHDATA4:
            yield ScriptOp(opcode, None, at)
            continue
        size = opcode
        if opcode >= Op.OP_PUSHDATA1:
            width = _LENGTH_BYTES[Op(opcode)]
            if end - at < width:
                raise Malformed(f"a push without its length at offset {at - 1}")
            size = int.from_bytes(script[at : at + width], "little")
            at += width
        if end - at < size:
            raise Malformed(f"a push of {size} bytes at offset {at}, {end - at} left")
        at += size
        yield ScriptOp(opcode, script[at - size : at], at)


def push(data: bytes) -> bytes:
    """The shortest plain push: opcodes 0x01 to 0x4b, then PUSHDATA. Core: CScript << bytes.

    Small numbers are not turned into OP_1 and its kin; `push_int` does that.
    """
    size = len(data)
    if size < Op.OP_PUSHDATA1:
        return bytes((size,)) + data
    if size <= 0xFF:
        return bytes((Op.OP_PUSHDATA1, size)) + data
    if size <= 0xFFFF:
        return bytes((Op.OP_PUSHDATA2,)) + size.to_bytes(2, "little") + data
    return bytes((Op.OP_PUSHDATA4,)) + size.to_bytes(4, "little") + data


def push_int(value: int) -> bytes:
    """A number as the reference client pushes it: OP_1NEGATE, OP_0 to OP_16, or its bytes."""
    if value == 0:
        return bytes((Op.OP_0,))
    if value == -1 or 1 <= value <= 16:
        return bytes((Op.OP_1 - 1 + value,))
    return push(encode_number(value))


def encode_number(value: int) -> bytes:
    """A script number: little-endian magnitude, the sign in the highest bit; zero is empty.

    Core: CScriptNum::serialize.
    """
    if value == 0:
        return b""
    magnitude = abs(value)
    size = magnitude.bit_length() // 8 + 1  # one bit more, for the sign
    encoded = bytearray(magnitude.to_bytes(size, "little"))
    if value < 0:
        encoded[-1] |= 0x80
    return bytes(encoded)


def decode_number(data: bytes) -> int:
    """The number that a stack element stands for, whatever its length; negative zero is zero."""
    if not data:
        return 0
    magnitude = int.from_bytes(data, "little")
    sign_bit = 0x80 << 8 * (len(data) - 1)
    return -(magnitude ^ sign_bit) if magnitude & sign_bit else magnitude


def is_push_only(script: bytes) -> bool:
    """Whether it does nothing but push. OP_RESERVED counts as a push. Core: IsPushOnly."""
    at, end = 0, len(script)
    while at < end:
        opcode = script[at]
        at += 1
        if opcode < _PUSHDATA1:
            at += opcode
        elif opcode > _OP_16:
            return False
        elif opcode <= _PUSHDATA4:
            width = 1 << (opcode - _PUSHDATA1)  # of the length that follows
            at += width + int.from_bytes(script[at : at + width], "little")
    return at == end  # else the last push, or its length, reaches past the end


def disassemble(script: bytes) -> str:
    """For people: opcode names, pushes in hex, `[error]` where a push reaches past the end."""
    words = []
    try:
        for op in parse_script(script):
            if op.data:
                words.append(op.data.hex())
            else:
                words.append(_NAMES.get(op.opcode, f"OP_UNKNOWN_{op.opcode:02x}"))
    except Malformed:
        words.append("[error]")
    return " ".join(words)


# Templates: the shapes of output script that have a name.


def p2pk(public_key: bytes) -> bytes:
    """Pay to a public key (33 or 65 bytes)."""
    return push(public_key) + bytes((Op.OP_CHECKSIG,))


def p2pkh(key_hash: bytes) -> bytes:
    """Pay to the HASH160 of a public key (20 bytes)."""
    head = bytes((Op.OP_DUP, Op.OP_HASH160))
    return head + push(key_hash) + bytes((Op.OP_EQUALVERIFY, Op.OP_CHECKSIG))


def p2sh(script_hash: bytes) -> bytes:
    """Pay to the HASH160 of a script (20 bytes; BIP16)."""
    return bytes((Op.OP_HASH160,)) + push(script_hash) + bytes((Op.OP_EQUAL,))


def witness_script_pubkey(version: int, program: bytes) -> bytes:
    """Pay to a witness program: version 0 to 16, 2 to 40 bytes (BIP141)."""
    return push_int(version) + push(program)


def p2wpkh(key_hash: bytes) -> bytes:
    """Pay to the HASH160 of a compressed public key (20 bytes), version 0."""
    return witness_script_pubkey(0, key_hash)


def p2wsh(script_hash: bytes) -> bytes:
    """Pay to the SHA-256 of a script (32 bytes), version 0."""
    return witness_script_pubkey(0, script_hash)


def p2tr(output_key: bytes) -> bytes:
    """Pay to a taproot output key (32 bytes; BIP341)."""
    return witness_script_pubkey(1, output_key)


P2A: Final = witness_script_pubkey(1, b"\x4e\x73")  # pay to anchor: anyone can spend it


def op_return(data: bytes) -> bytes:
    """An output that nobody can spend and that carries data."""
    return bytes((Op.OP_RETURN,)) + push(data)


def multisig(required: int, public_keys: list[bytes]) -> bytes:
    """Bare m-of-n: up to 20 keys by consensus, 3 by relay policy."""
    keys = b"".join(map(push, public_keys))
    tail = bytes((Op.OP_CHECKMULTISIG,))
    return push_int(required) + keys + push_int(len(public_keys)) + tail


def is_p2sh(script: bytes) -> bool:
    """Whether an output script is pay-to-script-hash, exactly as BIP16 has it."""
    return (
        len(script) == 23
        and script[0] == Op.OP_HASH160
        and script[1] == 20
        and script[22] == Op.OP_EQUAL
    )


def witness_program(script: bytes) -> tuple[int, bytes] | None:
    """Version and program of a witness output, or None. Core: IsWitnessProgram (BIP141)."""
    if not 4 <= len(script) <= 42 or script[1] + 2 != len(script):
        return None
    if script[0] != Op.OP_0 and not Op.OP_1 <= script[0] <= Op.OP_16:
        return None
    version = script[0] - Op.OP_1 + 1 if script[0] else 0
    return version, script[2:]


def is_unspendable(script: bytes) -> bool:
    """Whether no input can ever satisfy it, so that its coin is not kept. Core: IsUnspendable."""
    return script[:1] == bytes((Op.OP_RETURN,)) or len(script) > MAX_SCRIPT_BYTES
