"""Each opcode: what it takes, what it leaves, and how it refuses."""

from hashlib import sha1, sha256

import pytest
from tests.support.machines import Run, stack_of

from drystone.consensus.script.errors import ScriptError
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.machine import SigVersion
from drystone.crypto.ripemd160 import ripemd160
from drystone.primitives.hashes import sha256d
from drystone.primitives.opcodes import Op

LEAVES = [
    # before, script, after
    ("", "-1 0 1 16", "0x01 0x81 0 0x01 0x01 0x01 0x10"),
    ("7", "NOP NOP1 NOP4 NOP10", "7"),
    # flow
    ("1", "IF 2 ELSE 3 ENDIF", "2"),
    ("0", "IF 2 ELSE 3 ENDIF", "3"),
    ("1", "NOTIF 2 ELSE 3 ENDIF", "3"),
    ("0", "NOTIF 2 ELSE 3 ENDIF", "2"),
    ("0x02 0x0080", "IF 2 ELSE 3 ENDIF", "3"),  # negative zero
    ("1", "IF 2 ELSE 3 ELSE 4 ELSE 5 ENDIF", "2 4"),
    ("0 1", "IF IF 2 ELSE 3 ENDIF ELSE IF 4 ENDIF ENDIF", "3"),
    ("0", "IF IF RETURN ELSE RETURN ENDIF 255 0xff ELSE 3 ENDIF", "3"),
    ("5 1", "VERIFY", "5"),
    # stack
    ("1 2", "TOALTSTACK TOALTSTACK FROMALTSTACK FROMALTSTACK", "1 2"),
    ("1 2 3", "2DROP", "1"),
    ("1 2", "2DUP", "1 2 1 2"),
    ("1 2 3", "3DUP", "1 2 3 1 2 3"),
    ("1 2 3 4", "2OVER", "1 2 3 4 1 2"),
    ("9 1 2 3 4 5 6", "2ROT", "9 3 4 5 6 1 2"),
    ("9 1 2 3 4", "2SWAP", "9 3 4 1 2"),
    ("0", "IFDUP", "0"),
    ("8", "IFDUP", "8 8"),
    ("", "DEPTH DEPTH DEPTH", "0 1 2"),
    ("1 2", "DROP", "1"),
    ("1 2", "DUP", "1 2 2"),
    ("1 2", "NIP", "2"),
    ("1 2", "OVER", "1 2 1"),
    ("7 8 9 0", "PICK", "7 8 9 9"),
    ("7 8 9 2", "PICK", "7 8 9 7"),
    ("7 8 9 0", "ROLL", "7 8 9"),
    ("7 8 9 2", "ROLL", "8 9 7"),
    ("9 1 2 3", "ROT", "9 2 3 1"),
    ("1 2", "SWAP", "2 1"),
    ("9 1 2", "TUCK", "9 2 1 2"),
    ("'abc'", "SIZE", "'abc' 3"),
    # comparison and numbers
    ("1 1", "EQUAL", "1"),
    ("1 0x02 0x0100", "EQUAL", "0"),
    ("3 1 1", "EQUALVERIFY", "3"),
    ("-1", "1ADD", "0"),
    ("0", "1SUB", "-1"),
    ("127", "1ADD", "0x02 0x8000"),
    ("2147483647", "1ADD", "0x05 0x0000008000"),
    ("5", "NEGATE", "-5"),
    ("-5", "ABS", "5"),
    ("0", "NOT", "1"),
    ("2", "NOT", "0"),
    ("-2", "0NOTEQUAL", "1"),
    ("0x01 0x80", "0NOTEQUAL", "0"),
    ("2 3", "ADD", "5"),
    ("2 3", "SUB", "-1"),
    ("2 0", "BOOLAND", "0"),
    ("2 3", "BOOLAND", "1"),
    ("2 0", "BOOLOR", "1"),
    ("0 0", "BOOLOR", "0"),
    ("2 0x02 0x0200", "NUMEQUAL", "1"),
    ("4 2 2", "NUMEQUALVERIFY", "4"),
    ("2 3", "NUMNOTEQUAL", "1"),
    ("2 3", "LESSTHAN", "1"),
    ("3 3", "LESSTHAN", "0"),
    ("3 2", "GREATERTHAN", "1"),
    ("3 3", "GREATERTHAN", "0"),
    ("3 3", "LESSTHANOREQUAL", "1"),
    ("2 3", "GREATERTHANOREQUAL", "0"),
    ("-2 3", "MIN", "-2"),
    ("-2 3", "MAX", "3"),
    ("2 2 3", "WITHIN", "1"),
    ("3 2 3", "WITHIN", "0"),
    ("1 2 3", "WITHIN", "0"),
]


@pytest.mark.parametrize(("before", "script", "after"), LEAVES, ids=[case[1] for case in LEAVES])
def test_an_opcode_leaves(before: str, script: str, after: str) -> None:
    assert Run(script, stack_of(before)).result() == stack_of(after)


DIGESTS = {
    "RIPEMD160": ripemd160,
    "SHA1": lambda x: sha1(x).digest(),
    "SHA256": lambda x: sha256(x).digest(),
    "HASH160": lambda x: ripemd160(sha256(x).digest()),
    "HASH256": sha256d,
}


@pytest.mark.parametrize("name", DIGESTS)
def test_a_hash_takes_the_place_of_the_top(name: str) -> None:
    assert Run(name, [b"below", b"top"]).result() == [b"below", DIGESTS[name](b"top")]


NEEDS = {
    1: "IF NOTIF VERIFY TOALTSTACK IFDUP DROP DUP SIZE 1ADD 1SUB NEGATE ABS NOT 0NOTEQUAL "
    "RIPEMD160 SHA1 SHA256 HASH160 HASH256 CHECKMULTISIG CHECKMULTISIGVERIFY",
    2: "2DROP 2DUP NIP OVER PICK ROLL SWAP TUCK EQUAL EQUALVERIFY ADD SUB BOOLAND BOOLOR NUMEQUAL "
    "NUMEQUALVERIFY NUMNOTEQUAL LESSTHAN GREATERTHAN LESSTHANOREQUAL GREATERTHANOREQUAL MIN MAX "
    "CHECKSIG CHECKSIGVERIFY",
    3: "3DUP ROT WITHIN",
    4: "2OVER 2SWAP",
    6: "2ROT",
}


@pytest.mark.parametrize(
    ("word", "count"), [(word, count) for count, words in NEEDS.items() for word in words.split()]
)
def test_an_opcode_needs_so_many_elements(word: str, count: int) -> None:
    # Not numbers: how many there are is looked at first.
    too_few = Run(word, [bytes(5)] * (count - 1))
    assert too_few.outcome() is ScriptError.INVALID_STACK_OPERATION
    assert Run(word, [bytes(5)] * count).outcome() is not ScriptError.INVALID_STACK_OPERATION


REFUSES = [
    # before, script, error
    ("0", "VERIFY", ScriptError.VERIFY),
    ("1 2", "EQUALVERIFY", ScriptError.EQUALVERIFY),
    ("1 2", "NUMEQUALVERIFY", ScriptError.NUMEQUALVERIFY),
    ("", "RETURN", ScriptError.OP_RETURN),
    ("", "FROMALTSTACK", ScriptError.INVALID_ALTSTACK_OPERATION),
    ("5 -1", "PICK", ScriptError.INVALID_STACK_OPERATION),
    ("5 1", "PICK", ScriptError.INVALID_STACK_OPERATION),
    ("5 1", "ROLL", ScriptError.INVALID_STACK_OPERATION),
    ("0x05 0x0000000001", "1ADD", ScriptError.SCRIPTNUM),
    ("0x05 0x0000000001 1", "ADD", ScriptError.SCRIPTNUM),
    ("1 0x05 0x0000000001", "ADD", ScriptError.SCRIPTNUM),
    ("1 1 0x05 0x0000000001", "WITHIN", ScriptError.SCRIPTNUM),
    ("1", "IF", ScriptError.UNBALANCED_CONDITIONAL),
    ("0", "IF", ScriptError.UNBALANCED_CONDITIONAL),
    ("", "ELSE", ScriptError.UNBALANCED_CONDITIONAL),
    ("", "ENDIF", ScriptError.UNBALANCED_CONDITIONAL),
    ("1", "IF ENDIF ENDIF", ScriptError.UNBALANCED_CONDITIONAL),
    ("0", "IF VERIF ENDIF", ScriptError.BAD_OPCODE),
    ("0", "IF VERNOTIF ENDIF", ScriptError.BAD_OPCODE),
    ("", "CHECKSIGADD", ScriptError.BAD_OPCODE),  # before anything is asked of the stack
]


@pytest.mark.parametrize(
    ("before", "script", "error"), REFUSES, ids=[f"{case[0]} {case[1]}" for case in REFUSES]
)
def test_an_opcode_refuses(before: str, script: str, error: ScriptError) -> None:
    assert Run(script, stack_of(before)).outcome() is error


RESERVED = (0x50, 0x62, 0x65, 0x66, 0x89, 0x8A, *range(0xBA, 0x100))
DISABLED = (0x7E, 0x7F, 0x80, 0x81, *range(0x83, 0x87), 0x8D, 0x8E, *range(0x95, 0x9A))


@pytest.mark.parametrize("opcode", RESERVED, ids=hex)
def test_a_reserved_opcode_fails_where_it_runs(opcode: int) -> None:
    assert Run(bytes((opcode,))).outcome() is ScriptError.BAD_OPCODE
    skipped = Run(bytes((Op.OP_0, Op.OP_IF, opcode, Op.OP_ENDIF))).outcome()
    anywhere = opcode in (Op.OP_VERIF, Op.OP_VERNOTIF)
    assert skipped is (ScriptError.BAD_OPCODE if anywhere else ScriptError.OK)


@pytest.mark.parametrize("opcode", DISABLED, ids=hex)
def test_a_disabled_opcode_fails_even_where_it_does_not_run(opcode: int) -> None:
    assert Run(bytes((opcode,))).outcome() is ScriptError.DISABLED_OPCODE
    skipped = bytes((Op.OP_0, Op.OP_IF, opcode, Op.OP_ENDIF))
    assert Run(skipped).outcome() is ScriptError.DISABLED_OPCODE


@pytest.mark.parametrize("nop", ["NOP1", *(f"NOP{n}" for n in range(4, 11))])
def test_nops_with_a_future_are_discouraged_where_they_run(nop: str) -> None:
    flags = Flags.DISCOURAGE_UPGRADABLE_NOPS
    assert Run(nop).outcome() is ScriptError.OK
    assert Run(nop, flags=flags).outcome() is ScriptError.DISCOURAGE_UPGRADABLE_NOPS
    assert Run(f"0 IF {nop} ENDIF", flags=flags).outcome() is ScriptError.OK
    assert Run("NOP", flags=flags).outcome() is ScriptError.OK


def test_a_condition_must_be_minimal_in_tapscript_and_by_policy_in_version_0() -> None:
    run = Run("IF ENDIF", [b"\x02"], Flags.MINIMALIF)
    assert run.outcome() is ScriptError.OK
    run.sig_version = SigVersion.WITNESS_V0
    assert run.outcome() is ScriptError.MINIMALIF
    run.flags = Flags.NONE
    assert run.outcome() is ScriptError.OK
    run.sig_version = SigVersion.TAPSCRIPT
    assert run.outcome() is ScriptError.TAPSCRIPT_MINIMALIF


@pytest.mark.parametrize("element", [b"", b"\x01"])
def test_a_minimal_condition_is_one_or_nothing(element: bytes) -> None:
    run = Run("NOTIF ENDIF", [element], Flags.MINIMALIF, SigVersion.TAPSCRIPT)
    assert run.outcome() is ScriptError.OK
