"""sighash.json: digests that legacy signatures sign, of random transactions and scripts."""

from typing import NamedTuple

from tests.support.vectors import vectors

from drystone.consensus.script.sighash import SignatureHashes
from drystone.primitives.hashes import display
from drystone.primitives.transaction import Transaction


class SighashCase(NamedTuple):
    serialised: str
    script: str
    position: int
    hash_type: int  # signed, 32 bits
    digest: str


def sighash_cases(entries: list[list[object]]) -> list[SighashCase]:
    return [SighashCase(*entry) for entry in entries if len(entry) > 1]  # type: ignore[arg-type]


@vectors("sighash.json", sighash_cases)
def test_the_legacy_digest_is_the_vector_s(case: SighashCase) -> None:
    hashes = SignatureHashes(Transaction.from_bytes(bytes.fromhex(case.serialised)))
    digest = hashes.legacy(case.position, bytes.fromhex(case.script), case.hash_type)
    assert display(digest) == case.digest
