"""Signatures and keys on secp256k1, through libsecp256k1: no curve arithmetic of our own.

Whatever a script or a peer may hand in ends in True or False. ValueError is for what only our own
code could get wrong: a secret that is none, a digest of the wrong length.

A thread that runs Python beside this one makes every call here slow, since each releases the
interpreter's lock and must win it back. Many signatures at once go to one native call instead,
which `native_functions` makes possible.
"""

from collections.abc import Callable
from typing import Final

from btclib_libsecp256k1 import ffi, lib
from btclib_libsecp256k1.context import ctx as _signing_context

from drystone.primitives.hashes import tagged_hash

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

_COMPRESSED = 0x0102  # SECP256K1_EC_COMPRESSED
_UNCOMPRESSED = 0x0002  # SECP256K1_EC_UNCOMPRESSED
_EXTRA_PARAMS_MAGIC = b"\xda\x6f\xb3\x8c"  # SECP256K1_SCHNORRSIG_EXTRAPARAMS_MAGIC
_NO_SIGNATURE = bytes(64)  # r and s of zero: well-formed, and valid for nothing

# Speed shaped these names: a call is some tenths of a microsecond beyond the curve's arithmetic,
# and half of that would be looking things up. Verifying needs no blinding, so the constant context
# will do; whoever signs takes the randomised one.
_context = lib.secp256k1_context_static
_new: Callable[..., "ffi.CData"] = ffi.new
_PUBLIC_KEY = ffi.typeof("secp256k1_pubkey *")
_X_ONLY_KEY = ffi.typeof("secp256k1_xonly_pubkey *")
_SIGNATURE = ffi.typeof("secp256k1_ecdsa_signature *")
_parse_key = lib.secp256k1_ec_pubkey_parse
_parse_x_only = lib.secp256k1_xonly_pubkey_parse
_parse_compact = lib.secp256k1_ecdsa_signature_parse_compact
_normalize = lib.secp256k1_ecdsa_signature_normalize
_ecdsa_verify = lib.secp256k1_ecdsa_verify
_schnorr_verify = lib.secp256k1_schnorrsig_verify
_tweak_check = lib.secp256k1_xonly_pubkey_tweak_add_check


def verify_ecdsa(public_key: bytes, digest: bytes, der: bytes) -> bool:
    """Whether an ECDSA signature is valid, as old blocks need it. Core: CPubKey::Verify.

    public_key: 33 or 65 bytes, the hybrid forms 06 and 07 too. digest: 32 bytes. der: without the
    hash type, read laxly, and s may be high: BIP66 and low s are rules of others.
    """
    _check_digest(digest)
    compact = compact_from_der(der)
    if compact is None:
        return False
    key = _new(_PUBLIC_KEY)
    signature = _new(_SIGNATURE)
    if not _parse_key(_context, key, public_key, len(public_key)):
        return False
    if not _parse_compact(_context, signature, compact):
        return False
    _normalize(_context, signature, signature)
    return bool(_ecdsa_verify(_context, signature, digest, key))


def compact_from_der(der: bytes) -> bytes | None:
    """r and s in 32 bytes each, of a signature in something like DER; None if it isn't even that.

    Before BIP66, blocks took what OpenSSL took: lengths in too many bytes, the outer one ignored,
    padding, integers that are negative by their first bit, bytes after the end. Where r or s has
    more than 256 bits, both come out zero. Core: ecdsa_signature_parse_der_lax.
    """
    try:
        if der[0] != 0x30:
            return None
        size = der[1]
        r, at = _lax_integer(der, 2 + (size & 0x7F if size & 0x80 else 0))
        s, _ = _lax_integer(der, at)
    except (IndexError, ValueError):
        return None
    if len(r) > 32 or len(s) > 32:
        return _NO_SIGNATURE
    return r.rjust(32, b"\0") + s.rjust(32, b"\0")


def _lax_integer(der: bytes, at: int) -> tuple[bytes, int]:
    """The magnitude without leading zeros, and the offset after it; an error if there is none."""
    if der[at] != 0x02:
        raise ValueError
    size = der[at + 1]
    at += 2
    if size & 0x80:
        end = at + (size & 0x7F)
        length = der[at:end].lstrip(b"\0")
        if end > len(der) or len(length) >= 4:
            raise ValueError
        size = int.from_bytes(length, "big")
        at = end
    end = at + size
    if end > len(der):
        raise ValueError
    return der[at:end].lstrip(b"\0"), end


def is_low_s(der: bytes) -> bool:
    """Whether s is at most half of the group's order (BIP62, as policy). Core: CheckLowS."""
    compact = compact_from_der(der)
    if compact is None:
        return False
    signature = _new(_SIGNATURE)
    if not _parse_compact(_context, signature, compact):
        return True  # out of range counts as zero, which is low
    return not _normalize(_context, ffi.NULL, signature)


def verify_schnorr(x_only_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a Schnorr signature is valid (BIP340). message: of any length, 32 in scripts."""
    if len(x_only_key) != 32 or len(signature) != 64:
        return False
    key = _new(_X_ONLY_KEY)
    if not _parse_x_only(_context, key, x_only_key):
        return False
    return bool(_schnorr_verify(_context, signature, message, len(message), key))


def is_public_key(public_key: bytes) -> bool:
    """Whether it is a point: 33 bytes, or 65 with 04, 06 or 07. Core: CPubKey::IsFullyValid."""
    return bool(_parse_key(_context, _new(_PUBLIC_KEY), public_key, len(public_key)))


def is_x_only_public_key(x_only_key: bytes) -> bool:
    """Whether these are 32 bytes and the x coordinate of a point (BIP340)."""
    return len(x_only_key) == 32 and bool(_parse_x_only(_context, _new(_X_ONLY_KEY), x_only_key))


# Taproot (BIP341): an output key is an internal key plus a tweak that commits to scripts.


def tap_tweak(internal_key: bytes, merkle_root: bytes = b"") -> bytes:
    """The tweak's 32 bytes. merkle_root: of the script tree, empty if there is none (BIP341)."""
    return tagged_hash("TapTweak", internal_key + merkle_root)


def check_tap_tweak(output_key: bytes, parity: int, internal_key: bytes, tweak: bytes) -> bool:
    """Whether internal key plus tweak is the point with this x and this parity of y (BIP341).

    Core: XOnlyPubKey::CheckTapTweak, given the tweak.
    """
    _check_length("tweak", tweak, 32)
    if len(output_key) != 32 or len(internal_key) != 32:
        return False
    key = _new(_X_ONLY_KEY)
    if not _parse_x_only(_context, key, internal_key):
        return False
    return bool(_tweak_check(_context, output_key, parity, key, tweak))


def tweak_public_key(x_only_key: bytes, tweak: bytes) -> tuple[bytes, int]:
    """The x of key plus tweak, and the parity of its y. Raises ValueError for what is no key."""
    _check_length("x-only key", x_only_key, 32)
    _check_length("tweak", tweak, 32)
    internal, tweaked, output = _new(_X_ONLY_KEY), _new(_PUBLIC_KEY), _new(_X_ONLY_KEY)
    if not _parse_x_only(_context, internal, x_only_key):
        raise ValueError("the x-only key is not on the curve")
    if not lib.secp256k1_xonly_pubkey_tweak_add(_context, tweaked, internal, tweak):
        raise ValueError("the tweak is out of range")
    parity, serialized = _new("int *"), _new("unsigned char[32]")
    lib.secp256k1_xonly_pubkey_from_pubkey(_context, output, parity, tweaked)
    lib.secp256k1_xonly_pubkey_serialize(_context, serialized, output)
    return bytes(ffi.buffer(serialized)), int(parity[0])


def tap_tweak_secret(secret: bytes, tweak: bytes) -> bytes:
    """The secret of the tweaked key: of the secret whose point has an even y, plus the tweak.

    Raises ValueError for what is no secret.
    """
    _check_length("tweak", tweak, 32)
    pair = _key_pair(secret)
    if not lib.secp256k1_keypair_xonly_tweak_add(_signing_context, pair, tweak):
        raise ValueError("the tweak is out of range")
    tweaked = _new("unsigned char[32]")
    lib.secp256k1_keypair_sec(_signing_context, tweaked, pair)
    return bytes(ffi.buffer(tweaked))


# Keys and signing. None of this is a rule: wallets and tests need it.


def is_secret(secret: bytes) -> bool:
    """Whether it is a private key: 32 bytes, from 1 to the group's order less one."""
    return len(secret) == 32 and bool(lib.secp256k1_ec_seckey_verify(_context, secret))


def public_key(secret: bytes, *, compressed: bool = True) -> bytes:
    """The public key of a secret, 33 bytes or 65. Raises ValueError for what is no secret."""
    _check_secret(secret)
    key = _new(_PUBLIC_KEY)
    lib.secp256k1_ec_pubkey_create(_signing_context, key, secret)
    serialized, size = _new("unsigned char[65]"), _new("size_t *", 65)
    form = _COMPRESSED if compressed else _UNCOMPRESSED
    lib.secp256k1_ec_pubkey_serialize(_context, serialized, size, key, form)
    return bytes(ffi.buffer(serialized, size[0]))


def x_only_public_key(secret: bytes) -> bytes:
    """The x coordinate of the public key, 32 bytes (BIP340)."""
    return public_key(secret)[1:]


def sign_ecdsa(secret: bytes, digest: bytes, *, low_r: bool = True) -> bytes:
    """A signature in DER, without hash type: deterministic (RFC 6979), s low.

    low_r: tries nonces until r, too, has no leading zero byte in DER, as the reference client
    does to save one byte; half of all signatures need a second try. Core: CKey::Sign.
    """
    _check_secret(secret)
    _check_digest(digest)
    signature, compact = _new(_SIGNATURE), _new("unsigned char[64]")
    extra_entropy, tries = ffi.NULL, 0
    while True:
        lib.secp256k1_ecdsa_sign(
            _signing_context, signature, digest, secret, ffi.NULL, extra_entropy
        )
        lib.secp256k1_ecdsa_signature_serialize_compact(_context, compact, signature)
        if not low_r or compact[0] < 0x80:
            break
        tries += 1
        extra_entropy = tries.to_bytes(32, "little")
    serialized, size = _new("unsigned char[72]"), _new("size_t *", 72)
    lib.secp256k1_ecdsa_signature_serialize_der(_context, serialized, size, signature)
    return bytes(ffi.buffer(serialized, size[0]))


def sign_schnorr(secret: bytes, message: bytes, aux: bytes = bytes(32)) -> bytes:
    """A Schnorr signature, 64 bytes (BIP340). aux: 32 bytes of randomness, or none, as zeros."""
    _check_length("auxiliary randomness", aux, 32)
    pair = _key_pair(secret)
    signature = _new("unsigned char[64]")
    randomness = _new("unsigned char[32]", aux)
    extra = _new("secp256k1_schnorrsig_extraparams *")
    extra.magic = _EXTRA_PARAMS_MAGIC
    extra.noncefp = ffi.NULL
    extra.ndata = randomness
    lib.secp256k1_schnorrsig_sign_custom(
        _signing_context, signature, message, len(message), pair, extra
    )
    return bytes(ffi.buffer(signature))


def native_functions() -> dict[str, int]:
    """Addresses for native code that verifies in batches: libsecp256k1's functions by name.

    `secp256k1_context_static` is there too, as the address that the functions take first. All
    stay valid as long as the process lives; the functions may be called without the
    interpreter's lock and from several threads.
    """
    names = (
        "secp256k1_ec_pubkey_parse",
        "secp256k1_ecdsa_signature_normalize",
        "secp256k1_ecdsa_signature_parse_compact",
        "secp256k1_ecdsa_verify",
        "secp256k1_schnorrsig_verify",
        "secp256k1_xonly_pubkey_parse",
        "secp256k1_xonly_pubkey_tweak_add_check",
    )
    addresses = {name: _address(ffi.addressof(lib, name)) for name in names}
    return addresses | {"secp256k1_context_static": _address(_context)}


def _address(pointer: "ffi.CData") -> int:
    return int(ffi.cast("uintptr_t", pointer))


def _key_pair(secret: bytes) -> "ffi.CData":
    _check_secret(secret)
    pair = _new("secp256k1_keypair *")
    lib.secp256k1_keypair_create(_signing_context, pair, secret)
    return pair


def _check_secret(secret: bytes) -> None:
    if not is_secret(secret):
        raise ValueError("a secret is 32 bytes, neither zero nor beyond the order of secp256k1")


def _check_digest(digest: bytes) -> None:
    # The library reads 32 bytes wherever the pointer leads.
    if len(digest) != 32:
        raise ValueError(f"a digest has 32 bytes, not {len(digest)}")


def _check_length(what: str, data: bytes, size: int) -> None:
    if len(data) != size:
        raise ValueError(f"{what}: {size} bytes wanted, not {len(data)}")
