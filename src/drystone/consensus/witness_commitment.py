"""The coinbase's commitment to all witnesses of its block (BIP141).

```
script_pubkey  6a 24 aa21a9ed | SHA256d(witness merkle root | reserved value)    OP_RETURN, push 36
witness        one element, the reserved value: 32 bytes of no meaning yet
```

The txids, and so the header, don't commit to witnesses. What is wrong with them is therefore wrong
with these bytes and not with the block: every error here is BlockMutated.
"""

from typing import Final

from drystone.consensus.errors import BlockMutated
from drystone.primitives.block import Block
from drystone.primitives.hashes import sha256d
from drystone.primitives.opcodes import Op
from drystone.primitives.transaction import Transaction

COMMITMENT_PREFIX: Final = bytes((Op.OP_RETURN, 36, 0xAA, 0x21, 0xA9, 0xED))
RESERVED_VALUE_BYTES: Final = 32

_COMMITMENT_END = len(COMMITMENT_PREFIX) + 32


def check_witnesses(block: Block, *, expect_commitment: bool) -> None:
    """The coinbase commits to the witnesses, or there are none. Core: CheckWitnessMalleation.

    expect_commitment: whether segwit is active; before, nothing could make a witness legitimate.
    """
    commitment = witness_commitment(block.coinbase) if expect_commitment else None
    if commitment is None:
        check_has_no_witness(block)
    else:
        check_reserved_value(block.coinbase)
        check_commitment(block, commitment)


def witness_commitment(coinbase: Transaction) -> bytes | None:
    """The hash committed to, or None."""
    index = commitment_index(coinbase)
    if index is None:
        return None
    return coinbase.vout[index].script_pubkey[len(COMMITMENT_PREFIX) : _COMMITMENT_END]


def commitment_index(coinbase: Transaction) -> int | None:
    """Which output commits: the last one of this form. Core: GetWitnessCommitmentIndex."""
    for index in reversed(range(len(coinbase.vout))):
        script = coinbase.vout[index].script_pubkey
        if script.startswith(COMMITMENT_PREFIX) and len(script) >= _COMMITMENT_END:
            return index
    return None


def commitment_script(witness_root: bytes, reserved_value: bytes) -> bytes:
    """The output script by which a miner commits. Core: GenerateCoinbaseCommitment."""
    return COMMITMENT_PREFIX + sha256d(witness_root + reserved_value)


def check_has_no_witness(block: Block) -> None:
    """Without a commitment there is no witness (BIP141). Core: CheckWitnessMalleation.

    Raises BlockMutated("unexpected-witness").
    """
    for tx in block.vtx:
        if tx.has_witness:
            raise BlockMutated("unexpected-witness")


def check_reserved_value(coinbase: Transaction) -> None:
    """The coinbase's witness is one element of 32 bytes, the reserved value (BIP141).

    Core: CheckWitnessMalleation. Raises BlockMutated("bad-witness-nonce-size").
    """
    witness = coinbase.vin[0].witness
    if len(witness) != 1 or len(witness[0]) != RESERVED_VALUE_BYTES:
        raise BlockMutated("bad-witness-nonce-size")


def check_commitment(block: Block, commitment: bytes) -> None:
    """The commitment is to the witnesses of this block (BIP141). Core: CheckWitnessMalleation.

    Raises BlockMutated("bad-witness-merkle-match").
    """
    reserved_value = block.coinbase.vin[0].witness[0]
    if sha256d(block.witness_merkle_root() + reserved_value) != commitment:
        raise BlockMutated("bad-witness-merkle-match")
