"""Each limit: the last that fits, and the first that doesn't."""

import pytest
from tests.support.machines import Run

from drystone.consensus.script.errors import ScriptError
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.machine import SigVersion
from drystone.primitives.opcodes import Op
from drystone.primitives.script import push, push_int

NOP, DUP, IF, ENDIF = (bytes((op,)) for op in (Op.OP_NOP, Op.OP_DUP, Op.OP_IF, Op.OP_ENDIF))
LIMITED = [SigVersion.BASE, SigVersion.WITNESS_V0]
ALL = list(SigVersion)


def ends(script: bytes, sig_version: SigVersion, stack: list[bytes] | None = None) -> ScriptError:
    return Run(script, stack or [], sig_version=sig_version).outcome()


@pytest.mark.parametrize("sig_version", LIMITED)
def test_a_script_has_at_most_10_000_bytes(sig_version: SigVersion) -> None:
    pushes = (push(bytes(520)) + bytes((Op.OP_DROP,))) * 18
    rest = 10_000 - len(pushes)
    assert ends(pushes + b"\0" * rest, sig_version) is ScriptError.OK
    assert ends(pushes + b"\0" * (rest + 1), sig_version) is ScriptError.SCRIPT_SIZE


def test_a_tapscript_may_be_longer() -> None:
    assert ends(NOP * 10_001, SigVersion.TAPSCRIPT) is ScriptError.OK


@pytest.mark.parametrize("sig_version", LIMITED)
def test_a_script_has_at_most_201_operations(sig_version: SigVersion) -> None:
    assert ends(NOP * 201, sig_version) is ScriptError.OK
    assert ends(NOP * 202, sig_version) is ScriptError.OP_COUNT


def test_pushes_are_no_operations_and_those_skipped_are() -> None:
    assert ends(b"\x51" * 900 + NOP * 201, SigVersion.BASE) is ScriptError.OK
    skipped = b"\0" + IF + NOP * 199 + ENDIF
    assert ends(skipped, SigVersion.BASE) is ScriptError.OK
    skipped = b"\0" + IF + NOP * 200 + ENDIF
    assert ends(skipped, SigVersion.BASE) is ScriptError.OP_COUNT


def test_op_reserved_is_no_operation_though_it_is_no_push() -> None:
    skipped = b"\0" + IF + bytes((Op.OP_RESERVED,)) * 300 + ENDIF
    assert ends(skipped, SigVersion.BASE) is ScriptError.OK


@pytest.mark.parametrize(("nops", "error"), [(180, ScriptError.OK), (181, ScriptError.OP_COUNT)])
def test_the_keys_of_checkmultisig_count_as_operations(nops: int, error: ScriptError) -> None:
    multisig = b"\0\0" + push(b"key") * 20 + push_int(20) + bytes((Op.OP_CHECKMULTISIG,))
    assert ends(NOP * nops + multisig, SigVersion.BASE) is error


@pytest.mark.parametrize("sig_version", ALL)
def test_an_element_has_at_most_520_bytes(sig_version: SigVersion) -> None:
    assert ends(push(bytes(520)), sig_version) is ScriptError.OK
    assert ends(push(bytes(521)), sig_version) is ScriptError.PUSH_SIZE
    skipped = b"\0" + IF + push(bytes(521)) + ENDIF
    assert ends(skipped, sig_version) is ScriptError.PUSH_SIZE


@pytest.mark.parametrize("sig_version", ALL)
def test_the_stacks_have_at_most_1000_elements_together(sig_version: SigVersion) -> None:
    stack = [b"\x01"] * 999
    to_alt = bytes((Op.OP_TOALTSTACK,)) * 5
    assert ends(to_alt + b"\x51", sig_version, stack) is ScriptError.OK
    assert ends(to_alt + b"\x51\x51", sig_version, stack) is ScriptError.STACK_SIZE
    # Looked at after each operation: one too many for a moment is one too many.
    assert ends(b"\x51\x51\x75", sig_version, stack) is ScriptError.STACK_SIZE


@pytest.mark.parametrize("sig_version", LIMITED)
def test_checkmultisig_has_at_most_20_keys(sig_version: SigVersion) -> None:
    def multisig(keys: int) -> bytes:
        return b"\0\0" + push(b"key") * keys + push_int(keys) + bytes((Op.OP_CHECKMULTISIG,))

    assert ends(multisig(20), sig_version) is ScriptError.OK
    assert ends(multisig(21), sig_version) is ScriptError.PUBKEY_COUNT


@pytest.mark.parametrize(
    ("stack", "error"),
    [
        ([b"\x81"], ScriptError.PUBKEY_COUNT),
        ([b"k", b"\x01"], ScriptError.INVALID_STACK_OPERATION),
        ([b"\x81", b"k", b"\x01"], ScriptError.SIG_COUNT),
        ([b"\x02", b"k", b"\x01"], ScriptError.SIG_COUNT),
        ([b"", b"\x01", b"k", b"\x01"], ScriptError.INVALID_STACK_OPERATION),  # no dummy
        ([b"", b"", b"\x01", b"k", b"\x01"], ScriptError.OK),
        ([b"", b""], ScriptError.INVALID_STACK_OPERATION),
        ([b"", b"", b""], ScriptError.OK),
    ],
)
def test_checkmultisig_wants_its_counts_right(stack: list[bytes], error: ScriptError) -> None:
    assert Run("CHECKMULTISIG", stack).outcome() is error


@pytest.mark.parametrize("sig_version", ALL)
@pytest.mark.parametrize("script", [b"\x02\x00", b"\x4c", b"\x4c\x01", b"\x4d\x00", b"\x4e\1\0\0"])
def test_a_push_past_the_end_is_a_bad_opcode(script: bytes, sig_version: SigVersion) -> None:
    assert ends(script, sig_version) is ScriptError.BAD_OPCODE
    assert ends(b"\0" + IF + script, sig_version) is ScriptError.BAD_OPCODE


MINIMAL = [b"", b"\x05" + bytes(5), push(bytes(75)), push(bytes(76)), push(bytes(255))]
MINIMAL += [push(bytes(256)), b"\x51", b"\x60", b"\x4f", b"\x01\x00", b"\x01\x11", b"\x01\x80"]


@pytest.mark.parametrize("script", MINIMAL, ids=lambda script: script[:4].hex())
def test_a_minimal_push_is_allowed(script: bytes) -> None:
    assert Run(script, flags=Flags.MINIMALDATA).outcome() is ScriptError.OK


NOT_MINIMAL = [b"\x4c\x00", b"\x01\x01", b"\x01\x10", b"\x01\x81", b"\x4c\x4b" + bytes(75)]
NOT_MINIMAL += [b"\x4d\xff\x00" + bytes(255), b"\x4e\x00\x01\x00\x00" + bytes(256)]


@pytest.mark.parametrize("script", NOT_MINIMAL, ids=lambda script: script[:4].hex())
def test_a_push_that_is_not_minimal_is_refused_where_it_runs(script: bytes) -> None:
    assert Run(script).outcome() is ScriptError.OK
    assert Run(script, flags=Flags.MINIMALDATA).outcome() is ScriptError.MINIMALDATA
    skipped = b"\0" + IF + script + ENDIF
    assert Run(skipped, flags=Flags.MINIMALDATA).outcome() is ScriptError.OK


@pytest.mark.parametrize("operand", [b"\x00", b"\x80", b"\x01\x00", b"\x01\x80", b"\x7f\x00"])
def test_a_number_that_is_not_minimal_is_refused(operand: bytes) -> None:
    assert Run("1ADD", [operand]).outcome() is ScriptError.OK
    assert Run("1ADD", [operand], Flags.MINIMALDATA).outcome() is ScriptError.SCRIPTNUM


@pytest.mark.parametrize("operand", [b"", b"\x01", b"\x81", b"\x80\x00", b"\xff\x80", b"\0\0\0\1"])
def test_a_minimal_number_is_allowed(operand: bytes) -> None:
    assert Run("1ADD", [operand], Flags.MINIMALDATA).outcome() is ScriptError.OK
