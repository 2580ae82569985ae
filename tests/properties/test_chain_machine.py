"""A chain meets trees of good and bad blocks in any order, and agrees with a naive model.

The model (`tests.support.naive_chain`) works out everything from genesis after every step. What
the blocks are like is drawn here; what the rules make of them is told by the rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.blocks import REGTEST, assembled, with_commitment
from tests.support.branches import Branches, payment
from tests.support.naive_chain import Coins, Moved, NaiveChain, Replay, Replays, Taken
from tests.support.spending import anyone_lock, p2tr_key_lock, p2wpkh_lock, spend
from tests.support.stores import SHELVES, Shelf

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import Arrival, Submission, TipChange
from drystone.chain.tips import chain_tips
from drystone.consensus.chains import variant
from drystone.consensus.errors import BlockOrphan, Rejected
from drystone.primitives.block import Block
from drystone.primitives.hashes import BlockHash, Txid
from drystone.primitives.script import op_return
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

# Coinbases mature soon, so that small trees have something to spend. On the second chain they
# needn't tell their height, so that one can come again (BIP30), and so can what spends it.
YOUNG = variant(REGTEST, "young", coinbase_maturity=2, halving_interval=20)
ANCIENT = variant(
    REGTEST,
    "ancient",
    coinbase_maturity=2,
    activation_heights={"bip34": 1000, "csv": 6, "cltv": 1000, "dersig": 1000},
)
NOW = REGTEST.genesis.header.time + 1_000_000

LOCKS = {lock.script_pubkey: lock for lock in (anyone_lock(), p2wpkh_lock(), p2tr_key_lock())}
LOCKED_FOREVER = b"\x00"
BURNT = op_return(b"")


Recipe = Callable[["Place"], Block]


class Place(NamedTuple):
    """Where a block is to be made."""

    branches: Branches
    parent: Block
    height: int  # of the block to make
    replay: Replay  # of the parent
    gone: Coins  # coins that the branch had and has no more, or that other branches have
    pick: int  # whatever needs a choice

    def mature(self) -> list[OutPoint]:
        """Coins that a block here may spend."""
        return [
            outpoint
            for outpoint, coin in self.replay.coins.items()
            if not coin.is_coinbase or self.height - coin.height >= YOUNG.coinbase_maturity
        ]

    def paying(
        self, outpoints: Sequence[OutPoint], *, fee: int = 1, sequence: int = 0xFFFFFFFD
    ) -> Transaction:
        """A signed transaction of these coins into one or two."""
        coins = self.replay.coins | self.gone
        spent = [(outpoint, coins[outpoint]) for outpoint in outpoints]
        locks = [LOCKS.get(coin.output.script_pubkey, anyone_lock()) for _, coin in spent]
        value = sum(coin.output.value for _, coin in spent) - fee
        kinds = [*LOCKS, LOCKED_FOREVER, BURNT]
        script = kinds[self.pick % len(kinds)]
        parts = [value // 2, value - value // 2] if self.pick % 3 else [value]
        outputs = [TxOut(part, script if n == 0 else b"\x51") for n, part in enumerate(parts)]
        return spend(spent, locks, outputs, sequence=sequence)

    def block(self, *transactions: Transaction, **other: object) -> Block:
        """A block of these that is complete and solved."""
        return self.branches.on(self.parent, transactions, **other)

    def finished(self, draft: Block, *, commit: bool = True) -> Block:
        """A draft, complete and solved."""
        block = with_commitment(draft) if commit else draft
        return self.branches.add(assembled(block, self.branches.params))

    def spending_or_empty(self, tx_of: Callable[[OutPoint], Transaction]) -> Block:
        """A block with one transaction of a coin that may be spent, if there is any."""
        mature = self.mature()
        return self.block(*[tx_of(mature[self.pick % len(mature)])] if mature else [])


# Recipes for blocks. Most are bad in one way, or as near to it as a good one can be.


def empty(at: Place) -> Block:
    return at.block()


def spending(at: Place) -> Block:
    """Up to two old coins in one transaction, and what comes out of it in the next."""
    mature = at.mature()
    if not mature:
        return at.block()
    first = at.paying(mature[-1 - at.pick % 2 :][:2])
    second = payment(OutPoint(first.txid, len(first.vout) - 1), first.vout[-1].value)
    claimed = [first, second] if first.vout[-1].script_pubkey == b"\x51" else [first]
    return at.block(*claimed, fees=at.pick % 2)


def many_paid(at: Place) -> Block:
    """Several transactions, so that merkle trees have an odd number."""
    mature = [o for o in at.mature() if at.replay.coins[o].output.script_pubkey in LOCKS]
    return at.block(*[at.paying([outpoint]) for outpoint in mature[:4]])


def spending_too_early(at: Place) -> Block:
    young = [
        outpoint
        for outpoint, coin in at.replay.coins.items()
        if coin.is_coinbase and at.height - coin.height < YOUNG.coinbase_maturity
    ]
    return at.block(*[at.paying([young[0]])] if young else [])


def spending_what_is_gone(at: Place) -> Block:
    gone = list(at.gone)
    return at.block(*[at.paying([gone[at.pick % len(gone)]])] if gone else [])


def spending_nothing_that_ever_was(at: Place) -> Block:
    return at.block(payment(OutPoint(Txid(bytes((at.pick,)) * 32), 0), 1))


def spending_twice(at: Place) -> Block:
    mature = at.mature()
    once = [at.paying(mature[:1]), at.paying(mature[:1], fee=2)] if mature else []
    return at.block(*once)


def spending_too_much(at: Place) -> Block:
    return at.spending_or_empty(lambda outpoint: at.paying([outpoint], fee=-1))


def claiming_too_much(at: Place) -> Block:
    return at.block(fees=1 + at.pick)


def badly_signed(at: Place) -> Block:
    def tx_of(outpoint: OutPoint) -> Transaction:
        tx = at.paying([outpoint])
        witness = tx.vin[0].witness
        if not witness:
            return replace(tx, vin=(replace(tx.vin[0], script_sig=b"\x6a"),))
        first = witness[0][:-2] + bytes((witness[0][-2] ^ 1,)) + witness[0][-1:]
        return replace(tx, vin=(replace(tx.vin[0], witness=(first, *witness[1:])),))

    return at.spending_or_empty(tx_of)


def locked_by_height(at: Place) -> Block:
    """By one block too much, or just not."""
    lock_time = at.height - at.pick % 2
    return at.spending_or_empty(
        lambda outpoint: replace(at.paying([outpoint]), lock_time=lock_time)
    )


def locked_by_age(at: Place) -> Block:
    """One transaction whose coin is to be so many blocks old, or so many times 512 seconds."""
    kind = 1 << 22 if at.pick % 2 else 0
    return at.spending_or_empty(
        lambda outpoint: at.paying([outpoint], sequence=kind | at.pick // 2)
    )


def again_as_a_coinbase_was(at: Place) -> Block:
    """The number of another coinbase: where height doesn't count, it is the same one."""
    draft = at.branches.draft(at.parent, coinbase=at.branches.coinbase(1, number=at.pick % 2))
    return at.finished(draft, commit=False)


def with_another_height(at: Place) -> Block:
    coinbase = at.branches.coinbase(at.height + 1)
    return at.finished(at.branches.draft(at.parent, coinbase=coinbase))


def with_other_bits(at: Place) -> Block:
    return at.block(bits=0x207FFFFE)


def too_old(at: Place) -> Block:
    """At the median time past, or one second later."""
    return at.block(time=at.branches.median_time(at.parent) + at.pick % 2)


def from_the_future(at: Place) -> Block:
    return at.block(time=NOW + 7200 + at.pick)


def of_an_old_version(at: Place) -> Block:
    return at.block(version=at.pick % 5)


def without_work(at: Place) -> Block:
    block = at.block()
    header = block.header
    while header.hash[31] < 0x80:
        header = replace(header, nonce=header.nonce + 1)
    return at.branches.add(replace(block, header=header))


def without_coinbase(at: Place) -> Block:
    coinbase = at.branches.coinbase(at.height)
    tx = replace(coinbase, vin=(TxIn(OutPoint(Txid(b"\x07" * 32), 0)),))
    return at.finished(at.branches.draft(at.parent, coinbase=tx), commit=False)


def with_two_coinbases(at: Place) -> Block:
    return at.block(at.branches.coinbase(at.height))


def without_commitment(at: Place) -> Block:
    """Good where nothing has a witness."""
    mature = at.mature()
    transactions = [at.paying(mature[:1])] if mature else []
    return at.finished(at.branches.draft(at.parent, transactions), commit=False)


RECIPES = [
    empty,
    spending,
    many_paid,
    spending_too_early,
    spending_what_is_gone,
    spending_nothing_that_ever_was,
    spending_twice,
    spending_too_much,
    claiming_too_much,
    badly_signed,
    locked_by_height,
    locked_by_age,
    again_as_a_coinbase_was,
    with_another_height,
    with_other_bits,
    too_old,
    from_the_future,
    of_an_old_version,
    without_work,
    without_coinbase,
    with_two_coinbases,
    without_commitment,
]
GOOD = [spending, spending, spending, many_paid, empty]


# The same header, other bytes.


def with_the_last_twice(block: Block) -> Block:
    """The root stays the same if the number was odd, and is wrong otherwise."""
    return replace(block, vtx=(*block.vtx, block.vtx[-1]))


def without_the_last(block: Block) -> Block:
    return replace(block, vtx=block.vtx[:-1])


def without_witnesses(block: Block) -> Block:
    vtx = tuple(
        replace(tx, vin=tuple(replace(txin, witness=()) for txin in tx.vin)) for tx in block.vtx
    )
    return replace(block, vtx=vtx)


def with_another_witness(block: Block) -> Block:
    *others, tx = block.vtx
    txin = replace(tx.vin[0], witness=(*tx.vin[0].witness, b"more"))
    return replace(block, vtx=(*others, replace(tx, vin=(txin, *tx.vin[1:]))))


MUTATIONS = [with_the_last_twice, without_the_last, without_witnesses, with_another_witness]

mostly_good = st.one_of(*[st.sampled_from(GOOD)] * 6, st.sampled_from(RECIPES))
orders = st.sampled_from(
    ["up", "together", "headers first, then up", "headers first, then down", "not at all"]
)
recent = st.one_of(st.integers(0, 3), st.integers(0, 40))  # counted from the last one made
picks = st.integers(0, 12)


class AnyChain(RuleBasedStateMachine):
    """A chain, its model, and the blocks that were made for them, whether they came in or not."""

    shelf: Shelf

    def __init__(self, shelf: Callable[[], Shelf] = SHELVES["memory"]) -> None:
        super().__init__()
        self.shelf = shelf()

    @initialize(params=st.sampled_from([YOUNG, ANCIENT]), flush_blocks=st.sampled_from([0, 3, 50]))
    def begin(self, params: object, flush_blocks: int) -> None:
        assert params in (YOUNG, ANCIENT)
        self.params = YOUNG if params is YOUNG else ANCIENT
        self.flush_blocks = flush_blocks
        self.now = NOW
        self.branches = Branches(self.params)
        self.replays = Replays(self.params, self.branches.blocks)
        self.model = NaiveChain(self.params)
        self.made: list[Block] = [self.branches.genesis]  # the last of them is looked at first
        self.open()
        block = self.branches.genesis
        for recipe in (again_as_a_coinbase_was, empty, empty, many_paid, spending):
            block = recipe(self.place_on(block, 0))
            self.made.append(block)
            self.submit(block)

    def open(self) -> None:
        blocks, coins = self.shelf.stores(self.params)
        self.chain = ChainState(self.params, blocks, coins, flush_blocks=self.flush_blocks)

    def teardown(self) -> None:
        if hasattr(self, "chain"):
            self.chain.close()
        self.shelf.clear()

    def one_of(self, number: int) -> Block:
        return self.made[-1 - number % len(self.made)]

    def place_on(self, parent: Block, pick: int) -> Place:
        replay = self.replays.of(parent.hash)
        seen: Coins = {}
        for block in self.branches.path(parent)[-6:] + self.made[-6:]:
            seen |= self.replays.of(block.hash).coins
        gone = {at: coin for at, coin in seen.items() if at not in replay.coins}
        height = self.branches.height(parent) + 1
        return Place(self.branches, parent, height, replay, gone, pick)

    # ------------------------------------------------------------------ making

    @rule(parent=recent, recipe=st.sampled_from(RECIPES), order=orders, pick=picks)
    def make_block(self, parent: int, recipe: Recipe, order: str, pick: int) -> None:
        block = recipe(self.place_on(self.one_of(parent), pick))
        self.made.append(block)
        self.deliver_in(order, [block])

    @rule(
        depth=st.sampled_from([1, 2, 3, 4, 5, 0]),
        more=st.sampled_from([1, 0, 2]),
        recipes=st.lists(mostly_good, min_size=7, max_size=7),
        order=orders,
        pick=picks,
    )
    def make_rival(
        self, depth: int, more: int, recipes: list[Recipe], order: str, pick: int
    ) -> None:
        """A branch off the chain that is as long as what it would replace, or longer."""
        path = self.model.path(self.model.tip)
        depth = min(depth, len(path) - 1)
        block = self.branches.blocks[path[-1 - depth]]
        rivals: list[Block] = []
        for recipe in recipes[: depth + more]:
            block = recipe(self.place_on(block, pick))
            rivals.append(block)
        self.made += rivals
        self.deliver_in(order, rivals)

    @rule(
        depth=st.integers(0, 2),
        order=st.permutations([0, 1, 2, 3, 4, 5]),
        recipes=st.lists(mostly_good, min_size=6, max_size=6),
        pick=picks,
        how=orders,
    )
    def race(
        self, depth: int, order: list[int], recipes: list[Recipe], pick: int, how: str
    ) -> None:
        """Two branches of three blocks, whose headers are known, and whose data come mixed."""
        path = self.model.path(self.model.tip)
        start = self.branches.blocks[path[-1 - min(depth, len(path) - 1)]]
        blocks: list[Block] = []
        for nth, recipe in enumerate(recipes):
            parent = blocks[-1] if nth % 3 else start
            blocks.append(recipe(self.place_on(parent, pick)))
        self.made += blocks
        self.submit_headers(blocks[:3])
        self.submit_headers(blocks[3:])
        self.deliver_in(how, [blocks[n] for n in order])

    # ------------------------------------------------------------------ delivering

    @rule(number=recent)
    def deliver(self, number: int) -> None:
        self.submit(self.one_of(number))

    @rule(numbers=st.lists(recent, min_size=2, max_size=6))
    def deliver_together(self, numbers: list[int]) -> None:
        self.submit(*map(self.one_of, numbers))

    @rule(number=recent, order=orders)
    def deliver_branch(self, number: int, order: str) -> None:
        self.deliver_in(order, self.branches.path(self.one_of(number)))

    def deliver_in(self, order: str, blocks: Sequence[Block]) -> None:
        if order == "together":
            self.submit(*blocks)
            return
        if order in {"headers first, then up", "headers first, then down"}:
            self.submit_headers(blocks)
        if order == "headers first, then down":
            blocks = blocks[::-1]
        for block in blocks if order != "not at all" else ():
            self.submit(block)

    @rule(number=recent, mutation=st.sampled_from(MUTATIONS))
    def deliver_mutated(self, number: int, mutation: Callable[[Block], Block]) -> None:
        self.submit(mutation(self.one_of(number)))

    @rule(number=recent)
    def deliver_header(self, number: int) -> None:
        self.submit_headers([self.one_of(number)])

    @rule(number=recent)
    def deliver_headers_of_branch(self, number: int) -> None:
        self.submit_headers(self.branches.path(self.one_of(number)))

    @rule(hours=st.integers(1, 3))
    def let_time_pass(self, hours: int) -> None:
        self.now += hours * 3600

    def submit(self, *blocks: Block) -> None:
        """Alone or together, and from bytes where it is an odd number."""
        if len(blocks) == 1:
            submission = self.chain.submit(blocks[0], now=self.now)
        else:
            arrivals = [Arrival(block, block.encode()) for block in blocks]
            submission = self.chain.submit_all(arrivals, now=self.now)
        taken, moved = self.model.submit_all(blocks, self.now)
        assert outcomes_of(submission) == taken
        # An orphan has no node yet, even if it came once more after its parent.
        assert [outcome.node and outcome.node.hash for outcome in submission.outcomes] == [
            block.hash if block.hash in self.model.headers and kind is not BlockOrphan else None
            for block, (_, kind, _) in zip(blocks, taken, strict=True)
        ]
        self.check_moved(submission.change, moved)

    def submit_headers(self, blocks: Sequence[Block]) -> None:
        headers = [block.header for block in blocks]
        reason = None
        try:
            nodes = self.chain.submit_headers(headers, now=self.now)
            assert [node.header for node in nodes] == headers
        except Rejected as error:
            reason = error.reason
        assert reason == self.model.submit_headers(headers, self.now)

    # ------------------------------------------------------------------ by hand

    @rule(number=recent)
    def invalidate(self, number: int) -> None:
        block_hash = self.one_of(number).hash
        if block_hash in self.model.headers and block_hash != self.params.genesis_hash:
            moved = self.chain.invalidate(block_hash)
            self.check_moved(moved, self.model.invalidate(block_hash))

    @rule(number=recent)
    def reconsider(self, number: int) -> None:
        block_hash = self.one_of(number).hash
        if block_hash in self.model.headers:
            moved = self.chain.reconsider(block_hash)
            self.check_moved(moved, self.model.reconsider(block_hash))

    @rule(number=recent)
    def call_precious(self, number: int) -> None:
        block_hash = self.one_of(number).hash
        if block_hash in self.model.headers:
            moved = self.chain.precious(block_hash)
            self.check_moved(moved, self.model.precious(block_hash))

    # ------------------------------------------------------------------ keeping

    @rule()
    def flush(self) -> None:
        self.chain.flush()

    @rule()
    def close_and_open(self) -> None:
        self.chain.close()
        self.open()

    @rule()
    def die_and_open(self) -> None:
        """Nothing was flushed since it was last due: coins lag."""
        self.open()

    # ------------------------------------------------------------------ comparing

    def check_moved(self, change: TipChange | None, moved: Moved | None) -> None:
        if change is None or moved is None:
            assert change is None and moved is None
            return
        assert moved_of(change) == moved

    @precondition(lambda self: hasattr(self, "chain"))
    @invariant()
    def the_chain_is_as_the_model_has_it(self) -> None:
        chain, model = self.chain, self.model
        active = [chain.at(height).hash for height in range(chain.height + 1)]
        assert active == model.path(model.tip)
        assert dict(chain.coins.items()) == model.coins()
        assert chain_tips(chain) == model.tips()
        nodes = chain.tree.nodes
        assert {block_hash: node.header for block_hash, node in nodes.items()} == model.headers
        assert {h: node.failure for h, node in nodes.items() if node.failure} == model.failures
        assert {h for h, node in nodes.items() if node.has_data} == set(model.blocks)

    @precondition(lambda self: hasattr(self, "chain"))
    @invariant()
    def what_came_in_can_be_read(self) -> None:
        for block_hash in self.chain.tip.hash, self.made[-1].hash:
            if block_hash in self.model.blocks:
                assert self.chain.block(block_hash) == self.model.blocks[block_hash]
        coins = self.model.coins()
        for tx in [tx for block in self.made[-3:] for tx in block.vtx]:
            made = [OutPoint(tx.txid, vout) for vout in range(len(tx.vout))]
            for outpoint in [*made, *(txin.prevout for txin in tx.vin)]:
                assert self.chain.coin(outpoint) == coins.get(outpoint)


def outcomes_of(submission: Submission) -> list[Taken]:
    return [
        Taken(
            outcome.is_new,
            type(outcome.error) if outcome.error else None,
            outcome.error.reason if outcome.error else None,
        )
        for outcome in submission.outcomes
    ]


def moved_of(change: TipChange) -> Moved:
    def hashes(nodes: Sequence[object]) -> tuple[BlockHash, ...]:
        return tuple(node.hash for node in nodes)  # type: ignore[attr-defined]

    return Moved(
        change.old.hash,
        change.new.hash,
        hashes(change.disconnected),
        hashes(change.connected),
        tuple(tx.txid for tx in change.unconfirmed),
    )


class AnyChainOnDisk(AnyChain):
    """The same, kept in files."""

    def __init__(self) -> None:
        super().__init__(SHELVES["disk"])


TestAnyChain = AnyChain.TestCase
TestAnyChain.settings = settings(max_examples=200, stateful_step_count=40)
TestAnyChainOnDisk = AnyChainOnDisk.TestCase
TestAnyChainOnDisk.settings = settings(max_examples=15, stateful_step_count=30)
