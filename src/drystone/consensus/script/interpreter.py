"""Running a script, operation by operation."""

from typing import Final

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.machine import MAX_OPS, MAX_STACK_ELEMENTS, Machine, SigVersion
from drystone.consensus.script.ops.table import OPERATIONS, UNSKIPPABLE
from drystone.consensus.script.values import is_minimal_push
from drystone.consensus.script.walk import PUSHDATA4, push_bounds
from drystone.primitives.opcodes import Op
from drystone.primitives.script import MAX_ELEMENT_BYTES, MAX_SCRIPT_BYTES

_PUSHDATA1: Final = int(Op.OP_PUSHDATA1)
_OP_16: Final = int(Op.OP_16)


def run(vm: Machine) -> None:
    """A script from its first operation to its last. Core: EvalScript.

    What it leaves on the stack is for the caller to judge. Raises ScriptInvalid with the first
    rule that it broke, in the reference client's order.
    """
    script, stack, alt_stack = vm.script, vm.stack, vm.alt_stack
    is_limited = vm.sig_version is not SigVersion.TAPSCRIPT  # BIP342 has a budget instead
    at, end = 0, len(script)
    if is_limited and end > MAX_SCRIPT_BYTES:
        raise ScriptInvalid(ScriptError.SCRIPT_SIZE)
    while at < end:
        opcode = script[at]
        at += 1
        if opcode <= PUSHDATA4:
            at = _run_push(vm, opcode, at)
        else:
            if opcode > _OP_16 and is_limited:
                vm.op_count += 1
                if vm.op_count > MAX_OPS:
                    raise ScriptInvalid(ScriptError.OP_COUNT)
            if not vm.dead_branch or opcode in UNSKIPPABLE:
                vm.at = at
                OPERATIONS[opcode](vm)
        if len(stack) + len(alt_stack) > MAX_STACK_ELEMENTS:
            raise ScriptInvalid(ScriptError.STACK_SIZE)
        vm.position += 1
    if vm.open_ifs:
        raise ScriptInvalid(ScriptError.UNBALANCED_CONDITIONAL)


def _run_push(vm: Machine, opcode: int, at: int) -> int:
    """A push of data, unless in a dead branch. Returns the offset after it."""
    script = vm.script
    start, end = (at, at + opcode) if opcode < _PUSHDATA1 else push_bounds(script, at, opcode)
    if end > len(script):
        raise ScriptInvalid(ScriptError.BAD_OPCODE)
    if end - start > MAX_ELEMENT_BYTES:
        raise ScriptInvalid(ScriptError.PUSH_SIZE)
    if not vm.dead_branch:
        data = script[start:end]
        if vm.is_minimal and not is_minimal_push(data, opcode):
            raise ScriptInvalid(ScriptError.MINIMALDATA)
        vm.stack.append(data)
    return end
