"""Templates: blocks made of them keep every rule, and say what their chain asks for."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.blocks import MinedChain
from tests.support.mining import candidate, mined_on, template_on
from tests.support.spending import p2tr_key_lock, p2wpkh_lock, spend

from drystone.consensus.block import check_block, contextual_check_block
from drystone.consensus.chains import LOCAL, MAINNET, REGTEST, TESTNET4, variant
from drystone.consensus.coins import CoinsOverlay
from drystone.consensus.errors import BlockInvalid
from drystone.consensus.header import contextual_check_header
from drystone.consensus.limits import MAX_BLOCK_WEIGHT
from drystone.consensus.params import Params
from drystone.consensus.pow import is_proof_of_work, next_bits
from drystone.mining.search import solve
from drystone.mining.selection import (
    Limits,
    candidates_from_transactions,
    chunks_from_candidates,
)
from drystone.mining.template import Template, assemble, minimum_time
from drystone.primitives.block import BlockHeader
from drystone.primitives.hashes import NULL_HASH, BlockHash
from drystone.primitives.transaction import TxOut

COIN = 100_000_000
LATE_SEGWIT = variant(REGTEST, "late-segwit", activation_heights={"segwit": 10})


def test_blocks_of_templates_keep_every_rule() -> None:
    """Beyond the heights that are pushed as one opcode, beyond halving, retarget, new versions."""
    chain = MinedChain()
    for _ in range(160):
        mined_on(chain)
    values = [sum(txout.value for txout in block.coinbase.vout) for block in chain.blocks[1:]]
    assert values == [50 * COIN] * 149 + [25 * COIN] * 11
    assert {block.header.bits for block in chain.blocks} == {0x207FFFFF}
    versions = [block.header.version for block in chain.blocks[1:]]
    assert versions == [0x20000000] * 143 + [0x30000000] * 17  # testdummy has started


def test_a_block_with_transactions_keeps_every_rule_and_takes_their_fees() -> None:
    chain, lock, other = MinedChain(), p2wpkh_lock(), p2tr_key_lock()
    mined_on(chain, script_pubkey=lock.script_pubkey)
    coinbase = list(chain.coins.items())
    for _ in range(99):
        mined_on(chain)
    height = chain.height + 1
    parent = spend(coinbase, [lock], [TxOut(50 * COIN - 1000, other.script_pubkey)])
    view = CoinsOverlay(chain.coins, height)
    view.apply(parent, [coin for _, coin in coinbase])
    child = spend(list(view.created.items()), [other], [TxOut(50 * COIN - 5000, b"\x51")])

    candidates = candidates_from_transactions(
        [parent, child],
        chain.coins,
        height=height,
        median_time_at=chain.median_time_at,
        params=chain.params,
    )
    assert [(each.fee, each.sigop_cost) for each in candidates] == [(1000, 1), (4000, 0)]
    template = template_on(chain, chunks=chunks_from_candidates(candidates[::-1]))
    assert template.selection.fees == 5000
    assert template.reward == 50 * COIN + 5000
    assert template.selection.weight == 8000 + parent.weight + child.weight
    block = solve(template)
    assert block is not None
    assert block.vtx[1:] == (parent, child)
    assert chain.connect(block).fees == 5000


def test_outputs_besides_are_paid() -> None:
    chain = MinedChain()
    donation, note = TxOut(7, b"\x52"), TxOut(0, b"\x6a\x01x")
    block = mined_on(chain, outputs=[donation, note])
    assert block.coinbase.vout[:3] == (TxOut(50 * COIN - 7, b"\x51"), donation, note)


def test_a_template_is_the_same_whenever_it_is_made() -> None:
    chain = MinedChain()
    chain.mine(3)
    chunks = chunks_from_candidates([candidate(n) for n in range(5)])
    assert template_on(chain, chunks=chunks) == template_on(chain, chunks=iter(chunks))
    assert template_on(chain) != template_on(chain, now=chain.blocks[-1].header.time + 601)


def test_states_of_deployments_may_be_remembered() -> None:
    chain = MinedChain()
    chain.mine(145)
    states: Any = {}
    fresh = template_on(chain)
    assert [template_on(chain, states=states) for _ in range(2)] == [fresh, fresh]
    assert states


# Soft forks to come.


def test_before_segwit_no_witness_goes_in_and_afterwards_it_does() -> None:
    chain = MinedChain(LATE_SEGWIT)
    witnessed, plain = candidate(1, witness=(b"x",)), candidate(2)
    chunks = chunks_from_candidates([witnessed, plain])
    for _ in range(9):
        template = template_on(chain, chunks=chunks)
        assert template.transactions == (plain.tx,)
        assert not mined_on(chain).coinbase.has_witness
    assert set(template_on(chain, chunks=chunks).transactions) == {witnessed.tx, plain.tx}
    assert mined_on(chain).coinbase.has_witness


def test_a_block_without_witnesses_need_not_commit_to_that() -> None:
    chain = MinedChain()
    witnessed, plain = candidate(1, witness=(b"x",)), candidate(2)
    block = mined_on(chain, commits_always=False)
    assert len(block.coinbase.vout) == 1 and not block.coinbase.has_witness
    for one, outputs in ((witnessed, 2), (plain, 1)):
        template = template_on(chain, chunks=chunks_from_candidates([one]), commits_always=False)
        assert template.transactions == (one.tx,)
        assert len(template.coinbase.outputs) == outputs == 1 + len(template.coinbase.witness)


# Time, and bits that go by it.


def header(time: int, bits: int) -> BlockHeader:
    return BlockHeader(4, BlockHash(NULL_HASH), NULL_HASH, time, bits, 0)


def test_time_is_now_but_later_than_the_median() -> None:
    chain = MinedChain()
    chain.mine(20)
    median = chain.median_time_at(20)
    assert template_on(chain, now=median + 50).time == median + 50
    for now in (0, median, median + 1):
        assert template_on(chain, now=now).time == median + 1
    mined_on(chain, now=0)


@pytest.mark.parametrize("params", [MAINNET, TESTNET4], ids=lambda params: params.name)
def test_a_period_begins_at_most_ten_minutes_back(params: Params) -> None:
    """Where the chain has no such rule, too: the reference client sees to it everywhere."""
    parent = header(10_000, 0x1D00FFFF)
    assert minimum_time(parent, 2016, 5000, params) == 9400
    assert minimum_time(parent, 2017, 5000, params) == 5001
    assert minimum_time(parent, 2015, 5000, params) == 5001
    assert minimum_time(parent, 4032, 9400, params) == 9401


def test_a_template_can_be_had_for_a_later_time() -> None:
    chain = MinedChain()
    chain.mine(20)
    template = template_on(chain)
    later = template.at(template.time + 100)
    assert later == template_on(chain, now=template.time + 100)
    assert later.at(template.time) == template
    block = solve(later)
    assert block is not None
    chain.connect(block)
    with pytest.raises(ValueError, match=f"is {template.min_time} at least, not 5"):
        template.at(5)


REAL, LIMIT = 0x1C00FFFF, 0x1D00FFFF


def on_testnet4(parent_height: int, parent_bits: int, now: int) -> Template:
    """On a parent of time 100,000, in a period of real difficulty."""
    first = parent_height - parent_height % 2016
    headers = {first: header(90_000, REAL), parent_height: header(100_000, parent_bits)}
    return assemble(
        parent_height,
        lambda height: headers.get(height, headers[first]),
        median_time=95_000,
        now=now,
        script_pubkey=b"\x51",
        params=TESTNET4,
    )


@pytest.mark.parametrize("parent_bits", [REAL, LIMIT])
def test_on_testnet4_bits_go_by_time(parent_bits: int) -> None:
    early, late = (on_testnet4(4040, parent_bits, now) for now in (101_200, 101_201))
    assert (early.bits, late.bits) == (REAL, LIMIT)
    assert early.at(101_201) == late and late.at(101_200) == early
    assert early.target == 0xFFFF << 200 and late.target == 0xFFFF << 208


def test_at_a_retarget_they_do_not() -> None:
    early, late = (on_testnet4(4031, REAL, now) for now in (101_200, 999_999))
    assert early.bits == late.bits == early.at(999_999).bits
    assert early.min_time == 99_400


def test_where_they_do_not_a_later_time_keeps_them() -> None:
    headers = [header(1000 * n, 0x1E100000) for n in range(30)]
    for parent_height in (18, 19, 25):
        template = assemble(
            parent_height,
            headers.__getitem__,
            median_time=1000 * (parent_height - 5),
            now=10**6,
            script_pubkey=b"\x51",
            params=LOCAL,
        )
        expected = next_bits(parent_height, headers.__getitem__, 0, LOCAL)
        assert template.bits == template.at(10**9).bits == expected


def test_a_header_of_a_template_passes_the_rules_of_headers() -> None:
    template = on_testnet4(4031, REAL, 0)
    made = template.header(template.coinbase.transaction())
    context: dict[str, Any] = {
        "height": 4032,
        "expected_bits": template.bits,
        "previous_median_time": 95_000,
        "max_time": 10**9,
        "params": TESTNET4,
    }
    contextual_check_header(made, header(100_000, REAL), **context)
    with pytest.raises(BlockInvalid, match="time-timewarp-attack"):
        contextual_check_header(replace(made, time=99_399), header(100_000, REAL), **context)


# Limits.


def fits(template: Template, params: Params = REGTEST) -> bool:
    """Whether a block of it, with the longest extra nonce, keeps the rules that need no coins."""
    coinbase = template.coinbase.transaction(2**63 - 1)
    block = template.block(2**63 - 1, 0)
    assert block.coinbase == coinbase
    if not is_proof_of_work(block.hash, block.header.bits, params.pow_limit):
        params = replace(params, pow_assumed=True)
    check_block(block, params)
    contextual_check_block(
        block, height=template.height, previous_median_time=template.min_time - 1, params=params
    )
    return block.weight <= MAX_BLOCK_WEIGHT


def test_what_is_reserved_is_enough_for_any_coinbase() -> None:
    """However many outputs it has, and though the rest of the block is full to the brim."""
    chain = MinedChain()
    rest = [candidate(n, padding=90_000) for n in range(12)]
    for outputs in ([], [TxOut(1, bytes(5000))] * 20):
        template = template_on(chain, chunks=chunks_from_candidates(rest), outputs=outputs)
        assert fits(template)
        assert 8 < len(template.transactions) < 12
        padding = (4_000_000 - template.selection.weight) // 4 - 100
        filler = candidate(99, fee=1 + padding // 200, padding=padding)  # the worst rate of all
        template = template_on(
            chain, chunks=chunks_from_candidates([*rest, filler]), outputs=outputs
        )
        assert filler.tx in template.transactions
        assert fits(template)
        assert template.block(2**63 - 1, 0).weight > 4_000_000 - 8000


def test_what_a_coinbase_has_of_sigops_is_reserved() -> None:
    chain = MinedChain()
    chunks = chunks_from_candidates([candidate(1, sigop_cost=79_000)])
    assert template_on(chain, chunks=chunks).transactions
    greedy = TxOut(0, b"\xac" * 300)
    assert not template_on(chain, chunks=chunks, outputs=[greedy]).transactions


def test_limits_may_be_narrower() -> None:
    chain = MinedChain()
    chunks = chunks_from_candidates([candidate(n) for n in range(10)])
    weight = chunks[0].weight
    limits = Limits(max_weight=8000 + 3 * weight + 1)
    assert len(template_on(chain, chunks=chunks, limits=limits).transactions) == 3


# Chains without work.


def test_where_work_is_assumed_any_nonce_will_do() -> None:
    params = variant(LOCAL, "assumed", pow_assumed=True)
    template = template_on(MinedChain(params))
    block = solve(template)
    assert block is not None and block.header.nonce == 0
    assert template.bits == 0x1F00FFFF
    check_block(block, params)
