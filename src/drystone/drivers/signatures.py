"""Signature checks beside the thread that reads blocks: started now, asked about later."""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from drystone.consensus.verifier import SignatureCheck, verify_one_by_one
from drystone.drivers.verifier import pack
from drystone.kernel import native_available
from drystone.kernel.signatures import verify_packed

CHUNK_CHECKS: Final = 32  # a millisecond or so: what one thread takes at least


class _Batch:
    """How far a batch has come."""

    __slots__ = ("is_valid", "left")

    def __init__(self, chunks: int) -> None:
        self.left = chunks
        self.is_valid = True


class SignatureQueue:
    """The Signatures of a chain (see `chain.signatures`), checked by threads of their own.

    threads: so many, by default one a core. They start when first needed, and end with `close` or
    the process. Whoever waits for a verdict helps meanwhile.

    A thread that comes back from checking needs the interpreter's lock, and beside one that runs
    Python it may wait longer for that than a chunk takes. So it takes many chunks at once if many
    are there, whichever blocks they belong to.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._count = threads or os.cpu_count() or 1
        self._threads: list[threading.Thread] = []
        self._chunks: deque[tuple[_Batch, bytes]] = deque()
        self._closed = False
        self._changed = threading.Condition()  # guards all of the above

    def start(self, checks: Sequence[SignatureCheck], /) -> Callable[[], bool]:
        """Begin to check a batch. Without the native module it is checked here and now."""
        if not native_available():
            is_valid = verify_one_by_one(checks)
            return lambda: is_valid
        parts = range(0, len(checks), CHUNK_CHECKS)
        chunks = [pack(checks[at : at + CHUNK_CHECKS]) for at in parts]
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
                count = max(1, len(self._chunks) // (2 * self._count))
                taken = [self._chunks.popleft() for _ in range(count)]
            are_valid = verify_packed(b"".join([chunk for _, chunk in taken]))
            for batch, chunk in taken:
                is_valid = are_valid or verify_packed(chunk)
                with self._changed:
                    batch.is_valid &= is_valid
                    batch.left -= 1
                    if not batch.left:
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
