"""Transactions and blocks for Hypothesis to make up."""

from hypothesis import strategies as st

from drystone.primitives.block import Block, BlockHeader
from drystone.primitives.hashes import BlockHash, Txid
from drystone.primitives.transaction import OutPoint, Transaction, TxIn, TxOut

u32s = st.integers(0, 2**32 - 1)
i32s = st.integers(-(2**31), 2**31 - 1)
i64s = st.integers(-(2**63), 2**63 - 1)
hashes = st.binary(min_size=32, max_size=32)
# Sizes around those at which a CompactSize gets longer, besides small ones.
scripts = st.one_of(
    st.binary(max_size=40), st.sampled_from([bytes(252), bytes(253), bytes(0xFFFF), bytes(0x10000)])
)

outpoints = st.builds(OutPoint, hashes.map(Txid), u32s)
outputs = st.builds(TxOut, i64s, scripts)
witnesses = st.lists(scripts, max_size=3).map(tuple)
inputs = st.builds(TxIn, outpoints, scripts, u32s, witnesses)


def _transactions(vin: st.SearchStrategy[list[TxIn]]) -> st.SearchStrategy[Transaction]:
    vout = st.lists(outputs, max_size=3).map(tuple)
    return st.builds(Transaction, u32s, vin.map(tuple), vout, u32s)


transactions = _transactions(st.lists(inputs, min_size=1, max_size=3))
"""Of at least one input: without, the wire can tell a transaction with outputs from no other."""

headers = st.builds(BlockHeader, i32s, hashes.map(BlockHash), hashes, u32s, u32s, u32s)
blocks = st.builds(Block, headers, st.lists(transactions, max_size=4).map(tuple))
