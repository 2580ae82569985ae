"""Who checks signatures: at once, or many together.

The rules ask a `Verifier` whether a signature is valid. `Inline` has libsecp256k1 look, one by one.
Where a signature that fails makes its script fail whatever comes after, the answer can wait:
`Deferred` says yes and remembers, and all that it remembers goes to a `BatchVerifier` in one call.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import NamedTuple, Protocol

from drystone.crypto.secp256k1 import verify_ecdsa, verify_schnorr


class Verifier(Protocol):
    """Answers whether a signature is valid. It never raises, whatever the bytes."""

    def ecdsa(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        """public_key: 33 or 65 bytes. digest: 32. signature: something like DER, read laxly."""

    def schnorr(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        """public_key: 32 bytes, the x coordinate. digest: 32. signature: 64 (BIP340)."""


class Algorithm(Enum):
    """How a signature is checked."""

    ECDSA = auto()
    SCHNORR = auto()


class SignatureCheck(NamedTuple):
    """A question to a verifier, to be answered later."""

    algorithm: Algorithm
    public_key: bytes
    digest: bytes
    signature: bytes


BatchVerifier = Callable[[Sequence[SignatureCheck]], bool]
"""Answers whether all of these signatures are valid. Which one is not, is nobody's question: the
scripts run again one by one, and the first that fails is reported."""


class Inline:
    """A Verifier that asks libsecp256k1, in the calling thread."""

    ecdsa = staticmethod(verify_ecdsa)
    schnorr = staticmethod(verify_schnorr)


INLINE = Inline()


class Deferred:
    """A Verifier that assumes every signature to be valid, and collects them for a batch."""

    def __init__(self) -> None:
        self.checks: list[SignatureCheck] = []

    def ecdsa(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        """True, for now."""
        self.checks.append(SignatureCheck(Algorithm.ECDSA, public_key, digest, signature))
        return True

    def schnorr(self, public_key: bytes, digest: bytes, signature: bytes, /) -> bool:
        """True, for now."""
        self.checks.append(SignatureCheck(Algorithm.SCHNORR, public_key, digest, signature))
        return True


def verify_one_by_one(checks: Sequence[SignatureCheck], verifier: Verifier = INLINE) -> bool:
    """A BatchVerifier that makes no batch."""
    return all(
        verifier.ecdsa(*check[1:])
        if check.algorithm is Algorithm.ECDSA
        else verifier.schnorr(*check[1:])
        for check in checks
    )
