"""bcoin, a full node that shares no code with ours, and ours, over TCP on regtest."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps

import pytest

from drystone.consensus.coins import Coin
from drystone.node.events import BlockRefused, NewTip, PeerLeft, TxRefused
from drystone.primitives.hashes import BlockHash, Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxOut
from tests.support.bcoin import SIGNALLED, Bcoin, Pair, hash_of, missing
from tests.support.spending import Lock, p2pkh_lock, p2wpkh_lock, spend

pytestmark = [
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
    pytest.mark.timeout(120),
]

FEE = 10_000


def scene(play: Callable[[Pair], Coroutine[None, None, None]]) -> Callable[[], None]:
    """A test of one node of ours and one bcoin node."""

    @wraps(play)
    def test() -> None:
        async def whole() -> None:
            async with Pair() as pair:
                await play(pair)
                assert not pair.told(BlockRefused) and not pair.told(TxRefused)
                assert not any(left.misbehaved for left in pair.told(PeerLeft))
                assert not pair.bcoin.count("ban") and not pair.bcoin.count("error")

        asyncio.run(whole())

    del test.__wrapped__  # pytest would ask it for its arguments
    return test


def left(pair: Pair) -> list[str]:
    """Why connections have ended."""
    return [one.reason for one in pair.told(PeerLeft)]


async def paid(pair: Pair, height: int, lock: Lock) -> Transaction:
    """A transaction of bcoin's: the reward of one of its blocks, to a script."""
    coinbase = pair.chain.block(pair.chain.at(height).hash).coinbase
    shown = await pair.bcoin.call("pay", coinbase.txid[::-1].hex(), 0, lock.script_pubkey.hex())
    txid = Txid(hash_of(shown))
    await pair.until(lambda: txid in pair.ours.node.mempool)
    entry = pair.ours.node.mempool.get(txid)
    assert entry is not None
    return entry.tx


def spent(tx: Transaction, lock: Lock, script_pubkey: bytes) -> Transaction:
    """A transaction of ours: the output of another, to a script."""
    coin = OutPoint(tx.txid, 0), Coin(tx.vout[0], 0, is_coinbase=False)
    return spend([coin], [lock], [TxOut(tx.vout[0].value - FEE, script_pubkey)])


@scene
async def test_each_side_mines_and_the_other_follows(pair: Pair) -> None:
    await pair.dial()
    await pair.agree(await pair.bcoin.mine(SIGNALLED))
    for count in (1, 3):
        await pair.agree(await pair.mine(count))
        await pair.agree(await pair.bcoin.mine(count))
    assert pair.bcoin.height == SIGNALLED + 8 == pair.chain.height
    assert left(pair) == []


@scene
async def test_from_genesis_on_bcoin_takes_blocks_though_it_knows_no_witnesses_yet(
    pair: Pair,
) -> None:
    await pair.dial()
    await pair.agree(await pair.mine(2))
    await pair.agree(await pair.bcoin.mine(2))
    await pair.agree(await pair.mine())


@scene
async def test_transactions_travel_both_ways_and_are_mined_by_the_other_side(pair: Pair) -> None:
    await pair.dial()
    await pair.agree(await pair.bcoin.mine(SIGNALLED))
    scripts = {name: bytes.fromhex(raw) for name, raw in (await pair.bcoin.call("scripts")).items()}
    locks = {"p2pkh": p2pkh_lock(), "p2wpkh": p2wpkh_lock()}
    theirs = [await paid(pair, height, lock) for height, lock in enumerate(locks.values(), 1)]
    await pair.agree(await pair.mine())
    mined = pair.chain.block(pair.chain.tip.hash)
    assert {tx.txid for tx in mined.vtx[1:]} == {tx.txid for tx in theirs}

    ours = [
        spent(tx, lock, scripts[name])
        for tx, (name, lock) in zip(theirs, locks.items(), strict=True)
    ]
    for tx in ours:
        assert (await pair.ours.submit(tx)).error is None
    for tx in ours:
        await pair.share(tx)
    await pair.agree(await pair.bcoin.mine())
    mined = pair.chain.block(pair.chain.tip.hash)
    assert {tx.wtxid for tx in mined.vtx[1:]} == {tx.wtxid for tx in ours}
    assert len(pair.ours.node.mempool) == 0
    assert left(pair) == []


@pytest.mark.parametrize("is_ours_longer", [True, False], ids=["ours wins", "bcoin's wins"])
def test_a_fork_mined_while_cut_is_resolved_to_the_same_tip(*, is_ours_longer: bool) -> None:
    @scene
    async def play(pair: Pair) -> None:
        await pair.dial()
        common = await pair.bcoin.mine(SIGNALLED)
        await pair.agree(common)
        await pair.cut()
        ours = await pair.mine(6 if is_ours_longer else 4)
        theirs = await pair.bcoin.mine(5)
        assert pair.chain.tip.hash == ours and pair.bcoin.tip == theirs
        await pair.dial()
        if is_ours_longer:
            # Whom we dial, bcoin asks nothing; the next block tells it of all.
            await pair.agree(await pair.mine())
        else:
            await pair.agree(theirs)
            (reorg,) = [news for news in pair.told(NewTip) if news.is_reorg]
            assert len(reorg.change.disconnected) == 4
        await pair.agree(await pair.bcoin.mine())

    play()


@scene
async def test_a_connection_that_bcoin_ends_is_dialled_again(pair: Pair) -> None:
    await pair.dial()
    await pair.agree(await pair.bcoin.mine(SIGNALLED))
    for _ in range(2):
        before = pair.bcoin.count("open")
        await pair.bcoin.call("hang_up")
        theirs = await pair.bcoin.mine(2)
        await pair.open(before)
        await pair.agree(theirs)
        await pair.agree(await pair.mine())
    assert len(left(pair)) == 2


@scene
async def test_bcoin_dials_us_and_gets_and_gives_as_well(pair: Pair) -> None:
    await pair.bcoin.mine(SIGNALLED)
    await pair.be_dialled()
    await pair.agree(pair.bcoin.tip)
    tx = await paid(pair, 1, p2pkh_lock())
    await pair.agree(await pair.mine())
    await pair.cut()
    await pair.bcoin.mine(2)
    ours = await pair.mine(3)
    await pair.be_dialled()
    await pair.agree(ours)  # bcoin asks whom it dials
    await pair.agree(await pair.bcoin.mine())
    again = spent(tx, p2pkh_lock(), p2pkh_lock().script_pubkey)
    assert (await pair.ours.submit(again)).error is None
    await pair.share(again)


@scene
async def test_thousands_of_blocks_are_synchronised_in_both_directions(pair: Pair) -> None:
    theirs = await pair.bcoin.mine(2_000)
    await pair.dial()
    await pair.agree(theirs)
    await pair.cut()
    ours = await pair.mine(2_000)
    await pair.be_dialled()
    await pair.agree(ours)
    assert pair.bcoin.height == 4_000


def test_bcoin_ends_with_whoever_started_it() -> None:
    async def whole() -> None:
        async with await Bcoin.start() as bcoin:
            assert await bcoin.end() == 0

    asyncio.run(whole())


def test_hashes_are_read_as_people_write_them() -> None:
    assert hash_of("00" * 31 + "ff") == BlockHash(b"\xff" + bytes(31))
