"""Blocks signed for a signet of our own (BIP325)."""

from dataclasses import replace

from drystone.consensus.script.sighash import SignatureHashes
from drystone.consensus.signet import HEADER, encode_solution, signet_transactions
from drystone.consensus.witness_commitment import COMMITMENT_PREFIX
from drystone.crypto.secp256k1 import public_key, sign_ecdsa
from drystone.primitives.block import Block
from drystone.primitives.script import multisig, push

SECRET = bytes(31) + b"\7"
ONE_OF_ONE = multisig(1, [public_key(SECRET)])


def with_push(block: Block, data: bytes) -> Block:
    """The same, HEADER's push replaced."""
    vout = [
        replace(txout, script_pubkey=txout.script_pubkey.removesuffix(push(HEADER)) + push(data))
        if txout.script_pubkey.startswith(COMMITMENT_PREFIX)
        else txout
        for txout in block.coinbase.vout
    ]
    return replace(block, vtx=(replace(block.coinbase, vout=tuple(vout)), *block.vtx[1:]))


def signed(block: Block) -> Block:
    """By the one key of ONE_OF_ONE."""
    to_spend, to_sign = signet_transactions(block, ONE_OF_ONE)
    digest = SignatureHashes(to_sign, to_spend.vout).legacy(0, ONE_OF_ONE, 1)
    script_sig = b"\0" + push(sign_ecdsa(SECRET, digest) + b"\1")
    return with_push(block, encode_solution(script_sig, ()))
