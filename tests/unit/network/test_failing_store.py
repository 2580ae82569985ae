"""Stores whose process dies while it writes."""

import pytest
from tests.support.blocks import REGTEST
from tests.support.branches import Branches

from drystone.chain.chainstate import ChainState
from drystone.chain.importing import take_in_unrecorded
from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.core.chance import Stream
from drystone.network.failing_store import Died, FailingBlocks, FailingCoins, Fuse
from drystone.network.virtual import VirtualNetwork, opening_stores
from drystone.primitives.block import Block

NOW = REGTEST.genesis.header.time + 1_000_000


class Kept:
    """A chain on such stores, and the blocks that it is handed."""

    def __init__(self, seed: int) -> None:
        self.fuse = Fuse()
        dice = Stream(seed, "stores")
        self.blocks = FailingBlocks(MemoryBlocks(), self.fuse, dice)
        self.coins = FailingCoins(MemoryCoins(), self.fuse, dice)
        self.chain = self.opened()
        branches = Branches(REGTEST)
        self.branch: list[Block] = [REGTEST.genesis]
        for _ in range(6):
            self.branch.append(branches.on(self.branch[-1]))

    def opened(self) -> ChainState:
        return ChainState(REGTEST, self.blocks, self.coins)


def test_without_a_fuse_they_are_as_the_stores_below() -> None:
    kept = Kept(1)
    for block in kept.branch[1:]:
        kept.chain.submit(block, now=NOW)
    kept.chain.close()
    again = kept.opened()
    assert again.height == 6 and kept.coins.tip == again.tip.hash
    assert again.block(kept.branch[3].hash) == kept.branch[3]
    assert again.block_bytes(kept.branch[3].hash) == kept.branch[3].encode()


def takes_all(kept: Kept, acknowledged: list[int]) -> None:
    """Take in the branch, and tell what is acknowledged."""
    for block in kept.branch[1:]:
        assert kept.chain.submit(block, now=NOW).error is None
        acknowledged.append(kept.chain.height)
        kept.chain.flush()


WRITES = 6 * 5  # of taking all, for each block: it, its undo data, the commit, a sync, the coins


def test_it_dies_at_each_write_and_not_beyond() -> None:
    kept = Kept(1)
    kept.fuse.light(WRITES)
    takes_all(kept, [])
    kept = Kept(1)
    kept.fuse.light(WRITES - 1)
    with pytest.raises(Died):
        takes_all(kept, [])


@pytest.mark.parametrize("writes", range(WRITES))
@pytest.mark.parametrize("seed", range(6))
def test_wherever_it_dies_the_tip_is_one_that_was_acknowledged_and_it_can_go_on(
    seed: int, writes: int
) -> None:
    kept = Kept(seed)
    kept.fuse.light(writes)
    told = [0]
    with pytest.raises(Died):
        takes_all(kept, told)
    acknowledged = told[-1]
    possible = kept.blocks.possible_tips
    kept.fuse.put_out()
    again = kept.opened()
    assert kept.blocks.opened_tip in possible
    assert acknowledged <= again.height <= acknowledged + 1
    for _ in take_in_unrecorded(again, now=NOW):
        pass
    for block in kept.branch[1:]:
        assert again.submit(block, now=NOW).error is None
    assert again.height == 6


def test_what_dies_leaves_now_this_and_now_that() -> None:
    """A commit that is torn has happened or not; blocks without a record are found or lost."""
    heights, found = set(), set()
    for seed in range(40):
        for writes in range(4):
            kept = Kept(seed)
            kept.fuse.light(writes)
            with pytest.raises(Died):
                takes_all(kept, [])
            kept.fuse.put_out()
            again = kept.opened()
            heights.add((writes, again.height))
            found.add(len(list(again.unrecorded)))
    assert {height for writes, height in heights if writes == 2} == {0, 1}
    assert found == {0, 1}


def test_a_write_of_coins_is_whole_or_nothing() -> None:
    tips = set()
    for seed in range(20):
        kept = Kept(seed)
        kept.chain.submit(kept.branch[1], now=NOW)
        kept.fuse.light(1)  # the sync goes well
        with pytest.raises(Died):
            kept.chain.flush()
        tips.add(kept.coins.tip)
        assert len(list(kept.coins.items())) == (kept.coins.tip == kept.branch[1].hash)
    assert tips == {kept.branch[0].hash, kept.branch[1].hash}


def test_a_node_that_dies_in_a_write_is_down_and_comes_back() -> None:
    fuses = {name: Fuse() for name in ("n0", "n1")}

    def stores(name: str) -> tuple[FailingBlocks, FailingCoins]:
        blocks, coins = opening_stores(network.params)
        dice = Stream(1, name)
        return FailingBlocks(blocks, fuses[name], dice), FailingCoins(coins, fuses[name], dice)

    network = VirtualNetwork(seed=1, keep_trace=True, stores=stores)
    for name in fuses:
        network.add_node(name)
    network.connect("n0", "n1")
    network.run_for(1)
    fuses["n1"].light(0)
    network.mine("n0")
    assert not network["n1"].is_up
    assert any(line.endswith("n1 dies while it writes") for line in network.world.trace.lines)
    fuses["n1"].put_out()
    network.restart("n1")
    network.wait_until_synced()
    assert network["n1"].tip.height == 120
