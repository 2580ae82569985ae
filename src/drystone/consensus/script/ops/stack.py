"""Opcodes that move elements about. In pictures like `x y -> y x`, the top is on the right."""

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.machine import Machine, Operation, need
from drystone.consensus.script.values import is_true, number
from drystone.primitives.script import encode_number


def push_constant(element: bytes) -> Operation:
    """OP_1NEGATE, OP_1 to OP_16: -> element."""

    def op_constant(vm: Machine) -> None:
        vm.stack.append(element)

    return op_constant


def op_toaltstack(vm: Machine) -> None:
    """x -> , and x goes to the other stack."""
    need(vm, 1)
    vm.alt_stack.append(vm.stack.pop())


def op_fromaltstack(vm: Machine) -> None:
    """-> x, which comes from the other stack."""
    if not vm.alt_stack:
        raise ScriptInvalid(ScriptError.INVALID_ALTSTACK_OPERATION)
    vm.stack.append(vm.alt_stack.pop())


def op_2drop(vm: Machine) -> None:
    """x y -> ."""
    need(vm, 2)
    del vm.stack[-2:]


def op_2dup(vm: Machine) -> None:
    """x y -> x y x y."""
    need(vm, 2)
    vm.stack += vm.stack[-2:]


def op_3dup(vm: Machine) -> None:
    """x y z -> x y z x y z."""
    need(vm, 3)
    vm.stack += vm.stack[-3:]


def op_2over(vm: Machine) -> None:
    """a b x y -> a b x y a b."""
    need(vm, 4)
    vm.stack += vm.stack[-4:-2]


def op_2rot(vm: Machine) -> None:
    """a b c d x y -> c d x y a b."""
    need(vm, 6)
    vm.stack += vm.stack[-6:-4]
    del vm.stack[-8:-6]


def op_2swap(vm: Machine) -> None:
    """a b x y -> x y a b."""
    need(vm, 4)
    vm.stack += vm.stack[-4:-2]
    del vm.stack[-6:-4]


def op_ifdup(vm: Machine) -> None:
    """x -> x x if it is true, else x."""
    need(vm, 1)
    if is_true(vm.stack[-1]):
        vm.stack.append(vm.stack[-1])


def op_depth(vm: Machine) -> None:
    """-> how many elements there are."""
    vm.stack.append(encode_number(len(vm.stack)))


def op_drop(vm: Machine) -> None:
    """x -> ."""
    need(vm, 1)
    vm.stack.pop()


def op_dup(vm: Machine) -> None:
    """x -> x x."""
    need(vm, 1)
    vm.stack.append(vm.stack[-1])


def op_nip(vm: Machine) -> None:
    """x y -> y."""
    need(vm, 2)
    del vm.stack[-2]


def op_over(vm: Machine) -> None:
    """x y -> x y x."""
    need(vm, 2)
    vm.stack.append(vm.stack[-2])


def op_pick(vm: Machine) -> None:
    """... n -> ... x, a copy of the element n below the top once n is gone."""
    depth = _pop_depth(vm)
    vm.stack.append(vm.stack[-depth - 1])


def op_roll(vm: Machine) -> None:
    """... x ... n -> ... ... x, the element n below the top once n is gone."""
    depth = _pop_depth(vm)
    vm.stack.append(vm.stack.pop(-depth - 1))


def _pop_depth(vm: Machine) -> int:
    need(vm, 2)
    depth = number(vm.stack[-1], minimal=vm.is_minimal)
    vm.stack.pop()
    if not 0 <= depth < len(vm.stack):
        raise ScriptInvalid(ScriptError.INVALID_STACK_OPERATION)
    return depth


def op_rot(vm: Machine) -> None:
    """x y z -> y z x."""
    need(vm, 3)
    vm.stack.append(vm.stack.pop(-3))


def op_swap(vm: Machine) -> None:
    """x y -> y x."""
    need(vm, 2)
    vm.stack.append(vm.stack.pop(-2))


def op_tuck(vm: Machine) -> None:
    """x y -> y x y."""
    need(vm, 2)
    vm.stack.insert(-2, vm.stack[-1])


def op_size(vm: Machine) -> None:
    """x -> x size, in bytes."""
    need(vm, 1)
    vm.stack.append(encode_number(len(vm.stack[-1])))
