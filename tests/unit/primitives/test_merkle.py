"""Merkle trees: root, mutation (CVE-2012-2459), branches, and partial trees (BIP37)."""

from dataclasses import replace
from itertools import product

import pytest
from tests.support.mainnet import BLOCK_170

from drystone.primitives.block import BlockHeader
from drystone.primitives.codec import DecodeError, Malformed, Reader, Truncated, compact_size, u32
from drystone.primitives.hashes import NULL_HASH, display, sha256d
from drystone.primitives.merkle import merkle_branch, merkle_root, root_from_branch
from drystone.primitives.merkleblock import MAX_BITS_BYTES, MAX_TRANSACTIONS, PartialMerkleTree

A, B, C, D, E, F = LEAVES = [sha256d(bytes((i,))) for i in range(6)]


def h(left: bytes, right: bytes) -> bytes:
    return sha256d(left + right)


@pytest.mark.parametrize(
    ("leaves", "root"),
    [
        ([], NULL_HASH),
        ([A], A),
        ([A, B], h(A, B)),
        ([A, B, C], h(h(A, B), h(C, C))),
        ([A, B, C, D], h(h(A, B), h(C, D))),
        ([A, B, C, D, E], h(h(h(A, B), h(C, D)), h(h(E, E), h(E, E)))),
        (LEAVES, h(h(h(A, B), h(C, D)), h(h(E, F), h(E, F)))),
    ],
    ids=len,
)
def test_a_root_is_built_in_pairs(leaves: list[bytes], root: bytes) -> None:
    assert merkle_root(leaves) == (root, False)


def test_the_root_of_a_real_block() -> None:
    txids = [tx.txid for tx in BLOCK_170.vtx]
    assert merkle_root(txids) == (BLOCK_170.header.merkle_root, False)
    assert merkle_root(txids[::-1])[0] != BLOCK_170.header.merkle_root


@pytest.mark.parametrize(
    ("leaves", "mutant"),
    [
        ([A], [A, A]),
        ([A, B, C], [A, B, C, C]),
        ([A, B, C, D, E], [A, B, C, D, E, E]),
        ([A, B, C, D, E], [A, B, C, D, E, E, E, E]),
        ([A, B, C, D, E, F], [A, B, C, D, E, F, E, F]),
    ],
)
def test_leaves_that_come_twice_at_the_end_have_the_same_root_but_are_told(
    leaves: list[bytes], mutant: list[bytes]
) -> None:
    root, mutated = merkle_root(mutant)
    assert mutated
    if len(leaves) > 1:
        assert merkle_root(leaves) == (root, False)


@pytest.mark.parametrize("leaves", [[A, A], [A, A, B], [A, B, C, C, D], [A, B, A, B]])
def test_equal_neighbours_are_told_wherever_they_pair(leaves: list[bytes]) -> None:
    assert merkle_root(leaves)[1]


@pytest.mark.parametrize("leaves", [[A, B, A], [A, B, B, A], [A, B, B, C, C, D]])
def test_equal_leaves_that_do_not_pair_are_no_mutation(leaves: list[bytes]) -> None:
    assert not merkle_root(leaves)[1]


def test_the_leaves_are_left_as_they_were() -> None:
    leaves = [A, B, C]
    merkle_root(leaves)
    merkle_branch(leaves, 2)
    assert leaves == [A, B, C]


@pytest.mark.parametrize("count", range(1, 18))
def test_every_leaf_has_a_branch_to_the_root(count: int) -> None:
    leaves = [sha256d(bytes((i,))) for i in range(count)]
    root, _ = merkle_root(leaves)
    for index, leaf in enumerate(leaves):
        branch = merkle_branch(leaves, index)
        assert len(branch) == (count - 1).bit_length()
        assert root_from_branch(leaf, index, branch) == root
        if count > 1:
            assert root_from_branch(leaves[index - 1], index, branch) != root


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_branch_without_leaf(index: int) -> None:
    with pytest.raises(IndexError, match=f"no leaf {index} among 3"):
        merkle_branch([A, B, C], index)


# Partial trees.

# A merkleblock message of the main chain: seven transactions, one matched.
# Source: https://developer.bitcoin.org/reference/p2p_networking.html#merkleblock
MERKLEBLOCK = bytes.fromhex(
    "0100000082bb869cf3a793432a66e826e05a6fc37469f8efb7421dc880670100000000007f16c5962e8bd963659c"
    "793ce370d95f093bc7e367117b3c30c1f8fdd0d9728776381b4d4c86041b554b852907000000043612262624047e"
    "e87660be1a707519a443b1c1ce3d248cbfc6c15870f6c5daa2019f5b01d4195ecbc9398fbf3c3b1fa9bb3183301d"
    "7a1fb3bd174fcfa40a2b6541ed70551dd7e841883ab8f0b16bf04176b7d1480e4f0af9f3d4c3595768d06820d2a7"
    "bc994987302e5b1ac80fc425fe25f8b63169ea78e68fbaaefa59379bbf011d"
)


def test_a_real_merkleblock_proves_its_transaction() -> None:
    r = Reader(MERKLEBLOCK)
    header, tree = BlockHeader.decode(r), PartialMerkleTree.decode(r)
    r.finish()
    root, matches = tree.extract()
    assert root == header.merkle_root
    assert [(position, display(txid)) for position, txid in matches] == [
        (4, "652b0aa4cf4f17bdb31f7a1d308331bba91f3b3cbf8f39c9cb5e19d4015b9f01")
    ]
    assert header.encode() + tree.encode() == MERKLEBLOCK


@pytest.mark.parametrize("count", range(1, 9))
def test_every_choice_of_transactions_is_proven(count: int) -> None:
    leaves = [sha256d(bytes((i,))) for i in range(count)]
    for matches in product((False, True), repeat=count):
        tree = PartialMerkleTree.from_leaves(leaves, matches)
        root, found = PartialMerkleTree.decode(Reader(tree.encode())).extract()
        assert root == merkle_root(leaves)[0]
        assert found == [(i, leaf) for i, leaf in enumerate(leaves) if matches[i]]


def test_a_tree_without_match_is_one_hash() -> None:
    tree = PartialMerkleTree.from_leaves(LEAVES, [False] * 6)
    assert (tree.hashes, tree.bits) == ((merkle_root(LEAVES)[0],), (False,))


TREE = PartialMerkleTree.from_leaves(LEAVES, [False, True, False, False, False, True])


@pytest.mark.parametrize(
    "tree",
    [
        replace(TREE, transactions=0),
        replace(TREE, transactions=MAX_TRANSACTIONS + 1),
        replace(TREE, transactions=2),
        replace(TREE, transactions=12),
        replace(TREE, hashes=TREE.hashes[:-1]),
        replace(TREE, hashes=()),
        replace(TREE, hashes=(*TREE.hashes, A)),
        replace(TREE, hashes=(*TREE.hashes, A, A, A)),
        replace(TREE, bits=()),
        replace(TREE, bits=TREE.bits[:-1]),
        replace(TREE, bits=TREE.bits[:4]),
        PartialMerkleTree(2, (A, A), (True, True, False)),
        PartialMerkleTree(4, (h(A, B), h(A, B)), (True, False, False)),
    ],
    ids=range(13),
)
def test_a_tree_that_proves_nothing_is_malformed(tree: PartialMerkleTree) -> None:
    with pytest.raises(Malformed):
        tree.extract()


def test_bits_may_be_left_over_in_the_last_byte_only() -> None:
    """As many as fill up the last byte of those used: what the wire adds, and no more."""
    bits = TREE.bits
    used = len(bits)
    for surplus in range(20):
        tree = replace(TREE, bits=bits + (False,) * surplus)
        if (used + surplus + 7) // 8 == (used + 7) // 8:
            assert tree.extract() == TREE.extract()
        else:
            with pytest.raises(Malformed, match="left over"):
                tree.extract()


def test_what_pads_the_bits_may_be_anything() -> None:
    """As in the reference client: nobody looks at it."""
    tree = replace(TREE, bits=TREE.bits + (True,) * (-len(TREE.bits) % 8))
    assert tree.extract() == TREE.extract()


def test_bits_are_packed_from_the_lowest_up() -> None:
    tree = PartialMerkleTree(1, (), (True, False, True, False, False, False, False, False, True))
    assert tree.encode().hex() == "01000000" + "00" + "02" + "0501"
    assert PartialMerkleTree.decode(Reader(tree.encode())).bits == tree.bits + (False,) * 7


def test_a_partial_tree_that_ends_early_is_truncated() -> None:
    data = TREE.encode()
    for size in range(len(data)):
        with pytest.raises(Truncated):
            PartialMerkleTree.decode(Reader(data[:size]))


def test_sizes_that_can_not_be_true_are_refused_at_once() -> None:
    for count in (1, 1000, 2**25):
        with pytest.raises(Truncated):
            PartialMerkleTree.decode(Reader(u32(7) + compact_size(count)))
    with pytest.raises(DecodeError):
        PartialMerkleTree.decode(Reader(u32(7) + compact_size(2**25 + 1)))
    too_many = compact_size(MAX_BITS_BYTES + 1) + bytes(MAX_BITS_BYTES + 1)
    with pytest.raises(Malformed):
        PartialMerkleTree.decode(Reader(u32(7) + b"\0" + too_many))


def test_the_largest_tree_fits_the_limit_of_bits() -> None:
    leaves = [sha256d(u32(i)) for i in range(MAX_TRANSACTIONS)]
    tree = PartialMerkleTree.from_leaves(leaves, [True] * len(leaves))
    decoded = PartialMerkleTree.decode(Reader(tree.encode()))
    root, matches = decoded.extract()
    assert root == merkle_root(leaves)[0]
    assert len(matches) == MAX_TRANSACTIONS
