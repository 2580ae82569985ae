"""What a process that will be killed does to a chain, and what it must come to after each step.

A plan grows from a seed: blocks that extend the chain, branches that overtake it from 1 to 20
blocks below, some of them with an invalid block on the way, some handed in all at once, some by
their headers first, and blocks declared invalid by hand and taken back.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from random import Random
from typing import Final

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import Arrival
from drystone.consensus.coins import Coin
from drystone.consensus.subsidy import block_subsidy
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.support.blocks import ANYONE_CAN_SPEND, REGTEST
from tests.support.branches import Branches
from tests.support.stores import open_chain

PARAMS: Final = replace(REGTEST, coinbase_maturity=2)  # so that short chains can spend
NOW: Final = 4_000_000_000

Step = Callable[[ChainState], None]
Coins = dict[OutPoint, Coin]


@dataclass
class Plan:
    """Steps, and the tip after each as a process that nobody disturbs has it.

    tips: one more than there are steps, genesis first. coins: a digest of the coins at each tip,
    computed without the chain. blocks: those that each step hands in.
    """

    steps: list[Step] = field(default_factory=list)
    blocks: list[tuple[BlockHash, ...]] = field(default_factory=list)
    tips: list[BlockHash] = field(default_factory=list)
    coins: dict[BlockHash, bytes] = field(default_factory=dict)


def digest(coins: Iterable[tuple[OutPoint, Coin]]) -> bytes:
    """The same for the same coins, in whatever order."""
    return sha256(repr(sorted(coins)).encode()).digest()


def make_plan(seed: int, *, steps: int) -> Plan:
    """The plan of a seed, tried once on a chain in memory."""
    plan = Plan()
    maker = _Maker(Random(seed), plan)
    while len(plan.steps) < steps:
        maker.go_on()
    chain = open_chain(PARAMS)
    plan.tips.append(chain.tip.hash)
    for step in plan.steps:
        step(chain)
        plan.tips.append(chain.tip.hash)
    plan.coins = {tip: digest(maker.coins[tip].items()) for tip in plan.tips}
    return plan


class _Maker:
    """Thinks of steps."""

    def __init__(self, chance: Random, plan: Plan) -> None:
        self._chance = chance
        self._plan = plan
        self._branches = Branches(PARAMS)
        self._tip = self._branches.genesis
        self.coins: dict[BlockHash, Coins] = {self._tip.hash: {}}

    def go_on(self) -> None:
        """Add a step or a few."""
        kind = self._chance.random()
        if kind < 0.5:
            self._tip = self._extend(self._tip)
            self._hand_in(self._tip)
        elif kind < 0.85:
            self._overtake()
        elif kind < 0.93:
            self._fail_to_overtake()
        else:
            self._doubt()

    def _hand_in(self, *blocks: Block) -> None:
        arrivals = [Arrival(block, block.encode()) for block in blocks]

        def step(chain: ChainState) -> None:
            chain.submit_all(arrivals, now=NOW)

        self._add(step, *blocks)

    def _add(self, step: Step, *blocks: Block) -> None:
        self._plan.steps.append(step)
        self._plan.blocks.append(tuple(block.hash for block in blocks))

    def _overtake(self) -> None:
        """A branch from below that is longer by one: its last block moves the tip."""
        branch = self._branch()
        self._tip = branch[-1]
        if self._chance.random() < 0.3:
            self._hand_in(*branch)
            return
        if self._chance.random() < 0.3:
            headers = [block.header for block in branch]

            def step(chain: ChainState) -> None:
                chain.submit_headers(headers, now=NOW)

            self._add(step)
        for block in branch:
            self._hand_in(block)

    def _fail_to_overtake(self) -> None:
        """The same, but a block on the way is invalid: the tip stays, or goes part of the way."""
        branch = self._branch()
        at = self._chance.randrange(len(branch))
        parent = self._branches.blocks[branch[at].header.prev_hash]
        height = self._branches.height(parent) + 1
        greedy = self._branches.coinbase(height, fees=1)
        bad = self._branches.on(parent, coinbase=greedy)
        self.coins[bad.hash] = {}
        way = [*branch[:at], bad]
        while self._branches.height(way[-1]) <= self._branches.height(self._tip):
            way.append(self._branches.on(way[-1]))
        for block in way:
            self._hand_in(block)

    def _doubt(self) -> None:
        """Declare a block of the chain invalid, and take that back."""
        depth = min(self._chance.randint(0, 5), self._branches.height(self._tip) - 1)
        if depth < 0:
            return
        block_hash = self._branches.path(self._tip)[-1 - depth].hash
        self._add(lambda chain: _invalidate(chain, block_hash))
        self._add(lambda chain: _reconsider(chain, block_hash))

    def _branch(self) -> list[Block]:
        path = self._branches.path(self._tip)
        deep = 20 if self._chance.random() < 0.2 else 4
        depth = min(self._chance.randint(1, deep), len(path) - 1)
        block = path[-1 - depth]
        branch = []
        for _ in range(depth + 1):
            block = self._extend(block)
            branch.append(block)
        return branch

    def _extend(self, parent: Block) -> Block:
        """A valid block with some transactions, and its coins computed by hand."""
        height = self._branches.height(parent) + 1
        coins = self.coins[parent.hash].copy()
        transactions = []
        for _ in range(self._chance.randint(0, 4)):
            tx = self._spend(coins, height)
            if tx is not None:
                transactions.append(tx)
        block = self._branches.on(parent, transactions)
        coinbase = block.coinbase
        assert coinbase.vout[0].value == block_subsidy(height, PARAMS.halving_interval)
        coins[OutPoint(coinbase.txid, 0)] = Coin(coinbase.vout[0], height, is_coinbase=True)
        self.coins[block.hash] = coins
        return block

    def _spend(self, coins: Coins, height: int) -> Transaction | None:
        ripe = [
            outpoint
            for outpoint, coin in coins.items()
            if coin.output.value > 1000
            and (not coin.is_coinbase or height - coin.height >= PARAMS.coinbase_maturity)
        ]
        if not ripe:
            return None
        # Old coins are in the store, young ones only in the cache.
        chosen = ripe[0] if self._chance.random() < 0.5 else self._chance.choice(ripe)
        share = coins.pop(chosen).output.value // 2
        outputs = tuple(TxOut(share - vout, ANYONE_CAN_SPEND) for vout in range(2))
        tx = Transaction(2, (TxIn(chosen),), outputs)
        for vout, output in enumerate(outputs):
            coins[OutPoint(tx.txid, vout)] = Coin(output, height, is_coinbase=False)
        return tx


def _invalidate(chain: ChainState, block_hash: BlockHash) -> None:
    chain.invalidate(block_hash)


def _reconsider(chain: ChainState, block_hash: BlockHash) -> None:
    chain.reconsider(block_hash)
