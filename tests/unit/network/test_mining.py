"""Mining on a chain, block after block, on a clock that tests turn."""

from collections.abc import Iterator
from concurrent.futures import Future
from itertools import islice

import pytest
from tests.support.blocks import REGTEST
from tests.support.stores import open_chain

from drystone.chain.chainstate import ChainState
from drystone.chain.outcomes import Arrival
from drystone.consensus.chains import LOCAL
from drystone.consensus.pow import block_work
from drystone.core.chance import Stream
from drystone.core.errors import UserError
from drystone.core.time import SECOND_NS, Time
from drystone.drivers.history import local_history
from drystone.drivers.miner import Miner
from drystone.kernel import search as kernel_search
from drystone.mining.accounts import account
from drystone.mining.budget import Budget
from drystone.mining.ranges import Found, Job
from drystone.network.mining import mine_blocks

ALICE = account("alice").script_pubkey
START_S = 1_800_000_000


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self, unix_s: int = START_S) -> None:
        self.now_ns = unix_s * SECOND_NS

    def __call__(self) -> Time:
        return Time(self.now_ns, self.now_ns // SECOND_NS)


class CountingMiner:
    """Searches at once, and moves the clock by what that would take at a hash rate."""

    def __init__(self, hands: Hands, hashes_per_s: int) -> None:
        self.hands = hands
        self.hashes_per_s = hashes_per_s
        self.hashes = 0

    def start(self, job: Job) -> Future[Found | None]:
        future: Future[Found | None] = Future()
        nonce = kernel_search(job.ranges[0].header, job.target, 0, 1 << 32)
        assert nonce is not None
        self.hashes += nonce + 1
        self.hands.now_ns += (nonce + 1) * SECOND_NS // self.hashes_per_s
        future.set_result(Found(0, job.ranges[0].header, nonce))
        return future


class After:
    """Says stop when it has been asked so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __bool__(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture
def idle() -> Iterator[Miner]:
    with Miner(Budget(None, Stream(1, "idle"))) as miner:
        yield miner


def local_chain() -> ChainState:
    chain = open_chain(LOCAL)
    assert chain.submit_all(map(Arrival, local_history()), now=START_S).error is None
    return chain


def works(chain: ChainState, first: int) -> list[int]:
    """Hashes to the block, of one block in each period of 20."""
    return [block_work(chain.at(h).header.bits) for h in range(first, chain.height + 1, 20)]


def test_blocks_are_submitted_and_pay_whom_they_should(idle: Miner) -> None:
    chain = open_chain(REGTEST)
    mined = list(islice(mine_blocks(chain, ALICE, idle, After(100), Hands()), 10))
    assert [node.height for node in mined] == list(range(1, 11))
    assert chain.tip is mined[-1]
    for node in mined:
        assert chain.block(node.hash).coinbase.vout[0].script_pubkey == ALICE


def test_it_goes_on_until_it_is_to_stop(idle: Miner) -> None:
    chain = open_chain(REGTEST)
    assert len(list(mine_blocks(chain, ALICE, idle, After(7), Hands()))) == 7
    assert list(mine_blocks(chain, ALICE, idle, After(0), Hands())) == []
    assert chain.height == 7


def test_the_next_block_is_not_begun_until_somebody_asks_for_it(idle: Miner) -> None:
    chain = open_chain(REGTEST)
    mining = mine_blocks(chain, ALICE, idle, After(100), Hands())
    assert [next(mining).height, chain.height] == [1, 1]
    assert [next(mining).height, chain.height] == [2, 2]


@pytest.mark.parametrize("hashes_per_s", [None, 1_000_000])
def test_a_block_that_was_invalidated_is_not_mined_again(hashes_per_s: int | None) -> None:
    chain, hands = open_chain(REGTEST), Hands()
    with Miner(Budget(hashes_per_s, Stream(1, "again"))) as miner:
        mining = mine_blocks(chain, ALICE, miner, After(100_000), hands)
        known = set()
        for _ in range(4):  # all in the same second, on the same parent, to the same key
            node = next(mining)
            assert node.height == 1
            known.add(node.hash)
            chain.invalidate(node.hash)
    assert len(known) == 4


def test_the_time_of_a_block_is_the_clocks_or_the_least_that_is_allowed(idle: Miner) -> None:
    chain, hands = open_chain(REGTEST), Hands()
    for node in islice(mine_blocks(chain, ALICE, idle, After(100), hands), 30):
        median = node.parent.median_time_past if node.parent else 0
        assert node.header.time == max(START_S, median + 1)


def test_a_clock_far_behind_the_chain_is_a_users_mistake(idle: Miner) -> None:
    chain, hands = open_chain(REGTEST), Hands()
    list(islice(mine_blocks(chain, ALICE, idle, After(100), hands), 12))
    hands.now_ns -= 3 * 3600 * SECOND_NS
    with pytest.raises(UserError, match=r"time-too-new.* ahead of the clock"):
        next(mine_blocks(chain, ALICE, idle, After(100), hands))
    assert chain.height == 12


def test_on_local_a_constant_rate_keeps_the_difficulty_about_where_it_is() -> None:
    chain, hands = local_chain(), Hands()
    miner = CountingMiner(hands, 6554)
    list(islice(mine_blocks(chain, ALICE, miner, After(1000), hands), 200))  # type: ignore[arg-type]
    settled = works(chain, 200)
    mean = sum(settled) / len(settled)
    assert 0.6 < mean / 65_537 < 1.7
    elapsed_s = chain.tip.header.time - chain.at(120).header.time
    assert 7 < elapsed_s / (chain.height - 120) < 16  # 11.1 s on average


@pytest.mark.parametrize(("rate", "low", "high"), [(6554 * 8, 4, 16), (6554 // 8, 1 / 16, 1 / 4)])
def test_on_local_the_difficulty_follows_the_hash_rate(rate: int, low: float, high: float) -> None:
    chain, hands = local_chain(), Hands()
    miner = CountingMiner(hands, rate)
    list(islice(mine_blocks(chain, ALICE, miner, After(1000), hands), 161))  # type: ignore[arg-type]
    before = block_work(chain.at(119).header.bits)
    later = works(chain, 200)
    mean = sum(later) / len(later) / before
    assert low < mean < high
    for period, after in zip(works(chain, 120), works(chain, 140), strict=False):
        assert 1 / 4.01 < after / period < 4.01


def test_a_rate_that_changes_is_followed_both_ways() -> None:
    chain, hands = local_chain(), Hands()
    miner = CountingMiner(hands, 6554)
    mining = mine_blocks(chain, ALICE, miner, After(10_000), hands)  # type: ignore[arg-type]
    list(islice(mining, 60))
    slow = block_work(chain.tip.header.bits)
    miner.hashes_per_s *= 6
    list(islice(mining, 60))
    fast = block_work(chain.tip.header.bits)
    miner.hashes_per_s //= 6
    list(islice(mining, 60))
    assert fast > 2.5 * slow
    assert block_work(chain.tip.header.bits) < fast / 2


def test_difficulty_moves_only_between_periods() -> None:
    chain, hands = local_chain(), Hands()
    miner = CountingMiner(hands, 100_000)
    list(islice(mine_blocks(chain, ALICE, miner, After(1000), hands), 61))  # type: ignore[arg-type]
    for height in range(1, chain.height + 1):
        if height % 20:
            assert chain.at(height).header.bits == chain.at(height - 1).header.bits
    assert chain.at(140).header.bits != chain.at(139).header.bits


def test_with_a_budget_the_miner_searches() -> None:
    chain = open_chain(REGTEST)
    with Miner(Budget(100_000, Stream(1, "budget"))) as miner:
        list(islice(mine_blocks(chain, ALICE, miner, After(10_000)), 3))
        assert miner.hashes > 0
    assert chain.height == 3


def test_without_a_budget_and_where_a_block_takes_moments_no_thread_is_woken(idle: Miner) -> None:
    list(islice(mine_blocks(open_chain(REGTEST), ALICE, idle, After(100), Hands()), 3))
    assert idle.hashes == 0


def test_stop_ends_a_search_that_would_take_for_ever() -> None:
    chain = open_chain(LOCAL)
    with Miner(Budget(1, Stream(1, "slow"))) as miner:
        assert list(mine_blocks(chain, ALICE, miner, After(5))) == []
    assert chain.height == 0


class Forgetful(CountingMiner):
    """Finds nothing the first times."""

    def __init__(self, hands: Hands, vain: int) -> None:
        super().__init__(hands, 1000)
        self.vain = vain
        self.headers: list[bytes] = []

    def start(self, job: Job) -> Future[Found | None]:
        self.headers.append(job.ranges[0].header)
        if self.vain:
            self.vain -= 1
            self.hands.now_ns += 10 * SECOND_NS
            future: Future[Found | None] = Future()
            future.set_result(None)
            return future
        return super().start(job)


def test_a_search_in_vain_is_followed_by_one_with_another_extranonce_and_time() -> None:
    chain, hands = open_chain(REGTEST), Hands()
    miner = Forgetful(hands, vain=2)
    (node,) = islice(mine_blocks(chain, ALICE, miner, After(100), hands), 1)  # type: ignore[arg-type]
    assert len({header[36:68] for header in miner.headers}) == 3  # merkle roots
    times = [int.from_bytes(header[68:72], "little") for header in miner.headers]
    assert times == [START_S, START_S + 10, START_S + 20]
    assert node.header.time == START_S + 20
