"""Signature checks spread over the machine's cores."""

import os
from collections.abc import Callable, Sequence
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
        cancel = Cancel()

        def verify(part: bytes | None) -> bool:
            is_valid = part is not None and verify_packed(part, cancel=cancel)
            if not is_valid:
                cancel.set()
            return is_valid

        parts = min(self._threads, max(1, len(checks) // LEAST_PER_THREAD))
        # Each thread begins as soon as its part is packed, while the next is being packed.
        others = [self._submit(verify, pack(checks[n::parts])) for n in range(1, parts)]
        try:
            is_valid = verify(pack(checks[0::parts]))
        except BaseException:  # Ctrl-C: nobody waits for the rest any more
            cancel.set()
            raise
        return all([is_valid, *(other.result() for other in others)])

    def _submit(self, verify: Callable[[bytes | None], bool], part: bytes | None) -> Future[bool]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads - 1, thread_name_prefix="verify")
        return self._pool.submit(verify, part)

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


def pack(checks: Sequence[SignatureCheck]) -> bytes | None:
    """The checks as the kernel takes them, joined; None if one of them can't be valid."""
    packed = [_PACK[algorithm](*question) for algorithm, *question in checks]
    return None if None in packed else b"".join(filter(None, packed))
