"""A chain that begins with little work is sent twice, and nobody can send two different ones."""

from dataclasses import replace

import pytest
from tests.support.blocktree import GENESIS

from drystone.chain.tree import BlockTree
from drystone.consensus.chains import MAINNET, REGTEST
from drystone.core.chance import Stream
from drystone.p2p import presync as module
from drystone.p2p.presync import HeadersPresync
from drystone.primitives.block import BlockHeader
from drystone.primitives.hashes import BlockHash

START = BlockTree(GENESIS).genesis
NOW_S = GENESIS.time + 10**6
WORK = START.chainwork  # of a header of regtest: two hashes
BATCH = 50


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMITMENT_PERIOD", 4)
    monkeypatch.setattr(module, "REDOWNLOAD_BUFFER_SIZE", 100)


def headers(count: int, nonce: int = 0, on: BlockHash = GENESIS.hash) -> list[BlockHeader]:
    made = []
    for _ in range(count):
        header = replace(GENESIS, prev_hash=on, nonce=nonce)
        made.append(header)
        on = header.hash
    return made


def presync(blocks_of_work: int, seed: int = 1) -> HeadersPresync:
    needed = WORK * (1 + blocks_of_work)
    return HeadersPresync(START, needed, params=REGTEST, dice=Stream(seed), now_s=NOW_S)


def send(one: HeadersPresync, chain: list[BlockHeader]) -> tuple[bool, list[BlockHeader]]:
    """As an honest peer answers, up to the end of this stage."""
    stage = one.stage
    accepted: list[BlockHeader] = []
    while one.stage is stage:
        first = one.locator().hashes[0]
        hashes = [GENESIS.hash, *(header.hash for header in chain)]
        at = hashes.index(first) if first in hashes else 0
        batch = chain[at : at + BATCH]
        if not batch:
            break
        step = one.take(batch, is_full=len(batch) == BATCH)
        accepted += step.accepted
        if not step.is_good:
            return False, accepted
        if not step.ask_more:
            break
    return True, accepted


def test_a_chain_of_enough_work_is_taken_in_the_second_time() -> None:
    chain = headers(500)
    one = presync(400)
    assert send(one, chain) == (True, [])
    assert one.stage.name == "REDOWNLOAD" and one.locator().hashes == (GENESIS.hash,)
    assert send(one, chain) == (True, chain[:400])
    assert one.stage.name == "FINAL"
    assert not one.take(chain[400:], is_full=False).is_good


def test_a_chain_of_too_little_work_leaves_nothing() -> None:
    one = presync(501)
    assert send(one, headers(480)) == (True, [])
    assert one.stage.name == "FINAL"


def test_the_last_headers_are_held_back_until_the_work_is_enough() -> None:
    chain = headers(500)
    one = presync(450)
    send(one, chain)
    step = one.take(chain[:50], is_full=True)
    assert step.accepted == [] and step.ask_more
    one.take(chain[50:100], is_full=True)
    assert one.take(chain[100:150], is_full=True).accepted == chain[:50]
    assert len(one._held) == 100


def test_another_chain_the_second_time_is_found_out() -> None:
    found_out = 0
    for seed in range(20):
        one = presync(400, seed)
        send(one, headers(500))
        is_good, accepted = send(one, headers(500, nonce=1))
        found_out += not is_good and accepted == []
    assert found_out == 20  # each of 25 bits would have to be guessed


def test_a_chain_that_is_shorter_the_second_time_is_found_out() -> None:
    one = presync(400)
    send(one, headers(500))
    assert send(one, headers(320)) == (False, headers(220)[:200])


@pytest.mark.parametrize("second_time", [False, True])
def test_headers_that_do_not_follow_each_other_are_refused(*, second_time: bool) -> None:
    one = presync(400)
    if second_time:
        send(one, headers(500))
    assert one.take(headers(50), is_full=True).is_good
    assert not one.take(headers(120)[60:], is_full=True).is_good
    assert one.stage.name == "FINAL"


def test_more_headers_than_could_have_been_made_are_refused() -> None:
    needed = WORK * 10**6
    one = HeadersPresync(
        START, needed, params=REGTEST, dice=Stream(1), now_s=GENESIS.time - 7200 + 10
    )
    is_good, _ = send(one, headers(500))
    assert not is_good  # 60 headers at most in ten seconds


def test_difficulty_may_not_leap() -> None:
    """On mainnet, only the first of 2,016 blocks may have other bits than the last."""
    genesis = MAINNET.genesis.header
    start = BlockTree(genesis).genesis
    one = HeadersPresync(start, 2**256, params=MAINNET, dice=Stream(1), now_s=NOW_S)
    easier = replace(genesis, prev_hash=genesis.hash, bits=0x1D00FFFE)
    assert not one.take([easier], is_full=True).is_good
    one = HeadersPresync(start, 2**256, params=MAINNET, dice=Stream(1), now_s=NOW_S)
    assert one.take([replace(genesis, prev_hash=genesis.hash)], is_full=True).is_good


def test_which_headers_are_marked_is_a_secret() -> None:
    assert len({presync(1, seed)._offset for seed in range(20)}) == 4
    assert len({presync(1, seed)._salt for seed in range(20)}) == 20


def test_nothing_is_no_headers() -> None:
    assert not presync(10).take([], is_full=False).is_good
