"""Files of framed blocks, whatever they hold and however they are read."""

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from drystone.chain.blockfile import (
    CUT,
    MAX_LENGTH,
    MIN_LENGTH,
    ZEROS,
    Record,
    Skipped,
    frame,
    read_records,
    xored,
)
from drystone.primitives.codec import u32

MAGIC = bytes.fromhex("fabffada")  # two of its bytes are one: it may begin inside of itself
KEYS = st.sampled_from([b"", bytes(8), bytes.fromhex("fabffadafabf0001")])
BLOCKS = st.binary(min_size=MIN_LENGTH, max_size=MIN_LENGTH + 40)
JUNK = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([MAGIC, MAGIC[:1], MAGIC[:2], MAGIC[:3], MAGIC[1:], MAGIC[2:]]),
    st.integers(0, 300).map(bytes),
    st.sampled_from([0, 79, 80, 150, 1000, MAX_LENGTH, MAX_LENGTH + 1]).map(
        lambda length: MAGIC + u32(length)
    ),
)
FILES = st.lists(st.one_of(JUNK, BLOCKS.map(lambda block: frame(block, MAGIC)))).map(b"".join)


class Cut:
    """Gives what it has in pieces of given sizes, as pipes do."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.stream = BytesIO(data)
        self.sizes = sizes

    def read(self, size: int, /) -> bytes:
        return self.stream.read(min(size, self.sizes.pop() if self.sizes else size))


def records_by_definition(data: bytes) -> list[Record]:
    """At every offset, the question whether a record is there; the first that is counts."""
    records, at = [], 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if (
            data[at : at + 4] == MAGIC
            and MIN_LENGTH <= length <= MAX_LENGTH
            and at + 8 + length <= len(data)
        ):
            records.append(Record(at, data[at + 8 : at + 8 + length]))
            at += 8 + length
        else:
            at += 1
    return records


@given(blocks=st.lists(BLOCKS), key=KEYS)
def test_what_was_written_is_read(blocks: list[bytes], key: bytes) -> None:
    data = b""
    for block in blocks:
        data += frame(block, MAGIC, key=key, offset=len(data))
    read = list(read_records(data, MAGIC, key=key))
    assert [it.block for it in read if isinstance(it, Record)] == blocks
    assert len(read) == len(blocks)


@given(data=FILES)
def test_records_are_found_as_by_asking_at_every_offset(data: bytes) -> None:
    read = list(read_records(data, MAGIC))
    assert [it for it in read if isinstance(it, Record)] == records_by_definition(data)


@given(data=st.one_of(FILES, st.binary()))
def test_records_and_what_was_skipped_make_up_the_file(data: bytes) -> None:
    at = 0
    for it in read_records(data, MAGIC):
        assert it.offset == at
        if isinstance(it, Record):
            at += len(frame(it.block, MAGIC))
        else:
            assert it.size_bytes > 0
            skipped = data[at : at + it.size_bytes]
            assert (it.why == ZEROS) <= (not any(skipped))
            assert (it.why == CUT) <= skipped.startswith(MAGIC[: it.size_bytes])
            at += it.size_bytes
    assert at == len(data)


@given(data=FILES, key=KEYS, sizes=st.lists(st.integers(1, 40)))
def test_reading_does_not_depend_on_how_the_stream_is_cut(
    data: bytes, key: bytes, sizes: list[int]
) -> None:
    hidden = xored(data, key)
    whole: list[Record | Skipped] = list(read_records(data, MAGIC))
    assert list(read_records(Cut(hidden, sizes), MAGIC, key=key)) == whole


@given(data=FILES, key=KEYS, where=st.integers(0, 1 << 16))
def test_a_reader_may_begin_where_any_record_began(data: bytes, key: bytes, where: int) -> None:
    read = list(read_records(data, MAGIC))
    starts = [n for n, it in enumerate(read) if isinstance(it, Record)]
    if starts:
        first = starts[where % len(starts)]
        offset = read[first].offset
        rest = xored(data, key)[offset:]
        assert list(read_records(rest, MAGIC, key=key, offset=offset)) == read[first:]


@given(data=st.binary(), key=KEYS, offset=st.integers(0, 1 << 40))
def test_xoring_twice_gives_the_data_again(data: bytes, key: bytes, offset: int) -> None:
    hidden = xored(data, key, offset)
    assert xored(hidden, key, offset) == data
    assert hidden == bytes(
        byte ^ (key[(offset + n) % 8] if key else 0) for n, byte in enumerate(data)
    )
