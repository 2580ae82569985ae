"""Filtered blocks for those who keep no chain (BIP37). Read, and refused unless offered."""

from dataclasses import dataclass
from typing import ClassVar, Self

from drystone.p2p.messages.base import Bare, Oversized
from drystone.p2p.protocol import MAX_BLOOM_FILTER_SIZE, MAX_HASH_FUNCS, MAX_SCRIPT_ELEMENT_SIZE
from drystone.primitives.block import BlockHeader
from drystone.primitives.codec import Reader, u32, var_bytes
from drystone.primitives.merkleblock import PartialMerkleTree


@dataclass(frozen=True, slots=True)
class FilterLoad:
    """From now on, only what this Bloom filter matches. Core: CBloomFilter."""

    command: ClassVar = "filterload"
    data: bytes
    hash_functions: int  # uint32
    tweak: int  # uint32
    flags: int  # uint8

    def encode(self) -> bytes:
        """The filter's bits, hash functions (4), tweak (4), flags (1)."""
        flags = self.flags.to_bytes(1, "little")
        return var_bytes(self.data) + u32(self.hash_functions) + u32(self.tweak) + flags

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """At most MAX_BLOOM_FILTER_SIZE bytes and MAX_HASH_FUNCS functions."""
        message = cls(r.var_bytes(), r.u32(), r.u32(), r.u8())
        too_many = message.hash_functions > MAX_HASH_FUNCS
        if too_many or len(message.data) > MAX_BLOOM_FILTER_SIZE:
            raise Oversized("too-large bloom filter")
        return message


@dataclass(frozen=True, slots=True)
class FilterAdd:
    """Add this to the filter."""

    command: ClassVar = "filteradd"
    data: bytes

    def encode(self) -> bytes:
        """The bytes after their length."""
        return var_bytes(self.data)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """At most MAX_SCRIPT_ELEMENT_SIZE bytes."""
        data = r.var_bytes()
        if len(data) > MAX_SCRIPT_ELEMENT_SIZE:
            raise Oversized("bad filteradd message")
        return cls(data)


@dataclass(frozen=True, slots=True)
class FilterClear(Bare):
    """No filter any more."""

    command: ClassVar = "filterclear"


@dataclass(frozen=True, slots=True)
class MerkleBlock:
    """A header, and the proof of those transactions that matched. Core: CMerkleBlock."""

    command: ClassVar = "merkleblock"
    header: BlockHeader
    tree: PartialMerkleTree

    def encode(self) -> bytes:
        """Header (80), tree."""
        return self.header.encode() + self.tree.encode()

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """The wire's layout."""
        return cls(BlockHeader.decode(r), PartialMerkleTree.decode(r))
