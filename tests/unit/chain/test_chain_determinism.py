"""The same deliveries make the same chain, whatever order Python gives to sets in this process."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

STORY = """
from tests.support.blocks import REGTEST
from tests.support.branches import Branches, payment
from tests.support.stores import open_chain

from drystone.chain.outcomes import Arrival
from drystone.chain.tips import chain_tips
from drystone.consensus.chains import variant
from drystone.core.chance import Stream
from drystone.primitives.hashes import display
from drystone.primitives.transaction import OutPoint

young = variant(REGTEST, "young", coinbase_maturity=1)
chance = Stream(7, "deliveries")
branches, chain = Branches(young), open_chain(young, flush_blocks=2)
made = [branches.genesis]
for _ in range(150):
    parent = made[-1 - min(chance.below(9), chance.below(9), len(made) - 1)]
    spent = [OutPoint(block.coinbase.txid, 0) for block in branches.path(parent)[1:][-2:-1]]
    txs = [payment(coin, 1000, outputs=1 + chance.below(3)) for coin in spent]
    txs += [payment(OutPoint(tx.txid, 0), 900) for tx in txs]
    made.append(branches.on(parent, txs, fees=10**10 * (chance.below(25) == 0)))
chain.submit_headers([block.header for block in made], now=10**10)
waiting = made[1:]
while waiting:
    taken = [waiting.pop(min(chance.below(6), len(waiting) - 1))]
    if chance.below(4) == 0:
        taken += waiting[:2]
    outcome = chain.submit_all([Arrival(block) for block in taken], now=10**10)
    event = chance.below(20)
    block = made[1 + chance.below(len(made) - 1)]
    changes = [outcome.change]
    if event < 3:
        by_hand = (chain.invalidate, chain.reconsider, chain.precious)[event]
        changes += [by_hand(block.hash), chain.reconsider(block.hash)]
    for change in filter(None, changes):
        print("move", display(change.new.hash), [tx.txid.hex() for tx in change.unconfirmed])
    print("candidates", [display(node.hash) for node in chain.tree.candidates])
    print("tips", [(tip.status.value, display(tip.hash)) for tip in chain_tips(chain)])
chain.tree.reconsider_all()
print("candidates", [display(node.hash) for node in chain.tree.candidates])
print("coins", [(at.txid.hex(), at.vout, coin.height) for at, coin in chain.coins.items()])
"""


def told(hash_seed: str) -> str:
    """What a process of its own makes of the story."""
    done = subprocess.run(
        [sys.executable, "-c", STORY],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tips_candidates_and_moves_are_the_same_under_any_hash_seed() -> None:
    first = told("0")
    assert first.count("move") > 8
    assert first.count("headers-only") > 20 and first.count("valid-fork") > 20
    for seed in ("1", "4711"):
        assert told(seed) == first
