"""From templates to jobs for a miner, and from solutions to blocks."""

from dataclasses import replace

import pytest
from tests.support.blocks import MinedChain
from tests.support.mining import template_on

from drystone.consensus.chains import LOCAL, MAINNET
from drystone.consensus.pow import bits_from_target, is_proof_of_work
from drystone.core.chance import Stream
from drystone.drivers.miner import Miner
from drystone.kernel import Cancel, search
from drystone.mining.budget import Budget
from drystone.mining.ranges import NONCES, Found
from drystone.mining.search import MOST_RANGES, block_from_found, job_from_template, solve
from drystone.mining.template import Template
from drystone.primitives.block import BlockHeader
from drystone.primitives.codec import Reader


def regtest() -> Template:
    return template_on(MinedChain())


def of_difficulty(expected_hashes: int) -> Template:
    return replace(regtest(), bits=bits_from_target(2**256 // expected_hashes - 1))


def test_a_block_has_the_lowest_nonce_that_is_enough() -> None:
    template = of_difficulty(300)
    block = solve(template)
    assert block is not None and block.header.nonce > 0
    assert is_proof_of_work(block.hash, template.bits, 2**256)
    for nonce in range(block.header.nonce):
        assert not is_proof_of_work(template.block(0, nonce).hash, template.bits, 2**256)
    assert template.block(0, block.header.nonce) == block


def test_when_tries_run_out_there_is_no_block() -> None:
    template = of_difficulty(300)
    block = solve(template)
    assert block is not None
    assert solve(template, tries=block.header.nonce) is None
    assert solve(template, tries=block.header.nonce + 1) == block
    assert solve(template, tries=0) is None


def test_another_extra_nonce_is_another_block() -> None:
    template = regtest()
    blocks = [solve(template, extranonce=extranonce) for extranonce in range(10)]
    assert len({block.hash for block in blocks if block}) == 10


def test_after_the_last_nonce_comes_the_next_extra_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    """All nonces of a header take minutes; so this search is told that they are in vain."""
    searched: list[tuple[bytes, int]] = []

    def in_vain_twice(
        header: bytes, target: int, start: int, count: int, *, cancel: Cancel | None
    ) -> int | None:
        searched.append((header, count))
        return None if len(searched) <= 2 else search(header, target, start, count, cancel=cancel)

    monkeypatch.setattr("drystone.mining.search.kernel_search", in_vain_twice)
    template = regtest()
    block = solve(template, extranonce=5, tries=2 * NONCES + 1000)
    assert block is not None
    assert block == template.block(7, block.header.nonce)
    assert [count for _, count in searched] == [NONCES, NONCES, 1000]
    coinbases = [template.coinbase.transaction(5 + n) for n in range(3)]
    assert [header for header, _ in searched] == [template.header(c).encode() for c in coinbases]


def test_a_cancelled_search_finds_nothing() -> None:
    cancel = Cancel()
    cancel.set()
    assert solve(of_difficulty(2**60), tries=2**80, cancel=cancel) is None


@pytest.mark.parametrize(
    ("expected_hashes", "ranges"),
    [(2, 1), (65_537, 1), (2**29, 1), (2**30, 2), (2**32, 5), (2**35, 33), (2**70, MOST_RANGES)],
)
def test_a_job_has_ranges_enough(expected_hashes: int, ranges: int) -> None:
    template = of_difficulty(expected_hashes)
    job = job_from_template(template, extranonce=40)
    assert job.target == template.target
    assert len(job.ranges) == ranges
    assert {(each.start, each.count) for each in job.ranges} == {(0, NONCES)}
    roots = [BlockHeader.decode(Reader(each.header)).merkle_root for each in job.ranges]
    blocks = [template.block(40 + n, 0) for n in range(ranges)]
    assert roots == [block.merkle_root()[0] for block in blocks]


def test_what_is_found_in_a_range_is_the_block_with_its_extra_nonce() -> None:
    template = regtest()
    job = job_from_template(template, extranonce=3, ranges=4)
    header = job.ranges[2].header
    nonce = search(header, job.target, 0, NONCES)
    assert nonce is not None
    block = block_from_found(template, Found(2, header, nonce), extranonce=3)
    assert block == solve(template, extranonce=5)


def test_a_miner_finds_a_block_that_keeps_the_rules() -> None:
    chain = MinedChain(LOCAL)
    template = template_on(chain)
    with Miner(Budget(None, Stream(1))) as miner:
        found = miner.start(job_from_template(template, extranonce=9)).result(60)
    assert found is not None
    chain.connect(block_from_found(template, found, extranonce=9))


def test_the_ranges_of_a_hard_chain_can_be_made_quickly() -> None:
    template = template_on(MinedChain(MAINNET))
    assert template.bits == 0x1D00FFFF
    assert len(job_from_template(template).ranges) == 5
