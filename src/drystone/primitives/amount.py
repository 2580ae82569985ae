"""Amounts: integer satoshis, nothing else."""

from typing import Final

COIN: Final = 100_000_000  # satoshis in a bitcoin
MAX_MONEY: Final = 21_000_000 * COIN  # Core: MAX_MONEY; a sanity bound, not the exact supply


def is_money(value: int) -> bool:
    """Whether an amount could be one: 0 to MAX_MONEY. Core: MoneyRange."""
    return 0 <= value <= MAX_MONEY
