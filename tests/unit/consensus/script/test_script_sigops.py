"""Signature checks are counted as they stand."""

import pytest
from tests.support.vectors import assemble

from drystone.consensus.script.flags import Flags
from drystone.consensus.script.sigops import count_sigops, p2sh_sigops, witness_sigops
from drystone.primitives.opcodes import Op
from drystone.primitives.script import p2pkh, p2sh, p2tr, p2wpkh, p2wsh, push


@pytest.mark.parametrize(
    ("script", "accurate", "legacy"),
    [
        ("", 0, 0),
        ("CHECKSIG", 1, 1),
        ("CHECKSIGVERIFY CHECKSIG", 2, 2),
        ("0 IF CHECKSIG ENDIF RETURN CHECKSIG", 2, 2),  # reached or not
        ("2 'a' 'b' 'c' 3 CHECKMULTISIG", 3, 20),
        ("1 CHECKMULTISIG 16 CHECKMULTISIGVERIFY", 17, 40),
        ("0 CHECKMULTISIG", 20, 20),  # OP_0 is no count
        ("0x01 0x03 CHECKMULTISIG", 20, 20),  # nor is a push of three
        ("3 NOP CHECKMULTISIG", 20, 20),
        ("CHECKMULTISIG", 20, 20),
        ("CHECKSIGADD", 0, 0),
        ("0x01 0xac 0x4c 0x01 0xac 0x4d 0x0100 0xac 0x4e 0x01000000 0xac", 0, 0),  # pushed
        ("CHECKSIG 0x05 0xac CHECKSIG", 1, 1),  # up to a push past the end
        ("CHECKSIG 0x4e 0x01 CHECKSIG", 1, 1),
        ("CHECKSIG 0x4d", 1, 1),
    ],
)
def test_sigops_of_a_script(script: str, accurate: int, legacy: int) -> None:
    assert count_sigops(assemble(script), accurate=True) == accurate
    assert count_sigops(assemble(script), accurate=False) == legacy


REDEEM = assemble("2 'a' 'b' 'c' 3 CHECKMULTISIG")
P2SH = p2sh(bytes(20))


@pytest.mark.parametrize(
    ("script_sig", "script_pubkey", "count"),
    [
        (push(REDEEM), P2SH, 3),
        (b"\0" + push(b"sig") + push(REDEEM), P2SH, 3),
        (push(REDEEM), p2pkh(bytes(20)), 0),
        (push(REDEEM) + bytes((Op.OP_NOP,)), P2SH, 0),
        (push(REDEEM) + b"\x51", P2SH, 0),  # pushes nothing, as this counts
        (push(REDEEM) + b"\x05", P2SH, 0),
        (b"", P2SH, 0),
    ],
)
def test_sigops_of_the_script_that_p2sh_reveals(
    script_sig: bytes, script_pubkey: bytes, count: int
) -> None:
    assert p2sh_sigops(script_sig, script_pubkey) == count


V0_KEY, V0_SCRIPT = p2wpkh(bytes(20)), p2wsh(bytes(32))


@pytest.mark.parametrize(
    ("script_sig", "script_pubkey", "witness", "count"),
    [
        (b"", V0_KEY, (), 1),
        (b"", V0_SCRIPT, (b"x", REDEEM), 3),
        (b"", V0_SCRIPT, (), 0),
        (push(V0_KEY), P2SH, (), 1),
        (push(V0_SCRIPT), P2SH, (REDEEM,), 3),
        (push(V0_SCRIPT) + b"\x61", P2SH, (REDEEM,), 0),
        (b"", p2tr(bytes(32)), (REDEEM, b"c"), 0),
        (b"", b"\x00\x02ab", (REDEEM,), 0),
        (b"", p2pkh(bytes(20)), (REDEEM,), 0),
    ],
)
def test_sigops_of_a_witness(
    script_sig: bytes, script_pubkey: bytes, witness: tuple[bytes, ...], count: int
) -> None:
    assert witness_sigops(script_sig, script_pubkey, witness, Flags.P2SH | Flags.WITNESS) == count
    assert witness_sigops(script_sig, script_pubkey, witness, Flags.P2SH) == 0
