"""Frames that connections of several nodes read and make but once."""

from drystone.p2p.framing import Broken, Dropped, Frame, FrameTable, V1Transport

MAGIC = bytes.fromhex("fabfb5da")


def test_a_frame_that_was_read_before_is_the_same_object_for_all_who_share_a_table() -> None:
    table = FrameTable(MAGIC, 10_000)
    one, other = V1Transport(MAGIC, table), V1Transport(MAGIC, table)
    data = one.frame("inv", b"\x00")
    assert other.frame("inv", b"\x00") is data
    (first,), (second,) = one.receive(data), other.receive(bytes(bytearray(data)))
    assert second is first
    assert first == Frame("inv", b"\x00", len(data))


def test_a_known_frame_that_comes_in_the_middle_of_another_is_part_of_that() -> None:
    table = FrameTable(MAGIC, 10_000)
    known = V1Transport(MAGIC).frame("inv", b"\x00")
    V1Transport(MAGIC, table).receive(known)
    outer = V1Transport(MAGIC).frame("block", known)
    transport = V1Transport(MAGIC, table)
    assert transport.receive(outer[:24]) == []
    assert transport.receive(known) == [Frame("block", known, len(outer))]
    assert transport.receive(known) == [Frame("inv", b"\x00", len(known))]


def test_a_broken_stream_stays_broken_whatever_frames_are_known() -> None:
    table = FrameTable(MAGIC, 10_000)
    known = V1Transport(MAGIC).frame("inv", b"\x00")
    transport = V1Transport(MAGIC, table)
    transport.receive(known)
    assert isinstance(transport.receive(bytes(24))[0], Broken)
    assert transport.receive(known) == []


def test_a_spoilt_frame_is_dropped_though_the_good_one_is_known() -> None:
    table = FrameTable(MAGIC, 10_000)
    transport = V1Transport(MAGIC, table)
    known = transport.frame("inv", b"\x00")
    transport.receive(known)
    (dropped,) = transport.receive(known[:-1] + b"\x01")
    assert isinstance(dropped, Dropped)


def test_messages_that_are_like_no_other_are_not_remembered() -> None:
    table = FrameTable(MAGIC, 10_000)
    transport = V1Transport(MAGIC, table)
    transport.receive(transport.frame("ping", bytes(8)))
    assert len(table.read) == len(table.made) == 0
