"""Blocks from files: in any order, with anything between them, broken off and gone on with."""

import random
from collections.abc import Iterable, Iterator

from tests.support.blocks import REGTEST
from tests.support.branches import Branches
from tests.support.kept_chains import framed, spending_chain
from tests.support.stores import open_chain

from drystone.chain.blockfile import frame, read_records
from drystone.chain.chainstate import ChainState
from drystone.chain.importing import (
    BATCH_BLOCKS,
    MOST_COMPLAINTS,
    PASSED_OVER,
    ImportReport,
    Orphans,
    import_blocks,
)
from drystone.primitives.block import Block
from drystone.primitives.hashes import display

NOW = 2_000_000_000


def reports(chain: ChainState, data: bytes, **options: Orphans) -> Iterator[ImportReport]:
    return import_blocks(chain, read_records(data, REGTEST.magic), now=NOW, **options)


def imported(chain: ChainState, data: bytes, **options: Orphans) -> ImportReport:
    return list(reports(chain, data, **options))[-1]


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.new, report.known, report.refused, report.orphans


def branch(count: int) -> tuple[Branches, list[Block]]:
    branches = Branches()
    return branches, branches.grow(branches.genesis, count)


def test_a_file_in_order_becomes_the_chain() -> None:
    blocks = spending_chain(Branches())
    chain = open_chain(REGTEST)
    data = framed(blocks)
    report = imported(chain, data)
    assert counts(report) == (102, 0, 0, 0)
    assert report.transactions == 104
    assert report.offset == len(data)
    assert report.complaints == []
    assert (chain.height, chain.tip.hash) == (102, blocks[-1].hash)


def test_genesis_at_the_beginning_of_a_file_is_known() -> None:
    branches, blocks = branch(3)
    chain = open_chain(REGTEST)
    assert counts(imported(chain, framed([branches.genesis, *blocks]))) == (3, 1, 0, 0)


def test_any_order_of_blocks_ends_at_the_same_tip() -> None:
    blocks = spending_chain(Branches())
    for seed in range(5):
        shuffled = random.Random(seed).sample(blocks, len(blocks))
        chain = open_chain(REGTEST)
        assert counts(imported(chain, framed(shuffled))) == (102, 0, 0, 0)
        assert chain.tip.hash == blocks[-1].hash
    backwards = open_chain(REGTEST)
    assert counts(imported(backwards, framed(blocks[::-1]))) == (102, 0, 0, 0)
    assert backwards.tip.hash == blocks[-1].hash


def test_a_report_comes_after_every_batch_always_the_same_object() -> None:
    _, blocks = branch(3 * BATCH_BLOCKS)
    seen = [
        (id(report), report.new, report.offset)
        for report in reports(open_chain(REGTEST), framed(blocks))
    ]
    assert len({number for number, _, _ in seen}) == 1
    assert [new for _, new, _ in seen] == [BATCH_BLOCKS * n for n in (1, 2, 3, 3)]
    offsets = [offset for _, _, offset in seen]
    assert offsets == sorted(offsets)


def test_known_blocks_are_reported_now_and_then_and_not_decoded() -> None:
    _, blocks = branch(4)
    chain = open_chain(REGTEST)
    imported(chain, framed(blocks))
    # What stands behind a known header is never looked at: these are no blocks.
    undecodable = [frame(block.encode()[:80] + b"\xff" * 9, REGTEST.magic) for block in blocks]
    data = b"".join(undecodable) * (PASSED_OVER // 2)
    seen = [report.known for report in reports(chain, data)]
    assert seen == [PASSED_OVER, 2 * PASSED_OVER, 2 * PASSED_OVER]


def test_a_block_twice_counts_as_known_the_second_time() -> None:
    _, blocks = branch(3)
    doubled = [block for block in blocks for _ in range(2)]
    assert counts(imported(open_chain(REGTEST), framed(doubled))) == (3, 3, 0, 0)
    # So it is across batches, and while it waits for its parent.
    chain = open_chain(REGTEST)
    assert counts(imported(chain, framed([blocks[2], blocks[2], *blocks]))) == (3, 1, 0, 0)


def test_what_is_between_records_is_told_and_passed_over() -> None:
    _, (first, second) = branch(2)
    data = b"rubbish" + framed([first]) + bytes(100) + framed([second])
    report = imported(open_chain(REGTEST), data)
    assert counts(report) == (2, 0, 0, 0)
    assert report.complaints == [
        "at offset 0: 7 bytes passed over, no record",
        f"at offset {7 + len(framed([first]))}: 100 bytes passed over, zeros",
    ]
    assert report.offset == len(data)


def test_a_record_that_was_cut_is_told() -> None:
    _, (first, second) = branch(2)
    whole, cut = framed([first]), framed([second])[:-1]
    report = imported(open_chain(REGTEST), whole + cut)
    assert counts(report) == (1, 0, 0, 0)
    assert report.complaints == [
        f"at offset {len(whole)}: {len(cut)} bytes passed over, a record that was cut"
    ]


def test_a_record_that_is_no_block_is_refused_and_the_next_is_taken() -> None:
    _, (first, second) = branch(2)
    no_block = frame(b"\x01" * 100, REGTEST.magic)
    report = imported(open_chain(REGTEST), framed([first]) + no_block + framed([second]))
    assert counts(report) == (2, 0, 1, 0)
    (complaint,) = report.complaints
    assert complaint.startswith(f"at offset {len(framed([first]))}: no block, ")


def test_a_block_with_bytes_behind_it_is_no_block() -> None:
    _, (first,) = branch(1)
    report = imported(open_chain(REGTEST), frame(first.encode() + b"\0", REGTEST.magic))
    assert counts(report) == (0, 0, 1, 0)


def test_a_file_without_anything_is_no_block_and_no_mistake() -> None:
    report = imported(open_chain(REGTEST), b"")
    assert counts(report) == (0, 0, 0, 0) and report.complaints == []


def test_a_refused_block_is_told_with_the_rule_and_those_above_it_too() -> None:
    branches, blocks = branch(3)
    bad = branches.on(
        blocks[-1], coinbase=branches.coinbase(4, fees=1)
    )  # a satoshi more than there is
    above = branches.grow(bad, 2)
    chain = open_chain(REGTEST)
    report = imported(chain, framed([*blocks, bad, *above]))
    assert counts(report) == (3, 0, 3, 0)
    assert f"block {display(bad.hash)}: bad-cb-amount" in report.complaints[0]
    assert all("bad-prevblk" in complaint for complaint in report.complaints[1:])
    assert chain.tip.hash == blocks[-1].hash


def test_descendants_that_waited_for_a_bad_block_are_refused_when_it_comes() -> None:
    branches, blocks = branch(2)
    bad = branches.on(blocks[-1], coinbase=branches.coinbase(3, fees=1))
    above = branches.grow(bad, 2)
    chain = open_chain(REGTEST)
    report = imported(chain, framed([*above[::-1], bad, *blocks]))
    assert counts(report) == (2, 0, 3, 0)
    assert [
        display(block.hash) in complaint
        for block, complaint in zip([bad, *above], report.complaints, strict=True)
    ] == [True] * 3
    assert chain.tip.hash == blocks[-1].hash


def test_a_good_branch_beside_the_bad_one_is_taken() -> None:
    branches, blocks = branch(2)
    bad = branches.on(blocks[-1], coinbase=branches.coinbase(3, fees=1))
    good = branches.grow(blocks[-1], 1)
    chain = open_chain(REGTEST)
    report = imported(chain, framed([*branches.grow(bad, 3), bad, *good, *blocks]))
    assert counts(report) == (3, 0, 4, 0)
    assert chain.tip.hash == good[-1].hash


def test_blocks_whose_parents_never_come_are_counted() -> None:
    _, blocks = branch(5)
    chain = open_chain(REGTEST)
    report = imported(chain, framed([blocks[0], *blocks[2:]]))
    assert counts(report) == (1, 0, 0, 3)
    assert chain.height == 1
    # Once the missing one is there, importing again takes them in.
    assert counts(imported(chain, framed(blocks))) == (4, 1, 0, 0)
    assert chain.height == 5


def test_orphans_wait_from_one_file_to_the_next() -> None:
    _, blocks = branch(6)
    chain, orphans = open_chain(REGTEST), Orphans()
    first = imported(chain, framed(blocks[3:]), orphans=orphans)
    assert counts(first) == (0, 0, 0, 3)
    second = imported(chain, framed(blocks[:3]), orphans=orphans)
    assert counts(second) == (6, 0, 0, 0)
    assert (orphans.count, chain.height) == (0, 6)


def test_more_orphans_than_there_is_room_for_are_refused_and_can_come_again() -> None:
    _, blocks = branch(6)
    chain, orphans = open_chain(REGTEST), Orphans(most=2)
    report = imported(chain, framed(blocks[::-1]), orphans=orphans)
    assert counts(report) == (1, 0, 3, 2)
    assert sum("prev-blk-not-found" in complaint for complaint in report.complaints) == 3
    assert counts(imported(chain, framed(blocks))) == (5, 1, 0, 0)
    assert chain.height == 6


def test_orphans_are_bounded_in_bytes_too() -> None:
    _, blocks = branch(4)
    orphans = Orphans(most_bytes=2 * blocks[1].total_size)
    report = imported(open_chain(REGTEST), framed(blocks[1:]), orphans=orphans)
    assert counts(report) == (0, 0, 1, 2)


def test_an_import_that_was_broken_off_goes_on() -> None:
    _, blocks = branch(3 * BATCH_BLOCKS)
    chain, data = open_chain(REGTEST), framed(blocks)
    halfway = next(reports(chain, data))  # after one batch
    assert 0 < halfway.new < len(blocks)
    rest = imported(chain, data)
    assert rest.known >= halfway.new
    assert rest.new + rest.known == len(blocks)
    assert chain.tip.hash == blocks[-1].hash


def test_two_branches_in_one_file_end_at_the_one_with_more_work() -> None:
    branches, blocks = branch(10)
    longer = branches.grow(blocks[4], 6)
    for order in ([*blocks, *longer], [*longer, *blocks], [*blocks[::-1], *longer[::-1]]):
        chain = open_chain(REGTEST)
        assert counts(imported(chain, framed(order))) == (16, 0, 0, 0)
        assert chain.tip.hash == longer[-1].hash


def test_only_so_many_sentences_are_kept() -> None:
    _, blocks = branch(1)
    junk: Iterable[bytes] = (b"?" + framed(blocks) for _ in range(MOST_COMPLAINTS + 5))
    report = imported(open_chain(REGTEST), b"".join(junk))
    assert len(report.complaints) == MOST_COMPLAINTS
    assert report.new + report.known == MOST_COMPLAINTS + 5
