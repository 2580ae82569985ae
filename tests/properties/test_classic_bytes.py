"""No bytes whatever make the classic decoders fail but in the declared way, nor run long."""

from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.classic import chain_of, counting_hashes, fork_of, with_other_reward

from drystone.classic.block import Block, ClassicInvalid, Header, Transaction, split_block
from drystone.classic.chain import (
    GENESIS_CHAIN,
    MAX_DATAGRAM_BYTES,
    Chain,
    KnownBlocks,
    check_chain,
)

REASONS = {
    *("empty-datagram", "datagram-too-large", "foreign-genesis", "bad-prevhash"),
    *("empty-block", "bad-block-size", "truncated-block", "trailing-bytes", "bad-tx-count"),
    *("bad-version", "bad-pow"),
}

DAMAGES = ("flip", "cut", "insert", "remove", "repeat", "size", "splice")

uint16s = st.integers(0, (1 << 16) - 1)
transactions = st.builds(Transaction, uint16s, uint16s)
headers = st.builds(
    Header,
    previous_hash=st.binary(min_size=32, max_size=32),
    timestamp=st.integers(0, (1 << 32) - 1),
    nonce=st.integers(0, (1 << 256) - 1),
    version=st.integers(0, 255),
)
blocks = st.builds(Block, headers, st.lists(transactions, max_size=46).map(tuple))


def chains() -> st.SearchStrategy[Chain]:
    """Small valid chains: two branches, forks of one, and one with a rewritten reward."""
    stolen = chain_of(5).blocks
    return st.one_of(
        st.builds(chain_of, st.integers(1, 7), branch=st.integers(0, 1)),
        st.builds(fork_of, st.integers(4, 7), at=st.integers(2, 3)),
        st.just(
            Chain((*stolen[:3], with_other_reward(stolen[3]), stolen[4]), chain_of(5).tip_hash)
        ),
    )


@st.composite
def mutated_chains(draw: st.DrawFn) -> bytes:
    """A valid chain's bytes, damaged once or several times."""
    data = bytearray(draw(chains()).data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(
            st.sampled_from(["flip", "cut", "insert", "remove", "repeat", "size", "splice"])
        ):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at:]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=80))
            case "remove":
                del data[at : at + draw(st.integers(1, 80))]
            case "repeat":
                data *= draw(st.integers(2, 30))
            case "size" if data:
                data[at // 75 * 75 % len(data)] = draw(st.integers(0, 255))
            case "splice":
                data[at:] = draw(chains()).data[at:]
    return bytes(data)


anything = st.one_of(st.binary(max_size=10_000), mutated_chains(), chains().map(lambda c: c.data))


# Round trips.


@given(transactions)
def test_a_transaction_survives_its_bytes(transaction: Transaction) -> None:
    assert Transaction.decode(transaction.encode()) == transaction


@given(headers)
def test_a_header_survives_its_bytes(header: Header) -> None:
    encoded = header.encode()
    assert len(encoded) == 69
    assert Header.decode(encoded) == header


@given(blocks)
def test_a_block_survives_its_bytes(block: Block) -> None:
    encoded = block.encode()
    assert len(encoded) == 71 + 4 * len(block.transactions) == encoded[0]
    decoded = Block.decode(encoded)
    assert decoded == block and decoded.hash == block.hash
    assert decoded.encode() == encoded


@given(st.one_of(st.binary(max_size=300), blocks.map(Block.encode)))
def test_bytes_that_decode_are_the_bytes_that_encode(data: bytes) -> None:
    try:
        block = Block.decode(data)
    except ClassicInvalid:
        return
    assert block.encode() == data


@given(chains(), chains())
def test_a_chain_survives_its_bytes_whatever_we_hold(chain: Chain, own: Chain) -> None:
    assert check_chain(chain.data, own, KnownBlocks()) == chain


# One error, and linear time.


def check_declared(error: ClassicInvalid) -> None:
    """The reason is one of those that the docs list, and there is a sentence to it."""
    assert error.reason in REASONS and error.detail


@given(st.one_of(st.binary(max_size=300), blocks.map(Block.encode)), st.integers(-5, 400))
def test_splitting_a_block_off_fails_in_the_declared_way_only(data: bytes, offset: int) -> None:
    offset = max(0, offset)
    try:
        raw = split_block(data, offset)
    except ClassicInvalid as error:
        check_declared(error)
        return
    assert data[offset:].startswith(raw) and len(raw) == raw[0] >= 71


@given(anything)
def test_decoding_a_block_fails_in_the_declared_way_only(data: bytes) -> None:
    try:
        Block.decode(data)
    except ClassicInvalid as error:
        check_declared(error)


@example(data=bytes(MAX_DATAGRAM_BYTES), own=GENESIS_CHAIN)
@example(data=b"\x47" * MAX_DATAGRAM_BYTES, own=GENESIS_CHAIN)
@given(data=anything, own=chains())
def test_checking_a_chain_fails_in_the_declared_way_only_and_takes_linear_work(
    data: bytes, own: Chain
) -> None:
    splits = 0

    def counted(data: bytes, offset: int) -> bytes:
        nonlocal splits
        splits += 1
        return split_block(data, offset)

    with counting_hashes() as hashed, patch("drystone.classic.chain.split_block", counted):
        try:
            chain = check_chain(data, own, KnownBlocks())
        except ClassicInvalid as error:
            check_declared(error)
        else:
            assert chain.data == data  # nothing is repaired
    most = len(data) // 71 + 1
    assert splits <= most and len(hashed) <= most + 1
    if len(data) > MAX_DATAGRAM_BYTES:
        assert splits == len(hashed) == 0


@given(own=chains(), received=st.lists(anything, max_size=8))
def test_what_has_been_seen_before_changes_no_verdict(own: Chain, received: list[bytes]) -> None:
    def verdict(data: bytes, known: KnownBlocks) -> Chain | tuple[str, str]:
        try:
            return check_chain(data, own, known)
        except ClassicInvalid as error:
            return error.reason, error.detail

    seasoned = KnownBlocks(limit=5)
    for data in received * 2:
        assert verdict(data, seasoned) == verdict(data, KnownBlocks())


@given(data=anything, own=chains(), other=chains())
def test_what_we_hold_changes_no_verdict(data: bytes, own: Chain, other: Chain) -> None:
    verdicts = []
    for held in (own, other):
        try:
            verdicts.append(check_chain(data, held, KnownBlocks()).data)
        except ClassicInvalid as error:
            verdicts.append(error.reason.encode())
    assert verdicts[0] == verdicts[1]
