"""Choosing a variant, cancelling a search, and going on without the native module."""

import os
import subprocess
import sys
import threading
import time

import pytest

from drystone.kernel import (
    Cancel,
    VariantUnavailable,
    chosen_variant,
    native_available,
    nonces,
    search,
    variants,
)

HEADER = bytes(80)
FOR_HOURS = 1 << 32


def test_the_last_resort_is_python() -> None:
    assert variants()[-1] == "python"
    assert native_available() == ("portable" in variants())


@pytest.mark.parametrize("variant", variants())
def test_another_thread_cancels_a_search_at_once(variant: str) -> None:
    """The limit is generous, since this may be a busy machine: hours would be the alternative."""
    cancel = Cancel()
    found: list[int | None] = []

    def work() -> None:
        found.append(search(HEADER, 0, 0, FOR_HOURS, cancel=cancel, variant=variant))

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.02)
    cancel.set()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert found == [None]
    assert cancel.is_set()


@pytest.mark.parametrize("variant", variants())
def test_a_search_that_is_cancelled_beforehand_finds_nothing(variant: str) -> None:
    cancel = Cancel()
    cancel.set()
    assert search(HEADER, (1 << 256) - 1, 0, 100, cancel=cancel, variant=variant) is None


@pytest.mark.skipif(not native_available(), reason="no native module: its lock is Python's own")
@pytest.mark.parametrize("variant", [name for name in variants() if name != "python"])
def test_other_threads_run_while_one_searches(variant: str) -> None:
    """Under Python's lock, this thread could not even cancel before the search's end."""
    cancel, began = Cancel(), threading.Event()

    def work() -> None:
        began.set()
        search(HEADER, 0, 0, FOR_HOURS, cancel=cancel, variant=variant)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody is made to hand the lock over
    try:
        thread = threading.Thread(target=work)
        thread.start()
        began.wait()
        steps = sum(1 for _ in range(100_000))
        assert steps == 100_000
        assert thread.is_alive()
    finally:
        cancel.set()
        thread.join()
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("variant", variants())
def test_the_environment_forces_a_variant(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRYSTONE_KERNEL", variant)
    assert chosen_variant() == variant


def test_an_unknown_variant_is_refused_with_those_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRYSTONE_KERNEL", "abacus")
    with pytest.raises(VariantUnavailable, match=r"'abacus'.*DRYSTONE_KERNEL.*python"):
        search(HEADER, 0, 0, 1)
    with pytest.raises(VariantUnavailable, match="'slide-rule'"):
        search(HEADER, 0, 0, 1, variant="slide-rule")


def test_without_the_native_module_python_searches() -> None:
    """In a process of its own, where importing the native module fails."""
    script = (
        "import sys; sys.modules['drystone.kernel._native'] = None\n"
        "from drystone.kernel import native_available, search, variants\n"
        "assert not native_available() and variants() == ('python',)\n"
        "print(search(bytes(80), (1 << 248) - 1, 0, 10_000))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != nonces.VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert int(done.stdout) == search(HEADER, (1 << 248) - 1, 0, 10_000, variant="python")
