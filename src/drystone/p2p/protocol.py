"""What nodes agree on before the first byte: versions, services, limits. Core: protocol.h."""

from enum import IntFlag
from typing import Final

PROTOCOL_VERSION: Final = 70016  # what we speak
MIN_PEER_PROTO_VERSION: Final = 31800  # older peers are disconnected
BIP0031_VERSION: Final = 60000  # pongs answer pings in all versions after this one
SENDHEADERS_VERSION: Final = 70012  # BIP130
FEEFILTER_VERSION: Final = 70013  # BIP133
SHORT_IDS_BLOCKS_VERSION: Final = 70014  # BIP152
WTXID_RELAY_VERSION: Final = 70016  # BIP339
ADDRV2_VERSION: Final = 70016  # BIP155 holds for all; older software is known to mind the message

CMPCTBLOCKS_VERSION: Final = 2  # of BIP152: short ids of wtxids

MAX_PROTOCOL_MESSAGE_LENGTH: Final = 4_000_000  # bytes of payload
MAX_SUBVERSION_LENGTH: Final = 256  # bytes of the user agent
MAX_INV_SZ: Final = 50_000  # entries of an inv, getdata or notfound
MAX_GETDATA_SZ: Final = 1_000  # entries that we ask for at once
MAX_HEADERS_RESULTS: Final = 2_000  # Core: max_headers_result
MAX_LOCATOR_SZ: Final = 101  # hashes
MAX_ADDR_TO_SEND: Final = 1_000  # entries of an addr or addrv2
MAX_PCT_ADDR_TO_SEND: Final = 23  # per cent of our addresses that a getaddr is answered with
MAX_ADDRV2_SIZE: Final = 512  # bytes of one address in an addrv2
MAX_BLOOM_FILTER_SIZE: Final = 36_000  # bytes (BIP37)
MAX_HASH_FUNCS: Final = 50  # of a Bloom filter
MAX_SCRIPT_ELEMENT_SIZE: Final = 520  # bytes that a filteradd may carry
MAX_GETCFILTERS_SIZE: Final = 1_000  # blocks (BIP157)
MAX_GETCFHEADERS_SIZE: Final = 2_000  # blocks (BIP157)


class Services(IntFlag):
    """What a node offers. Bits that have no name here are kept as they are. Core: ServiceFlags."""

    NONE = 0
    NETWORK = 1 << 0  # all blocks
    BLOOM = 1 << 2  # BIP111
    WITNESS = 1 << 3  # BIP144
    COMPACT_FILTERS = 1 << 6  # BIP157
    NETWORK_LIMITED = 1 << 10  # the last 288 blocks (BIP159)
    P2P_V2 = 1 << 11  # BIP324


MSG_TX: Final = 1
MSG_BLOCK: Final = 2
MSG_FILTERED_BLOCK: Final = 3  # BIP37
MSG_CMPCT_BLOCK: Final = 4  # BIP152
MSG_WTX: Final = 5  # a transaction by its wtxid (BIP339)
MSG_WITNESS_FLAG: Final = 1 << 30  # BIP144
MSG_WITNESS_TX: Final = MSG_TX | MSG_WITNESS_FLAG
MSG_WITNESS_BLOCK: Final = MSG_BLOCK | MSG_WITNESS_FLAG
