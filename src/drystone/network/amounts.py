"""Amounts and fee rates as people write them: "0.5", "0.5 BTC", "2000 sat", 1.5 satoshis a byte."""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final

from drystone.core.errors import UserError
from drystone.primitives.amount import COIN

AN_AMOUNT: Final = 'bitcoins as text, such as "1.5", satoshis as a whole number or as "2000 sat"'

Amount = int | str | Decimal
"""An int is satoshis; text and Decimal are bitcoins, unless the text says "sat"."""

FeeRate = int | float | str | Decimal
"""Satoshis for one virtual byte."""


def satoshis(amount: Amount) -> int:
    """How many satoshis an amount is. Raises UserError, for floats too: they are never exact."""
    if isinstance(amount, int) and not isinstance(amount, bool):
        return amount
    if isinstance(amount, str | Decimal):
        text = f"{amount:f}" if isinstance(amount, Decimal) else amount.strip()
        found = re.fullmatch(r"(\d{1,8}(?:\.\d{1,8})?)(?: ?BTC)?", text, re.ASCII)
        if found is not None:
            return int(Fraction(found[1]) * COIN)
        found = re.fullmatch(r"(\d{1,16}) ?sat", text, re.ASCII)
        if found is not None:
            return int(found[1])
    raise UserError(f"{amount!r} is no amount: wanted {AN_AMOUNT}")


def shown_bitcoins(satoshis: int) -> str:
    """For people: "1,000 BTC", "0.5 BTC"."""
    whole, part = divmod(satoshis, COIN)
    decimals = f".{part:08}".rstrip("0") if part else ""
    return f"{whole:,}{decimals} BTC"


def rate_per_1000(fee_rate: FeeRate) -> int:
    """Satoshis for 1,000 virtual bytes, rounded up. fee_rate: for one. Raises UserError."""
    try:
        return -int(-(Fraction(str(fee_rate)) * 1_000) // 1)
    except (ValueError, OverflowError, ZeroDivisionError):
        raise UserError(
            f"{fee_rate!r} is no fee rate: wanted satoshis for one virtual byte, such as 1.5"
        ) from None
