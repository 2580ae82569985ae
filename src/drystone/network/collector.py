"""Python's collector of reference cycles, and when it had better rest."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_COLLECT_AFTER: Final = 2_000_000  # objects; with Python's 700, coins are looked at all the time


@contextmanager
def calm_collector() -> Iterator[None]:
    """Let Python's collector of reference cycles look less often.

    Blocks and coins make no cycles, but hundreds of thousands of objects, which it would walk over
    and over: a fifth of an import's time.
    """
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
