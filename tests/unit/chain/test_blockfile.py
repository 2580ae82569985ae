"""Framed blocks: found wherever they lie in a file, and whatever else is in it is told."""

import tracemalloc
from collections.abc import Iterator
from io import BytesIO

import pytest
from tests.support.blocks import MinedChain

from drystone.chain.blockfile import (
    CUT,
    MAX_LENGTH,
    MIN_LENGTH,
    NO_RECORD,
    ZEROS,
    Record,
    Skipped,
    frame,
    read_records,
    xor_key,
    xored,
)
from drystone.consensus.chains import MAINNET, REGTEST
from drystone.core.errors import UserError
from drystone.primitives.block import Block
from drystone.primitives.codec import u32

MAGIC = REGTEST.magic
BLOCK = bytes(range(100))
OTHER = bytes(range(100, 200))
KEY = bytes.fromhex("0123456789abcdef")


def found(data: bytes) -> list[Record | Skipped]:
    return list(read_records(data, MAGIC))


def test_blocks_come_back_with_the_offsets_of_their_records() -> None:
    chain = MinedChain()
    chain.mine(3)
    data = b"".join(frame(block.encode(), MAGIC) for block in chain.blocks)
    records = [it for it in found(data) if isinstance(it, Record)]
    assert [Block.from_bytes(it.block) for it in records] == chain.blocks
    assert records[0].offset == 0 and records[1].offset == 8 + chain.blocks[0].total_size


def test_the_frame_of_the_first_block_is_as_in_the_reference_client() -> None:
    """blk00000.dat of mainnet begins with these bytes, the length 285."""
    record = frame(MAINNET.genesis.encode(), MAINNET.magic)
    assert record[:12].hex() == "f9beb4d9" + "1d010000" + "01000000" and len(record) == 8 + 285


def test_an_empty_file_has_nothing() -> None:
    assert found(b"") == []


def test_zeros_that_were_to_be_overwritten_are_told_as_such() -> None:
    data = frame(BLOCK, MAGIC) + bytes(3_000_000)
    assert found(data) == [Record(0, BLOCK), Skipped(108, 3_000_000, ZEROS)]


def test_what_lies_between_records_is_passed_over() -> None:
    data = b"abc" + frame(BLOCK, MAGIC) + b"\0\0x" + frame(OTHER, MAGIC)
    assert found(data) == [
        Skipped(0, 3, NO_RECORD),
        Record(3, BLOCK),
        Skipped(111, 3, NO_RECORD),
        Record(114, OTHER),
    ]


@pytest.mark.parametrize("length", [0, MIN_LENGTH - 1, MAX_LENGTH + 1, 0xFFFFFFFF])
def test_a_length_that_no_block_has_is_passed_over(length: int) -> None:
    data = MAGIC + u32(length) + frame(BLOCK, MAGIC)
    assert found(data) == [Skipped(0, 8, NO_RECORD), Record(8, BLOCK)]


@pytest.mark.parametrize("left", [1, 3, 4, 7, 8, 9, 107])
def test_a_record_that_was_cut_is_told(left: int) -> None:
    data = frame(BLOCK, MAGIC) + frame(OTHER, MAGIC)[:left]
    assert found(data) == [Record(0, BLOCK), Skipped(108, left, CUT)]


def test_a_record_inside_one_that_was_cut_is_found() -> None:
    """Its length may be what is wrong, and what follows it may be good."""
    data = b"x" + MAGIC + u32(5_000) + b"yz" + frame(BLOCK, MAGIC) + b"\0"
    assert found(data) == [
        Skipped(0, 1, NO_RECORD),
        Skipped(1, 10, CUT),
        Record(11, BLOCK),
        Skipped(119, 1, ZEROS),
    ]


def test_a_magic_inside_a_record_is_part_of_its_block() -> None:
    block = frame(BLOCK, MAGIC)
    assert found(frame(block, MAGIC)) == [Record(0, block)]


def test_a_magic_that_begins_twice_is_found() -> None:
    assert found(MAGIC[:2] + frame(BLOCK, MAGIC))[1:] == [Record(2, BLOCK)]


def test_the_smallest_and_the_largest_block_are_records() -> None:
    small, large = bytes(MIN_LENGTH), b"\1" * MAX_LENGTH
    data = frame(large, MAGIC) + frame(small, MAGIC)
    assert found(data) == [Record(0, large), Record(8 + MAX_LENGTH, small)]


@pytest.mark.parametrize("size", [0, MIN_LENGTH - 1, MAX_LENGTH + 1])
def test_what_would_not_be_read_again_is_not_framed(size: int) -> None:
    with pytest.raises(ValueError, match="a block has 80 to 4000000 bytes"):
        frame(bytes(size), MAGIC)


def test_an_obfuscated_file_is_read_by_its_key() -> None:
    plain = frame(BLOCK, MAGIC) + b"?" + frame(OTHER, MAGIC) + bytes(9)
    hidden = bytes(byte ^ KEY[n % 8] for n, byte in enumerate(plain))
    assert list(read_records(hidden, MAGIC, key=KEY)) == found(plain)
    assert [type(it) for it in found(hidden)] == [Skipped]


def test_an_obfuscated_file_is_written_record_by_record() -> None:
    data = b""
    for block in (BLOCK, OTHER + b"odd", BLOCK):
        data += frame(block, MAGIC, key=KEY, offset=len(data))
    blocks = [it.block for it in read_records(data, MAGIC, key=KEY) if isinstance(it, Record)]
    assert blocks == [BLOCK, OTHER + b"odd", BLOCK]


def test_a_key_of_zeros_changes_nothing() -> None:
    assert xored(BLOCK, bytes(8), 3) == BLOCK
    assert frame(BLOCK, MAGIC, key=bytes(8), offset=5) == frame(BLOCK, MAGIC)


def test_reading_can_go_on_from_a_records_end() -> None:
    hidden = xored(frame(BLOCK, MAGIC) + frame(OTHER, MAGIC) + b"end", KEY)
    stream = BytesIO(hidden)
    stream.seek(108)
    rest = list(read_records(stream, MAGIC, key=KEY, offset=108))
    assert rest == list(read_records(hidden, MAGIC, key=KEY))[1:]
    assert rest[0] == Record(108, OTHER)


def test_xor_dat_holds_eight_bytes() -> None:
    assert xor_key(KEY) == KEY
    with pytest.raises(UserError, match=r"xor\.dat has 7 bytes"):
        xor_key(KEY[:7])


def test_a_wrong_magic_or_key_is_our_own_mistake_and_told_at_once() -> None:
    with pytest.raises(ValueError, match="a magic has 4 bytes, not 3"):
        read_records(b"", MAGIC[:3])
    with pytest.raises(ValueError, match="a key has 8 bytes, or none, not 9"):
        read_records(b"", MAGIC, key=KEY + b"\0")
    with pytest.raises(ValueError, match="a key has 8 bytes"):
        frame(BLOCK, MAGIC, key=KEY[:1])


class Endless:
    """A file of so many bytes that never lies in memory, in pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.calls = 0

    def read(self, size: int, /) -> bytes:
        self.calls += 1
        return next(self.pieces, b"")


def hostile(claimed: int, piece_bytes: int, count: int) -> Endless:
    """Nothing but frames, all with the same length."""
    head = MAGIC + u32(claimed)
    return Endless(iter([head * (piece_bytes // 8)] * count))


@pytest.mark.parametrize(
    ("claimed", "mib", "most_mib"),
    [(MIN_LENGTH, 5, 4), (MAX_LENGTH + 1, 5, 4), (MAX_LENGTH, 23, 16)],
)
def test_memory_stays_bounded_whatever_lengths_a_file_claims(
    claimed: int, mib: int, most_mib: int
) -> None:
    file = hostile(claimed, 1 << 16, mib * 16)
    tracemalloc.start()
    size = 0
    try:
        for it in read_records(file, MAGIC, key=KEY if claimed == MAX_LENGTH + 1 else b""):
            assert it.offset == size
            size += 8 + len(it.block) if isinstance(it, Record) else it.size_bytes
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == mib << 20 and peak < most_mib << 20


def test_every_byte_is_read_once() -> None:
    """Lengths that reach past the end are the dear ones, if each were looked for anew."""
    file = hostile(MAX_LENGTH, 1 << 12, 256)  # 1 MiB: all of them are cut
    assert list(read_records(file, MAGIC)) == [Skipped(0, 1 << 20, CUT)]
    assert file.calls == 256 + 1
