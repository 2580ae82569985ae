"""Addresses and exported secrets: scripts and keys as text that people can copy.

Base58Check for pay-to-public-key-hash and pay-to-script-hash (BIP13), Bech32 for witness version
0 (BIP173), Bech32m for all later ones (BIP350). Text has one form only: what decodes, encodes to
the same text, but for Bech32 all in upper case.
"""

from dataclasses import dataclass
from typing import Final

from drystone.crypto import base58, bech32
from drystone.crypto.base58 import Base58Error
from drystone.crypto.bech32 import Bech32Error, Checksum
from drystone.crypto.secp256k1 import is_secret
from drystone.primitives.script import is_p2sh, p2pkh, p2sh, witness_program, witness_script_pubkey

MAX_WITNESS_VERSION: Final = 16
MAX_PROGRAM_BYTES: Final = 40

_HASH_BYTES = 20


@dataclass(frozen=True, slots=True)
class AddressPrefixes:
    """What makes text of one chain differ from that of another. Core: base58Prefixes, bech32_hrp.

    Chains may share them, as the test chains do: an address says nothing sure about its chain.
    """

    key_hash: int  # Base58Check version byte of pay-to-public-key-hash
    script_hash: int  # the same of pay-to-script-hash (BIP13)
    secret: int  # the same of an exported secret (WIF)
    segwit: str  # human-readable part of Bech32 and Bech32m (BIP173), in lower case
    extended_public: bytes  # four version bytes (BIP32)
    extended_secret: bytes


class AddressError(ValueError):
    """Text that is no address of the chain, in the reference client's words where it has any.

    positions: of the characters at fault, as far as they are known.
    """

    def __init__(self, message: str, positions: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.positions = positions


def address_from_script(script: bytes, prefixes: AddressPrefixes) -> str | None:
    """The address of an output script, or None if it has none. Core: EncodeDestination.

    Pay-to-public-key has none: its key's hash is what people know, and that is another script.
    """
    if _is_p2pkh(script):
        return base58.encode_check(bytes((prefixes.key_hash,)) + script[3:23])
    if is_p2sh(script):
        return base58.encode_check(bytes((prefixes.script_hash,)) + script[2:22])
    program = witness_program(script)
    if program is not None and _program_fault(*program) is None:
        return _segwit_address(*program, prefixes.segwit)
    return None


def script_from_address(text: str, prefixes: AddressPrefixes) -> bytes:
    """The output script that pays to an address. Raises AddressError. Core: DecodeDestination."""
    if not text.lower().startswith(prefixes.segwit):
        return _script_from_base58(text, prefixes)
    try:
        return _script_from_segwit(text, prefixes.segwit)
    except AddressError:
        # A chain's prefixes may be such that Base58 happens to begin like its Bech32.
        try:
            return _script_from_base58(text, prefixes)
        except AddressError:
            pass
        raise


def is_address(text: str, prefixes: AddressPrefixes) -> bool:
    """Whether text is an address of the chain."""
    try:
        script_from_address(text, prefixes)
    except AddressError:
        return False
    return True


def _is_p2pkh(script: bytes) -> bool:
    return len(script) == 25 and script == p2pkh(script[3:23])


def _script_from_base58(text: str, prefixes: AddressPrefixes) -> bytes:
    try:
        payload = base58.decode_check(text, 1 + _HASH_BYTES)
    except Base58Error:
        raise AddressError(_base58_fault(text)) from None
    templates = {prefixes.key_hash: p2pkh, prefixes.script_hash: p2sh}
    if not payload or payload[0] not in templates:
        raise AddressError("Invalid or unsupported Base58-encoded address.")
    if len(payload) != 1 + _HASH_BYTES:
        raise AddressError("Invalid length for Base58 address (P2PKH or P2SH)")
    return templates[payload[0]](payload[1:])


def _base58_fault(text: str) -> str:
    try:
        base58.decode(text, 100)
    except Base58Error:
        return "Invalid or unsupported Segwit (Bech32) or Base58 encoding."
    return "Invalid checksum or length of Base58 address (P2PKH or P2SH)"


def _script_from_segwit(text: str, expected_hrp: str) -> bytes:
    try:
        hrp, data, checksum = bech32.decode(text)
        if not data:
            raise AddressError("Empty Bech32 data section")
        if hrp != expected_hrp:
            raise AddressError(
                "Invalid or unsupported prefix for Segwit (Bech32) address "
                f"(expected {expected_hrp}, got {hrp})."
            )
        version = data[0]
        if checksum is not _checksum_of(version):
            kind = "Version 1+ witness address must use Bech32m checksum"
            raise AddressError(
                kind if version else "Version 0 witness address must use Bech32 checksum"
            )
        program = bech32.from_five_bits(data[1:])
    except Bech32Error as e:
        raise AddressError(str(e), e.positions) from None
    fault = _program_fault(version, program)
    if fault is not None:
        raise AddressError(fault)
    return witness_script_pubkey(version, program)


def _segwit_address(version: int, program: bytes, hrp: str) -> str:
    data = (version, *bech32.to_five_bits(program))
    return bech32.encode(hrp, data, _checksum_of(version))


def _checksum_of(version: int) -> Checksum:
    return Checksum.BECH32M if version else Checksum.BECH32


def _program_fault(version: int, program: bytes) -> str | None:
    """What keeps a witness program from being paid to (BIP141), or None."""
    size = f"{len(program)} byte{'' if len(program) == 1 else 's'}"
    if version == 0 and len(program) not in (20, 32):
        return f"Invalid Bech32 v0 address program size ({size}), per BIP141"
    if version > MAX_WITNESS_VERSION:
        return "Invalid Bech32 address witness version"
    if not 2 <= len(program) <= MAX_PROGRAM_BYTES:
        return f"Invalid Bech32 address program size ({size})"
    return None


# WIF, the wallet import format: a secret, and whether its public key is used compressed.


def wif_from_secret(secret: bytes, prefixes: AddressPrefixes, *, compressed: bool = True) -> str:
    """Core: EncodeSecret. Raises ValueError for what is no secret."""
    if not is_secret(secret):
        raise ValueError("a secret is 32 bytes, neither zero nor beyond the order of secp256k1")
    return base58.encode_check(bytes((prefixes.secret,)) + secret + b"\1" * compressed)


def secret_from_wif(text: str, prefixes: AddressPrefixes) -> tuple[bytes, bool]:
    """The secret, and whether its public key is compressed. Raises AddressError.

    Core: DecodeSecret.
    """
    try:
        payload = base58.decode_check(text, 34)
    except Base58Error as e:
        raise AddressError(f"Invalid private key encoding: {e}") from None
    secret, mark = payload[1:33], payload[33:]
    if payload[:1] != bytes((prefixes.secret,)):
        raise AddressError("Invalid private key encoding: not of this chain")
    if mark not in (b"", b"\1") or not is_secret(secret):
        raise AddressError("Invalid private key encoding: no secret of secp256k1")
    return secret, bool(mark)
