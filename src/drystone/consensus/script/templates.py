"""The everyday ways to spend, recognised and checked without running a script.

Speed shaped this file, and nothing but speed needs it: most inputs are of three kinds, and running
their scripts takes half as long again as checking the signature. An input that is valid here is
valid for the interpreter, each condition having its place there; any other is left to it, so that
all errors are its own. A property test compares both.
"""

from collections.abc import Callable
from typing import Final

from drystone.consensus.script.encoding import is_compressed, is_strict_der
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.sighash import SIGHASH_ALL, SIGHASH_DEFAULT, SignatureHashes
from drystone.consensus.script.values import is_true
from drystone.consensus.verifier import Verifier
from drystone.crypto.ripemd160 import hash160
from drystone.crypto.secp256k1 import is_low_s

# Output scripts: P2PKH    76 a9 14 | key hash (20) | 88 ac
#                 P2WPKH   00 14 | key hash (20)
#                 P2TR     51 20 | output key (32)
_P2PKH_HEAD: Final = b"\x76\xa9\x14"
_P2PKH_TAIL: Final = b"\x88\xac"
_P2WPKH_HEAD: Final = b"\x00\x14"
_P2TR_HEAD: Final = b"\x51\x20"

_V0_FLAGS: Final = Flags.P2SH | Flags.WITNESS
_V1_FLAGS: Final = Flags.P2SH | Flags.WITNESS | Flags.TAPROOT


def is_p2pkh(script: bytes) -> bool:
    """Whether a script asks for a key with some hash and for its signature, and nothing else.

    CHECKSIG is its last operation: where the signature fails, so does the script.
    """
    return len(script) == 25 and script[:3] == _P2PKH_HEAD and script[23:] == _P2PKH_TAIL


def is_plainly_valid(hashes: SignatureHashes, index: int, flags: Flags, verifier: Verifier) -> bool:
    """Whether an input is of an everyday kind, and valid.

    verifier: is asked last of all, and without its yes the input is invalid.
    """
    check = _KINDS.get(len(hashes.spent_outputs[index].script_pubkey))
    return check is not None and check(hashes, index, flags, verifier)


def _is_valid_p2pkh(hashes: SignatureHashes, index: int, flags: Flags, verifier: Verifier) -> bool:
    """script_sig: a push of the signature and one of the key."""
    txin = hashes.tx.vin[index]
    script = hashes.spent_outputs[index].script_pubkey
    if not is_p2pkh(script) or txin.witness:
        return False
    script_sig = txin.script_sig
    if len(script_sig) < 100 or not 0x3C <= script_sig[0] <= 0x49:
        # Direct pushes are all that such lengths allow, and no signature of more than 20 bytes
        # could be in the output script, from which it would be deleted.
        return False
    key_at = script_sig[0] + 1
    signature, public_key = script_sig[1:key_at], script_sig[key_at + 1 :]
    return (
        script_sig[key_at] == len(public_key)
        and _is_plain_key(public_key)
        and _is_plain_signature(signature, flags)
        and hash160(public_key) == script[3:23]
        and verifier.ecdsa(public_key, hashes.legacy(index, script, SIGHASH_ALL), signature[:-1])
    )


def _is_valid_p2wpkh(hashes: SignatureHashes, index: int, flags: Flags, verifier: Verifier) -> bool:
    """witness: signature, key."""
    txin = hashes.tx.vin[index]
    script = hashes.spent_outputs[index].script_pubkey
    if script[:2] != _P2WPKH_HEAD or _V0_FLAGS not in flags:
        return False
    if txin.script_sig or len(txin.witness) != 2:
        return False
    signature, public_key = txin.witness
    key_hash = script[2:]
    script_code = _P2PKH_HEAD + key_hash + _P2PKH_TAIL
    return (
        is_compressed(public_key)
        and _is_plain_signature(signature, flags)
        and hash160(public_key) == key_hash
        and is_true(key_hash)  # or the output script, run by itself, would end in false
        and verifier.ecdsa(
            public_key, hashes.witness_v0(index, script_code, SIGHASH_ALL), signature[:-1]
        )
    )


def _is_valid_p2tr(hashes: SignatureHashes, index: int, flags: Flags, verifier: Verifier) -> bool:
    """witness: a signature of hash type DEFAULT by the output key."""
    txin = hashes.tx.vin[index]
    script = hashes.spent_outputs[index].script_pubkey
    if script[:2] != _P2TR_HEAD or _V1_FLAGS not in flags:
        return False
    if txin.script_sig or len(txin.witness) != 1 or len(txin.witness[0]) != 64:
        return False
    output_key = script[2:]
    digest = hashes.taproot(index, SIGHASH_DEFAULT)
    return (
        digest is not None
        and is_true(output_key)  # or the output script, run by itself, would end in false
        and verifier.schnorr(output_key, digest, txin.witness[0])
    )


_KINDS: Final[dict[int, Callable[[SignatureHashes, int, Flags, Verifier], bool]]] = {
    25: _is_valid_p2pkh,
    22: _is_valid_p2wpkh,
    34: _is_valid_p2tr,
}


def _is_plain_signature(signature: bytes, flags: Flags) -> bool:
    """Whether no flag objects to the encoding, and all is signed."""
    return (
        signature[-1:] == b"\x01"
        and is_strict_der(signature)
        and (Flags.LOW_S not in flags or is_low_s(signature[:-1]))
    )


def _is_plain_key(public_key: bytes) -> bool:
    return is_compressed(public_key) or (len(public_key) == 65 and public_key[0] == 4)
