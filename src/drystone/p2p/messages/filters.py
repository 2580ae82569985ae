"""Compact block filters for those who look for their own coins (BIP157)."""

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from drystone.p2p.messages.base import hashes_bytes, read_hashes
from drystone.primitives.codec import Reader, u32, var_bytes
from drystone.primitives.hashes import BlockHash

BASIC: Final = 0  # the one type of filter that there is (BIP158)


@dataclass(frozen=True, slots=True)
class _Range:
    command: ClassVar[str]
    filter_type: int  # uint8
    start_height: int  # uint32
    stop: BlockHash

    def encode(self) -> bytes:
        """Type (1), height (4), block (32)."""
        return _type_byte(self.filter_type) + u32(self.start_height) + self.stop

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """From 37 bytes."""
        return cls(r.u8(), r.u32(), BlockHash(r.take(32)))


@dataclass(frozen=True, slots=True)
class GetCFilters(_Range):
    """The filters of the blocks from a height to a hash."""

    command: ClassVar[str] = "getcfilters"


@dataclass(frozen=True, slots=True)
class GetCFHeaders(_Range):
    """The hashes of these filters."""

    command: ClassVar[str] = "getcfheaders"


@dataclass(frozen=True, slots=True)
class CFilter:
    """A block's filter."""

    command: ClassVar = "cfilter"
    filter_type: int
    block_hash: BlockHash
    filter: bytes

    def encode(self) -> bytes:
        """Type (1), block (32), filter after its length."""
        return _type_byte(self.filter_type) + self.block_hash + var_bytes(self.filter)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """The wire's layout."""
        return cls(r.u8(), BlockHash(r.take(32)), r.var_bytes())


@dataclass(frozen=True, slots=True)
class CFHeaders:
    """A filter header, and the hashes of filters from there up to a block."""

    command: ClassVar = "cfheaders"
    filter_type: int
    stop: BlockHash
    prev_filter_header: bytes
    filter_hashes: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Type (1), block (32), header (32), a count and the hashes."""
        head = _type_byte(self.filter_type) + self.stop + self.prev_filter_header
        return head + hashes_bytes(self.filter_hashes)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """The wire's layout."""
        return cls(r.u8(), BlockHash(r.take(32)), r.take(32), read_hashes(r))


@dataclass(frozen=True, slots=True)
class GetCFCheckpt:
    """Every thousandth filter header up to a block."""

    command: ClassVar = "getcfcheckpt"
    filter_type: int
    stop: BlockHash

    def encode(self) -> bytes:
        """Type (1), block (32)."""
        return _type_byte(self.filter_type) + self.stop

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """From 33 bytes."""
        return cls(r.u8(), BlockHash(r.take(32)))


@dataclass(frozen=True, slots=True)
class CFCheckpt:
    """These filter headers."""

    command: ClassVar = "cfcheckpt"
    filter_type: int
    stop: BlockHash
    filter_headers: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Type (1), block (32), a count and the headers."""
        return _type_byte(self.filter_type) + self.stop + hashes_bytes(self.filter_headers)

    @classmethod
    def decode(cls, r: Reader) -> Self:
        """The wire's layout."""
        return cls(r.u8(), BlockHash(r.take(32)), read_hashes(r))


def _type_byte(filter_type: int) -> bytes:
    return filter_type.to_bytes(1, "little")
