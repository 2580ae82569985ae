"""Mempools under whatever comes, against what is worked out anew from their transactions."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mempool import Place, check_pool
from tests.support.mempool_play import ANYONE, POLICY, coin_of, is_better, played

from drystone.mempool.diagram import Point, diagram, differences, improves, rough_diagram
from drystone.mempool.dump import read_dump
from drystone.primitives.transaction import Transaction, TxIn, TxOut

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_all_that_must_hold_holds(seed: int) -> None:
    """Sums, clusters, limits, order; nothing spent twice, no replacement that makes it worse."""
    play = played(seed, steps=220)
    assert play.seen["accepted"] > 20


def test_much_of_what_can_happen_does() -> None:
    """Or the test above would prove little."""
    seen = {what for seed in (1, 2, 3) for what in played(seed, steps=220).seen}
    assert {"replaced", "package accepted", "insufficient fee", "TRUC-violation"} <= seen
    assert {"too-large-cluster", "mempool min fee not met", "rival mined 1"} <= seen
    assert any(what.startswith("took back") and what != "took back 0" for what in seen)


def test_a_run_is_a_function_of_its_seed_whatever_the_hash_seed() -> None:
    hashes = set()
    for hash_seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.mempool_play", "5", "150"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        hashes.add(done.stdout)
    assert len(hashes) == 1


# ---------------------------------------------------------------------- order of arrival


@st.composite
def families(draw: st.DrawFn) -> list[tuple[list[int], int]]:
    """For each transaction its parents, of lower numbers, and its fee."""
    count = draw(st.integers(1, 8))
    fees = st.integers(50, 5_000)
    return [
        (sorted(draw(st.sets(st.integers(0, n - 1), max_size=3))) if n else [], draw(fees))
        for n in range(count)
    ]


def related(place: Place, families: Sequence[tuple[Sequence[int], int]]) -> list[Transaction]:
    """Transactions that spend each other so, each of a coin in the chain besides."""
    made: list[Transaction] = []
    taken: dict[int, int] = {}
    for parents, fee in families:
        coins = [place.fund(ANYONE, 100_000)]
        for parent in parents:
            coins.append(coin_of(made[parent], taken.setdefault(parent, 0)))
            taken[parent] += 1
        value = sum(each.coin.output.value for each in coins) - fee
        vout = [TxOut(value // 8, ANYONE.script_pubkey)] * 7
        vout.append(TxOut(value - value // 8 * 7, ANYONE.script_pubkey))
        made.append(Transaction(2, tuple(TxIn(each.outpoint) for each in coins), tuple(vout)))
    return made


@given(families(), st.data())
def test_the_order_of_a_template_does_not_depend_on_who_came_first(
    families: list[tuple[list[int], int]], data: st.DataObject
) -> None:
    first, second = Place(POLICY), Place(POLICY)
    transactions = related(first, families)
    second.coins = first.coins
    first.let_in(*transactions)
    waiting = dict(enumerate(transactions))
    while waiting:
        ready = [n for n in waiting if not any(p in waiting for p in families[n][0])]
        second.let_in(waiting.pop(data.draw(st.sampled_from(ready))))
    orders = [
        [[entry.tx.txid for entry in chunk.entries] for chunk in place.pool.chunks()]
        for place in (first, second)
    ]
    assert orders[0] == orders[1]
    check_pool(second)


@given(families())
def test_taking_a_whole_block_back_ends_where_it_began(
    families: list[tuple[list[int], int]],
) -> None:
    """Mined all at once and resurrected, the mempool offers the same template."""
    place = Place(POLICY)
    transactions = related(place, families)
    coins = dict(place.coins)
    place.let_in(*transactions)
    before = [[entry.tx.txid for entry in chunk.entries] for chunk in place.pool.chunks()]
    place.mine(*transactions)
    assert len(place.pool) == 0
    place.height -= 1
    place.coins = coins
    place.pool.follow(place.view, place.now, connected=(), unconfirmed=transactions, is_reorg=True)
    after = [[entry.tx.txid for entry in chunk.entries] for chunk in place.pool.chunks()]
    assert after == before
    check_pool(place)


# ---------------------------------------------------------------------- mempool.dat


@given(st.binary(max_size=200), st.sampled_from([b"", b"\1" + bytes(7), b"\2" + bytes(7)]))
def test_no_bytes_keep_a_dump_from_being_read(data: bytes, version: bytes) -> None:
    dump = read_dump(version + data)
    assert dump.trouble is None or "\n" not in dump.trouble


@given(families(), st.binary(min_size=8, max_size=8), st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_dump_gives_what_came_before_the_damage(
    families: list[tuple[list[int], int]], key: bytes, at: int, value: int
) -> None:
    place = Place(POLICY)
    place.let_in(*related(place, families))
    data = bytearray(place.pool.dump().encode(key))
    assert read_dump(bytes(data)) == place.pool.dump()
    data[at % len(data)] ^= value
    new = Place(POLICY, place.coins)
    restored = new.pool.restore(read_dump(bytes(data)), new.view, new.now)
    assert restored.accepted <= len(families)
    check_pool(new)


# ---------------------------------------------------------------------- diagrams


@st.composite
def diagrams(draw: st.DrawFn) -> list[Point]:
    """Corners of chunks in falling order of rate; small numbers, so that much is equal."""
    chunks = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(-2, 12)), max_size=5))
    chunks.sort(key=lambda chunk: chunk[1] / chunk[0], reverse=True)
    points = [Point(0, 0)]
    for weight, fee in chunks:
        points.append(Point(points[-1].weight + weight, points[-1].fee + fee))
    return points


@given(families(), st.data())
def test_a_rough_diagram_is_nowhere_above_the_true_one(
    families: list[tuple[list[int], int]], data: st.DataObject
) -> None:
    place = Place(POLICY)
    transactions = related(place, families)
    place.let_in(*transactions)
    known = transactions[: data.draw(st.integers(0, len(transactions)))]
    clusters = list(place.pool.clusters())
    rough = rough_diagram(clusters, {tx.txid: n for n, tx in enumerate(known)})
    assert rough[-1] == diagram(clusters)[-1]
    assert not is_better(rough, diagram(clusters))
    assert all(ahead <= 0 for ahead in differences(rough, diagram(clusters)))


@given(diagrams(), diagrams())
def test_a_diagram_improves_on_another_if_it_is_higher_and_never_lower(
    new: list[Point], old: list[Point]
) -> None:
    assert improves(new, old) is is_better(new, old)
    assert not (improves(new, old) and improves(old, new))
    assert not improves(new, new)
