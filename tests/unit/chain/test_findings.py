"""What is found out about a block holds for just these bytes."""

from dataclasses import replace

import pytest
from tests.support.blocks import (
    REGTEST,
    MinedChain,
    assembled,
    coinbase_at,
    with_commitment,
)

from drystone.chain.bases import CoinBases, SharedCoins
from drystone.chain.chainstate import ChainState
from drystone.chain.findings import Findings, identity
from drystone.chain.memory import MemoryBlocks, MemoryCoins
from drystone.consensus import block as rules
from drystone.consensus.errors import BlockInvalid, BlockMutated
from drystone.consensus.params import Params
from drystone.primitives.block import Block


def chain_with(findings: Findings) -> ChainState:
    return ChainState(REGTEST, MemoryBlocks(), MemoryCoins(), findings=findings)


def now(chain: MinedChain) -> int:
    return chain.blocks[-1].header.time


def test_the_same_header_with_other_witnesses_is_another_block() -> None:
    block = with_commitment(MinedChain().block())
    coinbase = block.coinbase
    other = replace(coinbase, vin=(replace(coinbase.vin[0], witness=(b"\x01" * 32,)),))
    twin = replace(block, vtx=(other,))
    assert twin.hash == block.hash and twin.coinbase.txid == coinbase.txid
    assert identity(twin) != identity(block)
    findings = Findings(REGTEST)
    assert findings.of(twin) is not findings.of(block)


def test_the_same_header_with_a_transaction_repeated_is_another_block() -> None:
    block = MinedChain().block()
    assert identity(replace(block, vtx=block.vtx * 2)) != identity(block)


def test_equal_blocks_share_one_finding_and_one_object() -> None:
    block = MinedChain().block()
    findings = Findings(REGTEST)
    assert findings.of(Block.from_bytes(block.encode())).block is findings.of(block).block


def test_whoever_remembers_nothing_finds_everything_anew() -> None:
    block = MinedChain().block()
    findings = Findings.none(REGTEST)
    assert findings.of(block) is not findings.of(block)


def test_a_block_is_checked_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    mined = MinedChain()
    mined.mine(3)
    findings = Findings(REGTEST)
    checked: list[Block] = []

    def counting(block: Block, params: Params) -> None:
        checked.append(block)
        rules.check_block(block, params)

    monkeypatch.setattr("drystone.chain.findings.check_block", counting)
    for _ in range(4):
        chain = chain_with(findings)
        for block in mined.blocks[1:]:
            assert chain.submit(block, now=now(mined)).error is None
        assert chain.tip.hash == mined.blocks[-1].hash
        assert chain.undo(chain.tip.hash) is not None
    assert len(checked) == 3


def test_an_error_is_told_to_each_who_asks_and_keeps_no_calls() -> None:
    block = MinedChain().block()
    bad = replace(block, vtx=block.vtx * 2)
    findings = Findings(REGTEST)
    errors = []
    for _ in range(2):
        with pytest.raises(BlockMutated) as caught:
            findings.of(bad).check(REGTEST)
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert errors[0].reason == errors[1].reason


def test_a_block_that_could_not_be_connected_fails_at_the_next_node_for_the_same_reason() -> None:
    block = MinedChain().block()
    rich = coinbase_at(1, block.coinbase.vout[0].value + 1)
    bad = assembled(with_commitment(replace(block, vtx=(rich,))), REGTEST)
    findings = Findings(REGTEST)
    for _ in range(2):
        error = chain_with(findings).submit(bad, now=bad.header.time).error
        assert isinstance(error, BlockInvalid) and error.reason == "bad-cb-amount"


def test_the_clock_is_asked_even_for_a_header_that_others_have_taken() -> None:
    mined = MinedChain()
    block = mined.mine()
    findings = Findings(REGTEST)
    assert chain_with(findings).submit(block, now=block.header.time).error is None
    early = block.header.time - 3 * 3600
    error = chain_with(findings).submit(block, now=early).error
    assert error is not None and error.reason == "time-too-new"


def test_who_assumes_scripts_to_be_valid_vouches_for_them_to_nobody() -> None:
    mined = MinedChain()
    block = mined.mine()
    findings = Findings(REGTEST)
    trusting = ChainState(
        REGTEST,
        MemoryBlocks(),
        MemoryCoins(),
        findings=findings,
        are_scripts_assumed=lambda _node: True,
    )
    assert trusting.submit(block, now=block.header.time).error is None
    assert findings.of(block).change is None
    assert chain_with(findings).submit(block, now=block.header.time).error is None
    assert findings.of(block).change is not None


def test_coins_are_held_together_by_those_who_wrote_at_the_same_tip() -> None:
    mined = MinedChain()
    mined.mine(3)
    bases = CoinBases()
    stores = [SharedCoins(bases, MemoryCoins()) for _ in range(2)]
    for store in stores:
        chain = ChainState(REGTEST, MemoryBlocks(), store)
        for block in mined.blocks[1:]:
            chain.submit(block, now=now(mined))
        chain.flush()
    assert stores[0]._coins is stores[1]._coins
    assert dict(stores[0].items()) == mined.coins
    assert stores[0].tip == mined.blocks[-1].hash


def test_one_that_goes_on_leaves_the_others_their_coins() -> None:
    mined = MinedChain()
    mined.mine(2)
    bases = CoinBases()
    stores = [SharedCoins(bases, MemoryCoins()) for _ in range(2)]
    chains = [ChainState(REGTEST, MemoryBlocks(), store) for store in stores]
    for chain in chains:
        for block in mined.blocks[1:]:
            chain.submit(block, now=now(mined))
        chain.flush()
    before = dict(stores[1].items())
    chains[0].submit(mined.mine(), now=now(mined))
    chains[0].flush()
    assert dict(stores[0].items()) == mined.coins != before
    assert dict(stores[1].items()) == before
