"""Random times: exact, and the same everywhere."""

from drystone.core.chance import Stream
from drystone.core.samplers import exponential_ns, unit_exponential

ONE = 1 << 64


def test_the_first_draws_of_a_stream_are_these_for_ever() -> None:
    stream = Stream(1, "samplers")
    assert [unit_exponential(stream) * 10**6 // ONE for _ in range(5)] == [
        592534,
        542060,
        609812,
        204436,
        818210,
    ]


def test_the_mean_is_one_and_so_is_the_deviation() -> None:
    stream = Stream(2, "samplers")
    draws = [unit_exponential(stream) / ONE for _ in range(20_000)]
    mean = sum(draws) / len(draws)
    variance = sum((draw - mean) ** 2 for draw in draws) / len(draws)
    assert abs(mean - 1) < 0.03 and abs(variance - 1) < 0.08


def test_as_many_are_above_each_whole_number_as_should_be() -> None:
    stream = Stream(3, "samplers")
    draws = [unit_exponential(stream) for _ in range(20_000)]
    for whole, share in ((1, 0.3679), (2, 0.1353), (3, 0.0498)):
        assert abs(sum(draw > whole * ONE for draw in draws) / len(draws) - share) < 0.012
    assert abs(sum(draw > ONE // 2 for draw in draws) / len(draws) - 0.6065) < 0.012


def test_a_mean_is_reached_in_nanoseconds() -> None:
    stream = Stream(4, "samplers")
    draws = [exponential_ns(stream, 2_000_000_000) for _ in range(5_000)]
    assert abs(sum(draws) / len(draws) / 2e9 - 1) < 0.06
