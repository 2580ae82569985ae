"""A whole chain in one datagram: what is accepted, what is refused and why, and at what cost."""

from dataclasses import replace

import pytest
from tests.support.classic import (
    FIRST_TIMESTAMP,
    FULL,
    chain_of,
    counting_hashes,
    extended,
    fork_of,
    with_other_reward,
)

from drystone.classic.block import (
    GENESIS,
    Block,
    ClassicInvalid,
    Header,
    Transaction,
    reward_block,
)
from drystone.classic.chain import (
    GENESIS_CHAIN,
    MAX_DATAGRAM_BYTES,
    Chain,
    KnownBlocks,
    check_chain,
)
from drystone.core.chance import Stream


def check(data: bytes, own: Chain = GENESIS_CHAIN, known: KnownBlocks | None = None) -> Chain:
    return check_chain(data, own, known or KnownBlocks())


def refusal(data: bytes, own: Chain = GENESIS_CHAIN) -> ClassicInvalid:
    with pytest.raises(ClassicInvalid) as refused:
        check(data, own)
    return refused.value


# What is accepted.


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_a_valid_chain_is_accepted_as_its_blocks(blocks: int) -> None:
    wanted = chain_of(blocks)
    chain = check(wanted.data)
    assert chain == wanted
    assert len(chain.blocks) == blocks and chain.height == blocks - 1
    assert chain.tip_hash == Block.decode(chain.blocks[-1]).hash


@pytest.mark.parametrize("transactions", [0, 1, 46])
def test_a_block_with_0_to_46_transactions_is_accepted(transactions: int) -> None:
    coins = [Transaction(n, 7000 + n) for n in range(transactions)]
    chain = extended(chain_of(2), *coins, timestamp=FIRST_TIMESTAMP)
    assert check(chain.data) == chain
    assert Block.decode(chain.blocks[-1]).transactions == tuple(coins)


def test_whichever_of_our_blocks_a_chain_shares_it_comes_out_the_same() -> None:
    owns = [chain_of(n) for n in range(1, 7)]
    owns += [fork_of(5, at=2), fork_of(6, at=4), chain_of(4, branch=1)]
    for own in owns:
        for received in owns:
            known = KnownBlocks()
            assert check_chain(received.data, own, known) == received
            assert check_chain(received.data, own, known) == received


def test_shared_blocks_are_counted_byte_for_byte() -> None:
    assert chain_of(5).shared_blocks(chain_of(5).data) == 5
    assert chain_of(5).shared_blocks(chain_of(6).data) == 5
    assert chain_of(6).shared_blocks(chain_of(5).data) == 5
    assert chain_of(6).shared_blocks(fork_of(6, at=3).data) == 3
    assert chain_of(6).shared_blocks(chain_of(6).data[:-1]) == 5
    assert chain_of(6).shared_blocks(b"") == 0
    assert chain_of(6).shared_blocks(bytes(500)) == 0
    twin = chain_of(3).data + with_other_reward(chain_of(4).blocks[-1])
    assert chain_of(6).shared_blocks(twin) == 3


# What is refused.


def test_an_empty_datagram_is_refused() -> None:
    assert refusal(b"").reason == "empty-datagram"


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_a_block_of_size_0_is_refused_at_the_start_and_at_the_end(blocks: int) -> None:
    assert refusal(b"\0" + chain_of(blocks).data).reason == "empty-block"
    error = refusal(chain_of(blocks).data + b"\0")
    assert error.reason == "empty-block"
    assert error.detail == f"block {blocks}: its size byte is 0"
    assert refusal(bytes(9216)).reason == "empty-block"


def test_a_truncated_block_is_refused_wherever_it_is_cut() -> None:
    data = chain_of(3).data
    for length in range(1, len(data)):
        if length % 75:
            error = refusal(data[:length], chain_of(5))
            assert error.reason == "truncated-block"
            assert error.detail.startswith(f"block {length // 75}: ")


@pytest.mark.parametrize("tail", [b"\1", b"\x46", b"\xff", b"hello", b"\x4c" * 70])
def test_trailing_bytes_are_refused(tail: bytes) -> None:
    error = refusal(chain_of(2).data + tail)
    # What begins with a possible size is the beginning of a block.
    possible = tail[0] >= 71 and (tail[0] - 71) % 4 == 0
    assert error.reason == ("truncated-block" if possible else "trailing-bytes")
    assert error.detail.startswith("block 2: ")


def test_a_transaction_count_that_does_not_match_the_size_is_refused() -> None:
    for at, count in [(0, 0), (0, 2), (2, 255)]:
        blocks = list(chain_of(3).blocks)
        blocks[at] = blocks[at][:70] + bytes([count]) + blocks[at][71:]
        error = refusal(b"".join(blocks))
        assert error.reason == "bad-tx-count"
        assert error.detail == f"block {at}: says {count}, its size says 1"


def test_a_size_that_no_block_has_is_refused() -> None:
    blocks = list(chain_of(3).blocks)
    blocks[1] = b"\x4c" + blocks[1][1:]
    assert refusal(b"".join(blocks)).reason == "bad-block-size"


def test_a_foreign_genesis_is_refused_even_with_work_of_its_own() -> None:
    solved = Block.decode(chain_of(2).blocks[1])
    assert refusal(solved.encode()).reason == "foreign-genesis"
    assert refusal(chain_of(4).data[75:]).reason == "foreign-genesis"


def test_genesis_with_another_reward_is_foreign_though_its_hash_is_the_same() -> None:
    twin = with_other_reward(GENESIS.encode())
    assert Block.decode(twin).hash == GENESIS.hash
    assert refusal(twin + chain_of(3).data[75:]).reason == "foreign-genesis"
    assert refusal(twin + chain_of(3).data[75:], chain_of(3)).reason == "foreign-genesis"


@pytest.mark.parametrize("own", [1, 3, 7])
def test_one_bad_header_in_the_middle_is_refused(own: int) -> None:
    good = list(chain_of(7).blocks)

    def with_block(at: int, **changes: int | bytes) -> bytes:
        block = Block.decode(good[at])
        changed = replace(block, header=replace(block.header, **changes))  # type: ignore[arg-type]
        return b"".join([*good[:at], changed.encode(), *good[at + 1 :]])

    for at in range(1, 7):
        header = Block.decode(good[at]).header
        for nonce in (header.nonce ^ 1, header.nonce ^ 1 << 255):
            error = refusal(with_block(at, nonce=nonce), chain_of(own))
            assert (error.reason, error.detail[:9]) == ("bad-pow", f"block {at}: ")
        error = refusal(with_block(at, timestamp=header.timestamp + 1), chain_of(own))
        assert (error.reason, error.detail[:9]) == ("bad-pow", f"block {at}: ")
        wrong = bytes([*header.previous_hash[:31], header.previous_hash[31] ^ 1])
        error = refusal(with_block(at, previous_hash=wrong), chain_of(own))
        assert (error.reason, error.detail[:9]) == ("bad-prevhash", f"block {at}: ")


def test_a_solved_block_that_builds_on_another_than_the_one_before_is_refused() -> None:
    swapped = [*chain_of(5).blocks[:2], chain_of(5).blocks[3], chain_of(5).blocks[2]]
    error = refusal(b"".join(swapped))
    assert (error.reason, error.detail[:9]) == ("bad-prevhash", "block 2: ")
    repeated = chain_of(3).data + chain_of(3).blocks[-1]
    assert refusal(repeated).reason == "bad-prevhash"
    mixed = chain_of(3).data + chain_of(4, branch=1).blocks[-1]
    assert refusal(mixed, chain_of(4, branch=1)).reason == "bad-prevhash"


def test_another_version_is_refused_even_with_work() -> None:
    header = Header(GENESIS.hash, FIRST_TIMESTAMP, 0, version=1)
    while header.hash[:2] != b"\0\0":
        header = replace(header, nonce=header.nonce + 1)
    error = refusal(GENESIS_CHAIN.data + reward_block(header, 7000).encode())
    assert (error.reason, error.detail) == ("bad-version", "block 1: 1, not 0")


@pytest.mark.parametrize("seed", range(20))
def test_9216_random_bytes_are_refused(seed: int) -> None:
    stream = Stream(seed, "random datagram")
    data = b"".join(stream.word().to_bytes(8, "big") for _ in range(9216 // 8))
    for own in (GENESIS_CHAIN, chain_of(5)):
        assert refusal(data, own).reason in {
            "bad-block-size",
            "bad-tx-count",
            "empty-block",
            "foreign-genesis",
        }


def test_more_than_9216_bytes_are_refused_whatever_they_hold() -> None:
    assert refusal(bytes(9217)).reason == "datagram-too-large"
    long = chain_of(FULL).data + Block(Header(bytes(32), 0, 0), ()).encode()
    assert len(long) == 9150 + 71
    assert refusal(long).reason == "datagram-too-large"
    assert refusal(long[:9216]).reason == "truncated-block"


def test_a_refusal_leaves_the_cache_without_the_bad_block() -> None:
    known = KnownBlocks()
    bad = chain_of(2).data[:-5] + b"\0" + chain_of(2).data[-4:]
    for _ in range(2):
        with pytest.raises(ClassicInvalid, match="bad-tx-count"):
            check(bad, GENESIS_CHAIN, known)
    worthless = reward_block(Header(GENESIS.hash, 0, 0), 7000).encode()
    for _ in range(2):
        with pytest.raises(ClassicInvalid, match="bad-pow"):
            check(GENESIS_CHAIN.data + worthless, GENESIS_CHAIN, known)


# Twins.


def test_a_reward_can_be_rewritten_without_new_work_and_the_bytes_tell_it() -> None:
    honest = chain_of(4)
    stolen_data = b"".join(
        [*honest.blocks[:2], with_other_reward(honest.blocks[2]), honest.blocks[3]]
    )
    stolen = check(stolen_data, honest)
    assert stolen.tip_hash == honest.tip_hash
    assert stolen != honest
    assert stolen.data == stolen_data
    assert len({stolen, honest}) == 2


def test_the_cache_knows_a_block_by_its_bytes() -> None:
    known = KnownBlocks()
    block = chain_of(2).blocks[1]
    with counting_hashes() as hashed:
        assert known.hash_of(block) == chain_of(2).tip_hash
        assert known.hash_of(block) == chain_of(2).tip_hash
        assert len(hashed) == 1
        assert known.hash_of(with_other_reward(block)) == chain_of(2).tip_hash
        assert len(hashed) == 2


def test_a_known_twin_lends_its_good_name_to_no_other_header() -> None:
    known = KnownBlocks()
    block = chain_of(2).blocks[1]
    known.hash_of(block)
    with pytest.raises(ClassicInvalid, match="bad-pow"):
        known.hash_of(block[:-7] + b"\xff" + block[-6:])


# What it costs.


def test_only_new_blocks_are_hashed_however_long_the_chain() -> None:
    for length in (2, 10, 20, FULL - 1):
        with counting_hashes() as hashed:
            check(chain_of(length + 1).data, chain_of(length))
        # The new block, and our own tip, which this empty cache doesn't know.
        assert len(hashed) <= 2


def test_a_known_chain_costs_no_hash_at_all() -> None:
    known = KnownBlocks()
    check(chain_of(20).data, GENESIS_CHAIN, known)
    with counting_hashes() as hashed:
        check(chain_of(20).data, GENESIS_CHAIN, known)
        check(chain_of(20).data, chain_of(20), known)
        check(chain_of(10).data, chain_of(20), known)
    assert hashed == []


def test_a_fork_known_from_before_costs_its_new_blocks_only() -> None:
    known = KnownBlocks()
    fork = fork_of(12, at=5)
    check(chain_of(20).data, GENESIS_CHAIN, known)
    with counting_hashes() as hashed:
        check(fork_of(11, at=5).data, chain_of(20), known)
    assert len(hashed) == 6
    with counting_hashes() as hashed:
        check(fork.data, chain_of(20), known)
    assert hashed == [fork.blocks[-1][1:70]]
    with counting_hashes() as hashed:
        check(fork.data, chain_of(20), known)
        check(chain_of(20).data, fork, known)
    assert hashed == []


def test_the_cache_is_bounded_and_forgets_the_oldest() -> None:
    known = KnownBlocks(limit=4)
    blocks = chain_of(7).blocks[1:]
    for raw in blocks:
        known.hash_of(raw)
    with counting_hashes() as hashed:
        for raw in reversed(blocks[-4:]):
            known.hash_of(raw)
        assert hashed == []
        known.hash_of(blocks[0])
        assert len(hashed) == 1


def test_a_flood_of_twins_neither_fills_the_memory_nor_makes_our_chain_dearer() -> None:
    known = KnownBlocks(limit=50)
    own = chain_of(20)
    check(own.data, GENESIS_CHAIN, known)
    for port in range(1000):
        check(chain_of(19).data + with_other_reward(own.blocks[-1], port), own, known)
    assert len(known._hashes) <= 50
    with counting_hashes() as hashed:
        check(chain_of(21).data, own, known)
    assert len(hashed) <= 2


# When it is full.


def test_a_chain_is_full_when_one_more_reward_would_outgrow_the_datagram() -> None:
    assert not chain_of(FULL - 1).is_full
    assert chain_of(FULL).is_full
    assert len(chain_of(FULL).data) == 9150
    assert check(chain_of(FULL).data) == chain_of(FULL)


def test_a_chain_of_heavier_blocks_is_full_by_its_bytes_too() -> None:
    chain = GENESIS_CHAIN
    for coins in [42] * 37 + [38]:
        transactions = [Transaction(1, n) for n in range(coins)]
        chain = extended(chain, *transactions, timestamp=FIRST_TIMESTAMP + len(chain.blocks))
    assert len(chain.data) == MAX_DATAGRAM_BYTES - 75  # there is room for just one reward more
    assert not chain.is_full
    chain = extended(chain, Transaction(0, 7000), timestamp=FIRST_TIMESTAMP)
    assert len(chain.data) == MAX_DATAGRAM_BYTES
    assert chain.is_full
    assert check(chain.data) == chain
