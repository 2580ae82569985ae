"""Amounts and fee rates, as people write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.errors import UserError
from drystone.network.amounts import Amount, FeeRate, rate_per_1000, satoshis, shown_bitcoins
from drystone.primitives.amount import COIN, MAX_MONEY


@pytest.mark.parametrize(
    ("amount", "value"),
    [
        (1, 1),
        ("1", COIN),
        ("1.5", 150_000_000),
        (" 0.00000001 ", 1),
        ("21000000 BTC", MAX_MONEY),
        ("0.1BTC", 10_000_000),
        ("2000sat", 2_000),
        ("2000 sat", 2_000),
        (Decimal("0.1"), 10_000_000),
        (Decimal("1E+2"), 100 * COIN),
    ],
)
def test_text_is_bitcoins_and_a_whole_number_is_satoshis(amount: Amount, value: int) -> None:
    assert satoshis(amount) == value


@pytest.mark.parametrize(
    "amount", [1.5, True, None, "", "-1", "1,5", "0.123456789", "1 sats", "1e3", "٣", "NaN", b"1"]
)
def test_anything_else_is_no_amount(amount: Amount) -> None:
    with pytest.raises(UserError, match=r'is no amount: wanted bitcoins as text, such as "1.5"'):
        satoshis(amount)


@pytest.mark.parametrize("amount", [Decimal("NaN"), Decimal("Infinity"), Decimal(-1)])
def test_what_decimal_can_be_besides_is_no_amount(amount: Decimal) -> None:
    with pytest.raises(UserError, match="is no amount"):
        satoshis(amount)


@given(st.integers(0, MAX_MONEY))
def test_what_is_shown_can_be_read_back(value: int) -> None:
    assert satoshis(shown_bitcoins(value).replace(",", "")) == value


def test_amounts_are_shown_as_short_as_can_be() -> None:
    shown = [shown_bitcoins(value) for value in (0, 1, 150_000_000, 100_000 * COIN)]
    assert shown == ["0 BTC", "0.00000001 BTC", "1.5 BTC", "100,000 BTC"]


@pytest.mark.parametrize(
    ("rate", "per_1000"),
    [(1, 1_000), (0, 0), (1.5, 1_500), ("2.5", 2_500), (0.1, 100), (Decimal("0.0001"), 1)],
)
def test_a_fee_rate_is_for_one_byte(rate: FeeRate, per_1000: int) -> None:
    assert rate_per_1000(rate) == per_1000


@pytest.mark.parametrize("rate", ["", "much", float("nan"), float("inf"), None, "1/0"])
def test_what_is_no_fee_rate_is_refused(rate: FeeRate) -> None:
    with pytest.raises(UserError, match="is no fee rate: wanted satoshis for one virtual byte"):
        rate_per_1000(rate)
