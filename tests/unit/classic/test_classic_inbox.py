"""Where datagrams wait, bounded as in a socket's buffer."""

import pytest

from drystone.classic.inbox import BUFFER_BYTES, DATAGRAM_OVERHEAD_BYTES, Inbox


def test_datagrams_come_out_in_the_order_in_which_they_came() -> None:
    inbox = Inbox()
    for n in range(20):
        assert inbox.put(bytes([n]))
    assert len(inbox) == 20
    assert [inbox.pop() for _ in range(20)] == [bytes([n]) for n in range(20)]
    assert not inbox


def test_an_empty_inbox_has_nothing_to_take() -> None:
    with pytest.raises(IndexError):
        Inbox().pop()


def test_a_full_inbox_loses_what_is_new_and_keeps_what_has_waited() -> None:
    inbox = Inbox(limit_bytes=3 * (100 + DATAGRAM_OVERHEAD_BYTES))
    kept = [inbox.put(bytes([n]) * 100) for n in range(5)]
    assert kept == [True, True, True, False, False]
    assert inbox.pop() == b"\0" * 100
    assert inbox.put(b"\7" * 100)
    assert not inbox.put(b"")
    assert [inbox.pop()[0] for _ in range(3)] == [1, 2, 7]


@pytest.mark.parametrize("size_bytes", [0, 1, 75, 9216, 65_507])
def test_whatever_the_size_of_datagrams_an_inbox_holds_no_more_than_a_socket(
    size_bytes: int,
) -> None:
    inbox = Inbox()
    while inbox.put(bytes(size_bytes)):
        pass
    assert 3 <= len(inbox) <= BUFFER_BYTES // DATAGRAM_OVERHEAD_BYTES
    assert len(inbox) * size_bytes <= BUFFER_BYTES


def test_room_comes_back_whole() -> None:
    inbox = Inbox()
    counts = set()
    for _ in range(3):
        while inbox.put(bytes(1000)):
            pass
        counts.add(len(inbox))
        while inbox:
            inbox.pop()
    assert len(counts) == 1
