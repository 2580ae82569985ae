"""Signet: blocks that satisfy a script, the chain's challenge, as a coin's owner would (BIP325).

The answer is a second push in the coinbase's witness commitment, and what it signs is the block
without it. That is dressed as two transactions which exist nowhere, so that the script interpreter
can decide: one makes a coin that the challenge locks, the other spends it.

```
commitment    6a 24 aa21a9ed | hash (32)   push: ecc7daa2 | script_sig | witness stack
to_spend      in:  nothing, script_sig: 0, push: version | previous hash | merkle root | time
              out: 0 satoshis, the challenge          `- with the answer cut from the coinbase
to_sign       in:  to_spend's, script_sig and witness from the answer
              out: 0 satoshis, OP_RETURN
```

The proof of work commits to the answer; the answer signs neither nonce nor target.
"""

from dataclasses import replace
from typing import Final

from drystone.consensus.errors import BlockInvalid
from drystone.consensus.params import Params
from drystone.consensus.script.errors import ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.verify import verify_scripts
from drystone.consensus.witness_commitment import commitment_index
from drystone.primitives.block import Block
from drystone.primitives.codec import (
    DecodeError,
    Malformed,
    Reader,
    Truncated,
    compact_size,
    i32,
    u32,
    var_bytes,
)
from drystone.primitives.merkle import merkle_root
from drystone.primitives.opcodes import Op
from drystone.primitives.script import parse_script, push
from drystone.primitives.transaction import NULL_OUTPOINT, OutPoint, Transaction, TxIn, TxOut

HEADER: Final = bytes.fromhex("ecc7daa2")  # what the answer's push begins with

# Core: BLOCK_SCRIPT_VERIFY_FLAGS. Taproot is not among them: BIP325 is older.
FLAGS: Final = Flags.P2SH | Flags.WITNESS | Flags.DERSIG | Flags.NULLDUMMY


def check_signet_solution(block: Block, params: Params) -> None:
    """The block satisfies its chain's challenge, if that has one; genesis need not (BIP325).

    Core: CheckSignetBlockSolution. Raises BlockInvalid("bad-signet-blksig").
    """
    challenge = params.signet_challenge
    if challenge is None or block.hash == params.genesis_hash:
        return
    try:
        to_spend, to_sign = signet_transactions(block, challenge)
        verify_scripts(to_sign, to_spend.vout, FLAGS)
    except (DecodeError, ScriptInvalid) as e:
        raise BlockInvalid("bad-signet-blksig", str(e)) from None


def signet_transactions(block: Block, challenge: bytes) -> tuple[Transaction, Transaction]:
    """The two transactions by which a block answers a challenge: to_spend and to_sign.

    To sign a block: give it a commitment whose second push is HEADER alone, sign its to_sign, and
    put what `encode_solution` makes of that in HEADER's place. Core: SignetTxs::Create.
    Raises DecodeError for a block without commitment or whose answer can't be read.
    """
    index = commitment_index(block.coinbase) if block.vtx else None
    if index is None:
        raise Malformed("a signet block without witness commitment")
    coinbase = block.coinbase
    commitment, solution = _cut_solution(coinbase.vout[index].script_pubkey)
    unsigned_output = replace(coinbase.vout[index], script_pubkey=commitment)
    vout = (*coinbase.vout[:index], unsigned_output, *coinbase.vout[index + 1 :])
    unsigned = replace(coinbase, vout=vout)
    root, _ = merkle_root([unsigned.txid, *(tx.txid for tx in block.vtx[1:])])

    header = block.header
    signed_data = i32(header.version) + header.prev_hash + root + u32(header.time)
    script_sig, witness = (b"", ()) if solution is None else _decode_solution(solution)
    to_spend = Transaction(
        version=0,
        vin=(TxIn(NULL_OUTPOINT, bytes((Op.OP_0,)) + push(signed_data), sequence=0),),
        vout=(TxOut(0, challenge),),
    )
    to_sign = Transaction(
        version=0,
        vin=(TxIn(OutPoint(to_spend.txid, 0), script_sig, 0, witness),),
        vout=(TxOut(0, bytes((Op.OP_RETURN,))),),
    )
    return to_spend, to_sign


def encode_solution(script_sig: bytes, witness: tuple[bytes, ...]) -> bytes:
    """The data to push after the commitment's own: header, script_sig, witness stack."""
    stack = compact_size(len(witness)) + b"".join(map(var_bytes, witness))
    return HEADER + var_bytes(script_sig) + stack


def _decode_solution(solution: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    r = Reader(solution)
    script_sig = r.var_bytes()
    count = r.compact_size()
    if count > r.left:
        raise Truncated(f"{count} elements of a stack announced in {r.left} bytes")
    witness = tuple([r.var_bytes() for _ in range(count)])
    r.finish()
    return script_sig, witness


def _cut_solution(script: bytes) -> tuple[bytes, bytes | None]:
    """The commitment without its answer, and the answer; a trivial challenge wants none.

    Core: FetchAndClearCommitmentSection. Core quirk: where there is an answer, all of the script
    is written anew, pushes in their shortest form, and ends at the first that can't be read.
    """
    rewritten = bytearray()
    solution: bytes | None = None
    try:
        for op in parse_script(script):
            data = op.data
            if not data:
                rewritten.append(op.opcode)
                continue
            if solution is None and len(data) > len(HEADER) and data.startswith(HEADER):
                data, solution = HEADER, data[len(HEADER) :]
            rewritten += push(data)
    except Malformed:
        pass
    return (script, None) if solution is None else (bytes(rewritten), solution)
