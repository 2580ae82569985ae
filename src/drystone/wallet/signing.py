"""Signing: what is handed out has been verified first.

The same transaction, coins and keys always give the same bytes: nonces come from what is signed
(RFC 6979 for ECDSA; BIP340 without auxiliary randomness for Schnorr), as libsecp256k1 makes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from drystone.consensus.script.errors import ScriptInvalid
from drystone.consensus.script.flags import STANDARD
from drystone.consensus.script.sighash import SIGHASH_ALL, SIGHASH_DEFAULT, SignatureHashes
from drystone.consensus.script.verify import verify_scripts
from drystone.core.errors import UserError
from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import sign_ecdsa, sign_schnorr
from drystone.primitives.script import p2pkh
from drystone.primitives.transaction import Transaction, TxOut
from drystone.wallet.keys import Key, Kind


def sign(tx: Transaction, spent: Sequence[TxOut], keys: Mapping[bytes, Key]) -> Transaction:
    """The transaction with a signature in each input that one of these keys unlocks.

    spent: the output that each input spends, in order. keys: by the script that they unlock. Other
    inputs stay as they are, so they must be signed already. Signatures cover all inputs and
    outputs.

    Raises UserError if an input's scripts then still fail, by consensus or standard policy.
    """
    assert len(tx.vin) == len(spent)
    hashes = SignatureHashes(tx, spent)
    vin = list(tx.vin)
    for index, (txin, txout) in enumerate(zip(tx.vin, spent, strict=True)):
        key = keys.get(txout.script_pubkey)
        if key is not None:
            vin[index] = replace(txin, script_sig=b"", witness=witness(hashes, index, key))
    signed = replace(tx, vin=tuple(vin))
    check_signed(signed, spent)
    return signed


def witness(hashes: SignatureHashes, index: int, key: Key) -> tuple[bytes, ...]:
    """What an input shows to be unlocked by a key."""
    if key.kind is Kind.P2WPKH:
        script_code = p2pkh(hash160(key.public_key))
        digest = hashes.witness_v0(index, script_code, SIGHASH_ALL)
        return sign_ecdsa(key.secret, digest) + bytes((SIGHASH_ALL,)), key.public_key
    digest_or_none = hashes.taproot(index, SIGHASH_DEFAULT)
    assert digest_or_none is not None  # only SINGLE may lack what it signs
    return (sign_schnorr(key.secret, digest_or_none),)


def check_signed(tx: Transaction, spent: Sequence[TxOut]) -> None:
    """All inputs keep the rules of blocks and of relay. Raises UserError about the first that
    fails.

    What standard flags let pass, consensus lets pass: each flag only forbids.
    """
    try:
        verify_scripts(tx, spent, STANDARD)
    except ScriptInvalid as invalid:
        raise UserError(
            f"input {invalid.input_index} is not signed as its coin asks for"
            f" ({invalid.error.value}): sign it with the key of its owner"
        ) from None
