r"""Taproot's trees: an output key commits to scripts, and a witness shows one of them (BIP341).

```
control block   leaf version and parity (1) | internal key (32) | 0 to 128 hashes (32 each)

                 root                the internal key and the root give the tweak,
                /    \               internal key plus tweak is the output key
          branch      leaf C
          /    \
     leaf A    leaf B                for B the control block has the hashes of A and C
```
"""

from hashlib import sha256
from typing import Final

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.walk import PUSHDATA4, push_bounds
from drystone.crypto.secp256k1 import check_tap_tweak, tap_tweak
from drystone.primitives.codec import var_bytes
from drystone.primitives.hashes import tagged_hash

LEAF_VERSION_TAPSCRIPT: Final = 0xC0
ANNEX_TAG: Final = 0x50

# Opcodes with which a tapscript is valid, whatever else it says, until a soft fork gives them a
# meaning. Core: IsOpSuccess.
_OP_SUCCESS_RANGES = (
    (80, 80),
    (98, 98),
    (126, 129),
    (131, 134),
    (137, 138),
    (141, 142),
    (149, 153),
    (187, 254),
)
OP_SUCCESS: Final = frozenset(
    opcode for first, last in _OP_SUCCESS_RANGES for opcode in range(first, last + 1)
)

_LEAF_VERSION_MASK = 0xFE
_BASE_BYTES = 33
_NODE_BYTES = 32
_MAX_NODES = 128


def pop_annex(stack: list[bytes]) -> bytes | None:
    """Takes the annex off a witness if it has one, and returns the hash that signatures sign.

    It is the last of at least two elements and begins with 0x50.
    """
    if len(stack) < 2 or stack[-1][:1] != bytes((ANNEX_TAG,)):
        return None
    return sha256(var_bytes(stack.pop())).digest()


def leaf_version(control_block: bytes) -> int:
    """By which rules the script runs; only 0xc0, tapscript, has any so far."""
    return control_block[0] & _LEAF_VERSION_MASK


def check_control_block_size(control_block: bytes) -> None:
    """A key, and a path of whole hashes, up to 128. Raises TAPROOT_WRONG_CONTROL_SIZE."""
    nodes, rest = divmod(len(control_block) - _BASE_BYTES, _NODE_BYTES)
    if rest or not 0 <= nodes <= _MAX_NODES:
        raise ScriptInvalid(ScriptError.TAPROOT_WRONG_CONTROL_SIZE)


def check_commitment(control_block: bytes, output_key: bytes, leaf_hash: bytes) -> None:
    """The output key commits to the leaf. control_block: of a right size.

    Raises ScriptInvalid(WITNESS_PROGRAM_MISMATCH). Core: VerifyTaprootCommitment.
    """
    internal_key = control_block[1:_BASE_BYTES]
    tweak = tap_tweak(internal_key, merkle_root(control_block, leaf_hash))
    if not check_tap_tweak(output_key, control_block[0] & 1, internal_key, tweak):
        raise ScriptInvalid(ScriptError.WITNESS_PROGRAM_MISMATCH)


def merkle_root(control_block: bytes, leaf_hash: bytes) -> bytes:
    """The root that a leaf's path leads to. Core: ComputeTaprootMerkleRoot."""
    node = leaf_hash
    for at in range(_BASE_BYTES, len(control_block), _NODE_BYTES):
        node = branch_hash(node, control_block[at : at + _NODE_BYTES])
    return node


def tap_leaf_hash(script: bytes, version: int = LEAF_VERSION_TAPSCRIPT) -> bytes:
    """A leaf: version and script. Core: ComputeTapleafHash."""
    return tagged_hash("TapLeaf", bytes((version,)) + var_bytes(script))


def branch_hash(a: bytes, b: bytes) -> bytes:
    """A branch over two nodes, whichever is on the left. Core: ComputeTapbranchHash."""
    return tagged_hash("TapBranch", a + b if a < b else b + a)


def has_op_success(script: bytes) -> bool:
    """Whether a tapscript has an OP_SUCCESS, executed or not (BIP342).

    Raises ScriptInvalid(BAD_OPCODE) for a push past the end, unless an OP_SUCCESS comes before it.
    """
    at, end = 0, len(script)
    while at < end:
        opcode = script[at]
        at += 1
        if opcode <= PUSHDATA4:
            at = push_bounds(script, at, opcode)[1]
        elif opcode in OP_SUCCESS:
            return True
    if at > end:
        raise ScriptInvalid(ScriptError.BAD_OPCODE)
    return False
