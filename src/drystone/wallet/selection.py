"""Which coins to spend, so that they are enough for some outputs and the fee.

A coin costs what spending it weighs, so it is worth its *effective value*: its value less that. One
that is worth nothing then is left alone. Of the others, two searches, one after the other:

1. *Branch and bound* looks for coins that are just enough: what is left over is so little that
   change wouldn't pay. Of such sets the one with the lowest fee is taken. No change means a
   smaller transaction now, and one less to sign for later.
2. *Largest first* takes coins from the largest down until they are enough; what is left over
   becomes change. That takes the fewest inputs.

Change has to be worth more than dust, and more than it will cost to spend some day, at a rate that
is usual in the long term; whatever is less goes to the miner. All is in integers: rates are
satoshis for 1,000 virtual bytes, and effective values count in 4,000ths of a satoshi, so that a
weight unit at any rate is a whole number of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final, NamedTuple

from drystone.core.errors import UserError
from drystone.mempool.policy import Policy, fee_at, vsize_of
from drystone.mempool.standardness import MAX_STANDARD_WEIGHT, dust_threshold
from drystone.primitives.transaction import TxOut
from drystone.wallet.keys import Key
from drystone.wallet.owned import OwnedCoin
from drystone.wallet.sizes import INPUT_VSIZE, INPUT_WEIGHT, output_weight, predicted_weight

LONG_TERM_RATE: Final = 10_000  # satoshis for 1,000 virtual bytes. Core: -consolidatefeerate
DUST_RATE: Final = Policy().dustrelayfee
MOST_STEPS: Final = 10_000  # of branch and bound: some milliseconds

_FINE = 4_000  # parts of a satoshi: 1,000 virtual bytes of four weight units


@dataclass(frozen=True)
class Terms:
    """What is to be paid for, and how: all that selection must know besides the coins."""

    outputs: tuple[TxOut, ...]  # without change
    fee_rate: int  # satoshis for 1,000 virtual bytes
    change_to: Key
    long_term_rate: int = LONG_TERM_RATE
    dust_rate: int = DUST_RATE

    @cached_property
    def paid(self) -> int:
        """Satoshis of the outputs."""
        return sum(txout.value for txout in self.outputs)

    @cached_property
    def least_change(self) -> int:
        """From how much on change is made."""
        later = fee_at(self.long_term_rate, INPUT_VSIZE[self.change_to.kind])
        return max(dust_threshold(self.change_to.script_pubkey, self.dust_rate), later)

    @cached_property
    def change_weight(self) -> int:
        """Weight units that change adds, the count of outputs aside."""
        return output_weight(self.change_to.script_pubkey)

    @cached_property
    def _outputs_weight(self) -> int:
        return sum(output_weight(txout.script_pubkey) for txout in self.outputs)

    def weight(self, count: int, inputs_weight: int, *, with_change: bool) -> int:
        """Weight units of a transaction with so many inputs that weigh so much."""
        outputs_weight = self._outputs_weight + with_change * self.change_weight
        outputs = len(self.outputs) + with_change
        return predicted_weight(count, inputs_weight, outputs, outputs_weight)

    def left(self, inputs: "Inputs", *, with_change: bool = False) -> int:
        """Satoshis left when outputs and fee are paid; with change, that is the change."""
        weight = self.weight(inputs.number, inputs.weight, with_change=with_change)
        return inputs.value - self.paid - fee_at(self.fee_rate, vsize_of(weight))

    def change(self, inputs: "Inputs") -> int:
        """Satoshis of change, 0 if none is made."""
        change = self.left(inputs, with_change=True)
        return change if change >= self.least_change else 0

    def effective_value(self, coin: OwnedCoin) -> int:
        """A coin's value less what spending it costs, in 4,000ths of a satoshi."""
        return coin.value * _FINE - self.fee_rate * INPUT_WEIGHT[coin.key.kind]


class Inputs(NamedTuple):
    """How many, what they weigh, what they are worth."""

    number: int = 0
    weight: int = 0
    value: int = 0

    def plus(self, coin: OwnedCoin) -> "Inputs":
        """These and one more."""
        weight = self.weight + INPUT_WEIGHT[coin.key.kind]
        return Inputs(self.number + 1, weight, self.value + coin.value)

    @classmethod
    def of(cls, coins: Iterable[OwnedCoin]) -> "Inputs":
        """All of these."""
        inputs = cls()
        for coin in coins:
            inputs = inputs.plus(coin)
        return inputs


class Selection(NamedTuple):
    """The coins to be spent. Their value is that of the outputs, fee and change."""

    coins: tuple[OwnedCoin, ...]
    fee: int  # satoshis
    change: int  # satoshis; 0: there is none


def select(coins: Iterable[OwnedCoin], terms: Terms) -> Selection | None:
    """Some of these coins that are enough, or None if all together are not.

    The order in which they come makes no difference.
    Raises UserError if it takes more of them than a standard transaction can have.
    """
    useful = [coin for coin in coins if terms.effective_value(coin) > 0]
    useful.sort(key=lambda coin: (-terms.effective_value(coin), coin.outpoint))
    chosen = just_enough(useful, terms)
    if chosen is None:
        chosen = largest_first(useful, terms)
    return None if chosen is None else select_all(chosen, terms)


def select_all(coins: Sequence[OwnedCoin], terms: Terms) -> Selection | None:
    """All of these coins, or None if they are not enough. Raises UserError if they are too many."""
    inputs = Inputs.of(coins)
    if not coins or terms.left(inputs) < 0:
        return None
    change = terms.change(inputs)
    if terms.weight(inputs.number, inputs.weight, with_change=change > 0) > MAX_STANDARD_WEIGHT:
        raise UserError(
            f"{inputs.number:,} coins are more than a standard transaction can spend:"
            " pay less at a time, or gather coins first"
        )
    return Selection(tuple(coins), inputs.value - terms.paid - change, change)


def largest_first(coins: Sequence[OwnedCoin], terms: Terms) -> list[OwnedCoin] | None:
    """The first coins that are enough. coins: the most effective first."""
    chosen: list[OwnedCoin] = []
    inputs = Inputs()
    for coin in coins:
        chosen.append(coin)
        inputs = inputs.plus(coin)
        if terms.left(inputs) >= 0:
            return chosen
    return None


def just_enough(
    coins: Sequence[OwnedCoin], terms: Terms, most_steps: int = MOST_STEPS
) -> list[OwnedCoin] | None:
    """Coins that leave too little for change, with the lowest fee, as far as so many steps reach.

    coins: the most effective first, each worth something. A walk over all sets of coins, each set
    before those that go without its last coin; whole branches are left out that can't be enough,
    have too much, or cost more than what was found. Core: SelectCoinsBnB.
    """
    values = [terms.effective_value(coin) for coin in coins]
    to_come = [*accumulate(reversed(values), initial=0)][::-1]  # from each coin on
    least, most = _window(terms)
    best: list[int] | None = None
    best_value = 0
    chosen: list[int] = []
    sums = [(0, Inputs())]  # before each of the chosen, and now
    at = 0
    for _ in range(most_steps):
        total, inputs = sums[-1]
        is_over = total > most or total + to_come[at] < least
        if best is not None and inputs.value >= best_value:
            is_over = True
        elif not is_over and total >= least and _is_just_enough(inputs, terms):
            best, best_value = chosen.copy(), inputs.value
            is_over = True
        if is_over or at == len(coins):
            if not chosen:
                break
            at = _after_likes(coins, values, chosen.pop())
            sums.pop()
        else:
            chosen.append(at)
            sums.append((total + values[at], inputs.plus(coins[at])))
            at += 1
    return None if best is None else [coins[n] for n in best]


def _window(terms: Terms) -> tuple[int, int]:
    """Between which sums of effective values all sets lie that are just enough.

    What rounding and longer counts can add is allowed for; `_is_just_enough` is exact.
    """
    rate = terms.fee_rate
    least = terms.paid * _FINE + rate * terms.weight(1, 0, with_change=False)
    slack = rate * (terms.change_weight + 20) + 2 * _FINE
    return least, least + terms.least_change * _FINE + slack


def _is_just_enough(inputs: Inputs, terms: Terms) -> bool:
    return inputs.number > 0 and terms.left(inputs) >= 0 and terms.change(inputs) == 0


def _after_likes(coins: Sequence[OwnedCoin], values: Sequence[int], at: int) -> int:
    """The next coin of another kind or value: going without this one is going without its like."""
    left_out = coins[at].key.kind, values[at]
    at += 1
    while at < len(coins) and (coins[at].key.kind, values[at]) == left_out:
        at += 1
    return at
