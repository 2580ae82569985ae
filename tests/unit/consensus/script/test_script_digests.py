"""What is odd about digests, and what they cost."""

from hashlib import sha256

import pytest

from drystone.consensus.script import sighash
from drystone.consensus.script.sighash import (
    SIGHASH_ALL,
    SIGHASH_ANYONECANPAY,
    SIGHASH_DEFAULT,
    SIGHASH_SINGLE,
    SignatureHashes,
)
from drystone.consensus.script.taproot import pop_annex
from drystone.primitives.codec import u32, var_bytes
from drystone.primitives.hashes import Txid, sha256d, tagged_hash
from drystone.primitives.opcodes import Op
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

SEPARATOR = bytes((Op.OP_CODESEPARATOR,))
FUNDING = Txid(sha256(b"funding").digest())


def transaction(inputs: int, outputs: int = 1) -> Transaction:
    vin = tuple(TxIn(OutPoint(FUNDING, n)) for n in range(inputs))
    return Transaction(1, vin, (TxOut(1, b"\x51"),) * outputs)


@pytest.mark.parametrize("hash_type", [SIGHASH_SINGLE, 0x83, 0x23, 0xE3])
def test_a_legacy_single_without_its_output_signs_the_number_one(hash_type: int) -> None:
    one = b"\x01" + bytes(31)
    assert SignatureHashes(transaction(3)).legacy(1, b"\x51", hash_type) == one
    assert SignatureHashes(transaction(2, 9)).legacy(1, b"\x51", hash_type) != one


def test_a_version_0_single_without_its_output_signs_none() -> None:
    spent = [TxOut(5, b"")] * 2
    few, more = transaction(2, 1), transaction(2, 2)
    digest = SignatureHashes(few, spent).witness_v0(1, b"", SIGHASH_SINGLE)
    assert digest == SignatureHashes(transaction(2, 0), spent).witness_v0(1, b"", SIGHASH_SINGLE)
    assert digest != SignatureHashes(more, spent).witness_v0(1, b"", SIGHASH_SINGLE)


def test_a_hash_type_of_no_meaning_is_signed_as_it_stands() -> None:
    hashes = SignatureHashes(transaction(1), [TxOut(5, b"")])
    assert len({hashes.legacy(0, b"", kind) for kind in (0, 1, 4, 0x1F, 0x40, 0x80, 0x81)}) == 7
    assert len({hashes.witness_v0(0, b"", kind) for kind in (0, 1, 4, 0x1F, 0x40)}) == 5


def signed_alone(script_code: bytes) -> bytes:
    """The digest of a preimage of which only the script code matters."""
    return SignatureHashes(transaction(1)).legacy(0, script_code, SIGHASH_ANYONECANPAY | 1)


def expected_with(serialised_script: bytes) -> bytes:
    tx = transaction(1)
    txin = tx.vin[0]
    return sha256d(
        u32(1)
        + b"\x01"
        + txin.prevout.encode()
        + serialised_script
        + u32(txin.sequence)
        + b"\x01"
        + tx.vout[0].encode()
        + u32(0)
        + u32(SIGHASH_ANYONECANPAY | SIGHASH_ALL)
    )


@pytest.mark.parametrize(
    ("script_code", "serialised"),
    [
        (b"", b"\x00"),
        (b"\x51\x52", b"\x02\x51\x52"),
        (SEPARATOR, b"\x00"),
        (b"\x51" + SEPARATOR + b"\x52" + SEPARATOR + SEPARATOR, b"\x02\x51\x52"),
        (b"\x02" + SEPARATOR * 2, b"\x03\x02" + SEPARATOR * 2),  # pushed, so they stay
        # A push that reaches past the end is counted whole, and written without its data.
        (b"\x51\x05\x01\x02", b"\x04\x51\x05"),
        (SEPARATOR + b"\x51\x05\x01\x02", b"\x04\x51\x05"),
        (b"\x51\x4c\x09\x01", b"\x04\x51\x4c\x09"),
        (b"\x51\x4c", b"\x02\x51\x4c"),
        (b"\x51\x4d\x09", b"\x03\x51\x4d"),
        (b"\x51\x4d\x09\x00\x01", b"\x05\x51\x4d\x09\x00"),
        (b"\x51\x4e\x09\x00\x00", b"\x05\x51\x4e"),
        (b"\x51\x05" + SEPARATOR, b"\x03\x51\x05"),
    ],
)
def test_the_script_that_a_legacy_signature_signs(script_code: bytes, serialised: bytes) -> None:
    assert signed_alone(script_code) == expected_with(serialised)


def test_a_version_0_signature_signs_the_script_as_it_is() -> None:
    hashes = SignatureHashes(transaction(1), [TxOut(5, b"")])
    assert hashes.witness_v0(0, SEPARATOR, 1) != hashes.witness_v0(0, b"", 1)


def test_bip143_s_example_of_a_key_hash() -> None:
    """Native P2WPKH, the second input: https://github.com/bitcoin/bips, bip-0143."""
    tx = Transaction.from_bytes(
        bytes.fromhex(
            "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f"
            "0000000000eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57"
            "b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85"
            "c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2"
            "f0167faa815988ac11000000"
        )
    )
    script_code = bytes.fromhex("76a9141d0f172a0ecb48aee1be1f2687d2963ae33f71a188ac")
    hashes = SignatureHashes(tx, [TxOut(0, b""), TxOut(600_000_000, b"")])
    digest = hashes.witness_v0(1, script_code, SIGHASH_ALL)
    assert digest.hex() == "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670"


def test_an_annex_is_hashed_with_its_size() -> None:
    stack = [b"signature", b"\x50annex"]
    assert pop_annex(stack) == sha256(var_bytes(b"\x50annex")).digest()
    assert stack == [b"signature"]
    assert pop_annex([b"\x50"]) is pop_annex([b"x", b""]) is pop_annex([b"x", b"\x51"]) is None


class Meter:
    """Stands in for SHA-256, and counts the bytes that go into it."""

    hashed = 0

    def __init__(self, data: bytes = b"") -> None:
        self._hasher = sha256()
        self.update(data)

    def update(self, data: bytes) -> None:
        Meter.hashed += len(data)
        self._hasher.update(data)

    def copy(self) -> "Meter":
        other = Meter()
        other._hasher = self._hasher.copy()
        return other

    def digest(self) -> bytes:
        return self._hasher.digest()


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> type[Meter]:
    def doubly(data: bytes) -> bytes:
        return Meter(Meter(data).digest()).digest()

    def tagged(tag: str, data: bytes) -> bytes:
        Meter.hashed += len(data)
        return tagged_hash(tag, data)

    Meter.hashed = 0
    monkeypatch.setattr(sighash, "sha256", Meter)
    monkeypatch.setattr(sighash, "sha256d", doubly)
    monkeypatch.setattr(sighash, "tagged_hash", tagged)
    return Meter


def test_witness_digests_of_all_inputs_hash_bytes_in_linear_number(meter: type[Meter]) -> None:
    def hashed(inputs: int) -> int:
        meter.hashed = 0
        hashes = SignatureHashes(transaction(inputs), [TxOut(1, bytes(25))] * inputs)
        for index in range(inputs):
            hashes.witness_v0(index, bytes(25), SIGHASH_ALL)
            hashes.taproot(index, SIGHASH_DEFAULT)
        return meter.hashed

    assert hashed(2000) < 2.01 * hashed(1000)


def test_legacy_digests_of_all_inputs_hash_half_of_their_preimages(meter: type[Meter]) -> None:
    tx = transaction(inputs := 1000)
    hashes = SignatureHashes(tx)
    for index in range(inputs):
        hashes.legacy(index, bytes(25), SIGHASH_ALL)
    assert meter.hashed < 0.51 * inputs * tx.stripped_size


def test_legacy_digests_may_be_asked_for_in_any_order() -> None:
    hashes = SignatureHashes(tx := transaction(9))
    for index in (3, 7, 1, 1, 8, 0):
        alone = SignatureHashes(tx).legacy(index, b"\x51", SIGHASH_ALL)
        assert hashes.legacy(index, b"\x51", SIGHASH_ALL) == alone
