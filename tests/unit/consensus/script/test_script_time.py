"""CHECKLOCKTIMEVERIFY and CHECKSEQUENCEVERIFY, on both sides of each line (BIP65, BIP112)."""

import pytest
from tests.support.machines import Run

from drystone.consensus.script.errors import ScriptError
from drystone.consensus.script.flags import Flags
from drystone.primitives.script import push_int
from drystone.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn

CLTV, CSV = b"\xb1", b"\xb2"
FINAL = 0xFFFFFFFF
TYPE, DISABLE = 1 << 22, 1 << 31
OK, UNSATISFIED = ScriptError.OK, ScriptError.UNSATISFIED_LOCKTIME
BOTH = Flags.CHECKLOCKTIMEVERIFY | Flags.CHECKSEQUENCEVERIFY


def ends(script: bytes, flags: Flags = BOTH, **tx: int) -> ScriptError:
    txin = TxIn(NULL_OUTPOINT, sequence=tx.get("sequence", 0))
    spending = Transaction(tx.get("version", 2), (txin,), (), tx.get("lock_time", 0))
    return Run(script, flags=flags, tx=spending).outcome()


@pytest.mark.parametrize(
    ("operand", "lock_time", "sequence", "error"),
    [
        (0, 0, 0, OK),
        (100, 100, 0, OK),
        (101, 100, 0, UNSATISFIED),
        (100, 100, FINAL, UNSATISFIED),
        (100, 100, FINAL - 1, OK),
        (499_999_999, 500_000_000, 0, UNSATISFIED),  # a height and a time
        (499_999_999, 499_999_999, 0, OK),
        (500_000_000, 499_999_999, 0, UNSATISFIED),
        (500_000_000, 500_000_000, 0, OK),
        (500_000_001, 500_000_000, 0, UNSATISFIED),
        (2**32 - 1, 2**32 - 1, 0, OK),  # five bytes
        (2**32, 2**32 - 1, 0, UNSATISFIED),
        (2**39 - 1, 2**32 - 1, 0, UNSATISFIED),
        (2**39, 2**32 - 1, 0, ScriptError.SCRIPTNUM),  # six
        (-1, 100, 0, ScriptError.NEGATIVE_LOCKTIME),
    ],
)
def test_checklocktimeverify(
    operand: int, lock_time: int, sequence: int, error: ScriptError
) -> None:
    script = push_int(operand) + CLTV
    assert ends(script, lock_time=lock_time, sequence=sequence) is error


@pytest.mark.parametrize(
    ("operand", "sequence", "error"),
    [
        (0, 0, OK),
        (7, 7, OK),
        (8, 7, UNSATISFIED),
        (7, TYPE | 7, UNSATISFIED),  # blocks and units of 512 seconds
        (TYPE | 7, 7, UNSATISFIED),
        (TYPE | 7, TYPE | 7, OK),
        (TYPE | 8, TYPE | 7, UNSATISFIED),
        (0xFFFF, 0xFFFF, OK),
        (0x1_0007, 7, OK),  # bits of no meaning, on either side
        (7, 0x3F_0007, OK),
        (7, DISABLE | 7, UNSATISFIED),
        (DISABLE | 9, 7, OK),  # left for later
        (DISABLE | 9, DISABLE, OK),
        (2**39 - 1, 0, OK),  # has that bit too
        (2**38, 0, OK),  # bits above are of no meaning
        (2**39, 0, ScriptError.SCRIPTNUM),
        (-1, 7, ScriptError.NEGATIVE_LOCKTIME),
    ],
)
def test_checksequenceverify(operand: int, sequence: int, error: ScriptError) -> None:
    assert ends(push_int(operand) + CSV, sequence=sequence) is error


@pytest.mark.parametrize(
    ("version", "error"), [(0, UNSATISFIED), (1, UNSATISFIED), (2, OK), (2**32 - 1, OK)]
)
def test_sequences_lock_from_version_2_on_versions_being_unsigned(
    version: int, error: ScriptError
) -> None:
    assert ends(b"\x57" + CSV, sequence=7, version=version) is error


@pytest.mark.parametrize("opcode", [CLTV, CSV])
def test_the_operand_is_needed_and_stays(opcode: bytes) -> None:
    assert ends(opcode) is ScriptError.INVALID_STACK_OPERATION
    assert Run(b"\0" + opcode).result() == [b""]


@pytest.mark.parametrize("opcode", [CLTV, CSV])
def test_without_their_flags_they_do_nothing(opcode: bytes) -> None:
    assert ends(opcode, Flags.NONE) is OK
    assert ends(opcode, Flags.DISCOURAGE_UPGRADABLE_NOPS) is OK


@pytest.mark.parametrize("opcode", [CLTV, CSV])
def test_their_operand_is_minimal_by_policy(opcode: bytes) -> None:
    padded = b"\x02\x00\x00" + opcode
    assert ends(padded) is OK
    assert ends(padded, BOTH | Flags.MINIMALDATA) is ScriptError.SCRIPTNUM
