"""mempool.dat: what was kept comes back, and what can't be read is told."""

import pytest
from tests.support.mempool import NOW, Place, check_pool, owned

from drystone.mempool.dump import Dump, read_dump
from drystone.mempool.outcomes import Restored
from drystone.mempool.pool import Mempool
from drystone.primitives.hashes import Txid

KEY = bytes(range(1, 9))


@pytest.fixture
def place() -> Place:
    """A pool with a chain of three, a delta, a delta of another, and one not sent yet."""
    place = Place()
    chain = place.chain_of(3)
    place.let_in(*chain)
    place.pool.prioritise(chain[1].txid, 77)
    place.pool.prioritise(Txid(b"\7" * 32), -5)
    place.pool.unbroadcast[chain[2].txid] = None
    return place


def other(place: Place) -> Place:
    """The same chain, another mempool."""
    return Place(place.policy, dict(place.coins), place.height, place.now)


@pytest.mark.parametrize("key", [KEY, None], ids=["version 2", "version 1"])
def test_what_was_kept_comes_back(place: Place, key: bytes | None) -> None:
    data = place.pool.dump().encode(key)
    new = other(place)
    restored = new.pool.restore(read_dump(data), new.view, NOW + 60)
    assert restored == Restored(3, 0, 0, 0, None)
    assert new.pool.deltas == place.pool.deltas
    assert new.pool.unbroadcast == place.pool.unbroadcast
    assert {e.tx: e.time for e in new.pool} == {e.tx: NOW for e in place.pool}
    assert new.pool.dump() == place.pool.dump()
    check_pool(new)


def test_the_layout_is_the_reference_clients() -> None:
    place = Place()
    (tx,) = place.let_in(place.pay())
    plain = place.pool.dump().encode(None)
    assert plain == (
        b"\1"
        + bytes(7)
        + b"\1"
        + bytes(7)
        + tx.encode()
        + NOW.to_bytes(8, "little")
        + bytes(8)
        + b"\0\0"
    )
    masked = place.pool.dump().encode(KEY)
    assert masked[:17] == b"\2" + bytes(7) + b"\x08" + KEY
    body = bytes(byte ^ KEY[at % 8] for at, byte in enumerate(masked[17:], start=17))
    assert body == plain[8:]


def test_old_ones_stay_away_and_those_that_are_there_stay(place: Place) -> None:
    dump = place.pool.dump()
    assert place.pool.restore(dump, place.view, NOW).already_there == 3
    late = other(place)
    assert late.pool.restore(dump, late.view, NOW + 336 * 3_600) == Restored(0, 0, 3, 0, None)
    poor = other(place)
    poor.coins.clear()
    assert poor.pool.restore(dump, poor.view, NOW) == Restored(0, 3, 0, 0, None)
    assert not poor.pool.unbroadcast


def test_a_cut_file_gives_what_can_be_read(place: Place) -> None:
    data = place.pool.dump().encode(KEY)
    whole = read_dump(data)
    counts = set()
    for end in range(len(data)):
        cut = read_dump(data[:end])
        assert cut.trouble is not None and "\n" not in cut.trouble
        assert whole.transactions[: len(cut.transactions)] == cut.transactions
        counts.add(len(cut.transactions))
    assert counts == {0, 1, 2, 3}
    new = other(place)
    restored = new.pool.restore(read_dump(data[:-1]), new.view, NOW)
    assert (restored.accepted, restored.trouble is None) == (3, False)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\3" + bytes(7), "version 3 of mempool.dat is not known"),
        (b"\2" + bytes(7) + b"\2\1\1", "a key has 8 bytes, not 2"),
        (b"\2" + bytes(7) + b"\x09", "a length of 9, at most 8 is allowed"),
        (Dump().encode(KEY) + b"x", "1 bytes after the end"),
        (b"\1" + bytes(7) + b"\xff" * 8, "the transaction at offset 16 ends too early"),
    ],
)
def test_what_is_no_dump_is_told_in_a_line(data: bytes, says: str) -> None:
    assert read_dump(data).trouble == says


def test_a_key_of_another_length_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        Dump().encode(b"short")


def test_children_are_kept_after_their_parents() -> None:
    place = Place()
    parent = place.pay(fee=500)
    place.let_in(parent, place.pay(owned(parent), fee=50_000))
    assert next(saved.tx for saved in place.pool.dump().transactions) == parent
    assert isinstance(place.pool, Mempool)
