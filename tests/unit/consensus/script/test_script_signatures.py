"""CHECKSIG, CHECKMULTISIG and OP_CODESEPARATOR in scripts of the old kinds."""

import pytest
from tests.support.everyday_spends import der
from tests.support.machines import SPENDING, Run
from tests.support.vectors import assemble

from drystone.consensus.script.checker import InputChecker
from drystone.consensus.script.errors import ScriptError
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.interpreter import run as run_machine
from drystone.consensus.script.machine import SigVersion
from drystone.consensus.script.ops.signatures import find_and_delete
from drystone.consensus.script.sighash import SignatureHashes
from drystone.primitives.script import push


class Expecting:
    """A verifier for which a signature is valid if it begins with the key's second byte.

    It remembers what it was asked.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.digests: set[bytes] = set()

    def ecdsa(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        self.asked.append((signature[0], public_key[1]))
        self.digests.add(digest)
        return signature[0] == public_key[1]

    def schnorr(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        raise AssertionError


def key(number: int) -> bytes:
    return b"\x02" + bytes((number,)) + bytes(31)


def sig(number: int, hash_type: int = 1) -> bytes:
    return bytes((number, hash_type))


def multisig(keys: list[int], signatures: list[bytes], *, dummy: bytes = b"") -> Run:
    counts = [bytes((len(signatures),)) if signatures else b"", bytes((len(keys),))]
    stack = [dummy, *signatures, counts[0], *map(key, keys), counts[1]]
    return Run("CHECKMULTISIG", stack, verifier=Expecting())


VALID, INVALID = [b"\x01"], [b""]


@pytest.mark.parametrize(
    ("keys", "signers", "left", "asked"),
    [
        ([1], [1], VALID, [(1, 1)]),
        ([1], [2], INVALID, [(2, 1)]),
        ([1, 2, 3], [1, 3], VALID, [(3, 3), (1, 2), (1, 1)]),  # from the top of the stack
        ([1, 2, 3], [3, 1], INVALID, [(1, 3), (1, 2)]),  # in the order of keys, and no other
        ([1, 2, 3], [4, 3], INVALID, [(3, 3), (4, 2), (4, 1)]),
        ([1, 2, 3], [3, 4], INVALID, [(4, 3), (4, 2)]),  # gives up once keys are too few
        ([1, 2], [], VALID, []),
        ([1, 1], [1, 1], VALID, [(1, 1), (1, 1)]),
    ],
)
def test_checkmultisig_matches_signatures_to_keys_in_order(
    keys: list[int],
    signers: list[int],
    left: list[bytes],
    asked: list[tuple[int, int]],
) -> None:
    run = multisig(keys, [sig(signer) for signer in signers])
    assert run.result() == left
    assert isinstance(run.verifier, Expecting)
    assert run.verifier.asked == asked


def test_the_digest_is_made_once_for_each_hash_type() -> None:
    run = multisig([1, 2, 3, 4], [sig(1), sig(2), sig(3, 2)])
    assert run.result() == [b"\x01"]
    assert isinstance(run.verifier, Expecting)
    assert len(run.verifier.digests) == 2


def test_what_is_not_tried_may_be_written_anyhow() -> None:
    hybrid = b"\x06" + bytes(64)
    signature = der(1, 1) + b"\x01"

    class Believing(Expecting):
        def ecdsa(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
            return True

    def outcome(signatures: list[bytes], keys: list[bytes]) -> ScriptError:
        stack = [b"", *signatures, b"\x01", *keys, b"\x02"]
        return Run("CHECKMULTISIG", stack, Flags.STRICTENC, verifier=Believing()).outcome()

    assert outcome([signature], [hybrid, key(1)]) is ScriptError.OK
    assert outcome([signature], [key(1), hybrid]) is ScriptError.PUBKEYTYPE
    assert outcome([b""], [hybrid, key(1)]) is ScriptError.PUBKEYTYPE  # no match, so it's tried
    assert outcome([b"\x30"], [key(1), hybrid]) is ScriptError.SIG_DER  # the signature first


@pytest.mark.parametrize("dummy", [b"", b"\x00", b"\x01"])
def test_the_dummy_is_empty_by_bip147(dummy: bytes) -> None:
    run = multisig([1], [sig(1)], dummy=dummy)
    assert run.outcome() is ScriptError.OK
    run.flags = Flags.NULLDUMMY
    assert run.outcome() is (ScriptError.SIG_NULLDUMMY if dummy else ScriptError.OK)


def test_a_signature_that_fails_is_empty_by_policy() -> None:
    run = multisig([1, 2], [b"", sig(3)])
    assert run.result() == [b""]
    run.flags = Flags.NULLFAIL
    assert run.outcome() is ScriptError.NULLFAIL
    empty = multisig([1, 2], [b"", b""], dummy=b"\x01")
    empty.flags = Flags.NULLFAIL  # the dummy is not a signature
    assert empty.result() == [b""]
    run = Run("CHECKSIG", [sig(2), key(1)], verifier=Expecting())
    assert run.result() == [b""]
    run.flags = Flags.NULLFAIL
    assert run.outcome() is ScriptError.NULLFAIL


def test_the_verifying_forms_fail() -> None:
    run = Run("CHECKSIGVERIFY", [sig(2), key(1)], verifier=Expecting())
    assert run.outcome() is ScriptError.CHECKSIGVERIFY
    run = multisig([1], [sig(2)])
    run.script = "CHECKMULTISIGVERIFY"
    assert run.outcome() is ScriptError.CHECKMULTISIGVERIFY
    run = multisig([1], [sig(1)])
    run.script = "CHECKMULTISIGVERIFY"
    assert run.result() == []
    assert Run("CHECKSIGVERIFY", [sig(1), key(1)], verifier=Expecting()).result() == []


def test_keys_that_cannot_be_are_asked_of_nobody() -> None:
    verifier = Expecting()
    for public_key in (b"", key(1)[:-1], b"\x05" + bytes(32)):
        assert Run("CHECKSIG", [sig(0), public_key], verifier=verifier).result() == [b""]
    assert Run("CHECKSIG", [b"", key(1)], verifier=verifier).result() == [b""]
    assert verifier.asked == []


# What is signed.


class Spy(InputChecker):
    """Believes all signatures, and keeps what they sign."""

    def __init__(self) -> None:
        super().__init__(SignatureHashes(SPENDING), 0)
        self.script_code = b""

    def ecdsa(
        self,
        signature: bytes,
        public_key: bytes,
        script_code: bytes,
        *,
        in_witness: bool,
        decisive: bool = False,
    ) -> bool:
        self.script_code = script_code
        return True


def signed_part(script: str, stack: list[bytes], sig_version: SigVersion) -> bytes:
    """The script code that the last check saw."""
    vm = Run(script, stack, sig_version=sig_version).machine()
    vm.checker = spy = Spy()
    run_machine(vm)
    return spy.script_code


CASES: list[tuple[str, str]] = [
    ("CHECKSIG", "CHECKSIG"),
    ("CODESEPARATOR CHECKSIG", "CHECKSIG"),
    ("NOP CODESEPARATOR NOP CHECKSIG CODESEPARATOR", "NOP CHECKSIG CODESEPARATOR"),
    ("0 IF CODESEPARATOR ENDIF CHECKSIG", "0 IF CODESEPARATOR ENDIF CHECKSIG"),
]


@pytest.mark.parametrize(("script", "part"), CASES)
@pytest.mark.parametrize("sig_version", [SigVersion.BASE, SigVersion.WITNESS_V0])
def test_a_signature_signs_the_script_from_the_last_separator_that_ran(
    script: str, part: str, sig_version: SigVersion
) -> None:
    stack = [sig(1), key(1)]
    assert signed_part(script, stack, sig_version) == assemble(part)


def test_a_legacy_signature_does_not_sign_itself() -> None:
    script = f"0x{push(sig(1)).hex()} DROP CHECKSIG"
    stack = [sig(1), key(1)]
    assert signed_part(script, stack, SigVersion.BASE) == assemble("DROP CHECKSIG")
    assert signed_part(script, stack, SigVersion.WITNESS_V0) == assemble(script)
    run = Run(script, stack, Flags.CONST_SCRIPTCODE, verifier=Expecting())
    assert run.outcome() is ScriptError.SIG_FINDANDDELETE


def test_an_empty_signature_takes_every_op_0_out() -> None:
    assert signed_part("0 DROP 0 DROP CHECKSIG", [b"", key(1)], SigVersion.BASE) == assemble(
        "DROP DROP CHECKSIG"
    )


def test_a_separator_in_a_legacy_script_is_refused_by_policy_anywhere() -> None:
    script = "0 IF CODESEPARATOR ENDIF"
    assert Run(script).outcome() is ScriptError.OK
    run = Run(script, flags=Flags.CONST_SCRIPTCODE)
    assert run.outcome() is ScriptError.OP_CODESEPARATOR
    run.sig_version = SigVersion.WITNESS_V0
    assert run.outcome() is ScriptError.OK


@pytest.mark.parametrize(
    ("script", "pattern", "remaining"),
    [
        ("0302ff030302ff03", "0302ff03", ""),
        ("0302ff030302ff03", "02", "0302ff030302ff03"),
        ("0302ff030302ff03", "ff", "0302ff030302ff03"),
        ("0302ff030302ff03", "03", "02ff0302ff03"),
        ("02feed5169", "feed51", "02feed5169"),  # not where an operation starts
        ("02feed5169", "02feed51", "69"),
        ("516902feed5169", "feed51", "516902feed5169"),
        ("516902feed5169", "02feed51", "516969"),
        ("0003feed", "03feed", "00"),  # a push past the end may be taken out
        ("0003feed", "00", "03feed"),
        ("5151", "51", ""),
        ("51", "5151", "51"),
        ("4c", "00", "4c"),
    ],
)
def test_find_and_delete(script: str, pattern: str, remaining: str) -> None:
    found = find_and_delete(bytes.fromhex(script), bytes.fromhex(pattern))
    assert found.hex() == remaining
