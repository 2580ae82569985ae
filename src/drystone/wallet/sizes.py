"""How much a transaction will weigh, before there are signatures.

The lengths of what an input shows, each after a byte that tells it:

```
P2WPKH   items (1) | signature and hash type (1 + 71) | public key (1 + 33)     107 bytes
P2TR     items (1) | signature (1 + 64)                                          66 bytes
```

So 271 and 230 weight units, with the 41 bytes outside of the witness that count four each. The
Schnorr signature always has that size. ECDSA's has 71 bytes at most, since `sign_ecdsa` tries
nonces until r is low; one in 64 is a byte or two shorter, as r or s begins with zeros. What is
predicted is therefore never too small: whoever pays by it pays the rate that was asked for, or a
trifle more.
"""

from collections.abc import Iterable
from typing import Final

from drystone.mempool.policy import vsize_of
from drystone.primitives.codec import compact_size
from drystone.primitives.transaction import WITNESS_SCALE_FACTOR, TxOut
from drystone.wallet.keys import Kind

_BARE_INPUT_BYTES = 36 + 1 + 4  # outpoint, an empty script's size, sequence
_WITNESS_BYTES = {Kind.P2WPKH: 1 + 1 + 71 + 1 + 33, Kind.P2TR: 1 + 1 + 64}

INPUT_WEIGHT: Final = {
    kind: _BARE_INPUT_BYTES * WITNESS_SCALE_FACTOR + size for kind, size in _WITNESS_BYTES.items()
}
INPUT_VSIZE: Final = {kind: vsize_of(weight) for kind, weight in INPUT_WEIGHT.items()}


def output_weight(script_pubkey: bytes) -> int:
    """Weight units of an output with this script."""
    return WITNESS_SCALE_FACTOR * len(TxOut(0, script_pubkey).encode())


def predicted_weight(
    input_count: int, inputs_weight: int, output_count: int, outputs_weight: int
) -> int:
    """Weight units of a transaction, given those of its inputs and of its outputs."""
    frame = 4 + len(compact_size(input_count)) + len(compact_size(output_count)) + 4
    return 2 + frame * WITNESS_SCALE_FACTOR + inputs_weight + outputs_weight  # 2: BIP144's marker


def predicted_vsize(kinds: Iterable[Kind], scripts: Iterable[bytes]) -> int:
    """Virtual bytes of a transaction with inputs of these kinds, and outputs with these scripts."""
    inputs = [INPUT_WEIGHT[kind] for kind in kinds]
    outputs = [output_weight(script) for script in scripts]
    return vsize_of(predicted_weight(len(inputs), sum(inputs), len(outputs), sum(outputs)))
