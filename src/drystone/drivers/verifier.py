"""Signature checks spread over the machine's cores, beside the thread that reads blocks."""

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self

from drystone.consensus.verifier import Algorithm, SignatureCheck, verify_one_by_one
from drystone.kernel import native_available
from drystone.kernel.signatures import CheckQueue, pack_ecdsa, pack_schnorr, verify_packed

LEAST_CHECKS: Final = 8  # fewer aren't worth starting threads for
_PACK = {Algorithm.ECDSA: pack_ecdsa, Algorithm.SCHNORR: pack_schnorr}


class SignatureQueue:
    """The Signatures of a chain (see `chain.signatures`), checked by threads; a BatchVerifier, too.

    threads: so many of its own; by default one for each core but the caller's, whose own work takes
    longer and must not be held up. They start when first needed, and end with `close` or the
    process. Whoever waits for a verdict helps meanwhile. Without the native module, checks are made
    one by one.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._count = threads or max(1, (os.cpu_count() or 1) - 1)
        self._threads: list[threading.Thread] = []
        self._queue = CheckQueue() if native_available() else None

    def __call__(self, checks: Sequence[SignatureCheck], /) -> bool:
        """Whether all of a batch are valid."""
        if len(checks) < 2 * LEAST_CHECKS and native_available():
            packed = packed_checks(checks)
            return packed is not None and verify_packed(packed)
        return self.start(checks)()

    def start(self, checks: Sequence[SignatureCheck], /) -> Callable[[], bool]:
        """Begin to check a batch. What this returns waits, and tells whether all are valid."""
        if self._queue is None or not native_available():
            is_valid = verify_one_by_one(checks)
            return lambda: is_valid
        packed = packed_checks(checks)
        if packed is None:
            return lambda: False
        if not self._threads and len(checks) >= LEAST_CHECKS:
            self._begin(self._queue)
        return partial(self._queue.wait, self._queue.put(packed))

    def _begin(self, queue: CheckQueue) -> None:
        queue.open()
        self._threads = [
            threading.Thread(target=queue.serve, name=f"signatures-{number}", daemon=True)
            for number in range(self._count)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads. The next batch would start them again."""
        if self._queue is not None:
            self._queue.close()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def packed_checks(checks: Sequence[SignatureCheck]) -> bytes | None:
    """The checks as the kernel takes them, joined; None if one of them can't be valid."""
    packed = [_PACK[algorithm](*question) for algorithm, *question in checks]
    return None if None in packed else b"".join(filter(None, packed))
