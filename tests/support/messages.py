"""Messages of every kind for Hypothesis to make up."""

from typing import Any

from hypothesis import strategies as st

from drystone.p2p.messages import (
    MESSAGES,
    Addr,
    AddrV2,
    BlockMessage,
    BlockTxn,
    CFCheckpt,
    CFHeaders,
    CFilter,
    CmpctBlock,
    FeeFilter,
    FilterAdd,
    FilterClear,
    FilterLoad,
    GetAddr,
    GetBlocks,
    GetBlockTxn,
    GetCFCheckpt,
    GetCFHeaders,
    GetCFilters,
    GetData,
    GetHeaders,
    Headers,
    Inv,
    Inventory,
    Mempool,
    MerkleBlock,
    NotFound,
    PeerAddress,
    Ping,
    Pong,
    PrefilledTransaction,
    SendAddrV2,
    SendCmpct,
    SendHeaders,
    TxMessage,
    Verack,
    Version,
    WtxidRelay,
)
from drystone.p2p.netaddress import ADDRESS_BYTES, NetAddress, Network
from drystone.primitives.block import BlockLocator
from drystone.primitives.merkleblock import PartialMerkleTree
from tests.support.strategies import blocks, hashes, headers, i32s, i64s, transactions, u32s

u8s = st.integers(0, 0xFF)
u16s = st.integers(0, 0xFFFF)
u64s = st.integers(0, 2**64 - 1)


def tuples_of(items: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=most).map(tuple)


v1_addresses = st.builds(NetAddress.from_v1, st.binary(min_size=16, max_size=16), u16s) | st.builds(
    NetAddress, st.just(Network.IPV4), st.binary(min_size=4, max_size=4), u16s
)
v2_addresses = st.one_of(
    *(
        st.builds(NetAddress, st.just(int(network)), st.binary(min_size=size, max_size=size), u16s)
        for network, size in ADDRESS_BYTES.items()
    ),
    st.builds(NetAddress, st.integers(7, 0xFF), st.binary(max_size=512), u16s),
)
locators = st.builds(BlockLocator, tuples_of(hashes, 101), u32s)
trees = st.integers(1, 20).flatmap(
    lambda count: st.builds(
        PartialMerkleTree.from_leaves,
        st.lists(hashes, min_size=count, max_size=count),
        st.lists(st.booleans(), min_size=count, max_size=count),
    )
)
# Bits come in whole bytes.
trees = trees.map(
    lambda tree: PartialMerkleTree(
        tree.transactions, tree.hashes, tree.bits + (False,) * (-len(tree.bits) % 8)
    )
)
rising = st.lists(u16s, max_size=5, unique=True).map(sorted)
items = tuples_of(st.builds(Inventory, u32s, hashes))
prefilled = st.lists(st.tuples(u16s, transactions), max_size=3, unique_by=lambda one: one[0]).map(
    lambda pairs: tuple(
        PrefilledTransaction(index, tx) for index, tx in sorted(pairs, key=lambda pair: pair[0])
    )
)

BY_KIND: dict[type, st.SearchStrategy[Any]] = {
    Version: st.builds(
        Version,
        i32s,
        u64s,
        i64s,
        u64s,
        v1_addresses,
        u64s,
        st.binary(max_size=256),
        i32s,
        st.booleans(),
    ),
    SendCmpct: st.builds(SendCmpct, st.booleans(), u64s),
    FeeFilter: st.builds(FeeFilter, i64s),
    Ping: st.builds(Ping, u64s),
    Pong: st.builds(Pong, st.none() | u64s),
    Inv: st.builds(Inv, items),
    GetData: st.builds(GetData, items),
    NotFound: st.builds(NotFound, items),
    GetHeaders: st.builds(GetHeaders, locators, hashes),
    GetBlocks: st.builds(GetBlocks, locators, hashes),
    Headers: st.builds(Headers, tuples_of(headers)),
    BlockMessage: st.builds(BlockMessage, blocks),
    TxMessage: st.builds(TxMessage, transactions),
    Addr: st.builds(Addr, tuples_of(st.builds(PeerAddress, u32s, u64s, v1_addresses))),
    AddrV2: st.builds(AddrV2, tuples_of(st.builds(PeerAddress, u32s, u64s, v2_addresses))),
    CmpctBlock: st.builds(
        CmpctBlock, headers, u64s, tuples_of(st.integers(0, 2**48 - 1)), prefilled
    ),
    GetBlockTxn: st.builds(GetBlockTxn, hashes, rising.map(tuple)),
    BlockTxn: st.builds(BlockTxn, hashes, tuples_of(transactions, 3)),
    FilterLoad: st.builds(FilterLoad, st.binary(max_size=50), st.integers(0, 50), u32s, u8s),
    FilterAdd: st.builds(FilterAdd, st.binary(max_size=520)),
    MerkleBlock: st.builds(MerkleBlock, headers, trees),
    GetCFilters: st.builds(GetCFilters, u8s, u32s, hashes),
    GetCFHeaders: st.builds(GetCFHeaders, u8s, u32s, hashes),
    CFilter: st.builds(CFilter, u8s, hashes, st.binary(max_size=300)),
    CFHeaders: st.builds(CFHeaders, u8s, hashes, hashes, tuples_of(hashes)),
    GetCFCheckpt: st.builds(GetCFCheckpt, u8s, hashes),
    CFCheckpt: st.builds(CFCheckpt, u8s, hashes, tuples_of(hashes)),
    **{
        kind: st.just(kind())
        for kind in (
            *(Verack, WtxidRelay, SendAddrV2, SendHeaders),
            *(Mempool, GetAddr, FilterClear),
        )
    },
}

messages = st.one_of(*BY_KIND.values())

assert {kind.command for kind in BY_KIND} == set(MESSAGES)  # type: ignore[attr-defined]
