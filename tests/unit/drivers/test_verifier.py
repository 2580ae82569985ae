"""Batches of signatures on several threads: the same answers as one by one."""

import threading
from collections.abc import Iterator

import pytest

from drystone.consensus.verifier import Algorithm, SignatureCheck, verify_one_by_one
from drystone.crypto.secp256k1 import public_key, sign_ecdsa, sign_schnorr, x_only_public_key
from drystone.drivers import verifier
from drystone.drivers.verifier import SignatureQueue
from drystone.kernel import Cancel, native_available
from drystone.kernel.signatures import CHECK_BYTES, pack_ecdsa, verify_packed

native = pytest.mark.skipif(not native_available(), reason="the native module was not built")


def check(number: int) -> SignatureCheck:
    """A valid one: by turns ECDSA with a short key, with a long one, and Schnorr."""
    secret, digest = (number + 1).to_bytes(32, "big"), bytes([number % 256]) * 32
    if number % 3 == 2:
        signature = sign_schnorr(secret, digest)
        return SignatureCheck(Algorithm.SCHNORR, x_only_public_key(secret), digest, signature)
    key = public_key(secret, compressed=number % 3 == 0)
    return SignatureCheck(Algorithm.ECDSA, key, digest, sign_ecdsa(secret, digest))


CHECKS = [check(number) for number in range(60)]
BROKEN = [
    pytest.param(CHECKS[0]._replace(digest=b"\xee" * 32), id="another digest"),
    pytest.param(CHECKS[2]._replace(digest=b"\xee" * 32), id="another message"),
    pytest.param(CHECKS[0]._replace(public_key=CHECKS[3].public_key), id="another key"),
    pytest.param(CHECKS[0]._replace(public_key=b"\2" + b"\xff" * 32), id="no point"),
    pytest.param(CHECKS[2]._replace(public_key=b"\xff" * 32), id="no x of a point"),
    pytest.param(CHECKS[0]._replace(public_key=b""), id="no key"),
    pytest.param(CHECKS[0]._replace(signature=b"\x30"), id="no DER"),
    pytest.param(CHECKS[2]._replace(signature=bytes(63)), id="a short signature"),
]


@pytest.fixture(params=[1, 2, 5])
def queue(request: pytest.FixtureRequest) -> Iterator[SignatureQueue]:
    with SignatureQueue(request.param) as made:
        yield made


def test_valid_signatures_pass_in_batches_of_any_size(queue: SignatureQueue) -> None:
    for size in (0, 1, 7, 8, 15, 16, 17, 59, 60):
        assert queue(CHECKS[:size])


@pytest.mark.parametrize("broken", BROKEN)
def test_one_bad_signature_fails_its_batch_wherever_it_stands(
    queue: SignatureQueue, broken: SignatureCheck
) -> None:
    assert not verify_one_by_one([broken])
    for place in (0, 1, 31, 60):
        assert not queue([*CHECKS[:place], broken, *CHECKS[place:]])
    assert queue(CHECKS)  # nothing is left of the failure


def test_a_high_s_is_valid_as_consensus_has_it(queue: SignatureQueue) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    der = CHECKS[0].signature
    at = 4 + der[3]
    r, s = der[4:at], int.from_bytes(der[at + 2 :], "big")
    high = b"\0" + (order - s).to_bytes(32, "big")
    body = b"\2" + bytes([len(r)]) + r + b"\2" + bytes([len(high)]) + high
    malleated = CHECKS[0]._replace(signature=b"\x30" + bytes([len(body)]) + body)
    assert malleated.signature != der
    assert queue([malleated])


def test_without_the_native_module_checks_are_made_one_by_one(
    queue: SignatureQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier, "native_available", lambda: False)
    monkeypatch.delattr(verifier, "verify_packed")
    assert queue(CHECKS)
    assert not queue([*CHECKS, CHECKS[0]._replace(digest=b"\xee" * 32)])


@native
def test_threads_start_when_first_needed_and_end_with_close() -> None:
    def workers() -> list[str]:
        return [t.name for t in threading.enumerate() if t.name.startswith("signatures")]

    with SignatureQueue(3) as queue:
        assert queue(CHECKS[:8])
        assert workers() == []
        assert queue(CHECKS)
        assert len(workers()) == 3
    assert workers() == []


@native
def test_a_packed_batch_is_cancelled() -> None:
    packed = pack_ecdsa(*CHECKS[0][1:])
    assert packed is not None and len(packed) == CHECK_BYTES
    cancel = Cancel()
    assert verify_packed(packed * 3, cancel=cancel)
    cancel.set()
    assert not verify_packed(packed * 3, cancel=cancel)


@native
def test_a_batch_of_an_odd_length_is_refused() -> None:
    with pytest.raises(ValueError, match="out of range"):
        verify_packed(bytes(CHECK_BYTES + 1))
