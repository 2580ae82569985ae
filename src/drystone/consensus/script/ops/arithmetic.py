"""Opcodes that compare and reckon. Operands have at most four bytes, results what they need."""

from collections.abc import Callable

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.machine import Machine, Operation, need
from drystone.consensus.script.values import FALSE, TRUE, number, truth
from drystone.primitives.script import encode_number


def op_equal(vm: Machine) -> None:
    """x y -> whether they are the same bytes."""
    need(vm, 2)
    y, x = vm.stack.pop(), vm.stack.pop()
    vm.stack.append(TRUE if x == y else FALSE)


def op_equalverify(vm: Machine) -> None:
    """x y -> : fails unless they are the same bytes."""
    op_equal(vm)
    if vm.stack[-1] == FALSE:
        raise ScriptInvalid(ScriptError.EQUALVERIFY)
    vm.stack.pop()


def unary(compute: Callable[[int], int]) -> Operation:
    """a -> compute(a)."""

    def op_unary(vm: Machine) -> None:
        need(vm, 1)
        a = number(vm.stack[-1], minimal=vm.is_minimal)
        vm.stack[-1] = encode_number(compute(a))

    return op_unary


op_1add = unary(lambda a: a + 1)
op_1sub = unary(lambda a: a - 1)
op_negate = unary(lambda a: -a)
op_abs = unary(abs)
op_not = unary(lambda a: a == 0)
op_0notequal = unary(lambda a: a != 0)


def binary(compute: Callable[[int, int], int]) -> Operation:
    """a b -> compute(a, b)."""

    def op_binary(vm: Machine) -> None:
        need(vm, 2)
        a = number(vm.stack[-2], minimal=vm.is_minimal)
        b = number(vm.stack[-1], minimal=vm.is_minimal)
        vm.stack[-2:] = [encode_number(compute(a, b))]

    return op_binary


op_add = binary(lambda a, b: a + b)
op_sub = binary(lambda a, b: a - b)
op_booland = binary(lambda a, b: a != 0 and b != 0)
op_boolor = binary(lambda a, b: a != 0 or b != 0)
op_numequal = binary(lambda a, b: a == b)
op_numnotequal = binary(lambda a, b: a != b)
op_lessthan = binary(lambda a, b: a < b)
op_greaterthan = binary(lambda a, b: a > b)
op_lessthanorequal = binary(lambda a, b: a <= b)
op_greaterthanorequal = binary(lambda a, b: a >= b)
op_min = binary(min)
op_max = binary(max)


def op_numequalverify(vm: Machine) -> None:
    """a b -> : fails unless they are the same number."""
    op_numequal(vm)
    if vm.stack[-1] == FALSE:
        raise ScriptInvalid(ScriptError.NUMEQUALVERIFY)
    vm.stack.pop()


def op_within(vm: Machine) -> None:
    """x least beyond -> whether least <= x < beyond."""
    need(vm, 3)
    x, least, beyond = (number(operand, minimal=vm.is_minimal) for operand in vm.stack[-3:])
    vm.stack[-3:] = [truth(least <= x < beyond)]
