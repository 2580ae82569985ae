"""Times, rates and shares as people write them: "50 ms", "1.5 MB/s", "2 %"."""

import re
from fractions import Fraction
from typing import Final

from drystone.core.errors import UserError
from drystone.core.time import MILLISECOND_NS, SECOND_NS

A_DURATION: Final = 'a time with its unit, such as "50 ms", "1.5 s", "10 min", "2 h" or "7 d"'
A_RATE: Final = 'a rate with its unit, such as "500 kB/s", "1.5 MB/s" or "10 Mbit/s"'
A_SHARE: Final = 'a share from 0 to 1, or such as "2 %"'

MAX_DURATION_NS: Final = 100 * 366 * 86_400 * SECOND_NS

_DURATIONS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": MILLISECOND_NS,
    "s": SECOND_NS,
    "min": 60 * SECOND_NS,
    "h": 3_600 * SECOND_NS,
    "d": 86_400 * SECOND_NS,
}
_RATES: Final = {
    "B/s": Fraction(1),
    "kB/s": Fraction(1_000),
    "MB/s": Fraction(1_000_000),
    "GB/s": Fraction(1_000_000_000),
    "bit/s": Fraction(1, 8),
    "kbit/s": Fraction(1_000, 8),
    "Mbit/s": Fraction(1_000_000, 8),
    "Gbit/s": Fraction(1_000_000_000, 8),
}
_SHARES: Final = {"": Fraction(1), "%": Fraction(1, 100)}


def duration_ns(text: str) -> int:
    """Nanoseconds. Raises UserError."""
    size = _measured(text, {unit: Fraction(ns) for unit, ns in _DURATIONS.items()})
    if size is None or size > MAX_DURATION_NS:
        raise UserError(f"{text!r} is no time: wanted {A_DURATION}")
    return round(size)


def bytes_per_s(text: str) -> int:
    """Bytes per second. Raises UserError."""
    size = _measured(text, _RATES)
    if size is None or size < 1:
        raise UserError(f"{text!r} is no rate: wanted {A_RATE}")
    return round(size)


def share(text: str) -> float:
    """From 0 to 1. Raises UserError."""
    size = _measured(text, _SHARES)
    if size is None or size > 1:
        raise UserError(f"{text!r} is no share: wanted {A_SHARE}")
    return float(size)


def _measured(text: str, units: dict[str, Fraction]) -> Fraction | None:
    found = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*(\S*)\s*", text, re.ASCII)
    if found is None or found[2] not in units:
        return None
    return Fraction(found[1]) * units[found[2]]


def shown_duration(duration_ns: int) -> str:
    """In the unit that reads best, so that it can be read back."""
    for unit, size in reversed(_DURATIONS.items()):
        if duration_ns >= size:
            return f"{duration_ns / size:g} {unit}"
    return "0 s"
