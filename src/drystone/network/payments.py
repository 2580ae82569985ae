"""Payments between the accounts of a network: what `send` and `double_spend` do in both worlds.

```
sending, double_spending    choose coins and sign: an Attempt, of payments and nodes to hand them to
    on_their_way            the network hands them over, in its own way, and collects the replies
sent, raced                 they are where they should be, or UserError says why not
```

What an account has is always asked of one node: its chain, its mempool. Nodes that are asked are
listened to from then on, so that asking again costs nothing.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import TipChange
from drystone.chain.tree import BlockNode
from drystone.consensus.errors import MissingInputs, Rejected
from drystone.consensus.params import Params
from drystone.core.errors import UserError
from drystone.core.time import Clock
from drystone.mempool.chainview import ChainView
from drystone.mempool.entry import Entry
from drystone.mempool.errors import FeeTooLow
from drystone.mempool.outcomes import Refused
from drystone.mempool.pool import Mempool
from drystone.mining.accounts import FUNDED
from drystone.network.amounts import Amount, FeeRate, rate_per_1000, satoshis, shown_bitcoins
from drystone.node.events import News, NewTip, Reply, TxAccepted, TxRemoved
from drystone.node.node import Node
from drystone.primitives.hashes import Txid, display, from_display
from drystone.primitives.transaction import OutPoint, Transaction
from drystone.wallet.accounts import Accounts, Balance
from drystone.wallet.keys import keys_of
from drystone.wallet.payment import DEFAULT_FEE_RATE, Payment, conflicting, make_payment

EVENTS: Final = 1_000  # that are kept
RACES: Final = 16  # double spends that are followed, the latest
MOST_ASIDE: Final = 10_000  # coins of payments that are remembered
WARNING: Final = "everybody knows these accounts' keys: never pay them anything of worth"


class Payer(Protocol):
    """A node of either world."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def node(self) -> Node:
        """Its core."""

    @property
    def is_up(self) -> bool:
        """Whether it runs."""


class DoubleSpend(NamedTuple):
    """Two payments of the same coins, each handed to a node of its own."""

    first: Payment
    second: Payment
    via: tuple[str, str]

    @property
    def payments(self) -> tuple[Payment, Payment]:
        """Both."""
        return self.first, self.second


# What happens, for whoever watches.


@dataclass(frozen=True, slots=True)
class Sent:
    """A node has let a payment in."""

    via: str
    payment: Payment

    @property
    def line(self) -> str:
        """For people."""
        return f"{_shown(self.payment)} through {self.via}"


@dataclass(frozen=True, slots=True)
class Raced:
    """Two nodes have each let in one of two payments, of which only one can win."""

    race: DoubleSpend

    @property
    def line(self) -> str:
        """For people."""
        both = " and ".join(
            f"{payment.to} through {via}"
            for payment, via in zip(self.race.payments, self.race.via, strict=True)
        )
        first = self.race.first
        return f"{first.owner} pays the same {shown_bitcoins(first.amount)} to {both}"


@dataclass(frozen=True, slots=True)
class Settled:
    """At a node, one of two payments is in a block now; or none is any more: payment is None."""

    name: str  # the node's
    race: DoubleSpend
    payment: Payment | None
    height: int  # of the block, or of the one that is gone

    @property
    def line(self) -> str:
        """For people."""
        if self.payment is None:
            return f"{self.name}: block {self.height}, which had settled a double spend, is gone"
        return f"{self.name}: {self.payment.to} wins a double spend in block {self.height}"


Event = Sent | Raced | Settled


@dataclass(frozen=True)
class Attempt:
    """Payments to be handed to nodes, side by side."""

    handed: tuple[tuple[str, Payment], ...]  # to which node


class _Ledger(NamedTuple):
    """What a node knows of accounts. After a restart its core is another: this counts no more."""

    core: Node
    accounts: Accounts


class Payments:
    """Makes payments between accounts of one network, and follows what becomes of them.

    nodes: by name; may grow meanwhile. tell: is told what happens; `events` keeps the latest.
    """

    def __init__(
        self,
        params: Params,
        nodes: Mapping[str, Payer],
        clock: Clock,
        *,
        tell: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.tell = tell
        self._params = params
        self._nodes = nodes
        self._clock = clock
        self._names = dict.fromkeys(FUNDED)
        self._ledgers: dict[str, _Ledger] = {}  # of nodes that were asked
        self._aside: dict[OutPoint, tuple[Payment, ...]] = {}  # that spend it, as far as they live
        self._in_flight: dict[Txid, None] = {}
        self._races: deque[DoubleSpend] = deque(maxlen=RACES)

    # ------------------------------------------------------------------ paying

    def sending(
        self,
        owner: str,
        to: str,
        amount: Amount,
        *,
        coins: Sequence[OutPoint | str] | None = None,
        via: str | None = None,
        fee_rate: FeeRate | None = None,
    ) -> Attempt:
        """A payment, made but not sent. See `VirtualNetwork.send`. Raises UserError."""
        node = self._asked(owner, via)
        return Attempt(
            ((node.name, self._payment(node, owner, to, amount, coins=coins, fee_rate=fee_rate)),)
        )

    def double_spending(
        self,
        owner: str,
        to: str,
        instead: str,
        amount: Amount,
        *,
        coins: Sequence[OutPoint | str] | None = None,
        via: Sequence[str] | None = None,
        fee_rate: FeeRate | None = None,
    ) -> Attempt:
        """Two payments, made but not sent. See `VirtualNetwork.double_spend`. Raises UserError.

        Both nodes were asked whether they would let theirs in.
        """
        up = [node.name for node in self._nodes.values() if node.is_up]
        names = tuple(via) if via is not None else (*up[:1], *up[1:][-1:])
        if len(set(names)) != 2 or len(names) != 2:
            raise UserError("a double spend goes through two nodes: name two that run")
        nodes = [self._one_up(name) for name in names]
        first = self._payment(nodes[0], owner, to, amount, coins=coins, fee_rate=fee_rate)
        second = conflicting(first, instead, self._params)
        handed = tuple(zip(names, (first, second), strict=True))
        for node, (_, payment) in zip(nodes, handed, strict=True):
            view = ChainView.at_tip(node.node.chain)
            outcome = node.node.mempool.test(payment.tx, view, self._clock().unix_s)
            if isinstance(outcome, Refused):
                raise _refusal(node.name, payment, outcome.error)
        return Attempt(handed)

    @contextmanager
    def on_their_way(self, attempt: Attempt) -> Iterator[Attempt]:
        """While payments are being handed over, no other takes their coins unless it names them."""
        for _, payment in attempt.handed:
            self._in_flight[payment.txid] = None
            for outpoint in payment.coins:
                self._aside[outpoint] = (*self._aside.pop(outpoint, ()), payment)
        while len(self._aside) > MOST_ASIDE:
            del self._aside[next(iter(self._aside))]
        try:
            yield attempt
        finally:
            for _, payment in attempt.handed:
                self._in_flight.pop(payment.txid, None)

    def sent(self, attempt: Attempt, replies: Sequence[Reply]) -> Payment:
        """The one payment, now that its node has replied. Raises UserError if it was refused."""
        ((via, payment),) = attempt.handed
        if replies[0].error is not None:
            raise _refusal(via, payment, replies[0].error)
        self._say(Sent(via, payment))
        return payment

    def raced(self, attempt: Attempt, replies: Sequence[Reply]) -> DoubleSpend:
        """Both payments, now that the nodes have replied. Raises UserError if one was refused."""
        (one, first), (other, second) = attempt.handed
        for (via, payment), reply in zip(attempt.handed, replies, strict=True):
            if reply.error is not None:
                raise _refusal(via, payment, reply.error)
        race = DoubleSpend(first, second, (one, other))
        self._races.append(race)
        self._say(Raced(race))
        return race

    def _payment(
        self,
        node: Payer,
        owner: str,
        to: str,
        amount: Amount,
        *,
        coins: Sequence[OutPoint | str] | None,
        fee_rate: FeeRate | None,
    ) -> Payment:
        accounts = self._accounts(node, owner)
        return make_payment(
            accounts,
            owner,
            to,
            satoshis(amount),
            fee_rate=DEFAULT_FEE_RATE if fee_rate is None else rate_per_1000(fee_rate),
            coins=None if coins is None else [outpoint_from(coin) for coin in coins],
            aside=self._still_aside(accounts, owner),
        )

    def _still_aside(self, accounts: Accounts, owner: str) -> Container[OutPoint]:
        """Coins that a node thinks free, but that a payment elsewhere spends which still lives."""
        aside = {}
        for coin in accounts.coins(owner) if self._aside else ():
            payments = self._aside.get(coin.outpoint)
            if payments is not None:
                alive = tuple(payment for payment in payments if self._lives(payment))
                if alive:
                    aside[coin.outpoint] = self._aside[coin.outpoint] = alive
                else:
                    del self._aside[coin.outpoint]
        return aside

    def _lives(self, payment: Payment) -> bool:
        return payment.txid in self._in_flight or any(
            payment.txid in node.node.mempool or height_of(payment, node.node.chain) is not None
            for node in self._nodes.values()
            if node.is_up
        )

    # ------------------------------------------------------------------ looking

    def balance(self, owner: str, at: str | None = None) -> Balance:
        """What an account has, as a node sees it. Raises UserError."""
        return self._accounts(self._asked(owner, at), owner).balance(owner)

    def confirmations(self, payment: Payment, at: str | None = None) -> int:
        """How deep in a node's chain a payment is: 1 in its tip, 0 in no block of it."""
        chain = self._asked(payment.owner, at).node.chain
        height = height_of(payment, chain)
        return 0 if height is None else chain.height - height + 1

    def winner(self, race: DoubleSpend, at: str | None = None) -> Payment | None:
        """Which of two payments is in a node's chain, if one is."""
        chain = self._asked(race.first.owner, at).node.chain
        confirmed = (pay for pay in race.payments if height_of(pay, chain) is not None)
        return next(confirmed, None)

    def lines(self, names: Iterable[str] = FUNDED, at: str | None = None) -> list[str]:
        """Accounts for people: names, addresses, what they have, and a warning."""
        names, lines = list(names), []
        width = max(map(len, names), default=0)
        for name in names:
            balance = self.balance(name, at)
            address = keys_of(name).address(self._params)
            young = f", {shown_bitcoins(balance.immature)} too young" if balance.immature else ""
            waits = f", {shown_bitcoins(balance.unconfirmed)} wait" if balance.unconfirmed else ""
            has = f"{shown_bitcoins(balance.confirmed)}{waits}{young}"
            lines.append(f"{name:{width}}  {address}  {has}")
        return [*lines, WARNING]

    def _asked(self, owner: str, name: str | None) -> Payer:
        """The node of a name; else the one that bears the account's, else the first that runs."""
        if name is not None:
            return self._one_up(name)
        own = self._nodes.get(owner)
        if own is not None and own.is_up:
            return own
        for node in self._nodes.values():
            if node.is_up:
                return node
        raise UserError("no node runs: add one, or restart one")

    def _one_up(self, name: str) -> Payer:
        node = self._nodes.get(name)
        if node is None:
            raise UserError(
                f"there is no node {name}: there are {', '.join(self._nodes) or 'none'}"
            )
        if not node.is_up:
            raise UserError(f"{name} does not run: restart it first")
        return node

    # ------------------------------------------------------------------ following the nodes

    def _accounts(self, node: Payer, owner: str) -> Accounts:
        """What a node knows of accounts, of this one too."""
        if owner not in self._names:
            keys_of(owner)  # raises if that can't be a name
            self._names[owner] = None
        ledger = self._ledgers.get(node.name)
        if (
            ledger is None
            or ledger.core is not node.node
            or len(ledger.accounts.names) < len(self._names)
        ):
            accounts = Accounts(self._params, self._names)
            accounts.scan(node.node.chain, parents_first(node.node.mempool))
            ledger = self._ledgers[node.name] = _Ledger(node.node, accounts)
        return ledger.accounts

    def observe(self, name: str, news: News) -> None:
        """A node has announced something."""
        if not self._ledgers and not self._races:
            return
        if isinstance(news, NewTip) and self._races and name in self._nodes:
            self._follow_races(name, self._nodes[name].node.chain, news.change)
        ledger = self._ledgers.get(name)
        if ledger is None:
            return
        core, accounts = ledger
        if core is not self._nodes[name].node:
            del self._ledgers[name]  # it has restarted
            return
        match news:
            case NewTip(change):
                accounts.follow(core.chain, change, core.mempool)
            case TxAccepted(tx):
                accounts.accepted(tx)
            case TxRemoved(tx):
                accounts.removed(tx)

    def _follow_races(self, name: str, chain: ChainState, change: TipChange) -> None:
        entrants = {pay.txid: (race, pay) for race in self._races for pay in race.payments}

        def found_in(blocks: Iterable[BlockNode]) -> Iterator[tuple[DoubleSpend, Payment, int]]:
            for block in blocks:
                for tx in chain.block(block.hash).vtx:
                    if tx.txid in entrants:
                        yield *entrants[tx.txid], block.height

        settled = list(found_in(change.connected))
        for race, _, height in found_in(change.disconnected):
            if not any(again is race for again, _, _ in settled):
                self._say(Settled(name, race, None, height))
        for race, payment, height in settled:
            self._say(Settled(name, race, payment, height))

    def _say(self, event: Event) -> None:
        self.events.append(event)
        self.tell(event)


def height_of(payment: Payment, chain: ChainState) -> int | None:
    """The height of the block that has a payment, None if the chain has none.

    Coins tell: one that it made has the height; one that it spends, if it is there, says no. Only
    if neither is there are blocks looked at.
    """
    for vout in range(len(payment.tx.vout)):
        made = chain.coin(OutPoint(payment.txid, vout))
        if made is not None:
            return made.height
    if any(chain.coin(outpoint) is not None for outpoint in payment.coins):
        return None
    least = max((coin.height or 0 for coin in payment.spent), default=0)
    for height in range(chain.height, max(least, 1) - 1, -1):
        if any(tx.txid == payment.txid for tx in chain.block(chain.at(height).hash).vtx):
            return height
    return None


def parents_first(mempool: Mempool) -> Iterator[Transaction]:
    """All that waits, each after what it spends of the others."""
    done: dict[Txid, None] = {}
    for entry in mempool:
        to_do: list[Entry] = [entry]
        while to_do:
            tx = to_do[-1].tx
            parents = (mempool.get(txin.prevout.txid) for txin in tx.vin)
            missing = [each for each in parents if each is not None and each.tx.txid not in done]
            if missing:
                to_do += missing
                continue
            to_do.pop()
            if tx.txid not in done:
                done[tx.txid] = None
                yield tx


def outpoint_from(coin: OutPoint | str) -> OutPoint:
    """A coin, or its name as text: transaction and output, with a colon. Raises UserError."""
    if isinstance(coin, OutPoint):
        return coin
    txid, _, vout = coin.partition(":")
    try:
        if not (vout.isascii() and vout.isdigit() and len(vout) < 10):
            raise ValueError(vout)
        return OutPoint(Txid(from_display(txid)), int(vout))
    except ValueError:
        raise UserError(
            f"{coin!r} names no coin: wanted 64 hex digits, a colon, the number of the output"
        ) from None


def _shown(payment: Payment) -> str:
    amount = shown_bitcoins(payment.amount)
    return f"{payment.owner} pays {amount} to {payment.to}: {display(payment.txid)}"


def _refusal(via: str, payment: Payment, error: Rejected) -> UserError:
    """Why a node has not let a payment in, and what to do."""
    if isinstance(error, MissingInputs):
        way_out = (
            "there its coins are spent, or not yet made: name others, or wait until it is synced"
        )
    elif isinstance(error, FeeTooLow):
        way_out = "pay a higher fee_rate"
    else:
        way_out = "name other coins, or wait for a block"
    return UserError(f"{via} refuses the payment to {payment.to}, {error}: {way_out}")
