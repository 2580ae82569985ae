"""The coinbase of a block to come: its height, an extra nonce, and whom it pays.

```
version 2
vin     nothing | height (BIP34), extra nonce | sequence fffffffe | witness: 32 zero bytes
vout    what is left of the reward | further outputs | commitment to all witnesses (BIP141)
lock    height - 1
```

It is the one that the reference client's `generatetoaddress` makes (versions 30 and 31) when the
extra nonce is 0, which is the OP_0 at the end of its script. Its lock time is over just in this
block, and its sequence number makes that count: so no older block can have had the same coinbase.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drystone.consensus.witness_commitment import RESERVED_VALUE_BYTES, commitment_script
from drystone.primitives.hashes import Wtxid
from drystone.primitives.merkle import merkle_root
from drystone.primitives.script import push_int
from drystone.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut

COINBASE_VERSION: Final = 2
SEQUENCE_NONFINAL: Final = 0xFFFFFFFE  # Core: MAX_SEQUENCE_NONFINAL
RESERVED_VALUE: Final = bytes(RESERVED_VALUE_BYTES)

EXTRANONCES: Final = 1 << 63  # as many as there are script numbers that Core can read


@dataclass(frozen=True, slots=True)
class Coinbase:
    """All of a coinbase but its extra nonce.

    Each extra nonce makes another transaction, and so another block to search: who shares the
    outputs with another miner takes other extra nonces.
    """

    height: int
    outputs: tuple[TxOut, ...]
    witness: tuple[bytes, ...]  # the reserved value, from segwit on

    def transaction(self, extranonce: int = 0) -> Transaction:
        """The coinbase itself. extranonce: 0 to 2^63 - 1."""
        if not 0 <= extranonce < EXTRANONCES:
            raise ValueError(f"an extra nonce is from 0 to 2^63 - 1, not {extranonce}")
        # Core quirk: two bytes at least, which the extra nonce sees to, though it be 0.
        script_sig = push_int(self.height) + push_int(extranonce)
        txin = TxIn(NULL_OUTPOINT, script_sig, SEQUENCE_NONFINAL, self.witness)
        return Transaction(COINBASE_VERSION, (txin,), self.outputs, self.height - 1)

    @property
    def max_weight(self) -> int:
        """What it weighs with the longest extra nonce."""
        return self.transaction(EXTRANONCES - 1).weight


def make_coinbase(
    height: int,
    reward: int,
    script_pubkey: bytes,
    *,
    outputs: Sequence[TxOut] = (),
    wtxids: Sequence[Wtxid] = (),
    is_segwit_active: bool = True,
    commits: bool = True,
) -> Coinbase:
    """The coinbase of a block with these transactions besides.

    reward: subsidy and fees. outputs: come first when the reward is shared out; script_pubkey gets
    the rest. wtxids: of all transactions but the coinbase. commits: to them, which a block without
    witnesses need not. Core: CreateNewBlock, GenerateCoinbaseCommitment; there, too, the commitment
    is made before segwit binds, and the reserved value is not.

    Raises ValueError if the outputs are worth more than the reward.
    """
    rest = reward - sum(txout.value for txout in outputs)
    if rest < 0:
        raise ValueError(f"outputs of {reward - rest} satoshis, the reward is {reward}")
    shares = (TxOut(rest, script_pubkey), *outputs)
    if not commits:
        return Coinbase(height, shares, ())
    root, _ = merkle_root([bytes(32), *wtxids])
    commitment = TxOut(0, commitment_script(root, RESERVED_VALUE))
    return Coinbase(
        height,
        (*shares, commitment),
        (RESERVED_VALUE,) if is_segwit_active else (),
    )
