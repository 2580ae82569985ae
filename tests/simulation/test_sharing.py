"""Nodes that share what they have read, checked and hold do the same as nodes that don't."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.blocks import REGTEST, assembled, coinbase_at, with_commitment
from tests.support.node_faults import FaultyNodes
from tests.support.spending import p2wpkh_lock, spend

from drystone.chain.bases import SharedCoins
from drystone.chain.memory import MemoryCoins
from drystone.consensus.coins import Coin
from drystone.consensus.subsidy import block_subsidy
from drystone.core.chance import Stream
from drystone.mining.accounts import account
from drystone.network.virtual import VirtualNetwork
from drystone.network.virtual_node import VirtualNode
from drystone.primitives.block import Block
from drystone.primitives.transaction import OutPoint, Transaction, TxOut

RUNS = [*[(3, seed) for seed in range(30)], *[(5, seed) for seed in range(10)], (12, 1), (30, 1)]


@pytest.mark.parametrize(("nodes", "seed"), RUNS)
def test_under_faults_payments_and_double_spends_the_trace_is_the_same(
    nodes: int, seed: int
) -> None:
    digests = []
    for sharing in (True, False):
        faulty = FaultyNodes(seed, nodes, sharing=sharing)
        faulty.run()
        digests.append(faulty.network.world.trace.digest())
    assert digests[0] == digests[1]


def test_in_a_network_that_mines_the_trace_is_the_same_and_coins_are_held_together() -> None:
    networks = [
        VirtualNetwork(12, seed=3, hashes_per_s=6_554, topology="random:4", sharing=sharing)
        for sharing in (True, False)
    ]
    for network in networks:
        network.run_for(600)
        network.settle()
    shared, apart = networks
    assert shared.world.trace.digest() == apart.world.trace.digest()
    assert shared["n0"].tip.height > 150  # so that coins were written more than once
    assert len({id(node.tip.header) for node in shared}) == 1
    assert len({id(node.tip.header) for node in apart}) > 1


def stores_of(network: VirtualNetwork) -> list[object]:
    return [node._coins for node in network]


def test_nodes_on_one_tip_have_one_base_of_coins_unless_they_are_to_share_nothing() -> None:
    shared, apart = (VirtualNetwork(3, sharing=sharing) for sharing in (True, False))
    for network in (shared, apart):
        network.mine("n0", 22)
        network.wait_until_synced()
    bases = [store._coins for store in stores_of(shared) if isinstance(store, SharedCoins)]
    assert len(bases) == 3 and len({id(base) for base in bases}) == 1
    assert len(bases[0]) > 119
    assert all(isinstance(store, MemoryCoins) for store in stores_of(apart))


# Blocks that break rules, by the same header as good ones or another, at nodes drawn by chance.


class Mischief:
    """Good and bad blocks and transactions on regtest, handed to nodes in an order of chance."""

    def __init__(self, seed: int, *, sharing: bool) -> None:
        self._chance = Stream(seed, "mischief")
        self.network = VirtualNetwork(
            5, params=REGTEST, seed=seed, topology="full", keep_trace=True, sharing=sharing
        )
        self.owner = account("alice")
        self.coins = []
        for _ in range(105):
            block = self._next(self.network["n0"])
            self.network["n0"].submit(block)
            self.coins.append((OutPoint(block.coinbase.txid, 0), block.coinbase.vout[0]))
        self.network.wait_until_synced()
        self.spent = 0

    def _some_node(self) -> VirtualNode:
        return self.network[f"n{self._chance.below(5)}"]

    def _next(self, node: VirtualNode, *more: Transaction, reward: int = 0) -> Block:
        """A block on a node's tip."""
        tip = node.tip
        value = block_subsidy(tip.height + 1, REGTEST.halving_interval) + reward
        coinbase = coinbase_at(tip.height + 1, value, self.owner.script_pubkey)
        time = max(tip.median_time_past + 1, self.network.clock().unix_s)
        header = replace(REGTEST.genesis.header, version=0x20000000, prev_hash=tip.hash, time=time)
        return assembled(with_commitment(Block(header, (coinbase, *more))), REGTEST)

    def _payment(self) -> Transaction:
        outpoint, output = self.coins[self.spent]
        self.spent += 1
        coin = Coin(output, self.spent, is_coinbase=True)
        return spend(
            [(outpoint, coin)],
            [p2wpkh_lock(self.owner.secret)],
            [TxOut(output.value - 1_000, self.owner.script_pubkey)],
        )

    def too_much(self) -> list[Block]:
        return [self._next(self._some_node(), reward=1)]

    def bad_script(self) -> list[Block]:
        return [self._next(self._some_node(), with_other_witness(self._payment()))]

    def missing_coin(self) -> list[Block]:
        tx = self._payment()
        return [self._next(self._some_node(), spent_from_nowhere(tx))]

    def mutated_then_good(self) -> list[Block]:
        """Other witnesses under the same header, before the block itself and after it."""
        good = self._next(self._some_node(), self._payment())
        bad = replace(good, vtx=(good.vtx[0], with_other_witness(good.vtx[1])))
        assert bad.hash == good.hash
        return [bad, good, bad]

    def repeated_then_good(self) -> list[Block]:
        """The last transaction twice: the same merkle root (CVE-2012-2459)."""
        good = self._next(self._some_node(), self._payment(), self._payment())
        bad = replace(good, vtx=(*good.vtx, good.vtx[-1]))
        assert bad.merkle_root()[0] == good.merkle_root()[0]
        return [bad, good]

    def run(self, steps: int) -> None:
        kinds: list[Callable[[], list[Block]]] = [
            self.too_much,
            self.bad_script,
            self.missing_coin,
            self.mutated_then_good,
            self.repeated_then_good,
        ]
        for _ in range(steps):
            if self.spent == 5:
                break  # what else there is has not matured
            for block in kinds[self._chance.below(len(kinds))]():
                for _ in range(1 + self._chance.below(3)):
                    self._some_node().submit(block)
            self.network.run_for(self._chance.below(3))
        self.network.settle()  # two may be as good

    def lines(self) -> list[str]:
        return self.network.world.trace.lines


def with_other_witness(tx: Transaction) -> Transaction:
    signature, key = tx.vin[0].witness
    other = bytes((*signature[:-2], signature[-2] ^ 1, signature[-1]))
    return replace(tx, vin=(replace(tx.vin[0], witness=(other, key)),))


def spent_from_nowhere(tx: Transaction) -> Transaction:
    prevout = tx.vin[0].prevout._replace(vout=7)
    return replace(tx, vin=(replace(tx.vin[0], prevout=prevout),))


def test_bad_blocks_are_refused_for_the_same_reasons_and_good_ones_taken_all_the_same() -> None:
    reasons: set[str] = set()
    for seed in range(6):
        traces = []
        for sharing in (True, False):
            mischief = Mischief(seed, sharing=sharing)
            mischief.run(8)
            traces.append(mischief.lines())
            assert len(set(mischief.network.tips().values())) == 1
        assert traces[0] == traces[1]
        refusals = [line.partition(" refuses block ")[2] for line in traces[0]]
        reasons |= {refusal.partition(" ")[2] for refusal in refusals}
    assert {"bad-cb-amount", "bad-txns-inputs-missingorspent", "bad-txns-duplicate"} <= reasons
    assert "bad-witness-merkle-match" in reasons
    assert any(reason.startswith("block-script-verify-flag-failed") for reason in reasons)


def test_a_good_block_is_taken_where_its_mutated_twin_was_refused_before() -> None:
    mischief = Mischief(0, sharing=True)
    nodes = list(mischief.network)
    bad, good, _ = mischief.mutated_then_good()
    for node in nodes:
        reply = node.submit(bad)
        assert reply.error is not None and reply.error.reason == "bad-witness-merkle-match"
    assert nodes[0].submit(good).error is None
    mischief.network.wait_until_synced()
    assert {node.tip.hash for node in nodes} == {good.hash}
