"""The partial merkle tree of a merkleblock (BIP37): proof that some transactions are in a block.

The tree is walked from the root, depth first. One bit for each node visited: 1 if a matched leaf
lies below, so that the walk goes on, 0 if the node's hash is given instead. Hashes are given for
nodes with bit 0 and for leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from drystone.primitives.codec import Malformed, Reader, Truncated, compact_size, u32, var_bytes
from drystone.primitives.hashes import sha256d

MAX_TRANSACTIONS = 4_000_000 // 240  # a block's weight over the least that a transaction weighs
MAX_BITS_BYTES = (2 * MAX_TRANSACTIONS + 16) // 8 + 1  # such a block's tree has no more nodes


@dataclass(frozen=True, slots=True)
class PartialMerkleTree:
    """Core: CPartialMerkleTree."""

    transactions: int  # in the whole block, uint32
    hashes: tuple[bytes, ...]
    bits: tuple[bool, ...]  # padded with zeros to whole bytes on the wire

    @classmethod
    def from_leaves(cls, txids: Sequence[bytes], matches: Sequence[bool]) -> Self:
        """The proof for those transactions that match. Both sequences cover the block, in order.

        Raises ValueError for sequences that are empty or of different lengths.
        """
        if not txids or len(txids) != len(matches):
            raise ValueError(f"{len(matches)} matches for {len(txids)} transactions")
        rows = [list(txids)]
        while len(rows[-1]) > 1:
            row = rows[-1] + rows[-1][-1:] * (len(rows[-1]) & 1)
            rows.append([sha256d(a + b) for a, b in zip(row[::2], row[1::2], strict=True)])
        hashes: list[bytes] = []
        bits: list[bool] = []

        def walk(height: int, position: int) -> None:
            below = matches[position << height : (position + 1) << height]
            bits.append(any(below))
            if height == 0 or not any(below):
                hashes.append(rows[height][position])
                return
            walk(height - 1, 2 * position)
            if 2 * position + 1 < len(rows[height - 1]):
                walk(height - 1, 2 * position + 1)

        walk(len(rows) - 1, 0)
        return cls(len(txids), tuple(hashes), tuple(bits))

    def extract(self) -> tuple[bytes, list[tuple[int, bytes]]]:
        """The merkle root, and (position, txid) of each match. Core: ExtractMatches.

        Raises Malformed for a tree that proves nothing: too many transactions, hashes or bits
        left over or missing, or two equal hashes side by side (CVE-2012-2459).
        """
        if not 0 < self.transactions <= MAX_TRANSACTIONS:
            raise Malformed(f"a partial tree over {self.transactions} transactions")
        if len(self.hashes) > self.transactions or len(self.bits) < len(self.hashes):
            raise Malformed("a partial tree with more hashes than transactions or bits")
        height = (self.transactions - 1).bit_length()
        hashes, bits = iter(self.hashes), iter(self.bits)
        matched: list[tuple[int, bytes]] = []

        def walk(height: int, position: int) -> bytes:
            below = next(bits)
            if height == 0 or not below:
                node = next(hashes)
                if height == 0 and below:
                    matched.append((position, node))
                return node
            left = walk(height - 1, 2 * position)
            if (2 * position + 1) << (height - 1) >= self.transactions:
                return sha256d(left + left)
            right = walk(height - 1, 2 * position + 1)
            if left == right:
                raise Malformed("two equal hashes side by side in a partial tree")
            return sha256d(left + right)

        try:
            root = walk(height, 0)
        except StopIteration:
            raise Malformed("a partial tree with too few hashes or bits") from None
        used_bits = len(self.bits) - sum(1 for _ in bits)
        are_bits_left = (used_bits + 7) // 8 != (len(self.bits) + 7) // 8  # beyond the padding
        if are_bits_left or next(hashes, None) is not None:
            raise Malformed("a partial tree with hashes or bits left over")
        return root, matched

    def encode(self) -> bytes:
        """Transactions (4), hashes after their count, bits packed from the lowest up."""
        packed = bytearray((len(self.bits) + 7) // 8)
        for index, bit in enumerate(self.bits):
            packed[index // 8] |= bit << index % 8
        hashes = compact_size(len(self.hashes)) + b"".join(self.hashes)
        return u32(self.transactions) + hashes + var_bytes(bytes(packed))

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """The wire's layout: bits come in whole bytes. Raises Truncated or Malformed."""
        transactions = r.u32()
        count = r.compact_size()
        if count * 32 > r.left:
            raise Truncated(f"{count} hashes announced in {r.left} bytes")
        hashes = tuple([r.take(32) for _ in range(count)])
        packed = r.var_bytes(MAX_BITS_BYTES)  # a bit becomes an object, so no more than that
        bits = tuple([bool(packed[i // 8] >> i % 8 & 1) for i in range(8 * len(packed))])
        return cls(transactions, hashes, bits)
