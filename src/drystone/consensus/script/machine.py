"""The machine that a script runs on: two stacks, and all that its opcodes look at."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from drystone.consensus.script.checker import InputChecker
from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.sighash import NO_CODE_SEPARATOR

MAX_STACK_ELEMENTS: Final = 1_000  # both stacks together. Core: MAX_STACK_SIZE
MAX_OPS: Final = 201  # above OP_16, keys of CHECKMULTISIG too. Core: MAX_OPS_PER_SCRIPT


class SigVersion(Enum):
    """Which rules a script runs by. Core: SigVersion.

    Its TAPROOT has no script: a signature by the output key is checked without any machine.
    """

    BASE = auto()  # legacy and P2SH
    WITNESS_V0 = auto()  # BIP141, BIP143
    TAPSCRIPT = auto()  # BIP342


class Tapscript:
    """What a tapscript has beyond its stacks (BIP341, BIP342). Core: ScriptExecutionData.

    leaf_hash: what the output commits to. annex_hash: of the annex, if the witness has one.
    weight_left: how much weight signature checks may still use up.
    """

    __slots__ = ("annex_hash", "leaf_hash", "weight_left")

    def __init__(self, leaf_hash: bytes, annex_hash: bytes | None, weight_left: int) -> None:
        self.leaf_hash = leaf_hash
        self.annex_hash = annex_hash
        self.weight_left = weight_left


class Machine:
    """A script that runs.

    stack: bytes, the top last; it is the caller's list, and what the script leaves on it is the
    result. decisive: the script is such that a signature that fails makes it fail.
    """

    __slots__ = (
        "alt_stack",
        "at",
        "checker",
        "code_start",
        "dead_branch",
        "decisive",
        "flags",
        "is_minimal",
        "last_separator",
        "op_count",
        "open_ifs",
        "position",
        "script",
        "sig_version",
        "stack",
        "tapscript",
    )

    def __init__(
        self,
        script: bytes,
        stack: list[bytes],
        flags: Flags,
        checker: InputChecker,
        *,
        sig_version: SigVersion = SigVersion.BASE,
        tapscript: Tapscript | None = None,
        decisive: bool = False,
    ) -> None:
        self.script = script
        self.stack = stack
        self.alt_stack: list[bytes] = []
        self.flags = flags
        self.checker = checker
        self.sig_version = sig_version
        self.tapscript = tapscript
        self.decisive = decisive
        self.is_minimal = Flags.MINIMALDATA in flags

        self.at = 0  # offset after the operation that runs
        self.position = 0  # how many operations came before it, pushes included
        self.op_count = 0  # towards MAX_OPS
        self.code_start = 0  # offset after the last OP_CODESEPARATOR that ran
        self.last_separator = NO_CODE_SEPARATOR  # its position

        # IFs nest; the branches taken need no memory but for the outermost that is not taken.
        self.open_ifs = 0
        self.dead_branch = 0  # its depth, from 1; 0 while all open branches are taken


Operation = Callable[[Machine], None]
"""What an opcode does. Raises ScriptInvalid."""


def need(vm: Machine, count: int) -> None:
    """The stack has at least so many elements. Raises ScriptInvalid(INVALID_STACK_OPERATION)."""
    if len(vm.stack) < count:
        raise ScriptInvalid(ScriptError.INVALID_STACK_OPERATION)
