"""A whole chain in one datagram: checking it, extending it, choosing the longest.

The rules are the tutorial's and three stricter ones, a soft fork in Bitcoin's language: our
genesis and no other, a transaction count that agrees with the size, and version 0. Whatever these
rules accept, the tutorial's nodes accept.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from drystone.classic.block import (
    GENESIS,
    HEADER_BYTES,
    REWARD_BLOCK_BYTES,
    VERSION,
    Block,
    ClassicInvalid,
    split_block,
)
from drystone.classic.pow import has_work
from drystone.primitives.hashes import sha256d

MAX_DATAGRAM_BYTES = 9216
KNOWN_BLOCKS = 4096


@dataclass(frozen=True)
class Chain:
    """A valid chain from genesis to tip. Two chains are equal when their bytes are."""

    blocks: tuple[bytes, ...]  # each as it stands in the datagram
    tip_hash: bytes

    @cached_property
    def data(self) -> bytes:
        """The chain as it is broadcast."""
        return b"".join(self.blocks)

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Offset in `data` after each block."""
        return tuple(accumulate(map(len, self.blocks)))

    @property
    def height(self) -> int:
        """Of the tip; genesis has height 0."""
        return len(self.blocks) - 1

    @property
    def is_full(self) -> bool:
        """Whether one more reward block would outgrow the datagram (at 122 of the usual blocks)."""
        return self.ends[-1] + REWARD_BLOCK_BYTES > MAX_DATAGRAM_BYTES

    def extended(self, block: Block) -> "Chain":
        """This chain with one more block, which the caller knows to be valid."""
        return Chain((*self.blocks, block.encode()), block.hash)

    def shared_blocks(self, data: bytes) -> int:
        """How many of our blocks data begins with, byte for byte: memory compares, no hashing."""
        if data.startswith(self.data):
            return len(self.blocks)

        def differs_before(end: int) -> bool:
            return data[:end] != self.data[:end]

        return bisect_right(self.ends, False, key=differs_before)


GENESIS_CHAIN = Chain((GENESIS.encode(),), GENESIS.hash)


class KnownBlocks:
    """The hashes of blocks that passed every rule but the link to their predecessor.

    A block's bytes alone decide those rules, so its bytes are the key; its hash would not do,
    since anyone can rewrite a reward under the same hash. For the same reason the number of
    blocks kept is bounded, oldest out: twins of a solved block cost an attacker no work.
    """

    def __init__(self, limit: int = KNOWN_BLOCKS) -> None:
        self._limit = limit
        self._hashes = {GENESIS.encode(): GENESIS.hash}

    def hash_of(self, raw: bytes) -> bytes:
        """The block's hash, checking the block if it is new. raw: from `split_block`.

        Raises ClassicInvalid: bad-version or bad-pow.
        """
        known = self._hashes.get(raw)
        if known is not None:
            return known
        if raw[1] != VERSION:
            raise ClassicInvalid("bad-version", f"{raw[1]}, not {VERSION}")
        block_hash = sha256d(raw[1 : 1 + HEADER_BYTES])
        if not has_work(block_hash):
            raise ClassicInvalid("bad-pow", f"hash {block_hash.hex()}")
        if len(self._hashes) >= self._limit:
            del self._hashes[next(iter(self._hashes))]
        self._hashes[raw] = block_hash
        return block_hash


def check_chain(data: bytes, own: Chain, known: KnownBlocks) -> Chain:
    """A received datagram as a valid chain. The cost grows with the blocks that own hasn't.

    Raises ClassicInvalid: empty-datagram, datagram-too-large, foreign-genesis, bad-prevhash, or a
    block's own reason; the detail says which block. Whether it is longer is the caller's question.
    """
    if not data:
        raise ClassicInvalid("empty-datagram", "no bytes at all")
    if len(data) > MAX_DATAGRAM_BYTES:
        raise ClassicInvalid("datagram-too-large", f"more than {MAX_DATAGRAM_BYTES} bytes")
    shared = own.shared_blocks(data)
    blocks = list(own.blocks[:shared])
    offset = own.ends[shared - 1] if shared else 0
    tip_hash = known.hash_of(blocks[-1]) if shared else b""
    while offset < len(data):
        try:
            raw = split_block(data, offset)
            if not blocks and raw != GENESIS_CHAIN.data:
                raise ClassicInvalid("foreign-genesis", "not the chain that we began")
            if blocks and raw[2:34] != tip_hash:
                raise ClassicInvalid("bad-prevhash", "doesn't build on the block before it")
            tip_hash = known.hash_of(raw)
        except ClassicInvalid as error:
            raise ClassicInvalid(error.reason, f"block {len(blocks)}: {error.detail}") from None
        blocks.append(raw)
        offset += len(raw)
    return Chain(tuple(blocks), tip_hash)
