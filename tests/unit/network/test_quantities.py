"""Times, rates and shares as people write them."""

from collections.abc import Callable

import pytest

from drystone.core.errors import UserError
from drystone.network.quantities import bytes_per_s, duration_ns, share, shown_duration


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (duration_ns, "50 ms", 50_000_000),
        (duration_ns, "50ms", 50_000_000),
        (duration_ns, " 1.5 s ", 1_500_000_000),
        (duration_ns, "10 min", 600_000_000_000),
        (duration_ns, "2 h", 7_200_000_000_000),
        (duration_ns, "1 d", 86_400_000_000_000),
        (duration_ns, "0.1 us", 100),
        (duration_ns, "7 ns", 7),
        (bytes_per_s, "1 B/s", 1),
        (bytes_per_s, "1.5 MB/s", 1_500_000),
        (bytes_per_s, "10 Mbit/s", 1_250_000),
        (bytes_per_s, "1 Gbit/s", 125_000_000),
        (share, "2 %", 0.02),
        (share, "0.25", 0.25),
        (share, "100%", 1.0),
    ],
)
def test_a_quantity_is_read_exactly(parse: Callable[[str], float], text: str, value: float) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (duration_ns, ""),
        (duration_ns, "50"),
        (duration_ns, "-1 s"),
        (duration_ns, "1e3 s"),
        (duration_ns, "5 minutes ago"),
        (duration_ns, "1000000 d"),
        (duration_ns, "٣ s"),
        (bytes_per_s, "0 B/s"),
        (bytes_per_s, "0.5 B/s"),
        (bytes_per_s, "10 MB"),
        (bytes_per_s, "10 mb/s"),
        (share, "101 %"),
        (share, "1.5"),
        (share, "half"),
    ],
)
def test_what_is_no_quantity_is_told_with_an_example(
    parse: Callable[[str], float], text: str
) -> None:
    with pytest.raises(UserError, match=r"wanted a .*such as"):
        parse(text)


@pytest.mark.parametrize("text", ["7 ns", "50 ms", "1.5 s", "1.5 min", "2 h", "10 d"])
def test_a_shown_duration_can_be_read_back(text: str) -> None:
    assert shown_duration(duration_ns(text)) == text


def test_no_time_is_shown_too() -> None:
    assert shown_duration(0) == "0 s"
