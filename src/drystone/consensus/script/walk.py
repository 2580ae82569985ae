"""Walking over a script's operations without running them, for what goes over every script.

Speed shaped this: it tells offsets, and takes nothing out. `primitives.script.parse_script` is the
comfortable way.
"""

from typing import Final

from drystone.primitives.opcodes import Op

_PUSHDATA1: Final = int(Op.OP_PUSHDATA1)
PUSHDATA4: Final = int(Op.OP_PUSHDATA4)  # the last opcode that carries data


def push_bounds(script: bytes, at: int, opcode: int) -> tuple[int, int]:
    """Where pushed data starts and ends. opcode: up to PUSHDATA4; at: the offset after it.

    The end is beyond the script's if the push reaches past it. If even its length does, both are.
    """
    if opcode < _PUSHDATA1:
        return at, at + opcode
    start = at + (1 << opcode - _PUSHDATA1)  # PUSHDATA1, 2 and 4 have so many bytes of length
    return start, start + int.from_bytes(script[at:start], "little")
