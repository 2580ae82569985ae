"""Signature checks spread over the machine's cores, beside the thread that reads blocks."""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from drystone.consensus.verifier import Algorithm, SignatureCheck, verify_one_by_one
from drystone.kernel import native_available
from drystone.kernel.signatures import pack_ecdsa, pack_schnorr, verify_packed

LEAST_CHECKS: Final = 8  # fewer aren't worth waking a thread for
MOST_CHECKS: Final = 32  # of a chunk, which one thread checks: a millisecond or so
MOST_CHUNKS: Final = 24  # that a thread takes at once: what others may have to wait for
_PACK = {Algorithm.ECDSA: pack_ecdsa, Algorithm.SCHNORR: pack_schnorr}


class _Batch:
    """How far a batch has come."""

    __slots__ = ("is_valid", "left")

    def __init__(self, chunks: int) -> None:
        self.left = chunks
        self.is_valid = True


class SignatureQueue:
    """The Signatures of a chain (see `chain.signatures`), checked by threads; a BatchVerifier, too.

    threads: so many of its own; by default one for each core but the caller's, whose own work takes
    longer and must not be held up. They start when first needed, and end with `close` or the
    process. Whoever waits for a verdict helps meanwhile. Without the native module, checks are made
    one by one.

    A thread that comes back from checking needs the interpreter's lock, and beside one that runs
    Python it may wait longer for that than a chunk takes. So it takes many chunks at once if many
    are there, whichever blocks they belong to.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._count = threads or max(1, (os.cpu_count() or 1) - 1)
        self._threads: list[threading.Thread] = []
        self._chunks: deque[tuple[_Batch, bytes]] = deque()
        self._closed = False
        self._changed = threading.Condition()  # guards all of the above

    def __call__(self, checks: Sequence[SignatureCheck], /) -> bool:
        """Whether all of a batch are valid."""
        if len(checks) < 2 * LEAST_CHECKS and native_available():
            packed = packed_checks(checks)
            return packed is not None and verify_packed(packed)
        return self.start(checks)()

    def start(self, checks: Sequence[SignatureCheck], /) -> Callable[[], bool]:
        """Begin to check a batch. What this returns waits, and tells whether all are valid."""
        if not native_available():
            is_valid = verify_one_by_one(checks)
            return lambda: is_valid
        size = min(max(LEAST_CHECKS, -(-len(checks) // (self._count + 1))), MOST_CHECKS)
        chunks = [packed_checks(checks[at : at + size]) for at in range(0, len(checks), size)]
        if None in chunks:
            return lambda: False
        batch = _Batch(len(chunks))
        with self._changed:
            self._chunks.extend((batch, chunk) for chunk in chunks if chunk is not None)
            self._changed.notify_all()
        if not self._threads:
            self._begin()

        def verdict() -> bool:
            self._work(until=batch)
            return batch.is_valid

        return verdict

    def _begin(self) -> None:
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"signatures-{number}", daemon=True)
            for number in range(self._count)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, until: _Batch | None = None) -> None:
        """Check chunks, whosever they are, until a batch is done; or until the queue is closed."""
        while True:
            with self._changed:
                while not self._is_over(until) and not self._chunks:
                    self._changed.wait()
                if self._is_over(until):
                    return
                count = min(max(1, len(self._chunks) // (2 * self._count + 2)), MOST_CHUNKS)
                taken = [self._chunks.popleft() for _ in range(count)]
            try:
                are_valid = verify_packed(b"".join([chunk for _, chunk in taken]))
                verdicts = [are_valid or verify_packed(chunk) for _, chunk in taken]
            except BaseException:  # Ctrl-C: nobody shall wait for what was taken
                self._book(taken, [False] * count)
                raise
            self._book(taken, verdicts)

    def _book(self, taken: Sequence[tuple[_Batch, bytes]], verdicts: Sequence[bool]) -> None:
        with self._changed:
            for (batch, _), is_valid in zip(taken, verdicts, strict=True):
                batch.is_valid &= is_valid
                batch.left -= 1
            self._changed.notify_all()

    def _is_over(self, until: _Batch | None) -> bool:
        return self._closed if until is None else not until.left

    def close(self) -> None:
        """End the threads. The next batch would start them again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
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
