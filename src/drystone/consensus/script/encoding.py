"""How signatures and public keys must be written, before anybody looks whether they fit."""

from drystone.consensus.script.errors import ScriptError, ScriptInvalid
from drystone.consensus.script.flags import Flags
from drystone.consensus.script.sighash import SIGHASH_ALL, SIGHASH_ANYONECANPAY, SIGHASH_SINGLE
from drystone.crypto.secp256k1 import is_low_s

_KEY_SIZES = {2: 33, 3: 33, 4: 65, 6: 65, 7: 65}


def check_signature_encoding(signature: bytes, flags: Flags) -> None:
    """Strict DER, a low s and a defined hash type, as the flags ask (BIP66, BIP62).

    signature: with the hash type's byte; an empty one is a legal way to say no. Raises
    ScriptInvalid: SIG_DER, SIG_HIGH_S, SIG_HASHTYPE. Core: CheckSignatureEncoding.
    """
    if not signature:
        return
    if _wants_strict_der(flags) and not is_strict_der(signature):
        raise ScriptInvalid(ScriptError.SIG_DER)
    if Flags.LOW_S in flags and not is_low_s(signature[:-1]):
        raise ScriptInvalid(ScriptError.SIG_HIGH_S)
    if Flags.STRICTENC in flags and not has_defined_hash_type(signature):
        raise ScriptInvalid(ScriptError.SIG_HASHTYPE)


def _wants_strict_der(flags: Flags) -> bool:
    return Flags.DERSIG in flags or Flags.STRICTENC in flags or Flags.LOW_S in flags


def is_strict_der(signature: bytes) -> bool:
    """Whether r and s are written in the one way that DER has for them (BIP66).

    ```
    30 | size of all that follows but the hash type | 02 | size | r | 02 | size | s | hash type
    ```

    r and s are big-endian, not empty, not negative by their first bit, and without a zero in
    front unless it keeps them from being negative. Core: IsValidSignatureEncoding.
    """
    size = len(signature)
    if not 9 <= size <= 73 or signature[0] != 0x30 or signature[1] != size - 3:
        return False
    r_size = signature[3]
    if r_size + 5 >= size:
        return False
    s_size = signature[r_size + 5]
    if r_size + s_size + 7 != size:
        return False
    return _is_der_integer(signature, 2, r_size) and _is_der_integer(signature, r_size + 4, s_size)


def _is_der_integer(signature: bytes, at: int, size: int) -> bool:
    if signature[at] != 0x02 or size == 0:
        return False
    first = signature[at + 2]
    if first == 0:
        return size == 1 or signature[at + 3] >= 0x80
    return first < 0x80


def has_defined_hash_type(signature: bytes) -> bool:
    """Whether the hash type is ALL, NONE or SINGLE, ANYONECANPAY or not."""
    return SIGHASH_ALL <= signature[-1] & ~SIGHASH_ANYONECANPAY <= SIGHASH_SINGLE


def check_public_key_encoding(public_key: bytes, flags: Flags, *, in_witness: bool) -> None:
    """No hybrid keys, and in a witness no uncompressed ones, as the flags ask (BIP143).

    Raises ScriptInvalid: PUBKEYTYPE, WITNESS_PUBKEYTYPE. Core: CheckPubKeyEncoding.
    """
    if Flags.STRICTENC in flags and not (is_compressed(public_key) or _is_uncompressed(public_key)):
        raise ScriptInvalid(ScriptError.PUBKEYTYPE)
    if in_witness and Flags.WITNESS_PUBKEYTYPE in flags and not is_compressed(public_key):
        raise ScriptInvalid(ScriptError.WITNESS_PUBKEYTYPE)


def is_compressed(public_key: bytes) -> bool:
    """Whether it is 02 or 03 and an x coordinate. Core: IsCompressedPubKey."""
    return len(public_key) == 33 and public_key[0] in (2, 3)


def _is_uncompressed(public_key: bytes) -> bool:
    return len(public_key) == 65 and public_key[0] == 4


def has_key_size(public_key: bytes) -> bool:
    """Whether it has the size that its first byte calls for. Core: CPubKey::IsValid."""
    return len(public_key) > 0 and _KEY_SIZES.get(public_key[0]) == len(public_key)
