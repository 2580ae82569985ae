"""Signature checks spread over the machine's cores."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from drystone.consensus.verifier import Algorithm, SignatureCheck, verify_one_by_one
from drystone.kernel import Cancel, native_available
from drystone.kernel.signatures import pack_ecdsa, pack_schnorr, verify_packed

LEAST_PER_THREAD: Final = 8  # fewer aren't worth waking a thread for
_PACK = {Algorithm.ECDSA: pack_ecdsa, Algorithm.SCHNORR: pack_schnorr}


class Cores:
    """A BatchVerifier (see `consensus.verifier`) that has several threads do the checks.

    threads: at most so many, of which the calling thread is one; by default as many as this
    machine has cores. The others start when first needed, and end with `close` or the process.
    Without the native module, checks are made one by one.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self, checks: Sequence[SignatureCheck]) -> bool:
        """Whether all are valid. One that is not soon ends them all."""
        if not native_available():
            return verify_one_by_one(checks)
        packed: list[bytes] = []
        for algorithm, public_key, digest, signature in checks:
            check = _PACK[algorithm](public_key, digest, signature)
            if check is None:
                return False
            packed.append(check)
        parts = min(self._threads, max(1, len(packed) // LEAST_PER_THREAD))
        return self._verify([b"".join(packed[n::parts]) for n in range(parts)])

    def _verify(self, parts: list[bytes]) -> bool:
        cancel = Cancel()

        def verify(part: bytes) -> bool:
            is_valid = verify_packed(part, cancel=cancel)
            if not is_valid:
                cancel.set()
            return is_valid

        others: list[Future[bool]] = []
        if parts[1:]:
            self._pool = self._pool or ThreadPoolExecutor(
                self._threads - 1, thread_name_prefix="verify"
            )
            others = [self._pool.submit(verify, part) for part in parts[1:]]
        try:
            is_valid = verify(parts[0])
        except BaseException:  # Ctrl-C: nobody waits for the rest any more
            cancel.set()
            raise
        return all([is_valid, *(other.result() for other in others)])

    def close(self) -> None:
        """End the threads. The next batch would start them again."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
