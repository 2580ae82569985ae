"""The blocks that `local` begins with: made as they say, and valid by all rules."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from tests.support.blocks import MinedChain
from tests.support.mining import template_on
from tests.support.spending import p2wpkh_lock, spend

from drystone.consensus.chains import LOCAL
from drystone.consensus.errors import TxPremature
from drystone.consensus.pow import next_bits
from drystone.core.errors import UserError
from drystone.drivers import history as driver
from drystone.drivers.history import HISTORY_FILE, local_history
from drystone.mining.accounts import FUNDED, account
from drystone.mining.history import (
    HISTORY_HEIGHT,
    decode_history,
    encode_history,
    history_time,
    mine_history,
)
from drystone.mining.search import solve
from drystone.mining.selection import candidates_from_transactions, chunks_from_candidates
from drystone.primitives.transaction import OutPoint, TxOut

COIN = 100_000_000
SHIPPED = Path(driver.__file__).parent / HISTORY_FILE


@pytest.fixture(scope="module")
def chain() -> MinedChain:
    """All of it, each block checked by the rules of headers, blocks and coins."""
    connected = MinedChain(LOCAL)
    for block in local_history():
        connected.connect(block)
    return connected


def test_mined_anew_it_is_the_same_byte_for_byte() -> None:
    """Every nonce is tried from 0 on, so these are the lowest."""
    assert encode_history(mine_history()) == SHIPPED.read_bytes()


def test_it_keeps_all_rules_from_genesis_on(chain: MinedChain) -> None:
    assert chain.height == HISTORY_HEIGHT == 119
    assert len(chain.coins) == 119  # commitments can't be spent


def test_its_target_never_moves_and_the_next_period_begins_with_it(chain: MinedChain) -> None:
    assert {block.header.bits for block in chain.blocks} == {0x1F00FFFF}
    for now in (0, 10**9, 4 * 10**9):  # however late the network is started
        assert next_bits(119, chain.header_at, now, LOCAL) == 0x1F00FFFF


def test_each_period_lasts_200_seconds(chain: MinedChain) -> None:
    times = [block.header.time for block in chain.blocks]
    assert times == [history_time(height) for height in range(120)]
    for first in range(0, 120, 20):
        gaps = [later - earlier for earlier, later in pairwise(times[first : first + 20])]
        assert sum(gaps) == 200
        assert sorted(gaps) == [10] * 9 + [11] * 10
    assert times[-1] - times[0] == 1250


def test_alice_bob_and_carol_take_turns(chain: MinedChain) -> None:
    paid = [block.coinbase.vout[0] for block in chain.blocks[1:]]
    scripts = [account(name).script_pubkey for name in FUNDED]
    assert [txout.script_pubkey for txout in paid] == (scripts * 40)[:119]
    assert {txout.value for txout in paid} == {50 * COIN}


@pytest.mark.parametrize(("height", "name"), [(1, "alice"), (19, "alice"), (20, "bob")])
def test_rewards_of_1_to_20_can_be_spent_in_block_120(
    chain: MinedChain, height: int, name: str
) -> None:
    outpoint = OutPoint(chain.blocks[height].coinbase.txid, 0)
    lock = p2wpkh_lock(account(name).secret)
    spending = spend([(outpoint, chain.coins[outpoint])], [lock], [TxOut(49 * COIN, b"\x51")])
    candidates = candidates_from_transactions(
        [spending],
        chain.coins,
        height=120,
        median_time_at=chain.median_time_at,
        params=LOCAL,
    )
    template = template_on(chain, chunks=chunks_from_candidates(candidates))
    block = solve(template)
    assert block is not None and block.vtx[1:] == (spending,)
    chain.verify(block)


def test_rewards_of_later_blocks_can_not(chain: MinedChain) -> None:
    outpoint = OutPoint(chain.blocks[21].coinbase.txid, 0)
    lock = p2wpkh_lock(account("carol").secret)
    spending = spend([(outpoint, chain.coins[outpoint])], [lock], [TxOut(49 * COIN, b"\x51")])
    with pytest.raises(TxPremature, match="premature-spend-of-coinbase"):
        candidates_from_transactions(
            [spending],
            chain.coins,
            height=120,
            median_time_at=chain.median_time_at,
            params=LOCAL,
        )


# The file.


def test_it_is_read_once_per_process() -> None:
    assert local_history() is local_history()


def test_what_is_written_is_read() -> None:
    blocks = local_history()[:3]
    assert decode_history(encode_history(blocks)) == blocks
    assert decode_history(b"") == ()


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (lambda data: data[:-1], "the history of local, local_history.dat, is damaged: install"),
        (lambda data: data[:-1] + b"x", "is damaged: install drystone anew"),
        (lambda data: b"", "is damaged: install drystone anew"),
        (None, "the history of local can't be read: .*; install drystone anew"),
    ],
)
def test_a_damaged_installation_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    damaged: Callable[[bytes], bytes] | None,
    told: str,
) -> None:
    if damaged is not None:
        (tmp_path / HISTORY_FILE).write_bytes(damaged(SHIPPED.read_bytes()))
    monkeypatch.setattr(driver, "files", lambda _: tmp_path)
    local_history.cache_clear()
    try:
        with pytest.raises(UserError, match=f"^[^\n]*{told}[^\n]*$"):
            local_history()
    finally:
        local_history.cache_clear()
