"""The chain that benchmarks import is a good one, so that they measure what they say."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.benchmarks import chainmaker
from tests.benchmarks.chainmaker import RECENT_BLOCKS, made_chain
from tests.support.blocks import REGTEST, MinedChain

from drystone.chain.blockfile import Record, read_records
from drystone.consensus.block import check_block
from drystone.primitives.block import Block


def connected(blocks: Sequence[Block]) -> tuple[MinedChain, list[int]]:
    """All rules passed, signatures too; and at each payment, how many blocks old its coin was."""
    chain = MinedChain()
    ages = []
    for block in blocks[1:]:
        inputs = chain.connect(block).inputs
        ages += [chain.height - coin.height for (coin,) in inputs]
    return chain, ages


def test_every_block_of_the_benchmark_chain_passes_all_rules() -> None:
    blocks = list(made_chain(blocks=118, transactions=200))
    assert blocks[0] == REGTEST.genesis and len(blocks) == 1 + 118
    check_block(blocks[0], REGTEST)
    chain, ages = connected(blocks)
    assert len(ages) == 200
    # Each payment makes one coin more than it spends, each coinbase one.
    values = [coin.output.value for coin in chain.coins.values()]
    assert len(values) == 118 + 200 and min(values) > 0


def test_the_benchmark_chain_spends_coins_of_every_age() -> None:
    blocks = list(made_chain(blocks=130, transactions=300))
    _, ages = connected(blocks)
    assert min(ages) == 0
    recent = sum(0 < age <= RECENT_BLOCKS for age in ages)
    old = sum(age > RECENT_BLOCKS for age in ages)
    assert recent > len(ages) / 4 and old > len(ages) / 10


def test_every_payment_of_the_benchmark_chain_has_one_signature_and_two_outputs() -> None:
    *_, last = made_chain(blocks=101, transactions=20)
    assert len(last.vtx) == 21
    for tx in last.vtx[1:]:
        ((signature, key),) = (txin.witness for txin in tx.vin)
        assert len(key) == 33 and signature[-1] == 1 and len(tx.vout) == 2


def test_the_benchmark_chain_is_the_same_every_time() -> None:
    first, second = (list(made_chain(blocks=103, transactions=9))[-1] for _ in range(2))
    assert first.hash == second.hash and first.encode() == second.encode()


def test_more_transactions_than_there_is_room_for_are_refused() -> None:
    assert len(list(made_chain(blocks=3, transactions=0))) == 4
    for blocks, transactions in ((100, 1), (101, 7_001), (-1, 0), (200, -1)):
        with pytest.raises(ValueError, match="have no room"):
            made_chain(blocks, transactions)


def test_the_benchmark_chain_is_kept_in_a_file_of_framed_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chainmaker, "KEPT", tmp_path / "kept")
    path = chainmaker.bench_chain(blocks=102, transactions=5)
    records = list(read_records(path.read_bytes(), REGTEST.magic))
    assert [it.block for it in records if isinstance(it, Record)] == [
        block.encode() for block in made_chain(blocks=102, transactions=5)
    ]
    assert len(records) == 103
    written = path.stat().st_mtime_ns
    assert chainmaker.bench_chain(blocks=102, transactions=5).stat().st_mtime_ns == written
    assert list((tmp_path / "kept").iterdir()) == [path]
