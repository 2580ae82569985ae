"""The subsidy, from fifty bitcoins to nothing."""

import pytest

from drystone.consensus.subsidy import block_subsidy
from drystone.primitives.amount import COIN, MAX_MONEY

MAINNET, REGTEST = 210_000, 150


@pytest.mark.parametrize(
    ("height", "subsidy"),
    [
        (0, 50 * COIN),
        (209_999, 50 * COIN),
        (210_000, 25 * COIN),
        (420_000, 1_250_000_000),
        (840_000, 312_500_000),
        (10 * 210_000, 4_882_812),  # halves are rounded down
        (33 * 210_000 - 1, 1),
        (33 * 210_000, 0),
        (64 * 210_000, 0),
        (2**31 - 1, 0),
    ],
)
def test_the_subsidy_halves_every_210_000_blocks(height: int, subsidy: int) -> None:
    assert block_subsidy(height, MAINNET) == subsidy


def test_another_chain_halves_at_its_own_pace() -> None:
    assert [block_subsidy(height, REGTEST) for height in (149, 150, 300)] == [
        50 * COIN,
        25 * COIN,
        1_250_000_000,
    ]


def test_all_subsidies_stay_just_below_21_million() -> None:
    total = sum(MAINNET * block_subsidy(era * MAINNET, MAINNET) for era in range(64))
    assert total == 2_099_999_997_690_000
    assert total < MAX_MONEY
