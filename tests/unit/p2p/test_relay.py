"""Which transactions a peer hears of, when, and in which order."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from drystone.core.chance import Stream
from drystone.core.time import SECOND_NS
from drystone.p2p.recent import Recent
from drystone.p2p.relay import (
    INBOUND_INVENTORY_BROADCAST_INTERVAL_NS,
    INVENTORY_BROADCAST_TARGET,
    KNOWN_TRANSACTIONS,
    MAX_QUEUED,
    OUTBOUND_INVENTORY_BROADCAST_INTERVAL_NS,
    TxRelay,
)
from drystone.p2p.requests import GenTxid

S = SECOND_NS
INBOUND, OTHER_INBOUND, OUTBOUND, OLD, TRUSTED = 1, 2, 3, 4, 5


def tx(n: int) -> tuple[bytes, bytes]:
    """A txid and a wtxid."""
    return sha256(b"%d" % n).digest(), sha256(b"w%d" % n).digest()


def mean(mean_ns: int) -> int:
    """As if every delay were the average one."""
    return mean_ns


def everything(_peer: int, hashes: Sequence[bytes]) -> Iterable[bytes]:
    return hashes


def relay() -> TxRelay:
    one = TxRelay(mean)
    one.connected(INBOUND, is_inbound=True, wtxid_relay=True)
    one.connected(OTHER_INBOUND, is_inbound=True, wtxid_relay=True)
    one.connected(OUTBOUND, is_inbound=False, wtxid_relay=True)
    one.connected(OLD, is_inbound=False, wtxid_relay=False)
    return one


def test_peers_hear_of_a_transaction_by_the_name_they_want() -> None:
    one = relay()
    assert one.due_at() is None
    one.announce(*tx(1), now_ns=0)
    txid, wtxid = tx(1)
    assert one.due_at() == OUTBOUND_INVENTORY_BROADCAST_INTERVAL_NS
    assert one.due(2 * S - 1, everything) == {}
    assert one.due(2 * S, everything) == {
        OUTBOUND: [GenTxid(wtxid, is_wtxid=True)],
        OLD: [GenTxid(txid, is_wtxid=False)],
    }
    assert one.due_at() == INBOUND_INVENTORY_BROADCAST_INTERVAL_NS
    assert list(one.due(5 * S, everything)) == [INBOUND, OTHER_INBOUND]
    assert one.due_at() is None


def test_all_who_dialled_us_hear_at_the_same_time() -> None:
    one = relay()
    one.announce_to(INBOUND, *tx(1), now_ns=0)
    one.announce_to(OTHER_INBOUND, *tx(2), now_ns=4 * S)
    assert list(one.due(5 * S, everything)) == [INBOUND, OTHER_INBOUND]
    one.announce_to(INBOUND, *tx(3), now_ns=6 * S)
    assert one.due_at() == 11 * S


def test_who_knows_it_does_not_hear_of_it() -> None:
    one = relay()
    _, wtxid = tx(1)
    one.knows(OUTBOUND, wtxid)
    one.announce(*tx(1), now_ns=0)
    one.knows(INBOUND, wtxid)  # it has told us meanwhile
    told = one.due(5 * S, everything)
    assert set(told) == {OTHER_INBOUND, OLD}
    one.announce(*tx(1), now_ns=6 * S)  # whoever heard of it, too
    assert one.due_at() is None or set(one.due(60 * S, everything)) == set()
    one.knows(99, wtxid)


def test_who_is_trusted_hears_at_once() -> None:
    one = relay()
    one.connected(TRUSTED, is_inbound=True, wtxid_relay=True, at_once=True)
    one.announce(*tx(1), now_ns=7)
    assert one.due_at() == 7 and list(one.due(7, everything)) == [TRUSTED]


def test_a_few_at_a_time_and_more_if_many_wait() -> None:
    one = relay()
    for n in range(100):
        one.announce_to(OUTBOUND, *tx(n), now_ns=0)
    told = one.due(2 * S, everything)[OUTBOUND]
    assert [name.hash for name in told] == [tx(n)[1] for n in range(INVENTORY_BROADCAST_TARGET)]
    assert one.queued(OUTBOUND) == 65 and one.due_at() == 4 * S
    for n in range(100, 2035):
        one.announce_to(OUTBOUND, *tx(n), now_ns=2 * S)
    assert len(one.due(4 * S, everything)[OUTBOUND]) == INVENTORY_BROADCAST_TARGET + 10
    for n in range(10_000, 10_000 + MAX_QUEUED):
        one.announce_to(OUTBOUND, *tx(n), now_ns=4 * S)
    assert one.queued(OUTBOUND) == MAX_QUEUED


def test_the_pool_chooses_the_order_and_what_is_left_out() -> None:
    one = relay()
    for n in range(10):
        one.announce_to(OUTBOUND, *tx(n), now_ns=0)

    def choose(peer: int, hashes: Sequence[bytes]) -> list[bytes]:
        assert peer == OUTBOUND and len(hashes) == 10
        return [hashes[7], hashes[2]]

    assert [name.hash for name in one.due(2 * S, choose)[OUTBOUND]] == [tx(7)[1], tx(2)[1]]
    assert one.queued(OUTBOUND) == 0
    one.announce_to(OUTBOUND, *tx(3), now_ns=2 * S)  # it was not told, so it may be
    assert one.queued(OUTBOUND) == 1
    assert one.due(4 * S, lambda _peer, _hashes: []) == {}


def test_who_is_gone_hears_nothing() -> None:
    one = relay()
    one.announce(*tx(1), now_ns=0)
    for peer in (INBOUND, OTHER_INBOUND, OUTBOUND, OLD, OLD):
        one.disconnected(peer)
    assert one.due(100 * S, everything) == {} and one.due_at() is None and one.queued(OLD) == 0


def test_what_peers_know_is_bounded() -> None:
    one = relay()
    for n in range(10 * KNOWN_TRANSACTIONS):
        one.knows(INBOUND, tx(n)[1])
    assert len(one._listeners[INBOUND].known) <= 2 * KNOWN_TRANSACTIONS


@given(st.lists(st.integers(0, 30), max_size=100), st.integers(1, 10))
def test_the_last_are_remembered_and_not_many_more(items: list[int], least: int) -> None:
    recent: Recent[int] = Recent(least)
    for item in items:
        recent.add(item)
    for item in items[-least:]:
        assert item in recent
    assert len(recent) <= 2 * least
    recent.clear()
    assert len(recent) == 0 and 1 not in recent


def test_equal_draws_give_equal_times() -> None:
    def play(seed: int) -> list[int | None]:
        stream = Stream(seed)
        one = TxRelay(lambda mean_ns: stream.below(2 * mean_ns))
        one.connected(INBOUND, is_inbound=True, wtxid_relay=True)
        one.connected(OUTBOUND, is_inbound=False, wtxid_relay=True)
        times = []
        for n in range(20):
            one.announce(*tx(n), now_ns=n * S)
            times.append(one.due_at())
            one.due(n * S, everything)
        return times

    assert play(1) == play(1) != play(2)
