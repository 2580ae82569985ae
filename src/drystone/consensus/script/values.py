"""What bytes on the stack mean, truth or numbers, and the shortest ways to write and push them."""

from typing import Final

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.primitives.opcodes import Op
from drystone.primitives.script import decode_number

TRUE: Final = b"\x01"
FALSE: Final = b""

MAX_NUMBER_BYTES: Final = 4  # of an operand; results may be longer. Core: nDefaultMaxNumSize
MAX_LOCKTIME_BYTES: Final = 5  # 4 would end in 2038 (BIP65)

_OP_1NEGATE, _OP_1 = int(Op.OP_1NEGATE), int(Op.OP_1)
_PUSHDATA1, _PUSHDATA2 = int(Op.OP_PUSHDATA1), int(Op.OP_PUSHDATA2)


def is_true(element: bytes) -> bool:
    """Whether any bit is set besides the sign: negative zero is false. Core: CastToBool."""
    significant = element.lstrip(b"\0")
    return significant not in (b"", b"\x80")


def truth(value: bool) -> bytes:  # noqa: FBT001
    """What a test leaves on the stack."""
    return TRUE if value else FALSE


def number(element: bytes, *, minimal: bool, limit: int = MAX_NUMBER_BYTES) -> int:
    """The number that an operand stands for. minimal: it must be written the shortest way.

    Raises ScriptInvalid(SCRIPTNUM). Core: CScriptNum.
    """
    if len(element) > limit or (minimal and not is_minimal_number(element)):
        raise ScriptInvalid(ScriptError.SCRIPTNUM)
    return decode_number(element)


def is_minimal_number(element: bytes) -> bool:
    """Whether the last byte is there for more than the sign (BIP62 rule 4)."""
    if not element or element[-1] & 0x7F:
        return True
    return len(element) > 1 and element[-2] & 0x80 != 0


def is_minimal_push(data: bytes, opcode: int) -> bool:
    """Whether this opcode is the shortest way to push it (BIP62 rule 3). Core: CheckMinimalPush."""
    size = len(data)
    if size == 0:
        return opcode == 0
    if size == 1 and (1 <= data[0] <= 16 or data[0] == 0x81):
        return False  # OP_1 to OP_16 or OP_1NEGATE would do, and they carry no data
    if size < _PUSHDATA1:
        return opcode == size
    if size <= 0xFF:
        return opcode == _PUSHDATA1
    return opcode == _PUSHDATA2  # an element's size limit leaves no case for PUSHDATA4
