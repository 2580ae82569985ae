"""Counting signature checks, before any is run: blocks have a limit of them (BIP141).

What counts is how often the opcodes stand in a script, reached or not. A CHECKMULTISIG counts as
20, or as the number of its keys where that stands right before it and counting is accurate.
"""

from typing import Final

from drystone.consensus.script.flags import Flags
from drystone.consensus.script.walk import PUSHDATA4, push_bounds
from drystone.primitives.opcodes import Op
from drystone.primitives.script import is_p2sh, is_push_only, parse_script, witness_program

MAX_PUBKEYS_PER_MULTISIG: Final = 20

_OP_1, _OP_16 = int(Op.OP_1), int(Op.OP_16)
_CHECKSIG, _CHECKSIGVERIFY = int(Op.OP_CHECKSIG), int(Op.OP_CHECKSIGVERIFY)
_CHECKMULTISIGVERIFY = int(Op.OP_CHECKMULTISIGVERIFY)


def count_sigops(script: bytes, *, accurate: bool) -> int:
    """Signature checks in a script, up to a push past its end. Core: CScript::GetSigOpCount.

    accurate: legacy sigops, of scriptSigs and output scripts, are counted without; those in
    redeem scripts and witness scripts with.
    """
    count = 0
    at, end = 0, len(script)
    previous = opcode = 0xFF
    while at < end:
        previous, opcode = opcode, script[at]
        at += 1
        if opcode <= PUSHDATA4:
            at = push_bounds(script, at, opcode)[1]
        elif _CHECKSIG <= opcode <= _CHECKMULTISIGVERIFY:
            if opcode <= _CHECKSIGVERIFY:
                count += 1
            elif accurate and _OP_1 <= previous <= _OP_16:
                count += previous - _OP_1 + 1
            else:
                count += MAX_PUBKEYS_PER_MULTISIG
    return count


def is_one_push_of_a_program(script: bytes) -> bool:
    """Whether a script has the form of today's witness programs, and so pushes and nothing else."""
    return len(script) in (22, 34) and script[1] + 2 == len(script) and script[0] in (0, _OP_1)


def p2sh_sigops(script_sig: bytes, script_pubkey: bytes) -> int:
    """Signature checks in the script that a P2SH input reveals, none for other inputs (BIP16).

    Core: CScript::GetSigOpCount(scriptSig).
    """
    if not is_p2sh(script_pubkey) or not is_push_only(script_sig):
        return 0
    return count_sigops(_last_push(script_sig), accurate=True)


def witness_sigops(
    script_sig: bytes, script_pubkey: bytes, witness: tuple[bytes, ...], flags: Flags
) -> int:
    """Signature checks of a witness program, bare or in P2SH (BIP141). Core: CountWitnessSigOps.

    Version 0 only: tapscript has a budget instead (BIP342).
    """
    if Flags.WITNESS not in flags:
        return 0
    program = witness_program(script_pubkey)
    if program is None and is_p2sh(script_pubkey) and is_push_only(script_sig):
        program = witness_program(_last_push(script_sig))
    if program is None or program[0] != 0:
        return 0
    if len(program[1]) == 20:
        return 1
    if len(program[1]) == 32 and witness:
        return count_sigops(witness[-1], accurate=True)
    return 0


def _last_push(script: bytes) -> bytes:
    """What a script that only pushes leaves on top, as sigops are counted.

    Core quirk: OP_1 to OP_16 and OP_1NEGATE count as pushing nothing.
    """
    data: bytes | None = b""
    for _, data, _ in parse_script(script):  # noqa: B007
        pass
    return data or b""
