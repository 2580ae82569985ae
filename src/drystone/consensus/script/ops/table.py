"""Which opcode does what."""

from typing import Final

from drystone.consensus.script.machine import Operation
from drystone.consensus.script.ops import arithmetic, flow, hashing, signatures, stack, time
from drystone.primitives.opcodes import Op
from drystone.primitives.script import encode_number

_NAMED: Final[dict[int, Operation]] = {
    # Flow.
    Op.OP_NOP: flow.op_nop,
    Op.OP_IF: flow.op_if,
    Op.OP_NOTIF: flow.op_notif,
    Op.OP_ELSE: flow.op_else,
    Op.OP_ENDIF: flow.op_endif,
    Op.OP_VERIFY: flow.op_verify,
    Op.OP_RETURN: flow.op_return,
    # Stack.
    Op.OP_TOALTSTACK: stack.op_toaltstack,
    Op.OP_FROMALTSTACK: stack.op_fromaltstack,
    Op.OP_2DROP: stack.op_2drop,
    Op.OP_2DUP: stack.op_2dup,
    Op.OP_3DUP: stack.op_3dup,
    Op.OP_2OVER: stack.op_2over,
    Op.OP_2ROT: stack.op_2rot,
    Op.OP_2SWAP: stack.op_2swap,
    Op.OP_IFDUP: stack.op_ifdup,
    Op.OP_DEPTH: stack.op_depth,
    Op.OP_DROP: stack.op_drop,
    Op.OP_DUP: stack.op_dup,
    Op.OP_NIP: stack.op_nip,
    Op.OP_OVER: stack.op_over,
    Op.OP_PICK: stack.op_pick,
    Op.OP_ROLL: stack.op_roll,
    Op.OP_ROT: stack.op_rot,
    Op.OP_SWAP: stack.op_swap,
    Op.OP_TUCK: stack.op_tuck,
    Op.OP_SIZE: stack.op_size,
    # Arithmetic and comparison.
    Op.OP_EQUAL: arithmetic.op_equal,
    Op.OP_EQUALVERIFY: arithmetic.op_equalverify,
    Op.OP_1ADD: arithmetic.op_1add,
    Op.OP_1SUB: arithmetic.op_1sub,
    Op.OP_NEGATE: arithmetic.op_negate,
    Op.OP_ABS: arithmetic.op_abs,
    Op.OP_NOT: arithmetic.op_not,
    Op.OP_0NOTEQUAL: arithmetic.op_0notequal,
    Op.OP_ADD: arithmetic.op_add,
    Op.OP_SUB: arithmetic.op_sub,
    Op.OP_BOOLAND: arithmetic.op_booland,
    Op.OP_BOOLOR: arithmetic.op_boolor,
    Op.OP_NUMEQUAL: arithmetic.op_numequal,
    Op.OP_NUMEQUALVERIFY: arithmetic.op_numequalverify,
    Op.OP_NUMNOTEQUAL: arithmetic.op_numnotequal,
    Op.OP_LESSTHAN: arithmetic.op_lessthan,
    Op.OP_GREATERTHAN: arithmetic.op_greaterthan,
    Op.OP_LESSTHANOREQUAL: arithmetic.op_lessthanorequal,
    Op.OP_GREATERTHANOREQUAL: arithmetic.op_greaterthanorequal,
    Op.OP_MIN: arithmetic.op_min,
    Op.OP_MAX: arithmetic.op_max,
    Op.OP_WITHIN: arithmetic.op_within,
    # Hashes.
    Op.OP_RIPEMD160: hashing.op_ripemd160,
    Op.OP_SHA1: hashing.op_sha1,
    Op.OP_SHA256: hashing.op_sha256,
    Op.OP_HASH160: hashing.op_hash160,
    Op.OP_HASH256: hashing.op_hash256,
    # Signatures.
    Op.OP_CODESEPARATOR: signatures.op_codeseparator,
    Op.OP_CHECKSIG: signatures.op_checksig,
    Op.OP_CHECKSIGVERIFY: signatures.op_checksigverify,
    Op.OP_CHECKMULTISIG: signatures.op_checkmultisig,
    Op.OP_CHECKMULTISIGVERIFY: signatures.op_checkmultisigverify,
    Op.OP_CHECKSIGADD: signatures.op_checksigadd,
    # Time.
    Op.OP_CHECKLOCKTIMEVERIFY: time.op_checklocktimeverify,
    Op.OP_CHECKSEQUENCEVERIFY: time.op_checksequenceverify,
}

_UPGRADABLE_NOPS: Final = (
    Op.OP_NOP1,
    Op.OP_NOP4,
    Op.OP_NOP5,
    Op.OP_NOP6,
    Op.OP_NOP7,
    Op.OP_NOP8,
    Op.OP_NOP9,
    Op.OP_NOP10,
)

# Disabled in 2010, when it was found what some of them could do to a node.
_DISABLED: Final = (
    Op.OP_CAT,
    Op.OP_SUBSTR,
    Op.OP_LEFT,
    Op.OP_RIGHT,
    Op.OP_INVERT,
    Op.OP_AND,
    Op.OP_OR,
    Op.OP_XOR,
    Op.OP_2MUL,
    Op.OP_2DIV,
    Op.OP_MUL,
    Op.OP_DIV,
    Op.OP_MOD,
    Op.OP_LSHIFT,
    Op.OP_RSHIFT,
)

OPERATIONS: Final[tuple[Operation, ...]] = tuple(
    [
        stack.push_constant(encode_number(opcode - Op.OP_1 + 1))
        if opcode == Op.OP_1NEGATE or Op.OP_1 <= opcode <= Op.OP_16
        else flow.op_upgradable_nop
        if opcode in _UPGRADABLE_NOPS
        else flow.op_disabled
        if opcode in _DISABLED
        else _NAMED.get(opcode, flow.op_bad)
        for opcode in range(256)
    ]
)
"""The operation of each opcode above PUSHDATA4; what is missing here fails where it runs."""

UNSKIPPABLE: Final = frozenset(
    map(
        int,
        (
            Op.OP_IF,
            Op.OP_NOTIF,
            Op.OP_VERIF,
            Op.OP_VERNOTIF,
            Op.OP_ELSE,
            Op.OP_ENDIF,
            Op.OP_CODESEPARATOR,
            *_DISABLED,
        ),
    )
)
"""Opcodes that have something to say in branches that are not taken."""
