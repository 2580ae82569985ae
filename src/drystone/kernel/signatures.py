"""Signatures in batches: one native loop over many, without the interpreter's lock.

A thread that calls libsecp256k1 once for each signature has to win the lock back each time, and
starves beside a thread that runs Python. One call for a whole batch waits once, and a thread that
serves a `CheckQueue` never does.

This module has no curve of its own. libsecp256k1 comes with `drystone.crypto`, and the native loop
is given the addresses of its functions.
"""

from struct import Struct
from typing import Final

from drystone.crypto.secp256k1 import compact_from_der, native_functions
from drystone.kernel.nonces import Cancel, native_available

if native_available():
    from drystone.kernel import _native

CHECK_BYTES: Final = 162
_LIBRARY = (  # in the order of the native module's struct library
    "secp256k1_context_static",
    "secp256k1_ec_pubkey_parse",
    "secp256k1_xonly_pubkey_parse",
    "secp256k1_ecdsa_signature_parse_compact",
    "secp256k1_ecdsa_signature_normalize",
    "secp256k1_ecdsa_verify",
    "secp256k1_schnorrsig_verify",
)
# Size of the ECDSA key, or 0 for Schnorr; key; digest; signature. Short keys are padded.
_CHECK = Struct("B65s32s64s")
assert _CHECK.size == CHECK_BYTES


def _pointers() -> bytes:
    addresses = native_functions()
    return Struct(f"@{len(_LIBRARY)}P").pack(*(addresses[name] for name in _LIBRARY))


_POINTERS = _pointers()


def pack_ecdsa(public_key: bytes, digest: bytes, signature: bytes) -> bytes | None:
    """One check as `verify_packed` takes it; None if it can't be valid.

    public_key: 33 or 65 bytes. digest: 32 bytes. signature: something like DER, read laxly.
    """
    compact = compact_from_der(signature)
    if compact is None or len(public_key) not in {33, 65}:
        return None
    return _CHECK.pack(len(public_key), public_key, digest, compact)


def pack_schnorr(public_key: bytes, digest: bytes, signature: bytes) -> bytes | None:
    """One check as `verify_packed` takes it; None if it can't be valid.

    public_key: 32 bytes, the x coordinate. digest: 32 bytes. signature: 64 bytes (BIP340).
    """
    if len(public_key) != 32 or len(signature) != 64:
        return None
    return _CHECK.pack(0, public_key, digest, signature)


class CheckQueue:
    """Packed checks that threads work off, beside whatever runs Python.

    Needs the native module (`native_available`).
    """

    def __init__(self) -> None:
        self._queue = _native.queue(_POINTERS)

    def put(self, checks: bytes) -> object:
        """Have packed checks, joined, checked from now on. Returns what to `wait` for."""
        return _native.put(self._queue, checks)

    @staticmethod
    def wait(batch: object) -> bool:
        """Whether all of a batch are valid. Whoever waits helps with what there is to check."""
        return _native.wait(batch)

    def serve(self) -> None:
        """Check whatever comes, until the queue is closed: what each of its threads runs."""
        _native.serve(self._queue)

    def close(self) -> None:
        """Send those away who serve it. What it holds is still checked by whoever waits for it."""
        _native.close(self._queue, True)

    def open(self) -> None:
        """Let it be served again."""
        _native.close(self._queue, False)


def verify_packed(checks: bytes, *, cancel: Cancel | None = None) -> bool:
    """Whether all of these checks are valid; ends at the first that is not.

    checks: any number of packed ones, joined. cancel: ends it with False after the check under
    way. Needs the native module (`native_available`). Other threads run meanwhile.
    """
    flag = bytearray(1) if cancel is None else cancel.flag
    return _native.verify(_POINTERS, checks, flag)
