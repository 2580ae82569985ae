"""Keystreams of many keys at once: the same with the native module and without."""

import threading
import time
from hashlib import sha256

import pytest

from drystone.crypto import chacha20
from drystone.kernel import keystream, native_available
from drystone.kernel.keystream import keystreams

KEYS = b"".join(sha256(bytes((n,))).digest() for n in range(100))


@pytest.mark.parametrize("blocks", [0, 1, 6, 400])
@pytest.mark.parametrize("count", [0, 1, 99])
def test_the_native_module_makes_the_same_streams(count: int, blocks: int) -> None:
    keys = KEYS[: 32 * count]
    assert keystreams(keys, blocks) == chacha20.keystreams(keys, blocks)


def test_without_the_native_module_python_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = keystreams(KEYS, 2)
    monkeypatch.setattr(keystream, "native_available", lambda: False)
    monkeypatch.setattr(keystream, "_native", None, raising=False)
    assert keystreams(KEYS, 2) == expected


@pytest.mark.parametrize("native", [True, False])
def test_the_same_arguments_are_refused_by_both(
    monkeypatch: pytest.MonkeyPatch, *, native: bool
) -> None:
    if not native:
        monkeypatch.setattr(keystream, "native_available", lambda: False)
    for keys, blocks in ((KEYS[:31], 1), (KEYS, -1), (KEYS, (1 << 32) + 1), (KEYS, 1 << 64)):
        with pytest.raises(ValueError, match=r"no multiple|not a number of blocks"):
            keystreams(keys, blocks)


@pytest.mark.skipif(not native_available(), reason="no native module: its lock is Python's own")
def test_other_threads_run_while_streams_are_made() -> None:
    """Under Python's lock, this thread would stand still until all of it is done."""
    began = threading.Event()
    ended: list[float] = []

    def work() -> None:
        began.set()
        keystreams(KEYS, 20_000)  # 128 MB, some tenths of a second
        ended.append(time.perf_counter())

    thread = threading.Thread(target=work)
    thread.start()
    began.wait()
    ticks = []
    while thread.is_alive():
        time.sleep(0.001)
        ticks.append(time.perf_counter())
    thread.join()
    assert len([tick for tick in ticks if tick < ended[0]]) >= 5
