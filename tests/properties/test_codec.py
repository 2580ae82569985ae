"""Sizes, numbers, scripts, targets and merkle proofs: there and back, and nothing but declared
errors. Transactions and blocks have files of their own."""

import contextlib
from collections.abc import Callable
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.consensus.pow import bits_from_target, block_work, read_compact, target_from_bits
from drystone.crypto.secp256k1 import compact_from_der, is_low_s, verify_ecdsa, verify_schnorr
from drystone.primitives.codec import (
    MAX_SIZE,
    DecodeError,
    Malformed,
    Reader,
    Truncated,
    compact_size,
    var_bytes,
)
from drystone.primitives.hashes import sha256d
from drystone.primitives.merkle import merkle_branch, merkle_root, root_from_branch
from drystone.primitives.merkleblock import PartialMerkleTree
from drystone.primitives.script import (
    decode_number,
    disassemble,
    encode_number,
    is_push_only,
    is_unspendable,
    parse_script,
    push,
    push_int,
    witness_program,
)

# Sizes in the neighbourhood of those where a CompactSize gets longer.
sizes = st.one_of(
    st.integers(0, 2**64 - 1),
    st.sampled_from([0xFD, 0x10000, 0x100000000, MAX_SIZE, 2**64]).flatmap(
        lambda edge: st.integers(edge - 3, min(edge + 3, 2**64 - 1))
    ),
)


@given(sizes)
def test_a_size_comes_back(size: int) -> None:
    r = Reader(compact_size(size))
    assert r.compact_size(limit=2**64 - 1) == size
    r.finish()


@given(sizes, sizes)
def test_a_limit_is_the_last_that_is_allowed(size: int, limit: int) -> None:
    r = Reader(compact_size(size))
    if size <= limit:
        assert r.compact_size(limit) == size
    else:
        with pytest.raises(Malformed):
            r.compact_size(limit)


@given(st.binary(max_size=12))
def test_any_bytes_are_one_size_or_a_declared_error(data: bytes) -> None:
    """What is accepted, encodes to the very bytes that were read."""
    r = Reader(data)
    try:
        size = r.compact_size(limit=2**64 - 1)
    except DecodeError:
        return
    assert compact_size(size) == data[: r.offset]


READS: list[Callable[[Reader], object]] = [
    Reader.u8,
    Reader.u16,
    Reader.u32,
    Reader.i32,
    Reader.u64,
    Reader.i64,
    Reader.compact_size,
    Reader.var_bytes,
    lambda r: r.take(7),
    lambda r: r.var_bytes(limit=3),
]


@given(st.binary(max_size=60), st.lists(st.sampled_from(READS), max_size=20))
def test_a_reader_never_leaves_its_bytes(
    data: bytes, reads: list[Callable[[Reader], object]]
) -> None:
    r = Reader(data)
    for read in reads:
        before = r.offset
        with contextlib.suppress(DecodeError):
            read(r)
        assert before <= r.offset <= len(data)
        assert r.left == len(data) - r.offset


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_bytes_with_their_length_come_back(items: list[bytes]) -> None:
    r = Reader(b"".join(map(var_bytes, items)))
    assert [r.var_bytes() for _ in items] == items
    r.finish()


@given(st.binary(max_size=300), st.data())
def test_bytes_cut_short_are_truncated(item: bytes, data: st.DataObject) -> None:
    encoded = var_bytes(item)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(Truncated):
        Reader(encoded[:cut]).var_bytes()


# Script numbers and scripts.


@given(st.integers(-(2**70), 2**70))
def test_a_number_comes_back_and_is_the_shortest(value: int) -> None:
    data = encode_number(value)
    assert decode_number(data) == value
    assert len(data) == 0 or len(data) == abs(value).bit_length() // 8 + 1


@given(st.binary(max_size=12))
def test_any_bytes_are_a_number_and_no_shorter_than_its_encoding(data: bytes) -> None:
    assert len(encode_number(decode_number(data))) <= len(data)


@given(st.integers(-(2**40), 2**40))
def test_a_pushed_number_is_one_operation(value: int) -> None:
    (op,) = parse_script(push_int(value))
    if op.data is not None:
        assert decode_number(op.data) == value
    else:
        assert op.opcode - 0x50 == value


@given(st.lists(st.binary(max_size=600), max_size=5))
def test_pushes_come_back(items: list[bytes]) -> None:
    script = b"".join(map(push, items))
    assert [op.data for op in parse_script(script)] == items
    assert is_push_only(script)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_script_and_parse_to_their_end_or_a_declared_error(script: bytes) -> None:
    at = 0
    try:
        for op in parse_script(script):
            assert script[at] == op.opcode
            assert op.data is None or script[at : op.end].endswith(op.data)
            assert at < op.end <= len(script)
            at = op.end
        assert at == len(script)
    except Malformed:
        assert at < len(script)
    disassemble(script)
    is_push_only(script)
    is_unspendable(script)
    witness_program(script)


# Targets.


@given(st.integers(0, 2**256 - 1))
def test_a_target_loses_only_its_lower_bytes(target: int) -> None:
    bits = bits_from_target(target)
    value, is_negative, is_overflow = read_compact(bits)
    assert not is_negative and not is_overflow
    assert value <= target
    assert target - value < max(1, target >> 15)
    assert bits_from_target(value) == bits


@given(st.integers(0, 2**32 - 1))
def test_any_bits_are_a_target_or_none(bits: int) -> None:
    value, is_negative, is_overflow = read_compact(bits)
    assert 0 <= value < 2**256
    target = target_from_bits(bits, 2**256 - 1)
    if target is None:
        assert is_negative or is_overflow or value == 0
        assert block_work(bits) == 0
    else:
        assert target == value
        assert block_work(bits) == 2**256 // (target + 1) >= 1
        assert read_compact(bits_from_target(target)).value == target


# Merkle trees.

numbered = st.lists(st.integers(0, 255), min_size=1, max_size=40)
leaves = numbered.map(lambda numbers: [sha256d(bytes((number,))) for number in numbers])
different_leaves = st.integers(1, 40).map(
    lambda count: [sha256d(bytes((number,))) for number in range(count)]
)


@given(leaves, st.data())
def test_a_branch_leads_from_its_leaf_to_the_root(hashes: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(hashes) - 1))
    branch = merkle_branch(hashes, index)
    assert root_from_branch(hashes[index], index, branch) == merkle_root(hashes)[0]


@given(leaves, st.data())
def test_leaves_with_one_root_are_the_same_or_told_to_be_mutated(
    hashes: list[bytes], data: st.DataObject
) -> None:
    """Leaves repeated at the end: CVE-2012-2459."""
    repeated = data.draw(st.integers(1, len(hashes)))
    longer = hashes + hashes[-repeated:]
    root, mutated = merkle_root(hashes)
    if merkle_root(longer)[0] == root:
        assert merkle_root(longer)[1] or mutated


@given(different_leaves, st.data())
def test_any_changed_hash_or_bit_of_a_partial_tree_proves_something_else(
    hashes: list[bytes], data: st.DataObject
) -> None:
    matches = data.draw(st.lists(st.booleans(), min_size=len(hashes), max_size=len(hashes)))
    tree = PartialMerkleTree.from_leaves(hashes, matches)
    encoded = bytearray(tree.encode())
    position = data.draw(st.integers(4, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    try:
        changed = PartialMerkleTree.decode(Reader(bytes(encoded)))
        proof = changed.extract()
    except DecodeError:
        return
    if changed.bits[: len(tree.bits)] != tree.bits or changed.hashes != tree.hashes:
        assert proof != tree.extract()


# Signatures.


@given(st.binary(max_size=80))
def test_any_bytes_are_a_signature_or_none(der: bytes) -> None:
    compact = compact_from_der(der)
    assert compact is None or len(compact) == 64
    is_low_s(der)


@given(st.binary(max_size=70), st.binary(min_size=32, max_size=32), st.binary(max_size=80))
def test_any_bytes_verify_or_not(key: bytes, digest: bytes, signature: bytes) -> None:
    assert not verify_ecdsa(key, digest, signature)
    assert not verify_schnorr(key, digest, signature)


numbers = st.integers(1, 2**256 - 1)


@given(numbers, numbers, st.binary(max_size=4))
def test_a_signature_keeps_its_numbers_however_it_is_written(r: int, s: int, tail: bytes) -> None:
    def integer(value: int) -> bytes:
        data = value.to_bytes(value.bit_length() // 8 + 1, "big")
        return b"\x02" + bytes((len(data),)) + data

    body = integer(r) + integer(s)
    expected = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert compact_from_der(b"\x30" + bytes((len(body),)) + body + tail) == expected


# Linear time.


@pytest.mark.parametrize(
    "work",
    [
        lambda size: list(parse_script(b"\x01a" * size)),
        lambda size: list(parse_script(b"\x51" * size)),
        lambda size: disassemble(b"\x01a" * size),
        lambda size: is_push_only(b"\x51" * size),
        lambda size: compact_from_der(b"\x30\x00\x02\xfd" + bytes(size)),
        lambda size: merkle_root([bytes(32)] * size),
    ],
    ids=["pushes", "opcodes", "disassembly", "push-only", "der", "merkle"],
)
def test_time_is_linear_in_the_bytes(work: Callable[[int], object]) -> None:
    """Eight times the bytes: quadratic would be 64 times. Machines are noisy, so the best of some
    runs counts, and there is room."""

    def seconds(size: int) -> float:
        best = float("inf")
        for _ in range(5):
            start = process_time()
            work(size)
            best = min(best, process_time() - start)
        return best

    assert seconds(40_000) < 24 * seconds(5_000) + 0.01
