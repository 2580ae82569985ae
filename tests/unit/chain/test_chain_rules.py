"""Rules that no single block shows: what they make of a chain, and of two branches of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest
from tests.support.blocks import REGTEST, assembled, with_commitment
from tests.support.branches import Branches, payment
from tests.support.signet_blocks import ONE_OF_ONE, signed
from tests.support.stores import Shelf, open_chain

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import Arrival
from drystone.consensus.chains import LOCAL, TESTNET4, signet, variant
from drystone.consensus.params import BlockAt, Params
from drystone.consensus.pow import block_work, read_compact
from drystone.consensus.signet import HEADER
from drystone.consensus.witness_commitment import COMMITMENT_PREFIX
from drystone.drivers.history import local_history
from drystone.kernel import search
from drystone.primitives.block import Block
from drystone.primitives.script import push, push_int
from drystone.primitives.transaction import OutPoint, Transaction

NOW = REGTEST.genesis.header.time + 100_000_000


def submit(chain: ChainState, *blocks: Block, now: int = NOW) -> list[str | None]:
    """One after the other: why each was refused, if it was."""
    errors = [chain.submit(block, now=now).error for block in blocks]
    return [error.reason if error else None for error in errors]


def together(chain: ChainState, blocks: Sequence[Block]) -> list[str | None]:
    """All at once."""
    submission = chain.submit_all(map(Arrival, blocks), now=NOW)
    return [outcome.error.reason if outcome.error else None for outcome in submission.outcomes]


def coin_of(tx: Transaction) -> OutPoint:
    return OutPoint(tx.txid, 0)


# BIP34 and BIP30: a chain on which coinbases needn't differ below height 8.

BEFORE: Final = variant(
    REGTEST, "before-bip34", activation_heights={"bip34": 8}, coinbase_maturity=2
)


def same(branches: Branches, parent: Block, number: int, *more: Transaction) -> Block:
    """A block whose coinbase is the same wherever it stands."""
    return branches.on(parent, more, coinbase=branches.coinbase(1, number=number))


def nobody_commits(branches: Branches, parent: Block, number: int, *more: Transaction) -> Block:
    """The same without a witness commitment, so that the coinbase doesn't depend on the others."""
    draft = branches.draft(parent, more, coinbase=branches.coinbase(1, number=number))
    return branches.add(assembled(draft, branches.params))


def test_coinbases_begin_with_their_height_from_bip34_on(shelf: Shelf) -> None:
    branches = Branches(BEFORE)
    chain = open_chain(BEFORE, shelf)
    blocks = [branches.genesis]
    for number in range(7):
        blocks.append(same(branches, blocks[-1], number))
    assert submit(chain, *blocks) == [None] * 8
    assert submit(chain, same(branches, blocks[-1], 7)) == ["bad-cb-height"]
    assert submit(chain, branches.on(blocks[-1], version=1)) == ["bad-version(0x00000001)"]
    assert submit(chain, branches.on(blocks[-1])) == [None]
    assert chain.height == 8


def test_a_coinbase_comes_again_only_after_it_was_spent_whatever_branch_it_was_on(
    shelf: Shelf,
) -> None:
    """
    genesis - 1 - 2 - 3 - a4 - a5      a4 spends the coinbase of 1, a5 has it again
                     `- b4 - b5        b5 has it again, too: there it is not spent
    """
    branches = Branches(BEFORE)
    chain = open_chain(BEFORE, shelf)
    first = nobody_commits(branches, branches.genesis, 77)
    second, third = branches.grow(first, 2)
    a4 = branches.on(third, [payment(coin_of(first.coinbase), 1000)])
    a5 = nobody_commits(branches, a4, 77)
    assert a5.coinbase == first.coinbase and a5.hash != first.hash
    b4 = branches.on(third)
    b5 = nobody_commits(branches, b4, 77)
    assert submit(chain, first, second, third, b4, b5) == [None] * 4 + ["bad-txns-BIP30"]
    assert submit(chain, a4, a5) == [None] * 2
    assert chain.tip.hash == a5.hash
    coin = chain.coin(coin_of(first.coinbase))
    assert coin is not None and coin.height == 5
    assert chain.invalidate(a4.hash) is not None
    coin = chain.coin(coin_of(first.coinbase))
    assert coin is not None and coin.height == 1
    chain.reconsider(a4.hash)
    coin = chain.coin(coin_of(first.coinbase))
    assert coin is not None and coin.height == 5


def test_a_known_repeat_overwrites_the_older_coin_and_a_reorganisation_brings_that_back(
    shelf: Shelf,
) -> None:
    branches = Branches(BEFORE)
    first = nobody_commits(branches, branches.genesis, 77)
    second = branches.on(first)
    third = nobody_commits(branches, second, 77)
    params = replace(BEFORE, bip30_repeats=(BlockAt(3, third.hash),))
    chain = open_chain(params, shelf)
    assert submit(chain, first, second) == [None] * 2
    before = sorted(chain.coins.items())
    assert submit(chain, third) == [None]
    coin = chain.coin(coin_of(first.coinbase))
    assert coin is not None and coin.height == 3
    chain.invalidate(third.hash)
    assert sorted(chain.coins.items()) == before
    other = nobody_commits(branches, branches.on(first), 77)  # another block may not
    assert submit(chain, branches.blocks[other.header.prev_hash], other)[1] == "bad-txns-BIP30"


def test_bip30_is_passed_over_only_above_the_one_block_that_bip34_is_known_by(
    shelf: Shelf,
) -> None:
    """The coinbase of 2 begins with 10, a height yet to come: block 10 may bring it again."""
    branches = Branches(BEFORE)

    def begins_with_ten(parent: Block) -> Block:
        coinbase = branches.coinbase(10, number=5)
        draft = branches.draft(parent, coinbase=coinbase)
        return branches.add(assembled(draft, BEFORE))

    first = branches.on(branches.genesis)
    second = begins_with_ten(first)
    shared = branches.grow(second, 5)  # up to 7
    a8, a9 = branches.grow(shared[-1], 2)
    b8, b9 = branches.grow(shared[-1], 2)
    a10, b10 = begins_with_ten(a9), begins_with_ten(b9)
    params = replace(BEFORE, bip34_hash=a8.hash)
    chain = open_chain(params, shelf)
    assert submit(chain, first, second, *shared, b8, b9, b10) == [None] * 9 + ["bad-txns-BIP30"]
    assert submit(chain, a8, a9, a10) == [None] * 3
    coin = chain.coin(coin_of(a10.coinbase))
    assert coin is not None and coin.height == 10


# BIP68 and BIP113.


def funded(chain: ChainState, branches: Branches) -> list[Block]:
    """102 blocks, so that the first coinbases are mature."""
    blocks = branches.grow(branches.genesis, 102)
    assert set(together(chain, blocks)) == {None}
    return [branches.genesis, *blocks]


@pytest.fixture
def branches() -> Branches:
    return Branches()


@pytest.fixture
def chain(shelf: Shelf) -> ChainState:
    return open_chain(REGTEST, shelf)


def test_a_coin_must_have_its_age_in_blocks_on_the_branch_that_spends_it(
    chain: ChainState, branches: Branches
) -> None:
    """
    102 - a103 - a104 - a105              a103 makes the coin, a105 may spend it two blocks later
       `- b103 - b104 - b105 - b106       b104 makes it, so b105 may not, and b106 may
    """
    top = funded(chain, branches)[-1]
    coin = payment(coin_of(branches.path(top)[1].coinbase), 1000)
    spend = payment(coin_of(coin), 900, sequence=2)
    a103 = branches.on(top, [coin])
    assert submit(chain, a103, branches.on(a103, [spend])) == [None, "bad-txns-nonfinal"]
    a104 = branches.on(a103)
    a105 = branches.on(a104, [spend])
    assert submit(chain, a104, a105) == [None] * 2
    b103 = branches.on(top)
    b104 = branches.on(b103, [coin])
    b105 = branches.on(b104, [spend])
    b106 = branches.on(b105)
    assert together(chain, [b103, b104, b105, b106])[2:] == ["bad-txns-nonfinal", "bad-prevblk"]
    assert chain.tip.hash == a105.hash
    b105 = branches.on(b104)
    b106 = branches.on(b105, [spend])
    assert together(chain, [b105, b106]) == [None] * 2
    assert chain.tip.hash == b106.hash


def test_a_coin_must_have_its_age_in_time_by_the_median_of_its_own_branch(
    chain: ChainState, branches: Branches
) -> None:
    """Ages count from the median time past of the block before the coin's; a unit is 512 s."""
    blocks = funded(chain, branches)
    top = blocks[-1]
    coin = payment(coin_of(blocks[1].coinbase), 1000)
    made = branches.on(top, [coin])
    born = branches.median_time(top)
    spend = payment(coin_of(coin), 900, sequence=(1 << 22) | 7)  # 3,584 s: six blocks are 3,600
    parent = made
    assert submit(chain, made) == [None]
    for _ in range(10):
        age = branches.median_time(parent) - born
        expected = None if age >= 7 * 512 else "bad-txns-nonfinal"
        assert submit(chain, branches.on(parent, [spend])) == [expected]
        if expected is None:
            break
        parent = branches.on(parent)
        submit(chain, parent)
        chain.precious(parent.hash)
    assert branches.height(parent) - branches.height(made) == 5
    # On a branch whose clock runs ten times faster, the same coin is old enough as well.
    fast = branches.on(top, [coin])
    fast_blocks = [fast, *branches.grow(fast, 7, interval_s=6000)]
    assert set(together(chain, fast_blocks)) == {None}
    assert branches.median_time(fast_blocks[-1]) - born > 7 * 512
    assert submit(chain, branches.on(fast_blocks[-1], [spend])) == [None]


def test_relative_locks_count_for_nothing_below_csv(shelf: Shelf) -> None:
    params = variant(REGTEST, "late-csv", activation_heights={"csv": 5}, coinbase_maturity=1)
    branches = Branches(params)
    chain = open_chain(params, shelf)
    blocks = [branches.genesis, *branches.grow(branches.genesis, 3)]
    locked = payment(coin_of(blocks[1].coinbase), 1000, sequence=4)
    early = branches.on(blocks[3], [locked])
    assert submit(chain, *blocks, early) == [None] * 5
    fourth = branches.on(blocks[3])
    fifth = branches.on(fourth, [payment(coin_of(blocks[3].coinbase), 1, sequence=3)])
    reasons = together(chain, [fourth, fifth, branches.on(fifth)])
    assert reasons == [None, "bad-txns-nonfinal", "bad-prevblk"]


def test_a_lock_time_is_over_when_the_median_time_past_says_so_not_the_blocks_own(
    chain: ChainState, branches: Branches
) -> None:
    blocks = funded(chain, branches)
    top = blocks[-1]
    median = branches.median_time(top)
    tx = payment(coin_of(blocks[1].coinbase), 1000, lock_time=median)
    assert top.header.time > median
    assert submit(chain, branches.on(top, [tx])) == ["bad-txns-nonfinal"]
    parent = branches.on(top)
    assert submit(chain, parent, branches.on(parent, [tx])) == [None] * 2


# Work: what a branch needs to be better, and the target that each branch has for itself.


def solved_by_kernel(block: Block, params: Params) -> Block:
    """For targets that Python alone would take seconds to meet."""
    header = replace(block.header, merkle_root=block.merkle_root()[0], nonce=0)
    nonce = search(header.encode(), read_compact(header.bits).value, 0, 1 << 32)
    assert nonce is not None
    return replace(block, header=replace(header, nonce=nonce))


def local_branches() -> tuple[Branches, list[Block]]:
    branches = Branches(LOCAL)
    return branches, [branches.genesis, *map(branches.add, local_history())]


def test_the_target_of_local_stays_throughout_its_history(shelf: Shelf) -> None:
    _, history = local_branches()
    chain = open_chain(LOCAL, shelf)
    submission = chain.submit_all(map(Arrival, history), now=history[-1].header.time)
    assert submission.error is None
    assert chain.height == 119
    assert {chain.at(height).header.bits for height in range(120)} == {0x1F00FFFF}


@pytest.mark.parametrize(("last_gap_s", "factor"), [(11, 1.0), (111, 1.5), (811, 4.0), (3000, 4.0)])
def test_a_period_that_took_longer_makes_the_next_one_easier_at_its_first_block(
    shelf: Shelf, last_gap_s: int, factor: float
) -> None:
    """Blocks 0 to 18 took 189 s; the last block of the period decides, and four is the most."""
    branches, history = local_branches()
    chain = open_chain(LOCAL, shelf)
    chain.submit_all(map(Arrival, history[:19]), now=NOW + 1_000_000_000)
    late = history[18].header.time + last_gap_s
    now = late + 100
    last = branches.draft(history[18], time=late)
    assert last.header.bits == 0x1F00FFFF
    last = branches.add(solved_by_kernel(with_commitment(last), LOCAL))
    next_ = branches.draft(last, time=late + 10)
    target, before = (read_compact(bits).value for bits in (next_.header.bits, 0x1F00FFFF))
    assert target / before == pytest.approx(factor, rel=1e-4)
    good = branches.add(solved_by_kernel(with_commitment(next_), LOCAL))
    if factor != 1:
        header = replace(next_.header, bits=0x1F00FFFF)
        kept = solved_by_kernel(with_commitment(replace(next_, header=header)), LOCAL)
        assert submit(chain, last, kept, now=now) == [None, "bad-diffbits"]
    assert submit(chain, last, good, now=now)[1] is None
    assert chain.tip.hash == good.hash
    work = 19 * block_work(0x1F00FFFF) + block_work(0x1F00FFFF) + block_work(good.header.bits)
    assert chain.tip.chainwork == work


SLOW_START: Final = variant(
    LOCAL, "slow-start", genesis=REGTEST.genesis, pow_spacing_s=10, pow_timespan_s=50
)


def test_a_branch_of_fewer_but_harder_blocks_is_the_better_one(shelf: Shelf) -> None:
    """
    Periods of five blocks. Blocks of branch a come in time, those of b four times too fast; so b's
    targets are a fourth of a's from block 5 on, and two of its blocks outweigh six of a's.
    """
    branches = Branches(SLOW_START)
    chain = open_chain(SLOW_START, shelf)
    a = branches.grow(branches.genesis, 10, interval_s=13)
    b = branches.grow(branches.genesis, 4, interval_s=3)
    assert set(together(chain, a)) == {None}
    assert {block.header.bits for block in a[:4]} == {0x207FFFFF}
    b += branches.grow(b[-1], 2, interval_s=3)
    assert block_work(b[4].header.bits) == 4 * block_work(a[4].header.bits)
    tips = []
    for block in b:
        assert submit(chain, block) == [None]
        tips.append(chain.height)
    assert tips == [10] * 5 + [6]
    assert chain.tip.hash == b[-1].hash
    assert len(b) < len(a)


# testnet4: minimal difficulty after twenty minutes, and BIP94.

SMALL_TESTNET4: Final = variant(
    TESTNET4,
    "small-testnet4",
    genesis=REGTEST.genesis,
    pow_limit=REGTEST.pow_limit,
    pow_timespan_s=6 * 600,  # periods of six blocks
)
LIMIT_BITS = 0x207FFFFF


def hard_period(branches: Branches) -> list[Block]:
    """Six fast blocks, so that the next period's are four times as hard; and the first of those."""
    blocks = [branches.genesis, *branches.grow(branches.genesis, 5, interval_s=60)]
    blocks.append(branches.on(blocks[-1], interval_s=60))
    assert block_work(blocks[-1].header.bits) >= 7  # four times two, rounded
    return blocks


def test_after_twenty_minutes_a_block_may_be_easy_and_the_next_is_hard_again(
    shelf: Shelf,
) -> None:
    branches = Branches(SMALL_TESTNET4)
    chain = open_chain(SMALL_TESTNET4, shelf)
    blocks = hard_period(branches)
    hard = blocks[-1].header.bits
    assert submit(chain, *blocks) == [None] * 7
    too_soon = branches.on(blocks[-1], interval_s=1200, bits=LIMIT_BITS)
    assert submit(chain, too_soon) == ["bad-diffbits"]
    easy = branches.on(blocks[-1], interval_s=1201)
    assert easy.header.bits == LIMIT_BITS
    after = branches.on(easy, interval_s=600)
    assert after.header.bits == hard
    assert submit(chain, easy, after) == [None] * 2
    assert submit(chain, branches.on(easy, interval_s=600, bits=LIMIT_BITS)) == ["bad-diffbits"]
    needlessly_hard = branches.on(after, interval_s=1300, bits=hard)
    assert submit(chain, needlessly_hard) == ["bad-diffbits"]


def test_an_easy_block_at_the_end_of_a_period_does_not_make_the_next_one_easy(
    shelf: Shelf,
) -> None:
    """BIP94: the period's first block is what the next target is reckoned from."""
    branches = Branches(SMALL_TESTNET4)
    chain = open_chain(SMALL_TESTNET4, shelf)
    blocks = hard_period(branches)
    hard = blocks[-1].header.bits
    blocks += branches.grow(blocks[-1], 4, interval_s=600)  # heights 7 to 10
    blocks.append(branches.on(blocks[-1], interval_s=1201))  # height 11, the last, is easy
    assert blocks[-1].header.bits == LIMIT_BITS
    first = branches.on(blocks[-1], interval_s=600)
    assert submit(chain, *blocks, first) == [None] * 13
    took = blocks[11].header.time - blocks[6].header.time
    target, before = read_compact(first.header.bits).value, read_compact(hard).value
    assert target / before == pytest.approx(took / 3600, rel=1e-4)
    not_94 = branches.on(blocks[-1], interval_s=600, bits=LIMIT_BITS)
    assert submit(chain, not_94) == ["bad-diffbits"]
    first_after_pause = branches.on(blocks[-1], interval_s=5000)  # the first is never easy
    assert first_after_pause.header.bits == first.header.bits


def test_a_period_begins_at_most_ten_minutes_before_the_last_ones_end(shelf: Shelf) -> None:
    branches = Branches(SMALL_TESTNET4)
    chain = open_chain(SMALL_TESTNET4, shelf)
    blocks = [branches.genesis, *branches.grow(branches.genesis, 4)]
    blocks.append(branches.on(blocks[-1], interval_s=1100))
    assert submit(chain, *blocks) == [None] * 6
    end = blocks[-1].header.time
    assert submit(chain, branches.on(blocks[-1], time=end - 601)) == ["time-timewarp-attack"]
    assert submit(chain, branches.on(blocks[-1], time=end - 600)) == [None]
    ordinary = replace(SMALL_TESTNET4, enforce_bip94=False)
    without = open_chain(ordinary)
    assert submit(without, *blocks, branches.on(blocks[-1], time=end - 601)) == [None] * 7


# Signet.

OUR_SIGNET: Final = replace(
    signet(ONE_OF_ONE, "our-signet"),
    genesis=REGTEST.genesis,
    pow_limit=REGTEST.pow_limit,
    no_retargeting=True,
)


def signed_on(branches: Branches, parent: Block) -> Block:
    """A block that our one key has signed."""
    block = with_commitment(branches.draft(parent))
    vout = [
        replace(txout, script_pubkey=txout.script_pubkey + push(HEADER))
        if txout.script_pubkey.startswith(COMMITMENT_PREFIX)
        else txout
        for txout in block.coinbase.vout
    ]
    block = replace(block, vtx=(replace(block.coinbase, vout=tuple(vout)),))
    return branches.add(solved_by_kernel(signed(block), OUR_SIGNET))


def test_a_signet_grows_by_signed_blocks_alone(shelf: Shelf) -> None:
    branches = Branches(OUR_SIGNET)
    chain = open_chain(OUR_SIGNET, shelf)
    first = signed_on(branches, branches.genesis)
    second = signed_on(branches, first)
    unsigned = branches.on(first)
    assert submit(chain, branches.genesis, first) == [None] * 2
    assert submit(chain, unsigned) == ["bad-signet-blksig"]
    assert chain.tree.get(unsigned.hash) is None
    assert submit(chain, second) == [None]
    assert chain.tip.hash == second.hash
    # A header shows no signature: it is taken in, and its block never is.
    node = chain.submit_header(unsigned.header, now=NOW)
    assert submit(chain, unsigned) == ["bad-signet-blksig"]
    assert not node.has_data


def test_a_signature_is_for_one_place_only(shelf: Shelf) -> None:
    branches = Branches(OUR_SIGNET)
    chain = open_chain(OUR_SIGNET, shelf)
    first = signed_on(branches, branches.genesis)
    moved = solved_by_kernel(
        replace(first, header=replace(first.header, time=first.header.time + 1)), OUR_SIGNET
    )
    assert submit(chain, moved, first) == ["bad-signet-blksig", None]


def test_push_of_a_height_is_no_prefix_of_anothers() -> None:
    """What `coinbases_differ` rests on: no coinbase begins with two heights."""
    pushes = {push_int(height) for height in range(1, 70_000)}
    assert len(pushes) == 69_999
    assert all(
        cut == whole or cut not in pushes
        for whole in pushes
        for cut in (whole[:n] for n in range(1, len(whole) + 1))
    )
