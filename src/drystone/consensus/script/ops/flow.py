"""Opcodes that decide what runs: branches, failing, doing nothing."""

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.machine import Machine, SigVersion, need
from drystone.consensus.script.values import TRUE, is_true


def op_nop(_vm: Machine) -> None:
    """Nothing."""


def op_upgradable_nop(vm: Machine) -> None:
    """Nothing yet: a soft fork may give it a meaning."""
    if Flags.DISCOURAGE_UPGRADABLE_NOPS in vm.flags:
        raise ScriptInvalid(ScriptError.DISCOURAGE_UPGRADABLE_NOPS)


def op_if(vm: Machine) -> None:
    """condition -> : the branch up to ELSE or ENDIF runs if it is true."""
    enter_branch(vm, taken=vm.dead_branch == 0 and _pop_condition(vm))


def op_notif(vm: Machine) -> None:
    """condition -> : the branch up to ELSE or ENDIF runs if it is false."""
    enter_branch(vm, taken=vm.dead_branch == 0 and not _pop_condition(vm))


def _pop_condition(vm: Machine) -> bool:
    need(vm, 1)
    condition = vm.stack[-1]
    if condition not in (b"", TRUE):
        check_minimal_condition(vm)
    vm.stack.pop()
    return is_true(condition)


def check_minimal_condition(vm: Machine) -> None:
    """A condition that is neither empty nor 1 fails in tapscript (BIP342), in v0 by policy."""
    if vm.sig_version is SigVersion.TAPSCRIPT:
        raise ScriptInvalid(ScriptError.TAPSCRIPT_MINIMALIF)
    if vm.sig_version is SigVersion.WITNESS_V0 and Flags.MINIMALIF in vm.flags:
        raise ScriptInvalid(ScriptError.MINIMALIF)


def enter_branch(vm: Machine, *, taken: bool) -> None:
    """One IF deeper; inside of a dead branch it doesn't matter which way."""
    vm.open_ifs += 1
    if not taken and not vm.dead_branch:
        vm.dead_branch = vm.open_ifs


def op_else(vm: Machine) -> None:
    """The innermost IF's other branch, which dies if the first lived. May come several times."""
    need_open_if(vm)
    if vm.dead_branch == 0:
        vm.dead_branch = vm.open_ifs
    elif vm.dead_branch == vm.open_ifs:
        vm.dead_branch = 0


def op_endif(vm: Machine) -> None:
    """The innermost IF's end."""
    need_open_if(vm)
    if vm.dead_branch == vm.open_ifs:
        vm.dead_branch = 0
    vm.open_ifs -= 1


def need_open_if(vm: Machine) -> None:
    """There is an IF to go with. Raises ScriptInvalid(UNBALANCED_CONDITIONAL)."""
    if not vm.open_ifs:
        raise ScriptInvalid(ScriptError.UNBALANCED_CONDITIONAL)


def op_verify(vm: Machine) -> None:
    """condition -> : fails unless it is true."""
    need(vm, 1)
    if not is_true(vm.stack[-1]):
        raise ScriptInvalid(ScriptError.VERIFY)
    vm.stack.pop()


def op_return(_vm: Machine) -> None:
    """Fails."""
    raise ScriptInvalid(ScriptError.OP_RETURN)


def op_bad(_vm: Machine) -> None:
    """Fails where it runs: reserved or unknown. OP_VERIF and OP_VERNOTIF fail anywhere."""
    raise ScriptInvalid(ScriptError.BAD_OPCODE)


def op_disabled(_vm: Machine) -> None:
    """Fails anywhere, even in a branch not taken. CVE-2010-5137."""
    raise ScriptInvalid(ScriptError.DISABLED_OPCODE)
