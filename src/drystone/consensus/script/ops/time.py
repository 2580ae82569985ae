"""Opcodes that wait: a script can say from when on it may be used (BIP65, BIP112)."""

from drystone.consensus.locktime import SEQUENCE_LOCKTIME_DISABLE_FLAG
from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.machine import Machine, need
from drystone.consensus.script.values import MAX_LOCKTIME_BYTES, number


def op_checklocktimeverify(vm: Machine) -> None:
    """lock_time -> lock_time: fails if a block before that may have the transaction (BIP65)."""
    if Flags.CHECKLOCKTIMEVERIFY not in vm.flags:
        return  # as OP_NOP2, and not even discouraged
    lock_time = _peek_time(vm)
    if not vm.checker.has_reached_lock_time(lock_time):
        raise ScriptInvalid(ScriptError.UNSATISFIED_LOCKTIME)


def op_checksequenceverify(vm: Machine) -> None:
    """sequence -> sequence: fails if the coin may be younger than that (BIP112)."""
    if Flags.CHECKSEQUENCEVERIFY not in vm.flags:
        return  # as OP_NOP3
    sequence = _peek_time(vm)
    if sequence & SEQUENCE_LOCKTIME_DISABLE_FLAG:
        return  # left for soft forks to come
    if not vm.checker.has_reached_sequence(sequence):
        raise ScriptInvalid(ScriptError.UNSATISFIED_LOCKTIME)


def _peek_time(vm: Machine) -> int:
    """The top of the stack, which stays there: as a NOP, the opcode took nothing."""
    need(vm, 1)
    time = number(vm.stack[-1], minimal=vm.is_minimal, limit=MAX_LOCKTIME_BYTES)
    if time < 0:
        raise ScriptInvalid(ScriptError.NEGATIVE_LOCKTIME)
    return time
