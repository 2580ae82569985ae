"""A queue of signature checks that is served without the interpreter's lock."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from drystone.crypto.secp256k1 import public_key, sign_ecdsa
from drystone.kernel import native_available
from drystone.kernel.signatures import CHECK_BYTES, CheckQueue, pack_ecdsa

pytestmark = pytest.mark.skipif(not native_available(), reason="the native module was not built")

SECRET, DIGEST = bytes(31) + b"\7", bytes(range(32))


def packed(digest: bytes = DIGEST) -> bytes:
    """A check that is valid if the digest is."""
    check = pack_ecdsa(public_key(SECRET), digest, sign_ecdsa(SECRET, DIGEST))
    assert check is not None and len(check) == CHECK_BYTES
    return check


GOOD, BAD = packed(), packed(bytes(32))


@contextmanager
def served(queue: CheckQueue, threads: int) -> Iterator[None]:
    """With so many threads that serve it."""
    queue.open()
    serving = [threading.Thread(target=queue.serve) for _ in range(threads)]
    for thread in serving:
        thread.start()
    try:
        yield
    finally:
        queue.close()
        for thread in serving:
            thread.join()


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_verdicts_are_right_whatever_the_order_in_which_they_are_asked_for(threads: int) -> None:
    queue = CheckQueue()
    with served(queue, threads):
        batches = [
            (queue.put(GOOD * before + BAD * bad + GOOD * 9), not bad)
            for before in (0, 7, 8, 30)
            for bad in (0, 1)
        ]
        for batch, is_valid in (*batches[::-1], *batches):
            assert queue.wait(batch) is is_valid
        assert queue.wait(queue.put(b"")) is True


def test_what_nobody_serves_is_checked_by_whoever_waits() -> None:
    queue = CheckQueue()
    first, second = queue.put(GOOD * 20), queue.put(BAD)
    assert not queue.wait(second)
    queue.close()
    assert queue.wait(first)


def test_a_closed_queue_can_be_served_again() -> None:
    queue = CheckQueue()
    for _ in range(2):
        with served(queue, 2):
            assert queue.wait(queue.put(GOOD * 20))


def test_many_threads_may_put_and_wait_at_once() -> None:
    queue = CheckQueue()
    wrong = []

    def work(number: int) -> None:
        for n in range(5):
            is_valid = (number + n) % 3 != 0
            batch = queue.put(GOOD * 5 + (GOOD if is_valid else BAD))
            if queue.wait(batch) is not is_valid:
                wrong.append((number, n))

    with served(queue, 2):
        askers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in askers:
            thread.start()
        for thread in askers:
            thread.join()
    assert not wrong


def test_batches_that_nobody_asks_about_are_forgotten() -> None:
    queue = CheckQueue()
    queue.put(GOOD)
    kept = queue.put(GOOD * 3)
    queue.put(BAD * 30)
    with served(queue, 1):
        queue.put(GOOD * 30)
        assert queue.wait(kept)
    outlives = queue.put(GOOD * 9)
    queue.put(GOOD * 9)
    del queue, kept
    gc.collect()
    assert CheckQueue.wait(outlives)


def test_what_is_no_batch_or_no_check_is_refused() -> None:
    queue = CheckQueue()
    with pytest.raises(ValueError, match="out of range"):
        queue.put(bytes(CHECK_BYTES + 1))
    with pytest.raises(ValueError, match="PyCapsule"):
        queue.wait(object())
